//! rmp-serde into a struct that borrows, and the own line writer.

use anyhow::{Context, Result, ensure};
use tickline_feeds::time::parse_rfc3339;

use crate::line::LineWriter;
use crate::model::{FLAT_FIELDS, Flat, PAIR_FIELDS, Rest};
use crate::{Contender, Kind};

/// The contender.
#[derive(Debug)]
pub struct SerdeStruct {
    kind: Kind,
    writer: LineWriter,
}

impl SerdeStruct {
    /// No series known yet.
    pub fn new(kind: Kind) -> Self {
        Self { kind, writer: LineWriter::new(kind) }
    }
}

impl Contender for SerdeStruct {
    fn name(&self) -> &'static str {
        "rmp-serde into a struct + own writer"
    }

    fn decode(&mut self, payload: &[u8], recv: i64, out: &mut Vec<u8>) -> Result<()> {
        match self.kind {
            Kind::RestPair => {
                let rest: Rest<'_> = rmp_serde::from_slice(payload)?;
                write_rest(&mut self.writer, &rest, recv, out)
            }
            Kind::FlatPrice => {
                let flat: Flat<'_> = rmp_serde::from_slice(payload)?;
                write_flat(&mut self.writer, &flat, out)
            }
        }
    }
}

/// One line a pair.
pub fn write_rest(writer: &mut LineWriter, rest: &Rest<'_>, recv: i64, out: &mut Vec<u8>) -> Result<()> {
    ensure!(rest.error.is_empty(), "the venue says {:?}", rest.error);
    for (name, pair) in &rest.result {
        writer.series(name, out);
        LineWriter::fields(&PAIR_FIELDS, &pair.fields(), recv, out)?;
    }
    Ok(())
}

/// One line.
pub fn write_flat(writer: &mut LineWriter, flat: &Flat<'_>, out: &mut Vec<u8>) -> Result<()> {
    let time = parse_rfc3339(flat.time.as_bytes()).context("time")?;
    writer.series(flat.instrument, out);
    LineWriter::fields(&FLAT_FIELDS, &flat.fields(), time, out)
}
