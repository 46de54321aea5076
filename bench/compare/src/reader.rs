//! A lean decoder on the readers of the crate `rmp`: keys in any order, unknown ones walked over, decimals only as
//! text, checked and copied, integers only as integers, the series key kept a symbol.

use anyhow::{Context, Result, anyhow, bail};
use rmp::Marker;
use rmp::decode::{read_array_len, read_int, read_map_len, read_str_from_slice};
use tickline_feeds::time::parse_rfc3339;

use crate::line::LineWriter;
use crate::model::{FLAT_FIELDS, Field, PAIR_FIELDS};
use crate::{Contender, Kind};

/// The contender.
#[derive(Debug)]
pub struct Reader {
    kind: Kind,
    writer: LineWriter,
}

impl Reader {
    /// No series known yet.
    pub fn new(kind: Kind) -> Self {
        Self { kind, writer: LineWriter::new(kind) }
    }

    fn rest(&mut self, mut payload: &[u8], recv: i64, out: &mut Vec<u8>) -> Result<()> {
        let rd = &mut payload;
        for _ in 0..map(rd)? {
            match text(rd)? {
                "error" => {
                    if array(rd)? != 0 {
                        bail!("the venue says error");
                    }
                }
                "result" => {
                    for _ in 0..map(rd)? {
                        let name = text(rd)?;
                        let fields = pair(rd)?;
                        self.writer.series(name, out);
                        LineWriter::fields(&PAIR_FIELDS, &fields, recv, out)?;
                    }
                }
                _ => skip(rd)?,
            }
        }
        Ok(())
    }

    fn flat(&mut self, mut payload: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let rd = &mut payload;
        let mut fields = [Field::Int(0); 3];
        let (mut instrument, mut time) = ("", None);
        for _ in 0..map(rd)? {
            match text(rd)? {
                "instrument" => instrument = text(rd)?,
                "time" => time = parse_rfc3339(text(rd)?.as_bytes()),
                "bid" => fields[0] = Field::Decimal(text(rd)?),
                "ask" => fields[1] = Field::Decimal(text(rd)?),
                "volume" => fields[2] = Field::Int(int(rd)?),
                _ => skip(rd)?,
            }
        }
        self.writer.series(instrument, out);
        LineWriter::fields(&FLAT_FIELDS, &fields, time.context("time")?, out)
    }
}

impl Contender for Reader {
    fn name(&self) -> &'static str {
        "rmp readers, lean + own writer"
    }

    fn decode(&mut self, payload: &[u8], recv: i64, out: &mut Vec<u8>) -> Result<()> {
        match self.kind {
            Kind::RestPair => self.rest(payload, recv, out),
            Kind::FlatPrice => self.flat(payload, out),
        }
    }
}

/// A pair's fields in the order of [`PAIR_FIELDS`].
fn pair<'a>(rd: &mut &'a [u8]) -> Result<[Field<'a>; 17]> {
    let mut fields = [Field::Int(0); 17];
    for _ in 0..map(rd)? {
        let (first, second) = match text(rd)? {
            key @ ("a" | "b") => {
                let at = if key == "b" { 0 } else { 2 };
                let items = array(rd)?;
                for item in 0..items {
                    let value = Field::Decimal(text(rd)?);
                    match item {
                        0 => fields[at] = value,
                        _ => fields[at + 1] = value,
                    }
                }
                continue;
            }
            "t" => {
                for _ in 0..array(rd)? {
                    let value = Field::Int(int(rd)?);
                    fields.copy_within(10..11, 11);
                    fields[10] = value;
                }
                continue;
            }
            "o" => {
                fields[16] = Field::Decimal(text(rd)?);
                continue;
            }
            "c" => (4, 7),
            "v" => (8, 5),
            "p" => (9, 6),
            "l" => (13, 12),
            "h" => (15, 14),
            _ => {
                skip(rd)?;
                continue;
            }
        };
        for item in 0..array(rd)? {
            fields[if item == 0 { first } else { second }] = Field::Decimal(text(rd)?);
        }
    }
    Ok(fields)
}

fn map(rd: &mut &[u8]) -> Result<u32> {
    read_map_len(rd).map_err(|error| anyhow!("map: {error}"))
}

fn array(rd: &mut &[u8]) -> Result<u32> {
    read_array_len(rd).map_err(|error| anyhow!("array: {error}"))
}

fn int(rd: &mut &[u8]) -> Result<i64> {
    read_int(rd).map_err(|error| anyhow!("integer: {error}"))
}

fn text<'a>(rd: &mut &'a [u8]) -> Result<&'a str> {
    let (text, rest) = read_str_from_slice(*rd).map_err(|error| anyhow!("text: {error}"))?;
    *rd = rest;
    Ok(text)
}

/// Walks over a scalar or a text; these messages have no other unknown values.
fn skip(rd: &mut &[u8]) -> Result<()> {
    match rd.first().map(|byte| Marker::from_u8(*byte)) {
        Some(Marker::FixStr(_) | Marker::Str8 | Marker::Str16) => text(rd).map(drop),
        Some(Marker::True | Marker::False | Marker::Null) => {
            *rd = &rd[1..];
            Ok(())
        }
        _ => int(rd).map(drop),
    }
}
