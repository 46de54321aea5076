//! Integers and scaled integers as text, made in registers.

use super::EIGHT_ZEROS;

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
        if number < GROUP && scale < 8 && !negative {
            return Self::short(number as u32, scale);
        }
        if scale == 0 && !negative {
            return Self::whole(number);
        }
        Self::long(negative, number, scale)
    }

    /// The digits in front, then groups of eight.
    #[inline(never)]
    fn whole(number: u64) -> Self {
        let (front, last) = (number / GROUP, number % GROUP);
        let mut digits = Self::short((if front < GROUP { front } else { front / GROUP }) as u32, 0);
        if front >= GROUP {
            digits.append(front % GROUP);
        }
        digits.append(last);
        digits
    }

    /// Eight digits more.
    #[inline]
    fn append(&mut self, group: u64) {
        let at = self.bytes();
        if let Some(to) = self.text.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<8>()) {
            *to = (eight_digits(group as u32) | EIGHT_ZEROS).to_le_bytes();
            self.bytes += 8;
        }
    }

    #[inline]
    fn short(number: u32, scale: u32) -> Self {
        let (short, bytes) = short_text(number, scale);
        let mut text = [0; 32];
        if let Some(front) = text.first_chunk_mut::<16>() {
            *front = short.to_le_bytes();
        }
        Self { text, bytes: bytes as u8 }
    }

    #[inline(never)]
    fn long(negative: bool, number: u64, scale: u32) -> Self {
        // Right-aligned in 24 digits; the rest is room for copies of fixed width.
        let mut padded = [b'0'; 48];
        let (groups, _) = padded.as_chunks_mut::<8>();
        if let [high, middle, low, ..] = groups {
            for (group, number) in [(low, number), (middle, number / GROUP), (high, number / GROUP / GROUP)] {
                *group = (eight_digits((number % GROUP) as u32) | EIGHT_ZEROS).to_le_bytes();
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

/// The text of `units` × 10^-`scale`, the first byte lowest, and its bytes, where a register holds it: at most eight
/// digits, no sign.
#[inline]
pub fn scaled_text(units: i64, scale: u32) -> Option<(u128, u32)> {
    let number = u32::try_from(units).ok().filter(|number| u64::from(*number) < GROUP && scale < 8)?;
    Some(short_text(number, scale))
}

/// Zeros in front are shifted out, and the places behind the point one byte further.
#[inline]
const fn short_text(number: u32, scale: u32) -> (u128, u32) {
    let digits = eight_digits(number);
    let zeros = digits.trailing_zeros() / 8;
    let zeros = if zeros < 7 - scale { zeros } else { 7 - scale };
    let text = ((digits | EIGHT_ZEROS) >> (8 * zeros)) as u128;
    let bytes = 8 - zeros;
    if scale == 0 {
        return (text, bytes);
    }
    let whole = 8 * (bytes - scale);
    let places = text >> whole << 8 | b'.' as u128;
    (places << whole | text & ((1 << whole) - 1), bytes + 1)
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

/// Numbers of eight digits.
const GROUP: u64 = 100_000_000;

/// The eight digits of a number below 10^8 as values, a byte each, the first digit lowest. Two, four and eight
/// quotients are computed at once in the lanes of one register (P. Khuong,
/// <https://pvk.ca/Blog/2017/12/22/appnexus-common-framework-its-out-also-how-to-print-integers-faster/>).
#[inline]
const fn eight_digits(number: u32) -> u64 {
    let fours = (number / 10_000) as u64 | ((number % 10_000) as u64) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (pairs - 10 * tens) << 8
}

/// The text of one integer between two others that never change, kept for the next line: the levels of a book share
/// their times, and of a time in the same second only the last nine digits are new.
#[derive(Clone, Copy, Debug)]
pub struct LastNumber<const AT: usize> {
    number: i64,
    /// `number` without its last nine digits if it has ten in front of them, as every time since 2001; else 0.
    second: i64,
    /// The text in front, the number from `AT` on, the byte behind it, then anything.
    text: [u8; 32],
    bytes: u8,
    end: u8,
}

/// Digits of a time in ns, from 2001 to 2286.
const TIME_DIGITS: usize = 19;

/// Numbers of nine digits: the ns of a second.
const NINE_DIGITS: i64 = 1_000_000_000;

impl<const AT: usize> LastNumber<AT> {
    /// Longest text in front: behind it a number of 20 characters and one byte fit.
    const FRONT_FITS: () = assert!(AT + 21 <= 32);

    /// Knows the text of 0 between `front` and `end`.
    pub fn new(front: &[u8; AT], end: u8) -> Self {
        let () = Self::FRONT_FITS;
        let mut text = [0; 32];
        text.iter_mut().zip(front).for_each(|(to, from)| *to = *from);
        let mut new = Self { number: 0, second: 0, text, bytes: 0, end };
        new.rewrite(0);
        new
    }

    /// The text of `number` at the front of an array, and its bytes.
    #[inline]
    pub fn text(&mut self, number: i64) -> (&[u8; 32], usize) {
        if self.number != number {
            let below = number.wrapping_sub(self.second);
            if self.second > 0 && (0..NINE_DIGITS).contains(&below) {
                self.number = number;
                self.set_last_nine(below as u32);
            } else {
                self.rewrite(number);
            }
        }
        (&self.text, usize::from(self.bytes))
    }

    #[inline(never)]
    fn rewrite(&mut self, number: i64) {
        let digits = Digits::of(number);
        let end = AT + digits.bytes();
        if let Some(to) = self.text.get_mut(AT..end) {
            to.copy_from_slice(digits.as_bytes());
        }
        self.text.get_mut(end).into_iter().for_each(|to| *to = self.end);
        self.bytes = end as u8 + 1;
        self.number = number;
        let has_second = digits.bytes() == TIME_DIGITS && number > 0;
        self.second = if has_second { number - number % NINE_DIGITS } else { 0 };
    }

    #[inline]
    fn set_last_nine(&mut self, number: u32) {
        let nine =
            self.text.get_mut(AT + TIME_DIGITS - 9..AT + TIME_DIGITS).and_then(<[u8]>::split_first_mut);
        if let Some((first, rest)) = nine
            && let Some(rest) = rest.first_chunk_mut::<8>()
        {
            *first = b'0' + (number / GROUP as u32) as u8;
            *rest = (eight_digits(number % GROUP as u32) | EIGHT_ZEROS).to_le_bytes();
        }
    }
}
