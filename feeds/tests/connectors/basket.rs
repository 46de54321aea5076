//! Baskets, held against sums done by hand and against the rule that four trades must leave nothing but dollars.

use proptest::prelude::*;
use serde_json::{Value, json};
use tickline_feeds::connect::kraken::Amount;
use tickline_feeds::connect::{Event, Link};
use tickline_feeds::derive::{Basket, LegsSettings};
use tickline_feeds::payload::PayloadWriter;

use crate::rig::{Done, Rig, SECOND_NS, packed};

fn settings() -> LegsSettings {
    LegsSettings {
        endpoint: "tcp://bus".to_owned(),
        from: "kr_depth".to_owned(),
        topic: "kr_eurusd_basket".to_owned(),
        coins: Vec::new(),
        window: (Amount { digits: 0, scale: 0 }, Amount { digits: 10_000_000, scale: 0 }),
        leg_age_max_ns: 10 * SECOND_NS,
    }
}

fn rig() -> Rig<Basket> {
    Rig::new(Basket::new(settings())).0
}

/// Price and quantity of the best bid and of the best ask of a pair.
fn book(rig: &mut Rig<Basket>, symbol: &str, [bid, bid_qty, ask, ask_qty]: [&str; 4]) -> Done {
    let json = format!(
        r#"{{"symbol":"{symbol}","timestamp":"2026-08-02T03:36:02.000007Z","bids":[[{bid},{bid_qty}],[1,1]],"asks":[[{ask},{ask_qty}]]}}"#
    );
    rig.tell(Event::Message(Link(0), &packed(&json)))
}

/// ETH at 1.11049 and 1.11222, then ETC with these quotes in euros.
fn eth_then_etc(rig: &mut Rig<Basket>, etc_eur: [&str; 4]) -> Done {
    book(rig, "ETH/USD", ["2000.0", "3", "2002.0", "0.8"]);
    book(rig, "ETH/EUR", ["1800.0", "0.5", "1801.0", "0.25"]);
    book(rig, "ETC/USD", ["20.0", "60", "20.2", "70"]);
    book(rig, "ETC/EUR", etc_eur)
}

/// A message without its reserved keys.
fn told(payload: &Value) -> Value {
    let Value::Object(mut found) = payload.clone() else { panic!("{payload}") };
    found.retain(|key, _| !key.starts_with('_'));
    Value::Object(found)
}

#[test]
fn a_rate_above_the_one_before_buys_euros_through_the_first_coin_and_sells_them_through_the_second() {
    let mut rig = rig();
    let done = eth_then_etc(&mut rig, ["17.5", "50", "17.6", "40"]);
    let [(topic, snapshot), (_, basket)] = &done.sent[..] else { panic!("{done:?}") };
    assert_eq!(topic, "kr_eurusd_basket");
    // ETC: 20.0/17.6 = 1.136363…, 20.2/17.5 = 1.154285…; 17.5 * 1.11049 = 19.433575, which is half.
    let expected = json!({
        "type": "snapshot", "timestamp": "2026-08-02T03:36:02.000007Z",
        "instrument_t0": "ETH/USD", "instrument_cross_t0": "ETH/EUR",
        "instrument_t1": "ETC/USD", "instrument_cross_t1": "ETC/EUR",
        "usd_bid_t0": "2000.0", "usd_ask_t0": "2002.0", "eur_bid_t0": "1800.0", "eur_ask_t0": "1801.0",
        "usd_bid_t1": "20.0", "usd_ask_t1": "20.2", "eur_bid_t1": "17.5", "eur_ask_t1": "17.6",
        "bid_t0": "1.11049", "ask_t0": "1.11222", "bid_t1": "1.13636", "ask_t1": "1.15429",
        "spread": "0.01793", "spread_t_bid": "-0.02414", "spread_t_ask": "0.04380",
        "cross_bid_t0": "2045.44800", "cross_ask_t0": "2078.87629",
        "cross_bid_t1": "19.43358", "cross_ask_t1": "19.57507",
    });
    assert_eq!(told(snapshot), expected);
    // 0.5 ETH bring 900 euros; 40 ETC take 704.
    let expected = json!({
        "type": "basket", "timestamp": "2026-08-02T03:36:02.000007Z",
        "instrument_t0": "ETH/USD", "instrument_cross_t0": "ETH/EUR",
        "instrument_t1": "ETC/USD", "instrument_cross_t1": "ETC/EUR",
        "direction": "buy_t0_sell_t1",
        "side_t0": "buy", "side_cross_t0": "sell", "side_t1": "sell", "side_cross_t1": "buy",
        "price_t0": "2002.0", "price_cross_t0": "1800.0", "price_t1": "20.0", "price_cross_t1": "17.6",
        "volume_t0": "0.5", "volume_t1": "40", "amount_eur": "704.00000", "edge": "0.02414",
    });
    assert_eq!(told(basket), expected);
}

#[test]
fn a_rate_below_the_one_before_goes_the_other_way() {
    let mut rig = rig();
    let done = eth_then_etc(&mut rig, ["18.5", "50", "18.6", "40"]);
    let [(_, snapshot), (_, basket)] = &done.sent[..] else { panic!("{done:?}") };
    // ETC: 20.0/18.6 = 1.075268…, 20.2/18.5 = 1.091891…; 50 ETC bring 925 euros, 0.25 ETH take 450.25.
    assert_eq!(
        (&snapshot["spread_t_bid"], &snapshot["spread_t_ask"]),
        (&json!("0.03695"), &json!("-0.01860"))
    );
    let found = ["direction", "side_t0", "side_cross_t0", "side_t1", "side_cross_t1"].map(|key| &basket[key]);
    assert_eq!(found, ["buy_t1_sell_t0", "sell", "buy", "buy", "sell"]);
    let keys = [
        "price_t0",
        "price_cross_t0",
        "price_t1",
        "price_cross_t1",
        "volume_t0",
        "volume_t1",
        "amount_eur",
        "edge",
    ];
    let expected = ["2000.0", "1801.0", "20.2", "18.5", "0.25", "50", "450.25000", "0.01860"];
    assert_eq!(keys.map(|key| &basket[key]), expected);
}

#[test]
fn rates_that_do_not_cross_tell_nothing() {
    let mut rig = rig();
    assert!(eth_then_etc(&mut rig, ["17.9", "50", "18.0", "40"]).sent.is_empty());
    assert_eq!((rig.count("rates"), rig.count("crossings")), (1, 0));
}

#[test]
fn quotes_that_cross_both_ways_are_a_basket_each_and_messages_of_one_time_keep_apart() {
    let mut rig = rig();
    book(&mut rig, "A/EUR", ["80", "1", "80", "1"]);
    book(&mut rig, "B/EUR", ["80", "1", "80", "1"]);
    book(&mut rig, "A/USD", ["100", "1", "90", "1"]);
    let mut sent = book(&mut rig, "B/USD", ["120", "1", "96", "1"]).sent;
    sent.extend(book(&mut rig, "A/USD", ["200", "1", "201", "1"]).sent);
    let found: Vec<_> = sent
        .iter()
        .map(|(_, payload)| {
            (
                payload["_tie"].as_u64().unwrap(),
                payload["type"].as_str().unwrap(),
                payload["direction"].as_str(),
            )
        })
        .collect();
    let expected = [
        (0, "snapshot", None),
        (1, "basket", Some("buy_t0_sell_t1")),
        (2, "basket", Some("buy_t1_sell_t0")),
        (3, "snapshot", None),
        (4, "basket", Some("buy_t0_sell_t1")),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_crossing_with_a_sum_that_is_too_long_is_counted_and_not_told() {
    let mut rig = rig();
    let (low, high) = ("100000000000000000", "200000000000000000");
    book(&mut rig, "A/EUR", [low, "1", low, "1"]);
    book(&mut rig, "A/USD", [low, "1", low, "1"]);
    assert!(book(&mut rig, "A/USD", [high, "1", high, "1"]).sent.is_empty());
    assert_eq!((rig.count("rates"), rig.count("crossings"), rig.count("too_long")), (1, 0, 1));
}

#[test]
fn a_hole_of_the_books_is_a_hole_of_the_baskets() {
    let mut writer = PayloadWriter::default();
    writer.map(5);
    for (key, text) in [("_event", "gap"), ("scope", "*"), ("detail", "connection lost")] {
        writer.text(key);
        writer.text(text);
    }
    for (key, number) in [("from", 5), ("to", 9)] {
        writer.text(key);
        writer.int(number);
    }
    let done = rig().tell(Event::Message(Link(0), writer.bytes()));
    assert_eq!(done.events(), [("gap".to_owned(), "*".to_owned(), Some((5, 9)), None)]);
    assert_eq!(done.sent[0].0, "kr_eurusd_basket");
}

/// Hundredths of bid and ask and of what they offer.
type Hundredths = [u64; 4];

fn quotes() -> impl Strategy<Value = Hundredths> {
    (100_u64..9_000_000, 0_u64..5_000, 1_u64..100_000, 1_u64..100_000)
        .prop_map(|(bid, spread, bid_qty, ask_qty)| [bid, bid_qty, bid + spread, ask_qty])
}

/// A decimal of a message, in units of 10^-`places`.
fn units(payload: &Value, key: &str, places: usize) -> i128 {
    let (whole, fraction) = payload[key].as_str().unwrap().split_once('.').unwrap();
    assert_eq!(fraction.len(), places, "{key} of {payload}");
    format!("{whole}{fraction}").parse().unwrap()
}

/// One euro through the four trades of a basket: nothing but the edge, in dollars, may be left.
fn conserves(basket: &Value, legs: &[(&str, Hundredths); 4]) {
    // A buy adds coins and takes money.
    let sign = |key: &str| if basket[key] == "buy" { 1_i128 } else { -1 };
    let (usd, eur) = (["t0", "t1"], ["cross_t0", "cross_t1"]);
    let [s0, s1] = usd.map(|which| sign(&format!("side_{which}")));
    let [c0, c1] = eur.map(|which| sign(&format!("side_{which}")));
    assert_eq!((s0 + c0, s1 + c1, c0 + c1), (0, 0, 0), "coins, coins and euros are left: {basket}");
    for which in usd.into_iter().chain(eur) {
        let symbol = &basket[format!("instrument_{which}")];
        let [bid, _, ask, _] = legs.iter().find(|(known, _)| symbol == known).unwrap().1;
        let taken = if sign(&format!("side_{which}")) > 0 { ask } else { bid };
        assert_eq!(units(basket, &format!("price_{which}"), 2), i128::from(taken), "{which} of {basket}");
    }
    // A coin costs p dollars and q euros, so a euro of it is p/q dollars; a rate is off by half of 10^-5 at most.
    let [p0, p1] = usd.map(|which| units(basket, &format!("price_{which}"), 2));
    let [q0, q1] = eur.map(|which| units(basket, &format!("price_{which}"), 2));
    let (gain, edge) = (-(s0 * p0 * q1 + s1 * p1 * q0) * 100_000, units(basket, "edge", 5));
    assert!(edge > 0 && (gain - edge * q0 * q1).abs() <= q0 * q1, "{gain} {edge}: {basket}");
    // Price and volume have two places each, so that a product of them is exact in four.
    let fills = [("volume_t0", q0), ("volume_t1", q1)].map(|(key, q)| units(basket, key, 2) * q * 10);
    assert_eq!(units(basket, "amount_eur", 5), fills[0].min(fills[1]), "{basket}");
}

proptest! {
    #[test]
    fn the_four_trades_leave_the_edge_in_dollars_and_nothing_else(
        a in quotes(), b in quotes(), c in quotes(), d in quotes(), near in any::<bool>(), off in 0_u64..400,
    ) {
        // Rates near each other cross by little, or not.
        let (c, d) = if near { (a.map(|n| n + off), b) } else { (c, d) };
        let legs = [("A/USD", a), ("A/EUR", b), ("B/USD", c), ("B/EUR", d)];
        let mut rig = rig();
        let mut sent = Vec::new();
        for (symbol, hundredths) in &legs {
            let texts = hundredths.map(|n| format!("{}.{:02}", n / 100, n % 100));
            sent = book(&mut rig, symbol, texts.each_ref().map(String::as_str)).sent;
        }
        // Exact rates; where their distance is within the rounding, either is right.
        let distance = |ask: u64, per: u64, bid: u64, of: u64| {
            let [ask, per, bid, of] = [ask, per, bid, of].map(i128::from);
            (ask * of - bid * per) * 100_000 / (per * of)
        };
        for (direction, distance) in [
            ("buy_t0_sell_t1", distance(a[2], b[0], c[0], d[2])),
            ("buy_t1_sell_t0", distance(c[2], d[0], a[0], b[2])),
        ] {
            let found = sent.iter().filter(|(_, payload)| payload["direction"] == direction).count();
            prop_assert!(distance.abs() <= 1 || found == usize::from(distance < 0), "{distance}: {sent:?}");
        }
        for (_, basket) in sent.iter().filter(|(_, payload)| payload["type"] == "basket") {
            conserves(basket, &legs);
        }
        let snapshots = sent.iter().filter(|(_, payload)| payload["type"] == "snapshot").count();
        prop_assert_eq!(snapshots, usize::from(!sent.is_empty()));
    }
}
