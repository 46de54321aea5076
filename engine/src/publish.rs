//! Publishers: a thread each, which reads a venue through its connector and sends to ZeroMQ. Here is what a connector
//! must not have: threads, sockets, TLS and clocks. A publisher never ends by itself but for a reason that a person
//! must mend; a venue that is away is waited for.

mod derived;
mod dial;
mod feed;
mod group;
mod http_body;
mod link;
mod open;
mod outside;
mod pace;
mod stream;
mod worker;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tickline_feeds::connect::{Connector, State};
use tickline_feeds::payload::Decimals;
use tickline_feeds::publisher::{Options, Publisher, Sent};
use tickline_loadgen::door::DoorError;

pub use group::Group;
use open::Shared;

use crate::spawn::{Thread, spawn};

/// What a publisher is started from, beside its connector.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Name in the configuration.
    pub name: String,
    /// Endpoints to bind.
    pub endpoints: Vec<String>,
    /// Numbers, framing, bundles.
    pub options: Options,
    /// How decimals travel.
    pub decimals: Decimals,
    /// Certificates (PEM) of the only authorities that are believed; none: the system's.
    pub tls_ca: Option<PathBuf>,
    /// How long it waits for its first subscribers before it asks the venue for anything, and for how many subscriptions.
    pub subscriber_wait: (Duration, u64),
    /// Our own certificate and key (PEM) for a venue that asks for one.
    pub tls_client: Option<PathBuf>,
}

/// Why a publisher cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// ZeroMQ refuses an endpoint.
    #[error(
        "publishers.{name}.endpoint: must be an endpoint that ZeroMQ can bind, found {endpoint:?} ({source})"
    )]
    Bind {
        /// Publisher.
        name: String,
        /// As configured.
        endpoint: String,
        /// What ZeroMQ says.
        source: zmq::Error,
    },
    /// ZeroMQ refuses a socket.
    #[error("publishers.{name}: no socket ({source})")]
    Socket {
        /// Publisher.
        name: String,
        /// What ZeroMQ says.
        source: zmq::Error,
    },
    /// A certificate cannot be used.
    #[error("publishers.{name}.{key}: must be a PEM file, found {path:?} ({why})")]
    Tls {
        /// Publisher.
        name: String,
        /// Key of the configuration.
        key: &'static str,
        /// As configured.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Keys cannot be used.
    #[error("publishers.{name}.curve_secret_key: {source}")]
    Keys {
        /// Publisher.
        name: String,
        /// Why.
        source: DoorError,
    },
    /// A thread could not be started.
    #[error("thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// What may be read of a running publisher.
#[derive(Debug, Default)]
pub struct Shown {
    state: Mutex<(State, String)>,
    messages: AtomicU64,
    bytes: AtomicU64,
    heartbeats: AtomicU64,
    subscribers_joined: AtomicU64,
    venue_messages: AtomicU64,
    counts: Mutex<Vec<(&'static str, u64)>>,
}

impl Shown {
    /// How it fares, and why.
    pub fn state(&self) -> (State, String) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What its connector has counted, by name.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it has sent, and how many messages it has read.
    pub fn sent(&self) -> (Sent, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let sent = Sent {
            messages: read(&self.messages),
            payloads: 0,
            bytes: read(&self.bytes),
            heartbeats: read(&self.heartbeats),
            joined: read(&self.subscribers_joined),
        };
        (sent, read(&self.venue_messages))
    }
}

/// A running publisher.
#[derive(Debug)]
pub struct Running {
    /// Name in the configuration.
    pub name: String,
    /// Where it is bound.
    pub endpoints: Vec<String>,
    /// What may be read of it.
    pub shown: Arc<Shown>,
    thread: Thread,
}

impl Running {
    /// Waits for its end, which `stop` has asked for.
    pub fn join(self) {
        self.thread.join();
    }
}

/// Binds and starts a publisher. It ends with `stop`.
fn start<C: Connector + 'static>(
    connector: C,
    spec: &Spec,
    shared: &Shared,
) -> Result<Running, PublishError> {
    let Shared { context, clock, stop, .. } = shared;
    let no_socket = |source| PublishError::Socket { name: spec.name.clone(), source };
    let mut publisher = Publisher::new(context, spec.options).map_err(no_socket)?;
    if let Some(door) = &shared.door {
        door.guard(publisher.socket()).map_err(no_socket)?;
    }
    let mut endpoints = Vec::new();
    for endpoint in &spec.endpoints {
        let bound = publisher.bind(endpoint).map_err(|source| PublishError::Bind {
            name: spec.name.clone(),
            endpoint: endpoint.clone(),
            source,
        })?;
        endpoints.push(bound);
    }
    let (poll, waker) = worker::poll()?;
    let dialer = dial::Dialer::new(spec, shared)?;
    let outside = outside::Outside::start(spec, dialer, waker, stop)?;
    let shown = Arc::new(Shown::default());
    let worker = worker::Worker::new(
        connector,
        publisher,
        spec,
        Arc::clone(clock),
        Arc::clone(stop),
        Arc::clone(&shown),
        outside,
        poll,
    )?;
    let thread = spawn(&format!("pub-{}", spec.name), None, stop, move || worker.run())?;
    Ok(Running { name: spec.name.clone(), endpoints, shown, thread })
}
