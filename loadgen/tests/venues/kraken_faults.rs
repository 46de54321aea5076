//! Kraken: each fault does what it says, and the journal says what it did.

use std::time::Duration;

use serde_json::Value;
use tickline_loadgen::venue::fault::{Fault, FaultKind};
use tickline_loadgen::venue::journal::{Injected, Record};
use tickline_loadgen::venue::kraken::{KrakenVenue, start};
use tickline_loadgen::venue::{Feed, Simulator};

use crate::client::{LIMIT, Socket, get};
use crate::kraken::{Book, subscribe, token};

const TRADE: &str = "trade BTC/USD";

fn plan(messages: u64, faults: &[&str]) -> KrakenVenue {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let feed = Feed { messages: Some(messages), faults, ..Feed::default() };
    KrakenVenue { feed, symbols: vec!["BTC/USD".to_owned()], ..KrakenVenue::default() }
}

fn venue(messages: u64, faults: &[&str]) -> Simulator {
    start(plan(messages, faults)).unwrap()
}

fn trades(venue: &Simulator) -> Socket {
    let mut socket = Socket::open(venue);
    subscribe(&mut socket, "trade", &["BTC/USD"], "");
    socket
}

fn ids(text: &str) -> Vec<u64> {
    let message: Value = serde_json::from_str(text).unwrap();
    message["data"].as_array().unwrap().iter().map(|trade| trade["trade_id"].as_u64().unwrap()).collect()
}

/// Ids that lie between the last of one message and the first of the next.
fn missing(before: &str, after: &str) -> u64 {
    ids(after)[0] - ids(before).last().unwrap() - 1
}

fn only(record: &Record) -> &Injected {
    let [injected] = record.journal.as_slice() else { panic!("{:?}", record.journal) };
    injected
}

/// The one hole of the one fault: messages and items; its times are in order.
fn hole(record: &Record) -> (u64, u64) {
    let [hole] = only(record).holes.as_slice() else { panic!("{:?}", record.journal) };
    assert!(hole.to_ns.unwrap() >= hole.from_ns && hole.stream == TRADE, "{hole:?}");
    assert_eq!(only(record).to_ns, hole.to_ns);
    (hole.messages, hole.items)
}

#[test]
fn skipped_trades_are_missing_and_counted() {
    let venue = venue(100, &["skip 3 after 50 of trade BTC/USD"]);
    let mut socket = trades(&venue);
    let got: Vec<String> = (0..97).map(|_| socket.of("trade")).collect();
    let gaps: Vec<(usize, u64)> =
        (1..97).map(|n| (n, missing(&got[n - 1], &got[n]))).filter(|(_, missing)| *missing > 0).collect();
    let record = venue.stop();
    let (messages, items) = hole(&record);
    assert_eq!((gaps, messages, only(&record).count), (vec![(50, items)], 3, 3));
}

#[test]
fn a_disconnect_lets_everything_arrive_before_it_and_so_much_pass_unseen() {
    let venue = venue(200, &["disconnect 7 after 100 of trade BTC/USD"]);
    let mut socket = trades(&venue);
    let before: Vec<String> = (0..100).map(|_| socket.of("trade")).collect();
    assert_eq!(socket.next(), None);
    let after = trades(&venue).of("trade");
    assert!(venue.wait(LIMIT, |record| record.journal[0].to_ns.is_some()));
    let (messages, items) = hole(&venue.stop());
    assert_eq!((messages, items), (7, missing(&before[99], &after)));
}

#[test]
fn half_a_message_is_the_last_thing_on_its_connection() {
    let venue = venue(200, &["half-message after 10 of trade BTC/USD"]);
    let mut socket = trades(&venue);
    let before: Vec<String> = (0..10).map(|_| socket.of("trade")).collect();
    assert_eq!(socket.next(), None);
    let after = trades(&venue).of("trade");
    assert!(venue.wait(LIMIT, |record| record.journal[0].to_ns.is_some()));
    let (messages, items) = hole(&venue.stop());
    assert_eq!((messages, items), (1, missing(&before[9], &after)));
}

#[test]
fn a_malformed_message_is_lost_and_nothing_else() {
    let venue = venue(20, &["malformed 2 after 10 of trade BTC/USD"]);
    let mut socket = trades(&venue);
    let got: Vec<String> = (0..20).map(|_| socket.of("trade")).collect();
    let broken: Vec<usize> = (0..20).filter(|n| serde_json::from_str::<Value>(&got[*n]).is_err()).collect();
    assert_eq!(broken, [10, 11]);
    assert_eq!(hole(&venue.stop()), (2, missing(&got[9], &got[12])));
}

#[test]
fn a_wrong_checksum_comes_when_it_was_asked_for() {
    let venue = venue(50, &["checksum 2 after 30 of book BTC/USD"]);
    let mut socket = Socket::open(&venue);
    subscribe(&mut socket, "book", &["BTC/USD"], "");
    let mut book = Book::default();
    // The snapshot is number 0.
    let wrong: Vec<usize> = (0..51).filter(|_| !book.take(&socket.of("book"), 10)).collect();
    assert_eq!(wrong, [31, 32]);
    let record = venue.stop();
    assert_eq!((only(&record).count, only(&record).holes.len()), (2, 0));
    assert!(only(&record).to_ns.is_some());
}

#[test]
fn a_message_that_drips_arrives_whole() {
    let venue = venue(20, &["drip 3 after 5 of trade BTC/USD"]);
    let mut socket = trades(&venue);
    let got: Vec<String> = (0..20).map(|_| socket.of("trade")).collect();
    assert!((1..20).all(|n| missing(&got[n - 1], &got[n]) == 0));
    assert_eq!(only(&venue.stop()).count, 3);
}

#[test]
fn in_silence_nothing_comes_at_all() {
    let mut plan = plan(200, &["silence after 100 of trade BTC/USD"]);
    plan.feed.heartbeat = Some(Duration::from_millis(10));
    let venue = start(plan).unwrap();
    let mut socket = trades(&venue);
    (0..100).for_each(|_| drop(socket.of("trade")));
    socket.say(r#"{"method":"ping"}"#);
    // Time enough for many heartbeats.
    assert!(!venue.wait(Duration::from_millis(300), |record| record.open == 0));
    assert_eq!(only(&venue.stop()).to_ns, None);
    assert_eq!(socket.next(), None);
}

#[test]
fn after_a_silence_comes_the_message_after_those_that_passed_unseen() {
    let venue = venue(200, &["silence 200ms 5 after 100 of trade BTC/USD"]);
    let mut socket = trades(&venue);
    let before: Vec<String> = (0..100).map(|_| socket.of("trade")).collect();
    let after = socket.of("trade");
    let (messages, items) = hole(&venue.record());
    assert_eq!((messages, items), (5, missing(&before[99], &after)));
    let injected = only(&venue.record()).clone();
    assert!(injected.to_ns.unwrap() - injected.from_ns >= 200_000_000);
}

#[test]
fn in_data_silence_only_heartbeats_and_answers_come_until_the_client_comes_again() {
    let venue = venue(200, &["data-silence 4 after 100 of trade BTC/USD"]);
    let mut socket = trades(&venue);
    let before: Vec<String> = (0..100).map(|_| socket.of("trade")).collect();
    assert_eq!(socket.next().unwrap(), r#"{"channel":"heartbeat"}"#);
    socket.say(r#"{"method":"ping"}"#);
    assert!(socket.next().unwrap().starts_with(r#"{"method":"pong""#));
    assert_eq!(only(&venue.record()).to_ns, None);
    let after = trades(&venue).of("trade");
    assert!(venue.wait(LIMIT, |record| record.journal[0].to_ns.is_some()));
    assert_eq!(hole(&venue.stop()), (4, missing(&before[99], &after)));
}

#[test]
fn refusals_are_counted_and_end() {
    let venue = venue(0, &["refuse 2 of book BTC/USD", "rate-limit 1", "expired-token 1"]);
    let mut socket = Socket::open(&venue);
    socket.json();
    let mut asked = |venue: &Simulator| {
        subscribe(&mut socket, "book", &["BTC/USD"], "");
        let ack = socket.json();
        assert_eq!(ack["success"].as_bool().unwrap(), ack.get("error").is_none());
        assert!(venue.record().open == 1);
        ack["success"].as_bool().unwrap()
    };
    assert_eq!([asked(&venue), asked(&venue), asked(&venue)], [false, false, true]);
    let limited = get(&venue, "/0/public/Time");
    assert_eq!(limited["error"][0], "EAPI:Rate limit exceeded");
    assert!(limited.get("result").is_none());
    assert_eq!(get(&venue, "/0/public/Time")["error"].as_array().unwrap().len(), 0);
    let given = token(&venue, "")["result"]["token"].as_str().unwrap().to_owned();
    let mut private = Socket::open(&venue);
    private.json();
    let ask = format!(
        "{{\"method\":\"subscribe\",\"params\":{{\"channel\":\"executions\",\"token\":\"{given}\"}}}}"
    );
    private.say(&ask);
    assert_eq!(private.json()["error"], "ESession:Invalid session");
    private.say(&ask);
    assert_eq!(private.json()["success"], true);
    let record = venue.stop();
    assert_eq!(record.journal.iter().map(|entry| entry.count).collect::<Vec<u64>>(), [2, 1, 1]);
    assert!(record.journal.iter().all(|entry| entry.to_ns.is_some()));
}

#[test]
fn refused_connections_are_closed_before_a_byte() {
    let venue = venue(0, &["refuse-connections 2"]);
    for _ in 0..2 {
        let stream = std::net::TcpStream::connect(crate::client::host(&venue.stream)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        assert!(matches!(std::io::Read::read(&mut &stream, &mut [0; 1]), Ok(0) | Err(_)));
    }
    assert_eq!(Socket::open(&venue).json()["channel"], "status");
    assert_eq!(only(&venue.stop()).count, 2);
}

#[test]
fn a_venue_that_closes_may_refuse_who_comes_back() {
    let faults = ["disconnect after 10 of trade BTC/USD", "refuse-connections 2 after 10 of trade BTC/USD"];
    let venue = venue(20, &faults);
    let mut socket = trades(&venue);
    (0..10).for_each(|_| drop(socket.of("trade")));
    assert_eq!(socket.next(), None);
    for _ in 0..2 {
        let stream = std::net::TcpStream::connect(crate::client::host(&venue.stream)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        assert!(matches!(std::io::Read::read(&mut &stream, &mut [0; 1]), Ok(0) | Err(_)));
    }
    trades(&venue).of("trade");
    let record = venue.stop();
    assert_eq!(record.journal.iter().map(|entry| entry.count).collect::<Vec<u64>>(), [1, 2]);
}

#[test]
fn maintenance_is_announced_and_over_after_its_time() {
    let venue = venue(1_000_000, &[]);
    let mut socket = trades(&venue);
    socket.of("trade");
    venue.inject(Fault::new(FaultKind::Maintenance).span(Duration::from_millis(300))).unwrap();
    let system = |text: String| serde_json::from_str::<Value>(&text).unwrap()["data"][0]["system"].clone();
    let said: Vec<Value> = std::iter::from_fn(|| Some(system(socket.of("status")))).take(2).collect();
    assert_eq!(said, ["maintenance", "online"]);
    socket.of("trade");
    let injected = only(&venue.stop()).clone();
    assert!(injected.to_ns.unwrap() - injected.from_ns >= 300_000_000);
}

#[test]
fn refusals_for_a_time_end_with_it() {
    let venue = venue(0, &["rate-limit 100ms"]);
    assert_eq!(get(&venue, "/0/public/Time")["error"][0], "EAPI:Rate limit exceeded");
    assert!(venue.wait(LIMIT, |record| record.journal[0].to_ns.is_some()));
    assert_eq!(get(&venue, "/0/public/Time")["error"].as_array().unwrap().len(), 0);
    assert_eq!(only(&venue.stop()).count, 1);
}

#[test]
fn who_polls_what_nobody_streams_sees_it_move_and_the_record_has_the_answers() {
    let venue = venue(0, &[]);
    let asked: Vec<Value> = (0..3).map(|_| get(&venue, "/0/public/Ticker?pair=XBTUSD")).collect();
    assert!(asked[0] != asked[1] && asked[1] != asked[2]);
    let record = venue.stop();
    let said: Vec<Value> = record.sent.iter().map(|sent| serde_json::from_str(&sent.text).unwrap()).collect();
    assert_eq!(said, asked);
    assert_eq!(record.received[0].text, "GET /0/public/Ticker?pair=XBTUSD");
}
