//! Numbers as text: the only place that writes them. No `fmt`, no allocation, and never a non-finite number.

/// Longest decimal text that is taken over.
pub const DECIMAL_BYTES_MAX: usize = 40;

/// Significant digits that a float64 always keeps.
const DIGITS_KEPT: u32 = 15;

/// Appends an integer in decimal.
#[inline]
pub fn append_i64(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    append_u64(out, number.unsigned_abs());
}

/// Appends an unsigned integer in decimal.
#[inline]
pub fn append_u64(out: &mut Vec<u8>, number: u64) {
    const GROUP: u64 = 100_000_000;
    if number < GROUP {
        let text = eight_digits(number as u32);
        let zeros = text.iter().position(|digit| *digit != b'0').unwrap_or(7);
        return out.extend_from_slice(text.get(zeros..).unwrap_or_default());
    }
    let mut text = [0_u8; 24];
    let [high, middle, low] = [number / GROUP / GROUP, number / GROUP % GROUP, number % GROUP];
    let (groups, _) = text.as_chunks_mut::<8>();
    for (group, value) in groups.iter_mut().zip([high, middle, low]) {
        *group = eight_digits(value as u32);
    }
    let zeros = text.iter().position(|digit| *digit != b'0').unwrap_or(23);
    out.extend_from_slice(text.get(zeros..).unwrap_or_default());
}

/// Eight digits of a number below 10^8, zeros in front.
#[inline]
const fn eight_digits(number: u32) -> [u8; 8] {
    let (high, low) = (number / 10_000, number % 10_000);
    let [a, b] = pair(high / 100);
    let [c, d] = pair(high % 100);
    let [e, f] = pair(low / 100);
    let [g, h] = pair(low % 100);
    [a, b, c, d, e, f, g, h]
}

#[inline]
const fn pair(number: u32) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

/// The text of one integer, kept for the next line that has the same: the levels of a book share their times.
#[derive(Clone, Copy, Debug)]
pub struct NumberText {
    number: i64,
    text: [u8; 20],
    bytes: u8,
}

impl NumberText {
    /// No text yet.
    pub const fn new() -> Self {
        Self { number: 0, text: [0; 20], bytes: 0 }
    }

    /// Appends `number` in decimal.
    #[inline]
    pub fn append(&mut self, out: &mut Vec<u8>, number: i64) {
        if self.number == number && self.bytes > 0 {
            out.extend_from_slice(self.text.get(..usize::from(self.bytes)).unwrap_or_default());
            return;
        }
        let start = out.len();
        append_i64(out, number);
        if let Some(written) = out.get(start..)
            && let Some(kept) = self.text.get_mut(..written.len())
        {
            kept.copy_from_slice(written);
            (self.number, self.bytes) = (number, written.len() as u8);
        }
    }
}

impl Default for NumberText {
    fn default() -> Self {
        Self::new()
    }
}

/// Appends the shortest text that reads back as `number`; the caller has seen that it is finite.
#[inline]
pub fn append_f64(out: &mut Vec<u8>, number: f64) {
    debug_assert!(number.is_finite());
    out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
}

/// Appends `units` × 10^-`scale`, all `scale` digits written out.
pub fn append_scaled(out: &mut Vec<u8>, units: i64, scale: u32) {
    if units < 0 {
        out.push(b'-');
    }
    let divisor = 10_u64.pow(scale.min(18));
    let magnitude = units.unsigned_abs();
    append_u64(out, magnitude / divisor);
    if scale == 0 {
        return;
    }
    out.push(b'.');
    let mut fraction = magnitude % divisor;
    let mut place = divisor / 10;
    while place > 0 {
        out.push(b'0' + (fraction / place) as u8);
        fraction %= place;
        place /= 10;
    }
}

/// What a text is that should be a decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimal {
    /// `-?digits[.digits][e±dd]`, at most 40 characters, inside float64's range; `rounded` if it has more
    /// significant digits than a float64 keeps.
    Good {
        /// More than 15 significant digits.
        rounded: bool,
    },
    /// Anything else.
    Bad,
}

/// Checks a decimal without parsing it. Text of up to 16 bytes that is digits with at most one point, as nearly
/// every decimal is, is judged eight bytes at a time.
#[inline]
pub fn check_decimal(text: &[u8]) -> Decimal {
    let (first, last) = match text.len() {
        8..=16 => match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
            (Some(first), Some(last)) => (non_digits(*first), non_digits(*last)),
            _ => return check_slowly(text),
        },
        4..=7 => match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            (Some([a, b, c, d]), Some([e, f, g, h])) => (
                non_digits([*a, *b, *c, *d, b'0', b'0', b'0', b'0']),
                non_digits([b'0', b'0', b'0', b'0', *e, *f, *g, *h]),
            ),
            _ => return check_slowly(text),
        },
        _ => return check_slowly(text),
    };
    if first | last == 0 && text.len() <= DIGITS_KEPT as usize {
        return Decimal::Good { rounded: false };
    }
    // A mask with one bit is one byte that is no digit; its position counted from either end must agree.
    let from_front = first.trailing_zeros() as usize / 8;
    let from_end = text.len().wrapping_sub(8).wrapping_add(last.trailing_zeros() as usize / 8);
    let at = if first != 0 { from_front } else { from_end };
    let one = first & first.wrapping_sub(1) == 0 && last & last.wrapping_sub(1) == 0;
    let agree = first == 0 || last == 0 || from_front == from_end;
    // 15 digits and a point are the most that 16 bytes hold.
    if one && agree && at > 0 && at + 1 < text.len() && text.get(at) == Some(&b'.') {
        return Decimal::Good { rounded: false };
    }
    check_slowly(text)
}

/// A bit for each byte that is no ASCII digit, the first byte lowest.
#[inline]
const fn non_digits(bytes: [u8; 8]) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let offset = u64::from_le_bytes(bytes) ^ (EACH * 0x30);
    ((offset & (EACH * 0x7f)).wrapping_add(EACH * 0x76) | offset) & (EACH * 0x80)
}

/// Any length, sign and exponent.
#[inline(never)]
fn check_slowly(text: &[u8]) -> Decimal {
    if text.len() > DECIMAL_BYTES_MAX {
        return Decimal::Bad;
    }
    let body = text.strip_prefix(b"-").unwrap_or(text);
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(body);
    let Some(rest) = body.get(whole..).filter(|_| whole > 0) else { return Decimal::Bad };
    let Some((b'.', fraction)) = rest.split_first() else {
        return if rest.is_empty() { plain(body) } else { exponent(text, body, rest) };
    };
    let places = digits(fraction);
    match fraction.get(places..) {
        _ if places == 0 => Decimal::Bad,
        Some([]) => plain(body),
        Some(rest) => exponent(text, body, rest),
        None => Decimal::Bad,
    }
}

fn plain(body: &[u8]) -> Decimal {
    Decimal::Good { rounded: body.len() > DIGITS_KEPT as usize && significant_digits(body) > DIGITS_KEPT }
}

#[cold]
#[inline(never)]
fn significant_digits(mantissa: &[u8]) -> u32 {
    let digits = mantissa.iter().filter(|b| b.is_ascii_digit()).skip_while(|b| **b == b'0');
    let (count, zeros) = digits.fold((0, 0), |(n, zeros), b| (n + 1, if *b == b'0' { zeros + 1 } else { 0 }));
    count - zeros
}

/// `e±dd` behind a mantissa: rare, so the range is left to the standard library's parser.
#[cold]
#[inline(never)]
fn exponent(text: &[u8], body: &[u8], rest: &[u8]) -> Decimal {
    let Some((b'e' | b'E', power)) = rest.split_first() else { return Decimal::Bad };
    let digits = power.strip_prefix(b"-").or_else(|| power.strip_prefix(b"+")).unwrap_or(power);
    if digits.is_empty() || digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return Decimal::Bad;
    }
    let number = std::str::from_utf8(text).ok().and_then(|t| t.parse::<f64>().ok());
    let mantissa = body.strip_suffix(rest).unwrap_or(body);
    match number {
        Some(n) if n.is_finite() => Decimal::Good { rounded: significant_digits(mantissa) > DIGITS_KEPT },
        _ => Decimal::Bad,
    }
}

/// A decimal without exponent as an integer of `10^-scale`, for computing with it; `None` if it does not fit.
pub fn scaled(text: &[u8]) -> Option<(i64, u32)> {
    let body = text.strip_prefix(b"-").unwrap_or(text);
    let mut units = 0_i64;
    let mut scale = None;
    for &byte in body {
        match byte {
            b'0'..=b'9' => {
                units = units.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
                scale = scale.map(|s: u32| s + 1);
            }
            b'.' if scale.is_none() => scale = Some(0),
            _ => return None,
        }
    }
    Some((if body.len() < text.len() { -units } else { units }, scale.unwrap_or(0)))
}

/// `units` × 10^-`from` in units of 10^-`to`; `None` if it does not fit.
pub fn rescale(units: i64, from: u32, to: u32) -> Option<i64> {
    units.checked_mul(10_i64.checked_pow(to.checked_sub(from)?)?)
}

/// An integer written as digits, as some publishers send it.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let body = text.strip_prefix(b"-").unwrap_or(text);
    if body.is_empty() || !body.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_are_judged_by_the_wire_grammar() {
        let good = Decimal::Good { rounded: false };
        for (input, verdict) in [
            ("0", good),
            ("-0.00000001", good),
            ("63401.30000", good),
            ("1e-08", good),
            ("1.5E+10", good),
            ("123456789012345", good),
            ("0.000000000000000000123", good),
            ("100000000000000000000", good),
            ("1234567890123456", Decimal::Good { rounded: true }),
            ("0.1234567890123456e5", Decimal::Good { rounded: true }),
            ("1e400", Decimal::Bad),
            ("1e0000", Decimal::Bad),
            ("", Decimal::Bad),
            ("-", Decimal::Bad),
            (".5", Decimal::Bad),
            ("5.", Decimal::Bad),
            ("+1", Decimal::Bad),
            ("1,0", Decimal::Bad),
            ("NaN", Decimal::Bad),
            ("Infinity", Decimal::Bad),
            ("0x10", Decimal::Bad),
            ("1 ", Decimal::Bad),
            ("1\n", Decimal::Bad),
            ("11111111111111111111111111111111111111111", Decimal::Bad),
        ] {
            assert_eq!(check_decimal(input.as_bytes()), verdict, "{input:?}");
        }
    }

    #[test]
    fn scaled_numbers_keep_their_places() {
        assert_eq!(scaled(b"-1.0850"), Some((-10850, 4)));
        assert_eq!(scaled(b"7"), Some((7, 0)));
        assert_eq!(scaled(b"1e5"), None);
        assert_eq!(text(|o| append_scaled(o, -13, 5)), "-0.00013");
        assert_eq!(text(|o| append_scaled(o, 1_300, 2)), "13.00");
        assert_eq!(text(|o| append_scaled(o, 13, 0)), "13");
    }

    proptest! {
        #[test]
        fn integers_are_written_as_the_standard_library_does(n in any::<i64>()) {
            prop_assert_eq!(text(|o| append_i64(o, n)), n.to_string());
        }

        #[test]
        fn finite_floats_read_back_as_the_same_bits(n in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            let written = text(|o| append_f64(o, n));
            prop_assert_eq!(written.parse::<f64>().unwrap().to_bits(), n.to_bits());
        }

        #[test]
        fn what_is_good_is_a_finite_float_to_the_standard_library(input in "-?[0-9]{0,20}(\\.[0-9]{0,20})?([eE][+-]?[0-9]{0,3})?") {
            let parsed = input.parse::<f64>().ok().filter(|n| n.is_finite());
            if let Decimal::Good { .. } = check_decimal(input.as_bytes()) {
                prop_assert!(parsed.is_some());
            }
        }

        #[test]
        fn the_fast_check_agrees_with_the_slow_one(input in "[-+]?[0-9.eE/:]{0,18}") {
            prop_assert_eq!(check_decimal(input.as_bytes()), check_slowly(input.as_bytes()), "{:?}", input);
        }

        #[test]
        fn short_texts_that_are_not_rounded_read_back_exactly(units in 0_i64..1_000_000_000_000_000, scale in 0_u32..12) {
            let written = text(|o| append_scaled(o, units, scale));
            prop_assert_eq!(scaled(written.as_bytes()), Some((units, scale)));
            prop_assert_eq!(check_decimal(written.as_bytes()), Decimal::Good { rounded: false });
        }
    }
}
