//! Prices and sizes that outlive their message: kept as the text they came with, which is copied into each line, or as
//! units and scale where the text is odd; compared as numbers.

use std::num::NonZeroU64;

use crate::counts::Undecodable;
use crate::cursor::Cursor;
use crate::field::{FieldCounts, Slot};
use crate::number::{self, Digits, Wide};
use crate::payload::PayloadWriter;
use crate::schema::FieldType;

/// Units of [`Amount::order`]: no ladder of Betfair has more places.
const ORDER_SCALE: u32 = 6;

/// Longest text that is kept; Betfair's totals have up to 12 characters.
const TEXT_BYTES_MAX: usize = 14;

/// A decimal number of a ladder. Two words instead of an enum: thousands of them are copied a second, and these stay in
/// registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amount {
    /// The first eight bytes of the text; or units of 10^-scale, or the bits of a float.
    low: u64,
    /// Six more bytes of the text, then one with its bytes (0: no text), then one with the scale and 1, or [`FLOAT`].
    /// A number has one text at most of each scale: without zeros in front, and without a sign.
    high: NonZeroU64,
}

/// The scale and 1 of a float, or of text that fits no integer.
const FLOAT: u64 = 0xff;

/// What an amount is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// `units` × 10^-`scale`
    Scaled(i64, u32),
    /// A float.
    Float(f64),
}

impl PartialEq for Amount {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let same = self.low == other.low && self.high == other.high;
        same || (self.places() != other.places() || self.places() == FLOAT) && is_same_number(*self, *other)
    }
}

/// Amounts that are not of the same scale.
#[cold]
#[inline(never)]
fn is_same_number(one: Amount, other: Amount) -> bool {
    one.order() == other.order()
}

impl Amount {
    /// The number at the cursor; containers and null are none, anything else is counted and none.
    #[inline]
    pub(super) fn read(
        cursor: &mut Cursor<'_>,
        fields: &mut FieldCounts,
        depth: usize,
    ) -> Result<Option<Self>, Undecodable> {
        match Self::read_short(cursor) {
            Some(amount) => Ok(Some(amount)),
            None => {
                let mut after = *cursor;
                let amount = Self::read_any(&mut after, fields, depth)?;
                *cursor = after;
                Ok(amount)
            }
        }
    }

    /// The number at the cursor if its text has up to eight characters and is kept, as nearly all are; else the cursor
    /// stays where it is.
    #[inline(always)]
    pub(super) fn read_short(cursor: &mut Cursor<'_>) -> Option<Self> {
        let [marker, text @ ..] = cursor.ahead::<9>()?;
        let bytes = usize::from(marker.wrapping_sub(0xa0));
        let (text, places) = number::short_decimal(u64::from_le_bytes(*text), bytes)?;
        let amount = Self::of_words([text, 0], bytes, places)?;
        cursor.pass(1 + bytes);
        Some(amount)
    }

    /// A longer one, such as the total of a market, or one at the payload's end.
    #[inline]
    fn read_long(cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut after = *cursor;
        let (wide, bytes) = after.wide_text()?;
        let amount = Self::of_text(wide, bytes, wide.places(bytes)?)?;
        *cursor = after;
        Some(amount)
    }

    /// A plain decimal of `places` digits behind its point; `None` if it is too long or begins with a needless 0.
    #[inline]
    fn of_text(wide: Wide, bytes: usize, places: u32) -> Option<Self> {
        Self::of_words(wide.front(bytes)?, bytes, places)
    }

    #[inline]
    fn of_words([low, high]: [u64; 2], bytes: usize, places: u32) -> Option<Self> {
        let needless = low as u8 == b'0' && bytes > 1 && (low >> 8) as u8 != b'.';
        if bytes > TEXT_BYTES_MAX || needless {
            return None;
        }
        let high = NonZeroU64::new(high | (bytes as u64) << 48 | u64::from(places + 1) << 56)?;
        Some(Self { low, high })
    }

    #[inline(never)]
    fn read_any(
        cursor: &mut Cursor<'_>,
        fields: &mut FieldCounts,
        depth: usize,
    ) -> Result<Option<Self>, Undecodable> {
        match Self::read_long(cursor) {
            Some(amount) => Ok(Some(amount)),
            None => Self::read_odd(cursor, fields, depth),
        }
    }

    #[cold]
    #[inline(never)]
    fn read_odd(
        cursor: &mut Cursor<'_>,
        fields: &mut FieldCounts,
        depth: usize,
    ) -> Result<Option<Self>, Undecodable> {
        let slot = fields.read(cursor, FieldType::Float, depth)?;
        let scaled = match slot {
            Slot::Whole(units) => Some((units, 0)),
            other => other.scaled(),
        };
        let amount = scaled.and_then(|(units, scale)| Self::scaled(units, scale));
        Ok(amount.or_else(|| slot.as_f64().and_then(Self::float)))
    }

    /// `None` where it has more places than an integer.
    fn scaled(units: i64, scale: u32) -> Option<Self> {
        if scale > number::SCALE_MAX {
            return None;
        }
        let digits = Digits::scaled(units, scale);
        let text = digits.text.first_chunk().filter(|_| units >= 0);
        let short = text.and_then(|text| Self::of_text(Wide::new(*text), digits.bytes(), scale));
        short.or_else(|| Self::of_number(units.cast_unsigned(), u64::from(scale + 1)))
    }

    fn float(number: f64) -> Option<Self> {
        Self::of_number(number.to_bits(), FLOAT)
    }

    fn of_number(low: u64, places: u64) -> Option<Self> {
        Some(Self { low, high: NonZeroU64::new(places << 56)? })
    }

    /// The scale and 1, or [`FLOAT`].
    #[inline]
    fn places(self) -> u64 {
        self.high.get() >> 56
    }

    /// The text and its bytes, of which there are none where it has no text.
    #[inline]
    fn text(self) -> (Wide, u8) {
        (Wide::of_words([self.low, self.high.get()]), (self.high.get() >> 48) as u8)
    }

    /// What it is.
    #[inline]
    pub(super) fn form(self) -> Form {
        let (text, bytes) = self.text();
        if bytes > 0 {
            let bytes = usize::from(bytes);
            let long = || number::scaled(text.bytes().get(..bytes)?);
            let (units, scale) = text.scaled(bytes).or_else(long).unwrap_or_default();
            return Form::Scaled(units, scale);
        }
        match self.places() {
            FLOAT => Form::Float(f64::from_bits(self.low)),
            places => Form::Scaled(self.low.cast_signed(), (places - 1) as u32),
        }
    }

    /// Position in a ladder, in millionths; saturates far outside any price.
    #[inline]
    pub(super) fn order(self) -> i64 {
        const TENS: [i64; 4] = [1_000_000, 100_000, 10_000, 1_000];
        let (bytes, places) = ((self.high.get() >> 48) as u8, self.places().wrapping_sub(1));
        match TENS.get(places as usize) {
            // A price, always less than i64 holds.
            Some(tens) if (1..=8).contains(&bytes) => {
                number::short_units(self.low, u32::from(bytes), places as u32) * tens
            }
            _ => self.odd_order(),
        }
    }

    #[inline(never)]
    fn odd_order(self) -> i64 {
        match self.form() {
            Form::Scaled(units, scale) => {
                const TENS: [i64; ORDER_SCALE as usize + 1] = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
                match TENS.get(scale as usize) {
                    Some(tens) => units.saturating_mul(*tens),
                    None => units / 10_i64.pow(scale - ORDER_SCALE),
                }
            }
            Form::Float(number) => (number * 1e6).round() as i64,
        }
    }

    /// Whether it is 0.
    #[inline]
    pub(super) fn is_zero(self) -> bool {
        const ZERO: Wide = Wide::new(*b"0.00000000000000");
        if let (text, bytes @ 1..) = self.text() {
            let bytes = usize::from(bytes);
            return self.low as u8 == b'0' && text.front(bytes) == ZERO.front(bytes);
        }
        match self.form() {
            Form::Scaled(units, _) => units == 0,
            Form::Float(number) => number == 0.0,
        }
    }

    /// As a field, stored into its place.
    #[inline]
    pub(super) fn store(self, to: &mut Slot<'_>) {
        match self.text() {
            (text, bytes @ 1..) => *to = Slot::Wide(text, bytes),
            _ => self.store_number(to),
        }
    }

    /// As a decimal of a payload, in the text it came with where that is kept.
    pub(super) fn write(self, out: &mut PayloadWriter) {
        let (wide, bytes) = self.text();
        let (kept, mut made) = (wide.bytes(), Vec::new());
        let text = match self.form() {
            _ if bytes > 0 => kept.get(..usize::from(bytes)).unwrap_or_default(),
            Form::Scaled(units, scale) => {
                made.extend_from_slice(Digits::scaled(units, scale).as_bytes());
                &made
            }
            Form::Float(number) => {
                number::append_f64(&mut made, number);
                &made
            }
        };
        out.decimal_text(std::str::from_utf8(text).unwrap_or_default());
    }

    #[cold]
    #[inline(never)]
    fn store_number(self, to: &mut Slot<'_>) {
        *to = match self.form() {
            Form::Scaled(units, scale) => Slot::Scaled(units, scale),
            Form::Float(number) => Slot::Float(number),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Amount {
        let mut payload = vec![0xa0 | text.len() as u8];
        payload.extend_from_slice(text.as_bytes());
        payload.extend_from_slice(&[b'9'; 20]);
        Amount::read(&mut Cursor::new(&payload), &mut FieldCounts::default(), 1).unwrap().unwrap()
    }

    #[test]
    fn zero_is_zero_at_any_scale() {
        for (text, zero) in [
            ("0", true),
            ("0.00", true),
            ("0.000000000000", true),
            ("00.0", true),
            ("-0", true),
            ("0.01", false),
            ("10", false),
            ("0.000000000001", false),
            ("0e5", true),
        ] {
            assert_eq!(read(text).is_zero(), zero, "{text}");
        }
    }

    #[test]
    fn amounts_are_equal_if_their_numbers_are_however_they_are_written() {
        for (one, other, equal) in [
            ("2.6", "2.60", true),
            ("2.6", "2.6", true),
            ("2.60", "2.62", false),
            ("02.6", "2.60", true),
            ("10", "1e1", true),
            ("12.5", "1.25", false),
            ("-1.5", "1.5", false),
            ("123456789012345", "123456789012346", false),
            ("12345678901.25", "12345678901.25", true),
            ("012345678901.25", "12345678901.25", true),
            ("123456789012.25", "123456789012.2", false),
            ("0.00", "0", true),
            ("00", "0", true),
        ] {
            assert_eq!(read(one) == read(other), equal, "{one} {other}");
        }
    }
}
