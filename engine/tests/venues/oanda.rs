//! OANDA: prices arrive complete and in order over chunks that have nothing to do with lines, transactions that the stream
//! left out are fetched, and a silent venue is told from a dead one.

use std::path::PathBuf;

use serde_json::Value;
use tickline_loadgen::venue::oanda::{OandaVenue, start};
use tickline_loadgen::venue::{Feed, Pace, Simulator};

use crate::bus::{Bus, Heard};

pub(crate) fn venue(instruments: &[&str], feed: Feed) -> Simulator {
    let instruments = instruments.iter().map(|name| (*name).to_owned()).collect();
    start(OandaVenue { feed, instruments, ..OandaVenue::default() }).unwrap()
}

pub(crate) fn publisher(kind: &str, venue: &Simulator, more: &str) -> String {
    let (stream, rest) = (&venue.stream, &venue.rest);
    format!(
        "[publishers.{kind}]\nstream_url = {stream:?}\nrest_url = {rest:?}\naccount = \"101-004-1234567-001\"\n\
         token = \"env:OANDA_TOKEN\"\n{more}\n"
    )
}

/// Lines of a kind that the venue has sent.
pub(crate) fn sent(venue: &Simulator, what: &str) -> Vec<Value> {
    let record = venue.record();
    let lines = record.sent.iter().filter(|sent| sent.text.contains(what));
    lines.map(|sent| serde_json::from_str(&sent.text).unwrap()).collect()
}

/// A price without what is written another way: liquidity is an integer, everything else text.
pub(crate) fn price(payload: &Value) -> [String; 4] {
    let side = |key: &str| payload[key][0]["price"].as_str().unwrap_or_default().to_owned();
    let text = |key: &str| payload[key].as_str().unwrap_or_default().to_owned();
    [text("instrument"), text("time"), side("bids"), side("asks")]
}

#[test]
fn prices_arrive_complete_and_in_order_under_every_topic() {
    let instruments = ["EUR_USD", "USD_JPY"];
    let venue = venue(&instruments, Feed { messages: Some(500), ..Feed::default() });
    let more = "instruments = [\"EUR_USD\", \"USD_JPY\"]\nalso = [\"oandav20_tick\"]\nper_instrument = true";
    let mut bus = Bus::start(&publisher("oanda_tick", &venue, more), None);
    bus.until("every price", |heard| {
        let count = heard.iter().filter(|heard| heard.topic == "oandav20_tick" && heard.is_data()).count();
        venue.record().ended && count == sent(&venue, "\"PRICE\"").len()
    });
    let expected: Vec<_> = sent(&venue, "\"PRICE\"").iter().map(price).collect();
    for topic in ["oanda_tick", "oandav20_tick"] {
        let found: Vec<_> = bus.data(topic).map(price).collect();
        assert_eq!(found, expected, "{topic}");
    }
    let of_one: Vec<_> = expected.iter().filter(|price| price[0] == "EUR_USD").cloned().collect();
    assert_eq!(bus.data("EUR_USD").map(price).collect::<Vec<_>>(), of_one);
}

#[test]
fn recorded_ticks_arrive_complete_and_in_order() {
    let Some(folder) = std::env::var_os("TICKLINE_RECORDINGS").map(PathBuf::from) else {
        return println!("skipped: TICKLINE_RECORDINGS not set");
    };
    let recordings = vec![folder.join("oanda/lean_eurusd_tick_20140505_quote.zip")];
    let venue = start(OandaVenue { recordings, ..OandaVenue::default() }).unwrap();
    let mut bus = Bus::start(&publisher("oanda_tick", &venue, "instruments = [\"EUR_USD\"]"), None);
    bus.until("every price", |heard| venue.record().ended && heard.len() > 25_177);
    let expected: Vec<_> = sent(&venue, "\"PRICE\"").iter().map(price).collect();
    assert_eq!(bus.data("oanda_tick").map(price).collect::<Vec<_>>(), expected);
    assert!(expected.len() >= 25_177, "{} ticks", expected.len());
}

pub(crate) fn ids(bus: &Bus) -> Vec<u64> {
    bus.data("oanda_orders").map(|order| order["id"].as_str().unwrap().parse().unwrap()).collect()
}

#[test]
fn transactions_that_the_stream_left_out_are_fetched_in_their_order() {
    let faults = ["skip 3 after 40 of transactions", "disconnect 5 after 90 of transactions"];
    let faults = faults.map(|fault| fault.parse().unwrap()).to_vec();
    let heartbeat = Some(std::time::Duration::from_millis(500));
    let feed = Feed { messages: Some(150), pace: Pace::Rate(100.0), faults, heartbeat, ..Feed::default() };
    let venue = venue(&["EUR_USD"], feed);
    let mut bus = Bus::start(&publisher("oanda_orders", &venue, ""), None);
    let last = |heard: &[Heard]| {
        heard.iter().rev().find_map(|heard| heard.payload["id"].as_str()?.parse::<u64>().ok())
    };
    bus.until("the last transaction", |heard| {
        let made =
            sent(&venue, "\"batchID\"").iter().filter_map(|sent| sent["id"].as_str()?.parse().ok()).max();
        venue.record().ended && made.is_some() && last(heard) >= made
    });
    let ids = ids(&bus);
    let expected: Vec<u64> = (ids[0]..ids[0] + ids.len() as u64).collect();
    assert_eq!(ids, expected, "each once and in order");
    assert!(bus.heard.iter().all(|heard| heard.payload.get("lost").is_none()), "nothing is lost");
}

#[test]
fn a_dead_stream_is_told_with_its_span_and_a_wrong_token_by_its_name() {
    let faults = vec!["disconnect 3 after 30 of pricing EUR_USD".parse().unwrap()];
    let feed = Feed { messages: Some(120), pace: Pace::Rate(50.0), faults, ..Feed::default() };
    let venue = venue(&["EUR_USD"], feed);
    let mut bus = Bus::start(&publisher("oanda_tick", &venue, "instruments = [\"EUR_USD\"]"), None);
    bus.until("the hole", |heard| venue.record().ended && heard.iter().any(|heard| heard.span().is_some()));
    let record = venue.record();
    let hole = &record.journal[0].holes[0];
    let (from, to) = bus.heard.iter().find_map(Heard::span).unwrap();
    let second = 1_000_000_000;
    assert!(
        (from - hole.from_ns).abs() < second && (to - hole.to_ns.unwrap()).abs() < second,
        "{hole:?} {from} {to}"
    );

    let wrong =
        publisher("oanda_tick", &venue, "instruments = [\"EUR_USD\"]").replace("OANDA_TOKEN", "WRONG_TOKEN");
    let mut bus = Bus::start(&wrong, None);
    let mut failure = None;
    bus.until_now("the refusal", |group| {
        failure = group.failure();
        failure.is_some()
    });
    assert!(failure.clone().unwrap().contains("publishers.oanda_tick"), "{failure:?}");
}
