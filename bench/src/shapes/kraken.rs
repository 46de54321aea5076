//! Kraken's messages: a pair of REST Ticker with all its fields, the WebSocket v2 ticker, and the book of ten
//! levels a side as our publisher sends it. Sizes and digits are those that Kraken documents for each pair.

use super::market::{Market, Payload, SYMBOLS};

/// REST name, WebSocket v2 name, digits of a price, first price in units of the last digit.
const PAIRS: [(&str, &str, u8, i64); SYMBOLS] = [
    ("XXBTZUSD", "BTC/USD", 1, 633_950),
    ("XXBTZEUR", "BTC/EUR", 1, 584_210),
    ("XETHZUSD", "ETH/USD", 2, 341_207),
    ("XETHZEUR", "ETH/EUR", 2, 314_430),
    ("XXRPZUSD", "XRP/USD", 5, 251_234),
    ("XXRPZEUR", "XRP/EUR", 5, 231_471),
    ("XLTCZUSD", "LTC/USD", 2, 8_471),
    ("ADAUSD", "ADA/USD", 6, 612_345),
    ("DOTUSD", "DOT/USD", 4, 41_234),
    ("LINKUSD", "LINK/USD", 5, 1_412_345),
    ("XXMRZUSD", "XMR/USD", 2, 31_234),
    ("XZECZUSD", "ZEC/USD", 2, 5_123),
    ("XDGUSD", "DOGE/USD", 7, 1_712_345),
    ("ALGOUSD", "ALGO/USD", 5, 21_234),
    ("ATOMUSD", "ATOM/USD", 4, 45_123),
    ("BCHUSD", "BCH/USD", 2, 51_234),
];

const LEVELS: i64 = 10;

/// Which of Kraken's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    RestPair,
    Ticker,
    Depth,
}

impl Form {
    pub(super) fn write(self, market: &mut Market, out: &mut Payload) {
        match self {
            Form::RestPair => rest_pair(market, out),
            Form::Ticker => ticker(market, out),
            Form::Depth => depth(market, out),
        }
    }
}

/// `{"error":[],"result":{PAIR:{a,b,c,v,p,t,l,h,o}}}`, prices with five digits and lots with eight. Every pair
/// costs tens of thousands here, as bitcoin does, so that the payload has the measured size.
fn rest_pair(market: &mut Market, out: &mut Payload) {
    let (symbol, step) = market.step();
    let (name, ..) = PAIRS[symbol];
    let (digits, grid) = (5, 10_000);
    let price = (633_950 + 1_000 * symbol as i64 + step) * grid;
    let two = |out: &mut Payload, key: &str, values: [(i64, u8); 2]| {
        out.writer.text(key);
        out.writer.array(2);
        values.iter().for_each(|(value, digits)| out.writer.decimal(*value, *digits));
    };
    out.begin(2);
    out.writer.text("error");
    out.writer.array(0);
    out.writer.text("result");
    out.writer.map(1);
    out.writer.text(name);
    out.writer.map(9);
    for (key, at) in [("a", price + grid), ("b", price - grid)] {
        let lots = market.between(1, 9);
        out.writer.text(key);
        out.writer.array(3);
        out.writer.decimal(at, digits);
        out.writer.decimal(lots, 0);
        out.writer.decimal(lots * 1_000, 3);
    }
    let volume = market.between(10_000_000_000_000, 40_000_000_000_000);
    two(out, "c", [(price, digits), (market.between(100_000, 900_000_000), 8)]);
    two(out, "v", [(volume, 8), (volume + market.between(1, 99_999_999), 8)]);
    two(out, "p", [(price - 37 * grid, digits), (price - 51 * grid, digits)]);
    let trades = market.between(10_000, 40_000);
    out.writer.text("t");
    out.writer.array(2);
    out.writer.int(trades);
    out.writer.int(trades + market.between(1, 9_999));
    two(out, "l", [(price - 700 * grid, digits), (price - 800 * grid, digits)]);
    two(out, "h", [(price + 700 * grid, digits), (price + 800 * grid, digits)]);
    out.decimal("o", price - 200 * grid, digits);
}

/// `{"channel":"ticker","type":"update","data":[{…}]}`
fn ticker(market: &mut Market, out: &mut Payload) {
    let (symbol, step) = market.step();
    let (_, name, digits, first) = PAIRS[symbol];
    let price = first + step;
    out.begin(3);
    out.text("channel", "ticker");
    out.text("type", "update");
    out.writer.text("data");
    out.writer.array(1);
    out.writer.map(13);
    out.text("symbol", name);
    out.decimal("bid", price - 1, digits);
    out.decimal("bid_qty", market.between(1_000, 900_000_000), 8);
    out.decimal("ask", price + 1, digits);
    out.decimal("ask_qty", market.between(1_000, 900_000_000), 8);
    out.decimal("last", price, digits);
    out.decimal("volume", market.between(100_000_000_000, 400_000_000_000), 8);
    out.decimal("vwap", price - 37, digits);
    out.decimal("low", price - 700, digits);
    out.decimal("high", price + 700, digits);
    out.decimal("change", step, digits);
    out.decimal("change_pct", market.between(-500, 500), 2);
    out.time("timestamp", 6);
}

/// `{symbol, timestamp, checksum, bids, asks}`, ten levels a side.
fn depth(market: &mut Market, out: &mut Payload) {
    let (symbol, step) = market.step();
    let (_, name, digits, first) = PAIRS[symbol];
    out.begin(5);
    out.text("symbol", name);
    out.time("timestamp", 6);
    out.writer.text("checksum");
    out.writer.int(market.between(1, i64::from(u32::MAX)));
    for (key, away) in [("bids", -1), ("asks", 1)] {
        out.writer.text(key);
        out.writer.array(LEVELS as u32);
        for level in 1..=LEVELS {
            out.writer.array(2);
            out.writer.decimal(first + step + away * level, digits);
            out.writer.decimal(market.between(1_000, 900_000_000), 8);
        }
    }
}
