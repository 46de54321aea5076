//! A simulated Kraken: WebSocket v2 and REST on one port. Books are whole books with real checksums, trade ids have no
//! holes, and a token is had from REST with a signed request. Refuses what the venue refuses, in its words.

mod book;
mod market;
mod names;
mod orders;
mod prints;
mod recorded;
mod request;
mod rest;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use super::duplex::Line;
use super::exchange::{Beat, Exchange};
use super::fault::FaultKind;
use super::http::{self, Answer, Request};
use super::server::{Server, Service};
use super::{Feed, Simulator, VenueError, tls};
use crate::generator::{kraken, kraken_walks};
use market::Kraken;

/// Digits of an amount.
const QTY_DIGITS: u8 = 8;

/// Time between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The key that signs private requests.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// `API-Key`
    pub key: String,
    /// Secret of `API-Sign`, base64.
    pub secret: String,
}

impl Default for Credentials {
    fn default() -> Self {
        Self { key: "simulated-key".to_owned(), secret: "c2ltdWxhdGVkIHNlY3JldA==".to_owned() }
    }
}

/// What a simulated Kraken is told.
#[derive(Clone, Debug, Default)]
pub struct KrakenVenue {
    /// What every venue is told.
    pub feed: Feed,
    /// Pairs by WebSocket v2 name; none: the three best known, or those of the recordings.
    pub symbols: Vec<String>,
    /// Who may have a token.
    pub credentials: Credentials,
    /// CBCAP1 files whose frames are given as they are, instead of made-up ones.
    pub recordings: Vec<PathBuf>,
}

/// The names of the first `count` pairs.
pub fn symbols(count: usize) -> Vec<String> {
    kraken(count).into_iter().map(|walk| walk.name).collect()
}

/// Starts one.
pub fn start(venue: KrakenVenue) -> Result<Simulator, VenueError> {
    let KrakenVenue { feed, symbols: mut names, credentials, recordings } = venue;
    let recorded = if recordings.is_empty() { Vec::new() } else { recorded::read(&recordings)? };
    if names.is_empty() && recorded.is_empty() {
        names = symbols(3);
    }
    for symbol in recorded.iter().map(|recorded| &recorded.symbol) {
        if !names.contains(symbol) {
            names.push(symbol.clone());
        }
    }
    let market = Kraken::new(kraken_walks(&names), feed.seed, recorded);
    let is_recorded = !market.recorded.is_empty();
    let (exchange, making) = Exchange::start(market, feed.plan(is_recorded)?, feed.faults.clone())?;
    let (certificates, config) = if feed.tls { Some(tls::make()?) } else { None }.unzip();
    let beat = Beat { every_ns: feed.heartbeat_ns(HEARTBEAT), only_idle: false };
    let (gate, own) = (Arc::clone(&exchange), Arc::clone(&exchange));
    let service = Service {
        tls: config,
        admit: Box::new(move || !gate.with(|state| state.take(FaultKind::RefuseConnections, None))),
        serve: Box::new(move |line| drop(serve(&own, line, beat, &credentials))),
    };
    let server = Server::start(feed.listen, service)?;
    let (address, s) = (server.address, if feed.tls { "s" } else { "" });
    Ok(Simulator {
        stream: format!("ws{s}://{address}/v2"),
        rest: format!("http{s}://{address}"),
        certificates,
        control: exchange,
        servers: vec![server],
        making: Some(making),
    })
}

/// Requests one after the other, until one wants to be a WebSocket.
fn serve(
    exchange: &Arc<Exchange<Kraken>>,
    mut line: Line,
    beat: Beat,
    credentials: &Credentials,
) -> std::io::Result<()> {
    let mut seen = Vec::new();
    while let Some(request) = http::read(&mut line, &mut seen)? {
        let upgrade = request.header("Upgrade").is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
        if upgrade {
            return converse(exchange, line, &request, seen, beat);
        }
        exchange.with(|state| rest::answer(state, &request, credentials)).send(&line.0)?;
    }
    Ok(())
}

fn converse(
    exchange: &Arc<Exchange<Kraken>>,
    line: Line,
    request: &Request,
    seen: Vec<u8>,
    beat: Beat,
) -> std::io::Result<()> {
    let Some(key) = request.header("Sec-WebSocket-Key").filter(|_| request.path == "/v2") else {
        return Answer::status(404, "").send(&line.0);
    };
    let accept = derive_accept_key(key.as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    line.0.send(head.as_bytes())?;
    let mut socket = WebSocket::from_partially_read(line.clone(), seen, Role::Server, None);
    let greet = |state: &mut super::exchange::State<Kraken>, id| {
        let text = request::status(state.is_closed(), id);
        state.say(id, text);
    };
    exchange.serve(&line, (), greet, |id| match socket.read() {
        Ok(Message::Text(text)) => {
            exchange.with(|state| request::take(state, id, &text, beat));
            true
        }
        Ok(_) => true,
        Err(_) => false,
    })
}
