//! OANDA: streams in chunks, requests, faults, and recordings.

use std::io::{BufRead, BufReader, Read, Write};
use std::time::Duration;

use serde_json::Value;
use tickline_loadgen::venue::fault::{Fault, FaultKind};
use tickline_loadgen::venue::oanda::{Account, OandaVenue, start};
use tickline_loadgen::venue::{Feed, Pace, Simulator};

use crate::client::{LIMIT, Stream, connect, head, host, recordings, request};

fn plan(messages: u64, faults: &[&str]) -> OandaVenue {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let feed = Feed { messages: Some(messages), faults, ..Feed::default() };
    OandaVenue {
        feed,
        instruments: vec!["EUR_USD".to_owned(), "USD_JPY".to_owned()],
        ..OandaVenue::default()
    }
}

fn bearer() -> String {
    format!("Authorization: Bearer {}\r\n", Account::default().token)
}

fn target(what: &str) -> String {
    format!("/v3/accounts/{}/{what}", Account::default().id)
}

fn get(venue: &Simulator, what: &str) -> (u16, Value) {
    let (status, body) = request(venue, "GET", &target(what), &bearer(), "");
    (status, serde_json::from_str(&body).unwrap())
}

/// A stream whose lines are put together from chunks.
struct Lines {
    stream: BufReader<Box<dyn Stream>>,
    rest: String,
    /// Lines that each chunk has ended, and whether it has ended with one.
    chunks: Vec<(usize, bool)>,
}

impl Lines {
    fn open(venue: &Simulator, what: &str, headers: &str) -> Self {
        let mut stream = connect(host(&venue.stream), venue.certificates.as_ref(), false);
        let head_bytes =
            format!("GET {} HTTP/1.1\r\nHost: localhost\r\n{}{headers}\r\n", target(what), bearer());
        stream.write_all(head_bytes.as_bytes()).unwrap();
        stream.flush().unwrap();
        let mut stream = BufReader::new(stream);
        assert_eq!(head(&mut stream), (200, None));
        Self { stream, rest: String::new(), chunks: Vec::new() }
    }

    /// The next line; none at the end, when what is left is no line.
    fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.rest.find('\n') {
                let line = self.rest.drain(..=end).collect::<String>();
                return Some(line.trim_end().to_owned());
            }
            let mut size = String::new();
            if self.stream.read_line(&mut size).unwrap_or(0) == 0 {
                return None;
            }
            let mut chunk = vec![0; usize::from_str_radix(size.trim_end(), 16).unwrap() + 2];
            if self.stream.read_exact(&mut chunk).is_err() {
                return None;
            }
            let text = std::str::from_utf8(&chunk).unwrap().strip_suffix("\r\n").unwrap();
            self.chunks.push((text.matches('\n').count(), text.ends_with('\n')));
            self.rest += text;
        }
    }

    /// The next line that is no heartbeat.
    fn data(&mut self) -> Option<String> {
        let mut heartbeats = 0;
        while heartbeats < 100 {
            let line = self.next()?;
            if !line.contains("\"HEARTBEAT\"") {
                return Some(line);
            }
            heartbeats += 1;
        }
        panic!("only heartbeats come");
    }
}

const PRICES: &str = "pricing/stream?instruments=EUR_USD%2CUSD_JPY&snapshot=true";

#[test]
fn a_stream_begins_with_each_price_and_goes_on_with_changes_cut_anywhere_into_chunks() {
    let venue = start(plan(500, &[])).unwrap();
    let mut lines = Lines::open(&venue, PRICES, "");
    let got: Vec<String> = (0..1_002).map(|_| lines.data().unwrap()).collect();
    let record = venue.stop();
    assert_eq!(got, record.sent.iter().map(|sent| sent.text.clone()).collect::<Vec<String>>());
    let prices: Vec<Value> = got.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&prices[0]["instrument"], &prices[1]["instrument"]), (&"EUR_USD".into(), &"USD_JPY".into()));
    for price in &prices {
        assert_eq!(price["type"], "PRICE");
        assert!(price["bids"][0]["price"].is_string() && price["bids"][0]["liquidity"].is_u64(), "{price}");
        assert_eq!(price["time"].as_str().unwrap().len(), "2026-08-03T12:30:00.123456789Z".len());
    }
    // Buckets are not always best first.
    let best_last = |price: &&Value| price["bids"][1]["price"].as_str() > price["bids"][0]["price"].as_str();
    assert!(prices.iter().filter(best_last).count() > 0);
    assert!(lines.chunks.iter().any(|(lines, _)| *lines > 1), "no chunk has several lines");
    assert!(lines.chunks.iter().any(|(_, ended)| !ended), "no chunk has a part of a line");
}

#[test]
fn who_has_no_token_or_asks_for_what_is_not_there_is_refused() {
    let venue = start(plan(0, &[])).unwrap();
    let path = target(PRICES);
    for headers in ["", "Authorization: Bearer other\r\n"] {
        assert_eq!(request(&venue, "GET", &path, headers, "").0, 401);
    }
    let (status, body) = get(&venue, "pricing/stream?instruments=NONE_USD");
    assert_eq!((status, &body["errorMessage"]), (400, &"Invalid value specified for 'instruments'".into()));
    assert_eq!(request(&venue, "GET", "/v3/accounts/other/pricing", &bearer(), "").0, 400);
    assert_eq!(get(&venue, "nonsense").0, 404);
}

#[test]
fn requests_beside_the_streams_know_the_same() {
    let venue = start(plan(10, &[])).unwrap();
    let (_, prices) = get(&venue, "pricing?instruments=EUR_USD");
    assert_eq!(
        (&prices["prices"][0]["instrument"], prices["prices"].as_array().unwrap().len()),
        (&"EUR_USD".into(), 1)
    );
    assert!(prices["prices"][0].get("unitsAvailable").is_some());
    let (_, instruments) = get(&venue, "instruments");
    assert_eq!(instruments["instruments"][1]["displayPrecision"], 3);
    let (_, accounts) = {
        let (status, body) = request(&venue, "GET", "/v3/accounts", &bearer(), "");
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    assert_eq!(accounts["accounts"][0]["id"], Account::default().id.as_str());
    let mut unix = Lines::open(&venue, PRICES, "Accept-Datetime-Format: UNIX\r\n");
    let price: Value = serde_json::from_str(&unix.data().unwrap()).unwrap();
    assert!(price["time"].as_str().unwrap().parse::<f64>().unwrap() > 1e9);
}

fn id(line: &str) -> u64 {
    serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().parse().unwrap()
}

#[test]
fn transactions_are_numbered_and_what_a_skip_kept_back_is_had_by_asking() {
    let mut plan = plan(100, &["skip 3 after 40 of transactions"]);
    plan.feed.heartbeat = Some(Duration::from_millis(20));
    let venue = start(plan).unwrap();
    let mut lines = Lines::open(&venue, "transactions/stream", "");
    let got: Vec<String> = (0..97).map(|_| lines.data().unwrap()).collect();
    let gaps: Vec<(usize, u64)> =
        (1..97).map(|n| (n, id(&got[n]) - id(&got[n - 1]) - 1)).filter(|gap| gap.1 > 0).collect();
    assert_eq!(gaps, [(40, 3)]);
    let heartbeat: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert_eq!(heartbeat["lastTransactionID"], id(&got[96]).to_string());
    let (_, since) = get(&venue, &format!("transactions/sinceid?id={}", id(&got[39])));
    let found: Vec<String> = since["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["id"].as_str().unwrap().to_owned())
        .collect();
    let wanted: Vec<String> = (id(&got[39]) + 1..=id(&got[96])).map(|id| id.to_string()).collect();
    assert_eq!(found, wanted);
    assert!(got.iter().any(|line| line.contains("ORDER_FILL") && line.contains("tradeOpened")));
    let record = venue.stop();
    let [injected] = record.journal.as_slice() else { panic!("{:?}", record.journal) };
    assert_eq!((injected.count, injected.holes[0].messages, injected.holes[0].items), (3, 3, 3));
}

#[test]
fn connections_end_between_lines_or_inside_one_and_the_hole_lasts_until_the_client_is_back() {
    for (fault, missed) in [("disconnect 6", 6), ("half-message", 1)] {
        let venue = start(plan(100, &[&format!("{fault} after 30 of transactions")])).unwrap();
        let mut lines = Lines::open(&venue, "transactions/stream", "");
        let before: Vec<String> = std::iter::from_fn(|| lines.data()).collect();
        assert_eq!((before.len(), lines.rest.is_empty()), (30, true), "{fault}");
        let after = Lines::open(&venue, "transactions/stream", "").data().unwrap();
        assert_eq!(id(&after) - id(&before[29]) - 1, missed, "{fault}");
        assert!(venue.wait(LIMIT, |record| record.journal[0].to_ns.is_some()));
        let record = venue.stop();
        assert_eq!(record.journal[0].holes[0].items, missed, "{fault}");
    }
}

#[test]
fn spoiled_and_slow_lines_come_where_they_were_asked_for() {
    let faults = ["malformed after 10 of pricing EUR_USD", "drip 2 after 20 of pricing EUR_USD"];
    let venue = start(plan(40, &faults)).unwrap();
    let mut lines = Lines::open(&venue, "pricing/stream?instruments=EUR_USD&snapshot=false", "");
    let got: Vec<String> = (0..40).map(|_| lines.data().unwrap()).collect();
    let broken: Vec<usize> = (0..40).filter(|n| serde_json::from_str::<Value>(&got[*n]).is_err()).collect();
    assert_eq!(broken, [10]);
    let journal = venue.stop().journal;
    assert_eq!(journal.iter().map(|entry| entry.count).collect::<Vec<u64>>(), [1, 2]);
}

#[test]
fn too_many_requests_expired_tokens_and_maintenance_have_their_status() {
    let venue =
        start(plan(u64::MAX, &["rate-limit 2", "expired-token 1", "refuse 1 of pricing EUR_USD"])).unwrap();
    let statuses: Vec<u16> = (0..4).map(|_| get(&venue, "instruments").0).collect();
    assert_eq!(statuses, [429, 429, 401, 200]);
    assert_eq!(get(&venue, PRICES).0, 400);
    let mut lines = Lines::open(&venue, PRICES, "");
    lines.data().unwrap();
    venue.inject(Fault::new(FaultKind::Maintenance).span(Duration::from_millis(200))).unwrap();
    assert_eq!(get(&venue, "instruments").0, 503);
    assert!(venue.wait(LIMIT, |record| record.journal.last().is_some_and(|entry| entry.to_ns.is_some())));
    assert_eq!(get(&venue, "instruments").0, 200);
    let record = venue.stop();
    assert_eq!(record.journal[3].holes.len(), 2);
}

#[test]
fn the_same_is_said_over_tls() {
    let mut plan = plan(20, &[]);
    plan.feed.tls = true;
    let venue = start(plan).unwrap();
    let mut lines = Lines::open(&venue, PRICES, "");
    assert!((0..42).all(|_| lines.data().unwrap().contains("\"PRICE\"")));
    assert_eq!(get(&venue, "instruments").0, 200);
}

#[test]
fn recorded_ticks_come_as_prices_of_their_instrument() {
    let Some(folder) = recordings("oanda") else { return };
    let venue = OandaVenue {
        feed: Feed { pace: Pace::Max, messages: Some(5_000), ..Feed::default() },
        recordings: vec![folder.join("lean_eurusd_tick_20140502_quote.zip")],
        ..OandaVenue::default()
    };
    let venue = start(venue).unwrap();
    let mut lines = Lines::open(&venue, "pricing/stream?instruments=EUR_USD&snapshot=false", "");
    let file = std::fs::File::open(folder.join("lean_eurusd_tick_20140502_quote.zip")).unwrap();
    let mut csv = String::new();
    zip::ZipArchive::new(file).unwrap().by_index(0).unwrap().read_to_string(&mut csv).unwrap();
    for tick in csv.lines().take(5_000) {
        let price: Value = serde_json::from_str(&lines.data().unwrap()).unwrap();
        let columns: Vec<&str> = tick.split(',').collect();
        assert_eq!(
            (&price["bids"][0]["price"], &price["asks"][0]["price"]),
            (&columns[1].into(), &columns[2].into())
        );
        assert!(price["time"].as_str().unwrap().starts_with("2014-05-02T"));
    }
}
