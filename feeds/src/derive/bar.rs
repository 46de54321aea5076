//! One bar while its interval lasts. Prices keep the digits that they came with; volume and turnover are exact sums at the
//! finest scale that came, and a tick whose sums would not fit is refused as a whole and leaves the bar incomplete.

use super::window::MORE_PLACES;
use crate::clock::MonoNanos;
use crate::connect::kraken::Amount;

/// Places that a decimal of a payload may have.
const PLACES_MAX: u8 = 18;

#[derive(Clone, Copy, Debug)]
pub(super) struct Bar {
    pub(super) begin_ns: i64,
    pub(super) open: Amount,
    pub(super) high: Amount,
    pub(super) low: Amount,
    pub(super) close: Amount,
    pub(super) ticks: u64,
    pub(super) is_complete: bool,
    /// When no tick of it is waited for any more.
    pub(super) over: MonoNanos,
    traded: Option<Traded>,
}

/// What was traded, at the finest scales so far; the turnover has both of them.
#[derive(Clone, Copy, Debug, Default)]
struct Traded {
    price_scale: u8,
    qty_scale: u8,
    volume: i128,
    turnover: i128,
}

impl Traded {
    fn and(&self, price: Amount, qty: Amount) -> Option<Self> {
        let price_scale = self.price_scale.max(price.scale);
        let qty_scale = self.qty_scale.max(qty.scale);
        let finer = |value: i128, places: u8| value.checked_mul(10_i128.checked_pow(u32::from(places))?);
        let grown = (qty_scale - self.qty_scale, price_scale - self.price_scale);
        let (more_qty, more_price) = (qty_scale - qty.scale, price_scale - price.scale);
        let traded = i128::from(price.digits).checked_mul(i128::from(qty.digits))?;
        let volume = finer(self.volume, grown.0)?.checked_add(finer(i128::from(qty.digits), more_qty)?)?;
        let turnover =
            finer(self.turnover, grown.0 + grown.1)?.checked_add(finer(traded, more_qty + more_price)?)?;
        Some(Self { price_scale, qty_scale, volume, turnover })
    }
}

impl Bar {
    pub(super) fn new(begin_ns: i64, over: MonoNanos, first: Amount, is_complete: bool) -> Self {
        let (open, high, low, close) = (first, first, first, first);
        Self { begin_ns, open, high, low, close, ticks: 0, is_complete, over, traded: None }
    }

    /// Adds a tick; `over`: until when ticks of the interval are waited for, as this one has it. Says whether it was taken.
    pub(super) fn add(&mut self, price: Amount, qty: Option<Amount>, over: MonoNanos) -> bool {
        if let Some(qty) = qty {
            let Some(traded) = self.traded.unwrap_or_default().and(price, qty) else {
                self.is_complete = false;
                return false;
            };
            self.traded = Some(traded);
        }
        self.high = if price > self.high { price } else { self.high };
        self.low = if price < self.low { price } else { self.low };
        self.close = price;
        self.ticks += 1;
        // The tick that took the least time to come knows best what the venue's clock says.
        self.over = self.over.min(over);
        true
    }

    /// Volume, and turnover over it: with [`MORE_PLACES`] more than the prices, rounded half up.
    pub(super) fn volumes(&self) -> Option<(Amount, Amount)> {
        let traded = self.traded?;
        let scale = (traded.price_scale + MORE_PLACES).min(PLACES_MAX);
        let more = 10_i128.checked_pow(u32::from(scale - traded.price_scale))?;
        let doubled = traded.turnover.checked_mul(2 * more)?.checked_add(traded.volume)?;
        let vwap = i64::try_from(doubled.checked_div(traded.volume.checked_mul(2)?)?).ok()?;
        let volume = i64::try_from(traded.volume).ok()?;
        Some((Amount { digits: volume, scale: traded.qty_scale }, Amount { digits: vwap, scale }))
    }
}
