//! Which price of a quote is sampled, and at which time. A middle price is exact: it has one place more than the finer of
//! its sides. A time far ahead of the clock is not believed, because everything after it would be late.

use super::read::Quote;
use crate::connect::Now;
use crate::connect::kraken::Amount;

/// How far a venue's time may lie ahead of our clock; points are held to the same.
const AHEAD_MAX_NS: i64 = 60 * 1_000_000_000;

/// A price of a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// Half of best bid and best ask together.
    Mid,
    /// Best bid.
    Bid,
    /// Best ask.
    Ask,
    /// Last trade.
    Last,
}

impl Quote<'_> {
    /// That price, where the quote has it.
    pub(super) fn price(&self, which: Price) -> Option<Amount> {
        match which {
            Price::Mid => middle(self.bid?, self.ask?),
            Price::Bid => self.bid,
            Price::Ask => self.ask,
            Price::Last => self.last,
        }
    }

    /// The venue's time, ns since 1970; ours where it has none or it cannot be.
    pub(super) fn time(&self, now: Now) -> i64 {
        let latest = now.wall.0.saturating_add(AHEAD_MAX_NS);
        self.time_ns.filter(|time| *time <= latest).unwrap_or(now.wall.0)
    }
}

fn middle(bid: Amount, ask: Amount) -> Option<Amount> {
    let scale = bid.scale.max(ask.scale);
    let digits = digits_at(bid, scale)?.checked_add(digits_at(ask, scale)?)?.checked_mul(5)?;
    Some(Amount { digits, scale: scale + 1 })
}

/// The digits of `amount` with `scale` of them behind the point, which are not fewer than it has.
pub(super) fn digits_at(amount: Amount, scale: u8) -> Option<i64> {
    amount.digits.checked_mul(10_i64.checked_pow(u32::from(scale.checked_sub(amount.scale)?))?)
}
