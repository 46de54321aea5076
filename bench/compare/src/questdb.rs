//! rmp-serde into a struct, and the row buffer of questdb-rs, which takes floats as numbers.

use anyhow::{Context, Result};
use questdb::ingress::{Buffer, ProtocolVersion, TimestampNanos};
use tickline_feeds::time::parse_rfc3339;

use crate::model::{FLAT_FIELDS, Field, Flat, Names, PAIR_FIELDS, Rest, series_of};
use crate::{Contender, Kind};

/// The contender.
#[derive(Debug)]
pub struct Questdb {
    kind: Kind,
    names: Names,
    buffer: Buffer,
}

impl Questdb {
    /// An empty buffer.
    pub fn new(kind: Kind) -> Self {
        Self { kind, names: Names::new(kind), buffer: Buffer::new(ProtocolVersion::V1) }
    }

    fn row(&mut self, name: &str, names: &[&str], fields: &[Field<'_>], time: i64) -> Result<()> {
        let tags = self.names.tags(name);
        let (measurement, tag, exchange) = series_of(self.kind);
        self.buffer
            .table(measurement)?
            .symbol("base", &tags.base)?
            .symbol("exchange", exchange)?
            .symbol(tag, &tags.name)?
            .symbol("quote", &tags.quote)?;
        for (name, field) in names.iter().zip(fields) {
            match field {
                Field::Decimal(text) => self.buffer.column_f64(*name, text.parse()?)?,
                Field::Int(number) => self.buffer.column_i64(*name, *number)?,
            };
        }
        self.buffer.at(TimestampNanos::new(time))?;
        Ok(())
    }
}

impl Contender for Questdb {
    fn name(&self) -> &'static str {
        "rmp-serde + questdb-rs buffer"
    }

    fn own_buffer(&self) -> Option<&[u8]> {
        Some(self.buffer.as_bytes())
    }

    fn decode(&mut self, payload: &[u8], recv: i64, _out: &mut Vec<u8>) -> Result<()> {
        self.buffer.clear();
        match self.kind {
            Kind::RestPair => {
                let rest: Rest<'_> = rmp_serde::from_slice(payload)?;
                for (name, pair) in &rest.result {
                    self.row(name, &PAIR_FIELDS, &pair.fields(), recv)?;
                }
            }
            Kind::FlatPrice => {
                let flat: Flat<'_> = rmp_serde::from_slice(payload)?;
                let time = parse_rfc3339(flat.time.as_bytes()).context("time")?;
                self.row(flat.instrument, &FLAT_FIELDS, &flat.fields(), time)?;
            }
        }
        Ok(())
    }
}
