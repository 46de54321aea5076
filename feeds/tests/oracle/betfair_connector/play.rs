//! A connector, the time, and everything that it has said.

use serde_json::{Map, Value as Json};
use tickline_config::secret::Secret;
use tickline_feeds::clock::{MonoNanos, WallNanos};
use tickline_feeds::connect::betfair::{Credentials, Markets, Settings, Stream, Subscription};
use tickline_feeds::connect::{Command, Connector, Event, Link, Now, OnRefused, Outbox};
use tickline_feeds::cursor::{Cursor, Value};
use tickline_feeds::payload::{Decimals, reserved};

/// Wall time at 0 ms: 2026-08-03T12:30:00Z.
pub(crate) const BASE_MS: i64 = 1_785_760_200_000;
const MILLI_NS: i64 = 1_000_000;
const LINK: Link = Link(0);

/// One payload.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) tie: u32,
    pub(crate) recv_ns: i64,
    pub(crate) payload: Vec<u8>,
    /// Without the keys of every payload.
    pub(crate) body: Json,
}

impl Message {
    pub(crate) fn is_event(&self) -> bool {
        self.body.get("_event").is_some()
    }

    pub(crate) fn is_image(&self) -> bool {
        self.body.get("_image").is_some()
    }

    /// The span of an event, ms from the start.
    pub(crate) fn span_ms(&self) -> Option<(i64, i64)> {
        let ms = |key: &str| Some(self.body.get(key)?.as_i64()?.div_euclid(MILLI_NS) - BASE_MS);
        Some((ms("from")?, ms("to")?))
    }
}

/// `kind: detail [from..to]` of an event, times in ms; `image ID` of a repeated image; else the body.
impl std::fmt::Display for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_image() {
            return write!(f, "image {}", self.body["mc"][0]["id"].as_str().unwrap());
        }
        if !self.is_event() {
            return write!(f, "{}", self.body);
        }
        let text = |key: &str| self.body[key].as_str().unwrap();
        write!(f, "{}: {}", text("_event"), text("detail"))?;
        self.span_ms().map_or(Ok(()), |(from, to)| write!(f, " [{from}..{to}]"))
    }
}

/// What the tests ask for, with a session that somebody else has got.
pub(crate) fn settings() -> Settings {
    let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
    Settings {
        address: "stream.test:443".into(),
        login_url: "https://cert.test".into(),
        keep_alive_url: "https://sso.test".into(),
        app_key: Secret::new("KEY"),
        credentials: Credentials::Session(Secret::new("TOKEN")),
        keep_alive_ns: 3 * 3_600 * 1_000_000_000,
        topic: "betfair_stream".into(),
        subscription: Subscription::Markets(Markets {
            event_type_ids: list(&["7"]),
            country_codes: list(&["GB"]),
            market_types: list(&["WIN"]),
            market_ids: vec![],
            fields: list(&["EX_ALL_OFFERS", "EX_MARKET_DEF"]),
            ladder_levels: 3,
        }),
        conflate_ms: 0,
        heartbeat_ms: 5_000,
        on_refused: OnRefused::Fail,
        seed: 7,
    }
}

/// The account's orders.
pub(crate) fn order_settings() -> Settings {
    Settings { topic: "betfair_orders".into(), subscription: Subscription::Orders, ..settings() }
}

/// A login with the client's certificate.
pub(crate) fn certificate_settings() -> Settings {
    let credentials =
        Credentials::Certificate { username: "me@x.test".into(), password: Secret::new("p&ss wörd") };
    Settings { credentials, ..settings() }
}

pub(crate) struct Play {
    pub(crate) stream: Stream,
    out: Outbox,
    /// Since the start.
    pub(crate) ms: u64,
    /// Wall time at the start.
    pub(crate) base_ms: i64,
    pub(crate) messages: Vec<Message>,
    /// Those of topic `instruments`.
    pub(crate) instruments: Vec<Json>,
    pub(crate) commands: Vec<Command>,
}

impl Play {
    /// A connector that was told to start.
    pub(crate) fn started(settings: Settings) -> Self {
        let mut play = Self {
            stream: Stream::new(settings),
            out: Outbox::new(Decimals::Text),
            ms: 0,
            base_ms: BASE_MS,
            messages: Vec::new(),
            instruments: Vec::new(),
            commands: Vec::new(),
        };
        play.on(Event::Start);
        play
    }

    /// One whose connection stands, whose requests were granted, and which has said so.
    pub(crate) fn subscribed(settings: Settings) -> Self {
        let mut play = Self::started(settings);
        play.connect();
        play.said();
        play
    }

    /// The venue takes whatever is asked on a new connection.
    pub(crate) fn connect(&mut self) {
        self.on(Event::Opened(LINK));
        self.line(r#"{"op":"connection","connectionId":"002-230915140112-174"}"#);
        self.grant();
        self.grant();
    }

    /// The last request is granted.
    pub(crate) fn grant(&mut self) {
        let id = self.sent()["id"].to_owned();
        self.line(&format!(
            r#"{{"op":"status","id":{id},"statusCode":"SUCCESS","connectionClosed":false,"connectionsAvailable":9}}"#
        ));
    }

    /// The last request is refused.
    pub(crate) fn refuse(&mut self, code: &str, closed: bool) {
        let id = self.sent()["id"].to_owned();
        self.line(&format!(
            r#"{{"op":"status","id":{id},"statusCode":"FAILURE","errorCode":"{code}","errorMessage":"no","connectionClosed":{closed}}}"#
        ));
    }

    /// The last line that was sent.
    pub(crate) fn sent(&self) -> Json {
        let sent = self.commands.iter().rev().find_map(|command| match command {
            Command::Send(_, text) => Some(text),
            _ => None,
        });
        serde_json::from_str(sent.expect("a line was sent")).unwrap()
    }

    pub(crate) fn on(&mut self, event: Event<'_>) {
        let wall = WallNanos((self.base_ms + self.ms as i64) * MILLI_NS);
        let now = Now { wall, mono: MonoNanos(self.ms * MILLI_NS as u64) };
        self.stream.on(event, now, &mut self.out);
        self.commands.extend(self.out.take_commands());
        let topics = self.out.topics().to_vec();
        let (queued, bytes) = self.out.payloads();
        for queued in queued {
            let payload = bytes[queued.from..queued.to].to_vec();
            let (head, _) = reserved(&payload).expect("begins with the reserved keys");
            let body = unpack(&payload);
            let topic = topics[usize::from(queued.topic.0)].to_owned();
            if topic == "instruments" {
                self.instruments.push(body);
                continue;
            }
            self.messages.push(Message { topic, tie: head.tie, recv_ns: head.times.recv.0, payload, body });
        }
        self.out.clear_payloads();
    }

    /// The connector's due time in ms, rounded up.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        self.stream.due().map(|due| due.0.div_ceil(MILLI_NS as u64))
    }

    /// Lets time pass up to `ms`; the connector is woken whenever it is due.
    pub(crate) fn until(&mut self, ms: u64) {
        while let Some(due) = self.due_ms().filter(|due| *due <= ms) {
            self.ms = self.ms.max(due);
            self.on(Event::Due);
        }
        self.ms = self.ms.max(ms);
    }

    pub(crate) fn line(&mut self, line: &str) {
        self.on(Event::Message(LINK, line.as_bytes()));
    }

    pub(crate) fn closed(&mut self, why: &str) {
        self.on(Event::Closed { link: LINK, status: None, why });
    }

    pub(crate) fn answer(&mut self, id: u32, status: Option<u16>, body: &str) {
        self.on(Event::Answer { id, status, body: body.as_bytes() });
    }

    /// Everything said since the last time: messages, then commands.
    pub(crate) fn said(&mut self) -> Vec<String> {
        let mut said: Vec<String> = self.messages.drain(..).map(|message| message.to_string()).collect();
        said.extend(self.commands.drain(..).map(|command| match command {
            Command::Send(_, text) => format!("send {text}"),
            other => format!("{other:?}").trim_end().to_owned(),
        }));
        said
    }

    /// The events since the last time.
    pub(crate) fn events(&mut self) -> Vec<String> {
        let messages = std::mem::take(&mut self.messages);
        messages.iter().filter(|message| message.is_event()).map(Message::to_string).collect()
    }
}

/// A payload without the keys of every payload.
pub(crate) fn unpack(payload: &[u8]) -> Json {
    let mut cursor = Cursor::new(payload);
    let mut body = read(&mut cursor);
    assert_eq!(cursor.left(), 0, "a payload is one map");
    let every = ["_v", "_src", "_seq", "_ts", "_recv", "_tie", "_due"];
    body.as_object_mut().expect("a map").retain(|key, _| !every.contains(&key.as_str()));
    body
}

fn read(cursor: &mut Cursor<'_>) -> Json {
    match cursor.value().unwrap() {
        Value::Nil => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Text(text) => std::str::from_utf8(text).unwrap().into(),
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
