//! The changes of one message, read into reused memory before any is applied: a runner's id may stand behind its
//! ladders, `img` behind the runners, and what breaks the message behind all of them.

use std::ops::Range;

use super::amount::Amount;
use super::ladder::{Delta, Kind, Level, Side, Step};
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
    /// Its deltas: from this one to the next entry's first.
    first_delta: usize,
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

/// Changes and deltas for which memory is kept however small the messages are.
const KEPT: usize = 4_096;

/// Messages after which larger memory is given back: the image of all markets must not stay for ever.
const PATIENCE: u32 = 1_024;

/// All changes of one message.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) markets: Vec<MarketChange>,
    runners: Vec<Change>,
    deltas: Vec<Delta>,
    /// Messages since the memory was needed.
    idle: u32,
}

impl Changes {
    pub(super) fn clear(&mut self) {
        if self.deltas.capacity() > KEPT {
            self.shrink();
        }
        self.markets.clear();
        self.runners.clear();
        self.deltas.clear();
    }

    fn shrink(&mut self) {
        self.idle = if self.deltas.len() > KEPT { 0 } else { self.idle + 1 };
        if self.idle == PATIENCE {
            self.idle = 0;
            self.runners.shrink_to(KEPT);
            self.deltas.shrink_to(KEPT);
        }
    }

    /// Begins a market, whose `rc` entries are read next.
    pub(super) fn begin(&mut self) -> MarketChange {
        MarketChange { first_runner: self.runners.len(), ..MarketChange::default() }
    }

    /// The `rc` entries of market `at` with their deltas.
    pub(super) fn of(&self, at: usize) -> impl Iterator<Item = (&Change, &[Delta])> + Clone {
        let first = self.markets.get(at).map_or(0, |market| market.first_runner);
        let next = self.markets.get(at + 1).map_or(self.runners.len(), |market| market.first_runner);
        let runners = self.runners.get(first..next).unwrap_or_default();
        runners.iter().zip(first..).map(|(change, at)| (change, self.deltas_of(change, at)))
    }

    /// The deltas of entry `at`.
    #[inline]
    fn deltas_of(&self, change: &Change, at: usize) -> &[Delta] {
        let next = self.runners.get(at + 1).map_or(self.deltas.len(), |next| next.first_delta);
        self.deltas.get(change.first_delta..next).unwrap_or_default()
    }

    /// Reads the `rc` array.
    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        fields: &mut FieldCounts,
        depth: usize,
    ) -> Result<(), Undecodable> {
        for _ in 0..read_array(cursor, depth)?.unwrap_or(0) {
            let mut change = Change { first_delta: self.deltas.len(), ..Change::default() };
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
        let kind = Kind::Full;
        let mut at = *cursor;
        for _ in 0..self.entries(&mut at, kind, side, depth)? {
            let mut after = at;
            let level = match after.short_array() {
                Some(2) => Amount::read_short(&mut after).zip(Amount::read_short(&mut after)),
                _ => None,
            };
            let level = match level {
                Some((price, size)) => Some(Level { price, size }),
                None => {
                    let level;
                    (level, after) = odd_price(at, fields, depth)?;
                    level
                }
            };
            if let Some(level) = level {
                self.deltas.push(Delta { kind, side, step: Step::Price(level) });
            }
            at = after;
        }
        *cursor = at;
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
        for _ in 0..self.entries(cursor, kind, side, depth)? {
            let Some(items) = read_array(cursor, depth + 1)? else { continue };
            let level = if items > 0 { read_id(cursor, depth + 2)? } else { None };
            let price = read_item(cursor, items, 1, fields, depth)?;
            let size = read_item(cursor, items, 2, fields, depth)?;
            skip_items(cursor, items, 3, depth)?;
            let level = level.and_then(|level| usize::try_from(level).ok());
            if let (Some(at), Some(price), Some(size)) = (level, price, size) {
                self.deltas.push(Delta { kind, side, step: Step::Level(at, Level { price, size }) });
            }
        }
        Ok(())
    }

    /// The entries of one side; none, or null, clear it.
    #[inline]
    fn entries(
        &mut self,
        cursor: &mut Cursor<'_>,
        kind: Kind,
        side: Side,
        depth: usize,
    ) -> Result<u32, Undecodable> {
        let entries = read_array(cursor, depth)?.unwrap_or(0);
        if entries == 0 {
            self.deltas.push(Delta { kind, side, step: Step::Clear });
        }
        Ok(entries)
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
