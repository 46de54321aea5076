//! One socket of an endpoint, SUB or PULL: its options, its topics, and the loop that empties it burst by burst. A message is
//! two parts `[topic][payload]` (further ones are counted) or one part `topic SP payload`; ZeroMQ matches
//! topics by prefix, so they are compared again here.

use tickline_config::model::{Engine, SocketKind};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::curve::{CurveError, KeyPair};
use tickline_feeds::frame::{Frame, PAYLOAD_KEPT_BYTES};
use tickline_feeds::framing::split_single;
use tickline_feeds::socket::{puller, subscriber};

use crate::channel::Block;
use crate::links::{self, Monitor};
use crate::stats::RxCounters;

/// Bytes after which a burst ends, so that a block stays small whatever the messages are.
pub const BURST_BYTES: usize = 256 * 1024;

const HEARTBEAT_MS: i32 = 2_000;
const HEARTBEAT_TIMEOUT_MS: i32 = 6_000;
const HANDSHAKE_MS: i32 = 5_000;
const RECONNECT_MS: i32 = 100;
const RECONNECT_MAX_MS: i32 = 5_000;
/// A receiver looks for orders and the end of the run this often when nothing comes.
const LOOK_EVERY_MS: i32 = 100;
/// ZMQ_MAXMSGSIZE in multiples of `message_bytes_max`: larger messages than that close the connection.
const LAST_GUARD: i64 = 16;

/// A topic, the feed it belongs to and the queue of that feed's encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRoute {
    /// Topic on the wire; none: every topic.
    pub topic: Option<String>,
    /// Feed.
    pub feed: u16,
    /// Position among the receiver's queues.
    pub queue: usize,
}

/// What is given when an endpoint is opened.
#[derive(Clone, Debug)]
pub struct SocketSpec {
    /// Endpoint to connect to.
    pub endpoint: String,
    /// Its position in the plan.
    pub at: u16,
    /// What of the publisher's messages it takes.
    pub kind: SocketKind,
    /// `message_bytes_max`
    pub message_bytes_max: usize,
    /// `burst_max`
    pub burst_max: usize,
    /// Our keys and the publisher's; none: not encrypted.
    pub curve: Option<(KeyPair, String)>,
    /// Topics.
    pub routes: Vec<TopicRoute>,
}

/// How a burst ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BurstEnd {
    /// The socket is empty.
    Empty,
    /// There may be more.
    More,
}

/// A subscriber socket with its topics.
pub struct Subscriber {
    socket: zmq::Socket,
    spec: SocketSpec,
    first: zmq::Message,
    payload: zmq::Message,
}

impl std::fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriber").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl Subscriber {
    /// Connects and subscribes. The monitor must outlive the socket.
    pub fn open(
        context: &zmq::Context,
        engine: &Engine,
        spec: SocketSpec,
    ) -> Result<(Self, Monitor), CurveError> {
        let rcvbuf = i32::try_from(engine.rcvbuf).unwrap_or(i32::MAX);
        let socket = match spec.kind {
            SocketKind::Sub => subscriber(context, engine.rcvhwm, rcvbuf)?,
            SocketKind::Pull => puller(context, engine.rcvhwm, rcvbuf)?,
        };
        socket.set_rcvtimeo(LOOK_EVERY_MS)?;
        socket.set_maxmsgsize(last_guard(spec.message_bytes_max))?;
        keep_alive(&socket)?;
        for route in spec.routes.iter().filter(|_| spec.kind == SocketKind::Sub) {
            socket.set_subscribe(prefix(route))?;
        }
        if let Some((own, server)) = &spec.curve {
            own.connect_to(&socket, server)?;
        }
        let at = usize::from(spec.at);
        socket.monitor(&links::address(at), links::EVENTS)?;
        let monitor = Monitor::open(context, at)?;
        socket.connect(&spec.endpoint)?;
        Ok((Self { socket, spec, first: zmq::Message::new(), payload: zmq::Message::new() }, monitor))
    }

    /// Position of its endpoint in the plan.
    pub fn at(&self) -> u16 {
        self.spec.at
    }

    /// Waits until there is a message, or `time` is over.
    pub fn wait(&self, time: std::time::Duration) -> Result<(), zmq::Error> {
        // Rounded up: a wait of 0 ms would spin until the time has come.
        let ms = i64::try_from(time.as_micros().div_ceil(1_000)).unwrap_or(i64::MAX);
        match self.socket.poll(zmq::POLLIN, ms) {
            Ok(_) | Err(zmq::Error::EINTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Its descriptor, which becomes readable when something may have come.
    pub fn fd(&self) -> Result<std::os::fd::RawFd, zmq::Error> {
        self.socket.get_fd()
    }

    /// Changes the topics. Those that stay are not touched, so that nothing of them is lost.
    pub fn set_routes(&mut self, routes: Vec<TopicRoute>) -> Result<(), zmq::Error> {
        let old = std::mem::replace(&mut self.spec.routes, routes);
        if self.spec.kind == SocketKind::Pull {
            return Ok(());
        }
        let has = |routes: &[TopicRoute], wanted: &TopicRoute| routes.iter().any(|r| r.topic == wanted.topic);
        for route in self.spec.routes.iter().filter(|route| !has(&old, route)) {
            self.socket.set_subscribe(prefix(route))?;
        }
        for route in old.iter().filter(|route| !has(&self.spec.routes, route)) {
            self.socket.set_unsubscribe(prefix(route))?;
        }
        Ok(())
    }

    /// Takes one burst into the blocks of the queues. With `wait` the first message is waited for; the others
    /// are taken only while they are there.
    pub fn burst(
        &mut self,
        wait: bool,
        blocks: &mut [Box<Block>],
        counters: &mut RxCounters,
    ) -> Result<BurstEnd, zmq::Error> {
        let mut bytes = 0;
        for taken in 0..self.spec.burst_max {
            let flags = if wait && taken == 0 { 0 } else { zmq::DONTWAIT };
            match self.socket.recv(&mut self.first, flags) {
                Ok(()) => bytes += self.take_message(blocks, counters)?,
                Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => return Ok(BurstEnd::Empty),
                Err(error) => return Err(error),
            }
            if bytes >= BURST_BYTES {
                break;
            }
        }
        Ok(BurstEnd::More)
    }

    /// Takes the rest of the message whose first part has come, and returns its bytes.
    fn take_message(
        &mut self,
        blocks: &mut [Box<Block>],
        counters: &mut RxCounters,
    ) -> Result<usize, zmq::Error> {
        // The parts of a message arrive together: behind the first one, none is waited for.
        let (topic, payload) = if self.first.get_more() {
            self.socket.recv(&mut self.payload, 0)?;
            let mut more = self.payload.get_more();
            while more {
                let mut further = zmq::Message::new();
                self.socket.recv(&mut further, 0)?;
                counters.further_parts += 1;
                more = further.get_more();
            }
            (&*self.first, &*self.payload)
        } else {
            match split_single(&self.first) {
                Some(parts) => parts,
                None => {
                    counters.foreign += 1;
                    return Ok(self.first.len());
                }
            }
        };
        let Some(route) = find(&self.spec.routes, topic) else {
            counters.foreign += 1;
            return Ok(payload.len());
        };
        let Some(block) = blocks.get_mut(route.queue) else { return Ok(0) };
        let oversized = payload.len() > self.spec.message_bytes_max;
        let kept = if oversized { payload.get(..PAYLOAD_KEPT_BYTES).unwrap_or(payload) } else { payload };
        let feed = counters.feed(route.feed);
        feed.received += 1;
        feed.bytes += payload.len() as u64;
        // The receive time is stamped once a burst.
        let (feed, endpoint, recv) = (route.feed, self.spec.at, WallNanos(0));
        block.frames.push(&Frame { feed, endpoint, recv, topic, payload: kept, oversized });
        Ok(payload.len())
    }
}

/// Notices peers that are gone, and comes back to them.
pub(crate) fn keep_alive(socket: &zmq::Socket) -> Result<(), zmq::Error> {
    socket.set_heartbeat_ivl(HEARTBEAT_MS)?;
    socket.set_heartbeat_timeout(HEARTBEAT_TIMEOUT_MS)?;
    socket.set_heartbeat_ttl(HEARTBEAT_TIMEOUT_MS)?;
    socket.set_handshake_ivl(HANDSHAKE_MS)?;
    socket.set_reconnect_ivl(RECONNECT_MS)?;
    socket.set_reconnect_ivl_max(RECONNECT_MAX_MS)
}

/// ZMQ_MAXMSGSIZE of a socket that is to take messages of up to `message_bytes_max`.
pub(crate) fn last_guard(message_bytes_max: usize) -> i64 {
    i64::try_from(message_bytes_max).unwrap_or(i64::MAX).saturating_mul(LAST_GUARD)
}

fn prefix(route: &TopicRoute) -> &[u8] {
    route.topic.as_deref().unwrap_or_default().as_bytes()
}

/// The route of a topic: its own, else that of every topic.
pub fn find<'a>(routes: &'a [TopicRoute], topic: &[u8]) -> Option<&'a TopicRoute> {
    let exact = |route: &&TopicRoute| route.topic.as_deref().is_some_and(|t| t.as_bytes() == topic);
    routes.iter().find(exact).or_else(|| routes.iter().find(|route| route.topic.is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(topic: Option<&str>, feed: u16) -> TopicRoute {
        TopicRoute { topic: topic.map(str::to_owned), feed, queue: 0 }
    }

    #[test]
    fn a_topic_is_matched_whole_and_every_topic_only_if_none_fits() {
        let routes = [route(Some("oanda"), 1), route(None, 2), route(Some("oanda_tick"), 3)];
        assert_eq!(find(&routes, b"oanda_tick").map(|r| r.feed), Some(3));
        assert_eq!(find(&routes, b"oanda").map(|r| r.feed), Some(1));
        assert_eq!(find(&routes, b"oanda_orders").map(|r| r.feed), Some(2));
        assert_eq!(find(&routes[..1], b"oanda_tick"), None);
    }
}
