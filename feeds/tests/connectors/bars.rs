//! Bars, done by hand: what they are made of, when they are told, and whether they say that they are complete.

use serde_json::{Value, json};
use tickline_feeds::connect::Event;
use tickline_feeds::derive::{Bars, BarsSettings, Price};

use crate::derived::{event, hear, heartbeat, numbered, payload, plain, trade};
use crate::rig::{Done, Rig, SECOND_NS, START_NS};

const MS: i64 = 1_000_000;
/// An interval of ten seconds begins with the rig.
const BEGIN: &str = "2026-08-02T03:35:00.000000000Z";

fn rig() -> Rig<Bars> {
    let settings = BarsSettings {
        endpoint: "tcp://bus".to_owned(),
        from: "kraken_trades".to_owned(),
        topic: "bars".to_owned(),
        every_ns: 10 * SECOND_NS,
        late_ns: 2 * SECOND_NS,
        price: Price::Last,
    };
    Rig::new(Bars::new(settings)).0
}

/// A trade at so many ms behind the start of the rig, which comes when it is made.
fn tick(rig: &mut Rig<Bars>, price: &str, qty: &str, ms: i64) -> Done {
    hear(rig, &payload(&trade("BTC/USD", price, qty, START_NS + ms * MS)))
}

fn to(rig: &mut Rig<Bars>, ms: i64) -> Vec<Value> {
    plain(&rig.pass((START_NS + ms * MS - rig.now.wall.0).try_into().unwrap()))
}

/// The same, with a heartbeat of source 3 every four seconds.
fn beat_to(rig: &mut Rig<Bars>, ms: i64, last: u64) -> Vec<Value> {
    let mut bars = Vec::new();
    while START_NS + ms * MS > rig.now.wall.0 {
        hear(rig, &heartbeat(3, last));
        let left_ns = START_NS + ms * MS - rig.now.wall.0;
        bars.extend(plain(&rig.pass((4 * SECOND_NS).min(left_ns.try_into().unwrap()))));
    }
    bars
}

fn is_complete(bars: &[Value]) -> bool {
    let [bar] = bars else { panic!("{bars:?}") };
    bar["complete"].as_bool().unwrap()
}

#[test]
fn a_bar_has_open_high_low_close_ticks_volume_and_vwap_and_is_told_by_the_next_interval() {
    let mut rig = rig();
    let ticks =
        [("100.0", "2", 0), ("103.0", "0.5", 4_000), ("99.5", "1.25", 3_000), ("101.0", "0.25", 9_999)];
    for (price, qty, ms) in ticks {
        assert!(tick(&mut rig, price, qty, ms).sent.is_empty(), "time may go back inside of it");
    }
    let done = tick(&mut rig, "105.0", "1", 10_000);
    // (200 + 51.5 + 124.375 + 25.25) / 4 = 100.28125
    let expected = json!({
        "symbol": "BTC/USD", "timestamp": BEGIN, "interval_s": 10, "open": "100.0", "high": "103.0", "low": "99.5",
        "close": "101.0", "volume": "4.00", "vwap": "100.28125", "ticks": 4, "complete": false,
    });
    assert_eq!((plain(&done), done.sent[0].0.as_str()), (vec![expected], "bars"));
    let next = to(&mut rig, 30_000);
    assert!(is_complete(&next), "only the first began before it was heard: {next:?}");
    assert_eq!((&next[0]["open"], &next[0]["ticks"]), (&json!("105.0"), &json!(1)));
}

#[test]
fn quotes_have_no_volume() {
    let mut rig = Rig::new(Bars::new(BarsSettings {
        endpoint: "tcp://bus".to_owned(),
        from: "kraken_tick".to_owned(),
        topic: "bars".to_owned(),
        every_ns: 10 * SECOND_NS,
        late_ns: 0,
        price: Price::Mid,
    }))
    .0;
    let json = r#"{"symbol":"BTC/USD","bid":1.0,"bid_qty":2,"ask":1.1,"ask_qty":3,"timestamp":"2026-08-02T03:35:02Z"}"#;
    hear(&mut rig, &payload(json));
    let bars = plain(&rig.pass(10 * SECOND_NS));
    assert_eq!((&bars[0]["open"], bars[0].get("volume"), bars[0].get("vwap")), (&json!("1.05"), None, None));
}

#[test]
fn without_a_later_tick_the_clock_tells_a_bar_when_its_late_ticks_have_had_their_time() {
    let mut rig = rig();
    to(&mut rig, 1_000);
    tick(&mut rig, "1", "1", 500);
    // The tick came after 0.5 s; one without delay says what the venue's clock says.
    tick(&mut rig, "2", "1", 1_000);
    assert!(to(&mut rig, 11_999).is_empty());
    assert!(tick(&mut rig, "3", "1", 9_998).sent.is_empty(), "late, but waited for");
    let bars = to(&mut rig, 12_000);
    assert_eq!((&bars[0]["close"], &bars[0]["ticks"]), (&json!("3"), &json!(3)));
    assert!(to(&mut rig, 60_000).is_empty(), "an interval without ticks has no bar");
}

#[test]
fn ticks_of_an_interval_that_was_told_are_counted_and_not_used() {
    let mut rig = rig();
    tick(&mut rig, "1", "1", 9_000);
    tick(&mut rig, "2", "1", 10_000);
    tick(&mut rig, "9", "1", 9_500);
    let bars = to(&mut rig, 30_000);
    assert_eq!((&bars[0]["high"], rig.count("late")), (&json!("2"), 1));
    tick(&mut rig, "9", "1", 19_999);
    assert!(to(&mut rig, 60_000).is_empty());
    assert_eq!((rig.count("late"), rig.count("bars"), rig.count("ticks")), (2, 2, 2));
}

/// A rig that has told its first bar and was at `ms` when it heard the last tick.
fn warm(ms: i64) -> Rig<Bars> {
    let mut rig = rig();
    tick(&mut rig, "1", "1", 0);
    to(&mut rig, ms);
    rig
}

/// Whether the bar of a tick at `ms` is complete; the clock tells it.
fn next_is_complete(rig: &mut Rig<Bars>, ms: i64) -> bool {
    to(rig, ms);
    tick(rig, "1", "1", ms);
    is_complete(&to(rig, ms + 20_000))
}

fn span(from_ms: i64, to_ms: i64) -> Option<(i64, i64)> {
    Some((START_NS + from_ms * MS, START_NS + to_ms * MS))
}

#[test]
fn a_hole_makes_every_interval_that_it_meets_incomplete_and_no_other() {
    // The hole is widened by 2 s for what clocks differ.
    let cases = [
        ("gap", "BTC/USD", span(15_000, 16_000), [false, true]),
        ("up", "*", span(15_000, 18_001), [false, false]),
        ("gap", "*", span(8_000, 8_001), [false, true]),
        ("gap", "*", span(1_000, 7_999), [true, true]),
        ("gap", "ETH/USD", span(15_000, 16_000), [true, true]),
        ("resync", "BTC/USD", span(22_000, 23_000), [true, false]),
        ("gap", "BTC/USD", span(21_999, 22_500), [false, false]),
        ("down", "*", None, [false, false]),
        ("suspect", "BTC/USD", None, [false, true]),
        ("clean", "*", None, [true, true]),
    ];
    for (kind, scope, span, expected) in cases {
        for is_open in [true, false] {
            let mut rig = warm(14_000);
            if is_open {
                tick(&mut rig, "1", "1", 14_000);
            }
            let done = hear(&mut rig, &event(kind, scope, span));
            assert_eq!(done.events(), [(kind.to_owned(), scope.to_owned(), span, None)]);
            let mut found = plain(&tick(&mut rig, "1", "1", 14_000));
            found.extend(plain(&tick(&mut rig, "1", "1", 25_000)));
            found.extend(to(&mut rig, 60_000));
            let found: Vec<&Value> = found.iter().map(|bar| &bar["complete"]).collect();
            assert_eq!(found, expected, "{kind} of {scope}, {span:?}, bar is open: {is_open}");
        }
    }
}

#[test]
fn an_absence_lasts_until_the_source_says_that_it_is_over() {
    let mut rig = warm(14_000);
    hear(&mut rig, &event("down", "*", None));
    to(&mut rig, 18_000);
    hear(&mut rig, &event("refused", "*", None));
    hear(&mut rig, &event("gap", "*", span(17_000, 17_500)));
    assert!(!next_is_complete(&mut rig, 34_000), "still away");
    hear(&mut rig, &event("up", "*", None));
    assert!(!next_is_complete(&mut rig, 54_000), "it ended inside of it");
    assert!(next_is_complete(&mut rig, 74_000));
}

#[test]
fn the_span_of_an_absence_ends_it() {
    let mut rig = warm(14_000);
    hear(&mut rig, &event("down", "*", None));
    to(&mut rig, 34_000);
    hear(&mut rig, &event("gap", "*", span(13_000, 34_000)));
    assert!(!next_is_complete(&mut rig, 34_000), "it ended inside of it");
    assert!(next_is_complete(&mut rig, 54_000));
}

#[test]
fn messages_lost_on_the_bus_are_a_hole() {
    let mut rig = rig();
    let message = |seq, ms| numbered(&trade("BTC/USD", "1", "1", START_NS + ms * MS), 3, seq);
    hear(&mut rig, &message(1, 0));
    beat_to(&mut rig, 25_000, 1);
    hear(&mut rig, &message(3, 25_000));
    assert!(!is_complete(&beat_to(&mut rig, 45_000, 3)));
}

#[test]
fn a_symbol_that_begins_later_is_complete_from_its_first_interval() {
    let mut rig = rig();
    hear(&mut rig, &heartbeat(3, 0));
    beat_to(&mut rig, 15_000, 0);
    tick(&mut rig, "1", "1", 15_000);
    assert!(is_complete(&beat_to(&mut rig, 30_000, 0)));
}

#[test]
fn a_source_without_heartbeats_for_five_seconds_is_away_and_its_bars_are_incomplete() {
    let mut rig = rig();
    hear(&mut rig, &heartbeat(3, 0));
    beat_to(&mut rig, 15_000, 0);
    tick(&mut rig, "1", "1", 15_000);
    assert!(!is_complete(&to(&mut rig, 30_000)));
}

#[test]
fn the_end_of_a_run_tells_the_open_bar_as_incomplete() {
    let mut rig = warm(14_000);
    tick(&mut rig, "1", "1", 14_000);
    assert!(!is_complete(&plain(&rig.tell(Event::Stop))));
    assert_eq!((rig.count("incomplete"), rig.count("bars")), (2, 2));
}
