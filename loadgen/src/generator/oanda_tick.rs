//! OANDA v20 PRICE: one bucket a side, once in ten times two.

use tickline_feeds::payload::PayloadWriter;

use super::pairs::{self, Walk};
use super::{Runs, Slot};
use crate::prng::Prng;
use crate::ties::Series;

#[derive(Debug)]
pub(super) struct OandaTick {
    instruments: Vec<(Walk, Series)>,
    runs: Runs,
    prng: Prng,
}

impl OandaTick {
    pub(super) fn new(symbols: usize, prng: Prng) -> Self {
        let instruments = pairs::oanda(symbols).into_iter().map(|walk| (walk, Series::default())).collect();
        Self { instruments, runs: Runs::default(), prng }
    }

    pub(super) fn write(&mut self, slot: &Slot, out: &mut PayloadWriter) {
        let prng = &mut self.prng;
        let chosen = self.runs.next(self.instruments.len(), prng);
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
