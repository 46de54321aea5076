//! Durations and sizes as the configuration writes them: a whole number and a unit, such as `5ms` or `4MiB`.
//! A number without a unit is never guessed.

use std::time::Duration;

const DURATIONS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Reads a duration: digits and one of `ns us ms s m h d w`. None if it is anything else or does not fit.
pub fn parse_duration(text: &str) -> Option<Duration> {
    scaled(text, &DURATIONS).map(Duration::from_nanos)
}

/// Reads a size in bytes: digits and one of `B KB MB GB TB KiB MiB GiB TiB`. None if it is anything else.
pub fn parse_bytes(text: &str) -> Option<u64> {
    scaled(text, &SIZES)
}

/// The unit of a value: what follows its digits.
pub(crate) fn unit_of(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii_digit())
}

/// All duration units, as alternatives of a regular expression.
pub(crate) fn duration_pattern() -> String {
    pattern(&DURATIONS)
}

/// All size units, as alternatives of a regular expression.
pub(crate) fn bytes_pattern() -> String {
    pattern(&SIZES)
}

fn pattern(units: &[(&str, u64)]) -> String {
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    format!("^[0-9]+({})$", names.join("|"))
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let unit = unit_of(text);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        for (text, nanos) in [
            ("5ms", 5_000_000_u64),
            ("500ms", 500_000_000),
            ("7us", 7_000),
            ("9ns", 9),
            ("30s", 30_000_000_000),
            ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("7d", 604_800_000_000_000),
            ("1w", 604_800_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
        for text in
            ["", "5", "ms", "-5ms", "+5ms", "5 ms", "1.5s", "5MS", "5min", "99999999999999d", "5ms ", "٥ms"]
        {
            assert_eq!(parse_duration(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_size_tells_powers_of_1000_from_powers_of_1024() {
        for (text, bytes) in [
            ("512B", 512),
            ("64KiB", 65_536),
            ("4MiB", 4_194_304),
            ("25MB", 25_000_000),
            ("1GiB", 1 << 30),
            ("2TB", 2_000_000_000_000),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "64", "KiB", "64kib", "64K", "1.5MiB", "18446744073709551615KiB"] {
            assert_eq!(parse_bytes(text), None, "{text:?}");
        }
    }
}
