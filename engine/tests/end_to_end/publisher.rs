//! A publisher of one topic on a free port, and payloads written from JSON with or without reserved keys.

use tickline_feeds::payload::{PayloadWriter, Reserved, Times};
use tickline_feeds::socket::publisher;
use tickline_feeds::transcode::{
    BETFAIR_INTEGERS, IntegerKey, KRAKEN_INTEGERS, OANDA_INTEGERS, Place, transcode,
};

use crate::program::PATIENCE;

/// `_src` of every publisher here.
pub(crate) const SRC: u32 = 7;

/// A bound publisher that keeps what it has sent.
pub(crate) struct Publisher {
    socket: zmq::Socket,
    topic: String,
    pub(crate) endpoint: String,
    /// Number of the last numbered message.
    pub(crate) seq: u64,
    /// Every payload sent on its topic.
    pub(crate) sent: Vec<Vec<u8>>,
}

impl Publisher {
    pub(crate) fn bind(context: &zmq::Context, topic: &str) -> Self {
        let socket = publisher(context, 1_000_000, 0).unwrap();
        socket.set_rcvtimeo(PATIENCE.as_millis() as i32).unwrap();
        socket.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = socket.get_last_endpoint().unwrap().unwrap();
        Self { socket, topic: topic.to_owned(), endpoint, seq: 0, sent: Vec::new() }
    }

    /// Waits until someone has subscribed to the topic.
    pub(crate) fn wait_subscriber(&self) {
        self.wait_subscription(&self.topic);
    }

    /// Waits until someone has subscribed to that.
    pub(crate) fn wait_subscription(&self, prefix: &str) {
        let expected = [&[1], prefix.as_bytes()].concat();
        while self.socket.recv_bytes(0).expect("nobody subscribes") != expected {}
    }

    /// Waits until nobody subscribes to the topic any more.
    pub(crate) fn wait_gone(&self) {
        let expected = [&[0], self.topic.as_bytes()].concat();
        while self.socket.recv_bytes(0).expect("somebody is still there") != expected {}
    }

    /// Sends one payload as it is.
    pub(crate) fn send(&mut self, payload: Vec<u8>) {
        self.send_parts(&[self.topic.clone().as_bytes(), &payload]);
        self.sent.push(payload);
    }

    /// Sends any message.
    pub(crate) fn send_parts(&self, parts: &[&[u8]]) {
        self.socket.send_multipart(parts, 0).unwrap();
    }

    /// Sends a venue's message as our publishers do, with the next number.
    pub(crate) fn send_numbered(&mut self, json: &str, recv_ns: i64, tie: u32) {
        self.seq += 1;
        self.send(numbered(json, self.seq, recv_ns, tie));
    }
}

/// Integers of every venue, and `_tie`.
fn integers() -> Vec<IntegerKey> {
    let tie = IntegerKey { key: "_tie", place: Place::Any };
    [KRAKEN_INTEGERS, OANDA_INTEGERS, BETFAIR_INTEGERS, &[tie]].concat()
}

/// A venue's message without reserved keys.
pub(crate) fn plain(json: &str) -> Vec<u8> {
    let mut out = PayloadWriter::default();
    transcode(json, &integers(), &mut out).unwrap_or_else(|error| panic!("{error}: {json}"));
    out.bytes().to_vec()
}

/// A venue's message with them. `recv_ns` 0 is left out by the decoder.
pub(crate) fn numbered(json: &str, seq: u64, recv_ns: i64, tie: u32) -> Vec<u8> {
    let map = plain(json);
    let (keys, entries) = match map[0] {
        marker @ 0x80..=0x8f => (u16::from(marker & 0x0f), &map[1..]),
        0xde => (u16::from_be_bytes([map[1], map[2]]), &map[3..]),
        other => panic!("no map of at most 65535 keys: {other:#x}"),
    };
    let [recv, sent] = [recv_ns, recv_ns + 1_000].map(tickline_feeds::clock::WallNanos);
    let times = Times { sent, recv, ..Times::default() };
    let mut out = PayloadWriter::default();
    out.begin(&Reserved { src: SRC, seq, times, tie }, keys);
    out.raw(entries);
    out.bytes().to_vec()
}

/// Several messages in one.
pub(crate) fn bundle(maps: &[Vec<u8>]) -> Vec<u8> {
    let mut out = PayloadWriter::default();
    out.array(maps.len() as u32);
    maps.iter().for_each(|map| out.raw(map));
    out.bytes().to_vec()
}
