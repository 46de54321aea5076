//! What tests read of what was sent: msgpack through rmp's reader as JSON values, and a subscriber.

use rmp::Marker;
use rmp::decode::bytes::Bytes;
use rmp::decode::{RmpRead, read_marker};
use serde_json::Value;
use tickline_feeds::socket::{self, KERNEL_BUFFER_BYTES};

/// Longest wait of a subscriber, ms; only a broken publisher lets it pass.
const WAIT_MS: i32 = 20_000;

/// One whole msgpack value.
pub(crate) fn read(payload: &[u8]) -> Value {
    let mut rest = Bytes::new(payload);
    let value = value(&mut rest);
    assert!(rest.remaining_slice().is_empty());
    value
}

fn value(rest: &mut Bytes<'_>) -> Value {
    let text = |rest: &mut Bytes<'_>, len: usize| {
        let (text, after) = rest.remaining_slice().split_at(len);
        *rest = Bytes::new(after);
        Value::from(std::str::from_utf8(text).unwrap())
    };
    let array = |rest: &mut Bytes<'_>, len: u32| Value::Array((0..len).map(|_| value(rest)).collect());
    let map = |rest: &mut Bytes<'_>, len: u32| {
        Value::Object((0..len).map(|_| (value(rest).as_str().unwrap().to_owned(), value(rest))).collect())
    };
    match read_marker(rest).unwrap() {
        Marker::Null => Value::Null,
        Marker::True => true.into(),
        Marker::False => false.into(),
        Marker::FixPos(v) => v.into(),
        Marker::FixNeg(v) => v.into(),
        Marker::U8 => rest.read_data_u8().unwrap().into(),
        Marker::U16 => rest.read_data_u16().unwrap().into(),
        Marker::U32 => rest.read_data_u32().unwrap().into(),
        Marker::U64 => rest.read_data_u64().unwrap().into(),
        Marker::I64 => rest.read_data_i64().unwrap().into(),
        Marker::FixStr(len) => text(rest, usize::from(len)),
        Marker::Str8 => {
            let len = rest.read_data_u8().unwrap();
            text(rest, usize::from(len))
        }
        Marker::FixArray(len) => array(rest, u32::from(len)),
        Marker::Array16 => {
            let len = rest.read_data_u16().unwrap();
            array(rest, u32::from(len))
        }
        Marker::FixMap(len) => map(rest, u32::from(len)),
        Marker::Map16 => {
            let len = rest.read_data_u16().unwrap();
            map(rest, u32::from(len))
        }
        other => panic!("{other:?}"),
    }
}

/// A subscriber of everything at one endpoint.
pub(crate) struct Subscriber {
    socket: zmq::Socket,
}

impl Subscriber {
    pub(crate) fn connect(endpoint: &str, rcvhwm: i32) -> Self {
        let socket = socket::subscriber(&zmq::Context::new(), rcvhwm, KERNEL_BUFFER_BYTES).unwrap();
        socket.set_subscribe(b"").unwrap();
        socket.set_rcvtimeo(WAIT_MS).unwrap();
        socket.connect(endpoint).unwrap();
        Self { socket }
    }

    /// Topic and payload of the next message.
    pub(crate) fn next(&self) -> (String, Vec<u8>) {
        let mut parts = self.socket.recv_multipart(0).unwrap();
        let payload = parts.pop().unwrap();
        (String::from_utf8(parts.pop().unwrap()).unwrap(), payload)
    }

    /// All payloads up to the end, and the end.
    pub(crate) fn until_end(&self) -> (Vec<Vec<u8>>, Value) {
        let mut payloads = Vec::new();
        loop {
            let (_, payload) = self.next();
            if payload.starts_with(b"\x84\xa4_end") {
                return (payloads, read(&payload));
            }
            payloads.push(payload);
        }
    }
}
