//! Betfair `mcm`: first one SUB_IMAGE of all markets, then deltas of one market each. Once in 2,000 deltas a
//! market is suspended; its next message opens it again.

use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::PayloadWriter;

use super::betfair_ladder::{PRICES, classic};
use super::betfair_market::{Change, Market};
use super::{Runs, Slot};
use crate::prng::Prng;

/// Deltas between two suspensions, on average.
const SUSPENSION_EVERY: usize = 2_000;

#[derive(Debug)]
pub(super) struct BetfairStream {
    markets: Vec<Market>,
    prices: Vec<i64>,
    image_sent: bool,
    runs: Runs,
    prng: Prng,
    changes: Vec<Change>,
}

impl BetfairStream {
    pub(super) fn new(markets: usize, mut prng: Prng) -> Self {
        Self {
            markets: (0..markets).map(|number| Market::new(number, &mut prng)).collect(),
            prices: classic(),
            image_sent: false,
            runs: Runs::default(),
            prng,
            changes: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, slot: &Slot, out: &mut PayloadWriter) {
        if !self.image_sent {
            self.image_sent = true;
            return self.write_image(slot, out);
        }
        let chosen = self.runs.next(self.markets.len(), &mut self.prng);
        let market = &mut self.markets[chosen];
        if market.suspended || self.prng.one_in(SUSPENSION_EVERY) {
            market.toggle(&mut self.prng);
            self.write_definition(chosen, slot, out);
        } else {
            self.write_changes(chosen, slot, out);
        }
    }

    /// The keys around the markets' changes: `further` counts what follows `pt`.
    fn begin(prng: &mut Prng, (tie, further): (u32, u16), slot: &Slot, out: &mut PayloadWriter) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bits = prng.bits();
        let clk: [u8; 8] = std::array::from_fn(|_| {
            let letter = ALPHABET[(bits % 64) as usize];
            bits /= 64;
            letter
        });
        out.begin(&slot.reserved(tie), 4 + further);
        out.text("op");
        out.text("mcm");
        out.text("id");
        out.uint(2);
        out.text("clk");
        out.text(std::str::from_utf8(&clk).unwrap_or("AAAAAAAA"));
        out.text("pt");
        out.int(millis(slot.venue));
    }

    fn write_image(&mut self, slot: &Slot, out: &mut PayloadWriter) {
        Self::begin(&mut self.prng, (0, 3), slot, out);
        out.text("initialClk");
        out.text("AAAAAAAA");
        out.text("ct");
        out.text("SUB_IMAGE");
        out.text("mc");
        out.array(self.markets.len() as u32);
        for market in &mut self.markets {
            market.write_image(&self.prices, out);
            // Up to two points of a runner: its image and the market's status.
            market.runners.iter_mut().for_each(|runner| runner.series.take(millis(slot.venue), 0, 2));
        }
    }

    /// A changed definition makes a point of each runner.
    fn write_definition(&mut self, chosen: usize, slot: &Slot, out: &mut PayloadWriter) {
        let market = &mut self.markets[chosen];
        let time = millis(slot.venue);
        let tie = market.runners.iter().map(|runner| runner.series.used_at(time)).max().unwrap_or(0);
        market.runners.iter_mut().for_each(|runner| runner.series.take(time, tie, 1));
        Self::begin(&mut self.prng, (tie, 1), slot, out);
        out.text("mc");
        out.array(1);
        out.map(2);
        out.text("id");
        out.text(&market.id);
        market.write_definition(out);
    }

    /// Mostly one runner, once in four times up to four, each of them once.
    fn write_changes(&mut self, chosen: usize, slot: &Slot, out: &mut PayloadWriter) {
        let market = &mut self.markets[chosen];
        let time = millis(slot.venue);
        self.changes.clear();
        let first = self.prng.below(market.runners.len());
        let runners = if self.prng.one_in(4) { self.prng.between(2, 4) as usize } else { 1 };
        for position in first..first + runners {
            let chosen = position % market.runners.len();
            self.changes.push(market.change(chosen, &mut self.prng, PRICES));
        }
        let used = |change: &Change| market.runners[change.runner].series.used_at(time);
        let tie = self.changes.iter().map(used).max().unwrap_or(0);
        for change in &self.changes {
            market.runners[change.runner].series.take(time, tie, 1);
        }
        Self::begin(&mut self.prng, (tie, 1), slot, out);
        out.text("mc");
        out.array(1);
        out.map(2);
        out.text("id");
        out.text(&market.id);
        out.text("rc");
        out.array(self.changes.len() as u32);
        for change in &self.changes {
            market.write_change(change, &self.prices, out);
        }
    }
}

fn millis(time: WallNanos) -> i64 {
    time.0.div_euclid(1_000_000)
}
