//! Kraken top of book, as the Kraken publisher sends it: the complete ten best levels a side with the venue's
//! checksum (CRC-32 over the digits of asks and then bids, price and quantity, points and leading zeros left out;
//! <https://docs.kraken.com/api/docs/guides/spot-ws-book-v2>).

use tickline_feeds::payload::{PayloadWriter, append_digits};

use super::Slot;
use super::pairs::{self, Walk};
use super::symbols::Symbols;
use crate::prng::Prng;
use crate::ties::Series;

/// Digits of an amount.
const QTY_DIGITS: u8 = 8;

/// Levels a side.
const LEVELS: usize = 10;

#[derive(Debug)]
pub(super) struct KrakenDepth {
    books: Vec<Book>,
    symbols: Symbols,
    prng: Prng,
    digits: Vec<u8>,
}

/// A side holds (price, quantity), best first; `away` is +1 for asks and -1 for bids.
#[derive(Debug)]
struct Side {
    levels: [(i64, i64); LEVELS],
    away: i64,
}

#[derive(Debug)]
struct Book {
    walk: Walk,
    bids: Side,
    asks: Side,
    series: Series,
}

impl Side {
    fn new(best: i64, away: i64, prng: &mut Prng) -> Self {
        let mut price = best;
        let levels = std::array::from_fn(|_| {
            let level = (price, amount(prng));
            price += away * prng.between(1, 6);
            level
        });
        Self { levels, away }
    }

    fn best(&self) -> i64 {
        self.levels[0].0
    }

    fn remove_best(&mut self, prng: &mut Prng) {
        self.levels.rotate_left(1);
        let last = self.levels[LEVELS - 2].0 + self.away * prng.between(1, 6);
        self.levels[LEVELS - 1] = (last, amount(prng));
    }

    fn add_best(&mut self, price: i64, prng: &mut Prng) {
        self.levels.rotate_right(1);
        self.levels[0] = (price, amount(prng));
    }

    fn change(&mut self, prng: &mut Prng) {
        self.levels[prng.below(LEVELS)].1 = amount(prng);
    }
}

fn amount(prng: &mut Prng) -> i64 {
    prng.between(5_100, 300_000_000)
}

impl Book {
    fn new(walk: Walk, prng: &mut Prng) -> Self {
        let asks = Side::new(walk.price, 1, prng);
        let bids = Side::new(walk.price - prng.between(1, 3), -1, prng);
        Self { walk, bids, asks, series: Series::default() }
    }

    /// 7 of 10: one to three quantities change. Else the best level of a side goes, or a better one comes where
    /// the spread leaves room.
    fn change(&mut self, prng: &mut Prng) {
        let event = prng.below(10);
        let (near, far) =
            if prng.one_in(2) { (&mut self.bids, &self.asks) } else { (&mut self.asks, &self.bids) };
        if event < 7 {
            for _ in 0..prng.between(1, 3) {
                near.change(prng);
            }
        } else if event < 9 && (near.best() - far.best()).abs() > 1 {
            let better = near.best() - near.away;
            near.add_best(better, prng);
        } else {
            near.remove_best(prng);
        }
    }

    fn checksum(&self, digits: &mut Vec<u8>) -> u32 {
        digits.clear();
        for (price, quantity) in self.asks.levels.iter().chain(&self.bids.levels) {
            append_digits(price.unsigned_abs(), digits);
            append_digits(quantity.unsigned_abs(), digits);
        }
        crc32fast::hash(digits)
    }
}

impl KrakenDepth {
    pub(super) fn new(symbols: Symbols, mut prng: Prng) -> Self {
        let books =
            pairs::kraken(symbols.count()).into_iter().map(|walk| Book::new(walk, &mut prng)).collect();
        Self { books, symbols, prng, digits: Vec::new() }
    }

    pub(super) fn write(&mut self, slot: &Slot, out: &mut PayloadWriter) {
        let chosen = self.symbols.next(slot, &mut self.prng);
        let book = &mut self.books[chosen];
        book.change(&mut self.prng);
        let tie = book.series.next(slot.venue.0.div_euclid(1_000));
        out.begin(&slot.reserved(tie), 5);
        out.text("symbol");
        out.text(&book.walk.name);
        out.text("timestamp");
        out.rfc3339(slot.venue, 6);
        out.text("checksum");
        out.uint(u64::from(book.checksum(&mut self.digits)));
        for (key, side) in [("bids", &book.bids), ("asks", &book.asks)] {
            out.text(key);
            out.array(LEVELS as u32);
            for (price, quantity) in side.levels {
                out.array(2);
                out.decimal(price, book.walk.digits);
                out.decimal(quantity, QTY_DIGITS);
            }
        }
    }
}
