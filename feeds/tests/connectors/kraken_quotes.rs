//! Kraken's quotes: the ticker as it is, the best of books, and REST while the WebSocket is away.

use serde_json::json;
use tickline_feeds::connect::Event;
use tickline_feeds::connect::kraken::{QuoteSettings, QuoteSource, Quotes, Trigger};

use crate::rig::{Rig, SECOND_NS, START_NS};

const PAIRS: &str = r#"{"error":[],"result":{"XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","pair_decimals":1,"lot_decimals":8}}}"#;

fn settings(source: QuoteSource) -> QuoteSettings {
    QuoteSettings {
        url: "ws://venue".to_owned(),
        rest_url: "http://rest".to_owned(),
        symbols: vec!["BTC/USD".to_owned()],
        source,
        poll_ns: SECOND_NS,
        seed: 5,
    }
}

fn ticker(bid: &str, micros: u32) -> String {
    format!(
        r#"{{"channel":"ticker","type":"update","data":[{{"symbol":"BTC/USD","bid":{bid},"bid_qty":0.25761908,"ask":63401.3,"ask_qty":1.00000000,"timestamp":"2026-08-02T03:36:02.{micros:06}Z"}}]}}"#
    )
}

#[test]
fn a_ticker_message_is_published_digit_by_digit_with_its_ordinal() {
    let (mut rig, done) = Rig::new(Quotes::new(settings(QuoteSource::Ticker(Trigger::Bbo))));
    assert_eq!(done.asked(), ["http://rest/0/public/AssetPairs"]);
    let subscribed = rig.opened().requests();
    assert_eq!(
        subscribed[0]["params"],
        json!({"channel": "ticker", "symbol": ["BTC/USD"], "event_trigger": "bbo", "snapshot": true})
    );
    for (at, (bid, micros, tie)) in
        [("63388.70", 1, 0), ("63388.80", 1, 1), ("63388.9", 2, 0)].into_iter().enumerate()
    {
        let done = rig.say(&ticker(bid, micros));
        let [payload] = done.data()[..] else { panic!("{done:?}") };
        assert_eq!((&payload["_tie"], &payload["_recv"]), (&json!(tie), &json!(START_NS)));
        assert_eq!(
            (&payload["data"][0]["bid"], &payload["data"][0]["ask_qty"]),
            (&json!(bid), &json!("1.00000000"))
        );
        assert_eq!(done.events().len(), usize::from(at == 0), "the first quote says that all is up");
    }
    rig.say(&ticker("63388.7", 1));
    assert_eq!(rig.count("time_back"), 1);
}

/// Seconds until the connector connects again, rounded up.
fn wait_s(rig: &mut Rig<Quotes>) -> u64 {
    (1..=30).find(|_| rig.pass(SECOND_NS).opens()).expect("it connects again")
}

#[test]
fn a_venue_that_hangs_up_again_and_again_is_asked_less_and_less_often() {
    let (mut rig, _) = Rig::new(Quotes::new(settings(QuoteSource::Ticker(Trigger::Bbo))));
    let mut waits = Vec::new();
    for micros in 0..8 {
        rig.opened();
        rig.say(&ticker("1.0", micros));
        rig.closed();
        waits.push(wait_s(&mut rig));
    }
    assert!(waits[0] == 1 && waits[7] > 15 && waits.iter().all(|wait| *wait <= 30), "{waits:?}");
    rig.opened();
    for second in 0..21 {
        rig.say(&ticker("2.0", second));
        rig.pass(SECOND_NS);
    }
    rig.closed();
    assert_eq!(wait_s(&mut rig), 1, "a connection that stood for a while was a good one");
}

#[test]
fn messages_that_cannot_be_read_are_holes_of_so_many_messages() {
    let (mut rig, _) = Rig::new(Quotes::new(settings(QuoteSource::Ticker(Trigger::Bbo))));
    rig.opened();
    rig.say(&ticker("1.0", 1));
    let first = rig.say(r#"{"channel":"ticker","#);
    assert_eq!(first.events().len(), 0);
    rig.say(r#"{"channel":"ticker","type":"update","data":[{"symbol":7}]}"#);
    let done = rig.pass(SECOND_NS);
    let told: Vec<_> = first.events().into_iter().chain(done.events()).collect();
    let lost: u64 = told.iter().filter_map(|(_, _, _, lost)| *lost).sum();
    assert_eq!((lost, rig.count("quotes_malformed")), (2, 2), "{told:?}");
    assert_eq!(rig.say(&ticker("2.0", 2)).data().len(), 1, "and the feed goes on");
}

#[test]
fn quotes_of_books_are_published_when_the_best_level_changes() {
    let (mut rig, _) = Rig::new(Quotes::new(settings(QuoteSource::Book)));
    assert_eq!(rig.opened().requests()[0]["params"]["depth"], json!(10));
    let sum = |text: &str| crc32fast::hash(text.as_bytes());
    let book = |kind: &str, bids: &str, asks: &str, checksum: u32| {
        format!(
            r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{bids}],"asks":[{asks}],"checksum":{checksum},"timestamp":"2026-08-02T03:36:02.000001Z"}}]}}"#
        )
    };
    let done = rig.say(&book(
        "snapshot",
        r#"{"price":10.0,"qty":1.5}"#,
        r#"{"price":10.5,"qty":2.0}"#,
        sum("1052010015"),
    ));
    let [payload] = done.data()[..] else { panic!("{done:?}") };
    let quote =
        ["symbol", "bid", "bid_qty", "ask", "ask_qty"].map(|key| payload[key].as_str().unwrap().to_owned());
    assert_eq!(quote, ["BTC/USD", "10.0", "1.5", "10.5", "2.0"]);
    let below = book("update", r#"{"price":9.0,"qty":1.0}"#, "", sum("10520100159010"));
    assert!(rig.say(&below).sent.is_empty(), "the best level is the same");
}

#[test]
fn rest_is_asked_once_a_second_while_the_websocket_is_away_and_not_longer() {
    let (mut rig, _) = Rig::new(Quotes::new(settings(QuoteSource::Ticker(Trigger::Bbo))));
    rig.answer(1, PAIRS);
    rig.opened();
    rig.say(&ticker("1.0", 1));
    rig.closed();
    let asked = |done: &crate::rig::Done| done.asked().len();
    let mut early = 0;
    for _ in 0..8 {
        early += asked(&rig.pass(SECOND_NS));
        rig.closed();
    }
    assert_eq!(early, 0, "a short outage needs no second source");
    let mut polls = 0;
    for _ in 0..20 {
        let done = rig.pass(SECOND_NS);
        rig.closed();
        for url in done.asked() {
            assert_eq!(url, "http://rest/0/public/Ticker?pair=XBTUSD");
            polls += 1;
            let answer =
                r#"{"error":[],"result":{"XXBTZUSD":{"a":["2.0","1","1.000"],"b":["1.0","1","1.000"]}}}"#;
            assert_eq!(rig.answer(2, answer).data()[0]["result"]["XXBTZUSD"]["b"][0], json!("1.0"));
        }
    }
    assert!((15..=20).contains(&polls), "{polls}");
    rig.opened();
    rig.say(&ticker("3.0", 3));
    assert_eq!(asked(&rig.pass(3 * SECOND_NS)), 0, "the WebSocket is back");
}

#[test]
fn a_rate_limit_of_rest_is_waited_out() {
    let (mut rig, _) = Rig::new(Quotes::new(settings(QuoteSource::Rest)));
    rig.answer(1, PAIRS);
    assert_eq!(rig.pass(SECOND_NS).asked().len(), 1);
    let done = rig.answer(2, r#"{"error":["EAPI:Rate limit exceeded"]}"#);
    assert!(done.sent.is_empty(), "a refusal is no quote");
    assert!(rig.pass(SECOND_NS - 1).asked().is_empty(), "and not asked again at once");
    assert_eq!(rig.pass(2 * SECOND_NS).asked().len(), 1);
    assert_eq!(rig.count("rest_refusals"), 1);
    let none = Event::Answer { id: 2, status: None, body: b"connection refused" };
    assert!(rig.tell(none).sent.is_empty());
}

#[test]
fn all_pairs_are_those_that_the_venue_lists_and_new_ones_are_added() {
    let all = QuoteSettings { symbols: vec!["*".to_owned()], ..settings(QuoteSource::Ticker(Trigger::Bbo)) };
    let (mut rig, _) = Rig::new(Quotes::new(all));
    assert_eq!(rig.opened().requests()[0]["params"]["channel"], json!("instrument"));
    let list = |pairs: &str| {
        format!(r#"{{"channel":"instrument","type":"snapshot","data":{{"assets":[],"pairs":[{pairs}]}}}}"#)
    };
    let first = r#"{"symbol":"BTC/USD","status":"online","qty_increment":1e-08},{"symbol":"OLD/USD","status":"delisted"}"#;
    assert_eq!(rig.say(&list(first)).requests()[0]["params"]["symbol"], json!(["BTC/USD"]));
    let done =
        rig.say(&list(r#"{"symbol":"BTC/USD","status":"online"},{"symbol":"NEW/USD","status":"online"}"#));
    assert_eq!(done.requests()[0]["params"]["symbol"], json!(["NEW/USD"]));
}

#[test]
fn maintenance_is_told_and_its_end_too() {
    let (mut rig, _) = Rig::new(Quotes::new(settings(QuoteSource::Ticker(Trigger::Bbo))));
    rig.opened();
    let status = |system: &str| {
        format!(
            r#"{{"channel":"status","type":"update","data":[{{"system":"{system}","connection_id":2950167385101900187}}]}}"#
        )
    };
    assert!(rig.say(&status("online")).events().is_empty());
    assert_eq!(rig.say(&status("maintenance")).events()[0].0, "maintenance");
    assert_eq!(rig.say(&status("online")).events()[0].0, "clean");
}
