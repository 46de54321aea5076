//! The publisher kit: one socket, any number of topics, and what makes a stream countable: numbers, heartbeats, ends
//! and events. It promises that a message that was taken has the next number of its topic and that a slow subscriber
//! loses only its own messages, which it sees by the numbers. It refuses threads and clocks: time is an argument.

use crate::clock::{MonoNanos, WallNanos};
use crate::connect::{Now, Outbox, Queued, TopicId};
use crate::payload::{self, ControlKey, Decimals, PayloadWriter, RESERVED_BYTES, append_to_bundle};
use crate::socket;

/// A topic without messages for this long says that its publisher lives, ns.
pub const HEARTBEAT_NS: u64 = 1_000_000_000;

/// Messages that may wait for one subscriber before it loses some.
pub const SNDHWM: i32 = 100_000;

/// How topic and payload stand in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Two parts.
    #[default]
    Multipart,
    /// One part, `topic SP payload`.
    Single,
}

/// What a publisher is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// `_src`: this start of this publisher, random.
    pub src: u32,
    /// High-water mark, messages a subscriber.
    pub sndhwm: i32,
    /// How long a close waits for what is still queued, ms.
    pub linger_ms: i32,
    /// Parts of a message.
    pub framing: Framing,
    /// Most payloads of a topic that are joined into one message when they wait together.
    pub bundle_max: usize,
}

impl Options {
    /// The usual: two parts, no bundles.
    pub const fn new(src: u32) -> Self {
        Self { src, sndhwm: SNDHWM, linger_ms: 1_000, framing: Framing::Multipart, bundle_max: 1 }
    }
}

/// What a publisher has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Numbered messages.
    pub messages: u64,
    /// Payloads in them: more where they are bundled.
    pub payloads: u64,
    /// Bytes of payloads.
    pub bytes: u64,
    /// Heartbeats.
    pub heartbeats: u64,
    /// Times that somebody subscribed.
    pub joined: u64,
}

#[derive(Clone, Debug)]
struct Topic {
    name: String,
    seq: u64,
    last: MonoNanos,
}

/// A publisher.
pub struct Publisher {
    socket: zmq::Socket,
    options: Options,
    topics: Vec<Topic>,
    sent: Sent,
    /// A message that must be put together first.
    joined: Vec<u8>,
    single: Vec<u8>,
    outbox: Option<Box<Outbox>>,
    control: PayloadWriter,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher")
            .field("topics", &self.topics)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

impl Publisher {
    /// A publisher without endpoint.
    pub fn new(context: &zmq::Context, options: Options) -> Result<Self, zmq::Error> {
        Ok(Self {
            socket: socket::fan_out(context, options.sndhwm, options.linger_ms)?,
            options,
            topics: Vec::new(),
            sent: Sent::default(),
            joined: Vec::new(),
            single: Vec::new(),
            outbox: Some(Box::new(Outbox::new(Decimals::Text))),
            control: PayloadWriter::default(),
        })
    }

    /// Binds one more endpoint and returns where it is bound: `tcp://127.0.0.1:*` takes a free port.
    pub fn bind(&mut self, endpoint: &str) -> Result<String, zmq::Error> {
        self.socket.bind(endpoint)?;
        Ok(self.socket.get_last_endpoint()?.unwrap_or_else(|_| endpoint.to_owned()))
    }

    /// The socket, for keys of CURVE before it is bound and for its descriptor.
    pub fn socket(&self) -> &zmq::Socket {
        &self.socket
    }

    /// What was done so far.
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// Number of the last message of a topic.
    pub fn last_seq(&self, topic: TopicId) -> u64 {
        self.topics.get(usize::from(topic.0)).map_or(0, |topic| topic.seq)
    }

    /// The topic of that name, for [`Publisher::publish`].
    pub fn topic(&mut self, name: &str, now: Now) -> TopicId {
        let mut outbox = self.outbox.take().unwrap_or_default();
        let id = outbox.topic(name);
        self.know(&outbox, now);
        self.outbox = Some(outbox);
        id
    }

    /// Publishes one map of `keys` keys that `body` writes.
    pub fn publish(
        &mut self,
        topic: TopicId,
        now: Now,
        keys: u16,
        body: impl FnOnce(&mut PayloadWriter),
    ) -> Result<(), zmq::Error> {
        let mut outbox = self.outbox.take().unwrap_or_default();
        outbox.map(topic, now.wall, 0, keys, body);
        let sent = self.send(&mut outbox, now);
        self.outbox = Some(outbox);
        sent
    }

    /// Publishes a finished payload as it is, without number: its loss cannot be seen.
    pub fn publish_raw(&mut self, topic: TopicId, payload: &[u8]) -> Result<(), zmq::Error> {
        self.sent.bytes += payload.len() as u64;
        let Some(topic) = self.topics.get(usize::from(topic.0)) else { return Ok(()) };
        transfer(&self.socket, self.options.framing, &topic.name, payload, &mut self.single)
    }

    /// Publishes every payload of the outbox and empties it.
    pub fn send(&mut self, outbox: &mut Outbox, now: Now) -> Result<(), zmq::Error> {
        if outbox.topics().len() > self.topics.len() {
            self.know(outbox, now);
        }
        let (queued, bytes) = outbox.payloads();
        let mut rest = queued;
        while let Some(first) = rest.first() {
            // What a reserved key speaks of a map holds for its whole message: an event or an image goes alone.
            let is_plain = |queued: &Queued| bytes.get(queued.from + RESERVED_BYTES + 1) != Some(&b'_');
            let most = if is_plain(first) { self.options.bundle_max.max(1) } else { 1 };
            let fits = |queued: &&Queued| queued.topic == first.topic && (most == 1 || is_plain(queued));
            let same = rest.iter().take(most).take_while(fits).count();
            let (together, behind) = rest.split_at(same);
            rest = behind;
            let Some(topic) = self.topics.get_mut(usize::from(first.topic.0)) else { continue };
            topic.seq += 1;
            topic.last = now.mono;
            if let Some(payload) = bytes.get_mut(first.from..first.to) {
                payload::seal(payload, self.options.src, topic.seq, now.wall);
            }
            let mut payload = bytes.get(first.from..first.to).unwrap_or_default();
            if let [_, others @ ..] = together
                && !others.is_empty()
            {
                bundle(payload, others, bytes, &mut self.joined);
                payload = &self.joined;
            }
            self.sent.messages += 1;
            self.sent.payloads += together.len() as u64;
            self.sent.bytes += payload.len() as u64;
            transfer(&self.socket, self.options.framing, &topic.name, payload, &mut self.single)?;
        }
        outbox.clear_payloads();
        Ok(())
    }

    /// Gives the topics of an outbox their numbers.
    fn know(&mut self, outbox: &Outbox, now: Now) {
        for name in outbox.topics().iter().skip(self.topics.len()) {
            self.topics.push(Topic { name: name.to_owned(), seq: 0, last: now.mono });
        }
    }

    /// Says on each topic that has been silent for a second that the publisher lives, and when to ask again.
    pub fn beat(&mut self, now: Now) -> Result<MonoNanos, zmq::Error> {
        let mut next = now.after(HEARTBEAT_NS);
        for at in 0..self.topics.len() {
            let Some(topic) = self.topics.get_mut(at) else { break };
            if now.mono.since(topic.last) >= HEARTBEAT_NS {
                topic.last = now.mono;
                self.control(at, ControlKey::Heartbeat, now.wall)?;
                self.sent.heartbeats += 1;
            } else {
                next = next.min(MonoNanos(topic.last.0.saturating_add(HEARTBEAT_NS)));
            }
        }
        Ok(next)
    }

    /// Says on each topic that the publisher stops.
    pub fn end(&mut self, now: Now) -> Result<(), zmq::Error> {
        (0..self.topics.len()).try_for_each(|at| self.control(at, ControlKey::End, now.wall))
    }

    fn control(&mut self, at: usize, key: ControlKey, wall: WallNanos) -> Result<(), zmq::Error> {
        let Some(topic) = self.topics.get(at) else { return Ok(()) };
        self.control.clear();
        self.control.control(key, self.options.src, topic.seq, wall);
        transfer(&self.socket, self.options.framing, &topic.name, self.control.bytes(), &mut self.single)
    }

    /// Takes what subscribers have said since, and adds the topics that somebody joined.
    pub fn look(&mut self, joined: &mut Vec<TopicId>) -> Result<(), zmq::Error> {
        loop {
            let said = match self.socket.recv_bytes(zmq::DONTWAIT) {
                Ok(said) => said,
                Err(zmq::Error::EAGAIN) => return Ok(()),
                Err(zmq::Error::EINTR) => continue,
                Err(error) => return Err(error),
            };
            let Some((1, prefix)) = said.split_first() else { continue };
            self.sent.joined += 1;
            let ids = 0..u16::try_from(self.topics.len()).unwrap_or(u16::MAX);
            joined.extend(
                ids.zip(&self.topics)
                    .filter(|(_, t)| t.name.as_bytes().starts_with(prefix))
                    .map(|(id, _)| TopicId(id)),
            );
        }
    }
}

/// An array of the first payload, reserved keys and all, and of the others.
fn bundle(first: &[u8], others: &[Queued], bytes: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(0xdd);
    out.extend_from_slice(&(others.len() as u32 + 1).to_be_bytes());
    out.extend_from_slice(first);
    for other in others {
        append_to_bundle(bytes.get(other.from..other.to).unwrap_or_default(), out);
    }
}

fn transfer(
    socket: &zmq::Socket,
    framing: Framing,
    topic: &str,
    payload: &[u8],
    single: &mut Vec<u8>,
) -> Result<(), zmq::Error> {
    match framing {
        Framing::Multipart => {
            again(|| socket.send(topic.as_bytes(), zmq::SNDMORE))?;
            again(|| socket.send(payload, 0))
        }
        Framing::Single => {
            single.clear();
            single.extend_from_slice(topic.as_bytes());
            single.push(b' ');
            single.extend_from_slice(payload);
            again(|| socket.send(single.as_slice(), 0))
        }
    }
}

/// A signal is no reason to leave a message half sent.
fn again(mut send: impl FnMut() -> Result<(), zmq::Error>) -> Result<(), zmq::Error> {
    loop {
        match send() {
            Err(zmq::Error::EINTR) => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests;
