//! Faults that cost nothing when they are met well: what drips arrives whole, what is refused for being too often is asked
//! again, a token that has expired is had anew; and an absence that only the data shows is told.

use tickline_loadgen::venue::{Feed, Pace};

use crate::bus::{Bus, Heard};
use crate::{betfair, kraken, oanda};

fn feed(messages: u64, rate: f64, faults: &[&str]) -> Feed {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    Feed { messages: Some(messages), pace: Pace::Rate(rate), faults, ..Feed::default() }
}

/// No hole was told.
fn assert_whole(bus: &Bus) {
    let told: Vec<&Heard> = bus.heard.iter().filter(|heard| heard.span().is_some()).collect();
    assert!(told.is_empty(), "{told:?}");
}

fn trades(heard: &[Heard]) -> Vec<u64> {
    heard.iter().filter_map(|heard| heard.payload["trade_id"].as_u64()).collect()
}

/// Whether the trades are those from the first to the last.
fn is_complete(ids: &[u64]) -> bool {
    let (first, last) = (ids.iter().min(), ids.iter().max());
    first.zip(last).is_some_and(|(first, last)| ids.len() as u64 == last - first + 1)
}

#[test]
fn what_kraken_says_byte_by_byte_arrives_whole() {
    let symbols = ["BTC/USD"];
    let venue = kraken::venue(&symbols, feed(100, 100.0, &["drip 20 after 30 of trade BTC/USD"]));
    let mut bus = Bus::start(&kraken::publisher("kraken_trades", &venue, &symbols, ""), None);
    bus.until("every trade", |heard| {
        venue.record().ended && trades(heard).len() >= 80 && is_complete(&trades(heard))
    });
    assert_eq!(venue.record().journal[0].count, 20);
    assert_whole(&bus);
}

#[test]
fn what_oanda_says_byte_by_byte_arrives_whole() {
    let venue = oanda::venue(&["EUR_USD"], feed(100, 100.0, &["drip 20 after 30 of pricing EUR_USD"]));
    let publisher = oanda::publisher("oanda_tick", &venue, "instruments = [\"EUR_USD\"]");
    let mut bus = Bus::start(&publisher, None);
    let expected = || oanda::sent(&venue, "\"PRICE\"").iter().map(oanda::price).collect::<Vec<_>>();
    bus.until("every price", |heard| {
        venue.record().ended && heard.iter().filter(|heard| heard.is_data()).count() == expected().len()
    });
    assert_eq!(bus.data("oanda_tick").map(oanda::price).collect::<Vec<_>>(), expected());
    assert_eq!(venue.record().journal[0].count, 20);
    assert_whole(&bus);
}

#[test]
fn what_betfair_says_byte_by_byte_arrives_whole() {
    let venue = betfair::faulty(100, 100.0, &["drip 20 after 30 of market 1.230000000"]);
    let (mut bus, _folder) =
        betfair::bus(&betfair::publisher("betfair_stream", &venue, betfair::SESSION), &venue);
    betfair::until_all(&mut bus, &venue, "betfair_stream");
    assert_eq!(betfair::passed_on(&bus, "betfair_stream"), betfair::sent(&venue));
    assert_eq!(venue.record().journal[0].count, 20);
    assert_whole(&bus);
}

#[test]
fn trades_that_rest_refuses_for_being_asked_too_often_come_later() {
    let symbols = ["BTC/USD"];
    let faults = ["rate-limit 2 after 40 of trade BTC/USD", "skip 3 after 50 of trade BTC/USD"];
    let venue = kraken::venue(&symbols, feed(120, 100.0, &faults));
    let mut bus = Bus::start(&kraken::publisher("kraken_trades", &venue, &symbols, ""), None);
    bus.until("every trade", |heard| {
        venue.record().ended && trades(heard).len() >= 110 && is_complete(&trades(heard))
    });
    assert!(venue.record().journal.iter().all(|injected| injected.to_ns.is_some()), "all was done");
    assert_whole(&bus);
}

#[test]
fn a_token_for_executions_that_has_expired_is_had_anew() {
    let venue = kraken::venue(&["BTC/USD"], feed(60, 100.0, &["expired-token 1"]));
    let mut bus = Bus::start(&kraken::orders(&venue, "api_key = \"env:KRAKEN_KEY\""), None);
    bus.until("executions", |heard| heard.iter().filter(|heard| heard.is_data()).count() > 10);
    let asked =
        venue.record().received.iter().filter(|said| said.text.contains("GetWebSocketsToken")).count();
    assert_eq!(asked, 2);
    assert_eq!(bus.group.failure(), None);
}

#[test]
fn books_that_stand_still_while_the_venue_beats_are_told_when_they_move_again() {
    let symbols = ["BTC/USD"];
    let venue = kraken::venue(&symbols, feed(200, 100.0, &["data-silence 1s after 60 of book BTC/USD"]));
    let mut bus = Bus::start(&kraken::publisher("kraken_depth", &venue, &symbols, ""), None);
    bus.until("the new book", |heard| {
        venue.record().ended && heard.iter().any(|heard| heard.event() == Some("resync"))
    });
    let hole = venue.record().journal[0].holes[0].clone();
    let told: Vec<(i64, i64)> = bus.heard.iter().filter_map(Heard::span).collect();
    let second = 1_000_000_000;
    let near = |(from, to): &&(i64, i64)| {
        (from - hole.from_ns).abs() < second && (to - hole.to_ns.unwrap()).abs() < second
    };
    assert!(told.iter().any(|span| near(&span)), "{hole:?} is not among {told:?}");
}
