//! `betfair_orders`: order changes as the Exchange Stream sends them (WIRE.md; reference: Betfair's Exchange Stream
//! API). One point an order, which comes whole with each change. What of an order was matched at which price (`mb`, `ml`)
//! is not kept.

use hashbrown::HashMap;
use tickline_config::model::FieldChoice;

use super::change::read_id;
use super::closed::Closed;
use super::is_true;
use crate::counts::Undecodable;
use crate::cursor::Cursor;
use crate::emit::{Emit, VenueTime, flag};
use crate::number::Digits;
use crate::schema;
use crate::series::SeriesId;
use crate::venue::record::{Form, Record, Tags, Values};
use crate::venue::tags::TagSeries;
use crate::venue::{Nested, Shape, read_array, read_map, read_text, read_time};

/// Betfair's times are ms. The message has one; those of an order say when it was placed and matched.
const ORDER: Form = Form {
    measurement: &schema::BETFAIR_ORDERS,
    renamed: &[
        ("id", "bet_id"),
        ("p", "price"),
        ("s", "size"),
        ("sm", "matched"),
        ("sr", "remaining"),
        ("avp", "avg_price"),
    ],
    apart: &["account", "market_id", "selection_id"],
    time: None,
    unit_ns: super::UNIT_NS,
};

const MARKET: usize = 1;
const SELECTION: usize = 2;

/// The decoder of Betfair order changes.
#[derive(Debug)]
pub struct BetfairOrders {
    record: Record,
    /// Series of each market that is not closed.
    markets: HashMap<Vec<u8>, TagSeries>,
    closed: Closed,
}

/// What stands beside `oc` in a message.
#[derive(Default)]
struct Message<'a> {
    op: &'a [u8],
    change_type: &'a [u8],
    time: Option<i64>,
    suspect: bool,
    markets: Option<Nested<'a>>,
}

impl Message<'_> {
    /// Whether it changes orders; refused if it is neither that nor known to make no points.
    fn is_data(&self, emit: &Emit<'_>) -> Result<bool, Undecodable> {
        if emit.envelope.is_control() {
            return Ok(false);
        }
        match self.op {
            b"ocm" => Ok(self.markets.is_some() && self.change_type != b"HEARTBEAT"),
            b"connection" | b"status" => Ok(false),
            b"" if self.markets.is_some() => Ok(true),
            _ => Err(Undecodable::UnknownShape),
        }
    }
}

/// What the orders of a message, a market or a runner share.
#[derive(Clone, Copy)]
struct Place<'a> {
    market: &'a [u8],
    selection: Option<i64>,
    at: VenueTime,
    flags: u8,
}

impl BetfairOrders {
    /// Writes the fields of `choice`, under `account`.
    pub fn new(choice: &FieldChoice, account: &str) -> Self {
        Self {
            record: Record::new(ORDER, choice, &[("account", account)]),
            markets: HashMap::new(),
            closed: Closed::default(),
        }
    }

    /// One payload map of `entries` keys.
    pub fn map<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        entries: u32,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Shape, Undecodable> {
        let mut message = Message::default();
        for left in (0..entries).rev() {
            let key = cursor.key()?;
            match key.text {
                b"op" => message.op = read_text(cursor, depth)?,
                b"pt" => message.time = read_time(cursor, super::UNIT_NS, emit, depth)?,
                b"ct" => message.change_type = read_text(cursor, depth)?,
                b"status" => message.suspect = read_id(cursor, depth)? == Some(503),
                b"oc" => message.markets = Some(Nested::at(cursor, left, depth)?),
                _ if key.is_reserved() => emit.envelope.read(key.text, cursor)?,
                _ => cursor.skip(depth)?,
            }
        }
        let is_data = message.is_data(emit)?;
        let flags =
            bit(message.change_type == b"SUB_IMAGE", flag::IMAGE) | bit(message.suspect, flag::SUSPECT);
        let at = VenueTime::new(message.time, super::UNIT_NS);
        if let Some(mut nested) = message.markets {
            let cursor = nested.cursor(cursor);
            if !is_data {
                cursor.skip(depth)?;
            } else {
                let place = Place { market: &[], selection: None, at, flags };
                for _ in 0..read_array(cursor, depth)?.unwrap_or(0) {
                    self.market(cursor, place, emit, depth + 1)?;
                }
            }
        }
        Ok(if is_data { Shape::Data } else { Shape::Control })
    }

    /// One entry of `oc`.
    fn market<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        mut place: Place<'a>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let (mut closed, mut runners) = (false, None);
        let keys = read_map(cursor, depth)?.ok_or(Undecodable::UnknownShape)?;
        for left in (0..keys).rev() {
            match cursor.key()?.text {
                b"id" => place.market = read_text(cursor, depth + 1)?,
                b"fullImage" => place.flags |= bit(is_true(cursor, depth + 1)?, flag::IMAGE),
                b"closed" => closed = is_true(cursor, depth + 1)?,
                b"orc" => runners = Some(Nested::at(cursor, left, depth + 1)?),
                _ => cursor.skip(depth + 1)?,
            }
        }
        if let Some(mut nested) = runners {
            let cursor = nested.cursor(cursor);
            for _ in 0..read_array(cursor, depth + 1)?.unwrap_or(0) {
                self.runner(cursor, place, emit, depth + 2)?;
            }
        }
        if closed && let Some((id, market)) = self.markets.remove_entry(place.market) {
            let Self { markets, closed, .. } = self;
            closed.push((id, market.all().collect()), |id| markets.contains_key(id), emit.series);
        }
        Ok(())
    }

    /// One entry of `orc`.
    fn runner<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        mut place: Place<'a>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let mut orders = None;
        let keys = read_map(cursor, depth)?.ok_or(Undecodable::UnknownShape)?;
        for left in (0..keys).rev() {
            match cursor.key()?.text {
                b"id" => place.selection = read_id(cursor, depth + 1)?,
                b"fullImage" => place.flags |= bit(is_true(cursor, depth + 1)?, flag::IMAGE),
                b"uo" => orders = Some(Nested::at(cursor, left, depth + 1)?),
                _ => cursor.skip(depth + 1)?,
            }
        }
        let Some(mut nested) = orders else { return Ok(()) };
        let cursor = nested.cursor(cursor);
        for _ in 0..read_array(cursor, depth + 1)?.unwrap_or(0) {
            let keys = read_map(cursor, depth + 2)?.ok_or(Undecodable::UnknownShape)?;
            let mut values = Values::default();
            for _ in 0..keys {
                let key = cursor.key()?;
                self.record.read(key, cursor, &mut values, emit, depth + 3)?;
            }
            self.emit(&values, place, emit);
        }
        Ok(())
    }

    fn emit(&mut self, values: &Values<'_>, place: Place<'_>, emit: &mut Emit<'_>) {
        let series = place.selection.and_then(|selection| {
            let selection = Digits::of(selection);
            let mut tags = values.tags;
            (tags[MARKET], tags[SELECTION]) = (place.market, selection.as_bytes());
            self.series(&tags, emit)
        });
        self.record.point(series, values, place.at, place.flags, emit);
    }

    /// The series of an order; none without the id of a market, whose points would meet those of every other.
    fn series(&mut self, tags: &Tags<'_>, emit: &mut Emit<'_>) -> Option<SeriesId> {
        let id = tags[MARKET];
        if id.is_empty() {
            return None;
        }
        let Self { record, markets, .. } = self;
        let market = markets.entry_ref(id).or_default();
        let series = record.series(tags, market, emit);
        if series.is_none() && market.is_empty() {
            markets.remove(id);
        }
        series
    }
}

const fn bit(set: bool, flag: u8) -> u8 {
    if set { flag } else { 0 }
}
