//! The same messages as JSON text, read by serde_json into the same structs, and the own line writer.

use anyhow::{Result, bail};
use rmpv::Value;

use crate::line::LineWriter;
use crate::model::{Flat, Rest};
use crate::serde_struct::{write_flat, write_rest};
use crate::{Contender, Kind};

/// The contender.
#[derive(Debug)]
pub struct Json {
    kind: Kind,
    writer: LineWriter,
}

impl Json {
    /// No series known yet.
    pub fn new(kind: Kind) -> Self {
        Self { kind, writer: LineWriter::new(kind) }
    }
}

impl Contender for Json {
    fn name(&self) -> &'static str {
        "JSON form: serde_json into a struct + own writer"
    }

    fn reads_json(&self) -> bool {
        true
    }

    fn decode(&mut self, payload: &[u8], recv: i64, out: &mut Vec<u8>) -> Result<()> {
        match self.kind {
            Kind::RestPair => {
                let rest: Rest<'_> = serde_json::from_slice(payload)?;
                write_rest(&mut self.writer, &rest, recv, out)
            }
            Kind::FlatPrice => {
                let flat: Flat<'_> = serde_json::from_slice(payload)?;
                write_flat(&mut self.writer, &flat, out)
            }
        }
    }
}

/// A payload as JSON text: strings stay strings.
pub fn of(mut payload: &[u8]) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(&convert(&rmpv::decode::read_value(&mut payload)?)?)?)
}

fn convert(value: &Value) -> Result<serde_json::Value> {
    Ok(match value {
        Value::Boolean(flag) => (*flag).into(),
        Value::Integer(number) => number.as_i64().into(),
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(convert).collect::<Result<Vec<_>>>()?.into(),
        Value::Map(entries) => {
            let entry = |(key, item): &(Value, Value)| {
                Ok((key.as_str().unwrap_or_default().to_owned(), convert(item)?))
            };
            serde_json::Value::Object(entries.iter().map(entry).collect::<Result<_>>()?)
        }
        other => bail!("payload: must be made of maps, arrays, texts, integers and flags, found {other}"),
    })
}
