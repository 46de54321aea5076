//! The changes of one message, read into reused memory before any is applied: a runner's id may stand behind its
//! ladders, `img` behind the runners, and what breaks the message behind all of them.

use std::ops::Range;

use super::amount::Amount;
use super::ladder::{Kind, LadderChange, Level, Side, Step};
use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::field::FieldCounts;
use crate::key::word;
use crate::number;
use crate::venue::{read_array, read_map};

const KEY_ID: u64 = word("id");
const KEY_ATB: u64 = word("atb");
const KEY_ATL: u64 = word("atl");
const KEY_BDATB: u64 = word("bdatb");
const KEY_BDATL: u64 = word("bdatl");
const KEY_BATB: u64 = word("batb");
const KEY_BATL: u64 = word("batl");
const KEY_HC: u64 = word("hc");
const KEY_LTP: u64 = word("ltp");
const KEY_TV: u64 = word("tv");
const KEY_SPN: u64 = word("spn");
const KEY_SPF: u64 = word("spf");

/// One `rc` entry.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    pub(super) selection: Option<i64>,
    pub(super) handicap: Option<Amount>,
    pub(super) last_price: Option<Amount>,
    pub(super) matched: Option<Amount>,
    pub(super) sp_near: Option<Amount>,
    pub(super) sp_far: Option<Amount>,
    /// Its ladders: from this one to the next entry's first.
    first_ladder: usize,
}

/// One entry of `mc`, its texts and its definition by their places in the payload.
#[derive(Debug, Default)]
pub(super) struct MarketChange {
    pub(super) id: Range<usize>,
    pub(super) image: bool,
    pub(super) conflated: bool,
    pub(super) total: Option<Amount>,
    pub(super) definition: Option<usize>,
    /// Its `rc` entries: from this one to the next market's first.
    first_runner: usize,
}

/// Changes and steps for which memory is kept however small the messages are.
const KEPT: usize = 4_096;

/// Messages after which larger memory is given back: the image of all markets must not stay for ever.
const PATIENCE: u32 = 1_024;

/// All changes of one message.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) markets: Vec<MarketChange>,
    runners: Vec<Change>,
    ladders: Vec<LadderChange>,
    steps: Vec<Step>,
    /// Messages since the memory was needed.
    idle: u32,
}

impl Changes {
    pub(super) fn clear(&mut self) {
        if self.steps.capacity() > KEPT {
            self.shrink();
        }
        self.markets.clear();
        self.runners.clear();
        self.ladders.clear();
        self.steps.clear();
    }

    fn shrink(&mut self) {
        self.idle = if self.steps.len() > KEPT { 0 } else { self.idle + 1 };
        if self.idle == PATIENCE {
            self.idle = 0;
            self.runners.shrink_to(KEPT);
            self.ladders.shrink_to(KEPT);
            self.steps.shrink_to(KEPT);
        }
    }

    /// Begins a market, whose `rc` entries are read next.
    pub(super) fn begin(&mut self) -> MarketChange {
        MarketChange { first_runner: self.runners.len(), ..MarketChange::default() }
    }

    /// The `rc` entries of market `at`.
    pub(super) fn of(&self, at: usize) -> Entries<'_> {
        let first = self.markets.get(at).map_or(0, |market| market.first_runner);
        let end = self.markets.get(at + 1).map_or(self.runners.len(), |market| market.first_runner);
        Entries { all: self, runners: first..end }
    }

    /// The ladders of the entries from `first` to before `end`.
    #[inline]
    fn ladders_of(&self, first: usize, end: usize) -> &[LadderChange] {
        let begin = |at: usize| self.runners.get(at).map_or(self.ladders.len(), |runner| runner.first_ladder);
        self.ladders.get(begin(first)..begin(end)).unwrap_or_default()
    }

    /// Reads the `rc` array.
    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        fields: &mut FieldCounts,
        depth: usize,
    ) -> Result<(), Undecodable> {
        for _ in 0..read_array(cursor, depth)?.unwrap_or(0) {
            let mut change = Change { first_ladder: self.ladders.len(), ..Change::default() };
            let mut at = *cursor;
            for _ in 0..read_map(&mut at, depth + 1)?.unwrap_or(0) {
                self.key(&mut at, &mut change, fields, depth + 2)?;
            }
            *cursor = at;
            self.runners.push(change);
        }
        Ok(())
    }

    #[inline(always)]
    fn key(
        &mut self,
        cursor: &mut Cursor<'_>,
        change: &mut Change,
        fields: &mut FieldCounts,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let word = cursor.key()?.word;
        let ladder = match word {
            KEY_ATB => Some((Kind::Full, Side::Back)),
            KEY_ATL => Some((Kind::Full, Side::Lay)),
            KEY_BDATB => Some((Kind::Display, Side::Back)),
            KEY_BDATL => Some((Kind::Display, Side::Lay)),
            KEY_BATB => Some((Kind::Best, Side::Back)),
            KEY_BATL => Some((Kind::Best, Side::Lay)),
            _ => None,
        };
        if let Some((kind, side)) = ladder {
            let mut after = *cursor;
            match kind {
                Kind::Full => self.prices(&mut after, side, fields, depth)?,
                _ => self.levels(&mut after, kind, side, fields, depth)?,
            }
            *cursor = after;
            return Ok(());
        }
        let figure = match word {
            KEY_ID => {
                change.selection = read_id(cursor, depth)?;
                return Ok(());
            }
            KEY_HC => &mut change.handicap,
            KEY_LTP => &mut change.last_price,
            KEY_TV => &mut change.matched,
            KEY_SPN => &mut change.sp_near,
            KEY_SPF => &mut change.sp_far,
            _ => return cursor.skip(depth),
        };
        if let Some(amount) = Amount::read(cursor, fields, depth)? {
            *figure = Some(amount);
        }
        Ok(())
    }

    /// `[[price, size] …]`
    #[inline(never)]
    fn prices(
        &mut self,
        cursor: &mut Cursor<'_>,
        side: Side,
        fields: &mut FieldCounts,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let from = self.steps.len();
        let mut at = *cursor;
        let entries = read_array(&mut at, depth)?.unwrap_or(0);
        for _ in 0..entries {
            let mut after = at;
            if after.short_array() == Some(2)
                && let Some(price) = Amount::read_short(&mut after)
                && let Some(size) = Amount::read_short(&mut after)
            {
                self.steps.push(Step { at: 0, level: Level { price, size } });
                at = after;
                continue;
            }
            let level;
            (level, at) = odd_price(at, fields, depth)?;
            self.steps.extend(level.map(|level| Step { at: 0, level }));
        }
        *cursor = at;
        self.mention(Kind::Full, side, entries, from);
        Ok(())
    }

    /// `[[level, price, size] …]`
    fn levels(
        &mut self,
        cursor: &mut Cursor<'_>,
        kind: Kind,
        side: Side,
        fields: &mut FieldCounts,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let from = self.steps.len();
        let entries = read_array(cursor, depth)?.unwrap_or(0);
        for _ in 0..entries {
            let Some(items) = read_array(cursor, depth + 1)? else { continue };
            let level = if items > 0 { read_id(cursor, depth + 2)? } else { None };
            let price = read_item(cursor, items, 1, fields, depth)?;
            let size = read_item(cursor, items, 2, fields, depth)?;
            skip_items(cursor, items, 3, depth)?;
            let level = level.and_then(|level| usize::try_from(level).ok());
            if let (Some(at), Some(price), Some(size)) = (level, price, size) {
                self.steps.push(Step { at, level: Level { price, size } });
            }
        }
        self.mention(kind, side, entries, from);
        Ok(())
    }

    /// One side of `entries` entries is read, with its steps from `from` on. Entries that are all odd say nothing.
    #[inline]
    fn mention(&mut self, kind: Kind, side: Side, entries: u32, from: usize) {
        let steps = from..self.steps.len();
        if entries == 0 || !steps.is_empty() {
            self.ladders.push(LadderChange { kind, side, steps });
        }
    }
}

/// The `rc` entries of one market.
#[derive(Clone, Debug)]
pub(super) struct Entries<'c> {
    all: &'c Changes,
    runners: Range<usize>,
}

/// One of them with its ladders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'c> {
    pub(super) change: &'c Change,
    pub(super) ladders: &'c [LadderChange],
    steps: &'c [Step],
}

impl<'c> Entries<'c> {
    /// The ladders of all of them.
    pub(super) fn ladders(&self) -> &'c [LadderChange] {
        self.all.ladders_of(self.runners.start, self.runners.end)
    }
}

impl<'c> Iterator for Entries<'c> {
    type Item = Entry<'c>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'c>> {
        let at = self.runners.next()?;
        let change = self.all.runners.get(at)?;
        Some(Entry { change, ladders: self.all.ladders_of(at, at + 1), steps: &self.all.steps })
    }
}

impl<'c> Entry<'c> {
    /// The steps of one of its ladders.
    #[inline]
    pub(super) fn steps(&self, ladder: &LadderChange) -> &'c [Step] {
        self.steps.get(ladder.steps.clone()).unwrap_or_default()
    }
}

/// A price and its size in any form, and the cursor behind them.
#[cold]
#[inline(never)]
fn odd_price<'a>(
    mut cursor: Cursor<'a>,
    fields: &mut FieldCounts,
    depth: usize,
) -> Result<(Option<Level>, Cursor<'a>), Undecodable> {
    let Some(items) = read_array(&mut cursor, depth + 1)? else { return Ok((None, cursor)) };
    let price = read_item(&mut cursor, items, 0, fields, depth)?;
    let size = read_item(&mut cursor, items, 1, fields, depth)?;
    skip_items(&mut cursor, items, 2, depth)?;
    Ok((price.zip(size).map(|(price, size)| Level { price, size }), cursor))
}

#[inline]
fn read_item(
    cursor: &mut Cursor<'_>,
    items: u32,
    at: u32,
    fields: &mut FieldCounts,
    depth: usize,
) -> Result<Option<Amount>, Undecodable> {
    if at < items { Amount::read(cursor, fields, depth + 2) } else { Ok(None) }
}

#[inline]
fn skip_items(cursor: &mut Cursor<'_>, items: u32, from: u32, depth: usize) -> Result<(), Undecodable> {
    for _ in from..items {
        cursor.skip(depth + 2)?;
    }
    Ok(())
}

/// An integer, or its digits.
#[inline]
pub(super) fn read_id(cursor: &mut Cursor<'_>, depth: usize) -> Result<Option<i64>, Undecodable> {
    if let id @ Some(_) = cursor.int() {
        return Ok(id);
    }
    let id;
    (id, *cursor) = read_odd_id(*cursor, depth)?;
    Ok(id)
}

#[cold]
#[inline(never)]
fn read_odd_id(mut cursor: Cursor<'_>, depth: usize) -> Result<(Option<i64>, Cursor<'_>), Undecodable> {
    let id = match cursor.value()? {
        Value::Int(number) => Some(number),
        Value::Text(text) => number::parse_i64(text),
        Value::Array(entries) => {
            cursor.skip_container(u64::from(entries), depth)?;
            None
        }
        Value::Map(entries) => {
            cursor.skip_container(2 * u64::from(entries), depth)?;
            None
        }
        _ => None,
    };
    Ok((id, cursor))
}
