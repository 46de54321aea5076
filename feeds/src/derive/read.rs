//! Quotes out of payloads: a Kraken ticker or trade, message or element, the top of a book, OANDA's PRICE and the synthetic
//! rate, also in bundles. Prices keep their digits, so decimals must have come as text. Controls have no quotes; what
//! happened to the source is told.

use crate::clock::WallNanos;
use crate::connect::kraken::Amount;
use crate::counts::Undecodable;
use crate::cursor::{Cursor, DEPTH_MAX, Value};
use crate::time::parse_rfc3339;

/// Best bid and ask of a symbol, or its last trade.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Quote<'a> {
    pub(super) symbol: &'a str,
    pub(super) bid: Option<Amount>,
    pub(super) ask: Option<Amount>,
    pub(super) bid_qty: Option<Amount>,
    pub(super) ask_qty: Option<Amount>,
    pub(super) last: Option<Amount>,
    /// What was traded at `last`; a ticker does not say it.
    pub(super) last_qty: Option<Amount>,
    /// Venue's time, ns since 1970.
    pub(super) time_ns: Option<i64>,
}

/// What happened to the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Happened<'a> {
    pub(super) kind: &'a str,
    pub(super) scope: &'a str,
    pub(super) detail: &'a str,
    pub(super) from: Option<WallNanos>,
    pub(super) to: Option<WallNanos>,
    pub(super) lost: Option<u64>,
}

/// What a payload told.
pub(super) enum Told<'a> {
    Quote(Quote<'a>),
    Happened(Happened<'a>),
}

/// Tells each quote of a payload, in its order, and each event.
pub(super) fn read<'a>(payload: &'a [u8], told: &mut dyn FnMut(Told<'a>)) -> Result<(), Undecodable> {
    let mut cursor = Cursor::new(payload);
    match cursor.value()? {
        Value::Map(keys) => map(&mut cursor, keys, 1, told),
        Value::Array(maps) => each(&mut cursor, maps, 1, told),
        _ => Err(Undecodable::NotAMap),
    }
}

fn each<'a>(
    cursor: &mut Cursor<'a>,
    maps: u32,
    depth: usize,
    told: &mut dyn FnMut(Told<'a>),
) -> Result<(), Undecodable> {
    if depth >= DEPTH_MAX {
        return Err(Undecodable::TooDeep);
    }
    for _ in 0..maps {
        match cursor.value()? {
            Value::Map(keys) => map(cursor, keys, depth + 1, told)?,
            Value::Array(items) => cursor.skip_container(u64::from(items), depth)?,
            _ => {}
        }
    }
    Ok(())
}

fn map<'a>(
    cursor: &mut Cursor<'a>,
    keys: u32,
    depth: usize,
    told: &mut dyn FnMut(Told<'a>),
) -> Result<(), Undecodable> {
    let (mut quote, mut happened) = (Quote::default(), Happened::default());
    for _ in 0..keys {
        let key = cursor.key()?.text;
        match (key, cursor.value()?) {
            (b"data", Value::Array(maps)) => each(cursor, maps, depth, told)?,
            (b"bids", Value::Array(levels)) => {
                (quote.bid, quote.bid_qty) = top(cursor, levels, depth, is_above)?
            }
            (b"asks", Value::Array(levels)) => {
                (quote.ask, quote.ask_qty) = top(cursor, levels, depth, is_below)?
            }
            (_, Value::Array(items)) => cursor.skip_container(u64::from(items), depth)?,
            (_, Value::Map(items)) => cursor.skip_container(2 * u64::from(items), depth)?,
            (b"symbol" | b"instrument" | b"instrument_t1", Value::Text(text)) => quote.symbol = utf8(text),
            (b"bid" | b"bid_t1", value) => quote.bid = amount(value),
            (b"ask" | b"ask_t1", value) => quote.ask = amount(value),
            (b"bid_qty", value) => quote.bid_qty = amount(value),
            (b"ask_qty", value) => quote.ask_qty = amount(value),
            (b"last" | b"price", value) => quote.last = amount(value),
            (b"qty", value) => quote.last_qty = amount(value),
            (b"timestamp" | b"time", Value::Text(text)) => quote.time_ns = parse_rfc3339(text),
            (b"_event", Value::Text(text)) => happened.kind = utf8(text),
            (b"scope", Value::Text(text)) => happened.scope = utf8(text),
            (b"detail", Value::Text(text)) => happened.detail = utf8(text),
            (b"from", Value::Int(ns)) => happened.from = Some(WallNanos(ns)),
            (b"to", Value::Int(ns)) => happened.to = Some(WallNanos(ns)),
            (b"lost", Value::Int(count)) => happened.lost = u64::try_from(count).ok(),
            _ => {}
        }
    }
    if !happened.kind.is_empty() {
        told(Told::Happened(happened));
    } else if !quote.symbol.is_empty() {
        told(Told::Quote(quote));
    }
    Ok(())
}

/// Price and quantity of the best of `levels`: the first pair of a book, which begins with it, or the price of OANDA's
/// buckets that `is_better` than the others.
fn top(
    cursor: &mut Cursor<'_>,
    levels: u32,
    depth: usize,
    is_better: fn(Amount, Amount) -> bool,
) -> Result<(Option<Amount>, Option<Amount>), Undecodable> {
    let mut best = (None, None);
    for at in 0..levels {
        match cursor.value()? {
            Value::Array(2) if at == 0 => best = (amount(cursor.value()?), amount(cursor.value()?)),
            Value::Array(items) => cursor.skip_container(u64::from(items), depth + 1)?,
            Value::Map(keys) => {
                let price = bucket(cursor, keys, depth + 1)?;
                if price.is_some_and(|price| best.0.is_none_or(|known| is_better(price, known))) {
                    best = (price, None);
                }
            }
            _ => {}
        }
    }
    Ok(best)
}

fn is_above(price: Amount, known: Amount) -> bool {
    price > known
}

fn is_below(price: Amount, known: Amount) -> bool {
    price < known
}

/// The price of one bucket.
fn bucket(cursor: &mut Cursor<'_>, keys: u32, depth: usize) -> Result<Option<Amount>, Undecodable> {
    let mut price = None;
    for _ in 0..keys {
        match (cursor.key()?.text, cursor.value()?) {
            (_, Value::Array(items)) => cursor.skip_container(u64::from(items), depth + 1)?,
            (_, Value::Map(items)) => cursor.skip_container(2 * u64::from(items), depth + 1)?,
            (b"price", value) => price = amount(value),
            _ => {}
        }
    }
    Ok(price)
}

/// A price or quantity above 0.
fn amount(value: Value<'_>) -> Option<Amount> {
    let Value::Text(text) = value else { return None };
    Amount::parse(utf8(text)).filter(|amount| !amount.is_zero())
}

fn utf8(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}
