//! The messages: those of one feed differ in symbol, prices and time.

use tickline_config::model::{DecoderKind, Format};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::{PayloadWriter, Reserved, Times, rfc3339};

use super::{START_NS, SYMBOLS};

/// Message `n` of a feed.
pub(super) fn write(kind: DecoderKind, n: u64, out: &mut PayloadWriter) {
    let sent = WallNanos(START_NS + n as i64 * 1_000_000);
    let times = Times { sent, recv: sent, due: sent };
    let reserved = Reserved { src: 7, seq: n + 1, times, tie: 0 };
    let (symbol, price) = (n % SYMBOLS, 10_000 + (n % 97) as i64);
    let name = |separator: &str| format!("C{symbol}{separator}USD");
    let levels = |out: &mut PayloadWriter, key: &str, step: i64| {
        out.text(key);
        out.array(10);
        for level in 0..10 {
            out.array(2);
            out.decimal(price + step * (level + 1), 2);
            out.decimal(1 + level, 8);
        }
    };
    match kind {
        DecoderKind::KrakenTick | DecoderKind::KrakenTrades | DecoderKind::Custom => {
            out.begin(&reserved, 8);
            for (key, value) in [("bid", price), ("ask", price + 1), ("price", price), ("qty", 1)] {
                out.text(key);
                out.decimal(value, 2);
            }
            for key in ["trade_id", "n"] {
                out.text(key);
                out.uint(n);
            }
            out.text("symbol");
            out.text(&name("/"));
            out.text("timestamp");
            out.rfc3339(sent, 6);
            if kind == DecoderKind::KrakenTrades {
                let keys = u16::from_be_bytes([out.bytes()[1], out.bytes()[2]]) + 1;
                out.bytes_mut()[1..3].copy_from_slice(&keys.to_be_bytes());
                out.text("side");
                out.text(if n.is_multiple_of(2) { "buy" } else { "sell" });
            }
        }
        DecoderKind::KrakenDepth => {
            out.begin(&reserved, 4);
            levels(out, "bids", -1);
            levels(out, "asks", 1);
            out.text("symbol");
            out.text(&name("/"));
            out.text("timestamp");
            out.rfc3339(sent, 6);
        }
        DecoderKind::OandaTick => {
            out.begin(&reserved, 5);
            for (key, value) in [("bids", price), ("asks", price + 1)] {
                out.text(key);
                out.array(1);
                out.map(2);
                out.text("price");
                out.decimal(value, 5);
                out.text("liquidity");
                out.int(1_000_000);
            }
            out.text("tradeable");
            out.bool(true);
            out.text("instrument");
            out.text(&name("_"));
            out.text("time");
            out.rfc3339(sent, 9);
        }
        DecoderKind::BetfairStream => betfair(n, &reserved, price, out),
        DecoderKind::BetfairOrders => betfair_orders(n, &reserved, price, out),
        _ => write_record(kind, n, &reserved, price, out),
    }
}

/// Message `n` of a feed of orders, posts, synthetic rates or definitions.
fn write_record(kind: DecoderKind, n: u64, reserved: &Reserved, price: i64, out: &mut PayloadWriter) {
    let (symbol, sent) = (n % SYMBOLS, reserved.times.sent);
    let name = |separator: &str| format!("C{symbol}{separator}USD");
    match kind {
        DecoderKind::KrakenOrders => {
            let side = if n.is_multiple_of(2) { "buy" } else { "sell" };
            let texts =
                [("symbol", &*name("/")), ("side", side), ("order_status", "filled"), ("exec_type", "trade")];
            record(reserved, &texts, &[("last_price", price), ("last_qty", 1)], 2, out);
            out.text("fees");
            out.array(1);
            out.map(2);
            out.text("asset");
            out.text("USD");
            out.text("qty");
            out.decimal(price, 4);
            out.text("timestamp");
            out.rfc3339(sent, 6);
        }
        DecoderKind::OandaOrders => {
            let texts = [("instrument", &*name("_")), ("type", "ORDER_FILL"), ("reason", "MARKET_ORDER")];
            record(reserved, &texts, &[("price", price), ("units", -1)], 3, out);
            for (key, id) in [("id", n + 1), ("batchID", n + 1 - n % 2)] {
                out.text(key);
                out.text(&id.to_string());
            }
            out.text("time");
            out.rfc3339(sent, 9);
        }
        DecoderKind::TwitterSentiment => {
            let texts =
                [("topic", &*name("/")), ("lang", "en"), ("author", "somebody who is long to name, indeed")];
            record(reserved, &texts, &[("sentiment_score", price % 100 - 50), ("pos", 1)], 1, out);
            out.text("ts_ms");
            out.int(sent.0 / 1_000_000);
        }
        DecoderKind::KrakenEurusdTick | DecoderKind::KrakenEurusdDepth => {
            let texts = [("instrument_t0", &*name("/")), ("instrument_t1", "ETH/USD")];
            record(reserved, &texts, &[("bid_t0", price), ("ask_t0", price + 1), ("spread", 1)], 1, out);
            out.text("timestamp");
            out.rfc3339(sent, 6);
        }
        DecoderKind::Instruments => {
            let texts = [("exchange", "kraken"), ("instrument", &*name("/")), ("status", "online")];
            record(reserved, &texts, &[("price_increment", n as i64), ("qty_increment", 1)], 1, out);
            out.text("timestamp");
            out.int(sent.0);
        }
        _ => unreachable!("{kind:?} is written by its own"),
    }
}

/// The reserved keys, then these; `more` follow.
fn record(
    reserved: &Reserved,
    texts: &[(&str, &str)],
    decimals: &[(&str, i64)],
    more: u16,
    out: &mut PayloadWriter,
) {
    out.begin(reserved, (texts.len() + decimals.len()) as u16 + more);
    for (key, value) in texts {
        out.text(key);
        out.text(value);
    }
    for (key, value) in decimals {
        out.text(key);
        out.decimal(*value, 2);
    }
}

fn betfair_orders(n: u64, reserved: &Reserved, price: i64, out: &mut PayloadWriter) {
    out.begin(reserved, 3);
    out.text("op");
    out.text("ocm");
    out.text("pt");
    out.int(reserved.times.sent.0 / 1_000_000);
    out.text("oc");
    out.array(1);
    out.map(2);
    out.text("id");
    out.text(&format!("1.{}", n % SYMBOLS));
    out.text("orc");
    out.array(1);
    out.map(2);
    out.text("id");
    out.uint(n / SYMBOLS % 10);
    out.text("uo");
    out.array(2);
    for side in ["B", "L"] {
        out.map(4);
        out.text("id");
        out.text(&n.to_string());
        out.text("p");
        out.decimal(price, 2);
        out.text("side");
        out.text(side);
        out.text("status");
        out.text("E");
    }
}

/// The same as text.
pub(super) fn write_text(kind: DecoderKind, format: Format, n: u64) -> String {
    let (symbol, price) = (n % SYMBOLS, 10_000 + n % 97);
    let time = rfc3339(WallNanos(START_NS + n as i64 * 1_000_000), 9);
    match (kind, format) {
        (DecoderKind::OandaTick, Format::X01) => {
            format!("C{symbol}_USD\u{1}{time}\u{1}{price}.1\u{1}{price}.2")
        }
        (_, Format::X01) => format!("C{symbol}USD") + &format!("\u{1}{price}").repeat(19),
        _ => {
            let object = format!(
                r#"{{"symbol":"C{symbol}/USD","bid":{price}.5,"ask":{price}.75,"timestamp":"{time}"}}"#
            );
            // Every other one stands inside a string.
            if n.is_multiple_of(2) { object } else { format!("{object:?}") }
        }
    }
}

/// The first message of a market is its image; the others move prices about.
fn betfair(n: u64, reserved: &Reserved, price: i64, out: &mut PayloadWriter) {
    out.begin(reserved, 3);
    out.text("op");
    out.text("mcm");
    out.text("pt");
    out.int(reserved.times.sent.0 / 1_000_000);
    out.text("mc");
    out.array(1);
    out.map(3);
    out.text("id");
    out.text(&format!("1.{}", n % SYMBOLS));
    out.text("img");
    out.bool(n < SYMBOLS);
    out.text("rc");
    out.array(1);
    out.map(4);
    out.text("id");
    out.uint(n / SYMBOLS % 10);
    out.text("ltp");
    out.decimal(price, 2);
    for (key, places) in [("atb", n % 20), ("atl", n % 30 + 50)] {
        out.text(key);
        out.array(1);
        out.array(2);
        out.decimal(200 + places as i64, 2);
        out.decimal((n / SYMBOLS % 3) as i64, 0);
    }
}
