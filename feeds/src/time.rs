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

/// The same byte eight times.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Eight bytes of text of which those in `digits` must be digits: byte `i` of the answer is the number that the
/// bytes `i` and `i + 1` make. All at once, since every tick has a time.
#[inline]
fn pairs(text: u64, digits: u64) -> Option<[u8; 8]> {
    let values = (text ^ each(b'0')) & digits;
    // 0x76 takes every value above 9 to 0x80 or beyond.
    if (values.wrapping_add(each(0x76)) | values) & each(0x80) & digits != 0 {
        return None;
    }
    // At most 99 a byte, so that nothing is carried into the next.
    Some((values * 10 + (values >> 8)).to_le_bytes())
}

/// Nanoseconds of an RFC 3339 time such as `2026-08-02T03:36:02.621302Z`; digits beyond ns are cut.
/// `None` if it is none, or outside the years 1678 to 2261 that i64 holds.
pub fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    LastMinute::default().parse(text)
}

/// Reads RFC 3339 times, most of which stand in the minute of the one before: that far their text is compared, not read.
#[derive(Clone, Copy, Debug)]
pub struct LastMinute {
    /// Date, hour and minute as text.
    text: [u8; MINUTE_BYTES],
    /// The same as seconds since 1970, before the zone.
    seconds: i64,
}

/// Bytes of `2026-08-02T03:36`.
const MINUTE_BYTES: usize = 16;

impl Default for LastMinute {
    fn default() -> Self {
        Self { text: *b"1970-01-01T00:00", seconds: 0 }
    }
}

impl LastMinute {
    /// See [`parse_rfc3339`].
    #[inline]
    pub fn parse(&mut self, text: &[u8]) -> Option<i64> {
        let (minute, rest) = text.split_first_chunk::<MINUTE_BYTES>()?;
        if *minute != self.text {
            (self.seconds, self.text) = (minute_s(minute)?, *minute);
        }
        let ([b':', s1, s2], tail) = rest.split_first_chunk::<3>()? else { return None };
        let (tens, ones) = (s1.wrapping_sub(b'0'), s2.wrapping_sub(b'0'));
        if tens > 6 || ones > 9 || tens * 10 + ones > 60 {
            return None;
        }
        let (fraction_ns, zone) = fraction(tail)?;
        let zone_s = if zone == b"Z" { 0 } else { zone_s(zone)? };
        let seconds = self.seconds + i64::from(tens * 10 + ones) - zone_s;
        seconds.checked_mul(1_000_000_000)?.checked_add(fraction_ns)
    }
}

/// Seconds of a date, an hour and a minute.
#[inline(never)]
fn minute_s(text: &[u8; MINUTE_BYTES]) -> Option<i64> {
    const DATE: u64 = u64::from_le_bytes(*b"\xff\xff\xff\xff\0\xff\xff\0");
    const DATE_MARKS: u64 = u64::from_le_bytes(*b"\0\0\0\0-\0\0-");
    const TIME: u64 = u64::from_le_bytes(*b"\xff\xff\0\xff\xff\0\xff\xff");
    const COLON: u64 = u64::from_le_bytes(*b"\0\0\0\0\0\xff\0\0");
    const TIME_MARKS: u64 = u64::from_le_bytes(*b"\0\0\0\0\0:\0\0");
    let (date, time) = (text.first_chunk::<8>()?, text.last_chunk::<8>()?);
    let (date, time) = (u64::from_le_bytes(*date), u64::from_le_bytes(*time));
    if date & !DATE != DATE_MARKS || time & COLON != TIME_MARKS {
        return None;
    }
    if !matches!((time >> 16) as u8, b'T' | b't' | b' ') {
        return None;
    }
    let [century, _, years, _, _, month, ..] = pairs(date, DATE)?.map(i64::from);
    let [day, _, _, hour, _, _, minute, _] = pairs(time, TIME)?.map(i64::from);
    let year = century * 100 + years;
    if !(1678..=2261).contains(&year)
        || !(1..=12).contains(&month)
        || day < 1
        || day > month_days(year, month)
    {
        return None;
    }
    if hour > 23 || minute > 59 {
        return None;
    }
    Some(days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60)
}

const fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Nanoseconds of the digits behind the point, and what stands behind them.
#[inline]
fn fraction(tail: &[u8]) -> Option<(i64, &[u8])> {
    const TENS: [i64; 10] =
        [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    let Some((b'.', rest)) = tail.split_first() else { return Some((0, tail)) };
    if let Some(([eight @ .., last @ b'0'..=b'9'], zone @ [b'Z', ..])) = rest.split_first_chunk::<9>()
        && let Some(high) = number::eight_digits(*eight)
    {
        // Nine digits are what OANDA sends.
        return Some((high * 10 + i64::from(last - b'0'), zone));
    }
    // Six digits and a zone are what Kraken sends.
    let (mut nanos, mut places) = match tail.first_chunk::<8>() {
        Some(chunk) => six_digits(u64::from_le_bytes(*chunk) >> 8),
        None => (0, 0),
    };
    for &byte in rest.get(places..).unwrap_or_default() {
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
    Some((nanos * TENS.get(places).copied().unwrap_or(1), rest.get(places..)?))
}

/// The number in the first six bytes and how many of them were read: all or none.
#[inline]
fn six_digits(text: u64) -> (i64, usize) {
    match pairs(text, (1 << 48) - 1) {
        Some([high, _, middle, _, low, ..]) => {
            (i64::from(high) * 10_000 + i64::from(middle) * 100 + i64::from(low), 6)
        }
        None => (0, 0),
    }
}

#[inline(never)]
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
    use proptest::prelude::*;

    use super::*;

    /// The same, slowly: date and time by jiff, the form by hand.
    fn plainly(text: &str) -> Option<i64> {
        let form = |at: usize, wanted: &str| text.get(at..=at).is_some_and(|found| wanted.contains(found));
        let is_form = text.is_ascii()
            && [(4, "-"), (7, "-"), (10, "Tt "), (13, ":"), (16, ":")].iter().all(|(at, w)| form(*at, w))
            && text.bytes().take(19).filter(u8::is_ascii_digit).count() == 14;
        let (fraction, zone) = match text.get(19..)?.strip_prefix('.') {
            Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
            None => ("0", text.get(19..)?),
        };
        let zone_form = zone.eq_ignore_ascii_case("z") || (zone.len() == 6 && zone.as_bytes()[3] == b':');
        if !is_form || !zone_form || fraction.is_empty() {
            return None;
        }
        let time: jiff::Timestamp = format!("{}.{:.9}{zone}", &text[..19], fraction).parse().ok()?;
        let leap = i128::from(&text[17..19] == "60") * 1_000_000_000;
        i64::try_from(time.as_nanosecond() + leap).ok().filter(|_| ("1678".."2262").contains(&text))
    }

    proptest! {
        #[test]
        fn times_are_read_as_a_calendar_library_reads_them(
            seconds in -9_214_560_000_i64..9_214_646_400, nanos in 0_i32..1_000_000_000, places in 0_usize..12,
            zone in prop_oneof![Just("Z"), Just("z"), Just("+02:00"), Just("-09:30"), Just("")],
            at in 0_usize..60, byte in proptest::option::of(0x20_u8..0x7f),
        ) {
            let time = jiff::Timestamp::new(seconds, 0).unwrap();
            let fraction = &format!("{nanos:09}000")[..places];
            let point = if places == 0 { "" } else { "." };
            let mut text = format!("{}{point}{fraction}{zone}", time.strftime("%Y-%m-%dT%H:%M:%S")).into_bytes();
            if let (Some(byte), Some(to)) = (byte, text.get_mut(at)) {
                *to = byte;
            }
            let text = String::from_utf8(text).unwrap();
            prop_assert_eq!(parse_rfc3339(text.as_bytes()), plainly(&text), "{}", text);
        }

        #[test]
        fn a_time_is_read_the_same_whatever_was_read_before_it(
            times in prop::collection::vec((0_i64..100, 0_u32..9, 0_usize..40, proptest::option::of(0x20_u8..0x7f)), 1..20)
        ) {
            let mut last = LastMinute::default();
            for (seconds, places, at, byte) in times {
                let time = jiff::Timestamp::new(1_785_641_762 + seconds, 123_456_789).unwrap();
                let mut text = format!("{time:.*}", places as usize).into_bytes();
                if let (Some(byte), Some(to)) = (byte, text.get_mut(at)) {
                    *to = byte;
                }
                prop_assert_eq!(last.parse(&text), parse_rfc3339(&text), "{:?}", String::from_utf8_lossy(&text));
            }
        }
    }

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
