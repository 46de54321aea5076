//! Prices and sizes that outlive their message: kept as units and scale, so that they are written with the
//! digits they came with, and compared as integers.

use std::num::NonZeroU8;

use crate::counts::Undecodable;
use crate::cursor::Cursor;
use crate::field::{FieldCounts, Slot};
use crate::number;
use crate::schema::FieldType;

/// Units of [`Amount::order`]: no ladder of Betfair has more places.
const ORDER_SCALE: u32 = 6;

/// A decimal number of a ladder. Two words instead of an enum: thousands of them are copied a second, and these stay in
/// registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amount {
    /// `units` × 10^-`scale`, or the bits of a float.
    units: i64,
    /// The scale and 1, or [`FLOAT`].
    places: NonZeroU8,
}

/// [`Amount::places`] of a float, or of text that fits no integer.
const FLOAT: NonZeroU8 = NonZeroU8::MAX;

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
        if self.places == other.places && self.places != FLOAT {
            return self.units == other.units;
        }
        self.order() == other.order()
    }
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
            None => Self::read_any(cursor, fields, depth),
        }
    }

    #[inline]
    fn read_short(cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut after = *cursor;
        let (wide, bytes) = after.wide_text()?;
        let (units, scale) = wide.scaled(bytes)?;
        *cursor = after;
        Self::scaled(units, scale)
    }

    #[inline(never)]
    fn read_any(
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
        Ok(amount.or_else(|| slot.as_f64().map(Self::float)))
    }

    /// `None` where it has more places than an integer.
    #[inline]
    fn scaled(units: i64, scale: u32) -> Option<Self> {
        if scale > number::SCALE_MAX {
            return None;
        }
        Some(Self { units, places: NonZeroU8::MIN.saturating_add(scale as u8) })
    }

    fn float(number: f64) -> Self {
        Self { units: number.to_bits().cast_signed(), places: FLOAT }
    }

    /// What it is.
    #[inline]
    pub(super) fn form(self) -> Form {
        if self.places == FLOAT {
            return Form::Float(f64::from_bits(self.units.cast_unsigned()));
        }
        Form::Scaled(self.units, u32::from(self.places.get() - 1))
    }

    /// Position in a ladder, in millionths; saturates far outside any price.
    #[inline]
    pub(super) fn order(self) -> i64 {
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
        match self.form() {
            Form::Scaled(units, _) => units == 0,
            Form::Float(number) => number == 0.0,
        }
    }

    /// As a field.
    #[inline]
    pub(super) fn slot<'a>(self) -> Slot<'a> {
        match self.form() {
            Form::Scaled(units, scale) => Slot::Scaled(units, scale),
            Form::Float(number) => Slot::Float(number),
        }
    }
}

/// The slot of an amount that may not be known.
#[inline]
pub(super) fn slot_of<'a>(amount: Option<Amount>) -> Slot<'a> {
    amount.map_or(Slot::Empty, Amount::slot)
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
        ] {
            assert_eq!(read(one) == read(other), equal, "{one} {other}");
        }
    }
}
