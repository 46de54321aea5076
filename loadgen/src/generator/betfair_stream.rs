//! Betfair `mcm`: first one SUB_IMAGE of all markets, then deltas of one market each. Once in 2,000 deltas a
//! market is suspended; its next message opens it again. Conflated, a market sends at most one message in the
//! time asked for, with `con` and several changes of each of its runners.

use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::PayloadWriter;

use super::Slot;
use super::betfair_ladder::{PRICES, classic};
use super::betfair_market::{Change, Market};
use super::symbols::{Spacing, Symbols};
use crate::prng::Prng;

/// Deltas between two suspensions, on average.
const SUSPENSION_EVERY: usize = 2_000;

/// Changes of a runner in one conflated message.
const CONFLATED_CHANGES: (i64, i64) = (4, 16);

#[derive(Debug)]
pub(super) struct BetfairStream {
    markets: Vec<Market>,
    prices: Vec<i64>,
    image_sent: bool,
    symbols: Symbols,
    conflated: Option<Conflated>,
    prng: Prng,
    changes: Vec<Change>,
}

/// What the subscription asked for.
#[derive(Debug)]
struct Conflated {
    millis: u64,
    spacing: Spacing,
}

impl BetfairStream {
    /// `conflate_ns`: at most one message of a market in this time; none: each change as it comes.
    pub(super) fn new(symbols: Symbols, conflate_ns: Option<u64>, mut prng: Prng) -> Self {
        let markets = symbols.count();
        let conflated = conflate_ns
            .map(|gap_ns| Conflated { millis: gap_ns / 1_000_000, spacing: Spacing::new(markets, gap_ns) });
        Self {
            markets: (0..markets).map(|number| Market::new(number, &mut prng)).collect(),
            prices: classic(),
            image_sent: false,
            symbols,
            conflated,
            prng,
            changes: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, slot: &Slot, out: &mut PayloadWriter) {
        if !self.image_sent {
            self.image_sent = true;
            return self.write_image(slot, out);
        }
        let mut chosen = self.symbols.next(slot, &mut self.prng);
        if let Some(conflated) = &mut self.conflated {
            chosen = conflated.spacing.choose(chosen, slot);
        }
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
        let conflated = self.conflated.as_ref().map(|conflated| conflated.millis);
        Self::begin(&mut self.prng, (0, 3 + u16::from(conflated.is_some())), slot, out);
        if let Some(millis) = conflated {
            out.text("conflateMs");
            out.uint(millis);
        }
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

    /// Mostly one runner, once in four times up to four, each of them once. Conflated: all of them, each with what
    /// has happened to it meanwhile (recorded at 1 s: 146 changed levels a message).
    fn write_changes(&mut self, chosen: usize, slot: &Slot, out: &mut PayloadWriter) {
        let market = &mut self.markets[chosen];
        let time = millis(slot.venue);
        self.changes.clear();
        let first = self.prng.below(market.runners.len());
        let (runners, changes) = match self.conflated {
            Some(_) => (market.runners.len(), CONFLATED_CHANGES),
            None if self.prng.one_in(4) => (self.prng.between(2, 4) as usize, (1, 1)),
            None => (1, (1, 1)),
        };
        for position in first..first + runners {
            let chosen = position % market.runners.len();
            let mut change = market.change(chosen, &mut self.prng, PRICES);
            for _ in 1..self.prng.between(changes.0, changes.1) {
                change.follow(market.change(chosen, &mut self.prng, PRICES));
            }
            self.changes.push(change);
        }
        let used = |change: &Change| market.runners[change.runner].series.used_at(time);
        let tie = self.changes.iter().map(used).max().unwrap_or(0);
        for change in &self.changes {
            market.runners[change.runner].series.take(time, tie, 1);
        }
        Self::begin(&mut self.prng, (tie, 1), slot, out);
        out.text("mc");
        out.array(1);
        out.map(2 + u32::from(self.conflated.is_some()));
        out.text("id");
        out.text(&market.id);
        if self.conflated.is_some() {
            out.text("con");
            out.bool(true);
        }
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
