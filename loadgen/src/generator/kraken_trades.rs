//! Kraken WebSocket v2 `trade` messages: one taker order and the one to three trades it made.

use tickline_feeds::payload::PayloadWriter;

use super::Slot;
use super::pairs::{self, Walk};
use super::symbols::Symbols;
use crate::prng::Prng;

/// Digits of an amount.
const QTY_DIGITS: u8 = 8;

#[derive(Debug)]
pub(super) struct KrakenTrades {
    pairs: Vec<(Walk, u64)>,
    symbols: Symbols,
    prng: Prng,
}

impl KrakenTrades {
    pub(super) fn new(symbols: Symbols, mut prng: Prng) -> Self {
        let pairs = pairs::kraken(symbols.count())
            .into_iter()
            .map(|w| (w, prng.between(1_000_000, 90_000_000) as u64));
        Self { pairs: pairs.collect(), symbols, prng }
    }

    pub(super) fn write(&mut self, slot: &Slot, out: &mut PayloadWriter) {
        let prng = &mut self.prng;
        let chosen = self.symbols.next(slot, prng);
        let (walk, trade_id) = &mut self.pairs[chosen];
        walk.step(prng);
        let trades = if prng.one_in(4) { 2 + prng.below(2) } else { 1 };
        let side = if prng.one_in(2) { "buy" } else { "sell" };
        let order = if prng.one_in(3) { "market" } else { "limit" };
        // The venue's trade_id keeps trades of one µs apart, so there is no tie to announce.
        out.begin(&slot.reserved(0), 3);
        out.text("channel");
        out.text("trade");
        out.text("type");
        out.text("update");
        out.text("data");
        out.array(trades as u32);
        for level in 0..trades as i64 {
            *trade_id += 1;
            out.map(7);
            out.text("symbol");
            out.text(&walk.name);
            out.text("side");
            out.text(side);
            out.text("price");
            out.decimal(walk.price + if side == "buy" { level } else { -level }, walk.digits);
            out.text("qty");
            out.decimal(prng.between(1_000, 90_000_000), QTY_DIGITS);
            out.text("ord_type");
            out.text(order);
            out.text("trade_id");
            out.uint(*trade_id);
            out.text("timestamp");
            out.rfc3339(slot.venue, 6);
        }
    }
}
