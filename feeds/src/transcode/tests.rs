use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use rmp::Marker;
use rmp::decode::bytes::Bytes;
use rmp::decode::{RmpRead, read_marker};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::payload::Decimals;

fn sent(json: &str, integers: &[IntegerKey]) -> Result<Vec<u8>, TranscodeError> {
    let mut out = PayloadWriter::default();
    transcode(json, integers, &mut out).map(|()| out.bytes().to_vec())
}

/// msgpack back to JSON through rmp's reader, for what the transcoder may write.
fn read(bytes: &mut Bytes<'_>) -> Value {
    let text = |bytes: &mut Bytes<'_>, len: usize| {
        let (text, rest) = bytes.remaining_slice().split_at(len);
        *bytes = Bytes::new(rest);
        Value::from(std::str::from_utf8(text).unwrap())
    };
    let array = |bytes: &mut Bytes<'_>, len| (0..len).map(|_| read(bytes)).collect();
    let map = |bytes: &mut Bytes<'_>, len| {
        (0..len).map(|_| (read(bytes).as_str().unwrap().to_owned(), read(bytes))).collect()
    };
    match read_marker(bytes).unwrap() {
        Marker::Null => Value::Null,
        Marker::True => true.into(),
        Marker::False => false.into(),
        Marker::FixPos(v) => v.into(),
        Marker::FixNeg(v) => v.into(),
        Marker::U8 => bytes.read_data_u8().unwrap().into(),
        Marker::U16 => bytes.read_data_u16().unwrap().into(),
        Marker::U32 => bytes.read_data_u32().unwrap().into(),
        Marker::U64 => bytes.read_data_u64().unwrap().into(),
        Marker::I8 => bytes.read_data_i8().unwrap().into(),
        Marker::I16 => bytes.read_data_i16().unwrap().into(),
        Marker::I32 => bytes.read_data_i32().unwrap().into(),
        Marker::I64 => bytes.read_data_i64().unwrap().into(),
        Marker::FixStr(len) => text(bytes, usize::from(len)),
        Marker::Str8 => {
            let len = bytes.read_data_u8().unwrap();
            text(bytes, usize::from(len))
        }
        Marker::Str16 => {
            let len = bytes.read_data_u16().unwrap();
            text(bytes, usize::from(len))
        }
        Marker::FixArray(len) => Value::Array(array(bytes, u16::from(len))),
        Marker::Array16 => {
            let len = bytes.read_data_u16().unwrap();
            Value::Array(array(bytes, len))
        }
        Marker::FixMap(len) => Value::Object(map(bytes, u16::from(len))),
        Marker::Map16 => {
            let len = bytes.read_data_u16().unwrap();
            Value::Object(map(bytes, len))
        }
        other => panic!("{other:?}"),
    }
}

fn read_all(bytes: &[u8]) -> Value {
    let mut rest = Bytes::new(bytes);
    let value = read(&mut rest);
    assert!(rest.remaining_slice().is_empty());
    value
}

/// The rule in other words, on serde_json's raw values: a number becomes its text.
fn oracle(raw: &RawValue) -> Value {
    let text = raw.get();
    match text.as_bytes()[0] {
        b'[' => serde_json::from_str::<Vec<&RawValue>>(text).unwrap().into_iter().map(oracle).collect(),
        b'{' => serde_json::from_str::<std::collections::BTreeMap<String, Box<RawValue>>>(text)
            .unwrap()
            .into_iter()
            .map(|(key, value)| (key, oracle(&value)))
            .collect(),
        b'-' | b'0'..=b'9' => text.into(),
        _ => serde_json::from_str(text).unwrap(),
    }
}

#[test]
fn numbers_keep_their_text_and_listed_keys_become_integers() {
    let json = r#"{"op":"mcm","pt":1785700001123,"status":503,"mc":[{"id":"1.2","tv":10.50,
        "rc":[{"id":11131804,"hc":0,"batb":[[0,2.68,20],[12,0,0]],"atb":[[2.70,1e2]],"ltp":-0.0}]}],"id":2}"#;
    let expected = json!({"op": "mcm", "pt": 1785700001123_u64, "status": 503, "id": 2, "mc": [{"id": "1.2",
        "tv": "10.50", "rc": [{"id": 11131804, "hc": "0", "batb": [[0, "2.68", "20"], [12, "0", "0"]],
        "atb": [["2.70", "1e2"]], "ltp": "-0.0"}]}]});
    assert_eq!(read_all(&sent(json, BETFAIR_INTEGERS).unwrap()), expected);
}

#[test]
fn rest_counts_and_level_stamps_are_integers() {
    let json = r#"{"t":[15234,48211],"asks":[["63401.3","0.1",1785641748]],"bids":[{"price":1.0,"qty":2}]}"#;
    let expected = json!({"t": [15234, 48211], "asks": [["63401.3", "0.1", 1785641748_u64]],
        "bids": [{"price": "1.0", "qty": "2"}]});
    assert_eq!(read_all(&sent(json, KRAKEN_INTEGERS).unwrap()), expected);
}

#[test]
fn a_listed_integer_may_be_negative_or_large_but_not_a_fraction() {
    let expected = json!([-5, u64::MAX, "18446744073709551616", "1.5", "1e3"]);
    let json = "{\"pt\":[-5,18446744073709551615,18446744073709551616,1.5,1e3]}";
    assert_eq!(read_all(&sent(json, BETFAIR_INTEGERS).unwrap())["pt"], expected);
}

#[test]
fn floats_are_written_on_request() {
    let mut out = PayloadWriter::new(Decimals::Float64);
    transcode("[1.5]", &[], &mut out).unwrap();
    assert_eq!(out.bytes(), b"\x91\xcb\x3f\xf8\0\0\0\0\0\0");
}

#[test]
fn large_containers_get_wide_markers() {
    let json = format!("[{}]", vec!["1"; 70_000].join(","));
    assert_eq!(sent(&json, &[]).unwrap()[..7], [0xdd, 0, 1, 0x11, 0x70, 0xa1, b'1']);
    let sixteen = format!("[{}]", vec!["[]"; 16].join(","));
    assert_eq!(sent(&sixteen, &[]).unwrap()[..4], [0xdc, 0, 16, 0x90]);
}

#[test]
fn what_is_no_json_is_refused_and_leaves_the_payload_as_it_was() {
    let bad = [
        "",
        "{",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "01",
        "1.",
        "-",
        "1e",
        "+1",
        "nul",
        "tru",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\n\"",
        "1 2",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "NaN",
    ];
    for json in bad {
        let mut out = PayloadWriter::default();
        out.nil();
        let refused = transcode(json, &[], &mut out);
        assert!(refused.is_err(), "{json}");
        assert!(serde_json::from_str::<Value>(json).is_err(), "{json}");
        assert_eq!(out.bytes(), [0xc0], "{json}");
    }
    let deep = format!("{}{}", "[".repeat(17), "]".repeat(17));
    assert_eq!(sent(&deep, &[]), Err(TranscodeError { rule: "nesting must not be deeper than 16", at: 16 }));
    assert_eq!(sent(&deep[1..33], &[]), Ok([&[0x91; 15][..], &[0x90]].concat()));
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 200, 30, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..30).prop_map(Value::Array),
            btree_map(any::<String>(), inner, 0..20).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_back_as_the_oracle_says(value in values(), pretty: bool) {
        let json = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let expected = oracle(&RawValue::from_string(json.clone()).unwrap());
        prop_assert_eq!(read_all(&sent(&json, &[]).unwrap()), expected);
    }

    #[test]
    fn any_text_is_taken_or_refused_as_serde_json_does(json in "[\\[\\]{}:,\"\\\\0-9.eE+\\-tu \\n]{0,12}") {
        prop_assert_eq!(sent(&json, &[]).is_ok(), serde_json::from_str::<&RawValue>(json.trim()).is_ok());
    }
}
