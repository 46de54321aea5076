//! Prices and sizes that outlive their message: kept as units and scale, so that they are written with the
//! digits they came with, and compared as integers.

use crate::counts::Undecodable;
use crate::cursor::Cursor;
use crate::field::{FieldCounts, Slot};
use crate::number;
use crate::schema::FieldType;

/// Units of [`Amount::order`]: no ladder of Betfair has more places.
const ORDER_SCALE: u32 = 6;

/// A decimal number of a ladder.
#[derive(Clone, Copy, Debug)]
pub(super) enum Amount {
    /// `units` × 10^-`scale`
    Scaled { units: i64, scale: u8 },
    /// A float, or text that fits no integer.
    Float(f64),
}

impl PartialEq for Amount {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        if let (Amount::Scaled { units, scale }, Amount::Scaled { units: others, scale: other_scale }) =
            (self, other)
            && scale == other_scale
        {
            return units == others;
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
        let start = *cursor;
        if let Some((wide, bytes)) = cursor.wide_text()
            && let Some((units, scale)) = number::scaled_short(wide, bytes)
        {
            return Ok(Some(Amount::Scaled { units, scale: scale as u8 }));
        }
        *cursor = start;
        Self::read_any(cursor, fields, depth)
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
            other => other.decimal_text().and_then(number::scaled),
        };
        Ok(match scaled {
            Some((units, scale)) if scale <= number::SCALE_MAX => {
                Some(Amount::Scaled { units, scale: scale as u8 })
            }
            _ => slot.as_f64().map(Amount::Float),
        })
    }

    /// Position in a ladder, in millionths; saturates far outside any price.
    #[inline]
    pub(super) fn order(self) -> i64 {
        match self {
            Amount::Scaled { units, scale } => {
                const TENS: [i64; ORDER_SCALE as usize + 1] = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
                match TENS.get(usize::from(scale)) {
                    Some(tens) => units.saturating_mul(*tens),
                    None => units / 10_i64.pow(u32::from(scale) - ORDER_SCALE),
                }
            }
            Amount::Float(number) => (number * 1e6).round() as i64,
        }
    }

    /// Whether it is 0.
    #[inline]
    pub(super) fn is_zero(self) -> bool {
        match self {
            Amount::Scaled { units, .. } => units == 0,
            Amount::Float(number) => number == 0.0,
        }
    }

    /// As a field.
    #[inline]
    pub(super) fn slot<'a>(self) -> Slot<'a> {
        match self {
            Amount::Scaled { units, scale } => Slot::Scaled(units, u32::from(scale)),
            Amount::Float(number) => Slot::Float(number),
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
