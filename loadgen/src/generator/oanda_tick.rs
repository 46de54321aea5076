//! OANDA v20 PRICE: one bucket a side, once in ten times two. The stream's contract is at most four prices a
//! second an instrument, in windows of 250 ms
//! (<https://developer.oanda.com/rest-live-v20/pricing-ep/>).

use tickline_feeds::payload::PayloadWriter;

use super::Slot;
use super::pairs::{self, Walk};
use super::symbols::{Spacing, Symbols};
use crate::prng::Prng;
use crate::ties::Series;

/// The venue sends one price of an instrument in 250 ms.
pub(crate) const OANDA_GAP_NS: u64 = 250_000_000;

#[derive(Debug)]
pub(super) struct OandaTick {
    instruments: Vec<(Walk, Series)>,
    symbols: Symbols,
    spacing: Spacing,
    prng: Prng,
}

impl OandaTick {
    pub(super) fn new(symbols: Symbols, prng: Prng) -> Self {
        let walks = pairs::oanda(symbols.count()).into_iter();
        let instruments: Vec<_> = walks.map(|walk| (walk, Series::default())).collect();
        let spacing = Spacing::new(instruments.len(), OANDA_GAP_NS);
        Self { instruments, symbols, spacing, prng }
    }

    pub(super) fn write(&mut self, slot: &Slot, out: &mut PayloadWriter) {
        let prng = &mut self.prng;
        let chosen = self.spacing.choose(self.symbols.next(slot, prng), slot);
        let (walk, series) = &mut self.instruments[chosen];
        walk.step(prng);
        let (bid, ask) = (walk.price, walk.price + prng.between(8, 20));
        let buckets: &[(i64, u64)] =
            if prng.one_in(10) { &[(0, 1_000_000), (3, 10_000_000)] } else { &[(0, 10_000_000)] };
        out.begin(&slot.reserved(series.next(slot.venue.0)), 9);
        out.text("type");
        out.text("PRICE");
        out.text("time");
        out.rfc3339(slot.venue, 9);
        for (key, best, away) in [("bids", bid, -1), ("asks", ask, 1)] {
            out.text(key);
            out.array(buckets.len() as u32);
            for (distance, liquidity) in buckets {
                out.map(2);
                out.text("price");
                out.decimal(best + away * distance, walk.digits);
                out.text("liquidity");
                out.uint(*liquidity);
            }
        }
        out.text("closeoutBid");
        out.decimal(bid - 5, walk.digits);
        out.text("closeoutAsk");
        out.decimal(ask + 5, walk.digits);
        out.text("status");
        out.text("tradeable");
        out.text("tradeable");
        out.bool(true);
        out.text("instrument");
        out.text(&walk.name);
    }
}
