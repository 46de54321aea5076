//! Kraken: books and quotes are those that the venue sent, and each fault is told with its span.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tickline_loadgen::venue::kraken::{KrakenVenue, start};
use tickline_loadgen::venue::{Feed, Pace, Simulator};

use tickline_config::report::PublisherReport;

use crate::bus::{Bus, Heard};

pub(crate) fn venue(symbols: &[&str], feed: Feed) -> Simulator {
    let symbols = symbols.iter().map(|symbol| (*symbol).to_owned()).collect();
    start(KrakenVenue { feed, symbols, ..KrakenVenue::default() }).unwrap()
}

/// Sections of the configuration that lead to the venue.
pub(crate) fn publisher(name: &str, venue: &Simulator, symbols: &[&str], more: &str) -> String {
    let (url, rest) = (&venue.stream, &venue.rest);
    format!("[publishers.{name}]\nurl = {url:?}\nrest_url = {rest:?}\nsymbols = {symbols:?}\n{more}\n")
}

/// Price and quantity texts of a side, by price in units of 10^-10.
type Side = BTreeMap<i128, [String; 2]>;

/// A plain model of books: what the venue sent, applied one after the other.
#[derive(Default)]
struct Plain(BTreeMap<String, (Side, Side)>);

impl Plain {
    fn apply(&mut self, text: &str, depth: usize) -> String {
        // Numbers keep their text: each is wrapped into quotes first.
        let mut quoted = String::new();
        let mut inside = false;
        for word in text.split_inclusive([':', ',', '}', ']', '{', '[']) {
            let (body, end) = word.split_at(word.len() - 1);
            let was_inside = inside;
            inside ^= body.matches('"').count() % 2 == 1;
            let number = !was_inside && body.starts_with(|c: char| c.is_ascii_digit() || c == '-');
            quoted.push_str(&if number { format!("\"{body}\"{end}") } else { word.to_owned() });
        }
        let message: Value =
            serde_json::from_str(&quoted).unwrap_or_else(|error| panic!("{error}: {quoted}"));
        let data = &message["data"][0];
        let symbol = data["symbol"].as_str().unwrap().to_owned();
        let (bids, asks) = self.0.entry(symbol.clone()).or_default();
        for (key, side) in [("bids", &mut *bids), ("asks", &mut *asks)] {
            if message["type"] == json!("snapshot") {
                side.clear();
            }
            for level in data[key].as_array().unwrap() {
                let [price, qty] = ["price", "qty"].map(|key| level[key].as_str().unwrap().to_owned());
                let (whole, fraction) = price.split_once('.').unwrap_or((&price, ""));
                let at: i128 = format!("{whole}{fraction:0<10}").parse().unwrap();
                if qty.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
                    side.remove(&at);
                } else {
                    side.insert(at, [price, qty]);
                }
            }
        }
        while bids.len() > depth {
            bids.pop_first();
        }
        while asks.len() > depth {
            asks.pop_last();
        }
        symbol
    }

    fn top(&self, symbol: &str, levels: usize) -> [Value; 2] {
        let (bids, asks) = &self.0[symbol];
        let pad = |mut side: Vec<Value>| {
            side.resize(levels, json!([null, "0"]));
            Value::Array(side)
        };
        [
            pad(bids.values().rev().take(levels).map(|level| json!(level)).collect()),
            pad(asks.values().take(levels).map(|level| json!(level)).collect()),
        ]
    }
}

#[test]
fn every_book_that_is_published_is_the_venue_s_after_that_message() {
    let symbols = ["BTC/USD", "ETH/USD"];
    let venue = venue(&symbols, Feed { messages: Some(2_000), pace: Pace::Max, ..Feed::default() });
    let mut bus = Bus::start(&publisher("kraken_depth", &venue, &symbols, "depth = 25\nlevels = 25"), None);
    // Every message of the venue changes a level within 25, so that each is a book.
    let sent =
        || venue.record().sent.iter().filter(|sent| sent.text.contains("\"channel\":\"book\"")).count();
    bus.until("every book", |heard| {
        venue.record().ended && heard.iter().filter(|heard| heard.is_data()).count() >= sent()
    });
    let record = venue.record();
    let mut plain = Plain::default();
    let mut expected = Vec::new();
    for message in record.sent.iter().filter(|sent| sent.text.contains("\"channel\":\"book\"")) {
        let symbol = plain.apply(&message.text, 25);
        let [bids, asks] = plain.top(&symbol, 25);
        expected.push((symbol, bids, asks));
    }
    let found: Vec<_> = bus
        .data("kr_depth")
        .map(|book| (book["symbol"].as_str().unwrap().to_owned(), book["bids"].clone(), book["asks"].clone()))
        .collect();
    assert_eq!(found.len(), expected.len());
    let differs = found.iter().zip(&expected).position(|(found, expected)| found != expected);
    assert_eq!(differs, None, "the first book that differs");
    assert_eq!(bus.count("kraken_depth", "book_resyncs"), 0);
    assert!(found.len() > 4_000, "{} books", found.len());
}

#[test]
fn over_tls_quotes_arrive_as_they_were_sent() {
    let symbols = ["BTC/USD", "ETH/USD", "XRP/USD"];
    let venue = venue(&symbols, Feed { messages: Some(200), tls: true, ..Feed::default() });
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, &venue.certificates.as_ref().unwrap().authority).unwrap();
    let mut bus = Bus::start(&publisher("kraken_tick", &venue, &symbols, ""), Some(&authority));
    let tickers = || venue.record().sent.iter().filter(|sent| sent.stream.starts_with("ticker")).count();
    bus.until("every quote", |heard| {
        venue.record().ended && heard.iter().filter(|heard| heard.is_data()).count() >= tickers()
    });
    let found: Vec<String> =
        bus.data("kraken_tick").map(|quote| quote["data"][0]["bid"].as_str().unwrap().to_owned()).collect();
    let record = venue.record();
    let sent = record.sent.iter().filter(|sent| sent.stream.starts_with("ticker"));
    let bid = |text: &str| {
        let from = text.find("\"bid\":").unwrap() + 6;
        text[from..].split(',').next().unwrap().to_owned()
    };
    let expected: Vec<String> = sent.map(|sent| bid(&sent.text)).collect();
    assert_eq!(found, expected, "digit by digit");
}

pub(crate) fn holes(heard: &[Heard]) -> Vec<&Heard> {
    heard.iter().filter(|heard| heard.event().is_some() && heard.span().is_some()).collect()
}

#[test]
fn trades_that_the_stream_lost_come_from_rest() {
    let symbols = ["BTC/USD"];
    let faults = ["skip 3 after 50 of trade BTC/USD", "disconnect 5 after 120 of trade BTC/USD"];
    let faults = faults.map(|fault| fault.parse().unwrap()).to_vec();
    let pace = Pace::Rate(100.0);
    let venue = venue(&symbols, Feed { messages: Some(300), pace, faults, ..Feed::default() });
    let mut bus = Bus::start(&publisher("kraken_trades", &venue, &symbols, ""), None);
    bus.until("the end of the trades", |heard| {
        let ids: Vec<u64> = heard.iter().filter_map(|heard| heard.payload["trade_id"].as_u64()).collect();
        let (first, last) = (ids.iter().min(), ids.iter().max());
        venue.record().ended
            && first.zip(last).is_some_and(|(first, last)| ids.len() as u64 == last - first + 1)
    });
    let mut ids: Vec<u64> =
        bus.data("kraken_trades").map(|trade| trade["trade_id"].as_u64().unwrap()).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "each trade once");
    assert!(holes(&bus.heard).iter().all(|hole| hole.payload.get("lost").is_none()), "no trade is lost");
    assert!(bus.count("kraken_trades", "trades_filled") > 0);
}

/// The section of our own orders.
pub(crate) fn orders(venue: &Simulator, more: &str) -> String {
    let (url, rest) = (&venue.stream, &venue.rest);
    format!(
        "[publishers.kraken_orders]\nurl = {url:?}\nrest_url = {rest:?}\napi_secret = \"env:KRAKEN_SECRET\"\n{more}\n"
    )
}

#[test]
fn executions_arrive_in_order_and_a_number_that_is_missing_is_a_hole_of_so_many() {
    let faults = vec!["skip 4 after 60 of executions".parse().unwrap()];
    let pace = Pace::Rate(100.0);
    let venue = venue(&["BTC/USD"], Feed { messages: Some(200), pace, faults, ..Feed::default() });
    let mut bus = Bus::start(&orders(&venue, "api_key = \"env:KRAKEN_KEY\""), None);
    bus.until("the last execution", |heard| {
        let record = venue.record();
        let last = record.sent.iter().rev().find(|sent| sent.stream.starts_with("executions"));
        let sequence =
            last.and_then(|sent| serde_json::from_str::<Value>(&sent.text).ok()?["sequence"].as_u64());
        record.ended
            && heard.iter().rev().find(|h| h.is_data()).and_then(|h| h.payload["sequence"].as_u64())
                == sequence
    });
    let lost: Vec<u64> =
        holes(&bus.heard).iter().filter_map(|hole| hole.payload.get("lost")?.as_u64()).collect();
    assert_eq!(lost, [4], "{:?}", venue.record().journal);
}

#[test]
fn a_wrong_key_ends_the_process_with_its_name_or_is_tried_rarely() {
    let venue = venue(&["BTC/USD"], Feed::default());
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "not the key").unwrap();
    let wrong = format!("api_key = \"file:{}\"", key.display());
    let mut bus = Bus::start(&orders(&venue, &wrong), None);
    let mut failure = None;
    bus.until_now("the end", |group| {
        failure = group.failure();
        failure.is_some()
    });
    let failure = failure.unwrap();
    assert!(
        failure.contains("publishers.kraken_orders: api_key: refused by Kraken: EAPI:Invalid key"),
        "{failure}"
    );
    let mut bus = Bus::start(&orders(&venue, &format!("{wrong}\non_refused = \"degrade\"")), None);
    bus.until("the refusal", |heard| heard.iter().any(|heard| heard.event() == Some("refused")));
    assert_eq!(bus.group.failure(), None);
    let asked =
        || venue.record().received.iter().filter(|said| said.text.contains("GetWebSocketsToken")).count();
    let before = asked();
    bus.until("three heartbeats", |heard| {
        heard.iter().filter(|heard| heard.payload.get("_hb").is_some()).count() >= 3
    });
    assert_eq!(asked(), before, "three seconds later it was not tried again");
}

#[test]
fn what_the_venue_refuses_is_named_and_the_others_go_on() {
    let symbols = ["BTC/USD", "NO/PAIR"];
    let known = venue(&symbols[..1], Feed { pace: Pace::Rate(50.0), ..Feed::default() });
    let mut bus = Bus::start(&publisher("kraken_depth", &known, &symbols, ""), None);
    bus.until("the refusal and some books", |heard| {
        heard.iter().any(|heard| heard.event() == Some("refused") && heard.text("scope") == "NO/PAIR")
            && heard.iter().filter(|heard| heard.is_data()).count() > 20
    });
    let mut view = PublisherReport::default();
    bus.until_now("its counts, which are shown once a second", |group| {
        view = group.views().remove(0).report().1;
        view.counts.get("refused") == Some(&1)
    });
    assert_eq!((view.state.as_str(), view.why.as_str()), ("degraded", "1 of 2 symbols are refused"));
}

#[test]
fn maintenance_is_told_and_quotes_come_again_after_it() {
    let feed = Feed { pace: Pace::Rate(100.0), ..Feed::default() };
    let venue = venue(&["BTC/USD"], feed);
    let mut bus = Bus::start(&publisher("kraken_tick", &venue, &["BTC/USD"], ""), None);
    bus.until("quotes", |heard| heard.iter().filter(|heard| heard.is_data()).count() > 5);
    venue.inject("maintenance 1s".parse().unwrap()).unwrap();
    bus.until("both events", |heard| {
        let has = |kind| heard.iter().any(|heard| heard.event() == Some(kind));
        has("maintenance") && has("clean")
    });
    let before = bus.data("kraken_tick").count();
    bus.until("further quotes", |heard| heard.iter().filter(|heard| heard.is_data()).count() > before + 5);
}
