//! A venue whose connections and answers fail as a script says, in the time of the script.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use tickline_feeds::connect::{Command, Connector, Event};

use crate::rig::Rig;

/// What comes of one attempt to connect.
#[derive(Clone, Debug)]
pub(crate) enum Attempt {
    /// It stands for so long, ms, and is cut with what is on its way, or falls silent.
    Lives(u64, bool),
    Refused(Option<u16>),
    Unanswered,
}

pub(crate) fn attempt() -> impl Strategy<Value = Attempt> {
    let status = prop_oneof![Just(None), Just(Some(429)), Just(Some(500)), Just(Some(404)), Just(Some(503))];
    prop_oneof![
        4 => (0..40_000_u64, any::<bool>()).prop_map(|(ms, cut)| Attempt::Lives(ms, cut)),
        2 => status.prop_map(Attempt::Refused),
        1 => Just(Attempt::Unanswered),
    ]
}

/// What a venue sends over a connection that stands from a moment on.
pub(crate) trait Venue {
    /// Lines and when they are sent, ms.
    fn lines(&self, from_ms: u64, to_ms: u64) -> Vec<(u64, String)>;
    /// When a request is answered, ms, and how.
    fn answer(&mut self, url: &str, now_ms: u64) -> (u64, Option<u16>, String);
}

enum Happens {
    Opened(u64),
    Line(u64, String),
    Closed(u64, Option<u16>),
    Answer(u32, Option<u16>, String),
}

pub(crate) struct Simulation<C, V> {
    pub(crate) rig: Rig<C>,
    pub(crate) venue: V,
    attempts: VecDeque<Attempt>,
    latency_ms: u64,
    agenda: BTreeMap<(u64, u64), Happens>,
    planned: u64,
    /// Number of the connection, and whether it stands.
    connection: u64,
    pub(crate) standing: bool,
    pub(crate) attempted_ms: Vec<u64>,
    pub(crate) first_opened_ms: Option<u64>,
    pub(crate) first_line: Option<String>,
    end_ms: u64,
}

impl<C: Connector, V: Venue> Simulation<C, V> {
    pub(crate) fn new(connector: C, venue: V, attempts: Vec<Attempt>, latency_ms: u64, end_ms: u64) -> Self {
        Self {
            rig: Rig::started(connector),
            venue,
            attempts: attempts.into(),
            latency_ms,
            agenda: BTreeMap::new(),
            planned: 0,
            connection: 0,
            standing: false,
            attempted_ms: Vec::new(),
            first_opened_ms: None,
            first_line: None,
            end_ms,
        }
    }

    /// Plays everything up to the end, and the end.
    pub(crate) fn run(&mut self) {
        loop {
            self.obey();
            let due = self.rig.due_ms().unwrap_or(u64::MAX);
            let planned = self.agenda.first_key_value().map_or(u64::MAX, |((ms, _), _)| *ms);
            if due.min(planned) > self.end_ms {
                break;
            }
            self.rig.ms = self.rig.ms.max(due.min(planned));
            if due <= planned {
                self.rig.on(Event::Due);
            } else if let Some((_, happens)) = self.agenda.pop_first() {
                self.happen(happens);
            }
        }
        self.rig.ms = self.end_ms;
        self.rig.on(Event::Stop);
    }

    fn happen(&mut self, happens: Happens) {
        match happens {
            Happens::Opened(connection) if connection == self.connection => {
                self.standing = true;
                self.first_opened_ms.get_or_insert(self.rig.ms);
                self.rig.opened();
            }
            Happens::Line(connection, line) if connection == self.connection => {
                self.rig.line(&line);
                self.first_line.get_or_insert(line);
            }
            Happens::Closed(connection, status) if connection == self.connection => {
                self.standing = false;
                self.rig.closed(status, "as the script says");
            }
            Happens::Answer(id, status, body) => {
                self.rig.on(Event::Answer { id, status, body: body.as_bytes() });
            }
            _ => {}
        }
    }

    fn plan(&mut self, ms: u64, happens: Happens) {
        self.planned += 1;
        self.agenda.insert((ms, self.planned), happens);
    }

    fn obey(&mut self) {
        for command in std::mem::take(&mut self.rig.commands) {
            match command {
                Command::Open(..) => self.connect(),
                Command::Close(_) => {
                    self.connection += 1;
                    self.standing = false;
                }
                Command::Ask(id, request) => {
                    let (ms, status, body) = self.venue.answer(&request.url, self.rig.ms);
                    self.plan(ms, Happens::Answer(id, status, body));
                }
                Command::Fail(why) => panic!("gave up: {why}"),
                Command::State(..) | Command::Send(..) => {}
            }
        }
    }

    fn connect(&mut self) {
        self.connection += 1;
        let (connection, from) = (self.connection, self.rig.ms + 2 * self.latency_ms);
        self.attempted_ms.push(self.rig.ms);
        let (lives_ms, cut) = match self.attempts.pop_front() {
            Some(Attempt::Lives(ms, cut)) => (ms, cut),
            Some(Attempt::Refused(status)) => return self.plan(from, Happens::Closed(connection, status)),
            Some(Attempt::Unanswered) => return,
            None => (u64::MAX / 2, true),
        };
        let to = from.saturating_add(lives_ms);
        self.plan(from, Happens::Opened(connection));
        for (sent, line) in self.venue.lines(from, to.min(self.end_ms)) {
            // Who cuts takes what is on its way.
            if !cut || sent + self.latency_ms < to {
                self.plan(sent + self.latency_ms, Happens::Line(connection, line));
            }
        }
        if cut && to < self.end_ms {
            self.plan(to, Happens::Closed(connection, None));
        }
    }
}
