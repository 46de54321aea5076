//! The state of a simulated venue: who is connected, what they have subscribed to, and what became of each message.

use std::collections::BTreeMap;
use std::sync::Arc;

use tickline_feeds::clock::{Clock, WallNanos};

use super::super::fault::{Fault, FaultKind};
use super::super::journal::{Received, Record, Sent};
use super::super::outbox::{Out, Outbox};
use super::super::pace::Plan;
use super::Market;
use super::strike::{Effect, OpenHole, Standing};
use crate::clock::OsClock;

/// When a connection's heartbeats come.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Beat {
    pub(in super::super) every_ns: u64,
    /// Only after so long without a message.
    pub(in super::super) only_idle: bool,
}

/// What a connection does not get, until this monotonic time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mute {
    Nothing,
    Data(u64),
    All(u64),
}

pub(super) struct Connection<M: Market> {
    pub(super) outbox: Arc<Outbox>,
    pub(super) streams: BTreeMap<String, M::Terms>,
    pub(super) mute: Mute,
    pub(in super::super) profile: M::Profile,
    pub(super) beat: Option<(Beat, u64)>,
}

#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) made: u64,
    pub(super) is_ended: bool,
    pub(super) last_sent: Option<WallNanos>,
    /// Monotonic time of the first subscription.
    pub(super) start_ns: u64,
    pub(super) effects: Vec<Effect>,
}

pub(in super::super) struct State<M: Market> {
    pub(in super::super) market: M,
    pub(super) plan: Plan,
    pub(super) clock: OsClock,
    pub(super) record: Record,
    pub(super) connections: BTreeMap<u64, Connection<M>>,
    /// In the order in which they were first subscribed to.
    pub(super) streams: Vec<Stream>,
    pub(super) armed: Vec<Fault>,
    pub(super) standing: Vec<Standing>,
    pub(super) holes: Vec<OpenHole>,
    /// No data until then, because of this entry of the journal.
    pub(super) closed: Option<(u64, usize)>,
    pub(super) turn: usize,
    pub(super) due_ns: u64,
}

impl<M: Market> State<M> {
    pub(super) fn new(market: M, plan: Plan, clock: OsClock) -> Self {
        Self {
            market,
            plan,
            clock,
            record: Record::default(),
            connections: BTreeMap::new(),
            streams: Vec::new(),
            armed: Vec::new(),
            standing: Vec::new(),
            holes: Vec::new(),
            closed: None,
            turn: 0,
            due_ns: 0,
        }
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// The wall clock.
    pub(in super::super) fn wall(&self) -> WallNanos {
        self.clock.wall()
    }

    /// Maintenance goes on.
    pub(in super::super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    pub(super) fn join(&mut self, outbox: Arc<Outbox>, profile: M::Profile) -> u64 {
        self.record.connections += 1;
        let id = self.record.connections;
        let connection =
            Connection { outbox, streams: BTreeMap::new(), mute: Mute::Nothing, profile, beat: None };
        self.connections.insert(id, connection);
        self.record.open = self.connections.len() as u64;
        id
    }

    pub(super) fn leave(&mut self, id: u64) {
        if let Some(connection) = self.connections.remove(&id) {
            connection.outbox.push(Out::End);
        }
        self.record.open = self.connections.len() as u64;
    }

    /// What the venue knows of a connection; none once it is closed.
    pub(in super::super) fn profile(&mut self, id: u64) -> Option<&mut M::Profile> {
        self.connections.get_mut(&id).map(|connection| &mut connection.profile)
    }

    /// The stream was subscribed to: its messages move it, and requests do not.
    pub(in super::super) fn is_streamed(&self, name: &str) -> bool {
        self.streams.iter().any(|stream| stream.name == name)
    }

    /// Puts down what a request was answered.
    pub(in super::super) fn answered(&mut self, path: &str, text: &str) {
        if self.plan.keep {
            let (stream, at) = (path.to_owned(), self.clock.wall());
            self.record.sent.push(Sent { connection: 0, stream, number: 0, at, text: text.to_owned() });
        }
    }

    /// Connections that are open.
    pub(in super::super) fn open(&self) -> u64 {
        self.record.open
    }

    /// Puts down what a client said.
    pub(in super::super) fn hear(&mut self, connection: u64, text: &str) {
        if self.plan.keep {
            self.record.received.push(Received { connection, at: self.clock.wall(), text: text.to_owned() });
        }
    }

    /// Says something that is no data.
    pub(in super::super) fn say(&mut self, id: u64, text: String) {
        if let Some(connection) = self.connections.get_mut(&id).filter(|c| !matches!(c.mute, Mute::All(_))) {
            connection.outbox.push(Out::Message(text));
        }
    }

    /// Says something and closes the connection.
    pub(in super::super) fn dismiss(&mut self, id: u64, text: String) {
        self.say(id, text);
        self.leave(id);
    }

    /// From now on there are heartbeats.
    pub(in super::super) fn beat(&mut self, id: u64, beat: Beat) {
        let due_ns = self.clock.mono().0 + beat.every_ns;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.beat = Some((beat, due_ns));
        }
    }

    /// Streams that a connection has subscribed to.
    pub(in super::super) fn subscribed(&self, id: u64) -> Vec<String> {
        self.connections.get(&id).map(|c| c.streams.keys().cloned().collect()).unwrap_or_default()
    }

    /// The messages of a stream go to this connection, too.
    pub(in super::super) fn subscribe(&mut self, id: u64, name: &str, terms: M::Terms) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.streams.insert(name.to_owned(), terms);
        if !self.streams.iter().any(|stream| stream.name == name) {
            let start_ns = self.clock.mono().0;
            self.streams.push(Stream { name: name.to_owned(), start_ns, ..Stream::default() });
            self.record.ended = false;
        }
        self.begin_armed(name);
    }

    /// What a stream is now, said to one subscriber: it ends its holes.
    pub(in super::super) fn snapshot(&mut self, id: u64, names: &[String], text: String) {
        let is_muted = self.connections.get(&id).is_none_or(|connection| connection.mute != Mute::Nothing);
        if is_muted || self.closed.is_some() {
            return;
        }
        let at = self.clock.wall();
        for name in names {
            self.reached(name, &[id], 0, at);
        }
        if self.plan.keep {
            let stream = names.first().cloned().unwrap_or_default();
            let number = self.record.made.get(&stream).copied().unwrap_or(0);
            self.record.sent.push(Sent { connection: id, stream, number, at, text: text.clone() });
        }
        self.say(id, text);
    }

    /// False if there was no such subscription.
    pub(in super::super) fn unsubscribe(&mut self, id: u64, name: &str) -> bool {
        self.connections.get_mut(&id).is_some_and(|connection| connection.streams.remove(name).is_some())
    }

    /// Makes one message of a stream, sends it to who gets it, and does the faults that wait for it.
    pub(super) fn advance(&mut self, place: usize) {
        let at = self.clock.wall();
        let limit = self.plan.messages.unwrap_or(u64::MAX);
        let Some(stream) = self.streams.get_mut(place) else { return };
        let made = if stream.made < limit { self.market.make(&stream.name, at) } else { None };
        let Some(items) = made else {
            stream.is_ended = true;
            self.record.ended = self.streams.iter().all(|stream| stream.is_ended);
            return;
        };
        stream.made += 1;
        stream.is_ended = stream.made == limit;
        let (name, number) = (stream.name.clone(), stream.made);
        self.record.made.insert(name.clone(), number);
        let effect = self.effect(place);
        let (mut got, mut closing) = (Vec::new(), Vec::new());
        for (id, connection) in &mut self.connections {
            let Some(terms) = connection.streams.get_mut(&name) else { continue };
            let Some(text) = self.market.text(&name, terms) else { continue };
            if self.closed.is_some() || connection.mute != Mute::Nothing || effect == Some(FaultKind::Skip) {
                continue;
            }
            self.market.sent(terms);
            let text = match effect {
                Some(FaultKind::Malformed) => text.get(..text.len() * 2 / 3).unwrap_or_default().to_owned(),
                Some(kind) => self.market.spoil(kind, text),
                None => text,
            };
            if self.plan.keep {
                let stream = name.clone();
                self.record.sent.push(Sent { connection: *id, stream, number, at, text: text.clone() });
            }
            if let Some((beat, due_ns)) = &mut connection.beat
                && beat.only_idle
            {
                *due_ns = self.clock.mono().0 + beat.every_ns;
            }
            match effect {
                Some(FaultKind::HalfMessage) => closing.push(*id),
                Some(FaultKind::Malformed) => {}
                _ => got.push(*id),
            }
            connection.outbox.push(match effect {
                Some(FaultKind::Drip) => Out::Drip(text),
                Some(FaultKind::HalfMessage) => Out::Half(text),
                _ => Out::Message(text),
            });
        }
        self.reached(&name, &got, items, at);
        closing.into_iter().for_each(|id| self.leave(id));
        self.done_after(&name, number);
        self.record.ended = self.streams.iter().all(|stream| stream.is_ended);
    }
}
