//! Numbers as text: the only place that writes them. No `fmt`, no allocation, and never a non-finite number.

/// Longest decimal text that is taken over.
pub const DECIMAL_BYTES_MAX: usize = 40;

/// Significant digits that a float64 always keeps.
const DIGITS_KEPT: u32 = 15;

/// A number's text at the front of a fixed array, made on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    /// The text, then anything.
    pub text: [u8; 32],
    bytes: u8,
}

impl Digits {
    /// An integer.
    #[inline]
    pub fn of(number: i64) -> Self {
        Self::scaled(number, 0)
    }

    /// An unsigned integer.
    #[inline]
    pub fn of_unsigned(number: u64) -> Self {
        Self::build(false, number, 0)
    }

    /// `units` × 10^-`scale`, all `scale` digits written out; `scale` is at most [`SCALE_MAX`].
    #[inline]
    pub fn scaled(units: i64, scale: u32) -> Self {
        Self::build(units < 0, units.unsigned_abs(), scale)
    }

    /// Bytes of the text.
    #[inline]
    pub fn bytes(&self) -> usize {
        usize::from(self.bytes)
    }

    /// The text.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.bytes()).unwrap_or_default()
    }

    #[inline]
    fn build(negative: bool, number: u64, scale: u32) -> Self {
        const GROUP: u64 = 100_000_000;
        // Right-aligned in 24 digits; the rest is room for copies of fixed width.
        let mut padded = [b'0'; 48];
        let (groups, _) = padded.as_chunks_mut::<8>();
        if let [high, middle, low, ..] = groups {
            *low = eight_digits((number % GROUP) as u32);
            if number >= GROUP {
                *middle = eight_digits((number / GROUP % GROUP) as u32);
                *high = eight_digits((number / GROUP / GROUP) as u32);
            }
        }
        let scale = scale.min(SCALE_MAX) as usize;
        let digits = decimal_digits(number).max(scale + 1);
        let sign = usize::from(negative);
        let mut text = [b'-'; 56];
        copy_24(&mut text, sign, &padded, 24 - digits);
        let mut bytes = sign + digits;
        if scale > 0 {
            copy_24(&mut text, bytes - scale + 1, &padded, 24 - scale);
            text.get_mut(bytes - scale).into_iter().for_each(|point| *point = b'.');
            bytes += 1;
        }
        let text = text.first_chunk::<32>().copied().unwrap_or([0; 32]);
        Self { text, bytes: bytes as u8 }
    }
}

/// Copies 24 bytes from `from` to `to`, both inside their arrays for numbers of up to 20 digits.
#[inline]
fn copy_24(text: &mut [u8; 56], to: usize, padded: &[u8; 48], from: usize) {
    let target = text.get_mut(to..).and_then(|rest| rest.first_chunk_mut::<24>());
    if let (Some(target), Some(source)) =
        (target, padded.get(from..).and_then(|rest| rest.first_chunk::<24>()))
    {
        *target = *source;
    }
}

/// Most places of [`Digits::scaled`].
pub const SCALE_MAX: u32 = 18;

/// Digits of a number, at least 1.
#[inline]
const fn decimal_digits(number: u64) -> usize {
    match number.checked_ilog10() {
        Some(log) => log as usize + 1,
        None => 1,
    }
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
pub struct LastNumber {
    number: i64,
    digits: Digits,
}

impl LastNumber {
    /// Knows the text of 0.
    pub fn new() -> Self {
        Self { number: 0, digits: Digits { text: [b'0'; 32], bytes: 1 } }
    }

    /// The text of `number`.
    #[inline]
    pub fn text(&mut self, number: i64) -> &Digits {
        if self.number != number {
            (self.number, self.digits) = (number, Digits::of(number));
        }
        &self.digits
    }
}

impl Default for LastNumber {
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
    let (halves, _) = wide.as_chunks::<8>();
    let [low, high] = halves else { return false };
    // One bit a byte that is no digit; those behind the text are cut off. A shift by all 128 bits is two.
    let behind = (1_u128 << (8 * bytes.min(15))) << (8 * (bytes.min(16) - bytes.min(15)));
    let others =
        (u128::from(non_digits(*low)) | u128::from(non_digits(*high)) << 64) & behind.wrapping_sub(1);
    if others == 0 {
        return bytes > 0 && bytes <= DIGITS_KEPT as usize;
    }
    let at = others.trailing_zeros() as usize / 8;
    others & others.wrapping_sub(1) == 0 && at > 0 && at + 1 < bytes && wide.get(at) == Some(&b'.')
}

/// A bit for each byte that is no ASCII digit, the first byte lowest.
#[inline]
const fn non_digits(bytes: [u8; 8]) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let offset = u64::from_le_bytes(bytes) ^ (EACH * 0x30);
    ((offset & (EACH * 0x7f)).wrapping_add(EACH * 0x76) | offset) & (EACH * 0x80)
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
        assert_eq!(text(|o| o.extend(Digits::scaled(-13, 5).as_bytes())), "-0.00013");
        assert_eq!(text(|o| o.extend(Digits::scaled(1_300, 2).as_bytes())), "13.00");
        assert_eq!(text(|o| o.extend(Digits::scaled(13, 0).as_bytes())), "13");
    }

    proptest! {
        #[test]
        fn integers_are_written_as_the_standard_library_does(n in any::<i64>()) {
            prop_assert_eq!(text(|o| o.extend(Digits::of(n).as_bytes())), n.to_string());
        }

        #[test]
        fn unsigned_integers_too(n in any::<u64>()) {
            prop_assert_eq!(text(|o| o.extend(Digits::of_unsigned(n).as_bytes())), n.to_string());
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
        fn what_the_fast_check_takes_is_good_and_it_takes_every_short_plain_decimal(
            input in "[-]?[0-9.e/:]{0,16}", tail in any::<[u8; 16]>()
        ) {
            let mut wide = tail;
            wide[..input.len().min(16)].copy_from_slice(&input.as_bytes()[..input.len().min(16)]);
            let text = &wide[..input.len().min(16)];
            let good = check_decimal(text) == Decimal::Good { rounded: false };
            let plain = text.iter().all(|b| b.is_ascii_digit() || *b == b'.') && text.len() < 16;
            let fast = is_plain_decimal(&wide, text.len());
            prop_assert!(!fast || good, "{:?}", input);
            prop_assert!(fast || !(good && plain), "{:?}", input);
        }

        #[test]
        fn short_texts_that_are_not_rounded_read_back_exactly(units in 0_i64..1_000_000_000_000_000, scale in 0_u32..12) {
            let written = text(|o| o.extend(Digits::scaled(units, scale).as_bytes()));
            prop_assert_eq!(scaled(written.as_bytes()), Some((units, scale)));
            prop_assert_eq!(check_decimal(written.as_bytes()), Decimal::Good { rounded: false });
        }
    }
}
