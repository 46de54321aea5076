//! A simulated OANDA v20: streams of prices and transactions in HTTP chunks whose edges have nothing to do with lines,
//! and the requests beside them, on one port. Refuses who has no bearer token.

mod market;
mod prices;
mod rest;
mod transactions;

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::rfc3339;

use super::decimal::decimal;
use super::duplex::Line;
use super::exchange::{Beat, Exchange, State};
use super::fault::FaultKind;
use super::http;
use super::server::{Server, Service};
use super::{Feed, Simulator, VenueError, tls};
use crate::generator::{oanda, oanda_walks};
use crate::replay::quotes;
use market::{Oanda, Profile};
use rest::Outcome;

/// Time between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(5);

const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Whose prices and transactions they are.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id, which is part of each path.
    pub id: String,
    /// The bearer token.
    pub token: String,
}

impl Default for Account {
    fn default() -> Self {
        Self { id: "101-004-1234567-001".to_owned(), token: "simulated-token".to_owned() }
    }
}

/// What a simulated OANDA is told.
#[derive(Clone, Debug, Default)]
pub struct OandaVenue {
    /// What every venue is told.
    pub feed: Feed,
    /// Instruments by name; none: the three best known, or those of the recordings.
    pub instruments: Vec<String>,
    /// Whose they are.
    pub account: Account,
    /// Lean tick archives whose quotes are given instead of made-up ones.
    pub recordings: Vec<PathBuf>,
}

/// The names of the first `count` instruments.
pub fn instruments(count: usize) -> Vec<String> {
    oanda(count).into_iter().map(|walk| walk.name).collect()
}

/// A time as the client wants it: RFC 3339, or seconds since 1970.
fn when(at: WallNanos, unix: bool) -> String {
    if unix { decimal(at.0, 9) } else { rfc3339(at, 9) }
}

/// Starts one.
pub fn start(venue: OandaVenue) -> Result<Simulator, VenueError> {
    let OandaVenue { feed, instruments: mut names, account, recordings } = venue;
    let mut recorded = Vec::new();
    for path in &recordings {
        recorded.push(quotes(path).map_err(|error| VenueError::Recording(error.to_string()))?);
    }
    if names.is_empty() && recorded.is_empty() {
        names = instruments(3);
    }
    for (name, _) in &recorded {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let mut market = Oanda::new(&account.id, oanda_walks(&names), feed.seed);
    for (name, quotes) in recorded {
        market.record(&name, quotes);
    }
    let is_recorded = !recordings.is_empty();
    let (exchange, making) = Exchange::start(market, feed.plan(is_recorded)?, feed.faults.clone())?;
    let (certificates, config) = if feed.tls { Some(tls::make()?) } else { None }.unzip();
    let beat = Beat { every_ns: feed.heartbeat_ns(HEARTBEAT), only_idle: false };
    let (gate, own) = (Arc::clone(&exchange), Arc::clone(&exchange));
    let service = Service {
        tls: config,
        admit: Box::new(move || !gate.with(|state| state.take(FaultKind::RefuseConnections, None))),
        serve: Box::new(move |line| drop(serve(&own, line, beat, &account))),
    };
    let server = Server::start(feed.listen, service)?;
    let address = format!("http{}://{}", if feed.tls { "s" } else { "" }, server.address);
    Ok(Simulator {
        stream: address.clone(),
        rest: address,
        certificates,
        control: exchange,
        servers: vec![server],
        making: Some(making),
    })
}

/// Requests one after the other, until one wants a stream.
fn serve(
    exchange: &Arc<Exchange<Oanda>>,
    mut line: Line,
    beat: Beat,
    account: &Account,
) -> std::io::Result<()> {
    let mut seen = Vec::new();
    while let Some(request) = http::read(&mut line, &mut seen)? {
        match exchange.with(|state| rest::take(state, &request, account)) {
            Outcome::Answer(answer) => answer.send(&line.0)?,
            Outcome::Stream { profile, instruments, snapshot } => {
                line.0.send(STREAM_HEAD)?;
                let greet = |state: &mut State<Oanda>, id| {
                    state.beat(id, beat);
                    open(state, id, profile, &instruments, snapshot);
                };
                let mut reading = line.clone();
                return exchange.serve(
                    &line,
                    profile,
                    greet,
                    |_| matches!(reading.read(&mut [0; 64]), Ok(bytes) if bytes > 0),
                );
            }
        }
    }
    Ok(())
}

fn open(state: &mut State<Oanda>, id: u64, profile: Profile, instruments: &[String], snapshot: bool) {
    if profile.transactions {
        return state.subscribe(id, "transactions", profile.unix);
    }
    let now = state.wall();
    for name in instruments {
        let stream = format!("pricing {name}");
        let price = state.market.instrument(name).map(|instrument| instrument.price(profile.unix, now, ""));
        if let Some(price) = price.filter(|_| snapshot) {
            state.snapshot(id, std::slice::from_ref(&stream), price);
        }
        state.subscribe(id, &stream, profile.unix);
    }
}
