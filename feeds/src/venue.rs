//! The venues: one file a decoder. Each reads a payload map in one pass and hands finished fields to
//! [`crate::emit::Emit`]; how a point becomes a line is not its business.

pub mod betfair;
pub mod custom;
pub mod definitions;
pub mod flat;
pub mod kraken_depth;
pub mod kraken_orders;
pub mod kraken_tick;
pub mod kraken_trades;
pub mod names;
pub mod oanda;
pub mod oanda_orders;
pub mod record;
pub mod tags;

use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::emit::Emit;
use crate::time;

/// What a payload map turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Market data.
    Data,
    /// No point by design: heartbeat, end, event, acknowledgement, repeated image.
    Control,
}

/// Where the container with the points stands in a payload map. It is read when every other key of the map is
/// known, since key order is free.
#[derive(Clone, Copy, Debug)]
pub enum Nested<'a> {
    /// Last, as the venues send it: the map's cursor is at it.
    Last,
    /// Further keys follow, so it was walked over; it starts here.
    Before(Cursor<'a>),
}

impl<'a> Nested<'a> {
    /// The container at `cursor`, in front of `keys_left` keys of its map.
    #[inline]
    pub fn at(cursor: &mut Cursor<'a>, keys_left: u32, depth: usize) -> Result<Self, Undecodable> {
        if keys_left == 0 {
            return Ok(Nested::Last);
        }
        let start = *cursor;
        cursor.skip(depth)?;
        Ok(Nested::Before(start))
    }

    /// The cursor that reads it; `cursor` is the map's.
    #[inline]
    pub fn cursor<'c>(&'c mut self, cursor: &'c mut Cursor<'a>) -> &'c mut Cursor<'a> {
        match self {
            Nested::Last => cursor,
            Nested::Before(start) => start,
        }
    }
}

/// A time as RFC 3339 text or a number of `unit_ns`; `None` where there is none that fits.
#[inline]
pub fn read_time(
    cursor: &mut Cursor<'_>,
    unit_ns: i64,
    emit: &mut Emit<'_>,
    depth: usize,
) -> Result<Option<i64>, Undecodable> {
    let mut after = *cursor;
    if let Some(text) = after.short_text()
        && let time @ Some(_) = emit.last_minute().parse(text)
    {
        *cursor = after;
        return Ok(time);
    }
    if let Some(number) = cursor.int() {
        return Ok(time::from_units(number, unit_ns));
    }
    let time;
    (time, *cursor) = read_any_time(*cursor, unit_ns, depth)?;
    Ok(time)
}

#[cold]
#[inline(never)]
fn read_any_time(
    mut cursor: Cursor<'_>,
    unit_ns: i64,
    depth: usize,
) -> Result<(Option<i64>, Cursor<'_>), Undecodable> {
    let time = match cursor.value()? {
        Value::Text(text) => time::parse_rfc3339(text).or_else(|| time::from_decimal(text, unit_ns)),
        Value::Int(number) => time::from_units(number, unit_ns),
        Value::Float(number) => time::from_float(number, unit_ns),
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
    Ok((time, cursor))
}

/// The next value as text, or empty where it is none.
#[inline]
pub fn read_text<'a>(cursor: &mut Cursor<'a>, depth: usize) -> Result<&'a [u8], Undecodable> {
    match cursor.short_text() {
        Some(text) => Ok(text),
        None => {
            let text;
            (text, *cursor) = read_other(*cursor, depth, |value| match value {
                Value::Text(text) => Some(text),
                _ => None,
            })?;
            Ok(text.unwrap_or_default())
        }
    }
}

/// The entries of the next value if it is an array; anything else is walked over.
#[inline]
pub fn read_array(cursor: &mut Cursor<'_>, depth: usize) -> Result<Option<u32>, Undecodable> {
    if let Some(entries) = cursor.short_array() {
        return Ok(Some(entries));
    }
    let entries;
    (entries, *cursor) = read_other(*cursor, depth, |value| match value {
        Value::Array(entries) => Some(entries),
        _ => None,
    })?;
    Ok(entries)
}

/// The entries of the next value if it is a map; anything else is walked over.
#[inline]
pub fn read_map(cursor: &mut Cursor<'_>, depth: usize) -> Result<Option<u32>, Undecodable> {
    if let Some(entries) = cursor.short_map() {
        return Ok(Some(entries));
    }
    let entries;
    (entries, *cursor) = read_other(*cursor, depth, |value| match value {
        Value::Map(entries) => Some(entries),
        _ => None,
    })?;
    Ok(entries)
}

/// What `wanted` says of the next value, and the cursor behind it; a container that is not wanted is walked over.
#[cold]
#[inline(never)]
fn read_other<'a, T>(
    mut cursor: Cursor<'a>,
    depth: usize,
    wanted: impl FnOnce(Value<'a>) -> Option<T>,
) -> Result<(Option<T>, Cursor<'a>), Undecodable> {
    let value = cursor.value()?;
    let found = wanted(value);
    match value {
        Value::Array(entries) if found.is_none() => cursor.skip_container(u64::from(entries), depth)?,
        Value::Map(entries) if found.is_none() => cursor.skip_container(2 * u64::from(entries), depth)?,
        _ => {}
    }
    Ok((found, cursor))
}
