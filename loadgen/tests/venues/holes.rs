//! A hundred faults of seven kinds, one after the other, as they happen to a client that keeps its own account of trade
//! ids: both accounts agree, hole by hole.

use std::time::Duration;

use serde_json::Value;
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::venue::fault::{Fault, FaultKind};
use tickline_loadgen::venue::journal::Hole;
use tickline_loadgen::venue::kraken::{KrakenVenue, start};
use tickline_loadgen::venue::{Feed, Pace, Simulator};

use crate::client::Socket;
use crate::kraken::subscribe;

const TRADE: &str = "trade BTC/USD";
const FAULTS: usize = 105;

/// How far the two accounts of a time may be apart.
const APART_NS: i64 = 1_000_000_000;

/// A client that comes back when its connection ends and puts down which ids it has missed.
struct Client<'a> {
    venue: &'a Simulator,
    socket: Socket,
    clock: OsClock,
    /// The last id that came, and when.
    last: Option<(u64, i64)>,
    /// Ids that are missing, and when the messages around them came.
    holes: Vec<(u64, i64, i64)>,
}

impl<'a> Client<'a> {
    fn new(venue: &'a Simulator) -> Self {
        Self { venue, socket: Self::open(venue), clock: OsClock::start(), last: None, holes: Vec::new() }
    }

    fn open(venue: &Simulator) -> Socket {
        let mut socket = Socket::open(venue);
        subscribe(&mut socket, "trade", &["BTC/USD"], "");
        socket
    }

    /// Takes the next thing that comes.
    fn step(&mut self) {
        let Some(text) = self.socket.next() else {
            self.socket = Self::open(self.venue);
            return;
        };
        let Ok(message) = serde_json::from_str::<Value>(&text) else { return };
        let now = self.clock.wall().0;
        for trade in
            message["data"].as_array().into_iter().flatten().filter(|_| message["channel"] == "trade")
        {
            let id = trade["trade_id"].as_u64().unwrap();
            if let Some((last, at)) = self.last.filter(|(last, _)| id > last + 1) {
                self.holes.push((id - last - 1, at, now));
            }
            self.last = Some((id, now));
        }
    }
}

fn fault(number: usize) -> Fault {
    let span = Duration::from_millis(20);
    match number % 7 {
        0 => Fault::new(FaultKind::Skip).count(3).of(TRADE),
        1 => Fault::new(FaultKind::Disconnect).count(2).of(TRADE),
        2 => Fault::new(FaultKind::HalfMessage).of(TRADE),
        3 => Fault::new(FaultKind::Malformed).count(2).of(TRADE),
        4 => Fault::new(FaultKind::Silence).span(span).count(1).of(TRADE),
        5 => Fault::new(FaultKind::DataSilence).span(span).count(1).of(TRADE),
        _ => Fault::new(FaultKind::Maintenance).span(span),
    }
}

#[test]
fn a_hundred_holes_of_seven_causes_are_in_both_accounts() {
    let feed = Feed { pace: Pace::Rate(1_000.0), keep: false, ..Feed::default() };
    let venue = KrakenVenue { feed, symbols: vec!["BTC/USD".to_owned()], ..KrakenVenue::default() };
    let venue = start(venue).unwrap();
    let mut client = Client::new(&venue);
    while client.last.is_none() {
        client.step();
    }
    for number in 0..FAULTS {
        venue.inject(fault(number)).unwrap();
        while !venue.wait(Duration::ZERO, |record| record.journal[number].to_ns.is_some()) {
            client.step();
        }
    }
    let journal = venue.record().journal;
    let holes: Vec<&Hole> =
        journal.iter().flat_map(|entry| &entry.holes).filter(|hole| hole.items > 0).collect();
    assert!(holes.len() >= FAULTS - FAULTS / 7, "{}", holes.len());
    while client.holes.len() < holes.len() {
        client.step();
    }
    for (hole, (missing, from, to)) in holes.iter().zip(&client.holes) {
        assert_eq!(hole.items, *missing, "{hole:?}");
        assert!(
            (hole.from_ns - from).abs() < APART_NS && (hole.to_ns.unwrap() - to).abs() < APART_NS,
            "{hole:?}"
        );
    }
}
