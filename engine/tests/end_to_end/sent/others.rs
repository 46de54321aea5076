//! OANDA prices, and a feed in the words of the configuration.

use serde_json::json;

use super::{Case, MESSAGES, SECOND, SECOND_NS, decimal, float};

pub(super) fn oanda() -> Case {
    let mut case = Case::default();
    for n in 0..MESSAGES {
        let (time, recv) = (SECOND_NS + n * 7 + 123_456_001, SECOND_NS + 200_000_000 + n);
        let (bid, spread, open) = (119_197 + n, 13 + n % 5, n % 10 != 9);
        let price = |units: i64| decimal(units, 5);
        // The best bid stands in the second bucket.
        case.messages.push((
            format!(
                r#"{{"type":"PRICE","time":"{SECOND}.{:09}Z","instrument":"EUR_USD","status":"{}",
                "bids":[{{"price":"{}","liquidity":9000000}},{{"price":"{}","liquidity":{}}}],
                "asks":[{{"price":"{}","liquidity":1000000}}],"closeoutBid":"{}","closeoutAsk":"{}"}}"#,
                n * 7 + 123_456_001,
                if open { "tradeable" } else { "non-tradeable" },
                price(bid - 2),
                price(bid),
                500_000 + n,
                price(bid + spread),
                price(bid - 9),
                price(bid + 30)
            ),
            recv,
        ));
        case.expect(
            "oanda_tick",
            &json!({"time": time, "base": "EUR", "exchange": "oanda", "instrument": "EUR_USD", "quote": "USD",
                "bid": float(bid, 5), "ask": float(bid + spread, 5), "bid_liquidity": 500_000 + n,
                "ask_liquidity": 1_000_000, "tradeable": open, "spread": float(spread, 5),
                "closeout_bid": float(bid - 9, 5), "closeout_ask": float(bid + 30, 5), "recv_ns": recv}),
        );
    }
    case
}

/// The keys of the feed whose messages [`custom`] makes.
pub(crate) const CUSTOM: [&str; 5] = [
    "feeds.fills.topic=\"fills\"",
    "feeds.fills.custom.measurement=\"fill\"",
    "feeds.fills.custom.time={path=\"at.ms\",unit=\"ms\"}",
    "feeds.fills.custom.tags={symbol=\"sym\",side=\"q.side\"}",
    "feeds.fills.custom.fields={price=\"q.px:float\",qty=\"q.qty:int\",live=\"live:bool\",note=\"note:str\"}",
];

pub(super) fn custom() -> Case {
    let mut case = Case::default();
    for n in 0..MESSAGES {
        let (recv, side, live) = (SECOND_NS + n * 1_000_000 + 5, ["b", "s"][n as usize % 2], n % 3 == 0);
        case.messages.push((
            format!(
                r#"{{"sym":"ES Z6","q":{{"px":{},"qty":"{}","side":"{side}","other":[1,{{}}]}},"live":{live},
                "note":"a \"{n}\", b=c","at":{{"ms":"{}"}}}}"#,
                decimal(458_025 + n * 25, 2),
                -5 + n,
                SECOND_NS / 1_000_000 + n
            ),
            recv,
        ));
        case.expect(
            "fill",
            &json!({"time": SECOND_NS + n * 1_000_000, "symbol": "ES Z6", "side": side,
                "price": float(458_025 + n * 25, 2), "qty": -5 + n, "live": live,
                "note": format!("a \"{n}\", b=c"), "recv_ns": recv}),
        );
    }
    case
}
