//! A connector, the time, and everything that it has said, as text that a test can compare.

use serde_json::{Map, Value as Json};
use tickline_feeds::clock::{MonoNanos, WallNanos};
use tickline_feeds::connect::{Command, Connector, Event, Link, Now, Outbox, Target};
use tickline_feeds::cursor::{Cursor, Value};
use tickline_feeds::payload::{Decimals, reserved};

/// Wall time at 0 ms: 2026-08-03T12:30:00Z.
pub(crate) const BASE_NS: i64 = 1_785_760_200_000_000_000;
pub(crate) const MILLI_NS: i64 = 1_000_000;
pub(crate) const LINK: Link = Link(0);

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) tie: u32,
    pub(crate) recv_ns: i64,
    /// Without the reserved keys.
    pub(crate) body: Json,
}

impl Message {
    /// Whether it is an event.
    pub(crate) fn is_event(&self) -> bool {
        self.body.get("_event").is_some()
    }

    /// The span of an event, ms from the start.
    pub(crate) fn span_ms(&self) -> Option<(i64, i64)> {
        let ms = |key: &str| Some((self.body.get(key)?.as_i64()? - BASE_NS).div_euclid(MILLI_NS));
        Some((ms("from")?, ms("to")?))
    }
}

/// `topic kind scope: detail [from..to] lost=n` of an event, times in ms; else `topic+tie {…}`.
impl std::fmt::Display for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |key: &str| self.body[key].as_str().unwrap_or_default().to_owned();
        if !self.is_event() {
            return write!(f, "{}+{} {}", self.topic, self.tie, self.body);
        }
        write!(f, "{} {} {}: {}", self.topic, text("_event"), text("scope"), text("detail"))?;
        if let Some((from, to)) = self.span_ms() {
            write!(f, " [{from}..{to}]")?;
        }
        self.body.get("lost").map_or(Ok(()), |lost| write!(f, " lost={lost}"))
    }
}

pub(crate) struct Rig<C> {
    pub(crate) connector: C,
    out: Outbox,
    pub(crate) ms: u64,
    /// How far our wall clock is ahead, ms.
    pub(crate) ahead_ms: i64,
    pub(crate) messages: Vec<Message>,
    pub(crate) commands: Vec<Command>,
}

impl<C: Connector> Rig<C> {
    /// A connector that was told to start.
    pub(crate) fn started(connector: C) -> Self {
        let mut rig = Self {
            connector,
            out: Outbox::new(Decimals::Text),
            ms: 0,
            ahead_ms: 0,
            messages: Vec::new(),
            commands: Vec::new(),
        };
        rig.on(Event::Start);
        rig
    }

    pub(crate) fn on(&mut self, event: Event<'_>) {
        let wall = WallNanos(BASE_NS + (self.ms as i64 + self.ahead_ms) * MILLI_NS);
        let now = Now { wall, mono: MonoNanos(self.ms * MILLI_NS as u64) };
        self.connector.on(event, now, &mut self.out);
        self.commands.extend(self.out.take_commands());
        let topics = self.out.topics().to_vec();
        let (queued, bytes) = self.out.payloads();
        for queued in queued {
            let (head, _) = reserved(&bytes[queued.from..queued.to]).expect("begins with the reserved keys");
            let mut body = read(&mut Cursor::new(&bytes[queued.from..queued.to]));
            let known = ["_v", "_src", "_seq", "_ts", "_recv", "_tie", "_due"];
            body.as_object_mut().expect("a map").retain(|key, _| !known.contains(&key.as_str()));
            self.messages.push(Message {
                topic: topics[usize::from(queued.topic.0)].to_owned(),
                tie: head.tie,
                recv_ns: head.times.recv.0,
                body,
            });
        }
        self.out.clear_payloads();
    }

    /// The connector's due time in ms, rounded up.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        self.connector.due().map(|due| due.0.div_ceil(MILLI_NS as u64))
    }

    /// Lets time pass up to `ms`; the connector is woken whenever it is due.
    pub(crate) fn until(&mut self, ms: u64) {
        while let Some(due) = self.due_ms().filter(|due| *due <= ms) {
            self.ms = self.ms.max(due);
            self.on(Event::Due);
        }
        self.ms = ms;
    }

    pub(crate) fn opened(&mut self) {
        self.on(Event::Opened(LINK));
    }

    pub(crate) fn line(&mut self, line: &str) {
        self.on(Event::Message(LINK, line.as_bytes()));
    }

    pub(crate) fn closed(&mut self, status: Option<u16>, why: &str) {
        self.on(Event::Closed { link: LINK, status, why });
    }

    /// Everything said since the last time: messages, then commands.
    pub(crate) fn said(&mut self) -> Vec<String> {
        let mut said: Vec<String> = self.messages.drain(..).map(|message| message.to_string()).collect();
        said.extend(self.commands.drain(..).map(|command| match command {
            Command::Open(_, Target::Stream { url, headers }) => format!("open {url} {headers:?}"),
            Command::Open(_, target) => format!("open {target:?}"),
            Command::Close(_) => "close".to_owned(),
            Command::Ask(id, request) => format!("ask {id} {}", request.url),
            Command::State(state, why) => format!("{} {why}", state.name()).trim_end().to_owned(),
            Command::Fail(why) => format!("fail {why}"),
            other => format!("{other:?}"),
        }));
        said
    }
}

fn read(cursor: &mut Cursor<'_>) -> Json {
    match cursor.value().unwrap() {
        Value::Nil => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Text(text) => String::from_utf8_lossy(text).into(),
        Value::Array(len) => (0..len).map(|_| read(cursor)).collect(),
        Value::Map(len) => {
            let entry = |cursor: &mut Cursor<'_>| {
                let key = read(cursor).as_str().expect("keys are text").to_owned();
                (key, read(cursor))
            };
            Json::Object((0..len).map(|_| entry(cursor)).collect::<Map<_, _>>())
        }
        other => panic!("{other:?}"),
    }
}
