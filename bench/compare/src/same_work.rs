//! Exactly tickline's work with the `rmp` readers in place of its cursor: the same slots, checks, series, tie-break
//! and line writer of feeds; any order of keys, and text, float or integer for every decimal. What differs is the
//! reading alone.

use anyhow::{Context, Result, anyhow, bail, ensure};
use rmp::Marker;
use rmp::decode::{RmpRead, read_array_len, read_map_len, read_str_from_slice};
use tickline_bench::shapes::Shape;
use tickline_config::KRAKEN_CSV;
use tickline_config::model::{SystemFields, Tiebreak};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::cursor::Value;
use tickline_feeds::emit::{Emit, Settings, VenueTime, flag};
use tickline_feeds::field::{FieldPlan, Slot};
use tickline_feeds::instruments::Instruments;
use tickline_feeds::quote::is_crossed;
use tickline_feeds::schema;
use tickline_feeds::scratch::Scratch;
use tickline_feeds::series::{SeriesId, SeriesTable};
use tickline_feeds::time::parse_rfc3339;
use tickline_feeds::venue::names::Names;

use crate::{Contender, Kind};

const KRAKEN_UNIT_NS: i64 = 1_000;
const OANDA_UNIT_NS: i64 = 1;
/// Fields of `kraken_tick`, and a place for what is not stored.
const TICKER_SLOTS: usize = 20;
const NOWHERE: usize = 19;

/// The contender.
#[derive(Debug)]
pub struct SameWork {
    kind: Kind,
    plan: FieldPlan,
    scratch: Scratch,
    series: SeriesTable,
    names: Names<SeriesId>,
    instruments: Instruments,
    settings: Settings,
    maps: u64,
}

impl SameWork {
    /// A decoder of the fields that `shape` writes.
    pub fn new(shape: &Shape, kind: Kind) -> Self {
        let measurement = if kind == Kind::RestPair { schema::KRAKEN_TICK } else { schema::OANDA_TICK };
        Self {
            kind,
            plan: FieldPlan::new(&measurement, &shape.fields),
            scratch: Scratch::default(),
            series: SeriesTable::new(200_000),
            names: Names::default(),
            instruments: Instruments::from_csv(KRAKEN_CSV).expect("the shipped table is read"),
            settings: Settings {
                system: SystemFields { recv_ns: false, flags: false, seq: false },
                tiebreak: Tiebreak::Ordinal,
                fields_listed: false,
            },
            maps: 0,
        }
    }
}

impl Contender for SameWork {
    fn name(&self) -> &'static str {
        "the same work on the rmp readers"
    }

    fn decode(&mut self, mut payload: &[u8], recv: i64, out: &mut Vec<u8>) -> Result<()> {
        let Self { kind, plan, scratch, series, names, instruments, settings, maps } = self;
        let mut emit = Emit::new(scratch, series, *settings, WallNanos(recv), *maps);
        emit.begin_map();
        let rd = &mut payload;
        match kind {
            Kind::RestPair => rest(rd, &mut emit, plan, names, instruments)?,
            Kind::FlatPrice => flat(rd, &mut emit, plan, names)?,
        }
        ensure!(rd.is_empty(), "bytes behind the payload");
        *maps = emit.map();
        out.extend_from_slice(scratch.lines());
        Ok(())
    }
}

fn rest(
    rd: &mut &[u8],
    emit: &mut Emit<'_>,
    plan: &FieldPlan,
    names: &mut Names<SeriesId>,
    instruments: &Instruments,
) -> Result<()> {
    for _ in 0..map(rd)? {
        match text(rd)? {
            "error" => ensure!(array(rd)? == 0, "the venue says error"),
            "result" => {
                for _ in 0..map(rd)? {
                    let name = text(rd)?;
                    let slots = pair(rd, emit)?;
                    let flags = if is_crossed(&slots[0], &slots[2]) { flag::CROSSED } else { 0 };
                    let series = names.get(name.as_bytes(), |name| {
                        let pair = instruments.kraken(name).0;
                        let tags: [(&str, &[u8]); 4] = [
                            ("base", pair.base.as_bytes()),
                            ("exchange", b"kraken"),
                            ("pair", pair.pair.as_bytes()),
                            ("quote", pair.quote.as_bytes()),
                        ];
                        emit.series.intern(schema::KRAKEN_TICK.name, &tags)
                    });
                    let series = series.map(|id| *id);
                    emit.point(series, plan, &slots, VenueTime::new(None, KRAKEN_UNIT_NS), flags);
                }
            }
            _ => skip(rd)?,
        }
    }
    Ok(())
}

/// A pair's slots in the order of the schema.
fn pair<'a>(rd: &mut &'a [u8], emit: &mut Emit<'_>) -> Result<[Slot<'a>; TICKER_SLOTS]> {
    let mut slots = [Slot::Empty; TICKER_SLOTS];
    for _ in 0..map(rd)? {
        let key = text(rd)?;
        let places = match key {
            "a" => [2, NOWHERE, 3],
            "b" => [0, NOWHERE, 1],
            "c" => [4, 7, NOWHERE],
            "v" => [8, 5, NOWHERE],
            "p" => [9, 6, NOWHERE],
            "t" => [11, 10, NOWHERE],
            "l" => [13, 12, NOWHERE],
            "h" => [15, 14, NOWHERE],
            "o" => {
                slots[16] = emit.fields.float(scalar(rd)?);
                continue;
            }
            _ => {
                skip(rd)?;
                continue;
            }
        };
        for item in 0..array(rd)? as usize {
            let place = places.get(item).copied().unwrap_or(NOWHERE);
            match (place, key) {
                (NOWHERE, _) => skip(rd)?,
                (_, "t") => slots[place] = emit.fields.integer(scalar(rd)?),
                _ => slots[place] = emit.fields.float(scalar(rd)?),
            }
        }
    }
    Ok(slots)
}

fn flat(rd: &mut &[u8], emit: &mut Emit<'_>, plan: &FieldPlan, names: &mut Names<SeriesId>) -> Result<()> {
    let mut slots = [Slot::Empty; 9];
    let (mut instrument, mut time) = ("", None);
    for _ in 0..map(rd)? {
        match text(rd)? {
            "instrument" => instrument = text(rd)?,
            "time" => time = parse_rfc3339(text(rd)?.as_bytes()),
            "bid" => slots[0] = emit.fields.float(scalar(rd)?),
            "ask" => slots[1] = emit.fields.float(scalar(rd)?),
            "volume" => slots[8] = emit.fields.integer(scalar(rd)?),
            _ => skip(rd)?,
        }
    }
    let flags = if is_crossed(&slots[0], &slots[1]) { flag::CROSSED } else { 0 };
    let series = names.get(instrument.as_bytes(), |name| {
        let (base, quote) = name.split_once('_').unwrap_or_default();
        let tags: [(&str, &[u8]); 4] = [
            ("base", base.as_bytes()),
            ("exchange", b"oanda"),
            ("instrument", name.as_bytes()),
            ("quote", quote.as_bytes()),
        ];
        emit.series.intern(schema::OANDA_TICK.name, &tags)
    });
    let series = series.map(|id| *id);
    emit.point(series, plan, &slots, VenueTime::new(Some(time.context("time")?), OANDA_UNIT_NS), flags);
    Ok(())
}

fn map(rd: &mut &[u8]) -> Result<u32> {
    read_map_len(rd).map_err(|error| anyhow!("map: {error}"))
}

fn array(rd: &mut &[u8]) -> Result<u32> {
    read_array_len(rd).map_err(|error| anyhow!("array: {error}"))
}

fn text<'a>(rd: &mut &'a [u8]) -> Result<&'a str> {
    let (text, rest) = read_str_from_slice(*rd).map_err(|error| anyhow!("text: {error}"))?;
    *rd = rest;
    Ok(text)
}

/// A value that is no container, by its marker.
fn scalar<'a>(rd: &mut &'a [u8]) -> Result<Value<'a>> {
    let marker = rd.first().map(|byte| Marker::from_u8(*byte)).context("a value")?;
    if matches!(marker, Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32) {
        return Ok(Value::Text(text(rd)?.as_bytes()));
    }
    rd.read_u8()?;
    Ok(match marker {
        Marker::FixPos(number) => Value::Int(i64::from(number)),
        Marker::FixNeg(number) => Value::Int(i64::from(number)),
        Marker::U8 => Value::Int(i64::from(rd.read_data_u8()?)),
        Marker::U16 => Value::Int(i64::from(rd.read_data_u16()?)),
        Marker::U32 => Value::Int(i64::from(rd.read_data_u32()?)),
        Marker::U64 => {
            let number = rd.read_data_u64()?;
            i64::try_from(number).map_or(Value::Big(number), Value::Int)
        }
        Marker::I8 => Value::Int(i64::from(rd.read_data_i8()?)),
        Marker::I16 => Value::Int(i64::from(rd.read_data_i16()?)),
        Marker::I32 => Value::Int(i64::from(rd.read_data_i32()?)),
        Marker::I64 => Value::Int(rd.read_data_i64()?),
        Marker::F32 => Value::Float(f64::from(rd.read_data_f32()?)),
        Marker::F64 => Value::Float(rd.read_data_f64()?),
        Marker::True => Value::Bool(true),
        Marker::False => Value::Bool(false),
        Marker::Null => Value::Nil,
        other => bail!("must be a scalar, found {other:?}"),
    })
}

/// Walks over a scalar; these messages have no unknown containers.
fn skip(rd: &mut &[u8]) -> Result<()> {
    scalar(rd).map(drop)
}
