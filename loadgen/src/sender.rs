//! One publisher's socket: binds, waits for its subscriber, sends, and never drops a message silently. It refuses
//! to wait without an end: each wait returns soon enough to see a stop.

use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::{ControlKey, PayloadWriter};
use tickline_feeds::socket;

use crate::door::Door;
use crate::owner;

/// Longest wait inside libzmq, ms.
const WAIT_MS: i32 = 20;

/// How long messages may still wait for their subscriber after the end, ms.
const LINGER_MS: i32 = 5_000;

/// How often an end is tried against a full queue: 2 s in all.
const END_TRIES: usize = 100;

/// A bound publisher of one topic.
pub(crate) struct Sender {
    socket: zmq::Socket,
    topic: Vec<u8>,
    endpoint: String,
    src: u32,
    sent: u64,
    /// Prefixes of the topic that are subscribed to.
    subscriptions: Vec<Vec<u8>>,
    control: PayloadWriter,
}

/// What became of one attempt to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The queue has it.
    Taken,
    /// The queue is full.
    Full,
}

/// The endpoint cannot be bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{feed}: cannot bind {endpoint}: {error}{owner}")]
pub struct BindError {
    /// Feed that wanted it.
    pub feed: String,
    /// Endpoint as given.
    pub endpoint: String,
    /// What libzmq says.
    pub error: zmq::Error,
    /// Who has the port, where that can be seen.
    pub owner: String,
}

impl Sender {
    /// Binds. `tcp://127.0.0.1:*` takes a free port, which [`Sender::endpoint`] then names.
    pub(crate) fn bind(
        context: &zmq::Context,
        feed: &str,
        topic: &str,
        endpoint: &str,
        (src, sndhwm): (u32, i32),
        door: Option<&Door>,
    ) -> Result<Self, BindError> {
        let refused = |error: zmq::Error| BindError {
            feed: feed.to_owned(),
            endpoint: endpoint.to_owned(),
            error,
            owner: if error == zmq::Error::EADDRINUSE { owner::describe(endpoint) } else { String::new() },
        };
        let socket = socket::publisher(context, sndhwm, LINGER_MS).map_err(refused)?;
        socket.set_sndtimeo(WAIT_MS).map_err(refused)?;
        if let Some(door) = door {
            door.guard(&socket).map_err(refused)?;
        }
        socket.bind(endpoint).map_err(refused)?;
        let bound = socket.get_last_endpoint().map_err(refused)?.unwrap_or_else(|_| endpoint.to_owned());
        Ok(Self {
            socket,
            topic: topic.as_bytes().to_vec(),
            endpoint: bound,
            src,
            sent: 0,
            subscriptions: Vec::new(),
            control: PayloadWriter::default(),
        })
    }

    /// Where subscribers connect.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// `_src` of this publisher.
    pub(crate) fn src(&self) -> u32 {
        self.src
    }

    /// Number of the last message sent.
    pub(crate) fn last_seq(&self) -> u64 {
        self.sent
    }

    /// Waits a little for a subscription that covers the topic.
    pub(crate) fn subscriber_came(&mut self) -> Result<bool, zmq::Error> {
        if self.socket.poll(zmq::POLLIN, i64::from(WAIT_MS))? == 0 {
            return Ok(false);
        }
        self.look()
    }

    /// Waits a little for the last subscriber to go, and says whether there still is one.
    pub(crate) fn has_subscriber(&mut self) -> Result<bool, zmq::Error> {
        let wait_ms = if self.subscriptions.is_empty() { 0 } else { i64::from(WAIT_MS) };
        while self.socket.poll(zmq::POLLIN, wait_ms)? != 0 {
            self.look()?;
            if self.subscriptions.is_empty() {
                break;
            }
        }
        Ok(!self.subscriptions.is_empty())
    }

    /// Reads one word of a subscriber: true if it wants the topic from now on.
    fn look(&mut self) -> Result<bool, zmq::Error> {
        let message = self.socket.recv_bytes(zmq::DONTWAIT)?;
        let Some((kind, prefix)) = message.split_first().filter(|(_, prefix)| self.topic.starts_with(prefix))
        else {
            return Ok(false);
        };
        self.subscriptions.retain(|known| known != prefix);
        if *kind == 1 {
            self.subscriptions.push(prefix.to_vec());
        }
        Ok(*kind == 1)
    }

    /// Sends without waiting. `numbered`: the payload carries the number after [`Sender::last_seq`].
    pub(crate) fn send(&mut self, payload: &[u8], numbered: bool) -> Result<Attempt, zmq::Error> {
        self.transfer(payload, zmq::DONTWAIT, numbered)
    }

    /// Sends, and waits a little if the queue is full.
    pub(crate) fn send_patiently(&mut self, payload: &[u8], numbered: bool) -> Result<Attempt, zmq::Error> {
        self.transfer(payload, 0, numbered)
    }

    fn transfer(&mut self, payload: &[u8], flags: i32, numbered: bool) -> Result<Attempt, zmq::Error> {
        loop {
            match self.socket.send(self.topic.as_slice(), flags | zmq::SNDMORE) {
                Ok(()) => break,
                Err(zmq::Error::EAGAIN) => return Ok(Attempt::Full),
                Err(zmq::Error::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
        // libzmq counts whole messages against the mark: a queue that took the first part takes the second.
        loop {
            match self.socket.send(payload, 0) {
                Ok(()) => break,
                Err(zmq::Error::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
        self.sent += u64::from(numbered);
        Ok(Attempt::Taken)
    }

    /// Says that the publisher lives; left out if the queue is full.
    pub(crate) fn heartbeat(&mut self, now: WallNanos) -> Result<(), zmq::Error> {
        let control = self.control_message(ControlKey::Heartbeat, now);
        let sent = self.send(control.bytes(), false);
        self.control = control;
        sent.map(drop)
    }

    /// Says that the publisher stops; false if the queue stayed full.
    pub(crate) fn end(&mut self, now: WallNanos) -> Result<bool, zmq::Error> {
        let control = self.control_message(ControlKey::End, now);
        for _ in 0..END_TRIES {
            if self.send_patiently(control.bytes(), false)? == Attempt::Taken {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn control_message(&mut self, key: ControlKey, now: WallNanos) -> PayloadWriter {
        let mut control = std::mem::take(&mut self.control);
        control.clear();
        control.control(key, self.src, self.sent, now);
        control
    }
}
