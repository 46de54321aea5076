//! What the answer to a partly refused request may hide. InfluxDB 1 and 2 name the first trouble that they met, with
//! its count; lines that could not be read stay unnamed beside points beyond retention (seen with 1.6.7).

use influxdb_line_protocol::{FieldValue, parse_lines};

/// Whether InfluxDB can read every line.
pub(super) fn all_can_be_read(lines: &[u8]) -> bool {
    let text = std::str::from_utf8(lines).unwrap_or_default();
    !text.is_empty() && text.split_inclusive('\n').all(can_be_read)
}

/// Unsigned integers are unreadable to version 1.
fn can_be_read(line: &str) -> bool {
    let mut parsed = parse_lines(line);
    let Some(Ok(first)) = parsed.next() else { return false };
    let unsigned = first.field_set.iter().any(|(_, value)| matches!(value, FieldValue::U64(_)));
    !unsigned && parsed.next().is_none() && first.timestamp.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_influxdb_may_not_read_shows() {
        assert!(all_can_be_read(b"m v=1 1\nm,a=b v=2i,w=\"x\" 2\n"));
        for lines in ["m v=1 1\nm bad\n", "m v=1u 1\n", "m v=NaN 1\n", "m v=1\n", "m v=\"a 1\nm v=1 2\n", ""]
        {
            assert!(!all_can_be_read(lines.as_bytes()), "{lines:?}");
        }
    }
}
