//! Before anything is timed: what every contender has written says the same as what tickline has written, field
//! by field, read back with the parser of influxdb-line-protocol.

use anyhow::{Context, Result, ensure};
use influxdb_line_protocol::{FieldValue, parse_lines};

use crate::{Contender, json};

/// One line as numbers: series, fields, time.
type Row = (String, Vec<(String, f64)>, Option<i64>);

fn rows(lines: &[u8]) -> Result<Vec<Row>> {
    let text = std::str::from_utf8(lines)?;
    parse_lines(text)
        .map(|line| {
            let line = line?;
            let tags = line.series.tag_set.iter().flatten().map(|(key, value)| format!(",{key}={value}"));
            let series = line.series.measurement.to_string() + &tags.collect::<String>();
            let fields = line.field_set.iter().map(|(key, value)| {
                let number = match value {
                    FieldValue::I64(number) => *number as f64,
                    FieldValue::F64(number) => *number,
                    _ => f64::NAN,
                };
                (key.to_string(), number)
            });
            Ok((series, fields.collect(), line.timestamp))
        })
        .collect()
}

/// Fails at the first difference.
pub fn same_lines(contenders: &mut [Box<dyn Contender>], messages: &[Vec<u8>]) -> Result<()> {
    for (recv, message) in (1_000_000..).zip(messages) {
        let mut expected = None;
        for contender in contenders.iter_mut().filter(|c| c.writes_lines()) {
            let mut out = Vec::new();
            let payload = if contender.reads_json() { &json::of(message)? } else { message };
            contender.decode(payload, recv, &mut out)?;
            let found = rows(contender.own_buffer().unwrap_or(&out)).with_context(|| contender.name())?;
            ensure!(found.len() == 1, "{}: must write one line, found {}", contender.name(), found.len());
            match &expected {
                None => expected = Some(found),
                Some(expected) => {
                    ensure!(*expected == found, "{}: {found:?} is not {expected:?}", contender.name());
                }
            }
        }
    }
    Ok(())
}
