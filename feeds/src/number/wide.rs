//! Short texts in registers: what nearly every decimal is, judged and stored without a loop over its bytes.

use super::{DIGITS_KEPT, EACH, EIGHT_ZEROS};

/// Bytes of a [`Wide`].
pub const WIDE_BYTES: usize = 16;

/// Text of up to 16 bytes with anything behind it, in two words, the first byte lowest: as an array it would be copied
/// in pieces. How many bytes of it are text is known beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wide([u64; 2]);

impl Wide {
    /// These bytes.
    #[inline]
    pub const fn new(bytes: [u8; WIDE_BYTES]) -> Self {
        let all = u128::from_le_bytes(bytes);
        Self([all as u64, (all >> 64) as u64])
    }

    /// A text of up to 16 bytes, then zeros; `None` for longer ones. Its ends are read, which may overlap: nothing is copied.
    #[inline]
    pub fn of(text: &[u8]) -> Option<Self> {
        let behind = |bytes: usize| 8 * (text.len() - bytes) as u32;
        if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            let unread = 64_u32.checked_sub(behind(8))?;
            let high = u64::from_le_bytes(*last).checked_shr(unread).unwrap_or(0);
            return Some(Self([u64::from_le_bytes(*first), high]));
        }
        let low = if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            let last = u64::from(u32::from_le_bytes(*last));
            u64::from(u32::from_le_bytes(*first)) | last << behind(4)
        } else {
            text.iter().rev().fold(0, |low, byte| low << 8 | u64::from(*byte))
        };
        Some(Self([low, 0]))
    }

    /// The bytes.
    #[inline]
    pub const fn bytes(self) -> [u8; WIDE_BYTES] {
        let Self([low, high]) = self;
        (low as u128 | (high as u128) << 64).to_le_bytes()
    }

    /// The first `bytes` bytes, then zeros; `None` for more than there are.
    #[inline]
    pub fn front(self, bytes: usize) -> Option<[u64; 2]> {
        let (Self([low, high]), [low_kept, high_kept]) = (self, FRONTS.get(bytes)?);
        Some([low & low_kept, high & high_kept])
    }

    /// Whether the first `bytes` bytes are up to 15 digits with at most one point between them: what nearly every
    /// decimal is. `false` says nothing: [`super::check_decimal`] knows the rest.
    #[inline]
    pub fn is_plain_decimal(self, bytes: usize) -> bool {
        self.places(bytes).is_some()
    }

    /// The digits behind the point if it is such a decimal.
    #[inline]
    pub fn places(self, bytes: usize) -> Option<u32> {
        let (Self([low, high]), [low_kept, high_kept]) = (self, FRONTS.get(bytes)?);
        let (others, text, first) = match (non_digits(low, *low_kept), non_digits(high, *high_kept)) {
            (0, 0) => return (bytes > 0 && bytes <= DIGITS_KEPT as usize).then_some(0),
            (others, 0) => (others, low, 0),
            (0, others) => (others, high, 8),
            _ => return None,
        };
        let bit = others.trailing_zeros() & 0x38;
        let at = first + bit as usize / 8;
        // One point, neither the first nor the last.
        let good = others & (others - 1) == 0
            && (text >> bit) as u8 == b'.'
            && at.wrapping_sub(1) < bytes.wrapping_sub(2);
        good.then(|| (bytes - 1 - at) as u32)
    }

    /// All sixteen bytes as words.
    #[inline]
    pub const fn words(self) -> [u64; 2] {
        self.0
    }

    /// What [`Self::front`] gave, or any other two words of text.
    #[inline]
    pub const fn of_words(words: [u64; 2]) -> Self {
        Self(words)
    }

    /// Whether a decimal is below another, both plain and of `bytes` bytes; `None` unless their points stand at the
    /// same place.
    #[inline]
    pub fn is_below(self, other: Self, bytes: usize) -> Option<bool> {
        let ([low, high], [other_low, other_high]) = (self.front(bytes)?, other.front(bytes)?);
        // A point and a digit differ in this bit, two digits never do.
        let apart = ((low ^ other_low) | (high ^ other_high)) & (EACH * 0x10);
        let number = |low: u64, high: u64| u128::from(low.swap_bytes()) << 64 | u128::from(high.swap_bytes());
        (apart == 0).then_some(number(low, high) < number(other_low, other_high))
    }

    /// Whether the first `bytes` bytes, a plain decimal, have another digit than 0.
    #[inline]
    pub fn is_positive(self, bytes: usize) -> bool {
        // Nearly every price begins with it.
        let Self([low, _]) = self;
        low as u8 > b'0' || self.bytes().iter().take(bytes).any(|byte| matches!(byte, b'1'..=b'9'))
    }

    /// Units and scale of a decimal of up to eight characters without sign and exponent, the first `bytes` bytes,
    /// checked on the way; `None` says nothing.
    #[inline]
    pub fn scaled(self, bytes: usize) -> Option<(i64, u32)> {
        if !(1..=8).contains(&bytes) {
            return None;
        }
        let Self([text, _]) = self;
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
}

/// The first `bytes` of up to eight bytes of text, then zeros, and the digits behind their point, if they are a plain
/// decimal ([`Wide::is_plain_decimal`]). `None` says nothing.
#[inline]
pub fn short_decimal(text: u64, bytes: usize) -> Option<(u64, u32)> {
    let [kept, _] = FRONTS.get(bytes).filter(|_| bytes <= 8)?;
    let others = non_digits(text, *kept);
    if others == 0 {
        return (bytes > 0).then_some((text & kept, 0));
    }
    let bit = others.trailing_zeros() & 0x38;
    let at = bit as usize / 8;
    let good = others & (others - 1) == 0
        && (text >> bit) as u8 == b'.'
        && at.wrapping_sub(1) < bytes.wrapping_sub(2);
    good.then(|| (text & kept, (bytes - 1 - at) as u32))
}

/// The number of such a decimal without its point, of `bytes` bytes with `places` digits behind the point.
#[inline]
pub fn short_units(text: u64, bytes: u32, places: u32) -> i64 {
    // Values of the digits, right-aligned: the last one highest, zeros in front.
    let values = (text ^ EIGHT_ZEROS).wrapping_shl(0_u32.wrapping_sub(8 * bytes));
    if places == 0 {
        return eight_values(values);
    }
    // The digits behind the point stay, those in front of it come behind the point's place.
    let behind = u64::MAX.wrapping_shl(0_u32.wrapping_sub(8 * places));
    eight_values(values & behind | (values << 8) & !behind & !0xff)
}

/// Bit 7 of each of the bytes in `kept` that is no ASCII digit. The byte behind one that is no ASCII character may be
/// marked too, which no one need know: such a text is no decimal in any case.
#[inline]
const fn non_digits(text: u64, kept: u64) -> u64 {
    let values = (text ^ EIGHT_ZEROS) & kept;
    // 0x76 takes every value above 9 to 0x80 or beyond.
    (values.wrapping_add(EACH * 0x76) | values) & (EACH * 0x80)
}

/// For each number of bytes a mask that keeps as many at the front of sixteen.
const FRONTS: [[u64; 2]; 17] = {
    const fn front(bytes: u32) -> [u64; 2] {
        let all = if bytes < 16 { (1_u128 << (8 * bytes)) - 1 } else { u128::MAX };
        [all as u64, (all >> 64) as u64]
    }
    const fn four(from: u32) -> [[u64; 2]; 4] {
        [front(from), front(from + 1), front(from + 2), front(from + 3)]
    }
    let ([a, b, c, d], [e, f, g, h]) = (four(0), four(4));
    let ([i, j, k, l], [m, n, o, p]) = (four(8), four(12));
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, front(16)]
};

/// The number that eight digits make; `None` where one of them is none.
#[inline]
pub fn eight_digits(text: [u8; 8]) -> Option<i64> {
    let text = u64::from_le_bytes(text);
    (non_digits(text, u64::MAX) == 0).then(|| eight_values(text ^ EIGHT_ZEROS))
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
