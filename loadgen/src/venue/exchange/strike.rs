//! Faults as they are done, and the account of what they keep from clients: a hole is open from the fault until a
//! message of its stream reaches a connection that was struck, or a newer one.

use tickline_feeds::clock::{Clock, WallNanos};

use super::super::fault::{Action, Fault, FaultError, FaultKind};
use super::super::journal::{Hole, Injected};
use super::super::outbox::Out;
use super::Market;
use super::state::{Mute, State};

/// What is done to the next messages of a stream.
#[derive(Debug)]
pub(super) struct Effect {
    kind: FaultKind,
    left: u64,
    until_ns: u64,
    entry: usize,
}

/// What is done to the next requests.
#[derive(Debug)]
pub(super) struct Standing {
    kind: FaultKind,
    stream: Option<String>,
    left: u64,
    pub(super) until_ns: u64,
    entry: usize,
}

/// A hole of the journal that is open.
#[derive(Debug)]
pub(super) struct OpenHole {
    entry: usize,
    hole: usize,
    struck: Vec<u64>,
    /// The newest connection when it opened.
    newest: u64,
}

impl<M: Market> State<M> {
    /// Takes a fault: it is done at once, or once so many messages of its stream are made.
    pub(super) fn inject(&mut self, fault: Fault) -> Result<(), FaultError> {
        fault.check(M::FAULTS)?;
        if let Some(stream) = fault.stream.as_ref().filter(|stream| !self.market.has(stream)) {
            return Err(FaultError::stream(M::STREAMS, stream));
        }
        let is_due = match (&fault.stream, fault.after) {
            (Some(name), Some(after)) => {
                self.record.made.get(name).is_some_and(|made| *made >= after)
                    || after == 0 && self.is_streamed(name)
            }
            (Some(name), None) => fault.kind.action() == Action::Requests || self.is_streamed(name),
            (None, _) => true,
        };
        if is_due {
            self.strike(fault);
        } else {
            self.armed.push(fault);
        }
        Ok(())
    }

    /// A stream that begins has met what waits for its message 0.
    pub(super) fn begin_armed(&mut self, name: &str) {
        self.done_after(name, 0);
    }

    /// Does what waits for this message of a stream.
    pub(super) fn done_after(&mut self, name: &str, number: u64) {
        while let Some(place) = self
            .armed
            .iter()
            .position(|fault| fault.stream.as_deref() == Some(name) && fault.after.unwrap_or(0) <= number)
        {
            let fault = self.armed.remove(place);
            self.strike(fault);
        }
    }

    fn strike(&mut self, fault: Fault) {
        let entry = self.record.journal.len();
        self.record.journal.push(Injected {
            kind: fault.kind,
            stream: fault.stream.clone(),
            from_ns: self.clock.wall().0,
            to_ns: None,
            count: 0,
            holes: Vec::new(),
        });
        let now_ns = self.clock.mono().0;
        let until_ns = fault.span.map_or(u64::MAX, |span| now_ns.saturating_add(span.as_nanos() as u64));
        let left = fault.count.unwrap_or(if fault.span.is_some() { u64::MAX } else { 1 });
        let Fault { kind, stream, count, after, .. } = fault;
        match kind.action() {
            Action::Requests => {
                // A stream that tells when does not tell which requests.
                let stream = stream.filter(|_| after.is_none() || kind == FaultKind::Refuse);
                self.standing.push(Standing { kind, stream, left, until_ns, entry });
            }
            Action::Messages => {
                let name = stream.unwrap_or_default();
                if matches!(kind, FaultKind::Skip | FaultKind::Malformed | FaultKind::HalfMessage) {
                    let struck = self.subscribers(Some(&name));
                    self.open_holes(entry, &struck, std::slice::from_ref(&name));
                }
                if let Some(stream) = self.streams.iter_mut().find(|stream| stream.name == name) {
                    stream.effects.push(Effect { kind, left, until_ns, entry });
                }
            }
            Action::Connections => {
                let struck = self.subscribers(stream.as_deref());
                self.count(entry, struck.len() as u64);
                self.strike_connections(kind, entry, &struck, until_ns);
                let place = self.streams.iter().position(|known| Some(&known.name) == stream.as_ref());
                if let Some((place, unseen)) = place.zip(count) {
                    (0..unseen).for_each(|_| self.advance(place));
                }
                self.settle(entry);
            }
        }
    }

    fn strike_connections(&mut self, kind: FaultKind, entry: usize, struck: &[u64], until_ns: u64) {
        let mut names: Vec<String> = struck.iter().flat_map(|id| self.subscribed(*id)).collect();
        names.sort_unstable();
        names.dedup();
        self.open_holes(entry, struck, &names);
        if kind == FaultKind::Maintenance {
            self.closed = Some((until_ns, entry));
            self.tell_all(true);
            return;
        }
        for id in struck {
            let Some(connection) = self.connections.get_mut(id) else { continue };
            match kind {
                FaultKind::Silence => {
                    connection.mute = Mute::All(until_ns);
                    connection.outbox.push(Out::Mute(true));
                }
                FaultKind::DataSilence => connection.mute = Mute::Data(until_ns),
                _ => self.leave(*id),
            }
        }
    }

    fn tell_all(&mut self, is_closed: bool) {
        let Some(text) = self.market.notice(is_closed) else { return };
        let all: Vec<u64> = self.connections.keys().copied().collect();
        all.into_iter().for_each(|id| self.say(id, text.clone()));
    }

    fn subscribers(&self, stream: Option<&str>) -> Vec<u64> {
        let subscribed = self.connections.iter();
        let subscribed = subscribed.filter(|(_, c)| stream.is_none_or(|name| c.streams.contains_key(name)));
        subscribed.map(|(id, _)| *id).collect()
    }

    fn open_holes(&mut self, entry: usize, struck: &[u64], names: &[String]) {
        let now = self.clock.wall();
        for name in names {
            let last = self.streams.iter().find(|stream| stream.name == *name).and_then(|s| s.last_sent);
            let Some(injected) = self.record.journal.get_mut(entry) else { return };
            let hole = injected.holes.len();
            injected.holes.push(Hole {
                stream: name.clone(),
                messages: 0,
                items: 0,
                from_ns: last.unwrap_or(now).0,
                to_ns: None,
            });
            let newest = self.record.connections;
            self.holes.push(OpenHole { entry, hole, struck: struck.to_vec(), newest });
        }
    }

    fn count(&mut self, entry: usize, more: u64) {
        if let Some(injected) = self.record.journal.get_mut(entry) {
            injected.count += more;
        }
    }

    /// What is done to the message of this stream that was just made.
    pub(super) fn effect(&mut self, place: usize) -> Option<FaultKind> {
        let now_ns = self.clock.mono().0;
        let stream = self.streams.get_mut(place)?;
        let mut over = Vec::new();
        stream.effects.retain(|effect| {
            let is_over = effect.left == 0 || effect.until_ns <= now_ns;
            if is_over {
                over.push(effect.entry);
            }
            !is_over
        });
        let found = stream.effects.first_mut().map(|effect| {
            effect.left -= 1;
            (effect.kind, effect.entry, effect.left == 0)
        });
        if let Some((_, entry, is_last)) = found {
            self.count(entry, 1);
            if is_last {
                if let Some(stream) = self.streams.get_mut(place) {
                    stream.effects.remove(0);
                }
                over.push(entry);
            }
        }
        over.into_iter().for_each(|entry| self.settle(entry));
        found.map(|(kind, ..)| kind)
    }

    /// A message of a stream with so many numbered things inside was made and these connections got it; a snapshot has
    /// none inside.
    pub(super) fn reached(&mut self, name: &str, got: &[u64], items: u64, at: WallNanos) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.name == name && !got.is_empty()) {
            stream.last_sent = Some(at);
        }
        let (journal, mut closed) = (&mut self.record.journal, Vec::new());
        self.holes.retain(|open| {
            let hole = journal.get_mut(open.entry).and_then(|entry| entry.holes.get_mut(open.hole));
            let Some(hole) = hole.filter(|hole| hole.stream == name) else { return true };
            if got.iter().any(|id| *id > open.newest || open.struck.contains(id)) {
                hole.to_ns = Some(at.0);
                closed.push(open.entry);
                return false;
            }
            hole.messages += 1;
            hole.items += items;
            true
        });
        closed.into_iter().for_each(|entry| self.settle(entry));
    }

    /// Ends an entry of the journal with the last of what belongs to it.
    fn settle(&mut self, entry: usize) {
        let goes_on = self.streams.iter().any(|stream| stream.effects.iter().any(|e| e.entry == entry))
            || self.standing.iter().any(|standing| standing.entry == entry)
            || self.closed.is_some_and(|(_, closed)| closed == entry);
        let now = self.clock.wall().0;
        if let Some(injected) = self.record.journal.get_mut(entry).filter(|entry| entry.to_ns.is_none())
            && !goes_on
            && injected.holes.iter().all(|hole| hole.to_ns.is_some())
        {
            injected.to_ns = injected.holes.iter().filter_map(|hole| hole.to_ns).max().or(Some(now));
        }
    }

    /// True if a request of this kind is to be refused now.
    pub(in super::super) fn take(&mut self, kind: FaultKind, stream: Option<&str>) -> bool {
        let now_ns = self.clock.mono().0;
        let found = self.standing.iter_mut().find(|standing| {
            let fits = standing.stream.is_none() || standing.stream.as_deref() == stream;
            standing.kind == kind && fits && standing.left > 0 && standing.until_ns > now_ns
        });
        let Some(standing) = found else { return false };
        standing.left -= 1;
        let (entry, is_last) = (standing.entry, standing.left == 0);
        self.count(entry, 1);
        if is_last {
            self.standing.retain(|standing| standing.left > 0);
            self.settle(entry);
        }
        true
    }

    /// Ends what lasts no longer.
    pub(super) fn expire(&mut self, now_ns: u64) {
        let over = |until_ns: u64| until_ns <= now_ns;
        for connection in self.connections.values_mut() {
            match connection.mute {
                Mute::All(until_ns) if over(until_ns) => {
                    connection.mute = Mute::Nothing;
                    connection.outbox.push(Out::Mute(false));
                }
                Mute::Data(until_ns) if over(until_ns) => connection.mute = Mute::Nothing,
                _ => {}
            }
        }
        let mut ended: Vec<usize> = Vec::new();
        self.standing.retain(|standing| {
            if over(standing.until_ns) {
                ended.push(standing.entry);
            }
            !over(standing.until_ns)
        });
        if let Some((_, entry)) = self.closed.take_if(|(until_ns, _)| over(*until_ns)) {
            self.tell_all(false);
            ended.push(entry);
        }
        ended.into_iter().for_each(|entry| self.settle(entry));
    }
}
