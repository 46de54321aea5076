//! `kraken_orders`: WebSocket v2 `executions` messages or reports
//! (WIRE.md; <https://docs.kraken.com/api/docs/websocket-v2/executions>). One point a report. Nearly every key of one is
//! optional: what only tells how an order goes on names no pair, and its point has no tags of one.

use std::sync::Arc;

use tickline_config::model::FieldChoice;

use crate::counts::Undecodable;
use crate::cursor::Cursor;
use crate::emit::Emit;
use crate::field::Slot;
use crate::instruments::Instruments;
use crate::key::Key;
use crate::schema::{self, FieldType};
use crate::series::SeriesId;
use crate::venue::kraken_tick::snapshot_flag;
use crate::venue::record::{Form, Record, Values};
use crate::venue::tags::TagSeries;
use crate::venue::{Nested, Shape, read_array, read_map, read_text};

/// Kraken's times are µs; as a number they are seconds.
const REPORT: Form = Form {
    measurement: &schema::KRAKEN_ORDERS,
    renamed: &[
        ("last_price", "price"),
        ("last_qty", "amount"),
        ("cum_qty", "cum_amount"),
        ("liquidity_ind", "liquidity"),
        ("order_status", "status"),
        ("order_type", "type"),
    ],
    // The fee stands in the list `fees`, the pair in `symbol`.
    apart: &["account", "base", "exchange", "fee", "fee_asset", "pair", "quote"],
    time: Some(("timestamp", 1_000_000_000)),
    unit_ns: 1_000,
};

const BASE: usize = 1;
const PAIR: usize = 3;
const QUOTE: usize = 4;

const FEE: usize = 11;
const FEE_ASSET: usize = 12;

/// The decoder of Kraken executions.
#[derive(Debug)]
pub struct KrakenOrders {
    instruments: Arc<Instruments>,
    record: Record,
    /// By symbol as sent, side, status and type.
    series: TagSeries,
}

/// One report as far as it has been read.
#[derive(Default)]
struct Report<'a> {
    values: Values<'a>,
    symbol: Option<&'a [u8]>,
}

impl KrakenOrders {
    /// Writes the fields of `choice`, under `account`.
    pub fn new(choice: &FieldChoice, account: &str, instruments: Arc<Instruments>) -> Self {
        let given = [("account", account), ("exchange", "kraken")];
        Self { instruments, record: Record::new(REPORT, choice, &given), series: TagSeries::default() }
    }

    /// One payload map of `entries` keys.
    pub fn map<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        entries: u32,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Shape, Undecodable> {
        let mut report = Report::default();
        let mut channel: &[u8] = &[];
        let (mut data, mut nested, mut control, mut flags) = (false, None, false, 0);
        for left in (0..entries).rev() {
            let key = cursor.key()?;
            match key.text {
                b"channel" => channel = read_text(cursor, depth)?,
                b"type" => flags = snapshot_flag(read_text(cursor, depth)?),
                b"method" => {
                    control = true;
                    cursor.skip(depth)?;
                }
                b"data" => nested = Some(Nested::at(cursor, left, depth)?),
                _ if key.is_reserved() => emit.envelope.read(key.text, cursor)?,
                _ => self.report_key(key, cursor, &mut report, emit, depth)?,
            }
        }
        control |= emit.envelope.is_control() || matches!(channel, b"heartbeat" | b"status");
        if let Some(mut at) = nested {
            let at = at.cursor(cursor);
            data = match control {
                true => at.skip(depth).map(|()| false)?,
                false => self.data(at, channel, emit, flags, depth)?,
            };
        }
        if control {
            return Ok(Shape::Control);
        }
        if report.values.has_field {
            self.emit(&report, emit, flags);
            data = true;
        }
        if data { Ok(Shape::Data) } else { Err(Undecodable::UnknownShape) }
    }

    fn data<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        channel: &[u8],
        emit: &mut Emit<'_>,
        flags: u8,
        depth: usize,
    ) -> Result<bool, Undecodable> {
        if !matches!(channel, b"executions" | b"") {
            cursor.skip(depth)?;
            return Ok(false);
        }
        let Some(reports) = read_array(cursor, depth)? else { return Ok(false) };
        for _ in 0..reports {
            let Some(entries) = read_map(cursor, depth + 1)? else { return Err(Undecodable::UnknownShape) };
            let mut report = Report::default();
            for _ in 0..entries {
                let key = cursor.key()?;
                self.report_key(key, cursor, &mut report, emit, depth + 2)?;
            }
            self.emit(&report, emit, flags);
        }
        Ok(true)
    }

    fn report_key<'a>(
        &self,
        key: Key<'a>,
        cursor: &mut Cursor<'a>,
        report: &mut Report<'a>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        match key.text {
            b"symbol" => report.symbol = Some(read_text(cursor, depth)?),
            b"fees" => fees(cursor, &mut report.values, emit, depth)?,
            _ => self.record.read(key, cursor, &mut report.values, emit, depth)?,
        }
        Ok(())
    }

    fn emit(&mut self, report: &Report<'_>, emit: &mut Emit<'_>, flags: u8) {
        let Report { values, symbol } = report;
        let usable = symbol.is_none_or(|symbol| !symbol.is_empty());
        let mut tags = values.tags;
        tags[PAIR] = symbol.unwrap_or_default();
        let Self { instruments, record, series } = self;
        let series = match usable {
            true => record.series_by(&tags, series, |tags| intern(tags, instruments, emit)),
            false => None,
        };
        record.point(series, values, record.time(values), flags, emit);
    }
}

/// The series of tags of which that of the pair is the symbol as sent.
#[cold]
fn intern(
    tags: &[(&'static str, &[u8])],
    instruments: &Instruments,
    emit: &mut Emit<'_>,
) -> Option<SeriesId> {
    let mut tags = tags.to_vec();
    let symbol = std::str::from_utf8(tags.get(PAIR)?.1).ok()?;
    let (pair, known) = instruments.kraken(symbol);
    if !known && !symbol.is_empty() {
        emit.tally.rare().unknown_instrument += 1;
    }
    for (at, value) in [(BASE, &pair.base), (PAIR, &pair.pair), (QUOTE, &pair.quote)] {
        tags.get_mut(at)?.1 = value.as_bytes();
    }
    emit.series.intern(schema::KRAKEN_ORDERS.name, &tags)
}

/// `[{asset, qty} …]`: the first is the fee. Kraken takes one of a trade; what further ones say is counted as bad.
fn fees<'a>(
    cursor: &mut Cursor<'a>,
    values: &mut Values<'a>,
    emit: &mut Emit<'_>,
    depth: usize,
) -> Result<(), Undecodable> {
    for at in 0..read_array(cursor, depth)?.unwrap_or(0) {
        let keys = read_map(cursor, depth + 1)?;
        if at > 0 || keys.is_none() {
            emit.fields.bad += 1;
            cursor.skip_container(2 * u64::from(keys.unwrap_or(0)), depth + 1)?;
            continue;
        }
        for _ in 0..keys.unwrap_or(0) {
            let (slot, kind) = match cursor.key()?.text {
                b"qty" => (FEE, FieldType::Float),
                b"asset" => (FEE_ASSET, FieldType::String),
                _ => {
                    cursor.skip(depth + 2)?;
                    continue;
                }
            };
            let value = emit.fields.read(cursor, kind, depth + 2)?;
            values.fields.get_mut(slot).into_iter().for_each(|to: &mut Slot<'a>| *to = value);
        }
    }
    Ok(())
}
