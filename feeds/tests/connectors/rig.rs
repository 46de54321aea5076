//! A connector and the time it lives in.

use serde_json::Value;
use tickline_feeds::clock::{MonoNanos, WallNanos};
use tickline_feeds::connect::{Command, Connector, Event, Link, Now, Outbox, State};
use tickline_feeds::payload::{Decimals, PayloadWriter};
use tickline_feeds::transcode::transcode;

use crate::unpack::unpack;

pub(crate) const SECOND_NS: u64 = 1_000_000_000;

/// The wall clock when a rig begins, ns.
pub(crate) const START_NS: i64 = 1_785_641_700 * 1_000_000_000;

/// Kind and scope of an event, its span in ns and the number lost, where it has them.
pub(crate) type Told = (String, String, Option<(i64, i64)>, Option<u64>);

/// A payload that says what the JSON does; numbers become text with their digits.
pub(crate) fn packed(json: &str) -> Vec<u8> {
    let mut writer = PayloadWriter::new(Decimals::Text);
    transcode(json, &[], &mut writer).unwrap();
    writer.bytes().to_vec()
}

/// What followed from an event.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Topic and payload, reserved keys included.
    pub(crate) sent: Vec<(String, Value)>,
    /// The same as msgpack.
    pub(crate) bytes: Vec<Vec<u8>>,
    pub(crate) commands: Vec<Command>,
}

impl Done {
    /// Payloads that are no events.
    pub(crate) fn data(&self) -> Vec<&Value> {
        self.sent
            .iter()
            .map(|(_, payload)| payload)
            .filter(|payload| payload.get("_event").is_none())
            .collect()
    }

    /// What each event tells.
    pub(crate) fn events(&self) -> Vec<Told> {
        let events = self.sent.iter().filter(|(_, payload)| payload.get("_event").is_some());
        let told = events.map(|(_, payload)| {
            let text = |key: &str| payload[key].as_str().unwrap().to_owned();
            let span =
                payload.get("from").map(|from| (from.as_i64().unwrap(), payload["to"].as_i64().unwrap()));
            (text("_event"), text("scope"), span, payload.get("lost").and_then(Value::as_u64))
        });
        told.collect()
    }

    /// What was sent over the connection.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let requests = self.commands.iter().filter_map(|command| match command {
            Command::Send(_, text) => Some(serde_json::from_str(text).unwrap()),
            _ => None,
        });
        requests.collect()
    }

    /// Addresses of the requests beside it.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self.commands.iter().filter_map(|command| match command {
            Command::Ask(_, request) => Some(request.url.clone()),
            _ => None,
        });
        asked.collect()
    }

    /// Why it gives up.
    pub(crate) fn failed(&self) -> Option<&str> {
        self.commands.iter().find_map(|command| match command {
            Command::Fail(why) => Some(why.as_str()),
            _ => None,
        })
    }

    /// The last state it took.
    pub(crate) fn state(&self) -> Option<State> {
        self.commands.iter().rev().find_map(|command| match command {
            Command::State(state, _) => Some(*state),
            _ => None,
        })
    }

    /// Whether it connects.
    pub(crate) fn opens(&self) -> bool {
        self.commands.iter().any(|command| matches!(command, Command::Open(..)))
    }
}

/// A connector.
pub(crate) struct Rig<C> {
    pub(crate) connector: C,
    outbox: Outbox,
    pub(crate) now: Now,
}

impl<C: Connector> Rig<C> {
    /// A connector that has been started; what followed from it is dropped.
    pub(crate) fn new(connector: C) -> (Self, Done) {
        let now = Now { wall: WallNanos(START_NS), mono: MonoNanos(SECOND_NS) };
        let mut rig = Self { connector, outbox: Outbox::new(Decimals::Text), now };
        let done = rig.tell(Event::Start);
        (rig, done)
    }

    pub(crate) fn tell(&mut self, event: Event<'_>) -> Done {
        self.connector.on(event, self.now, &mut self.outbox);
        let topics = self.outbox.topics().to_vec();
        let (queued, bytes) = self.outbox.payloads();
        let sent = queued.iter().map(|queued| {
            let topic = topics[usize::from(queued.topic.0)].clone();
            (topic, unpack(&bytes[queued.from..queued.to]))
        });
        let sent = sent.collect();
        let bytes = queued.iter().map(|queued| bytes[queued.from..queued.to].to_vec()).collect();
        self.outbox.clear_payloads();
        Done { sent, bytes, commands: self.outbox.take_commands().collect() }
    }

    /// One message of the venue.
    pub(crate) fn say(&mut self, message: &str) -> Done {
        self.tell(Event::Message(Link(0), message.as_bytes()))
    }

    /// The venue takes the connection.
    pub(crate) fn opened(&mut self) -> Done {
        self.tell(Event::Opened(Link(0)))
    }

    /// The venue ends it.
    pub(crate) fn closed(&mut self) -> Done {
        self.tell(Event::Closed { link: Link(0), status: None, why: "closed by the venue" })
    }

    /// What a request was answered.
    pub(crate) fn answer(&mut self, id: u32, body: &str) -> Done {
        self.tell(Event::Answer { id, status: Some(200), body: body.as_bytes() })
    }

    /// A request was answered with a status and without a body.
    pub(crate) fn refuse(&mut self, id: u32, status: u16) -> Done {
        self.tell(Event::Answer { id, status: Some(status), body: b"" })
    }

    /// Lets time pass; deadlines in it are kept in their order.
    pub(crate) fn pass(&mut self, ns: u64) -> Done {
        let end = MonoNanos(self.now.mono.0 + ns);
        let mut all = Done::default();
        while let Some(due) = self.connector.due().filter(|due| *due <= end) {
            self.to(due.max(self.now.mono));
            let done = self.tell(Event::Due);
            all.sent.extend(done.sent);
            all.bytes.extend(done.bytes);
            all.commands.extend(done.commands);
            assert!(self.connector.due() != Some(due), "a deadline that is over is wanted again");
        }
        self.to(end);
        all
    }

    fn to(&mut self, mono: MonoNanos) {
        let passed = mono.since(self.now.mono);
        self.now = Now { wall: WallNanos(self.now.wall.0 + passed as i64), mono };
    }

    /// One of its counts.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let mut found = None;
        self.connector.counts(&mut |known, count| {
            if known == name {
                found = Some(count);
            }
        });
        found.unwrap_or_else(|| panic!("{name} is not counted"))
    }
}
