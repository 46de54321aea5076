//! Simulated venues: servers on loopback that speak as Kraken, OANDA and Betfair do, so that connectors can be tested
//! without the internet. They are fed by generators or recordings, do faults on request, and keep an account of both.
//! They refuse to say anything the venues do not say: <https://docs.kraken.com/api/>,
//! <https://developer.oanda.com/rest-live-v20/introduction/>, <https://betfair-developer-docs.atlassian.net/>.

pub mod betfair;
mod decimal;
mod duplex;
mod exchange;
pub mod fault;
mod http;
pub mod journal;
pub mod kraken;
pub mod oanda;
mod outbox;
mod pace;
mod server;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use exchange::Control;
use fault::{Fault, FaultError};
use journal::Record;
pub use pace::Pace;
use server::Server;
pub use tls::Certificates;

/// What every simulated venue is told.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Where it listens; port 0: any that is free.
    pub listen: SocketAddr,
    /// Over TLS, with an authority of its own.
    pub tls: bool,
    /// How fast messages come.
    pub pace: Pace,
    /// Messages of each stream; none: without end.
    pub messages: Option<u64>,
    /// The same seed gives the same prices.
    pub seed: u64,
    /// Time between two heartbeats; none: the venue's own.
    pub heartbeat: Option<Duration>,
    /// Faults that wait for their message.
    pub faults: Vec<Fault>,
    /// Keep every message that is sent and received.
    pub keep: bool,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: false,
            pace: Pace::Max,
            messages: None,
            seed: 1,
            heartbeat: None,
            faults: Vec::new(),
            keep: true,
        }
    }
}

impl Feed {
    fn plan(&self, is_recorded: bool) -> Result<pace::Plan, VenueError> {
        if matches!(self.pace, Pace::Recorded(_)) && !is_recorded {
            return Err(VenueError::Recording("must be given for a speed such as 1x, found none".to_owned()));
        }
        Ok(pace::Plan { pace: self.pace, messages: self.messages, keep: self.keep })
    }

    fn heartbeat_ns(&self, usual: Duration) -> u64 {
        self.heartbeat.unwrap_or(usual).as_nanos() as u64
    }
}

/// Why a venue does not start.
#[derive(Debug, thiserror::Error)]
pub enum VenueError {
    /// The address cannot be listened on, or there is no thread.
    #[error("venue: {0}")]
    Io(#[from] std::io::Error),
    /// No certificate can be made.
    #[error("venue: certificate: {0}")]
    Tls(String),
    /// A fault that cannot be done.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// A recording that cannot be used.
    #[error("recording: {0}")]
    Recording(String),
}

/// A venue that runs, until it is dropped.
pub struct Simulator {
    /// Where its stream is: a `ws://` or `wss://` address, the beginning of an `http` one, or `host:port`.
    pub stream: String,
    /// Where its requests go: the beginning of an `http://` or `https://` address.
    pub rest: String,
    /// What a client over TLS needs.
    pub certificates: Option<Certificates>,
    control: Arc<dyn Control>,
    servers: Vec<Server>,
    making: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator")
            .field("stream", &self.stream)
            .field("rest", &self.rest)
            .finish_non_exhaustive()
    }
}

impl Simulator {
    /// Does a fault, at once or when its message is made.
    pub fn inject(&self, fault: Fault) -> Result<(), FaultError> {
        self.control.inject(fault)
    }

    /// What was done so far.
    pub fn record(&self) -> Record {
        self.control.record()
    }

    /// Waits until something is so; false if it is not after this time.
    pub fn wait(&self, limit: Duration, mut is: impl FnMut(&Record) -> bool) -> bool {
        self.control.wait(limit, &mut is)
    }

    /// Ends it: closes every connection and waits for its threads.
    pub fn stop(mut self) -> Record {
        self.end();
        self.record()
    }

    fn end(&mut self) {
        self.control.stop();
        self.servers.iter_mut().for_each(Server::stop);
        self.servers.clear();
        self.making.take().map(JoinHandle::join);
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.end();
    }
}
