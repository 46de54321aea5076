//! What a simulated venue has done: every fault with its span and what it kept from its clients, and, if wanted,
//! everything that was sent and received. Times are wall clock, ns, so that a client's own account can be held against
//! it. It does not know what a client throws away when it closes its connection itself.

use std::collections::BTreeMap;

use serde::Serialize;
use tickline_feeds::clock::WallNanos;

use super::fault::FaultKind;

/// A fault that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Injected {
    /// What was done.
    pub kind: FaultKind,
    /// To which stream; none: to every one.
    pub stream: Option<String>,
    /// When it began, ns since 1970.
    pub from_ns: i64,
    /// When it was over: what it kept back flows again, or as many as asked for were refused. None: it lasts.
    pub to_ns: Option<i64>,
    /// Messages or requests that it was done to.
    pub count: u64,
    /// What clients missed, a stream each.
    pub holes: Vec<Hole>,
}

/// What one stream's clients missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hole {
    /// The stream, such as `trade BTC/USD`.
    pub stream: String,
    /// Messages that were made and reached nobody.
    pub messages: u64,
    /// What the venue numbers inside them: trades, executions, transactions; else as many as messages.
    pub items: u64,
    /// When the last message before it was sent, ns since 1970.
    pub from_ns: i64,
    /// When the first message after it was sent; none: it is open.
    pub to_ns: Option<i64>,
}

/// A data message that was sent, or the answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// On which connection, from 1; 0: the answer to a request.
    pub connection: u64,
    /// Of which stream, or the path that was asked for.
    pub stream: String,
    /// How many messages of the stream were made when it was sent; a snapshot has the number of the last one before it.
    pub number: u64,
    /// When.
    pub at: WallNanos,
    /// The message as it was sent, without its framing.
    pub text: String,
}

/// What a client said: a WebSocket message, a line, or the first line of an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// On which connection, from 1; 0: a request that is answered at once.
    pub connection: u64,
    /// When.
    pub at: WallNanos,
    /// The words.
    pub text: String,
}

/// All that is known of a run.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Faults, in the order in which they began.
    pub journal: Vec<Injected>,
    /// Data messages, if they are kept.
    pub sent: Vec<Sent>,
    /// What clients said, if it is kept.
    pub received: Vec<Received>,
    /// Messages made so far, a stream each.
    pub made: BTreeMap<String, u64>,
    /// Streaming connections so far.
    pub connections: u64,
    /// Those that are open.
    pub open: u64,
    /// Every stream that was ever subscribed to has come to its end.
    pub ended: bool,
}
