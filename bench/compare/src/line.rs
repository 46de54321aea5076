//! A line writer of one's own, as someone would write it who cares: the series key is kept a symbol, decimals are
//! checked and copied, integers written with `itoa`.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use tickline_feeds::number;

use crate::Kind;
use crate::model::{Field, resolve, series_of};

/// Writes lines of one measurement.
#[derive(Debug)]
pub struct LineWriter {
    kind: Kind,
    keys: HashMap<String, Vec<u8>>,
}

impl LineWriter {
    /// No series known yet.
    pub fn new(kind: Kind) -> Self {
        Self { kind, keys: HashMap::new() }
    }

    /// Appends the series key of a name.
    pub fn series(&mut self, name: &str, out: &mut Vec<u8>) {
        if let Some(key) = self.keys.get(name) {
            return out.extend_from_slice(key);
        }
        let tags = resolve(self.kind, name);
        let (measurement, tag, exchange) = series_of(self.kind);
        let key = format!(
            "{measurement},base={},exchange={exchange},{tag}={},quote={}",
            tags.base, tags.name, tags.quote
        );
        out.extend_from_slice(key.as_bytes());
        self.keys.insert(name.to_owned(), key.into_bytes());
    }

    /// Appends fields, time and newline.
    pub fn fields(names: &[&str], fields: &[Field<'_>], time: i64, out: &mut Vec<u8>) -> Result<()> {
        let mut before = b' ';
        for (name, field) in names.iter().zip(fields) {
            out.push(before);
            before = b',';
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            match field {
                Field::Decimal(text) => {
                    let good = !matches!(number::check_decimal(text.as_bytes()), number::Decimal::Bad);
                    ensure!(good, "{name}: must be a decimal, found {text:?}");
                    out.extend_from_slice(text.as_bytes());
                }
                Field::Int(number) => {
                    out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
                    out.push(b'i');
                }
            }
        }
        out.push(b' ');
        out.extend_from_slice(itoa::Buffer::new().format(time).as_bytes());
        out.push(b'\n');
        Ok(())
    }
}
