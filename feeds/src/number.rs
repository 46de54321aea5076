//! Numbers as text: the only place that writes them. No `fmt`, no allocation, and never a non-finite number.

/// Longest decimal text that is taken over.
pub const DECIMAL_BYTES_MAX: usize = 40;

/// Significant digits that a float64 always keeps.
const DIGITS_KEPT: u32 = 15;

pub use digits::{Digits, LastNumber, SCALE_MAX, scaled_text};
pub use wide::{WIDE_BYTES, Wide, eight_digits, short_decimal, short_units};

mod digits;
mod wide;

/// A 1 in each byte.
const EACH: u64 = 0x0101_0101_0101_0101;

/// Eight times the digit 0.
const EIGHT_ZEROS: u64 = EACH * b'0' as u64;

/// Appends the shortest text that reads back as `number`; the caller has seen that it is finite.
#[inline]
pub fn append_f64(out: &mut Vec<u8>, number: f64) {
    debug_assert!(number.is_finite());
    out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
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

/// Checks a decimal of any length, sign and exponent without parsing it.
#[inline(never)]
pub fn check_decimal(text: &[u8]) -> Decimal {
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
mod tests;
