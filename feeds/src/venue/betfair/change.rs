//! The changes of one message, read into reused memory before any is applied: a runner's id may stand behind its
//! ladders, `img` behind the runners, and what breaks the message behind all of them.

use std::ops::Range;

use super::amount::Amount;
use super::ladder::{Delta, Kind, Level, Side, Step};
use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::field::FieldCounts;
use crate::number;
use crate::venue::{read_array, read_map};

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
            for _ in 0..read_map(cursor, depth + 1)?.unwrap_or(0) {
                self.key(cursor, &mut change, fields, depth + 2)?;
            }
            self.runners.push(change);
        }
        Ok(())
    }

    #[inline]
    fn key(
        &mut self,
        cursor: &mut Cursor<'_>,
        change: &mut Change,
        fields: &mut FieldCounts,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let figure = match cursor.key()?.text {
            b"id" => {
                change.selection = read_id(cursor, depth)?;
                return Ok(());
            }
            b"atb" => return self.prices(cursor, Side::Back, fields, depth),
            b"atl" => return self.prices(cursor, Side::Lay, fields, depth),
            b"bdatb" => return self.levels(cursor, Kind::Display, Side::Back, fields, depth),
            b"bdatl" => return self.levels(cursor, Kind::Display, Side::Lay, fields, depth),
            b"batb" => return self.levels(cursor, Kind::Best, Side::Back, fields, depth),
            b"batl" => return self.levels(cursor, Kind::Best, Side::Lay, fields, depth),
            b"hc" => &mut change.handicap,
            b"ltp" => &mut change.last_price,
            b"tv" => &mut change.matched,
            b"spn" => &mut change.sp_near,
            b"spf" => &mut change.sp_far,
            _ => return cursor.skip(depth),
        };
        if let Some(amount) = Amount::read(cursor, fields, depth)? {
            *figure = Some(amount);
        }
        Ok(())
    }

    /// `[[price, size] …]`
    fn prices(
        &mut self,
        cursor: &mut Cursor<'_>,
        side: Side,
        fields: &mut FieldCounts,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let kind = Kind::Full;
        for _ in 0..self.entries(cursor, kind, side, depth)? {
            let Some(items) = read_array(cursor, depth + 1)? else { continue };
            let price = read_item(cursor, items, 0, fields, depth)?;
            let size = read_item(cursor, items, 1, fields, depth)?;
            skip_items(cursor, items, 2, depth)?;
            if let (Some(price), Some(size)) = (price, size) {
                self.deltas.push(Delta { kind, side, step: Step::Price(Level { price, size }) });
            }
        }
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
    Ok(match cursor.value()? {
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
    })
}
