//! `marketDefinition`: what a market and its runners are, as points `betfair_market` and `betfair_runner`.

use std::hash::BuildHasher;

use super::amount::Amount;
use super::change::read_id;
use crate::counts::Undecodable;
use crate::cursor::Cursor;
use crate::emit::Emit;
use crate::field::Slot;
use crate::schema::FieldType;
use crate::venue::{read_array, read_map, read_text, read_time};

const STATUS: usize = 0;
const IN_PLAY: usize = 2;
const MARKET_TIME: usize = 7;
const SUSPEND_TIME: usize = 8;
const LADDER: usize = 14;
/// Position of `total_matched`, which comes from the market change and not from its definition.
pub(super) const TOTAL_MATCHED: usize = 13;
/// Fields of `betfair_market`.
pub(super) const MARKET_FIELDS: usize = 16;
/// Fields of `betfair_runner`.
pub(super) const RUNNER_FIELDS: usize = 6;

/// One market definition, borrowed from its payload.
#[derive(Debug)]
pub(super) struct Definition<'a> {
    /// The fields of `betfair_market`.
    pub(super) slots: [Slot<'a>; MARKET_FIELDS],
    pub(super) status: &'a [u8],
    pub(super) in_play: Option<bool>,
    pub(super) event_id: &'a [u8],
    pub(super) event_type: &'a [u8],
    pub(super) market_type: &'a [u8],
    /// LINE and RANGE markets have level ladders only.
    pub(super) level_ladders_only: bool,
    /// Tells a definition that changed from one that is sent again.
    pub(super) hash: u64,
    /// The `runners` array.
    pub(super) runners: Option<Cursor<'a>>,
}

/// One runner of a definition.
#[derive(Debug)]
pub(super) struct RunnerDefinition<'a> {
    pub(super) selection: Option<i64>,
    pub(super) handicap: Option<Amount>,
    /// The fields of `betfair_runner`.
    pub(super) slots: [Slot<'a>; RUNNER_FIELDS],
    pub(super) hash: u64,
}

/// Field and type of a definition's key.
fn market_field(key: &[u8]) -> Option<(usize, FieldType)> {
    use FieldType::{Boolean, Integer, String};
    Some(match key {
        b"status" => (STATUS, String),
        b"betDelay" => (1, Integer),
        b"inPlay" => (IN_PLAY, Boolean),
        b"complete" => (3, Boolean),
        b"bspReconciled" => (4, Boolean),
        b"numberOfWinners" => (5, Integer),
        b"numberOfActiveRunners" => (6, Integer),
        b"countryCode" => (9, String),
        b"venue" => (10, String),
        b"version" => (11, Integer),
        b"bettingType" => (12, String),
        b"name" => (15, String),
        _ => return None,
    })
}

impl<'a> Definition<'a> {
    /// Reads the definition at `cursor`; `None` if it is no map.
    pub(super) fn read(
        cursor: &mut Cursor<'a>,
        hasher: &impl BuildHasher,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Option<Self>, Undecodable> {
        let start = *cursor;
        let Some(keys) = read_map(cursor, depth)? else { return Ok(None) };
        let mut definition = Self {
            slots: [Slot::Empty; MARKET_FIELDS],
            status: &[],
            in_play: None,
            event_id: &[],
            event_type: &[],
            market_type: &[],
            level_ladders_only: false,
            hash: 0,
            runners: None,
        };
        for _ in 0..keys {
            let key = cursor.key()?.text;
            definition.key(key, cursor, emit, depth + 1)?;
        }
        if let [Slot::Text(status), ..] = definition.slots {
            definition.status = status;
        }
        if let [_, _, Slot::Bool(in_play), ..] = definition.slots {
            definition.in_play = Some(in_play);
        }
        definition.hash = hasher.hash_one(start.passed(cursor));
        Ok(Some(definition))
    }

    fn key(
        &mut self,
        key: &[u8],
        cursor: &mut Cursor<'a>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        match key {
            b"eventId" => self.event_id = read_text(cursor, depth)?,
            b"eventTypeId" => self.event_type = read_text(cursor, depth)?,
            b"marketType" => self.market_type = read_text(cursor, depth)?,
            b"marketTime" => self.slots[MARKET_TIME] = read_stamp(cursor, emit, depth)?,
            b"suspendTime" => self.slots[SUSPEND_TIME] = read_stamp(cursor, emit, depth)?,
            b"priceLadderDefinition" => {
                for _ in 0..read_map(cursor, depth)?.unwrap_or(0) {
                    match cursor.key()?.text {
                        b"type" => {
                            self.slots[LADDER] = emit.fields.read(cursor, FieldType::String, depth + 1)?;
                        }
                        _ => cursor.skip(depth + 1)?,
                    }
                }
            }
            b"runners" => {
                self.runners = Some(*cursor);
                cursor.skip(depth)?;
            }
            _ => match market_field(key) {
                Some((slot, kind)) => {
                    let value = emit.fields.read(cursor, kind, depth)?;
                    if key == b"bettingType" {
                        self.level_ladders_only = matches!(value, Slot::Text(b"LINE" | b"RANGE"));
                    }
                    self.slots.get_mut(slot).into_iter().for_each(|to| *to = value);
                }
                None => cursor.skip(depth)?,
            },
        }
        Ok(())
    }

    /// Calls `each` with every runner.
    pub(super) fn each_runner(
        &self,
        hasher: &impl BuildHasher,
        emit: &mut Emit<'_>,
        depth: usize,
        mut each: impl FnMut(RunnerDefinition<'a>, &mut Emit<'_>),
    ) -> Result<(), Undecodable> {
        let Some(mut cursor) = self.runners else { return Ok(()) };
        for _ in 0..read_array(&mut cursor, depth)?.unwrap_or(0) {
            let start = cursor;
            let mut runner = RunnerDefinition {
                selection: None,
                handicap: None,
                slots: [Slot::Empty; RUNNER_FIELDS],
                hash: 0,
            };
            for _ in 0..read_map(&mut cursor, depth + 1)?.unwrap_or(0) {
                runner.key(&mut cursor, emit, depth + 2)?;
            }
            runner.hash = hasher.hash_one(start.passed(&cursor));
            each(runner, emit);
        }
        Ok(())
    }
}

impl<'a> RunnerDefinition<'a> {
    fn key(&mut self, cursor: &mut Cursor<'a>, emit: &mut Emit<'_>, depth: usize) -> Result<(), Undecodable> {
        let (slot, kind) = match cursor.key()?.text {
            b"id" => {
                self.selection = read_id(cursor, depth)?;
                return Ok(());
            }
            b"hc" => {
                self.handicap = Amount::read(cursor, &mut emit.fields, depth)?;
                return Ok(());
            }
            b"removalDate" => {
                self.slots[4] = read_stamp(cursor, emit, depth)?;
                return Ok(());
            }
            b"status" => (0, FieldType::String),
            b"sortPriority" => (1, FieldType::Integer),
            b"adjustmentFactor" => (2, FieldType::Float),
            b"bsp" => (3, FieldType::Float),
            b"name" => (5, FieldType::String),
            _ => return cursor.skip(depth),
        };
        let value = emit.fields.read(cursor, kind, depth)?;
        self.slots.get_mut(slot).into_iter().for_each(|to| *to = value);
        Ok(())
    }
}

/// A time as ns in an integer field.
fn read_stamp<'a>(
    cursor: &mut Cursor<'_>,
    emit: &mut Emit<'_>,
    depth: usize,
) -> Result<Slot<'a>, Undecodable> {
    Ok(read_time(cursor, 1_000_000, emit, depth)?.map_or(Slot::Empty, Slot::Int))
}

/// `total_matched` of a market point.
pub(super) fn with_total<'a>(
    mut slots: [Slot<'a>; MARKET_FIELDS],
    total: Option<Amount>,
) -> [Slot<'a>; MARKET_FIELDS] {
    if let Some(total) = total {
        total.store(&mut slots[TOTAL_MATCHED]);
    }
    slots
}
