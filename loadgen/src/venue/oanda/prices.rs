//! Prices of a made-up or recorded OANDA instrument, as the stream and REST say them
//! (<https://developer.oanda.com/rest-live-v20/pricing-df/>).

use std::collections::VecDeque;

use tickline_feeds::clock::WallNanos;

use super::super::decimal::decimal;
use super::when;
use crate::generator::Walk;
use crate::prng::Prng;
use crate::replay::Quote;

/// Between the best price and the one at which a margin is closed out, in the last digit.
const CLOSEOUT: i64 = 5;

/// One side: price and liquidity, as text.
type Buckets = Vec<(String, u64)>;

#[derive(Debug)]
pub(super) struct Instrument {
    pub(super) walk: Walk,
    bids: Buckets,
    asks: Buckets,
    closeout: (String, String),
    at: WallNanos,
    recorded: Option<VecDeque<Quote>>,
    start: WallNanos,
    prng: Prng,
}

impl Instrument {
    pub(super) fn new(walk: Walk, prng: Prng) -> Self {
        let mut instrument = Self {
            walk,
            bids: Vec::new(),
            asks: Vec::new(),
            closeout: (String::new(), String::new()),
            at: WallNanos(0),
            recorded: None,
            start: WallNanos(0),
            prng,
        };
        instrument.walked();
        instrument
    }

    /// Gives these quotes instead of made-up ones.
    pub(super) fn record(&mut self, quotes: Vec<Quote>) {
        let mut all: Vec<Quote> = self.recorded.take().unwrap_or_default().into();
        all.extend(quotes);
        all.sort_by_key(|quote| quote.at);
        if let Some(first) = all.first().cloned() {
            self.start = first.at;
            self.quote(&first);
        }
        self.recorded = Some(all.into());
    }

    /// When the next quote came, or the last one, ns after the first; none for made-up ones.
    pub(super) fn due_ns(&self) -> Option<u64> {
        let next = self.recorded.as_ref()?.front().map_or(self.at, |quote| quote.at);
        Some(next.0.saturating_sub(self.start.0).unsigned_abs())
    }

    /// The next price; false at the end of what was recorded.
    pub(super) fn make(&mut self, at: WallNanos) -> bool {
        match &mut self.recorded {
            Some(quotes) => {
                let Some(quote) = quotes.pop_front() else { return false };
                self.quote(&quote);
            }
            None => {
                self.walk.step(&mut self.prng);
                self.walked();
                self.at = at;
            }
        }
        true
    }

    fn quote(&mut self, quote: &Quote) {
        self.bids = vec![(quote.bid.clone(), 10_000_000)];
        self.asks = vec![(quote.ask.clone(), 10_000_000)];
        self.closeout = (quote.bid.clone(), quote.ask.clone());
        self.at = quote.at;
    }

    /// Once in ten times two buckets a side, now and then with the better one last.
    fn walked(&mut self) {
        let Walk { price, digits, .. } = self.walk;
        let (bid, ask) = (price, price + self.prng.between(8, 20));
        let mut buckets = vec![(0, 10_000_000)];
        if self.prng.one_in(10) {
            buckets = vec![(0, 1_000_000), (3, 10_000_000)];
            if self.prng.one_in(2) {
                buckets.reverse();
            }
        }
        let side = |best: i64, away: i64| -> Buckets {
            let side =
                buckets.iter().map(|(distance, size)| (decimal(best + away * distance, digits), *size));
            side.collect()
        };
        (self.bids, self.asks) = (side(bid, -1), side(ask, 1));
        self.closeout = (decimal(bid - CLOSEOUT, digits), decimal(ask + CLOSEOUT, digits));
    }

    /// The message of the stream; `further` stands before the instrument. A price that was never sent is of now.
    pub(super) fn price(&self, unix: bool, now: WallNanos, further: &str) -> String {
        let at = if self.at.0 == 0 { now } else { self.at };
        let side = |buckets: &Buckets| {
            let buckets = buckets.iter();
            let buckets =
                buckets.map(|(price, size)| format!("{{\"price\":\"{price}\",\"liquidity\":{size}}}"));
            buckets.collect::<Vec<String>>().join(",")
        };
        format!(
            "{{\"type\":\"PRICE\",\"time\":\"{}\",\"bids\":[{}],\"asks\":[{}],\"closeoutBid\":\"{}\",\"closeoutAsk\":\"{}\",\
             \"status\":\"tradeable\",\"tradeable\":true,{further}\"instrument\":\"{}\"}}",
            when(at, unix),
            side(&self.bids),
            side(&self.asks),
            self.closeout.0,
            self.closeout.1,
            self.walk.name
        )
    }

    /// What `/instruments` says of it.
    pub(super) fn description(&self) -> String {
        let Walk { name, digits, .. } = &self.walk;
        let pip = 1 - i64::from(*digits);
        format!(
            "{{\"name\":\"{name}\",\"type\":\"CURRENCY\",\"displayName\":\"{}\",\"pipLocation\":{pip},\"displayPrecision\":{digits},\
             \"tradeUnitsPrecision\":0,\"minimumTradeSize\":\"1\",\"maximumOrderUnits\":\"100000000\",\"marginRate\":\"0.02\"}}",
            name.replace('_', "/")
        )
    }
}
