//! What the answer to a partly refused request may hide. InfluxDB 1 and 2 name the first trouble of the first
//! shard that had one, with its count; lines that could not be read, points beyond retention and other shards'
//! refusals stay unnamed (seen with 1.6.7). So the count is exact only for readable lines of one shard.

use std::ops::Range;

use influxdb_line_protocol::{FieldValue, parse_lines};

/// Shards span whole hours, aligned to them.
const HOUR_NS: i64 = 3_600_000_000_000;

/// A request all of whose lines InfluxDB can read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// All times lie in one hour, hence in one shard.
    pub(super) in_one_hour: bool,
    /// The bytes of the oldest line.
    pub(super) oldest: Range<usize>,
}

/// Reads the lines; none if InfluxDB may be unable to read one of them.
pub(super) fn look(lines: &[u8]) -> Option<Seen> {
    let text = std::str::from_utf8(lines).ok()?;
    let mut oldest: Option<(i64, Range<usize>)> = None;
    let mut hours: Option<(i64, i64)> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let time = time_of(line)?;
        let range = start..start + line.len();
        start = range.end;
        if oldest.as_ref().is_none_or(|(t, _)| time < *t) {
            oldest = Some((time, range));
        }
        let hour = time.div_euclid(HOUR_NS);
        let (low, high) = hours.unwrap_or((hour, hour));
        hours = Some((low.min(hour), high.max(hour)));
    }
    let (low, high) = hours?;
    oldest.map(|(_, oldest)| Seen { in_one_hour: low == high, oldest })
}

/// The time of one readable line. Unsigned integers are unreadable to version 1.
fn time_of(line: &str) -> Option<i64> {
    let mut parsed = parse_lines(line);
    let first = parsed.next()?.ok()?;
    let unsigned = first.field_set.iter().any(|(_, value)| matches!(value, FieldValue::U64(_)));
    if unsigned || parsed.next().is_some() { None } else { first.timestamp }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_line_and_the_hours_are_seen() {
        let hour = HOUR_NS;
        let one = format!("m v=1 {}\nm v=2 {}\nm v=3 {}\n", hour + 5, hour, hour + 9);
        let seen = look(one.as_bytes()).unwrap();
        assert!(seen.in_one_hour);
        assert_eq!(&one[seen.oldest], format!("m v=2 {hour}\n"));
        let two = format!("m v=1 {}\nm v=2 {}\n", hour - 1, hour);
        assert!(!look(two.as_bytes()).unwrap().in_one_hour);
    }

    #[test]
    fn a_line_that_influxdb_may_not_read_shows() {
        for lines in ["m v=1 1\nm bad\n", "m v=1u 1\n", "m v=NaN 1\n", "m v=1\n", "m v=\"a 1\nm v=1 2\n", ""]
        {
            assert_eq!(look(lines.as_bytes()), None, "{lines:?}");
        }
    }
}
