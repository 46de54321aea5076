//! What is missing of Kraken's data is told with the whole of its span: through connections, refusals, a silent venue and
//! the end of the run.

use serde_json::json;
use tickline_feeds::connect::kraken::{Depth, Mode, Orders, QuoteSettings, QuoteSource, Quotes, Trigger};
use tickline_feeds::connect::{Command, Event, State};

use crate::kraken_books::{book, open, settings, snapshot};
use crate::kraken_executions::{TOKEN, execution, start};
use crate::rig::{Done, Rig, SECOND_NS, START_NS};

const HEARTBEAT: &str = r#"{"channel":"heartbeat"}"#;
const REFUSED: &str =
    r#"{"error":"Currency pair not supported","method":"subscribe","success":false,"symbol":"ETH/USD"}"#;

fn at(seconds: u64) -> i64 {
    START_NS + (seconds * SECOND_NS) as i64
}

fn gap(scope: &str, from_s: u64, to_s: u64) -> (String, String, Option<(i64, i64)>, Option<u64>) {
    ("gap".to_owned(), scope.to_owned(), Some((at(from_s), at(to_s))), None)
}

fn state(done: &Done) -> Option<(State, String)> {
    done.commands.iter().rev().find_map(|command| match command {
        Command::State(state, why) => Some((*state, why.clone())),
        _ => None,
    })
}

/// Lets so many seconds pass on a connection that lives.
fn live(rig: &mut Rig<Depth>, seconds: u64) -> Vec<Done> {
    (0..seconds).flat_map(|_| [rig.pass(SECOND_NS), rig.say(HEARTBEAT)]).collect()
}

fn wrong(symbol: &str) -> String {
    book(symbol, "update", r#"{"price":10.1,"qty":1.00}"#, "", 7, 2)
}

fn both() -> Rig<Depth> {
    let mut rig = open(settings(&["BTC/USD", "ETH/USD"], 10, 10, Mode::All));
    rig.say(&snapshot("BTC/USD"));
    rig.say(&snapshot("ETH/USD"));
    rig
}

#[test]
fn a_book_that_was_wrong_when_the_connection_went_is_missing_since_it_was_wrong() {
    let mut rig = both();
    live(&mut rig, 1);
    rig.say(&wrong("BTC/USD"));
    live(&mut rig, 8);
    rig.closed();
    rig.pass(SECOND_NS);
    rig.opened();
    assert_eq!(rig.say(&snapshot("BTC/USD")).events(), [gap("BTC/USD", 0, 10)]);
    assert_eq!(rig.say(&snapshot("ETH/USD")).events(), [gap("*", 9, 10)]);
}

#[test]
fn a_snapshot_that_does_not_come_is_asked_for_again_and_the_feed_is_degraded_meanwhile() {
    let mut rig = both();
    rig.say(&wrong("BTC/USD"));
    let done = live(&mut rig, 12);
    let refused: Vec<String> = done.iter().flat_map(Done::events).map(|(kind, ..)| kind).collect();
    assert_eq!(refused, ["refused"], "no data in 10 s");
    let degraded = done.iter().filter_map(state).next_back();
    assert!(matches!(degraded, Some((State::Degraded, _))), "{degraded:?}");
    let again: usize = live(&mut rig, 300).iter().map(|done| done.requests().len()).sum();
    assert!(again >= 1, "and it is asked for again");
    let done = rig.say(&snapshot("BTC/USD"));
    let (kind, scope, span, _) = done.events().remove(0);
    assert_eq!((kind.as_str(), scope.as_str(), span), ("resync", "BTC/USD", Some((at(0), at(312)))));
    assert!(matches!(state(&done), Some((State::Ready, _))));
}

#[test]
fn a_symbol_that_is_refused_after_a_reconnection_is_missing_until_it_comes_again() {
    let mut rig = both();
    rig.closed();
    rig.pass(SECOND_NS);
    rig.opened();
    rig.say(&snapshot("BTC/USD"));
    let events = rig.say(REFUSED).events();
    assert_eq!((events[0].0.as_str(), &events[1]), ("refused", &gap("*", 0, 1)));
    live(&mut rig, 301);
    assert_eq!(rig.say(&snapshot("ETH/USD")).events(), [gap("ETH/USD", 0, 302)]);
}

#[test]
fn a_run_that_ends_tells_what_is_missing_then() {
    let mut rig = both();
    rig.say(&wrong("ETH/USD"));
    live(&mut rig, 3);
    assert_eq!(rig.tell(Event::Stop).events(), [gap("ETH/USD", 0, 3)]);

    let mut rig = both();
    live(&mut rig, 2);
    rig.closed();
    rig.pass(SECOND_NS);
    assert_eq!(rig.tell(Event::Stop).events(), [gap("*", 2, 3)]);

    let mut rig = both();
    assert_eq!(rig.tell(Event::Stop).events(), []);
}

fn quotes(symbols: &str) -> Rig<Quotes> {
    let settings = QuoteSettings {
        url: "ws://venue".to_owned(),
        rest_url: String::new(),
        symbols: vec![symbols.to_owned()],
        source: QuoteSource::Ticker(Trigger::Bbo),
        poll_ns: SECOND_NS,
        seed: 5,
    };
    let (mut rig, _) = Rig::new(Quotes::new(settings));
    rig.opened();
    rig
}

fn ticker(symbol: &str) -> String {
    format!(
        r#"{{"channel":"ticker","type":"update","data":[{{"symbol":"{symbol}","bid":1.0,"timestamp":"2026-08-02T03:36:02.000001Z"}}]}}"#
    )
}

#[test]
fn maintenance_is_a_hole_and_its_end_the_end_of_the_degraded_state() {
    let status =
        |system: &str| format!(r#"{{"channel":"status","type":"update","data":[{{"system":"{system}"}}]}}"#);
    let mut rig = quotes("BTC/USD");
    rig.say(&ticker("BTC/USD"));
    let done = rig.say(&status("maintenance"));
    assert!(matches!(state(&done), Some((State::Degraded, _))));
    rig.pass(3 * SECOND_NS);
    let done = rig.say(&status("online"));
    assert_eq!(done.events(), [("clean".to_owned(), "*".to_owned(), Some((at(0), at(3))), None)]);
    assert!(matches!(state(&done), Some((State::Ready, _))));
    rig.say(&status("cancel_only"));
    rig.pass(SECOND_NS);
    let events = rig.say(&status("online")).events();
    assert_eq!(events[0].2, None, "while orders are restricted, data come");
}

#[test]
fn a_pair_that_is_listed_later_has_ten_seconds_to_answer() {
    let list = |pair: &str| {
        format!(
            r#"{{"channel":"instrument","type":"snapshot","data":{{"assets":[],"pairs":[{{"symbol":"{pair}","status":"online"}}]}}}}"#
        )
    };
    let mut rig = quotes("*");
    rig.say(&list("BTC/USD"));
    rig.say(&ticker("BTC/USD"));
    for _ in 0..20 {
        rig.pass(SECOND_NS);
        rig.say(HEARTBEAT);
    }
    rig.say(&list("NEW/USD"));
    assert_eq!(rig.pass(4 * SECOND_NS).events(), []);
    assert_eq!(rig.say(&ticker("NEW/USD")).events(), []);
}

fn subscribed() -> (Rig<Orders>, serde_json::Value) {
    let (mut rig, _) = start(false);
    rig.answer(1, TOKEN);
    let id = rig.opened().requests()[0]["req_id"].clone();
    (rig, id)
}

fn refusal(id: &serde_json::Value, error: &str) -> String {
    json!({"method": "subscribe", "success": false, "error": error, "req_id": id}).to_string()
}

#[test]
fn executions_that_are_refused_are_degraded_and_asked_for_after_five_minutes() {
    let (mut rig, id) = subscribed();
    let done = rig.say(&refusal(&id, "EGeneral:Permission denied"));
    assert_eq!(done.events()[0].0, "refused");
    let (state, why) = state(&done).unwrap();
    assert!(state == State::Degraded && why.contains("Permission denied"), "{why}");
    assert_eq!(rig.pass(299 * SECOND_NS).asked().len(), 0);
    assert_eq!(rig.pass(2 * SECOND_NS).asked().len(), 1);
}

#[test]
fn executions_whose_token_is_not_taken_or_not_answered_begin_anew_with_growing_waits() {
    let (mut rig, mut id) = subscribed();
    let mut waits = Vec::new();
    for attempt in 0..8 {
        let done = if attempt % 2 == 0 {
            rig.say(&refusal(&id, "ESession:Invalid session"))
        } else {
            for _ in 0..9 {
                rig.pass(SECOND_NS);
                rig.say(HEARTBEAT);
            }
            rig.pass(SECOND_NS)
        };
        assert!(matches!(state(&done), Some((State::Degraded, _))), "{done:?}");
        let mut all = done.asked().len();
        waits.push(
            (0..40)
                .take_while(|_| {
                    all += rig.pass(SECOND_NS).asked().len();
                    all == 0
                })
                .count(),
        );
        rig.answer(1, TOKEN);
        id = rig.opened().requests()[0]["req_id"].clone();
    }
    assert!(waits[0] <= 1 && waits[7] >= 14, "{waits:?}");
    rig.say(&json!({"method": "subscribe", "success": true, "req_id": id}).to_string());
    assert_eq!(rig.say(&execution(1)).data().len(), 1);
}
