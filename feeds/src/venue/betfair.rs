//! `betfair_stream`: market changes as the Exchange Stream sends them (WIRE.md; reference: Betfair's Exchange
//! Stream API). Ladders are kept per market, selection and handicap; a point carries all that is known of its
//! runner. A message is read whole before anything is applied, so that a broken one changes no ladder.

use hashbrown::DefaultHashBuilder;
use tickline_config::model::FieldChoice;

use crate::counts::Undecodable;
use crate::cursor::Cursor;
use crate::emit::{Emit, VenueTime, flag};
use crate::field::{FieldCounts, FieldPlan};
use crate::key::word;
use crate::schema;
use crate::series::TAG_VALUE_BYTES_MAX;
use crate::venue::{Nested, Shape, read_array, read_map, read_text, read_time};

mod amount;
mod change;
mod closed;
mod definition;
pub(crate) mod image;
mod ladder;
mod market;
pub mod orders;
mod runner;

use amount::Amount;
use change::{Changes, read_id};
use definition::Definition;
use market::{Markets, Rules, Update};

const KEY_OP: u64 = word("op");
const KEY_PT: u64 = word("pt");
const KEY_CT: u64 = word("ct");
const KEY_STATUS: u64 = word("status");
const KEY_MC: u64 = word("mc");
const KEY_ID: u64 = word("id");
const KEY_IMG: u64 = word("img");
const KEY_CON: u64 = word("con");
const KEY_TV: u64 = word("tv");
const KEY_RC: u64 = word("rc");

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
        // A change that was sent before says nothing of the ladders as they are now.
        if emit.envelope.is_control() || emit.envelope.resend {
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
        let plan = |measurement, at| FieldPlan::new(measurement, choice).at(at);
        Self {
            plans: Plans {
                stream: plan(&schema::BETFAIR_STREAM, 0),
                market: plan(&schema::BETFAIR_MARKET, 1),
                runner: plan(&schema::BETFAIR_RUNNER, 2),
            },
            markets: Markets::default(),
            changes: Changes::default(),
            hasher: DefaultHashBuilder::default(),
            images: 0,
        }
    }

    /// One payload map of `entries` keys inside `payload`, `depth` containers open. The payload has been checked
    /// unless the map is all of it.
    pub fn map<'a>(
        &mut self,
        payload: &'a [u8],
        cursor: &mut Cursor<'a>,
        entries: u32,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Shape, Undecodable> {
        let mut message = Message::default();
        let mut at = *cursor;
        for left in (0..entries).rev() {
            let key = at.key()?;
            match key.word {
                KEY_OP => message.op = read_text(&mut at, depth)?,
                KEY_PT => message.time = read_time(&mut at, UNIT_NS, emit, depth)?,
                KEY_CT => message.change_type = read_text(&mut at, depth)?,
                _ if key.text == b"segmentType" => message.segment = read_text(&mut at, depth)?,
                KEY_STATUS => message.suspect = read_id(&mut at, depth)? == Some(503),
                KEY_MC => message.markets = Some(Nested::at(&mut at, left, depth)?),
                _ if key.is_reserved() => {
                    let mut after = at;
                    emit.envelope.read(key.text, &mut after)?;
                    at = after;
                }
                _ => at.skip(depth)?,
            }
        }
        *cursor = at;
        let is_data = message.is_data(emit);
        self.changes.clear();
        if let Some(mut at) = message.markets {
            let at = at.cursor(cursor);
            if is_data == Ok(true) {
                read_markets(&mut self.changes, payload, at, &mut emit.fields, depth)?;
            } else {
                at.skip(depth)?;
            }
        }
        if depth == 1 && cursor.left() > 0 {
            return Err(Undecodable::Malformed);
        }
        if !is_data? {
            return Ok(Shape::Control);
        }
        self.apply(payload, &message, emit, depth + 1)?;
        Ok(if emit.envelope.image { Shape::Control } else { Shape::Data })
    }

    /// Applies what was read of the markets, `depth` containers open around each.
    fn apply(
        &mut self,
        payload: &[u8],
        message: &Message<'_>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let of_image = message.change_type == b"SUB_IMAGE";
        if of_image && matches!(message.segment, b"" | b"SEG_START") {
            self.images += 1;
        }
        let bit = |set: bool, flag: u8| if set { flag } else { 0 };
        let rules = Rules { plans: &self.plans, hasher: &self.hasher, depth: depth + 2 };
        for (at, market) in self.changes.markets.iter().enumerate() {
            let definition = match market.definition.and_then(|start| payload.get(start..)) {
                Some(text) => Definition::read(&mut Cursor::new(text), &self.hasher, emit, depth + 1)?,
                None => None,
            };
            let image = market.image || of_image || emit.envelope.first;
            let update = Update {
                image,
                // Segments of one image, and a market that comes twice in it, go on filling it.
                image_run: of_image.then_some(self.images),
                repeated: emit.envelope.image,
                flags: bit(image, flag::IMAGE)
                    | bit(message.suspect, flag::SUSPECT)
                    | bit(market.conflated, flag::CONFLATED),
                at: VenueTime::new(message.time, UNIT_NS),
                total: market.total,
                definition,
            };
            // An id that no tag can hold is not kept either; its runners are bad points.
            let id = payload.get(market.id.clone()).filter(|id| id.len() <= TAG_VALUE_BYTES_MAX);
            let id = id.unwrap_or_default();
            self.markets.apply(id, update, self.changes.of(at), rules, emit)?;
        }
        Ok(())
    }
}

/// Reads the `mc` array.
#[inline]
fn read_markets(
    changes: &mut Changes,
    payload: &[u8],
    cursor: &mut Cursor<'_>,
    fields: &mut FieldCounts,
    depth: usize,
) -> Result<(), Undecodable> {
    let place = |cursor: &Cursor<'_>| payload.len() - cursor.left();
    let mut at = *cursor;
    for _ in 0..read_array(&mut at, depth)?.unwrap_or(0) {
        let mut market = changes.begin();
        for _ in 0..read_map(&mut at, depth + 1)?.unwrap_or(0) {
            let key = at.key()?;
            match key.word {
                KEY_ID => {
                    let bytes = read_text(&mut at, depth + 2)?.len();
                    market.id = place(&at) - bytes..place(&at);
                }
                KEY_IMG => market.image = is_true(&mut at, depth + 2)?,
                KEY_CON => market.conflated = is_true(&mut at, depth + 2)?,
                KEY_TV => market.total = Amount::read(&mut at, fields, depth + 2)?,
                KEY_RC => {
                    let mut after = at;
                    changes.read(&mut after, fields, depth + 2)?;
                    at = after;
                }
                _ if key.text == b"marketDefinition" => {
                    market.definition = Some(place(&at));
                    at.skip(depth + 2)?;
                }
                _ => at.skip(depth + 2)?,
            }
        }
        changes.markets.push(market);
    }
    *cursor = at;
    Ok(())
}

#[inline]
fn is_true(cursor: &mut Cursor<'_>, depth: usize) -> Result<bool, Undecodable> {
    if let Some(flag) = cursor.boolean() {
        return Ok(flag);
    }
    cursor.skip(depth)?;
    Ok(false)
}

#[cfg(test)]
mod tests;
