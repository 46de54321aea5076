use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::clock::WallNanos;
use crate::payload::{PayloadWriter, Reserved, Times};

fn write(out: &mut PayloadWriter, value: &Json) {
    match value {
        Json::Null => out.nil(),
        Json::Bool(flag) => out.bool(*flag),
        Json::Number(number) => out.int(number.as_i64().unwrap()),
        Json::String(text) => out.text(text),
        Json::Array(items) => {
            out.array(items.len() as u32);
            items.iter().for_each(|item| write(out, item));
        }
        Json::Object(entries) => {
            out.map(entries.len() as u32);
            for (key, value) in entries {
                out.text(key);
                write(out, value);
            }
        }
    }
}

fn pack(value: &Json) -> Vec<u8> {
    let mut out = PayloadWriter::default();
    write(&mut out, value);
    out.bytes().to_vec()
}

/// As a program in another language reads it.
fn unpack(payload: &[u8]) -> Json {
    fn value(cursor: &mut Cursor<'_>) -> Json {
        match cursor.value().unwrap() {
            Value::Nil => Json::Null,
            Value::Bool(flag) => json!(flag),
            Value::Int(number) => json!(number),
            Value::Text(text) => json!(std::str::from_utf8(text).unwrap()),
            Value::Array(items) => (0..items).map(|_| value(cursor)).collect(),
            Value::Map(entries) => {
                let entry = |_| {
                    let key = String::from_utf8(cursor.key().unwrap().text.to_vec()).unwrap();
                    (key, value(cursor))
                };
                Json::Object((0..entries).map(entry).collect())
            }
            other => panic!("{other:?}"),
        }
    }
    let mut cursor = Cursor::new(payload);
    let read = value(&mut cursor);
    assert_eq!(cursor.left(), 0);
    read
}

fn ours(seq: u64) -> Vec<u8> {
    let times = Times { sent: WallNanos(5), recv: WallNanos(4), due: WallNanos(0) };
    let mut out = PayloadWriter::default();
    out.begin(&Reserved { src: 7, seq, times, tie: 3 }, 1);
    out.text("symbol");
    out.text("BTC/USD");
    out.bytes().to_vec()
}

#[test]
fn our_payloads_keep_everything_but_source_and_number_and_stay_readable_at_once() {
    let again = renumbered(&ours(9), 0xaabb_ccdd, u64::MAX / 4).unwrap();
    let (reserved, keys) = crate::payload::reserved(&again).unwrap();
    assert_eq!((reserved.src, reserved.seq, reserved.tie, keys), (0xaabb_ccdd, u64::MAX / 4, 3, 1));
    assert_eq!(renumbered(&again, 7, 9).unwrap(), ours(9));
    let marked = resent(&ours(9)).unwrap();
    let mut read = Envelope::default();
    let mut cursor = Cursor::new(&marked);
    let entries = cursor.wide_map().unwrap();
    assert_eq!((entries, read.read_ours(&mut cursor, entries)), (9, 2));
    assert_eq!(unpack(&marked)["_resend"], json!(true));
    assert_eq!(
        (unpack(&marked)["symbol"].clone(), unpack(&marked)["_seq"].clone()),
        (json!("BTC/USD"), json!(9))
    );
}

#[test]
fn a_bundle_is_changed_in_its_first_map_only() {
    let bundle = [b"\x92".to_vec(), ours(9), pack(&json!({"symbol": "ETH/USD"}))].concat();
    let again = unpack(&renumbered(&bundle, 1, 2).unwrap());
    assert_eq!((again[0]["_src"].clone(), again[0]["_seq"].clone()), (json!(1), json!(2)));
    let marked = unpack(&resent(&bundle).unwrap());
    assert_eq!(
        (marked[0]["_resend"].clone(), marked[1].clone()),
        (json!(true), json!({"symbol": "ETH/USD"}))
    );
}

#[test]
fn what_is_no_map_or_has_no_number_is_left_as_it_is() {
    for payload in [&b""[..], b"x", b"\x90", b"\x91\x01", b"\xde\xff\xff", b"\x81\xa1"] {
        assert_eq!((renumbered(payload, 1, 2), resent(payload)), (None, None));
    }
    for value in [json!({}), json!({"_src": 7}), json!({"_src": 7, "_seq": "9"}), json!({"_seq": -1})] {
        assert_eq!(renumbered(&pack(&value), 1, 2), None, "{value}");
    }
}

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Json::from),
        "[a-z]{0,40}".prop_map(Json::from),
        any::<bool>().prop_map(Json::from),
        Just(Json::Null),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-z_]{1,6}", inner, 0..4).prop_map(Json::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn any_numbered_map_is_read_as_before_with_another_source_and_number(
        mut keys in prop::collection::btree_map("[a-zA-Z]{1,6}", json_value(), 0..20),
        src in any::<u32>(), seq in 0..i64::MAX, at in 0..3_usize, in_bundle in any::<bool>(),
    ) {
        // They may stand in front, between the others, or at the end.
        let front = ["!", "a", "zzzzzzz"][at];
        keys.insert("_seq".to_owned(), json!(5));
        keys.insert(front.to_owned(), json!(1));
        let mut map = Json::from_iter(keys.clone());
        let wrap = |map: Json| if in_bundle { json!([map, {"b": 1}]) } else { map };
        let payload = pack(&wrap(map.clone()));
        map["_src"] = json!(src);
        map["_seq"] = json!(seq);
        prop_assert_eq!(unpack(&renumbered(&payload, src, seq as u64).unwrap()), wrap(map));
        let mut marked = Json::from_iter(keys);
        marked["_resend"] = json!(true);
        prop_assert_eq!(unpack(&resent(&payload).unwrap()), wrap(marked));
    }

    #[test]
    fn any_bytes_are_refused_or_rewritten_and_never_more(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for rewritten in [renumbered(&bytes, 1, 2), resent(&bytes)].into_iter().flatten() {
            prop_assert!(rewritten.len() <= bytes.len() + 40);
        }
    }
}
