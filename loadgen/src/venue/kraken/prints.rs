//! Trades and tickers of a made-up Kraken pair. Trade ids are in order without holes, and the trades that were made are
//! kept for REST.

use std::collections::VecDeque;

use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::rfc3339;

use super::super::decimal::decimal;
use super::QTY_DIGITS;
use crate::generator::Walk;
use crate::prng::Prng;

/// Trades that are kept.
const KEPT: usize = 200_000;

/// Trades of a snapshot.
const SNAPSHOT: usize = 50;

/// Trades of one REST answer.
const PAGE: usize = 1_000;

#[derive(Clone, Copy, Debug)]
struct Trade {
    id: u64,
    is_buy: bool,
    is_market: bool,
    price: i64,
    quantity: i64,
    at: WallNanos,
}

#[derive(Debug)]
pub(super) struct Trades {
    walk: Walk,
    next_id: u64,
    kept: VecDeque<Trade>,
    last: usize,
    at: WallNanos,
    prng: Prng,
}

impl Trades {
    pub(super) fn new(walk: &Walk, mut prng: Prng) -> Self {
        let next_id = prng.between(1_000_000, 90_000_000) as u64;
        Self { walk: walk.clone(), next_id, kept: VecDeque::new(), last: 0, at: WallNanos(0), prng }
    }

    /// One taker's order: one to three trades.
    pub(super) fn make(&mut self, at: WallNanos) -> u64 {
        // Two trades of one pair never share their microsecond, so that REST can be asked from any of them on.
        self.at = WallNanos(at.0.max(self.at.0 + 1_000));
        self.walk.step(&mut self.prng);
        let (is_buy, is_market) = (self.prng.one_in(2), self.prng.one_in(3));
        self.last = if self.prng.one_in(4) { 2 + self.prng.below(2) } else { 1 };
        for level in 0..self.last as i64 {
            let price = self.walk.price + if is_buy { level } else { -level };
            let quantity = self.prng.between(1_000, 90_000_000);
            self.kept.push_back(Trade { id: self.next_id, is_buy, is_market, price, quantity, at: self.at });
            self.next_id += 1;
            self.at.0 += 1_000;
        }
        self.at.0 -= 1_000;
        while self.kept.len() > KEPT {
            self.kept.pop_front();
        }
        self.last as u64
    }

    pub(super) fn update(&self) -> String {
        self.message("update", self.last)
    }

    pub(super) fn snapshot(&self) -> String {
        self.message("snapshot", SNAPSHOT)
    }

    fn message(&self, kind: &str, count: usize) -> String {
        let Walk { name, digits, .. } = &self.walk;
        let trades = self.kept.iter().skip(self.kept.len().saturating_sub(count)).map(|trade| {
            format!(
                "{{\"symbol\":\"{name}\",\"side\":\"{}\",\"price\":{},\"qty\":{},\"ord_type\":\"{}\",\"trade_id\":{},\
                 \"timestamp\":\"{}\"}}",
                if trade.is_buy { "buy" } else { "sell" },
                decimal(trade.price, *digits),
                decimal(trade.quantity, QTY_DIGITS),
                if trade.is_market { "market" } else { "limit" },
                trade.id,
                rfc3339(trade.at, 6)
            )
        });
        let trades: Vec<String> = trades.collect();
        format!("{{\"channel\":\"trade\",\"type\":\"{kind}\",\"data\":[{}]}}", trades.join(","))
    }

    /// REST `Trades`: those after `since` (ns), oldest first, or the last ones; with the time to ask from next.
    pub(super) fn rest(&self, key: &str, since: Option<i64>, count: usize) -> String {
        let count = count.clamp(1, PAGE);
        let first = match since {
            Some(since) => self.kept.partition_point(|trade| trade.at.0 <= since),
            None => self.kept.len().saturating_sub(count),
        };
        let page: Vec<&Trade> = self.kept.iter().skip(first).take(count).collect();
        let last = page.last().map_or(since.unwrap_or(self.at.0), |trade| trade.at.0);
        let trades = page.iter().map(|trade| {
            format!(
                "[\"{}\",\"{}\",{},\"{}\",\"{}\",\"\",{}]",
                decimal(trade.price, self.walk.digits),
                decimal(trade.quantity, QTY_DIGITS),
                decimal(trade.at.0 / 100, 7),
                if trade.is_buy { "b" } else { "s" },
                if trade.is_market { "m" } else { "l" },
                trade.id
            )
        });
        let trades: Vec<String> = trades.collect();
        format!("{{\"error\":[],\"result\":{{\"{key}\":[{}],\"last\":\"{last}\"}}}}", trades.join(","))
    }
}

#[derive(Debug)]
pub(super) struct Ticker {
    walk: Walk,
    bid: (i64, i64),
    ask: (i64, i64),
    volume: i64,
    trades: u64,
    low: i64,
    high: i64,
    at: WallNanos,
    prng: Prng,
}

impl Ticker {
    pub(super) fn new(walk: &Walk, mut prng: Prng) -> Self {
        let volume = prng.between(1_000_000_000, 500_000_000_000);
        let (low, high) = (walk.price, walk.price);
        let (bid, ask) = ((walk.price - 1, 100_000_000), (walk.price, 100_000_000));
        Self { walk: walk.clone(), bid, ask, volume, trades: 40_000, low, high, at: WallNanos(0), prng }
    }

    /// A trade at a new price, which changes the best prices, too: news for both triggers.
    pub(super) fn make(&mut self, at: WallNanos) {
        self.at = at;
        let prng = &mut self.prng;
        self.walk.step(prng);
        let amount = |prng: &mut Prng| prng.between(1_000, 200_000_000);
        self.bid = (self.walk.price - prng.between(1, 5), amount(prng));
        self.ask = (self.walk.price, amount(prng));
        self.volume += prng.between(1_000, 50_000_000);
        self.trades += 1;
        self.low = self.low.min(self.walk.price);
        self.high = self.high.max(self.walk.price);
    }

    fn vwap(&self) -> i64 {
        (self.walk.start + self.walk.price) * 5_000 + 1_234
    }

    pub(super) fn message(&self, kind: &str, now: WallNanos) -> String {
        let Walk { name, digits, price, start } = &self.walk;
        let at = if self.at.0 == 0 { now } else { self.at };
        let price_of = |scaled: i64| decimal(scaled, *digits);
        let quantity = |scaled: i64| decimal(scaled, QTY_DIGITS);
        format!(
            "{{\"channel\":\"ticker\",\"type\":\"{kind}\",\"data\":[{{\"symbol\":\"{name}\",\"bid\":{},\"bid_qty\":{},\"ask\":{},\
             \"ask_qty\":{},\"last\":{},\"volume\":{},\"vwap\":{},\"low\":{},\"high\":{},\"change\":{},\"change_pct\":{},\
             \"timestamp\":\"{}\"}}]}}",
            price_of(self.bid.0),
            quantity(self.bid.1),
            price_of(self.ask.0),
            quantity(self.ask.1),
            price_of(*price),
            quantity(self.volume),
            decimal(self.vwap(), digits + 4),
            price_of(self.low),
            price_of(self.high),
            price_of(price - start),
            decimal((price - start) * 10_000 / start, 2),
            rfc3339(at, 6)
        )
    }

    /// REST `Ticker`.
    pub(super) fn rest(&self) -> String {
        let Walk { digits, price, start, .. } = &self.walk;
        // REST pads prices to five digits more often than not; the text is what counts.
        let price_of = |scaled: i64| decimal(scaled, *digits);
        let quantity = |scaled: i64| decimal(scaled, QTY_DIGITS);
        let best = |(price, amount): (i64, i64)| {
            let whole = (amount / 100_000_000).max(1);
            format!("[\"{}\",\"{whole}\",\"{}\"]", price_of(price), decimal(amount / 100_000, 3))
        };
        let twice = |text: String| format!("[\"{text}\",\"{text}\"]");
        format!(
            "{{\"a\":{},\"b\":{},\"c\":[\"{}\",\"0.00120000\"],\"v\":{},\"p\":{},\"t\":[{},{}],\"l\":{},\"h\":{},\"o\":\"{}\"}}",
            best(self.ask),
            best(self.bid),
            price_of(*price),
            twice(quantity(self.volume)),
            twice(decimal(self.vwap(), digits + 4)),
            self.trades,
            self.trades,
            twice(price_of(self.low)),
            twice(price_of(self.high)),
            price_of(*start)
        )
    }
}
