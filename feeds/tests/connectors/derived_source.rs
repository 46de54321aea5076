//! A derived feed sees when its source goes, who else publishes it, and which legs cannot be believed any more.

use serde_json::Value;
use tickline_feeds::connect::State;
use tickline_feeds::connect::kraken::Amount;
use tickline_feeds::derive::{LegsSettings, Synthetic};

use crate::derived::{event, hear, heartbeat, numbered, payload};
use crate::rig::{Done, Rig, SECOND_NS, START_NS, Told};

fn open() -> Rig<Synthetic> {
    let amount = |text| Amount::parse(text).unwrap();
    let settings = LegsSettings {
        endpoint: "tcp://bus".to_owned(),
        from: "kraken_tick".to_owned(),
        topic: "kr_eurusd_tick".to_owned(),
        coins: Vec::new(),
        window: (amount("1"), amount("2")),
        leg_age_max_ns: 600 * SECOND_NS,
    };
    let (rig, done) = Rig::new(Synthetic::new(settings, false));
    assert_eq!(done.state(), Some(State::Starting), "nothing has been heard yet");
    rig
}

fn quote(symbol: &str, sides: &str) -> String {
    format!(
        r#"{{"channel":"ticker","data":[{{"symbol":"{symbol}",{sides},"timestamp":"2026-08-02T03:36:02Z"}}]}}"#
    )
}

const DOLLARS: &str = r#""bid":110.0,"bid_qty":1.0,"ask":110.2,"ask_qty":1.0"#;
const EUROS: &str = r#""bid":99.0,"bid_qty":1.0,"ask":99.2,"ask_qty":1.0"#;

/// Quotes both legs, the second one twice; the second quote makes a rate beside the first.
fn quoted(rig: &mut Rig<Synthetic>) {
    for (symbol, sides) in [("BTC/EUR", EUROS), ("BTC/USD", DOLLARS), ("BTC/USD", DOLLARS)] {
        hear(rig, &payload(&quote(symbol, sides)));
    }
    assert_eq!(rig.count("rates"), 1);
}

fn next(rig: &mut Rig<Synthetic>, symbol: &str, sides: &str) -> usize {
    hear(rig, &payload(&quote(symbol, sides))).data().len()
}

#[test]
fn a_leg_that_lost_a_side_is_no_leg_until_it_is_quoted_again() {
    let mut rig = open();
    quoted(&mut rig);
    assert_eq!(next(&mut rig, "BTC/EUR", r#""bid":99.0,"bid_qty":1.0"#), 0);
    assert_eq!(next(&mut rig, "BTC/USD", DOLLARS), 0, "the euro side of before is not there any more");
    assert_eq!(next(&mut rig, "BTC/EUR", EUROS), 1);
}

#[test]
fn a_leg_whose_source_was_not_whole_is_no_leg_until_it_is_quoted_again() {
    for (kind, scope) in [("down", "*"), ("suspect", "*"), ("gap", "BTC/EUR"), ("maintenance", "*")] {
        let mut rig = open();
        quoted(&mut rig);
        hear(&mut rig, &event(kind, scope, None));
        assert_eq!(next(&mut rig, "BTC/USD", DOLLARS), 0, "{kind} {scope}");
        assert_eq!(next(&mut rig, "BTC/EUR", EUROS), 0, "{kind} {scope}: not beside a rate of before");
        assert_eq!(next(&mut rig, "BTC/USD", DOLLARS), 1, "{kind} {scope}");
    }
    let mut rig = open();
    quoted(&mut rig);
    hear(&mut rig, &event("gap", "ETH/EUR", None));
    hear(&mut rig, &event("up", "*", None));
    assert_eq!(next(&mut rig, "BTC/USD", DOLLARS), 1, "that was about another one, or an end");
}

fn kinds(done: &Done) -> Vec<String> {
    done.events().into_iter().map(|(kind, ..): Told| kind).collect()
}

#[test]
fn a_source_that_beats_no_more_is_down_after_five_seconds_and_up_with_its_next_word() {
    let mut rig = open();
    assert_eq!(hear(&mut rig, &heartbeat(3, 7)).state(), Some(State::Ready));
    quoted(&mut rig);
    let done = rig.pass(6 * SECOND_NS);
    assert_eq!((kinds(&done), done.state()), (vec!["down".to_owned()], Some(State::Degraded)));
    assert!(rig.pass(600 * SECOND_NS).sent.is_empty(), "told once");
    let back = hear(&mut rig, &numbered(&quote("BTC/USD", DOLLARS), 3, 10));
    assert_eq!((kinds(&back), back.state()), (vec!["gap".to_owned(), "up".to_owned()], Some(State::Ready)));
    let span = Some((START_NS, START_NS + 606 * SECOND_NS as i64));
    assert_eq!(back.events()[0], ("gap".to_owned(), "*".to_owned(), span, Some(2)));
    assert!(back.data().is_empty(), "the other leg is of before");
}

#[test]
fn a_source_that_never_beats_is_not_missed() {
    let mut rig = open();
    quoted(&mut rig);
    assert!(rig.pass(600 * SECOND_NS).sent.is_empty());
}

#[test]
fn publishers_that_were_there_before_us_are_no_gap_and_one_that_begins_later_is() {
    let mut rig = open();
    let gaps = |done: Done| -> Vec<Option<u64>> { done.events().iter().map(|event| event.3).collect() };
    assert!(gaps(hear(&mut rig, &heartbeat(3, 1_000))).is_empty());
    rig.pass(SECOND_NS);
    assert!(gaps(hear(&mut rig, &heartbeat(4, 2_000))).is_empty(), "both published long before");
    rig.pass(SECOND_NS);
    assert_eq!(gaps(hear(&mut rig, &heartbeat(5, 4))), [Some(4)], "four were sent before we heard of it");
    assert!(gaps(hear(&mut rig, &numbered("{}", 4, 2_001))).is_empty());
    let sent: Vec<Value> = hear(&mut rig, &heartbeat(3, 1_000)).sent.into_iter().map(|sent| sent.1).collect();
    assert!(sent.is_empty(), "{sent:?}");
}
