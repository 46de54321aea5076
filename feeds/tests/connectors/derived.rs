//! What the tests of derived feeds have in common: messages of a source, and payloads as they are compared.

use serde_json::Value;
use tickline_feeds::clock::WallNanos;
use tickline_feeds::connect::{Connector, Event, Link};
use tickline_feeds::payload::{ControlKey, Decimals, PayloadWriter, Reserved, rfc3339};
use tickline_feeds::transcode::{KRAKEN_INTEGERS, transcode, transcode_members};

use crate::rig::{Done, Rig};

/// A payload of these members.
pub(crate) fn payload(json: &str) -> Vec<u8> {
    let mut writer = PayloadWriter::new(Decimals::Text);
    transcode(json, KRAKEN_INTEGERS, &mut writer).unwrap();
    writer.bytes().to_vec()
}

/// The same with reserved keys.
pub(crate) fn numbered(json: &str, src: u32, seq: u64) -> Vec<u8> {
    let mut writer = PayloadWriter::new(Decimals::Text);
    writer.begin(&Reserved { src, seq, ..Reserved::default() }, 0);
    let keys = transcode_members(json, KRAKEN_INTEGERS, &mut writer).unwrap();
    writer.set_keys(0, keys);
    writer.bytes().to_vec()
}

/// A heartbeat of `src`, whose last message was `last`.
pub(crate) fn heartbeat(src: u32, last: u64) -> Vec<u8> {
    let mut writer = PayloadWriter::new(Decimals::Text);
    writer.control(ControlKey::Heartbeat, src, last, WallNanos(1));
    writer.bytes().to_vec()
}

/// An event of the source.
pub(crate) fn event(kind: &str, scope: &str, span: Option<(i64, i64)>) -> Vec<u8> {
    let mut writer = PayloadWriter::default();
    writer.map(3 + 2 * u32::from(span.is_some()));
    for (key, text) in [("_event", kind), ("scope", scope), ("detail", "why")] {
        writer.text(key);
        writer.text(text);
    }
    for (key, time) in span.map(|(from, to)| [("from", from), ("to", to)]).into_iter().flatten() {
        writer.text(key);
        writer.int(time);
    }
    writer.bytes().to_vec()
}

/// A trade as the publisher of Kraken's trades sends it.
pub(crate) fn trade(symbol: &str, price: &str, qty: &str, time_ns: i64) -> String {
    let time = rfc3339(WallNanos(time_ns), 9);
    format!(
        r#"{{"symbol":"{symbol}","side":"buy","price":{price},"qty":{qty},"ord_type":"limit","trade_id":7,"timestamp":"{time}"}}"#
    )
}

/// One message of the source.
pub(crate) fn hear<C: Connector>(rig: &mut Rig<C>, payload: &[u8]) -> Done {
    rig.tell(Event::Message(Link(0), payload))
}

/// Payloads that are no events, without reserved keys.
pub(crate) fn plain(done: &Done) -> Vec<Value> {
    let data = done.data().into_iter().map(|payload| {
        let Value::Object(mut keys) = payload.clone() else { panic!("{payload}") };
        keys.retain(|key, _| !key.starts_with('_'));
        Value::Object(keys)
    });
    data.collect()
}

/// Text of a decimal as a number.
pub(crate) fn number(payload: &Value, key: &str) -> f64 {
    payload[key].as_str().unwrap_or_else(|| panic!("{key} of {payload}")).parse().unwrap()
}
