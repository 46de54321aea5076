//! A hundred holes of eight causes: each is told, its span is right to a second, and where the venue numbers what it says
//! the number that is lost is exact.

use std::collections::BTreeSet;

use tickline_loadgen::venue::journal::{Injected, Record};
use tickline_loadgen::venue::kraken::{KrakenVenue, start};
use tickline_loadgen::venue::{Feed, Pace, Simulator};

use crate::bus::{Bus, Heard};

const SECOND_NS: i64 = 1_000_000_000;

fn venue(symbols: &[String], rate: f64, messages: u64, faults: &[String]) -> Simulator {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let feed = Feed { messages: Some(messages), pace: Pace::Rate(rate), faults, ..Feed::default() };
    start(KrakenVenue { feed, symbols: symbols.to_vec(), ..KrakenVenue::default() }).unwrap()
}

fn section(name: &str, kind: &str, venue: &Simulator, symbols: &[String]) -> String {
    let (url, rest) = (&venue.stream, &venue.rest);
    format!(
        "[publishers.{name}]\nkind = {kind:?}\nurl = {url:?}\nrest_url = {rest:?}\nrest_fallback = false\nsymbols = {symbols:?}\n"
    )
}

fn pairs(count: usize) -> Vec<String> {
    tickline_loadgen::venue::kraken::symbols(count)
}

/// Holes that were told on a topic, of this scope or of all.
fn told<'a>(heard: &'a [Heard], topic: &'a str, scope: &'a str) -> Vec<(i64, i64)> {
    let of = |heard: &&Heard| heard.topic == topic && [scope, "*"].contains(&heard.text("scope"));
    heard.iter().filter(of).filter_map(Heard::span).collect()
}

/// Whether one of the holes that were told begins and ends where this one does, to a second.
fn is_told(spans: &[(i64, i64)], from_ns: i64, to_ns: i64) -> bool {
    spans.iter().any(|(from, to)| (from - from_ns).abs() <= SECOND_NS && (to - to_ns).abs() <= SECOND_NS)
}

/// Each hole of the journal, with its fault, as stream, first and last moment.
fn spans(record: &Record) -> Vec<(&Injected, String, i64, i64)> {
    let spans = |injected: &'_ Injected| -> Vec<(String, i64, i64)> {
        let hole = |hole: &tickline_loadgen::venue::journal::Hole| {
            Some((hole.stream.clone(), hole.from_ns, hole.to_ns?))
        };
        injected.holes.iter().filter_map(hole).collect()
    };
    record
        .journal
        .iter()
        .flat_map(|injected| spans(injected).into_iter().map(move |(s, f, t)| (injected, s, f, t)))
        .collect()
}

#[test]
fn holes_in_numbered_trades_are_told_to_the_trade() {
    let symbols = pairs(1);
    let stream = format!("trade {}", symbols[0]);
    let mut after = 20;
    let mut fault = |at: u64| {
        let (kind, room) = match at % 10 {
            0..6 => (format!("skip {}", 1 + at % 3), 20),
            // Half a second passes until the next connection.
            6 => ("disconnect 80".to_owned(), 300),
            7 => ("half-message".to_owned(), 300),
            _ => ("malformed".to_owned(), 20),
        };
        let fault = format!("{kind} after {after} of {stream}");
        after += room;
        fault
    };
    let faults: Vec<String> = (0..50).map(&mut fault).collect();
    let venue = venue(&symbols, 200.0, after + 100, &faults);
    let mut bus = Bus::start(&section("t", "kraken_trades", &venue, &symbols), None);
    let last_id = |record: &Record| {
        let last = record.sent.iter().rev().find(|sent| sent.text.contains("\"trade_id\""))?;
        let from = last.text.rfind("\"trade_id\":")? + 11;
        last.text[from..].split([',', '}']).next()?.parse::<u64>().ok()
    };
    bus.until("the last trade", |heard| {
        let record = venue.record();
        let last = last_id(&record);
        record.ended && heard.iter().rev().any(|heard| heard.payload["trade_id"].as_u64() == last)
    });
    let record = venue.stop();
    assert_eq!(record.journal.len(), 50, "every fault was done");
    let ids: Vec<u64> = bus.data("kraken_trades").map(|trade| trade["trade_id"].as_u64().unwrap()).collect();
    let unique: BTreeSet<u64> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len(), "each trade once");
    let (first, last) = (unique.first().unwrap(), unique.last().unwrap());
    let missing = last - first + 1 - unique.len() as u64;
    let lost: u64 = bus.heard.iter().filter_map(|heard| heard.payload.get("lost")?.as_u64()).sum();
    assert_eq!(lost, missing, "what is told as lost is what is missing");
    assert!(missing > 50);
    let spans_told = told(&bus.heard, "kraken_trades", &symbols[0]);
    for (injected, _, from_ns, to_ns) in spans(&record) {
        assert!(is_told(&spans_told, from_ns, to_ns), "{injected:?} is not among {spans_told:?}");
    }
    // Where the connection stayed, the hole is the one that was made: one event for each, of exactly so many.
    let exact = |injected: &Injected| matches!(injected.kind.to_string().as_str(), "skip" | "malformed");
    for injected in record.journal.iter().filter(|injected| exact(injected)) {
        let hole = &injected.holes[0];
        let near = bus.heard.iter().filter(|heard| {
            heard.span().is_some_and(|(from, to)| from <= hole.to_ns.unwrap() && to >= hole.from_ns)
        });
        let counts: Vec<u64> = near.filter_map(|heard| heard.payload.get("lost")?.as_u64()).collect();
        assert!(counts.contains(&hole.items), "{injected:?}: told as {counts:?}");
    }
}

#[test]
fn books_that_went_wrong_are_told_from_the_last_good_update_to_the_new_snapshot() {
    let symbols = pairs(8);
    let fault = |at: usize| {
        let (symbol, after) = (&symbols[at % symbols.len()], 30 + at / symbols.len() * 60);
        let kind = if at.is_multiple_of(2) { "checksum" } else { "skip 1" };
        format!("{kind} after {after} of book {symbol}")
    };
    let faults: Vec<String> = (0..40).map(fault).collect();
    let venue = venue(&symbols, 400.0, 400, &faults);
    let mut bus = Bus::start(&section("d", "kraken_depth", &venue, &symbols), None);
    bus.until("every fault", |heard| {
        venue.record().ended && heard.iter().filter(|heard| heard.event() == Some("resync")).count() >= 40
    });
    let record = venue.stop();
    assert_eq!(record.journal.len(), 40);
    for injected in &record.journal {
        let symbol = injected.stream.as_deref().unwrap().trim_start_matches("book ");
        let spans = told(&bus.heard, "kr_depth", symbol);
        let at = injected.from_ns;
        let inside = |(from, to): &&(i64, i64)| (from - SECOND_NS..=to + SECOND_NS).contains(&at);
        let found: Vec<_> = spans.iter().filter(inside).collect();
        assert!(
            found.iter().any(|(from, to)| to - from < 2 * SECOND_NS),
            "{injected:?} is not among {spans:?}"
        );
    }
    let suspects = bus.heard.iter().filter(|heard| heard.event() == Some("suspect")).count();
    let resyncs = bus.heard.iter().filter(|heard| heard.event() == Some("resync")).count();
    assert_eq!((suspects, resyncs), (40, 40), "each once");
}

#[test]
fn lost_and_silent_connections_are_told_from_the_last_word_to_the_next_quote() {
    let symbols = pairs(2);
    let fault = |at: usize| match at % 2 {
        0 => vec![format!("silence after 40 of ticker {}", symbols[0])],
        _ => {
            vec![format!("disconnect 2 after 40 of ticker {}", symbols[1]), "refuse-connections 1".to_owned()]
        }
    };
    // A silence takes five seconds to be seen: ten venues at once.
    let venues: Vec<Simulator> = (0..10).map(|at| venue(&symbols, 100.0, 700, &fault(at)[..1])).collect();
    let sections: Vec<String> = venues
        .iter()
        .enumerate()
        .map(|(at, venue)| section(&format!("q{at}"), "kraken_tick", venue, &symbols))
        .collect();
    let mut bus = Bus::start(&sections.concat(), None);
    bus.until("every venue's end", |heard| {
        let gaps = heard.iter().filter(|heard| heard.event() == Some("gap")).count();
        gaps >= 10 && venues.iter().all(|venue| venue.record().ended)
    });
    let gaps: Vec<(i64, i64)> =
        bus.heard.iter().filter(|h| h.event() == Some("gap")).filter_map(Heard::span).collect();
    assert_eq!(gaps.len(), 10, "one hole each");
    for venue in venues {
        let record = venue.stop();
        assert_eq!(record.journal.len(), 1);
        for (injected, _, from_ns, to_ns) in spans(&record) {
            assert!(is_told(&gaps, from_ns, to_ns), "{injected:?} is not among {gaps:?}");
        }
    }
}
