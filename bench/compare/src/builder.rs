//! rmp-serde into a struct, and the builder of the crate influxdb-line-protocol, which takes floats as numbers.

use anyhow::{Context, Result};
use influxdb_line_protocol::LineProtocolBuilder;
use tickline_feeds::time::parse_rfc3339;

use crate::model::{FLAT_FIELDS, Field, Flat, Names, PAIR_FIELDS, Rest, series_of};
use crate::{Contender, Kind};

/// The contender.
#[derive(Debug)]
pub struct Builder {
    kind: Kind,
    names: Names,
}

impl Builder {
    /// No name known yet.
    pub fn new(kind: Kind) -> Self {
        Self { kind, names: Names::new(kind) }
    }

    fn line(
        &mut self,
        name: &str,
        names: &[&str],
        fields: &[Field<'_>],
        time: i64,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let tags = self.names.tags(name);
        let (measurement, tag, exchange) = series_of(self.kind);
        let line = LineProtocolBuilder::new_with(std::mem::take(out))
            .measurement(measurement)
            .tag("base", &tags.base)
            .tag("exchange", exchange)
            .tag(tag, &tags.name)
            .tag("quote", &tags.quote);
        let mut pairs = names.iter().zip(fields);
        let (first, value) = pairs.next().context("a line has a field")?;
        let mut line = match value {
            Field::Decimal(text) => line.field(first, text.parse::<f64>()?),
            Field::Int(number) => line.field(first, *number),
        };
        for (name, field) in pairs {
            line = match field {
                Field::Decimal(text) => line.field(name, text.parse::<f64>()?),
                Field::Int(number) => line.field(name, *number),
            };
        }
        *out = line.timestamp(time).close_line().build();
        Ok(())
    }
}

impl Contender for Builder {
    fn name(&self) -> &'static str {
        "rmp-serde + influxdb-line-protocol builder"
    }

    fn decode(&mut self, payload: &[u8], recv: i64, out: &mut Vec<u8>) -> Result<()> {
        match self.kind {
            Kind::RestPair => {
                let rest: Rest<'_> = rmp_serde::from_slice(payload)?;
                for (name, pair) in &rest.result {
                    self.line(name, &PAIR_FIELDS, &pair.fields(), recv, out)?;
                }
                Ok(())
            }
            Kind::FlatPrice => {
                let flat: Flat<'_> = rmp_serde::from_slice(payload)?;
                let time = parse_rfc3339(flat.time.as_bytes()).context("time")?;
                self.line(flat.instrument, &FLAT_FIELDS, &flat.fields(), time, out)
            }
        }
    }
}
