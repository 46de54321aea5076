//! Publishers in this process, and what a subscriber hears of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tickline::publish::Group;
use tickline_config::model::Config;
use tickline_feeds::clock::Clock;
use tickline_feeds::json::append_json;
use tickline_feeds::socket::{KERNEL_BUFFER_BYTES, subscriber};
use tickline_loadgen::clock::OsClock;

/// Longest wait for anything; it is reached only when a test fails.
pub(crate) const LIMIT_S: u64 = 120;

const WAIT_MS: i32 = 50;

/// A message of the bus.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) topic: String,
    pub(crate) payload: Value,
}

impl Heard {
    /// Kind of the event, or nothing.
    pub(crate) fn event(&self) -> Option<&str> {
        self.payload.get("_event").and_then(Value::as_str)
    }

    pub(crate) fn is_data(&self) -> bool {
        ["_event", "_hb", "_end"].iter().all(|key| self.payload.get(key).is_none())
    }

    /// Span of a hole, ns.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        Some((self.payload.get("from")?.as_i64()?, self.payload.get("to")?.as_i64()?))
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.payload[key].as_str().unwrap_or_default()
    }
}

/// Publishers that run, and a subscriber of all they say.
pub(crate) struct Bus {
    pub(crate) group: Group,
    socket: zmq::Socket,
    clock: Arc<dyn Clock>,
    pub(crate) heard: Vec<Heard>,
    /// Last number of each source and topic.
    last: BTreeMap<(String, u64), u64>,
    _context: zmq::Context,
}

impl Bus {
    /// Starts the publishers of a configuration; each binds a free port.
    pub(crate) fn start(toml: &str, authority: Option<&Path>) -> Self {
        let names = toml.lines().filter_map(|line| line.strip_prefix("[publishers.")?.strip_suffix(']'));
        let mut sets = Vec::new();
        for name in names {
            sets.push(format!("publishers.{name}.endpoint=\"tcp://127.0.0.1:*\""));
            sets.extend(authority.map(|path| format!("publishers.{name}.tls_ca={path:?}")));
        }
        Self::start_with(toml, &sets)
    }

    /// Starts them where the configuration says, the last on a free port.
    pub(crate) fn start_as_written(toml: &str) -> Self {
        let last = toml.lines().rev().find_map(|line| line.strip_prefix("[publishers.")?.strip_suffix(']'));
        let set = format!("publishers.{}.endpoint=\"tcp://127.0.0.1:*\"", last.expect("a publisher"));
        Self::start_with(toml, &[set])
    }

    fn start_with(toml: &str, sets: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("publishers.toml");
        std::fs::write(&file, toml).unwrap();
        let env = |name: &str| match name {
            "KRAKEN_KEY" => Some("simulated-key".to_owned()),
            "OANDA_TOKEN" => Some("simulated-token".to_owned()),
            "BETFAIR_APP_KEY" => Some("simulated-app-key".to_owned()),
            "BETFAIR_SESSION" => Some("simulated-session".to_owned()),
            "BETFAIR_PASSWORD" => Some("simulated-password".to_owned()),
            "WRONG_TOKEN" => Some("expired".to_owned()),
            "KRAKEN_SECRET" => Some("c2ltdWxhdGVkIHNlY3JldA==".to_owned()),
            _ => None,
        };
        let config = Config::load(&[file], sets, &env).unwrap_or_else(|error| panic!("{error}")).config;
        let clock: Arc<dyn Clock> = Arc::new(OsClock::start());
        let context = zmq::Context::new();
        let socket = subscriber(&context, 0, KERNEL_BUFFER_BYTES).unwrap();
        socket.set_subscribe(b"").unwrap();
        socket.set_rcvtimeo(WAIT_MS).unwrap();
        let group = Group::start(&config, &clock, Duration::from_secs(5), |_| true)
            .unwrap_or_else(|error| panic!("{error}"));
        for view in group.views() {
            socket.connect(&view.endpoints[0]).unwrap();
        }
        Self { group, socket, clock, heard: Vec::new(), last: BTreeMap::new(), _context: context }
    }

    /// Listens until something is so.
    pub(crate) fn until(&mut self, what: &str, mut is: impl FnMut(&[Heard]) -> bool) {
        let began = self.clock.mono();
        while !is(&self.heard) {
            let waited_s = self.clock.mono().since(began) / 1_000_000_000;
            let tail = &self.heard[self.heard.len().saturating_sub(5)..];
            assert!(
                waited_s < LIMIT_S,
                "not within {LIMIT_S} s: {what}; the last of {}: {tail:#?}",
                self.heard.len()
            );
            self.listen();
        }
    }

    /// Listens until something is so of the publishers themselves.
    pub(crate) fn until_now(&mut self, what: &str, mut is: impl FnMut(&Group) -> bool) {
        let began = self.clock.mono();
        while !is(&self.group) {
            let (waited_s, views) = (self.clock.mono().since(began) / 1_000_000_000, self.group.views());
            assert!(waited_s < LIMIT_S, "not within {LIMIT_S} s: {what}: {views:?}");
            self.listen();
        }
    }

    /// Waits a little for a message, and takes all that are there.
    fn listen(&mut self) {
        let mut flags = 0;
        loop {
            match self.socket.recv_multipart(flags) {
                Ok(parts) => self.hear(&parts),
                Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => return,
                Err(error) => panic!("{error}"),
            }
            flags = zmq::DONTWAIT;
        }
    }

    fn hear(&mut self, parts: &[Vec<u8>]) {
        let mut json = String::new();
        append_json(&parts[1], &mut json).unwrap();
        let payload: Value = serde_json::from_str(&json).unwrap();
        let topic = String::from_utf8(parts[0].clone()).unwrap();
        let (seq, src) = (payload["_seq"].as_u64().unwrap(), payload["_src"].as_u64().unwrap());
        let silent = payload.get("_hb").is_some() || payload.get("_end").is_some();
        if let Some(last) = self.last.insert((topic.clone(), src), seq) {
            assert_eq!(seq, last + u64::from(!silent), "numbers of {topic} have no hole on this machine");
        }
        self.heard.push(Heard { topic, payload });
    }

    /// Data of a topic.
    pub(crate) fn data<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a Value> {
        self.heard
            .iter()
            .filter(move |heard| heard.topic == topic && heard.is_data())
            .map(|heard| &heard.payload)
    }

    /// One count of a publisher.
    pub(crate) fn count(&self, publisher: &str, name: &str) -> u64 {
        let view = self.group.views().into_iter().find(|view| view.name == publisher).expect("the publisher");
        view.report().1.counts.get(name).copied().unwrap_or_default()
    }
}
