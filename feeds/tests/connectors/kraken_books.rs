//! Kraken's books: recorded ones verify and equal a plain model after each message, and a wrong one is asked for again.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tickline_feeds::connect::kraken::{Depth, DepthSettings, Mode};
use tickline_feeds::connect::{Event, Link};

use crate::recording::recording;
use crate::rig::{Done, Rig, SECOND_NS, START_NS};

pub(crate) fn settings(symbols: &[&str], depth: usize, levels: usize, mode: Mode) -> DepthSettings {
    DepthSettings {
        url: "ws://venue".to_owned(),
        rest_url: String::new(),
        symbols: symbols.iter().map(|symbol| (*symbol).to_owned()).collect(),
        depth,
        levels,
        mode,
        seed: 3,
    }
}

pub(crate) fn open(settings: DepthSettings) -> Rig<Depth> {
    let (mut rig, done) = Rig::new(Depth::new(settings));
    assert!(done.opens());
    rig.opened();
    rig
}

/// A book as the venue's documents describe it: a map a side, price text as it came, best first, cut to the depth.
#[derive(Default)]
struct Plain {
    /// Price in units of 10^-10, so that it can be a key, and both texts.
    bids: BTreeMap<i128, (String, String)>,
    asks: BTreeMap<i128, (String, String)>,
}

impl Plain {
    fn apply(&mut self, element: &str, depth: usize) {
        // Numbers must keep their text, so the levels are taken out of it by hand.
        for (key, side) in [("\"bids\":[", &mut self.bids), ("\"asks\":[", &mut self.asks)] {
            let from = element.find(key).unwrap() + key.len();
            let list = &element[from..from + element[from..].find(']').unwrap()];
            for level in list.split('{').skip(1) {
                let text = |name: &str| {
                    let from = level.find(name).unwrap() + name.len();
                    let end = level[from..].find([',', '}']).unwrap();
                    level[from..from + end].trim().to_owned()
                };
                let (price, qty) = (text("\"price\":"), text("\"qty\":"));
                let (whole, fraction) = price.split_once('.').unwrap_or((&price, ""));
                let key: i128 = format!("{whole}{fraction:0<10}").parse().unwrap();
                if qty.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
                    side.remove(&key);
                } else {
                    side.insert(key, (price, qty));
                }
            }
        }
        while self.bids.len() > depth {
            self.bids.pop_first();
        }
        while self.asks.len() > depth {
            self.asks.pop_last();
        }
    }

    fn top(&self, levels: usize) -> (Value, Value) {
        let side = |levels_in_order: Vec<&(String, String)>| -> Value {
            let mut all: Vec<Value> =
                levels_in_order.into_iter().take(levels).map(|(p, q)| json!([p, q])).collect();
            all.resize(levels, json!([null, "0"]));
            Value::Array(all)
        };
        (side(self.bids.values().rev().collect()), side(self.asks.values().collect()))
    }
}

#[test]
fn every_recorded_checksum_verifies_and_each_book_equals_a_plain_model() {
    let files = [
        ("ws_v2_book_btcusd_d25_20260802.cbcap.gz", "BTC/USD", 25, 2_051),
        ("ws_v2_book_xrpusd_d25_20260802.cbcap.gz", "XRP/USD", 25, 1_146),
        ("ws_v2_book_btcusd_d10_resub_20260801.cbcap.gz", "BTC/USD", 10, 296),
    ];
    for (name, symbol, depth, updates) in files {
        let Some(frames) = recording(name) else {
            return println!("TICKLINE_RECORDINGS is not set: recorded books were not looked at");
        };
        let mut rig = open(settings(&[symbol], depth, depth, Mode::All));
        let (mut plain, mut seen, mut changed) = (Plain::default(), 0, 0);
        for (_, frame) in &frames {
            let done = rig.say(frame);
            if !frame.contains("\"channel\":\"book\"") || frame.contains("\"method\"") {
                continue;
            }
            let snapshot = frame.contains("\"type\":\"snapshot\"");
            seen += u64::from(!snapshot);
            if snapshot {
                plain = Plain::default();
            }
            plain.apply(frame, depth);
            let data = done.data();
            changed += data.len();
            if let [payload] = data[..] {
                assert_eq!((payload["bids"].clone(), payload["asks"].clone()), plain.top(depth), "{frame}");
                assert!(frame.contains(&format!("\"checksum\":{}", payload["checksum"])));
            }
        }
        assert_eq!((seen, rig.count("book_resyncs")), (updates, 0), "{name}");
        assert!(changed as u64 >= updates, "{name}: {changed} books were published");
    }
}

/// CRC-32 of the levels in the order of the rule: asks, then bids.
fn sum(texts: &[&str]) -> u32 {
    let digits: Vec<String> =
        texts.iter().map(|text| text.replace('.', "").trim_start_matches('0').to_owned()).collect();
    crc32fast::hash(digits.concat().as_bytes())
}

pub(crate) fn book(symbol: &str, kind: &str, bids: &str, asks: &str, checksum: u32, micros: u32) -> String {
    format!(
        r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":[{bids}],"asks":[{asks}],"checksum":{checksum},"timestamp":"2026-08-02T03:35:00.{micros:06}Z"}}]}}"#
    )
}

pub(crate) fn snapshot(symbol: &str) -> String {
    let (bids, asks) = (r#"{"price":10.0,"qty":1.50}"#, r#"{"price":10.5,"qty":2.00}"#);
    book(symbol, "snapshot", bids, asks, sum(&["10.5", "2.00", "10.0", "1.50"]), 1)
}

fn requests(done: &Done) -> Vec<(String, Value)> {
    let all = done.requests().into_iter();
    all.map(|request| (request["method"].as_str().unwrap().to_owned(), request["params"]["symbol"].clone()))
        .collect()
}

#[test]
fn a_book_that_does_not_fit_is_suspect_asked_for_again_and_a_hole_until_its_snapshot() {
    let mut rig = open(settings(&["BTC/USD", "ETH/USD"], 10, 10, Mode::All));
    rig.say(&snapshot("ETH/USD"));
    let done = rig.say(&snapshot("BTC/USD"));
    assert_eq!(done.data().len(), 1);
    assert_eq!(done.events(), [("up".to_owned(), "*".to_owned(), None, None)]);
    rig.pass(SECOND_NS);
    let wrong = book("BTC/USD", "update", r#"{"price":10.1,"qty":1.00}"#, "", 7, 2);
    let done = rig.say(&wrong);
    assert!(done.data().is_empty(), "a book that is not the venue's is not published");
    assert_eq!(done.events(), [("suspect".to_owned(), "BTC/USD".to_owned(), None, None)]);
    assert!(rig.say(&wrong).sent.is_empty(), "and until the snapshot comes there is none to change");
    let done = rig.pass(SECOND_NS);
    let symbol = json!(["BTC/USD"]);
    assert_eq!(
        requests(&done),
        [("unsubscribe".to_owned(), symbol.clone()), ("subscribe".to_owned(), symbol)]
    );
    let done = rig.say(&snapshot("BTC/USD"));
    let span = Some((START_NS, START_NS + 2 * SECOND_NS as i64));
    assert_eq!(done.events(), [("resync".to_owned(), "BTC/USD".to_owned(), span, None)]);
    assert_eq!((done.data().len(), rig.count("book_resyncs")), (1, 1));
    let detail = &done.sent[0].1["detail"];
    assert!(detail.as_str().unwrap().starts_with("checksum"), "the first word names the cause: {detail}");
}

#[test]
fn a_book_that_never_fits_is_asked_for_more_and_more_rarely() {
    let mut rig = open(settings(&["BTC/USD"], 10, 10, Mode::All));
    rig.say(&snapshot("BTC/USD"));
    let mut asked = Vec::new();
    for _ in 0..8 {
        rig.say(&book("BTC/USD", "snapshot", "", "", 7, 2));
        let from = rig.now.mono;
        while !requests(&rig.pass(SECOND_NS / 100)).iter().any(|(method, _)| method == "subscribe") {
            rig.say(r#"{"channel":"heartbeat"}"#);
        }
        asked.push(rig.now.mono.since(from));
    }
    assert!(asked[0] <= SECOND_NS / 4, "soon at first: {asked:?}");
    assert!(asked[7] >= 10 * SECOND_NS, "and rarely in the end: {asked:?}");
}

#[test]
fn only_changes_of_published_levels_are_published_with_ordinals_at_one_time() {
    let mut rig = open(settings(&["BTC/USD"], 10, 1, Mode::All));
    rig.say(&snapshot("BTC/USD"));
    let below = sum(&["10.5", "2.00", "10.0", "1.50", "9.9", "3.00"]);
    let done = rig.say(&book("BTC/USD", "update", r#"{"price":9.9,"qty":3.00}"#, "", below, 5));
    assert!(done.sent.is_empty(), "the second level is not published");
    for (tie, qty) in [(0, "1.25"), (1, "1.00")] {
        let expected = sum(&["10.5", "2.00", "10.0", qty, "9.9", "3.00"]);
        let update = format!(r#"{{"price":10.0,"qty":{qty}}}"#);
        let done = rig.say(&book("BTC/USD", "update", &update, "", expected, 6));
        let [payload] = done.data()[..] else { panic!("{done:?}") };
        assert_eq!((&payload["_tie"], &payload["bids"]), (&json!(tie), &json!([["10.0", qty]])));
        assert_eq!(payload["asks"], json!([["10.5", "2.00"]]));
    }
}

#[test]
fn a_lost_connection_is_one_hole_that_ends_when_every_book_has_begun_again() {
    let mut rig = open(settings(&["BTC/USD", "ETH/USD"], 10, 10, Mode::All));
    rig.say(&snapshot("BTC/USD"));
    rig.say(&snapshot("ETH/USD"));
    rig.pass(SECOND_NS);
    let done = rig.closed();
    assert_eq!(done.events(), [("down".to_owned(), "*".to_owned(), None, None)]);
    let done = rig.pass(SECOND_NS);
    assert!(done.opens(), "the first wait is at most half a second");
    let done = rig.opened();
    assert_eq!(requests(&done), [("subscribe".to_owned(), json!(["BTC/USD", "ETH/USD"]))]);
    assert!(rig.say(&snapshot("BTC/USD")).events().is_empty(), "the other book is still away");
    let done = rig.say(&snapshot("ETH/USD"));
    let span = Some((START_NS, START_NS + 2 * SECOND_NS as i64));
    assert_eq!(done.events(), [("gap".to_owned(), "*".to_owned(), span, None)]);
}

#[test]
fn a_silent_connection_is_given_up_after_five_seconds_and_waits_grow_to_thirty() {
    let mut rig = open(settings(&["BTC/USD"], 10, 10, Mode::All));
    rig.say(&snapshot("BTC/USD"));
    for _ in 0..60 {
        rig.pass(SECOND_NS);
        rig.say(r#"{"channel":"heartbeat"}"#);
    }
    assert_eq!(rig.count("connections"), 1, "heartbeats keep it");
    let done = rig.pass(5 * SECOND_NS);
    assert_eq!(done.events(), [("down".to_owned(), "*".to_owned(), None, None)]);
    let mut waits = Vec::new();
    for _ in 0..10 {
        let from = rig.now.mono;
        while !rig.pass(SECOND_NS / 20).opens() {}
        waits.push(rig.now.mono.since(from));
        let again = rig.closed();
        assert!(again.events().is_empty(), "that it is down was said once");
    }
    assert!(waits[0] <= SECOND_NS, "{waits:?}");
    assert!(waits[9] >= 15 * SECOND_NS && waits.iter().all(|wait| *wait <= 31 * SECOND_NS), "{waits:?}");
}

#[test]
fn a_refused_pair_is_named_and_the_others_go_on() {
    let mut rig = open(settings(&["BTC/USD", "NO/PAIR"], 10, 10, Mode::All));
    let refused = r#"{"error":"Currency pair not supported NO/PAIR","method":"subscribe","req_id":1,"success":false,"symbol":"NO/PAIR"}"#;
    let done = rig.say(refused);
    assert_eq!(done.events(), [("refused".to_owned(), "NO/PAIR".to_owned(), None, None)]);
    assert_eq!(rig.say(&snapshot("BTC/USD")).events()[0].0, "up");
    assert_eq!(rig.count("refused"), 1);
    let mut again = Vec::new();
    for _ in 0..310 {
        again.extend(requests(&rig.pass(SECOND_NS)).into_iter().filter(|(method, _)| method == "subscribe"));
        rig.say(r#"{"channel":"heartbeat"}"#);
    }
    assert_eq!(
        again,
        [("subscribe".to_owned(), json!(["NO/PAIR"]))],
        "it is asked for again every five minutes"
    );
}

#[test]
fn what_is_refused_without_a_symbol_is_refused_for_the_whole_request() {
    let mut rig = open(settings(&["BTC/USD", "ETH/USD"], 25, 10, Mode::All));
    let done = rig.say(
        r#"{"error":"Subscription depth not supported","method":"subscribe","req_id":1,"success":false}"#,
    );
    let scopes: Vec<String> = done.events().into_iter().map(|(_, scope, _, _)| scope).collect();
    assert_eq!(scopes, ["BTC/USD", "ETH/USD"]);
}

/// A `kr_eurusd_tick` payload.
fn synthetic(spread_t_bid: &str) -> Vec<u8> {
    let mut out = tickline_feeds::payload::PayloadWriter::default();
    out.map(4);
    for (key, text) in [
        ("instrument_t0", "BTC/USD"),
        ("instrument_t1", "ETH/USD"),
        ("spread_t_bid", spread_t_bid),
        ("spread_t_ask", "0.00010"),
    ] {
        out.text(key);
        out.text(text);
    }
    out.bytes().to_vec()
}

#[test]
fn in_conditional_mode_the_legs_and_their_euro_legs_are_published_when_the_rate_is_crossed() {
    let mode = Mode::Conditional { endpoint: "tcp://bus".to_owned(), topic: "kr_eurusd_tick".to_owned() };
    let mut rig = open(settings(&["BTC/USD", "BTC/EUR", "ETH/USD"], 10, 1, mode));
    for symbol in ["BTC/USD", "BTC/EUR", "ETH/USD"] {
        assert!(rig.say(&snapshot(symbol)).data().is_empty());
    }
    assert!(rig.tell(Event::Message(Link(1), &synthetic("0.00001"))).sent.is_empty());
    let done = rig.tell(Event::Message(Link(1), &synthetic("-0.00001")));
    let symbols: Vec<&str> = done.data().iter().map(|payload| payload["symbol"].as_str().unwrap()).collect();
    assert_eq!(symbols, ["BTC/USD", "BTC/EUR", "ETH/USD"]);
    assert!(rig.tell(Event::Message(Link(1), b"\xc1")).sent.is_empty(), "what is no payload changes nothing");
    assert_eq!(rig.count("undecodable"), 1);
    let bundle = [&[0x92][..], &synthetic("0.00001"), &synthetic("-0.00001")].concat();
    assert_eq!(rig.tell(Event::Message(Link(1), &bundle)).data().len(), 3, "rates may come joined");
    let mut resent = synthetic("-0.00001");
    resent[0] += 1;
    resent.extend(b"\xa7_resend\xc3");
    assert!(rig.tell(Event::Message(Link(1), &resent)).sent.is_empty(), "a last value is no news");
}
