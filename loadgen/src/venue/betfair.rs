//! A simulated Betfair Exchange stream: lines of JSON over TLS, with images, deltas and resumption by `clk`, and beside
//! it the login by certificate. Its certificates are of an authority of its own.

mod cache;
mod delta;
mod login;
mod market;
mod markets;
mod orders;
mod recorded;
mod request;

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::duplex::Line;
use super::exchange::{Exchange, State};
use super::fault::FaultKind;
use super::http;
use super::server::{Server, Service};
use super::{Feed, Simulator, VenueError, tls};
use market::{Betfair, Profile};

/// Longest line that is read.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Who may log in, and the session that is known without.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// `appKey` and `X-Application`
    pub app_key: String,
    /// Name of the account.
    pub username: String,
    /// Its password.
    pub password: String,
    /// A session that needs no login.
    pub session: String,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            app_key: "simulated-app-key".to_owned(),
            username: "simulated-user".to_owned(),
            password: "simulated-password".to_owned(),
            session: "simulated-session".to_owned(),
        }
    }
}

/// What a simulated Betfair is told. It is always over TLS.
#[derive(Clone, Debug)]
pub struct BetfairVenue {
    /// What every venue is told; with a port, the login is on the one after it.
    pub feed: Feed,
    /// Markets.
    pub markets: usize,
    /// Who may log in.
    pub credentials: Credentials,
    /// Most markets of one subscription.
    pub markets_max: usize,
    /// Most connections.
    pub connections_max: u64,
    /// How long a client may say nothing before its first message.
    pub patience: Duration,
    /// Files of `mcm` lines that are given instead of made-up ones.
    pub recordings: Vec<PathBuf>,
}

impl Default for BetfairVenue {
    fn default() -> Self {
        Self {
            feed: Feed::default(),
            markets: 3,
            credentials: Credentials::default(),
            markets_max: 200,
            connections_max: 10,
            patience: Duration::from_secs(15),
            recordings: Vec::new(),
        }
    }
}

/// What the venue allows.
#[derive(Clone, Copy, Debug)]
struct Limits {
    markets: usize,
    connections: u64,
    /// Instead of what clients ask for.
    heartbeat_ms: Option<u64>,
    patience: Duration,
}

/// Starts one.
pub fn start(venue: BetfairVenue) -> Result<Simulator, VenueError> {
    let recorded =
        if venue.recordings.is_empty() { Vec::new() } else { recorded::read_all(&venue.recordings)? };
    let BetfairVenue { feed, credentials, .. } = venue;
    let market = Betfair::new(venue.markets, recorded, feed.seed, credentials.session.clone());
    let is_recorded = !venue.recordings.is_empty();
    let (exchange, making) = Exchange::start(market, feed.plan(is_recorded)?, feed.faults.clone())?;
    let (certificates, config) = tls::make()?;
    let limits = Limits {
        markets: venue.markets_max,
        connections: venue.connections_max,
        heartbeat_ms: feed.heartbeat.map(|every| every.as_millis() as u64),
        patience: venue.patience,
    };
    let (gate, own, known) = (Arc::clone(&exchange), Arc::clone(&exchange), credentials.clone());
    let stream = Service {
        tls: Some(Arc::clone(&config)),
        admit: Box::new(move || !gate.with(|state| state.take(FaultKind::RefuseConnections, None))),
        serve: Box::new(move |line| drop(converse(&own, &line, &known, limits))),
    };
    let own = Arc::clone(&exchange);
    let login = Service {
        tls: Some(config),
        admit: Box::new(|| true),
        serve: Box::new(move |line| drop(answer(&own, line, &credentials))),
    };
    let stream = Server::start(feed.listen, stream)?;
    let port = if feed.listen.port() == 0 { 0 } else { feed.listen.port() + 1 };
    let login = Server::start(SocketAddr::new(feed.listen.ip(), port), login)?;
    Ok(Simulator {
        stream: stream.address.to_string(),
        rest: format!("https://{}", login.address),
        certificates: Some(certificates),
        control: exchange,
        servers: vec![stream, login],
        making: Some(making),
    })
}

fn answer(exchange: &Exchange<Betfair>, mut line: Line, credentials: &Credentials) -> std::io::Result<()> {
    let (mut seen, has_certificate) = (Vec::new(), line.0.has_client_certificate());
    while let Some(request) = http::read(&mut line, &mut seen)? {
        let answer = exchange.with(|state| login::answer(state, &request, has_certificate, credentials));
        answer.send(&line.0)?;
    }
    Ok(())
}

fn converse(
    exchange: &Arc<Exchange<Betfair>>,
    line: &Line,
    credentials: &Credentials,
    limits: Limits,
) -> std::io::Result<()> {
    line.0.read_timeout(Some(limits.patience))?;
    let mut reader = BufReader::new(line.clone());
    let greet = |state: &mut State<Betfair>, id| state.say(id, request::connection(id));
    let mut is_first = true;
    exchange.serve(line, Profile::default(), greet, |id| {
        let mut text = String::new();
        let read = std::io::Read::take(&mut reader, LINE_BYTES_MAX).read_line(&mut text);
        match read {
            Ok(1..) => {
                exchange.with(|state| request::take(state, id, text.trim_end(), credentials, &limits));
                if is_first {
                    is_first = false;
                    line.0.read_timeout(None).ok();
                }
                true
            }
            Err(error) if is_first && matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                is_first = false;
                exchange.with(|state| request::timed_out(state, id));
                line.0.read_timeout(None).is_ok()
            }
            _ => false,
        }
    })
}
