//! `betfair_stream`: market changes as the Exchange Stream sends them (WIRE.md; reference: Betfair's Exchange
//! Stream API). Ladders are kept per market, selection and handicap; a point carries all that is known of its
//! runner. A payload is checked whole before anything is applied, so that a broken one changes no ladder.

use hashbrown::DefaultHashBuilder;
use tickline_config::model::FieldChoice;

use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::emit::{Emit, VenueTime, flag};
use crate::field::FieldPlan;
use crate::schema;
use crate::series::TAG_VALUE_BYTES_MAX;
use crate::venue::{Nested, Shape, read_array, read_map, read_text, read_time};

mod amount;
mod change;
mod definition;
mod ladder;
mod market;
mod runner;

use change::{Changes, read_amount, read_id};
use definition::Definition;
use market::{Markets, Rules, Update};

/// Betfair's times are ms.
const UNIT_NS: i64 = 1_000_000;

/// The plans of the three measurements.
#[derive(Debug)]
struct Plans {
    stream: FieldPlan,
    market: FieldPlan,
    runner: FieldPlan,
}

/// The decoder of Betfair market changes.
#[derive(Debug)]
pub struct Betfair {
    plans: Plans,
    markets: Markets,
    changes: Changes,
    hasher: DefaultHashBuilder,
    /// Counts images: the segments of one image clear a market once.
    images: u64,
}

/// What stands beside `mc` in a message.
#[derive(Default)]
struct Message<'a> {
    op: &'a [u8],
    change_type: &'a [u8],
    segment: &'a [u8],
    time: Option<i64>,
    suspect: bool,
    markets: Option<Nested<'a>>,
}

impl Message<'_> {
    /// Whether it changes markets; refused if it is neither that nor known to make no points.
    fn is_data(&self, emit: &Emit<'_>) -> Result<bool, Undecodable> {
        if emit.envelope.is_control() {
            return Ok(false);
        }
        match self.op {
            b"mcm" => Ok(self.markets.is_some() && self.change_type != b"HEARTBEAT"),
            b"connection" | b"status" => Ok(false),
            b"" if self.markets.is_some() => Ok(true),
            _ => Err(Undecodable::UnknownShape),
        }
    }
}

impl Betfair {
    /// Writes the fields of `choice`.
    pub fn new(choice: &FieldChoice) -> Self {
        let plan = |measurement| FieldPlan::new(measurement, choice);
        Self {
            plans: Plans {
                stream: plan(&schema::BETFAIR_STREAM),
                market: plan(&schema::BETFAIR_MARKET),
                runner: plan(&schema::BETFAIR_RUNNER),
            },
            markets: Markets::default(),
            changes: Changes::default(),
            hasher: DefaultHashBuilder::default(),
            images: 0,
        }
    }

    /// One payload map of `entries` keys, `depth` containers open.
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
            match key {
                b"op" => message.op = read_text(cursor, depth)?,
                b"pt" => message.time = read_time(cursor, UNIT_NS, depth)?,
                b"ct" => message.change_type = read_text(cursor, depth)?,
                b"segmentType" => message.segment = read_text(cursor, depth)?,
                b"status" => message.suspect = read_id(cursor, depth)? == Some(503),
                b"mc" => message.markets = Some(Nested::at(cursor, left, depth)?),
                _ if key.first() == Some(&b'_') => emit.envelope.read(key, cursor)?,
                _ => cursor.skip(depth)?,
            }
        }
        let is_data = message.is_data(emit)?;
        if let Some(mut at) = message.markets {
            let at = at.cursor(cursor);
            if is_data {
                self.changes(at, &message, emit, depth)?;
            } else {
                at.skip(depth)?;
            }
        }
        Ok(if is_data && !emit.envelope.image { Shape::Data } else { Shape::Control })
    }

    /// The `mc` array.
    fn changes(
        &mut self,
        cursor: &mut Cursor<'_>,
        message: &Message<'_>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        if message.change_type == b"SUB_IMAGE" && matches!(message.segment, b"" | b"SEG_START") {
            self.images += 1;
        }
        for _ in 0..read_array(cursor, depth)?.unwrap_or(0) {
            self.market(cursor, message, emit, depth + 1)?;
        }
        Ok(())
    }

    /// One entry of `mc`.
    fn market(
        &mut self,
        cursor: &mut Cursor<'_>,
        message: &Message<'_>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        self.changes.clear();
        let (mut id, mut image, mut conflated): (&[u8], _, _) = (&[], false, false);
        let (mut total, mut definition) = (None, None);
        for _ in 0..read_map(cursor, depth)?.unwrap_or(0) {
            match cursor.key()? {
                b"id" => id = read_text(cursor, depth + 1)?,
                b"img" => image = is_true(cursor, depth + 1)?,
                b"con" => conflated = is_true(cursor, depth + 1)?,
                b"tv" => total = read_amount(cursor, &mut emit.fields, depth + 1)?,
                b"rc" => self.changes.read(cursor, &mut emit.fields, depth + 1)?,
                b"marketDefinition" => {
                    definition = Definition::read(cursor, &self.hasher, emit, depth + 1)?;
                }
                _ => cursor.skip(depth + 1)?,
            }
        }
        let of_image = message.change_type == b"SUB_IMAGE";
        let image = image || of_image || emit.envelope.first;
        let bit = |set: bool, flag: u8| if set { flag } else { 0 };
        // An id that no tag can hold is not kept either; its runners are bad points.
        let id = if id.len() > TAG_VALUE_BYTES_MAX { &[] } else { id };
        let update = Update {
            image,
            // Segments of one image, and a market that comes twice in it, go on filling it.
            image_run: of_image.then_some(self.images),
            repeated: emit.envelope.image,
            flags: bit(image, flag::IMAGE)
                | bit(message.suspect, flag::SUSPECT)
                | bit(conflated, flag::CONFLATED),
            at: VenueTime::new(message.time, UNIT_NS),
            total,
            definition,
        };
        let rules = Rules { plans: &self.plans, hasher: &self.hasher, depth: depth + 2 };
        self.markets.apply(id, update, &self.changes, rules, emit)
    }
}

fn is_true(cursor: &mut Cursor<'_>, depth: usize) -> Result<bool, Undecodable> {
    let mut value = *cursor;
    cursor.skip(depth)?;
    Ok(value.value()? == Value::Bool(true))
}
