//! Venue times: RFC 3339 text, or a number in a known unit, as nanoseconds since 1970.

use crate::number::{self, Decimal};

/// Days from 1970-01-01 to a civil date (H. Hinnant, <https://howardhinnant.github.io/date_algorithms.html>).
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[inline]
fn digits(text: &[u8]) -> Option<i64> {
    let mut number = 0;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(number)
}

/// Nanoseconds of an RFC 3339 time such as `2026-08-02T03:36:02.621302Z`; digits beyond ns are cut.
/// `None` if it is none, or outside the years 1678 to 2261 that i64 holds.
#[inline]
pub fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    let (head, tail) = text.split_first_chunk::<19>()?;
    let [_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b't' | b' ', _, _, b':', _, _, b':', _, _] = head else {
        return None;
    };
    let (year, month, day) = (digits(&head[0..4])?, digits(&head[5..7])?, digits(&head[8..10])?);
    let (hour, minute, second) = (digits(&head[11..13])?, digits(&head[14..16])?, digits(&head[17..19])?);
    if !(1678..=2261).contains(&year)
        || !(1..=12).contains(&month)
        || day < 1
        || day > month_days(year, month)
    {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction_ns, zone) = fraction(tail)?;
    let seconds =
        days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - zone_s(zone)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction_ns)
}

const fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[inline]
fn fraction(tail: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', rest)) = tail.split_first() else { return Some((0, tail)) };
    let mut nanos = 0;
    let mut places = 0;
    for &byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if places < 9 {
            nanos = nanos * 10 + i64::from(digit);
        }
        places += 1;
    }
    if places == 0 {
        return None;
    }
    const TENS: [i64; 10] =
        [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    Some((nanos * TENS.get(places).copied().unwrap_or(1), rest.get(places..)?))
}

#[inline]
fn zone_s(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3_600 + minutes * 60;
            Some(if *sign == b'-' { -offset } else { offset })
        }
        _ => None,
    }
}

/// `number` units of `unit_ns` each; `None` outside i64.
#[inline]
pub fn from_units(number: i64, unit_ns: i64) -> Option<i64> {
    number.checked_mul(unit_ns)
}

/// A number given as text, such as Unix seconds with up to nine decimals, exactly.
#[cold]
pub fn from_decimal(text: &[u8], unit_ns: i64) -> Option<i64> {
    if number::check_decimal(text) == Decimal::Bad {
        return None;
    }
    let (units, scale) = number::scaled(text)?;
    let nanos = i128::from(units) * i128::from(unit_ns) / 10_i128.checked_pow(scale)?;
    i64::try_from(nanos).ok()
}

/// A time given as a float, such as Unix seconds with a fraction.
pub fn from_float(number: f64, unit_ns: i64) -> Option<i64> {
    let nanos = number * unit_ns as f64;
    // The largest floats below 2^63 and above -2^63: beyond them the cast would saturate silently.
    (-9.2e18..=9.2e18).contains(&nanos).then_some(nanos as i64)
}

/// Cuts `nanos` down to whole units of `unit_ns`, as far as i64 reaches.
#[inline]
pub const fn truncate(nanos: i64, unit_ns: i64) -> i64 {
    nanos.saturating_sub(nanos.rem_euclid(unit_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_times_are_read_to_the_nanosecond() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-08-02T03:36:02.621302Z", Some(1_785_641_762_621_302_000)),
            ("2016-10-27T08:38:43.094548890Z", Some(1_477_557_523_094_548_890)),
            ("2016-10-27T08:38:43.0945488909Z", Some(1_477_557_523_094_548_890)),
            ("2016-10-27T10:38:43.5+02:00", Some(1_477_557_523_500_000_000)),
            ("2000-02-29T00:00:00Z", Some(951_782_400_000_000_000)),
            ("1969-12-31T23:59:59.25Z", Some(-750_000_000)),
            ("1900-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-01-32T00:00:00Z", None),
            ("2026-01-01T24:00:00Z", None),
            ("2026-01-01T00:00:00", None),
            ("2026-01-01T00:00:00.Z", None),
            ("2026-01-01T00:00:00Zx", None),
            ("9999-01-01T00:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), nanos, "{text}");
        }
    }

    #[test]
    fn numbers_outside_the_range_are_no_time() {
        assert_eq!(from_units(i64::MAX / 10, 1_000), None);
        assert_eq!(from_float(1e300, 1), None);
        assert_eq!(from_float(f64::NAN, 1), None);
        assert_eq!(from_float(1.5, 1_000_000_000), Some(1_500_000_000));
        assert_eq!(truncate(-1, 1_000), -1_000);
        assert_eq!(truncate(i64::MIN, 1_000), i64::MIN);
        assert_eq!(from_decimal(b"1477557523.094548890", 1_000_000_000), Some(1_477_557_523_094_548_890));
        for text in ["", "soon", "-", ".", "5.", ".5"] {
            assert_eq!(from_decimal(text.as_bytes(), 1), None, "{text:?}");
        }
    }
}
