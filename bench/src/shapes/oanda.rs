//! OANDA's messages: v20 PRICE with one bucket a side, and a flat map of one price.

use super::market::{Market, Payload, SYMBOLS};

/// Name, digits of a price, first price in units of the last digit.
const INSTRUMENTS: [(&str, u8, i64); SYMBOLS] = [
    ("EUR_USD", 5, 119_203),
    ("GBP_USD", 5, 134_521),
    ("USD_JPY", 3, 151_234),
    ("USD_CHF", 5, 88_123),
    ("AUD_USD", 5, 66_345),
    ("NZD_USD", 5, 60_123),
    ("USD_CAD", 5, 137_456),
    ("EUR_GBP", 5, 85_612),
    ("EUR_JPY", 3, 163_456),
    ("GBP_JPY", 3, 190_345),
    ("EUR_CHF", 5, 95_123),
    ("AUD_JPY", 3, 98_765),
    ("EUR_AUD", 5, 165_432),
    ("XAU_USD", 3, 2_634_567),
    ("USD_SEK", 5, 1_045_678),
    ("USD_NOK", 5, 1_098_765),
];

/// Which of OANDA's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Flat,
    Price,
}

impl Form {
    pub(super) fn write(self, market: &mut Market, out: &mut Payload) {
        let (symbol, step) = market.step();
        let (name, digits, first) = INSTRUMENTS[symbol];
        let (bid, ask) = (first + step - 7, first + step + 8);
        match self {
            Form::Flat => flat(market, (name, digits), (bid, ask), out),
            Form::Price => price(market, (name, digits), (bid, ask), out),
        }
    }
}

/// One map without a container inside: bid, ask and volume make the line.
fn flat(market: &mut Market, (name, digits): (&str, u8), (bid, ask): (i64, i64), out: &mut Payload) {
    out.begin(8);
    out.text("type", "PRICE");
    out.text("exchange", "oanda");
    out.text("instrument", name);
    out.time("time", 9);
    out.decimal("bid", bid, digits);
    out.decimal("ask", ask, digits);
    out.writer.text("volume");
    out.writer.int(market.between(1, 999));
    out.text("status", "tradeable");
}

/// PRICE as the v20 stream sends it.
fn price(market: &mut Market, (name, digits): (&str, u8), (bid, ask): (i64, i64), out: &mut Payload) {
    out.begin(9);
    out.text("type", "PRICE");
    out.time("time", 9);
    for (key, at) in [("bids", bid), ("asks", ask)] {
        out.writer.text(key);
        out.writer.array(1);
        out.writer.map(2);
        out.decimal("price", at, digits);
        out.writer.text("liquidity");
        out.writer.int(market.between(1, 10) * 1_000_000);
    }
    out.decimal("closeoutBid", bid - 4, digits);
    out.decimal("closeoutAsk", ask + 4, digits);
    out.text("status", "tradeable");
    out.writer.text("tradeable");
    out.writer.bool(true);
    out.text("instrument", name);
}
