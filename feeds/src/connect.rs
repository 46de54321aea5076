//! Connectors: what a venue's protocol asks for, as state machines. A connector is told what happened and when, and
//! answers with messages to publish, bytes to send, and the time at which it wants to be asked again. It promises
//! that every hole in its source becomes an event; it refuses sockets, threads and clocks, which are the engine's.

mod backoff;
pub mod betfair;
pub mod definitions;
pub mod kraken;
pub mod oanda;
mod outbox;
pub mod sentiment;
mod ties;
mod unread;
mod upstream;

pub use backoff::Backoff;
pub use outbox::{Command, Note, Outbox, Queued, Request, State, Target, TopicId};
pub use ties::Ties;
pub use upstream::OnRefused;

use crate::clock::{MonoNanos, WallNanos};

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For the messages.
    pub wall: WallNanos,
    /// For deadlines.
    pub mono: MonoNanos,
}

impl Now {
    /// The deadline that is `ns` from now.
    pub const fn after(self, ns: u64) -> MonoNanos {
        MonoNanos(self.mono.0.saturating_add(ns))
    }
}

/// A connection of a connector; the connector numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Link(pub u8);

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The connector runs. Told once, first.
    Start,
    /// The time has come that [`Connector::due`] named.
    Due,
    /// The connection stands.
    Opened(Link),
    /// One message of it: a WebSocket text, a line without its end (an empty line, too), or the payload of a ZeroMQ
    /// message.
    Message(Link, &'a [u8]),
    /// It is gone, or could not be made.
    Closed {
        /// Which.
        link: Link,
        /// HTTP status of the refusal, where there was one.
        status: Option<u16>,
        /// Why, for people; with a status, what the venue wrote.
        why: &'a str,
    },
    /// What came of a request.
    Answer {
        /// As asked.
        id: u32,
        /// HTTP status; none: there was no answer, and `body` says why.
        status: Option<u16>,
        /// As it came.
        body: &'a [u8],
    },
    /// Somebody subscribed to a topic.
    Joined(TopicId),
    /// The run ends: what is still to be said is said now.
    Stop,
}

/// A connector.
pub trait Connector: Send {
    /// Takes one event; what follows from it is put into `out`.
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox);

    /// When [`Event::Due`] is wanted; none: not.
    fn due(&self) -> Option<MonoNanos>;

    /// Tells what it has counted, by name.
    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64));
}
