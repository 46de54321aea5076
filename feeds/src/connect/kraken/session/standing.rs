//! What stands and what is missing: the connection's absence is one hole of all symbols, and a symbol that was missing for
//! longer has one of its own, which is told when its data come again, or at the end of the run.

use super::{ALL, Phase, Session, Standing, Symbol};
use crate::clock::WallNanos;
use crate::connect::{Note, Now, Outbox, State};

impl Session {
    pub(super) fn awaits(&self) -> bool {
        let waits = |symbol: &Symbol| matches!(symbol.standing, Standing::Asked | Standing::Answered);
        self.names.iter().any(waits)
    }

    /// The first data of a symbol have come.
    #[inline]
    pub(in super::super) fn fresh(&mut self, at: usize, now: Now, out: &mut Outbox) {
        if self.names.get(at).is_some_and(|symbol| symbol.standing != Standing::Fresh) {
            self.begin(at, now, out);
        }
    }

    #[cold]
    fn begin(&mut self, at: usize, now: Now, out: &mut Outbox) {
        let Some(symbol) = self.names.get_mut(at) else { return };
        symbol.standing = Standing::Fresh;
        if let Some(since) = symbol.missing.take() {
            self.gap(at, since, "its data come again", now, out);
        }
        self.look_whole(now, out);
    }

    /// Something of a symbol is missing since then, whatever becomes of the connection.
    pub(in super::super) fn missing_since(&mut self, at: usize, since: WallNanos) {
        if let Some(symbol) = self.names.get_mut(at) {
            symbol.missing = Some(symbol.missing.map_or(since, |known| known.min(since)));
        }
    }

    /// Once everything that may come has begun, what was missed has an end.
    pub(super) fn look_whole(&mut self, now: Now, out: &mut Outbox) {
        if self.awaits() || !self.names.iter().any(|symbol| symbol.standing == Standing::Fresh) {
            return;
        }
        let Phase::Open { .. } = self.phase else { return };
        if let Some(from) = self.hole_from.take() {
            for symbol in self.names.iter_mut().filter(|symbol| symbol.standing == Standing::Refused) {
                symbol.missing.get_or_insert(from);
            }
            let span = Some((from, now.wall));
            let note = Note { kind: "gap", scope: ALL, span, detail: "connection lost", ..Note::default() };
            out.event(self.topic, now.wall, &note);
        } else if !self.was_up || self.said_down {
            let refused = self.refused();
            let detail = match refused {
                0 => "every subscription stands".to_owned(),
                _ => format!("connected; {refused} of {} symbols are refused", self.names.len()),
            };
            out.event(
                self.topic,
                now.wall,
                &Note { kind: "up", scope: ALL, detail: &detail, ..Note::default() },
            );
        }
        (self.was_up, self.said_down) = (true, false);
        self.tell_state(out);
    }

    fn refused(&self) -> usize {
        self.names.iter().filter(|symbol| symbol.standing == Standing::Refused).count()
    }

    /// How it fares, if everything that was asked for is answered.
    pub(super) fn tell_state(&self, out: &mut Outbox) {
        let Phase::Open { .. } = self.phase else { return };
        let refused = self.refused();
        if self.awaits() || !self.was_up {
            return;
        }
        let count = self.names.len();
        match refused {
            0 if self.is_channel_wide() => out.state(State::Ready, "subscribed"),
            0 => out.state(State::Ready, format!("{count} symbols")),
            _ => out.state(State::Degraded, format!("{refused} of {count} symbols are refused")),
        }
    }

    /// The run ends: what is still missing is told.
    pub(super) fn stop(&mut self, now: Now, out: &mut Outbox) {
        let is_open = matches!(self.phase, Phase::Open { .. });
        let hole = self.hole_from.take().or(self.closed_since.take()).filter(|_| self.was_up);
        let hole = hole.or((!is_open && self.was_up).then_some(self.last.wall));
        if let Some(from) = hole {
            let detail = "stopped before data came again";
            let note =
                Note { kind: "gap", scope: ALL, span: Some((from, now.wall)), detail, ..Note::default() };
            out.event(self.topic, now.wall, &note);
        }
        for at in 0..self.names.len() {
            if let Some(since) = self.names.get_mut(at).and_then(|symbol| symbol.missing.take()) {
                self.gap(at, since, "stopped before its data came again", now, out);
            }
        }
    }

    fn gap(&self, at: usize, since: WallNanos, detail: &str, now: Now, out: &mut Outbox) {
        let note = Note {
            kind: "gap",
            scope: self.name(at),
            span: Some((since, now.wall)),
            detail,
            ..Note::default()
        };
        out.event(self.topic, now.wall, &note);
    }
}
