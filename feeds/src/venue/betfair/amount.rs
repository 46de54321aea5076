//! Prices and sizes that outlive their message: kept as units and scale, so that they are written with the
//! digits they came with, and compared as integers.

use crate::cursor::Value;
use crate::field::{FieldCounts, Slot};
use crate::number;

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
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Amount {
    /// The number in `value`; anything else is counted and none.
    #[inline]
    pub(super) fn read(value: Value<'_>, fields: &mut FieldCounts) -> Option<Self> {
        match value {
            Value::Text(text) => match number::scaled(text) {
                Some((units, scale)) if scale <= 18 && is_written_out(text) => {
                    Some(Amount::Scaled { units, scale: scale as u8 })
                }
                _ => Self::unusual(fields.decimal(text)),
            },
            other => Self::unusual(fields.float(other)),
        }
    }

    #[inline]
    fn unusual(slot: Slot<'_>) -> Option<Self> {
        match slot {
            Slot::Whole(units) => Some(Amount::Scaled { units, scale: 0 }),
            other => other.as_f64().map(Amount::Float),
        }
    }

    /// Position in a ladder, in millionths; saturates far outside any price.
    #[inline]
    pub(super) fn order(self) -> i64 {
        match self {
            Amount::Scaled { units, scale } => {
                let scale = u32::from(scale);
                if scale <= ORDER_SCALE {
                    units.saturating_mul(10_i64.pow(ORDER_SCALE - scale))
                } else {
                    units / 10_i64.pow(scale - ORDER_SCALE)
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

/// Whether a text of digits and at most one point has digits on both sides of it, as the wire asks.
#[inline]
fn is_written_out(text: &[u8]) -> bool {
    let body = text.strip_prefix(b"-").unwrap_or(text);
    text.len() <= number::DECIMAL_BYTES_MAX
        && body.first().is_some_and(u8::is_ascii_digit)
        && body.last().is_some_and(u8::is_ascii_digit)
}

/// The slot of an amount that may not be known.
#[inline]
pub(super) fn slot_of<'a>(amount: Option<Amount>) -> Slot<'a> {
    amount.map_or(Slot::Empty, Amount::slot)
}
