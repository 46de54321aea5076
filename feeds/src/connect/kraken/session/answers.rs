//! What Kraken answers: the state of the venue, its pairs, and what became of each subscription.

use super::{AGAIN_NS, ALL, Heard, Session, Standing};
use crate::connect::kraken::wire::{Frame, InstrumentData, InstrumentPair, Status, Subscribed};
use crate::connect::{Note, Now, Outbox, State};

impl Session {
    pub(super) fn status<'a>(&mut self, frame: &Frame<'a>, now: Now, out: &mut Outbox) -> Heard<'a> {
        let Some(data) = frame.data else { return Heard::Quiet };
        let Ok([status]) = serde_json::from_str::<[Status<'_>; 1]>(data.get()) else {
            return Heard::Malformed;
        };
        let system = status.system.0.into_owned();
        let was_online = self.system.is_empty() || self.system == "online";
        if system != "online" {
            // Other states let data through.
            if system == "maintenance" && self.was_up {
                self.closed_since.get_or_insert(self.last.wall);
            }
            let note = Note { kind: "maintenance", scope: ALL, detail: &system, ..Note::default() };
            out.event(self.topic, now.wall, &note);
            self.system = system;
            out.state(State::Degraded, format!("Kraken says {}", self.system));
        } else if !was_online {
            let span = self.closed_since.take().map(|since| (since, now.wall));
            let note = Note { kind: "clean", scope: ALL, span, detail: "online again", ..Note::default() };
            out.event(self.topic, now.wall, &note);
            self.system = system;
            self.tell_state(out);
        }
        Heard::Quiet
    }

    /// Pairs that were not known before are asked for.
    pub(super) fn instruments<'a>(&mut self, frame: &Frame<'a>, now: Now, out: &mut Outbox) -> Heard<'a> {
        let Some(data) = frame.data else { return Heard::Quiet };
        let Ok(data) = serde_json::from_str::<InstrumentData<'_>>(data.get()) else {
            return Heard::Malformed;
        };
        let quotes = |status: &str| !matches!(status, "delisted" | "work_in_progress");
        let mut new = Vec::new();
        for pair in data.pairs {
            let Ok(pair) = serde_json::from_str::<InstrumentPair<'_>>(pair.get()) else {
                self.counts.malformed += 1;
                continue;
            };
            if quotes(&pair.status.0) && self.position(&pair.symbol.0).is_none() {
                new.push(self.add(&pair.symbol.0));
            }
        }
        self.subscribe(new, now, out);
        Heard::Quiet
    }

    pub(super) fn answer<'a>(&mut self, frame: &Frame<'_>, now: Now, out: &mut Outbox) -> Heard<'a> {
        let result =
            frame.result.and_then(|result| serde_json::from_str::<Subscribed<'_>>(result.get()).ok());
        let symbol = result.and_then(|result| result.symbol).or_else(|| frame.symbol.clone());
        let positions = match symbol.and_then(|symbol| self.position(&symbol.0)) {
            Some(at) => vec![at],
            // Without a symbol it is said of the whole request.
            None => self
                .asked
                .iter()
                .find(|(id, _)| Some(*id) == frame.req_id)
                .map_or_else(Vec::new, |(_, p)| p.clone()),
        };
        if frame.success == Some(true) {
            let next = if self.wanted.begins_with_data { Standing::Answered } else { Standing::Fresh };
            for at in positions {
                match self.names.get_mut(at) {
                    Some(symbol) if symbol.standing != Standing::Fresh && next == Standing::Answered => {
                        symbol.standing = next;
                    }
                    Some(_) => self.fresh(at, now, out),
                    None => {}
                }
            }
            return Heard::Quiet;
        }
        let why = frame.error.as_ref().map_or("refused without a reason", |error| &error.0).to_owned();
        if self.is_channel_wide() {
            self.counts.refused += 1;
            return Heard::Refused(why);
        }
        if positions.is_empty() {
            self.refuse(None, &why, now, out);
        }
        for at in positions {
            self.refuse(Some(at), &why, now, out);
        }
        self.look_whole(now, out);
        Heard::Quiet
    }

    fn refuse(&mut self, at: Option<usize>, why: &str, now: Now, out: &mut Outbox) {
        self.counts.refused += 1;
        self.again_at = now.after(AGAIN_NS);
        let scope = at.map_or(ALL, |at| self.name(at));
        out.event(self.topic, now.wall, &Note { kind: "refused", scope, detail: why, ..Note::default() });
        out.state(State::Degraded, format!("{scope}: {why}"));
        if let Some(symbol) = at.and_then(|at| self.names.get_mut(at)) {
            symbol.standing = Standing::Refused;
        }
    }

    pub(super) fn give_up_waiting(&mut self, now: Now, out: &mut Outbox) {
        for at in 0..self.names.len() {
            match self.names.get(at).map(|symbol| symbol.standing) {
                Some(Standing::Asked) => self.refuse(Some(at), "no answer in 10 s", now, out),
                Some(Standing::Answered) => self.refuse(Some(at), "no data in 10 s", now, out),
                _ => {}
            }
        }
        self.look_whole(now, out);
    }
}
