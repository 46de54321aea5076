//! 104 holes at three venues: each is told, its span is right to a second, and where the venue numbers what it says the
//! number that is lost is exact. 30 are numbers left out, 12 messages that cannot be read, 20 books with a wrong checksum
//! and 20 with an update left out, 12 connections that are closed (the next one of three is refused, the clock of two is
//! not taken), 7 that are closed inside a message, and 3 that fall silent.

use std::collections::{BTreeMap, BTreeSet};

use tickline_loadgen::venue::betfair::{self, BetfairVenue};
use tickline_loadgen::venue::journal::{Injected, Record};
use tickline_loadgen::venue::kraken::{KrakenVenue, start};
use tickline_loadgen::venue::oanda::{self, OandaVenue};
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
    let fault = |at: u64| {
        let kind = if at % 4 == 3 { "malformed".to_owned() } else { format!("skip {}", 1 + at % 3) };
        format!("{kind} after {} of {stream}", 20 + at * 20)
    };
    let faults: Vec<String> = (0..40).map(fault).collect();
    let venue = venue(&symbols, 200.0, 900, &faults);
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
    assert_eq!(record.journal.len(), 40, "every fault was done");
    let ids: Vec<u64> = bus.data("kraken_trades").map(|trade| trade["trade_id"].as_u64().unwrap()).collect();
    let unique: BTreeSet<u64> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len(), "each trade once");
    let (first, last) = (unique.first().unwrap(), unique.last().unwrap());
    let missing = last - first + 1 - unique.len() as u64;
    let lost: u64 = bus.heard.iter().filter_map(|heard| heard.payload.get("lost")?.as_u64()).sum();
    assert_eq!(lost, missing, "what is told as lost is what is missing");
    assert!(missing > 40);
    let spans_told = told(&bus.heard, "kraken_trades", &symbols[0]);
    for (injected, _, from_ns, to_ns) in spans(&record) {
        assert!(is_told(&spans_told, from_ns, to_ns), "{injected:?} is not among {spans_told:?}");
    }
    let counts: Vec<u64> = bus.heard.iter().filter_map(|heard| heard.payload.get("lost")?.as_u64()).collect();
    let items: Vec<u64> = record.journal.iter().map(|injected| injected.holes[0].items).collect();
    assert_eq!(counts, items, "one event for each hole, in order, of exactly so many");
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

/// Listens until every venue is at its end and a hole of each was told; then each of the journals must be among them.
/// Returns what was done, and how often.
fn assert_each_is_told(bus: &mut Bus, venues: Vec<Simulator>) -> BTreeMap<String, u64> {
    let (holes, mut done) = (venues.len(), BTreeMap::new());
    let told = |heard: &[Heard]| -> Vec<(i64, i64)> {
        let of = |heard: &&Heard| matches!(heard.event(), Some("gap" | "resync" | "up"));
        heard.iter().filter(of).filter_map(Heard::span).collect()
    };
    bus.until("every hole", |heard| {
        told(heard).len() >= holes && venues.iter().all(|venue| venue.record().ended)
    });
    let told = told(&bus.heard);
    for venue in venues {
        let record = venue.stop();
        let is_hole = |injected: &&Injected| !injected.holes.is_empty();
        assert_eq!(record.journal.iter().filter(is_hole).count(), 1, "{:?}", record.journal);
        for injected in &record.journal {
            *done.entry(injected.kind.to_string()).or_default() += 1;
        }
        for (injected, _, from_ns, to_ns) in spans(&record) {
            assert!(is_told(&told, from_ns, to_ns), "{injected:?} is not among {told:?}");
        }
    }
    assert_eq!(told.len(), holes, "one each: {told:?}");
    done
}

fn counts<const N: usize>(kinds: [(&str, u64); N]) -> BTreeMap<String, u64> {
    kinds.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect()
}

#[test]
fn connections_of_kraken_that_end_or_fall_silent_are_told_from_the_last_word_to_the_next_quote() {
    let symbols = pairs(2);
    let fault = |at: usize| {
        let of = |kind: &str| format!("{kind} after 40 of ticker {}", symbols[at % 2]);
        match at % 4 {
            0 => vec![of("silence")],
            1 => vec![of("disconnect 2")],
            2 => vec![of("disconnect 2"), "refuse-connections 1".to_owned() + &of("")],
            _ => vec![of("half-message")],
        }
    };
    // A silence takes five seconds to be seen: all venues at once.
    let venues: Vec<Simulator> = (0..12).map(|at| venue(&symbols, 100.0, 700, &fault(at))).collect();
    let section = |(at, venue)| section(&format!("q{at}"), "kraken_tick", venue, &symbols);
    let sections: Vec<String> = venues.iter().enumerate().map(section).collect();
    let mut bus = Bus::start(&sections.concat(), None);
    let done = assert_each_is_told(&mut bus, venues);
    let expected = [("silence", 3), ("disconnect", 6), ("refuse-connections", 3), ("half-message", 3)];
    assert_eq!(done, counts(expected));
}

#[test]
fn streams_of_oanda_that_end_or_say_what_cannot_be_read_are_told() {
    let kinds = ["disconnect 3", "half-message", "malformed 2"];
    let venue = |at: usize| {
        let fault = format!("{} after 40 of pricing EUR_USD", kinds[at % kinds.len()]).parse().unwrap();
        let feed =
            Feed { messages: Some(250), pace: Pace::Rate(50.0), faults: vec![fault], ..Feed::default() };
        let instruments = vec!["EUR_USD".to_owned()];
        oanda::start(OandaVenue { feed, instruments, ..OandaVenue::default() }).unwrap()
    };
    let venues: Vec<Simulator> = (0..6).map(venue).collect();
    let section = |(at, venue): (usize, &Simulator)| {
        let (stream, rest) = (&venue.stream, &venue.rest);
        format!(
            "[publishers.o{at}]\nkind = \"oanda_tick\"\nstream_url = {stream:?}\nrest_url = {rest:?}\n\
             account = \"101-004-1234567-001\"\ntoken = \"env:OANDA_TOKEN\"\ninstruments = [\"EUR_USD\"]\n"
        )
    };
    let sections: Vec<String> = venues.iter().enumerate().map(section).collect();
    let mut bus = Bus::start(&sections.concat(), None);
    let done = assert_each_is_told(&mut bus, venues);
    assert_eq!(done, counts([("disconnect", 2), ("half-message", 2), ("malformed", 2)]));
}

#[test]
fn streams_of_betfair_that_end_are_told_whether_their_clock_is_taken_or_not() {
    let keys = tempfile::tempdir().unwrap();
    let venue = |at: usize| {
        let of = |kind: &str| format!("{kind} after 40 of market 1.230000000");
        let faults = match at % 3 {
            0 => vec![of("disconnect 3")],
            1 => vec![of("half-message")],
            _ => vec![of("disconnect 3"), "invalid-clock 1".to_owned()],
        };
        let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        let feed = Feed { messages: Some(250), pace: Pace::Rate(50.0), faults, ..Feed::default() };
        let venue = betfair::start(BetfairVenue { feed, ..BetfairVenue::default() }).unwrap();
        venue.certificates.as_ref().unwrap().write(&keys.path().join(at.to_string())).unwrap();
        venue
    };
    let venues: Vec<Simulator> = (0..6).map(venue).collect();
    let section = |(at, venue): (usize, &Simulator)| {
        let (address, rest, ca) =
            (&venue.stream, &venue.rest, keys.path().join(at.to_string()).join("ca.pem"));
        format!(
            "[publishers.b{at}]\nkind = \"betfair_stream\"\naddress = {address:?}\nlogin_url = {rest:?}\n\
             keep_alive_url = {rest:?}\ntls_ca = {ca:?}\napp_key = \"env:BETFAIR_APP_KEY\"\n\
             session = \"env:BETFAIR_SESSION\"\nevent_type_ids = []\ncountry_codes = []\nmarket_types = []\n"
        )
    };
    let sections: Vec<String> = venues.iter().enumerate().map(section).collect();
    let mut bus = Bus::start(&sections.concat(), None);
    let done = assert_each_is_told(&mut bus, venues);
    assert_eq!(done, counts([("disconnect", 4), ("half-message", 2), ("invalid-clock", 2)]));
}
