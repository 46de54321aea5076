//! Msgpack as JSON, read with `rmp` alone.

use rmp::Marker;
use rmp::decode::{RmpRead, read_marker};
use serde_json::{Map, Value, json};

/// One payload.
pub(crate) fn unpack(bytes: &[u8]) -> Value {
    let mut rest = bytes;
    let found = value(&mut rest);
    assert!(rest.is_empty(), "{} bytes behind the payload", rest.len());
    found
}

fn value(rest: &mut &[u8]) -> Value {
    match read_marker(rest).unwrap() {
        Marker::FixPos(number) => json!(number),
        Marker::FixNeg(number) => json!(number),
        Marker::U8 => json!(rest.read_data_u8().unwrap()),
        Marker::U16 => json!(rest.read_data_u16().unwrap()),
        Marker::U32 => json!(rest.read_data_u32().unwrap()),
        Marker::U64 => json!(rest.read_data_u64().unwrap()),
        Marker::I64 => json!(rest.read_data_i64().unwrap()),
        Marker::Null => Value::Null,
        Marker::True => json!(true),
        Marker::False => json!(false),
        Marker::FixStr(bytes) => text(rest, usize::from(bytes)),
        Marker::Str8 => {
            let bytes = usize::from(rest.read_data_u8().unwrap());
            text(rest, bytes)
        }
        Marker::FixArray(items) => array(rest, u32::from(items)),
        Marker::Array16 => {
            let items = u32::from(rest.read_data_u16().unwrap());
            array(rest, items)
        }
        Marker::FixMap(keys) => map(rest, u32::from(keys)),
        Marker::Map16 => {
            let keys = u32::from(rest.read_data_u16().unwrap());
            map(rest, keys)
        }
        marker => panic!("{marker:?}"),
    }
}

fn text(rest: &mut &[u8], bytes: usize) -> Value {
    let (text, behind) = rest.split_at(bytes);
    *rest = behind;
    json!(std::str::from_utf8(text).unwrap())
}

fn array(rest: &mut &[u8], items: u32) -> Value {
    (0..items).map(|_| value(rest)).collect()
}

fn map(rest: &mut &[u8], keys: u32) -> Value {
    let mut found = Map::new();
    for _ in 0..keys {
        let Value::String(key) = value(rest) else { panic!("a key is a text") };
        let item = value(rest);
        assert!(found.insert(key, item).is_none(), "a key stands twice");
    }
    Value::Object(found)
}
