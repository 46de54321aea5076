//! What a connector wants done, in a buffer that the caller owns and uses again: payloads to publish, written once and
//! in place, and commands for connections. It promises that payloads and commands keep their order; it refuses to
//! send: numbers and times of sending are put in by [`crate::publisher::Publisher`].

use crate::clock::WallNanos;
use crate::connect::Link;
use crate::payload::{Decimals, PayloadWriter, Reserved, Times};
use crate::transcode::{IntegerKey, TranscodeError, transcode_members};

/// A topic, by its position in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopicId(pub u16);

/// What a connection leads to.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// `ws://` or `wss://`, for text messages.
    WebSocket {
        /// Address.
        url: String,
    },
    /// A GET whose body is lines without end.
    Stream {
        /// Address with path and query.
        url: String,
        /// Names and values; may hold secrets.
        headers: Vec<(&'static str, String)>,
    },
    /// Lines over TCP, or TLS unless `plain`.
    Lines {
        /// Host and port.
        address: String,
        /// Without TLS.
        plain: bool,
    },
    /// ZeroMQ subscription.
    Bus {
        /// Endpoint to connect to.
        endpoint: String,
        /// Topics, each also as a prefix.
        topics: Vec<String>,
    },
    /// A local file, or standard input for `-`, line by line.
    File {
        /// Path.
        path: String,
    },
}

/// Headers may hold secrets.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::WebSocket { url } => write!(f, "{url}"),
            Target::Stream { url, .. } => write!(f, "{}", url.split('?').next().unwrap_or_default()),
            Target::Lines { address, .. } => write!(f, "{address}"),
            Target::Bus { endpoint, topics } => write!(f, "{endpoint} {}", topics.join(" ")),
            Target::File { path } => write!(f, "{path}"),
        }
    }
}

/// An HTTP request.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Address with path and query.
    pub url: String,
    /// Names and values; may hold secrets.
    pub headers: Vec<(&'static str, String)>,
    /// Body of a POST; none: a GET.
    pub body: Option<String>,
}

/// Headers and body may hold secrets.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.url.split('?').next().unwrap_or_default())
    }
}

/// What a connection or the publisher as a whole is to do.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// Connect; [`super::Event::Opened`] or `Closed` follows.
    Open(Link, Target),
    /// Send a text message, or a line, to which its end is added.
    Send(Link, String),
    /// Close; no event follows.
    Close(Link),
    /// Ask; [`super::Event::Answer`] with this number follows.
    Ask(u32, Request),
    /// How the publisher fares.
    State(State, String),
    /// Give up: wrong credentials, or a configuration that the venue refuses.
    Fail(String),
}

/// What is sent may hold secrets.
impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Command::Open(link, target) => write!(f, "open {} {target:?}", link.0),
            Command::Send(link, text) => write!(f, "send {} {} bytes", link.0, text.len()),
            Command::Close(link) => write!(f, "close {}", link.0),
            Command::Ask(id, request) => write!(f, "ask {id} {request:?}"),
            Command::State(state, why) => write!(f, "state {} {why}", state.name()),
            Command::Fail(why) => write!(f, "fail {why}"),
        }
    }
}

/// How a publisher fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// No data yet.
    #[default]
    Starting,
    /// Everything that was asked for comes.
    Ready,
    /// Something does not come.
    Degraded,
    /// It has ended.
    Stopped,
}

impl State {
    /// As a report names it.
    pub const fn name(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Ready => "ready",
            State::Degraded => "degraded",
            State::Stopped => "stopped",
        }
    }
}

/// What happened to a source, as the keys of an `_event` tell it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Note<'a> {
    /// One of `up down resync refused suspect clean maintenance gap`.
    pub kind: &'a str,
    /// Symbol, or `*`.
    pub scope: &'a str,
    /// First and last moment of a hole; none: the event alone.
    pub span: Option<(WallNanos, WallNanos)>,
    /// Messages missing, where it is known.
    pub lost: Option<u64>,
    /// For people; the first word `checksum` or `image` names the cause.
    pub detail: &'a str,
}

/// A payload that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Where to.
    pub topic: TopicId,
    /// Its bytes in [`Outbox::payloads`].
    pub from: usize,
    /// Behind them.
    pub to: usize,
}

/// Everything that follows from an event.
#[derive(Debug, Default)]
pub struct Outbox {
    topics: Vec<String>,
    writer: PayloadWriter,
    queued: Vec<Queued>,
    commands: Vec<Command>,
}

impl Outbox {
    /// An empty one.
    pub fn new(decimals: Decimals) -> Self {
        Self { writer: PayloadWriter::new(decimals), ..Self::default() }
    }

    /// The topic of that name, which is known from now on.
    pub fn topic(&mut self, name: &str) -> TopicId {
        let at = self.topics.iter().position(|known| known == name).unwrap_or_else(|| {
            self.topics.push(name.to_owned());
            self.topics.len() - 1
        });
        TopicId(u16::try_from(at).unwrap_or(u16::MAX))
    }

    /// Every topic, by position.
    pub fn topics(&self) -> &[String] {
        &self.topics
    }

    /// Queues one JSON object as it is. `recv`: when its bytes were read; `tie`: see `_tie`.
    pub fn json(
        &mut self,
        topic: TopicId,
        recv: WallNanos,
        tie: u32,
        json: &str,
        integers: &[IntegerKey],
    ) -> Result<(), TranscodeError> {
        let from = self.begin(recv, tie);
        match transcode_members(json, integers, &mut self.writer) {
            Ok(keys) => {
                self.finish(topic, from, keys);
                Ok(())
            }
            Err(error) => {
                self.writer.bytes_mut().truncate(from);
                Err(error)
            }
        }
    }

    /// Queues a map of `keys` keys that `body` writes.
    pub fn map(
        &mut self,
        topic: TopicId,
        recv: WallNanos,
        tie: u32,
        keys: u16,
        body: impl FnOnce(&mut PayloadWriter),
    ) {
        let from = self.begin(recv, tie);
        body(&mut self.writer);
        self.finish(topic, from, keys);
    }

    /// Queues an event on every topic.
    pub fn tell(&mut self, topics: &[TopicId], recv: WallNanos, note: &Note<'_>) {
        let Some((first, others)) = topics.split_first() else { return };
        self.event(*first, recv, note);
        others.iter().for_each(|topic| self.repeat(*topic));
    }

    /// Queues an event.
    pub fn event(&mut self, topic: TopicId, recv: WallNanos, note: &Note<'_>) {
        let keys = 3 + 2 * u16::from(note.span.is_some()) + u16::from(note.lost.is_some());
        self.map(topic, recv, 0, keys, |writer| {
            for (key, text) in [("_event", note.kind), ("scope", note.scope), ("detail", note.detail)] {
                writer.text(key);
                writer.text(text);
            }
            for (key, time) in note.span.map(|(from, to)| [("from", from), ("to", to)]).into_iter().flatten()
            {
                writer.text(key);
                writer.int(time.0);
            }
            if let Some(lost) = note.lost {
                writer.text("lost");
                writer.uint(lost);
            }
        });
    }

    /// Queues the last payload once more under another topic.
    pub fn repeat(&mut self, topic: TopicId) {
        if let Some(last) = self.queued.last().copied() {
            self.queued.push(Queued { topic, ..last });
        }
    }

    fn begin(&mut self, recv: WallNanos, tie: u32) -> usize {
        let from = self.writer.bytes().len();
        let times = Times { recv, ..Times::default() };
        self.writer.begin(&Reserved { tie, times, ..Reserved::default() }, 0);
        from
    }

    fn finish(&mut self, topic: TopicId, from: usize, keys: u16) {
        self.writer.set_keys(from, keys);
        self.queued.push(Queued { topic, from, to: self.writer.bytes().len() });
    }

    /// Asks for a connection.
    pub fn open(&mut self, link: Link, target: Target) {
        self.commands.push(Command::Open(link, target));
    }

    /// Sends a text message or a line.
    pub fn send(&mut self, link: Link, text: impl Into<String>) {
        self.commands.push(Command::Send(link, text.into()));
    }

    /// Closes a connection.
    pub fn close(&mut self, link: Link) {
        self.commands.push(Command::Close(link));
    }

    /// Sends a request; the answer carries `id`.
    pub fn ask(&mut self, id: u32, request: Request) {
        self.commands.push(Command::Ask(id, request));
    }

    /// Says how the publisher fares.
    pub fn state(&mut self, state: State, why: impl Into<String>) {
        self.commands.push(Command::State(state, why.into()));
    }

    /// Gives up.
    pub fn fail(&mut self, why: impl Into<String>) {
        self.commands.push(Command::Fail(why.into()));
    }

    /// The payloads that wait, in order, and the bytes in which they stand.
    pub fn payloads(&mut self) -> (&[Queued], &mut [u8]) {
        (&self.queued, self.writer.bytes_mut())
    }

    /// The next command.
    pub fn take_commands(&mut self) -> std::vec::Drain<'_, Command> {
        self.commands.drain(..)
    }

    /// Forgets the payloads and keeps their memory.
    pub fn clear_payloads(&mut self) {
        self.queued.clear();
        self.writer.clear();
    }
}
