//! A book of a made-up Kraken pair, deeper than any subscription, and what of its changes a subscriber of some depth is
//! told: no removal for a level that is pushed out, the level that moves up where one goes, and the checksum
//! (<https://docs.kraken.com/api/docs/guides/spot-ws-book-v2>).

use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::{append_digits, rfc3339};

use super::super::decimal::decimal;
use super::QTY_DIGITS;
use crate::generator::Walk;
use crate::prng::Prng;

/// Depths that can be subscribed to.
pub(super) const DEPTHS: [usize; 5] = [10, 25, 100, 500, 1_000];

/// Levels that the checksum covers.
const TOP: usize = 10;

/// Levels that a side keeps.
const KEPT: usize = 1_040;

/// One change of a level, in units of the last digits; quantity 0 removes it.
type Change = (i64, i64);

/// A side holds (price, quantity), best first; `away` is +1 for asks and -1 for bids.
#[derive(Debug)]
struct Side {
    levels: Vec<(i64, i64)>,
    away: i64,
    changes: Vec<Change>,
    /// The worst price of each depth before the changes.
    edges: [i64; DEPTHS.len()],
}

#[derive(Debug)]
pub(super) struct Book {
    symbol: String,
    digits: u8,
    bids: Side,
    asks: Side,
    at: WallNanos,
    prng: Prng,
}

impl Side {
    fn new(best: i64, away: i64, prng: &mut Prng) -> Self {
        let mut side = Self { levels: vec![(best, amount(prng))], away, changes: Vec::new(), edges: [0; 5] };
        side.refill(prng);
        side
    }

    /// New levels far away, for those that went.
    fn refill(&mut self, prng: &mut Prng) {
        while self.levels.len() < KEPT {
            let (last, _) = self.levels.last().copied().unwrap_or_default();
            // A bid must stay above 0.
            let step = if self.away > 0 || last > 6 * KEPT as i64 { prng.between(1, 6) } else { 1 };
            self.levels.push((last + self.away * step, amount(prng)));
        }
    }

    fn best(&self) -> i64 {
        self.levels.first().map_or(0, |(price, _)| *price)
    }

    /// `price` is at least as good as `edge`.
    fn is_within(&self, price: i64, edge: i64) -> bool {
        (price - edge) * self.away <= 0
    }

    fn edge(&self, depth: usize) -> i64 {
        self.levels.get(depth - 1).map_or(0, |(price, _)| *price)
    }

    fn begin(&mut self) {
        self.changes.clear();
        self.edges = DEPTHS.map(|depth| self.edge(depth));
    }

    fn set(&mut self, price: i64, quantity: i64) {
        let away = self.away;
        let place = self.levels.binary_search_by_key(&(price * away), |(kept, _)| kept * away);
        match place {
            Ok(at) if quantity == 0 => drop(self.levels.remove(at)),
            Ok(at) => self.levels[at].1 = quantity,
            Err(at) => self.levels.insert(at, (price, quantity)),
        }
        self.changes.push((price, quantity));
    }

    /// Of ten: 6 times a quantity changes, 2 times a level goes, 2 times one comes, where there is room for it; of the
    /// `reach` best ones.
    fn change(&mut self, other: i64, reach: usize, prng: &mut Prng) {
        let event = prng.below(10);
        let place = prng.below(reach).min(prng.below(reach));
        let (price, _) = self.levels[place];
        let better = if place == 0 { other } else { self.levels[place - 1].0 };
        let room = (price - better).abs() - 1;
        if (6..8).contains(&event) {
            self.set(price, 0);
        } else if event >= 8 && room > 0 {
            self.set(price - self.away * prng.between(1, room), amount(prng));
        } else {
            self.set(price, amount(prng));
            if prng.one_in(60) {
                self.set(price, amount(prng));
            }
        }
    }

    /// What a subscriber is told.
    fn seen(&self, depth: usize) -> Vec<Change> {
        let position = DEPTHS.iter().position(|known| *known == depth).unwrap_or(0);
        let (before, after) = (self.edges[position], self.edge(depth));
        let mut seen: Vec<Change> = Vec::new();
        for (price, quantity) in self.changes.iter().copied() {
            let is_seen = self.is_within(price, after) || (quantity == 0 && self.is_within(price, before));
            if is_seen {
                seen.push((price, quantity));
            }
        }
        let moved_up =
            self.levels[..depth].iter().rev().take_while(|(price, _)| !self.is_within(*price, before));
        for level in moved_up {
            if !seen.iter().any(|(price, quantity)| *price == level.0 && *quantity > 0) {
                seen.push(*level);
            }
        }
        seen
    }
}

fn amount(prng: &mut Prng) -> i64 {
    prng.between(5_100, 300_000_000)
}

impl Book {
    pub(super) fn new(walk: &Walk, mut prng: Prng) -> Self {
        let asks = Side::new(walk.price, 1, &mut prng);
        let bids = Side::new(walk.price - prng.between(1, 3), -1, &mut prng);
        Self { symbol: walk.name.clone(), digits: walk.digits, bids, asks, at: WallNanos(0), prng }
    }

    /// One to three levels change; the first of them in sight of every subscriber.
    pub(super) fn change(&mut self, at: WallNanos) {
        self.at = at;
        self.bids.begin();
        self.asks.begin();
        for number in 0..self.prng.between(1, 3) {
            let reach = if number > 0 && self.prng.one_in(6) { 100 } else { TOP };
            let (near, far) = if self.prng.one_in(2) {
                (&mut self.bids, self.asks.best())
            } else {
                (&mut self.asks, self.bids.best())
            };
            near.change(far, reach, &mut self.prng);
        }
        self.bids.refill(&mut self.prng);
        self.asks.refill(&mut self.prng);
    }

    fn checksum(&self) -> u32 {
        let mut digits = Vec::with_capacity(400);
        for (price, quantity) in self.asks.levels.iter().take(TOP).chain(self.bids.levels.iter().take(TOP)) {
            append_digits(price.unsigned_abs(), &mut digits);
            append_digits(quantity.unsigned_abs(), &mut digits);
        }
        crc32fast::hash(&digits)
    }

    /// What was last changed, for a subscriber of this depth.
    pub(super) fn update(&self, depth: usize) -> String {
        self.message("update", &self.bids.seen(depth), &self.asks.seen(depth))
    }

    /// The best levels.
    pub(super) fn snapshot(&self, depth: usize, at: WallNanos) -> String {
        let now = WallNanos(if self.at.0 == 0 { at.0 } else { self.at.0 });
        let (bids, asks) = (&self.bids.levels[..depth], &self.asks.levels[..depth]);
        Message { book: self, at: now }.text("snapshot", bids, asks)
    }

    fn message(&self, kind: &str, bids: &[Change], asks: &[Change]) -> String {
        Message { book: self, at: self.at }.text(kind, bids, asks)
    }

    /// REST `Depth`: prices and quantities as text, and when.
    pub(super) fn rest(&self, count: usize, at: WallNanos) -> String {
        let seconds = at.0.div_euclid(1_000_000_000);
        let side = |side: &Side| {
            let levels = side.levels.iter().take(count).map(|(price, quantity)| {
                format!(
                    "[\"{}\",\"{}\",{seconds}]",
                    decimal(*price, self.digits),
                    // Three digits behind the point.
                    decimal((quantity / 100_000).max(1), 3)
                )
            });
            levels.collect::<Vec<String>>().join(",")
        };
        format!("{{\"asks\":[{}],\"bids\":[{}]}}", side(&self.asks), side(&self.bids))
    }
}

struct Message<'a> {
    book: &'a Book,
    at: WallNanos,
}

impl Message<'_> {
    fn text(&self, kind: &str, bids: &[Change], asks: &[Change]) -> String {
        let Book { symbol, digits, .. } = self.book;
        let side = |levels: &[Change]| {
            let levels = levels.iter().map(|(price, quantity)| {
                let (price, quantity) = (decimal(*price, *digits), decimal(*quantity, QTY_DIGITS));
                format!("{{\"price\":{price},\"qty\":{quantity}}}")
            });
            levels.collect::<Vec<String>>().join(",")
        };
        format!(
            "{{\"channel\":\"book\",\"type\":\"{kind}\",\"data\":[{{\"symbol\":\"{symbol}\",\"bids\":[{}],\"asks\":[{}],\
             \"checksum\":{},\"timestamp\":\"{}\"}}]}}",
            side(bids),
            side(asks),
            self.book.checksum(),
            rfc3339(self.at, 6)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::generator::kraken_walks;

    /// A subscriber's own book: told changes, cut to its depth.
    fn apply(side: &mut BTreeMap<i64, i64>, away: i64, seen: &[Change], depth: usize) {
        for (price, quantity) in seen {
            match quantity {
                0 => drop(side.remove(&(price * away))),
                _ => drop(side.insert(price * away, *quantity)),
            }
        }
        while side.len() > depth {
            side.pop_last();
        }
    }

    #[test]
    fn a_subscriber_of_any_depth_has_the_best_levels_after_each_update() {
        let walk = kraken_walks(&["BTC/USD".to_owned()]).remove(0);
        let mut book = Book::new(&walk, Prng::new(7));
        let keyed = |side: &Side, depth: usize| -> BTreeMap<i64, i64> {
            side.levels[..depth].iter().map(|(price, quantity)| (price * side.away, *quantity)).collect()
        };
        let mut theirs = DEPTHS.map(|depth| (keyed(&book.bids, depth), keyed(&book.asks, depth)));
        let (mut removals, mut entries, mut unordered) = (0, 0, 0);
        for _ in 0..2_000 {
            book.change(WallNanos(1));
            for (depth, (bids, asks)) in DEPTHS.into_iter().zip(&mut theirs) {
                let (seen_bids, seen_asks) = (book.bids.seen(depth), book.asks.seen(depth));
                assert!(!seen_bids.is_empty() || !seen_asks.is_empty());
                apply(bids, -1, &seen_bids, depth);
                apply(asks, 1, &seen_asks, depth);
                assert_eq!(
                    (&*bids, &*asks),
                    (&keyed(&book.bids, depth), &keyed(&book.asks, depth)),
                    "{depth}"
                );
                if depth == TOP {
                    removals +=
                        seen_bids.iter().chain(&seen_asks).filter(|(_, quantity)| *quantity == 0).count();
                    entries += seen_bids.len() + seen_asks.len();
                    unordered += usize::from(!seen_asks.is_sorted());
                }
            }
            assert!(book.bids.best() < book.asks.best());
        }
        // Recorded: 14 to 25 of 100 entries remove.
        assert!((0.10..0.25).contains(&(removals as f64 / entries as f64)), "{removals} of {entries}");
        assert!(unordered > 0);
    }
}
