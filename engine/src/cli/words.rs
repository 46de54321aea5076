//! Numbers as people read them.

/// A count with commas.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A span of time in its largest unit, ns.
pub(super) fn nanos(ns: i64) -> String {
    let units = [("d", 86_400e9), ("h", 3_600e9), ("min", 60e9), ("s", 1e9), ("ms", 1e6), ("us", 1e3)];
    let value = ns as f64;
    let unit = units.into_iter().find(|(_, size)| value.abs() >= *size);
    match unit {
        Some((name, size)) if value.abs() < 10.0 * size => format!("{:.1} {name}", value / size),
        Some((name, size)) => format!("{:.0} {name}", value / size),
        None => format!("{ns} ns"),
    }
}

/// The same of seconds.
pub(super) fn seconds(s: i64) -> String {
    if s == 0 { "0 s".to_owned() } else { nanos(s.saturating_mul(1_000_000_000)) }
}

/// A share in percent; unknown: a dash.
pub(super) fn share(share: Option<f64>) -> String {
    // A failure of a second in a month must not be rounded away.
    share.map_or_else(
        || "-".to_owned(),
        |share| match share {
            share if share < 1.0 && share > 0.9999 => ">99.99 %".to_owned(),
            share => format!("{:.2} %", share * 100.0),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_no_failure_is_rounded_away() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        let spans = [0, 999, 1_500, -2_000_000, 12_000_000_000, 90_000_000_000, 86_400_000_000_000];
        assert_eq!(spans.map(nanos), ["0 ns", "999 ns", "1.5 us", "-2.0 ms", "12 s", "1.5 min", "1.0 d"]);
        let shares = [None, Some(1.0), Some(0.999_999), Some(0.5)].map(share);
        assert_eq!(shares, ["-", "100.00 %", ">99.99 %", "50.00 %"]);
    }
}
