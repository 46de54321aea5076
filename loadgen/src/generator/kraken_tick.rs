//! Kraken WebSocket v2 `ticker`: one element of a message's `data`.

use tickline_feeds::payload::PayloadWriter;

use super::Slot;
use super::pairs::{self, Walk};
use super::symbols::Symbols;
use crate::prng::Prng;
use crate::ties::Series;

/// Digits of an amount.
const QTY_DIGITS: u8 = 8;

#[derive(Debug)]
pub(super) struct KrakenTick {
    tickers: Vec<Ticker>,
    symbols: Symbols,
    prng: Prng,
}

#[derive(Debug)]
struct Ticker {
    walk: Walk,
    volume: i64,
    low: i64,
    high: i64,
    series: Series,
}

impl KrakenTick {
    pub(super) fn new(symbols: Symbols, mut prng: Prng) -> Self {
        let ticker = |walk: Walk| Ticker {
            volume: prng.between(1_000_000_000, 500_000_000_000),
            low: walk.price,
            high: walk.price,
            walk,
            series: Series::default(),
        };
        Self { tickers: pairs::kraken(symbols.count()).into_iter().map(ticker).collect(), symbols, prng }
    }

    pub(super) fn write(&mut self, slot: &Slot, out: &mut PayloadWriter) {
        let prng = &mut self.prng;
        let chosen = self.symbols.next(slot, prng);
        let ticker = &mut self.tickers[chosen];
        ticker.walk.step(prng);
        let Walk { ref name, digits, price, start } = ticker.walk;
        ticker.low = ticker.low.min(price);
        ticker.high = ticker.high.max(price);
        ticker.volume += prng.between(1_000, 50_000_000);
        let spread = prng.between(1, 5);
        let tie = ticker.series.next(slot.venue.0.div_euclid(1_000));
        out.begin(&slot.reserved(tie), 13);
        out.text("symbol");
        out.text(name);
        let amount = |prng: &mut Prng| prng.between(1_000, 200_000_000);
        let vwap = (start + price) * 5_000 + prng.between(0, 9_999);
        let fields = [
            ("bid", price - spread, digits),
            ("bid_qty", amount(prng), QTY_DIGITS),
            ("ask", price, digits),
            ("ask_qty", amount(prng), QTY_DIGITS),
            ("last", price, digits),
            ("volume", ticker.volume, QTY_DIGITS),
            ("vwap", vwap, digits + 4),
            ("low", ticker.low, digits),
            ("high", ticker.high, digits),
            ("change", price - start, digits),
            ("change_pct", (price - start) * 10_000 / start, 2),
        ];
        for (key, scaled, digits) in fields {
            out.text(key);
            out.decimal(scaled, digits);
        }
        out.text("timestamp");
        out.rfc3339(slot.venue, 6);
    }
}
