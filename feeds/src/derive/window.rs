//! The prices of one symbol within a span of the venue's time. All sums are of integers, so that nothing drifts however
//! long it runs; a price is told at the finest scale that the symbol has had. A price of more than 14 digits at that
//! scale is refused, because its squares would not fit.

use std::collections::VecDeque;

use super::price::digits_at;
use crate::connect::kraken::Amount;

/// Samples of a symbol; the oldest leave early where a window has more.
pub const SAMPLES_MAX: usize = 65_536;

/// Below 2^47: with [`SAMPLES_MAX`] = 2^16 samples, `count * squares` stays below 2^126.
const DIGITS_MAX: i64 = 100_000_000_000_000;
const SCALE_MAX: u8 = 14;

/// Places that mean and deviation have more than a price.
pub(super) const MORE_PLACES: u8 = 4;
const MORE: i128 = 10_000;

/// Places of ratios.
pub(super) const RATIO_PLACES: u8 = 10;
const RATIO: i128 = 10_000_000_000;

/// Units of a logarithmic return in 1.
const STEP_UNITS: f64 = 1e12;

/// Percentages told: of so many percent of the samples, none is larger (nearest rank).
const QUANTILES: [usize; 3] = [5, 50, 95];

#[derive(Clone, Copy, Debug)]
struct Sample {
    time_ns: i64,
    digits: i64,
    /// Logarithm of the price over the one before, in units of 10^-12.
    step: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    sum: i128,
    squares: i128,
}

impl Sums {
    fn add(&mut self, value: i64) {
        self.sum += i128::from(value);
        self.squares += i128::from(value) * i128::from(value);
    }

    fn remove(&mut self, value: i64) {
        self.sum -= i128::from(value);
        self.squares -= i128::from(value) * i128::from(value);
    }

    /// Sample standard deviation of `count` values, times the root of `over / under`, rounded half up.
    fn deviation(&self, count: usize, over: i128, under: i128) -> Option<i64> {
        let count = count as i128;
        let under = count.checked_mul(count - 1)?.checked_mul(under).filter(|under| *under > 0)?;
        let apart = count * self.squares - self.sum * self.sum;
        // Twice the root is cut, and its last half rounds.
        let (whole, rest) = (apart.checked_div(under)?, apart.checked_rem(under)?);
        let quadruple = whole.checked_mul(4 * over)? + (rest * 4 * over).checked_div(under)?;
        i64::try_from((quadruple.isqrt() + 1) / 2).ok()
    }
}

/// The samples of a symbol.
#[derive(Debug, Default)]
pub(super) struct Window {
    scale: u8,
    samples: VecDeque<Sample>,
    /// Number of the first of them, from the start of the symbol.
    first: u64,
    prices: Sums,
    steps: Sums,
    /// Numbers and prices that rise from the smallest, and fall from the largest.
    low: VecDeque<(u64, i64)>,
    high: VecDeque<(u64, i64)>,
}

/// What a window has to say. Prices have the window's scale; mean and deviation [`MORE_PLACES`] more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) time_ns: i64,
    pub(super) scale: u8,
    pub(super) count: usize,
    pub(super) mean: i64,
    pub(super) min: i64,
    pub(super) max: i64,
    pub(super) quantiles: [i64; 3],
    /// Of two samples at least.
    pub(super) deviation: Option<i64>,
    /// Last price over the first, less 1.
    pub(super) change: Option<i64>,
    /// Of three samples at least.
    pub(super) volatility: Option<i64>,
}

impl Window {
    /// Adds a price; those that are `span_ns` older leave. A time that goes back counts as that of the price before.
    /// Returns how many left early, or none where the price was refused.
    pub(super) fn push(&mut self, time_ns: i64, price: Amount, span_ns: i64) -> Option<u64> {
        let digits = self.fit(price)?;
        let time_ns = self.samples.back().map_or(time_ns, |last| last.time_ns.max(time_ns));
        let gone = time_ns.saturating_sub(span_ns);
        while self.samples.front().is_some_and(|oldest| oldest.time_ns <= gone) {
            self.pop();
        }
        let is_full = self.samples.len() >= SAMPLES_MAX;
        if is_full {
            self.pop();
        }
        let step = self.samples.back().map_or(0, |last| step(last.digits, digits));
        if !self.samples.is_empty() {
            self.steps.add(step);
        }
        self.prices.add(digits);
        let number = self.first + self.samples.len() as u64;
        while self.low.back().is_some_and(|(_, known)| *known >= digits) {
            self.low.pop_back();
        }
        while self.high.back().is_some_and(|(_, known)| *known <= digits) {
            self.high.pop_back();
        }
        self.low.push_back((number, digits));
        self.high.push_back((number, digits));
        self.samples.push_back(Sample { time_ns, digits, step });
        Some(u64::from(is_full))
    }

    /// The digits of a price at the common scale, which grows where the price is finer.
    fn fit(&mut self, price: Amount) -> Option<i64> {
        let scale = self.scale.max(price.scale);
        let fits = |digits: &i64| (1..=DIGITS_MAX).contains(digits);
        let digits = digits_at(price, scale).filter(fits).filter(|_| scale <= SCALE_MAX)?;
        if scale > self.scale {
            let factor = 10_i64.pow(u32::from(scale - self.scale));
            let highest = self.high.front().map_or(Some(1), |(_, digits)| digits.checked_mul(factor));
            highest.filter(fits)?;
            self.samples.iter_mut().for_each(|sample| sample.digits *= factor);
            self.low.iter_mut().chain(&mut self.high).for_each(|(_, digits)| *digits *= factor);
            self.prices.sum *= i128::from(factor);
            self.prices.squares *= i128::from(factor) * i128::from(factor);
            self.scale = scale;
        }
        Some(digits)
    }

    fn pop(&mut self) {
        let Some(oldest) = self.samples.pop_front() else { return };
        self.prices.remove(oldest.digits);
        if let Some(next) = self.samples.front() {
            // It led from a price that is no longer there.
            self.steps.remove(next.step);
        }
        for extremes in [&mut self.low, &mut self.high] {
            if extremes.front().is_some_and(|(number, _)| *number == self.first) {
                extremes.pop_front();
            }
        }
        self.first += 1;
    }

    /// What the window says, up to its last price.
    pub(super) fn figures(&self, scratch: &mut Vec<i64>) -> Option<Figures> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let count = self.samples.len();
        let ratio = |over: i128, under: i128| i64::try_from((2 * over + under).checked_div(2 * under)?).ok();
        scratch.clear();
        scratch.extend(self.samples.iter().map(|sample| sample.digits));
        let quantiles = QUANTILES.map(|percent| {
            let at = (percent * count).div_ceil(100) - 1;
            *scratch.select_nth_unstable(at).1
        });
        let change = ratio(i128::from(last.digits) * RATIO, i128::from(first.digits));
        Some(Figures {
            time_ns: last.time_ns,
            scale: self.scale,
            count,
            mean: ratio(self.prices.sum * MORE, count as i128)?,
            min: self.low.front()?.1,
            max: self.high.front()?.1,
            quantiles,
            deviation: self.prices.deviation(count, MORE * MORE, 1),
            change: change.map(|ratio| ratio - RATIO as i64),
            // From units of 10^-12 to ten places.
            volatility: self.steps.deviation(count - 1, 1, 10_000),
        })
    }
}

fn step(before: i64, digits: i64) -> i64 {
    let change = (digits - before) as f64 / before as f64;
    (change.ln_1p() * STEP_UNITS).round() as i64
}
