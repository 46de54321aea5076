//! What is handed on by choice: to the topics of routes, and to workers by their share of the symbols. One message in, with
//! what is known of it; copies with numbers of our own out.

use tickline_config::model::{Filter, Route as Rule};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::news::Gap;
use tickline_feeds::subject::{Subject, share_of};
use zmq::{DONTWAIT, Error, SNDMORE};

use super::outlet::Outlet;
use super::output::Output;
use super::report::{RouteCounts, WorkerCounts};

/// A message to be handed on.
#[derive(Clone, Copy)]
pub(super) struct Handed<'a> {
    pub(super) topic: &'a [u8],
    pub(super) payload: &'a [u8],
    /// Parts behind the payload.
    pub(super) further: &'a [zmq::Message],
    /// None for what is no map.
    pub(super) subject: Option<&'a Subject<'a>>,
}

impl Handed<'_> {
    fn is_event(&self) -> bool {
        self.subject.is_some_and(|subject| subject.envelope.event)
    }

    fn is_wanted(&self, filter: &Filter) -> bool {
        let symbol = self.subject.and_then(Subject::symbol);
        let fulfils = |condition| self.subject.is_some_and(|subject| subject.fulfils(condition));
        filter.admits(symbol) && filter.condition.as_ref().is_none_or(fulfils)
    }

    /// The payload, in `numbered` form where it has one, and the parts behind it.
    fn parts(&self, numbered: Option<Vec<u8>>) -> Vec<zmq::Message> {
        let payload = numbered.map_or_else(|| zmq::Message::from(self.payload), zmq::Message::from);
        [payload].into_iter().chain(self.further.iter().map(|part| zmq::Message::from(&**part))).collect()
    }
}

/// Messages that are also passed on under another topic.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) name: String,
    pub(super) to: Box<[u8]>,
    /// The place of that topic.
    pub(super) place: usize,
    filter: Filter,
    outlet: Outlet,
    pub(super) counts: RouteCounts,
    /// A word of one of its topics has come since heartbeats were last sent.
    pub(super) heard: bool,
}

impl Route {
    pub(super) fn new(name: &str, rule: &Rule, place: usize) -> Self {
        Self {
            name: name.to_owned(),
            to: Box::from(rule.to.as_bytes()),
            place,
            filter: rule.filter.clone(),
            outlet: Outlet::new(),
            counts: RouteCounts::default(),
            heard: false,
        }
    }

    /// What is passed on of a message: the parts behind the topic.
    pub(super) fn take(&mut self, handed: &Handed<'_>) -> Option<Vec<zmq::Message>> {
        if handed.is_event() {
            self.counts.events += 1;
        } else {
            self.counts.looked_at += 1;
            if !handed.is_wanted(&self.filter) {
                self.counts.filtered += 1;
                return None;
            }
            self.counts.passed += 1;
        }
        Some(handed.parts(self.outlet.number(&self.to, handed.payload)))
    }

    /// What it says by itself: a hole before it, a heartbeat, its end.
    pub(super) fn gap(&mut self, gap: &Gap, now: WallNanos) -> Option<Vec<u8>> {
        self.outlet.gap(&self.to, gap, now)
    }

    pub(super) fn heartbeat(&mut self, now: WallNanos) -> Option<Vec<u8>> {
        let heard = std::mem::replace(&mut self.heard, false);
        if heard { self.outlet.heartbeat(&self.to, now) } else { None }
    }

    pub(super) fn end(&self, now: WallNanos, output: &mut Output) -> Result<(), Error> {
        self.outlet.ends(now).try_for_each(|(topic, end)| output.send(topic, [end].into_iter()).map(drop))
    }
}

/// One worker.
struct Worker {
    endpoint: String,
    socket: zmq::Socket,
    outlet: Outlet,
    counts: WorkerCounts,
}

impl Worker {
    /// Gives it a message, if there is room for it and someone who takes it.
    fn send(&self, topic: &[u8], parts: Vec<zmq::Message>) -> Result<bool, Error> {
        match self.socket.send(topic, DONTWAIT | SNDMORE) {
            Ok(()) => {}
            Err(Error::EAGAIN) => return Ok(false),
            Err(error) => return Err(error),
        }
        let mut left = parts.len();
        for part in parts {
            left -= 1;
            self.socket.send(part, if left > 0 { DONTWAIT | SNDMORE } else { DONTWAIT })?;
        }
        Ok(true)
    }

    /// The same for what it is told beside its share, which counts in no balance.
    fn tell(&self, topic: &[u8], payload: Vec<u8>) -> Result<(), Error> {
        self.send(topic, vec![payload.into()]).map(drop)
    }
}

/// The workers, each with its share of the symbols.
#[derive(Default)]
pub(super) struct Share {
    workers: Vec<Worker>,
    /// Messages that were one worker's.
    handed: u64,
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Share").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

impl Share {
    /// Adds a worker behind a bound PUSH socket.
    pub(super) fn add(&mut self, endpoint: String, socket: zmq::Socket) {
        let worker = Worker { endpoint, socket, outlet: Outlet::new(), counts: WorkerCounts::default() };
        self.workers.push(worker);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Gives a message to the worker whose share its symbol is, without symbol its topic; events are everyone's.
    pub(super) fn take(&mut self, handed: &Handed<'_>) -> Result<(), Error> {
        if handed.is_event() {
            for worker in &mut self.workers {
                let parts = handed.parts(worker.outlet.number(handed.topic, handed.payload));
                worker.send(handed.topic, parts)?;
            }
            return Ok(());
        }
        let key = handed.subject.and_then(|subject| subject.symbol).unwrap_or(handed.topic);
        let at = share_of(key, self.workers.len());
        let Some(worker) = self.workers.get_mut(at) else { return Ok(()) };
        self.handed += 1;
        // Its number is used up even if it is dropped: that is how the worker sees it.
        let parts = handed.parts(worker.outlet.number(handed.topic, handed.payload));
        if worker.send(handed.topic, parts)? {
            worker.counts.sent += 1;
        } else {
            worker.counts.dropped += 1;
        }
        Ok(())
    }

    /// Tells everyone of a hole before the forwarder: how much of it would have been whose, no one knows.
    pub(super) fn gap(&mut self, topic: &[u8], gap: &Gap, now: WallNanos) -> Result<(), Error> {
        for worker in &mut self.workers {
            if let Some(event) = worker.outlet.gap(topic, gap, now) {
                worker.tell(topic, event)?;
            }
        }
        Ok(())
    }

    /// Says on a topic of which something was heard that there was nothing for a worker.
    pub(super) fn heartbeats(&mut self, topic: &[u8], now: WallNanos) -> Result<(), Error> {
        for worker in &mut self.workers {
            if let Some(heartbeat) = worker.outlet.heartbeat(topic, now) {
                worker.tell(topic, heartbeat)?;
            }
        }
        Ok(())
    }

    pub(super) fn end(&self, now: WallNanos) -> Result<(), Error> {
        for worker in &self.workers {
            worker.outlet.ends(now).try_for_each(|(topic, end)| worker.tell(topic, end))?;
        }
        Ok(())
    }

    /// Counts by endpoint, and messages handed out in all.
    pub(super) fn counts(&self) -> (Vec<WorkerCounts>, u64) {
        let each =
            |worker: &Worker| WorkerCounts { endpoint: worker.endpoint.clone(), ..worker.counts.clone() };
        (self.workers.iter().map(each).collect(), self.handed)
    }
}
