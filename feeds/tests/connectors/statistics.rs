//! Rolling statistics, held against sums done by hand and against a plain recomputation of each window.

use proptest::prelude::*;
use serde_json::{Value, json};
use tickline_feeds::connect::Event;
use tickline_feeds::derive::{Price, SAMPLES_MAX, Statistics, StatisticsSettings};

use crate::derived::{event, hear, heartbeat, number, numbered, payload, plain, trade};
use crate::rig::{Rig, SECOND_NS, START_NS};

const MS: i64 = 1_000_000;

fn rig(price: Price) -> Rig<Statistics> {
    let settings = StatisticsSettings {
        endpoint: "tcp://bus".to_owned(),
        from: "kraken_trades".to_owned(),
        topic: "statistics".to_owned(),
        window_ns: 60 * SECOND_NS,
        every_ns: 10 * SECOND_NS,
        price,
    };
    Rig::new(Statistics::new(settings)).0
}

fn tick(rig: &mut Rig<Statistics>, price: &str, time_ns: i64) {
    assert!(hear(rig, &payload(&trade("BTC/USD", price, "1", time_ns))).sent.is_empty());
}

fn told(rig: &mut Rig<Statistics>) -> Vec<Value> {
    plain(&rig.pass(10 * SECOND_NS))
}

#[test]
fn a_window_is_told_at_its_turn_with_the_values_that_a_hand_computes() {
    let mut rig = rig(Price::Last);
    for (price, second) in [("100.0", 0), ("101.0", 1), ("99.0", 2), ("102.0", 2)] {
        tick(&mut rig, price, START_NS + second * 1_000 * MS);
    }
    // Mean 402/4; squares of 0.5 0.5 1.5 1.5 make 5, over 3; ln of 1.01, 99/101, 102/99 about their mean.
    let expected = json!({
        "symbol": "BTC/USD", "timestamp": "2026-08-02T03:35:02.000000000Z", "window_s": 60, "count": 4,
        "mean": "100.50000", "deviation": "1.29099", "min": "99.0", "max": "102.0",
        "p05": "99.0", "p50": "100.0", "p95": "102.0",
        "return": "0.0200000000", "volatility": "0.0250950242",
    });
    let done = rig.pass(10 * SECOND_NS);
    assert_eq!((plain(&done), done.sent[0].0.as_str()), (vec![expected], "statistics"));
    assert!(told(&mut rig).is_empty(), "without a tick there is nothing new");
    tick(&mut rig, "102.0", START_NS + 2_000 * MS);
    let again = rig.pass(10 * SECOND_NS);
    assert_eq!(again.data()[0]["_tie"], json!(1), "two statistics of one time keep apart");
}

#[test]
fn a_sample_leaves_when_the_last_tick_is_a_window_later_and_one_sample_has_no_spread() {
    let mut rig = rig(Price::Last);
    tick(&mut rig, "7.00", START_NS);
    tick(&mut rig, "5.00", START_NS + 1);
    tick(&mut rig, "6.00", START_NS + 60_000 * MS);
    let found = told(&mut rig).remove(0);
    assert_eq!(
        (&found["count"], &found["max"], &found["return"]),
        (&json!(2), &json!("6.00"), &json!("0.2000000000"))
    );
    assert!(found.get("volatility").is_none() && found.get("deviation").is_some());
    rig.pass(60 * SECOND_NS);
    tick(&mut rig, "8.00", START_NS + 130_000 * MS);
    let found = told(&mut rig).remove(0);
    assert_eq!(
        (&found["count"], &found["mean"], &found["p95"]),
        (&json!(1), &json!("8.000000"), &json!("8.00"))
    );
    assert!(found.get("deviation").is_none());
}

#[test]
fn a_time_that_goes_back_stays_and_one_far_ahead_is_not_believed() {
    let mut rig = rig(Price::Last);
    tick(&mut rig, "1", START_NS + 5_000 * MS);
    tick(&mut rig, "2", START_NS - 900_000 * MS);
    tick(&mut rig, "3", START_NS + 3_600_000 * MS);
    let found = told(&mut rig).remove(0);
    assert_eq!((&found["count"], &found["timestamp"]), (&json!(3), &json!("2026-08-02T03:35:05.000000000Z")));
}

#[test]
fn a_full_window_lets_its_oldest_go_early_and_counts_it() {
    let mut rig = rig(Price::Last);
    for at in 0..SAMPLES_MAX as i64 + 10 {
        tick(&mut rig, &format!("{}.5", 100_000 - at), START_NS + at);
    }
    let found = told(&mut rig).remove(0);
    assert_eq!((found["count"].as_u64(), rig.count("left_early")), (Some(SAMPLES_MAX as u64), 10));
    assert_eq!((&found["max"], &found["min"]), (&json!("99990.5"), &json!("34455.5")));
}

#[test]
fn a_finer_price_refines_the_window_and_one_too_long_is_refused() {
    let mut rig = rig(Price::Last);
    for (at, price) in
        ["10", "11.5", "10.25", "123456789012345", "0.1234567890123456"].into_iter().enumerate()
    {
        tick(&mut rig, price, START_NS + at as i64);
    }
    let found = told(&mut rig).remove(0);
    assert_eq!(
        (&found["max"], &found["p50"], &found["mean"]),
        (&json!("11.50"), &json!("10.25"), &json!("10.583333"))
    );
    assert_eq!((rig.count("too_long"), rig.count("ticks")), (2, 3));
}

#[test]
fn each_source_has_its_prices_and_its_name_of_a_symbol() {
    let time = r#""2026-08-02T03:35:00.000001Z""#;
    let ticker = format!(r#"{{"symbol":"BTC/USD","bid":1.0,"ask":1.01,"last":1.5,"timestamp":{time}}}"#);
    let message = format!(r#"{{"channel":"ticker","type":"update","data":[{ticker}]}}"#);
    let book =
        format!(r#"{{"symbol":"ETH/USD","timestamp":{time},"bids":[[2.0,1],[1,1]],"asks":[[2.4,1],[9,1]]}}"#);
    let synthetic = format!(
        r#"{{"instrument_t0":"A/USD","instrument_t1":"B/USD","timestamp":{time},"bid_t0":9.0,"ask_t0":9.0,"bid_t1":1.10000,"ask_t1":1.10002}}"#
    );
    let oanda = format!(
        r#"{{"type":"PRICE","instrument":"EUR_USD","time":{time},"bids":[{{"price":"1.1","liquidity":1}},{{"price":"1.2","liquidity":5}}],"asks":[{{"liquidity":1,"price":"1.4"}}],"closeoutBid":"1"}}"#
    );
    let cases = [
        (&ticker, Price::Mid, "BTC/USD", "1.005"),
        (&message, Price::Ask, "BTC/USD", "1.01"),
        (&ticker, Price::Last, "BTC/USD", "1.5"),
        (&book, Price::Mid, "ETH/USD", "2.20"),
        (&synthetic, Price::Mid, "B/USD", "1.100010"),
        (&synthetic, Price::Bid, "B/USD", "1.10000"),
        (&oanda, Price::Mid, "EUR_USD", "1.30"),
        (&oanda, Price::Bid, "EUR_USD", "1.2"),
    ];
    for (json, price, symbol, value) in cases {
        let mut rig = rig(price);
        hear(&mut rig, &payload(json));
        let found = told(&mut rig).remove(0);
        assert_eq!((&found["symbol"], &found["max"]), (&json!(symbol), &json!(value)), "{json}");
    }
    let mut rig = rig(Price::Mid);
    hear(&mut rig, &payload(&trade("BTC/USD", "1", "1", START_NS)));
    assert_eq!((rig.count("without_price"), rig.count("ticks")), (1, 0), "a trade has no middle");
}

#[test]
fn holes_of_the_source_and_of_its_numbers_are_holes_of_the_statistics() {
    let mut rig = rig(Price::Last);
    let gap = hear(&mut rig, &event("gap", "BTC/USD", Some((5, 9)))).events();
    assert_eq!(gap, [("gap".to_owned(), "BTC/USD".to_owned(), Some((5, 9)), None)]);
    let message = |seq| numbered(&trade("BTC/USD", "1", "1", START_NS), 3, seq);
    assert!(hear(&mut rig, &message(7)).sent.is_empty(), "who comes later has lost nothing");
    assert!(hear(&mut rig, &message(8)).sent.is_empty());
    rig.pass(SECOND_NS);
    let span = |from: i64, to: i64| Some((START_NS + from * 1_000 * MS, START_NS + to * 1_000 * MS));
    let lost = |from, to, lost| [("gap".to_owned(), "*".to_owned(), span(from, to), lost)];
    assert_eq!(hear(&mut rig, &message(11)).events(), lost(0, 1, Some(2)));
    assert_eq!(hear(&mut rig, &heartbeat(3, 12)).events(), lost(1, 1, Some(1)));
    assert!(hear(&mut rig, &heartbeat(3, 12)).sent.is_empty(), "told once");
    rig.pass(SECOND_NS);
    assert_eq!(hear(&mut rig, &numbered("{}", 4, 3)).events(), lost(1, 2, Some(2)), "it was started again");
    assert!(hear(&mut rig, &message(13)).sent.is_empty(), "two publishers of one topic are two counts");
    assert_eq!(rig.count("lost"), 5);
    hear(&mut rig, b"\xc1");
    hear(&mut rig, &payload(r#"{"_resend":true,"symbol":"BTC/USD","price":1}"#));
    assert_eq!((rig.count("undecodable"), rig.count("resent"), rig.count("ticks")), (1, 1, 4));
}

#[test]
fn what_was_not_told_yet_is_told_when_the_run_ends() {
    let mut rig = rig(Price::Last);
    tick(&mut rig, "1", START_NS);
    assert_eq!(plain(&rig.tell(Event::Stop)).len(), 1);
}

/// A plain recomputation of the last window of `ticks`, which are times and hundredths, held against what was told.
pub(crate) fn check(found: &Value, ticks: &[(i64, i64)], window_ns: i64, units: f64) {
    let last = ticks.last().unwrap();
    let window: Vec<i64> =
        ticks.iter().filter(|tick| tick.0 > last.0 - window_ns).map(|tick| tick.1).collect();
    let prices: Vec<f64> = window.iter().map(|digits| *digits as f64 / units).collect();
    let deviation = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
    };
    let steps: Vec<f64> = prices.windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect();
    let mut sorted = prices.clone();
    sorted.sort_by(f64::total_cmp);
    // Nearest rank: the smallest price that at least so many percent do not exceed.
    let quantile = |percent: usize| {
        sorted.iter().copied().enumerate().find(|(at, _)| (at + 1) * 100 >= percent * sorted.len()).unwrap().1
    };
    assert_eq!(found["count"].as_u64(), Some(window.len() as u64));
    let fine = 0.5 / units / 10_000.0;
    let near = |key: &str, value: Option<f64>, within: f64| match value {
        Some(value) => {
            let gap = (number(found, key) - value).abs();
            assert!(gap <= within + value.abs() * 1e-12, "{key} is {value}, found {found}");
        }
        None => assert!(found.get(key).is_none(), "{key}: {found}"),
    };
    near("mean", Some(prices.iter().sum::<f64>() / prices.len() as f64), fine);
    near("deviation", deviation(&prices), fine + 1e-9);
    near("min", sorted.first().copied(), 0.0);
    near("max", sorted.last().copied(), 0.0);
    for (key, percent) in [("p05", 5), ("p50", 50), ("p95", 95)] {
        near(key, Some(quantile(percent)), 0.0);
    }
    near("return", Some(prices.last().unwrap() / prices[0] - 1.0), 1e-10);
    near("volatility", deviation(&steps), 1e-10);
}

proptest! {
    #[test]
    fn every_window_equals_its_plain_recomputation(
        ticks in prop::collection::vec((-400_i64..4_000, 1_i64..5_000_000, prop::bool::weighted(0.1)), 1..200)
    ) {
        let mut rig = rig(Price::Last);
        let (mut all, mut time): (Vec<(i64, i64)>, i64) = (Vec::new(), START_NS);
        for (passed_ms, hundredths, is_turn) in ticks {
            // A third of the ticks share their time with the one before, and some go back.
            let passed = if passed_ms % 3 == 0 { 0 } else { passed_ms * MS };
            rig.pass(passed.max(0) as u64);
            let mut found = Vec::new();
            if is_turn {
                found = told(&mut rig);
            }
            if let Some(found) = found.last() {
                check(found, &all, 60_000 * MS, 100.0);
            }
            time += passed;
            let price = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            hear(&mut rig, &payload(&trade("BTC/USD", &price, "1", time)));
            all.push((all.last().map_or(time, |(last, _)| time.max(*last)), hundredths));
        }
        let found = told(&mut rig);
        check(found.last().unwrap(), &all, 60_000 * MS, 100.0);
    }
}
