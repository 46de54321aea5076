//! Betfair's CLASSIC price ladder and one side of a runner's offers on it.

use tickline_feeds::payload::PayloadWriter;

use crate::prng::Prng;

/// Bands of the ladder: up to this price, in steps of this size, hundredths
/// (<https://betfair-developer-docs.atlassian.net/wiki/spaces/1smk3cen4v3lu3yomq5qye0ni/pages/2691077>).
const BANDS: [(i64, i64); 10] = [
    (200, 1),
    (300, 2),
    (400, 5),
    (600, 10),
    (1_000, 20),
    (2_000, 50),
    (3_000, 100),
    (5_000, 200),
    (10_000, 500),
    (100_000, 1_000),
];

/// Lowest price, hundredths.
const LOWEST: i64 = 101;

/// Prices of the ladder.
pub(crate) const PRICES: usize = 350;

/// Offers that a side keeps.
pub(crate) const DEPTH: usize = 8;

/// All prices, hundredths, from low to high.
pub(crate) fn classic() -> Vec<i64> {
    let mut prices = Vec::with_capacity(PRICES);
    let mut price = LOWEST;
    for (end, step) in BANDS {
        while price < end {
            prices.push(price);
            price += step;
        }
    }
    prices.push(price);
    prices
}

/// Writes a decimal in hundredths with as few digits as it needs, as the venue does.
pub(super) fn shortest(hundredths: i64, out: &mut PayloadWriter) {
    match (hundredths % 10, hundredths % 100) {
        (_, 0) => out.decimal(hundredths / 100, 0),
        (0, _) => out.decimal(hundredths / 10, 1),
        _ => out.decimal(hundredths, 2),
    }
}

/// One change of a ladder: position of the price and the new size; size 0 removes.
pub(crate) type Offer = (usize, i64);

/// Offers at consecutive prices, best first; `away` is -1 for back and +1 for lay.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    best: i64,
    away: i64,
    sizes: [i64; DEPTH],
}

impl Side {
    pub(super) fn new(best: usize, away: i64, prng: &mut Prng) -> Self {
        Self { best: best as i64, away, sizes: std::array::from_fn(|_| size(prng)) }
    }

    /// Position of the best price.
    pub(crate) fn best(&self) -> usize {
        self.best as usize
    }

    fn offer(&self, level: usize) -> Offer {
        ((self.best + self.away * level as i64) as usize, self.sizes[level])
    }

    /// All offers.
    pub(crate) fn offers(&self) -> impl Iterator<Item = Offer> + '_ {
        (0..DEPTH).map(|level| self.offer(level))
    }

    /// A new size at one level.
    pub(super) fn change(&mut self, prng: &mut Prng) -> Offer {
        let level = prng.below(DEPTH).min(prng.below(DEPTH));
        self.sizes[level] = size(prng);
        self.offer(level)
    }

    /// The best offer goes and one appears behind the last.
    pub(super) fn retreat(&mut self, prng: &mut Prng) -> [Offer; 2] {
        let gone = (self.best(), 0);
        self.best += self.away;
        self.sizes.rotate_left(1);
        self.sizes[DEPTH - 1] = size(prng);
        [gone, self.offer(DEPTH - 1)]
    }

    /// A better offer comes and the last one goes.
    pub(super) fn advance(&mut self, prng: &mut Prng) -> [Offer; 2] {
        let gone = (self.offer(DEPTH - 1).0, 0);
        self.best -= self.away;
        self.sizes.rotate_right(1);
        self.sizes[0] = size(prng);
        [self.offer(0), gone]
    }
}

/// A stake in hundredths: mostly small, sometimes large.
fn size(prng: &mut Prng) -> i64 {
    if prng.one_in(8) { prng.between(20_000, 900_000) } else { prng.between(200, 20_000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classic_ladder_has_its_350_prices() {
        let prices = classic();
        assert_eq!(prices.len(), PRICES);
        assert_eq!((prices[0], prices[99], prices[100], prices[349]), (101, 200, 202, 100_000));
        assert!(prices.is_sorted());
    }

    #[test]
    fn a_price_has_as_few_digits_as_it_needs() {
        for (hundredths, text) in [(2_000, "20"), (1_050, "10.5"), (268, "2.68"), (5, "0.05"), (0, "0")] {
            let mut out = PayloadWriter::default();
            shortest(hundredths, &mut out);
            assert_eq!(&out.bytes()[1..], text.as_bytes());
        }
    }
}
