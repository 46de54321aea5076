//! Numbers as text: the only place that writes them. No `fmt`, no allocation, and never a non-finite number.

/// Longest decimal text that is taken over.
pub const DECIMAL_BYTES_MAX: usize = 40;

/// Significant digits that a float64 always keeps.
const DIGITS_KEPT: u32 = 15;

pub use digits::{Digits, LastNumber, SCALE_MAX, scaled_text};

mod digits;

/// Eight times the digit 0.
const EIGHT_ZEROS: u64 = 0x3030_3030_3030_3030;

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

/// Whether the first `bytes` of `wide`, at most 16, are up to 15 digits with at most one point between them: what
/// nearly every decimal is, judged in one go. `false` says nothing: [`check_decimal`] knows the rest.
#[inline]
pub fn is_plain_decimal(wide: &[u8; 16], bytes: usize) -> bool {
    let others = non_digits(wide, bytes);
    if others == 0 {
        return bytes > 0 && bytes <= DIGITS_KEPT as usize;
    }
    let at = others.trailing_zeros() as usize;
    others & (others - 1) == 0 && at > 0 && at + 1 < bytes && wide.get(at) == Some(&b'.')
}

/// A bit for each of the first `bytes` bytes that is no ASCII digit, the first byte lowest.
#[inline]
fn non_digits(wide: &[u8; 16], bytes: usize) -> u32 {
    let (halves, _) = wide.as_chunks::<8>();
    let [low, high] = halves else { return u32::MAX };
    let all = eight_non_digits(*low) | eight_non_digits(*high) << 8;
    all & (1_u32 << bytes.min(16)).wrapping_sub(1)
}

#[inline]
const fn eight_non_digits(bytes: [u8; 8]) -> u32 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let offset = u64::from_le_bytes(bytes) ^ EIGHT_ZEROS;
    let others = ((offset & (EACH * 0x7f)).wrapping_add(EACH * 0x76) | offset) & (EACH * 0x80);
    // Gathers bit 7 of each byte in the highest one.
    ((others >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
}

/// Whether the decimal `one` is below `other`, both of `bytes` bytes; `None` unless both are nothing but digits and a
/// point at the same place.
#[inline]
pub fn is_below(one: &[u8; 16], other: &[u8; 16], bytes: usize) -> Option<bool> {
    let others = non_digits(one, bytes);
    let at = others.trailing_zeros() as usize;
    let points = [one, other].iter().all(|text| text.get(at) == Some(&b'.'));
    let alike = others == non_digits(other, bytes)
        && (others == 0 || others & (others - 1) == 0 && points)
        && (1..=16).contains(&bytes);
    let behind = 8 * 16_usize.saturating_sub(bytes);
    alike.then(|| u128::from_be_bytes(*one) >> behind < u128::from_be_bytes(*other) >> behind)
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

/// The same for a decimal of up to eight characters without sign and exponent, the first `bytes` of `wide`, checked
/// on the way; `None` says nothing.
#[inline]
pub fn scaled_short(wide: &[u8; 16], bytes: usize) -> Option<(i64, u32)> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    if !(1..=8).contains(&bytes) {
        return None;
    }
    let text = wide.first_chunk::<8>().map_or(0, |text| u64::from_le_bytes(*text));
    // Values of the digits, right-aligned: the last one highest, zeros in front.
    let values = (text ^ EIGHT_ZEROS) << (64 - 8 * bytes);
    let others = ((values & (EACH * 0x7f)).wrapping_add(EACH * 0x76) | values) & (EACH * 0x80);
    if others == 0 {
        return Some((eight_values(values), 0));
    }
    let point = others.trailing_zeros() / 8;
    let is_point = others & (others - 1) == 0 && (values >> (8 * point)) as u8 == b'.' ^ b'0';
    if !is_point || point == 7 || point as usize + bytes <= 8 {
        return None;
    }
    let front = values & ((1 << (8 * point)) - 1);
    let places = values >> (8 * point) >> 8 << 8 << (8 * point);
    Some((eight_values(front << 8 | places), 7 - point))
}

/// The number of eight digits, given as values, the first digit lowest: pairs, fours and eights are put together in the
/// lanes of one register (J. Kwon's and D. Lemire's way,
/// <https://lemire.me/blog/2022/01/21/swar-explained-parsing-eight-digits/>).
#[inline]
const fn eight_values(values: u64) -> i64 {
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let odd = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let even = (pairs >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    (odd.wrapping_add(even) >> 32) as i64
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
