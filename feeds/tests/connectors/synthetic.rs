//! Synthetic EUR/USD, held against sums done by hand and against fractions.

use proptest::prelude::*;
use serde_json::{Value, json};
use tickline_feeds::connect::kraken::Amount;
use tickline_feeds::connect::{Event, Link};
use tickline_feeds::derive::{LegsSettings, Synthetic};
use tickline_feeds::payload::PayloadWriter;

use crate::rig::{Done, Rig, SECOND_NS, packed};

fn settings() -> LegsSettings {
    let amount = |text| Amount::parse(text).unwrap();
    LegsSettings {
        endpoint: "tcp://bus".to_owned(),
        from: "kraken_tick".to_owned(),
        topic: "kr_eurusd_tick".to_owned(),
        coins: Vec::new(),
        window: (amount("1"), amount("2")),
        leg_age_max_ns: 10 * SECOND_NS,
    }
}

fn quote(rig: &mut Rig<Synthetic>, symbol: &str, bid: &str, ask: &str, micros: u32) -> Done {
    let json = format!(
        r#"{{"channel":"ticker","data":[{{"symbol":"{symbol}","bid":{bid},"bid_qty":2.5,"ask":{ask},"ask_qty":0.75,"timestamp":"2026-08-02T03:36:02.{micros:06}Z"}}]}}"#
    );
    rig.tell(Event::Message(Link(0), &packed(&json)))
}

#[test]
fn legs_are_matched_by_coin_and_each_rate_stands_beside_the_one_before() {
    let (mut rig, _) = Rig::new(Synthetic::new(settings(), false));
    assert!(quote(&mut rig, "ETC/USD", "20.0", "20.2", 1).sent.is_empty(), "one leg is no rate");
    assert!(quote(&mut rig, "ETH/EUR", "1800.0", "1801.0", 2).sent.is_empty(), "legs of two coins are none");
    assert!(
        quote(&mut rig, "ETH/USD", "2000.0", "2002.0", 3).sent.is_empty(),
        "the first has none before it"
    );
    let done = quote(&mut rig, "ETC/EUR", "17.9", "18.0", 4);
    // ETH: 2000/1801 = 1.110494…, 2002/1800 = 1.112222…; ETC: 20.0/18.0 = 1.1111…, 20.2/17.9 = 1.128491…
    let expected = json!({
        "instrument_t0": "ETH/USD", "instrument_t1": "ETC/USD", "timestamp": "2026-08-02T03:36:02.000004Z",
        "bid_t0": "1.11049", "ask_t0": "1.11222", "bid_t1": "1.11111", "ask_t1": "1.12849",
        "spread": "0.01738", "spread_t_bid": "0.00111", "spread_t_ask": "0.01800",
    });
    let [(topic, payload)] = &done.sent[..] else { panic!("{done:?}") };
    let Value::Object(mut found) = payload.clone() else { panic!() };
    found.retain(|key, _| !key.starts_with('_'));
    assert_eq!((topic.as_str(), Value::Object(found)), ("kr_eurusd_tick", expected));
    let again = quote(&mut rig, "ETH/USD", "2030.0", "2031.0", 4);
    assert_eq!(again.sent[0].1["_tie"], json!(1), "two rates of one time keep apart");
    assert_eq!(again.sent[0].1["spread_t_bid"], json!("0.00134"), "1.12849 - 1.12715");
}

#[test]
fn a_volume_is_what_both_legs_can_fill() {
    let (mut rig, _) = Rig::new(Synthetic::new(settings(), true));
    let book = |symbol: &str, bid: &str, bid_qty: &str, ask: &str, ask_qty: &str| {
        packed(&format!(
            r#"{{"symbol":"{symbol}","timestamp":"2026-08-02T03:36:02Z","bids":[[{bid},{bid_qty}],[1,1]],"asks":[[{ask},{ask_qty}],[9,1]]}}"#
        ))
    };
    rig.tell(Event::Message(Link(0), &book("BTC/EUR", "90.0", "0.5", "90.1", "0.7")));
    rig.tell(Event::Message(Link(0), &book("BTC/USD", "100.0", "0.6", "100.1", "0.4")));
    let done = rig.tell(Event::Message(Link(0), &book("BTC/USD", "100.0", "0.8", "100.1", "0.4")));
    let found = &done.sent[0].1;
    let volumes = ["bid_volume_t0", "ask_volume_t0", "bid_volume_t1", "ask_volume_t1"]
        .map(|key| found[key].as_str().unwrap());
    assert_eq!(volumes, ["0.6", "0.4", "0.7", "0.4"]);
}

#[test]
fn old_legs_and_rates_outside_of_the_window_are_counted_and_not_told() {
    let (mut rig, _) = Rig::new(Synthetic::new(settings(), false));
    quote(&mut rig, "BTC/EUR", "90.0", "90.1", 1);
    rig.pass(11 * SECOND_NS);
    quote(&mut rig, "BTC/USD", "100.0", "100.1", 2);
    quote(&mut rig, "BTC/EUR", "30.0", "30.1", 3);
    assert_eq!((rig.count("stale_legs"), rig.count("outside_window"), rig.count("rates")), (1, 1, 0));
    rig.tell(Event::Message(Link(0), b"\xc1"));
    assert_eq!(rig.count("undecodable"), 1);
}

#[test]
fn a_hole_of_the_source_is_a_hole_of_what_is_made_from_it() {
    let (mut rig, _) = Rig::new(Synthetic::new(settings(), false));
    let mut writer = PayloadWriter::default();
    writer.map(6);
    for (key, text) in [("_event", "gap"), ("scope", "BTC/USD"), ("detail", "connection lost")] {
        writer.text(key);
        writer.text(text);
    }
    for (key, number) in [("from", 5), ("to", 9), ("lost", 2)] {
        writer.text(key);
        writer.int(number);
    }
    let done = rig.tell(Event::Message(Link(0), writer.bytes()));
    assert_eq!(done.events(), [("gap".to_owned(), "BTC/USD".to_owned(), Some((5, 9)), Some(2))]);
    assert_eq!(done.sent[0].1["detail"], "connection lost (kraken_tick)");
}

proptest! {
    #[test]
    fn any_rate_is_the_fraction_rounded_to_five_places(usd in 1_000_u64..9_000_000, eur in 1_000_u64..9_000_000) {
        let (mut rig, _) = Rig::new(Synthetic::new(LegsSettings {
            window: (Amount { digits: 0, scale: 0 }, Amount { digits: 1_000_000, scale: 0 }), ..settings()
        }, false));
        let text = |hundredths: u64| format!("{}.{:02}", hundredths / 100, hundredths % 100);
        quote(&mut rig, "X/EUR", &text(eur), &text(eur), 1);
        quote(&mut rig, "X/USD", &text(usd), &text(usd), 1);
        let done = quote(&mut rig, "X/USD", &text(usd), &text(usd), 2);
        let units = (u128::from(usd) * 100_000 * 2 + u128::from(eur)) / (2 * u128::from(eur));
        let expected = format!("{}.{:05}", units / 100_000, units % 100_000);
        prop_assert_eq!(done.sent[0].1["bid_t1"].as_str(), Some(expected.as_str()));
    }
}
