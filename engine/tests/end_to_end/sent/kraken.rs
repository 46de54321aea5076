//! Kraken: tickers, books and trades.

use serde_json::json;

use super::{Case, MESSAGES, SECOND, SECOND_NS, decimal, float};

pub(super) fn tick() -> Case {
    let mut case = Case::default();
    for n in 0..MESSAGES {
        let (base, quote) = [("BTC", "USD"), ("ETH", "EUR")][n as usize % 2];
        let (time, recv) = (SECOND_NS + n * 1_000, SECOND_NS + n * 1_000 + 1_500_000);
        // Field by field: name on the wire, in the database, value.
        let fields = [
            ("bid", "bid", 6_338_870 + n, 2),
            ("bid_qty", "bid_qty", 25_000_000 + n, 8),
            ("ask", "ask", 6_338_880 + n, 2),
            ("ask_qty", "ask_qty", 1_000 * n + 1, 8),
            ("last", "last_trade_price", 6_338_875 - n, 2),
            ("volume", "volume", 183_412_345 + n, 5),
            ("vwap", "vwap", 631_509 + n, 1),
            ("low", "low", 6_100_000 + n, 2),
            ("high", "high", 6_500_000 + n, 2),
            ("change", "change", 120 + n, 1),
            ("change_pct", "change_pct", 10 + n, 2),
        ];
        let sent = fields.map(|(key, _, units, digits)| format!("\"{key}\":{}", decimal(units, digits)));
        let element =
            format!(r#"{{"symbol":"{base}/{quote}",{},"timestamp":"{SECOND}.{n:06}Z"}}"#, sent.join(","));
        let message = format!(r#"{{"channel":"ticker","type":"update","data":[{element}]}}"#);
        case.messages.push((message, recv));
        let mut point = json!({"time": time, "base": base, "exchange": "kraken", "quote": quote,
            "pair": format!("{base}/{quote}"), "recv_ns": recv});
        fields.iter().for_each(|(_, key, units, digits)| point[key] = float(*units, *digits).into());
        case.expect("kraken_tick", &point);
    }
    case
}

pub(super) fn depth() -> Case {
    let mut case = Case::default();
    for n in 0..MESSAGES {
        let (time, recv) = (SECOND_NS + n * 1_000, SECOND_NS + n * 1_000 + 2_000);
        let bid = |level: i64| (600_000 + n - level, 1_000 + n * 10 + level);
        let ask = |level: i64| (600_010 + n + level, 2_000 + n * 10 + level);
        let side = |of: &dyn Fn(i64) -> (i64, i64), levels: i64| {
            let levels = (0..levels).map(of);
            let levels = levels.map(|(price, size)| format!("[{},{}]", decimal(price, 1), decimal(size, 3)));
            levels.collect::<Vec<_>>().join(",")
        };
        // The third level of the other side is not there: padded, size 0 without a price.
        case.messages.push((
            format!(
                r#"{{"symbol":"BTC/USD","timestamp":"{SECOND}.{n:06}Z","checksum":{},
                "bids":[{}],"asks":[{},[null,0]]}}"#,
                4_000_000_000_i64 + n,
                side(&bid, 3),
                side(&ask, 2)
            ),
            recv,
        ));
        for level in 0..3 {
            let mut point = json!({"time": time, "base": "BTC", "exchange": "kraken", "level": level.to_string(),
                "pair": "BTC/USD", "quote": "USD", "recv_ns": recv,
                "bid_price": float(bid(level).0, 1), "bid_size": float(bid(level).1, 3)});
            if level < 2 {
                point["ask_price"] = float(ask(level).0, 1).into();
                point["ask_size"] = float(ask(level).1, 3).into();
            } else {
                point["ask_size"] = 0.into();
            }
            if level == 0 {
                point["checksum"] = (4_000_000_000_i64 + n).into();
            }
            case.expect("kraken_depth", &point);
        }
    }
    case
}

pub(super) fn trades() -> Case {
    let mut case = Case::default();
    for n in 0..MESSAGES {
        let recv = SECOND_NS + n * 1_000 + 900_000;
        let mut elements = Vec::new();
        for (k, side, kind) in [(0, "buy", "market"), (1, "sell", "limit"), (2, "sell", "limit")] {
            let (id, price, qty) = (70_000_990 + n * 3 + k, 250_010 + n, 100 + n * 3 + k);
            elements.push(format!(
                r#"{{"symbol":"ETH/USD","side":"{side}","price":{},"qty":{},"ord_type":"{kind}","trade_id":{id},
                "timestamp":"{SECOND}.{n:06}Z"}}"#,
                decimal(price, 2),
                decimal(qty, 4)
            ));
            // The venue's own number keeps trades of one microsecond apart.
            let time = SECOND_NS + n * 1_000 + id % 1_000;
            case.expect(
                "kraken_trades",
                &json!({"time": time, "base": "ETH", "exchange": "kraken", "pair": "ETH/USD", "quote": "USD",
                    "side": side, "price": float(price, 2), "qty": float(qty, 4), "trade_id": id,
                    "ord_type": kind, "recv_ns": recv}),
            );
        }
        let data = elements.join(",");
        case.messages.push((format!(r#"{{"channel":"trade","type":"update","data":[{data}]}}"#), recv));
    }
    case
}
