//! Kraken's book: levels as scaled integers that keep every digit of the venue's text, best first, cut to the subscribed
//! depth after each message, and checked against the venue's CRC-32 over the ten best levels
//! (<https://docs.kraken.com/api/docs/guides/spot-ws-book-v2>). No float is made on the way.

use std::cmp::Ordering;

use super::wire::RawLevel;
use crate::payload::{PayloadWriter, append_digits};

/// Levels that the checksum covers.
const CHECKED_LEVELS: usize = 10;

/// Digits that a scaled integer may have.
const DIGITS_MAX: usize = 18;

/// A decimal that keeps the digits it was written with: `digits / 10^scale`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// All digits as one number.
    pub digits: i64,
    /// How many of them stand behind the point.
    pub scale: u8,
}

impl Amount {
    /// A plain decimal without sign and exponent, of at most 18 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (mut digits, mut scale, mut point, mut count) = (0_i64, 0_u8, false, 0_usize);
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => {
                    digits = digits.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
                    scale = scale.checked_add(u8::from(point))?;
                    count += 1;
                }
                b'.' if !point && count > 0 => point = true,
                _ => return None,
            }
        }
        (count > 0 && usize::from(scale) <= DIGITS_MAX && !text.ends_with('.'))
            .then_some(Self { digits, scale })
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.digits == 0
    }
}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self.scale == other.scale {
            return Some(self.digits.cmp(&other.digits));
        }
        let wide = |amount: &Self, scale: u8| i128::from(amount.digits) * 10_i128.pow(u32::from(scale));
        Some(wide(self, other.scale).cmp(&wide(other, self.scale)))
    }
}

/// One level.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// Price.
    pub price: Amount,
    /// Quantity in the base asset.
    pub qty: Amount,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// A number is no plain decimal.
    #[error("price and qty must be plain decimals of at most 18 digits")]
    Number,
    /// The book is not the venue's.
    #[error("checksum must be {expected}, found {found}")]
    Checksum {
        /// What the venue says.
        expected: u32,
        /// What our book has.
        found: u32,
    },
}

/// Both sides.
#[derive(Clone, Debug, Default)]
pub struct Book {
    depth: usize,
    bids: Vec<Level>,
    asks: Vec<Level>,
    text: Vec<u8>,
}

impl Book {
    /// An empty book of a subscription to `depth` levels.
    pub fn new(depth: usize) -> Self {
        Self { depth, ..Self::default() }
    }

    /// Forgets all levels.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// Bids, highest first.
    pub fn bids(&self) -> &[Level] {
        &self.bids
    }

    /// Asks, lowest first.
    pub fn asks(&self) -> &[Level] {
        &self.asks
    }

    /// Applies the levels of one message in their order, cuts to the depth and compares the checksum. Says whether one of
    /// the best `watched` levels has changed.
    pub(super) fn apply(
        &mut self,
        bids: &[RawLevel<'_>],
        asks: &[RawLevel<'_>],
        checksum: u32,
        watched: usize,
    ) -> Result<bool, BookError> {
        let mut first_changed = usize::MAX;
        for level in bids {
            first_changed = first_changed.min(set(&mut self.bids, level, |kept, new| kept > new)?);
        }
        for level in asks {
            first_changed = first_changed.min(set(&mut self.asks, level, |kept, new| kept < new)?);
        }
        self.bids.truncate(self.depth);
        self.asks.truncate(self.depth);
        let found = self.checksum();
        if found != checksum {
            return Err(BookError::Checksum { expected: checksum, found });
        }
        Ok(first_changed < watched)
    }

    /// CRC-32 of the ten best levels: asks, then bids, price and quantity without point and leading zeros.
    pub fn checksum(&mut self) -> u32 {
        self.text.clear();
        for level in self.asks.iter().take(CHECKED_LEVELS).chain(self.bids.iter().take(CHECKED_LEVELS)) {
            append_digits(level.price.digits.unsigned_abs(), &mut self.text);
            append_digits(level.qty.digits.unsigned_abs(), &mut self.text);
        }
        crc32fast::hash(&self.text)
    }

    /// Writes the keys `bids` and `asks`, `levels` a side, padded with no price and size 0.
    pub fn write(&self, levels: usize, out: &mut PayloadWriter) {
        for (key, side) in [("bids", &self.bids), ("asks", &self.asks)] {
            out.text(key);
            out.array(levels as u32);
            for position in 0..levels {
                out.array(2);
                if let Some(level) = side.get(position) {
                    out.decimal(level.price.digits, level.price.scale);
                    out.decimal(level.qty.digits, level.qty.scale);
                } else {
                    out.nil();
                    out.decimal_text("0");
                }
            }
        }
    }
}

/// Sets one level of a side; `before` says whether a kept price stands before the new one. Returns where it stands, or
/// stood.
fn set(
    side: &mut Vec<Level>,
    level: &RawLevel<'_>,
    before: fn(Amount, Amount) -> bool,
) -> Result<usize, BookError> {
    let price = Amount::parse(level.price.get()).ok_or(BookError::Number)?;
    let qty = Amount::parse(level.qty.get()).ok_or(BookError::Number)?;
    let at = side.partition_point(|kept| before(kept.price, price));
    let kept = side.get_mut(at).filter(|kept| kept.price.partial_cmp(&price) == Some(Ordering::Equal));
    match (kept, qty.is_zero()) {
        (Some(_), true) => drop(side.remove(at)),
        (Some(kept), false) => *kept = Level { price, qty },
        (None, true) => return Ok(usize::MAX),
        (None, false) => side.insert(at, Level { price, qty }),
    }
    Ok(at)
}

#[cfg(test)]
mod tests;
