//! Generated flat records, and payloads as text: each line must be exactly the expected point, and a text must write
//! what the same values write as msgpack.

use proptest::prelude::*;
use serde_json::Value as Json;
use tickline_config::model::{DecoderKind, Feed, FieldChoice, Format};
use tickline_feeds::cursor::{Cursor, Value};
use tickline_feeds::decoder::FrameClass;
use tickline_feeds::payload::PayloadWriter;
use tickline_feeds::transcode::{RESERVED_INTEGERS, transcode};

use crate::expected::{Candidate, is_crossed};
use crate::generated::{Message, NOW, check, entry, float, head, integer, map, number, text, time};
use crate::golden;
use crate::reading::Field;
use crate::rig::{Rig, feed};
use crate::tree::Tree;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[A-Z]{1,6}", 1 => ".{0,8}", 1 => Just(String::new())]
}

fn synthetic(measurement: &'static str, keys: &'static [&'static str]) -> impl Strategy<Value = Message> {
    let time =
        prop_oneof![time(), (-1_000_i64..1_000).prop_map(|off| (Tree::Int(NOW + off), Some(NOW + off)))];
    (head(), [name(), name()], time, prop::collection::vec(number(), keys.len())).prop_flat_map(
        move |(head, [t0, t1], time, numbers)| {
            let value = |at: usize| numbers.get(at).and_then(|(_, value)| *value);
            let is_crossed = is_crossed(value(0), value(1)) || is_crossed(value(2), value(3));
            let candidate = Candidate {
                measurement,
                usable: !t0.is_empty() && !t1.is_empty(),
                tags: vec![
                    ("instrument", "KR_EURUSD".into()),
                    ("instrument_t0", t0.clone()),
                    ("instrument_t1", t1.clone()),
                ],
                fields: keys.iter().zip(&numbers).map(|(key, (_, value))| (*key, float(*value))).collect(),
                time: time.1,
                unit_ns: 1_000,
                flags: if is_crossed { 32 } else { 0 },
                own_ordinal: None,
            };
            let mut entries = head.entries();
            entries.extend([
                text("instrument_t0", &t0),
                text("instrument_t1", &t1),
                entry("timestamp", &time.0),
            ]);
            entries.extend(keys.iter().zip(&numbers).map(|(key, (tree, _))| entry(key, tree)));
            (map(entries), Just(head), Just(vec![candidate]))
        },
    )
}

const PRICES: &[&str] = &["bid_t0", "ask_t0", "bid_t1", "ask_t1", "spread", "spread_t_bid", "spread_t_ask"];
const PRICES_AND_VOLUMES: &[&str] = &[
    "bid_t0",
    "ask_t0",
    "bid_t1",
    "ask_t1",
    "spread",
    "spread_t_bid",
    "spread_t_ask",
    "bid_volume_t0",
    "ask_volume_t0",
    "bid_volume_t1",
    "ask_volume_t1",
];

fn post() -> impl Strategy<Value = Message> {
    let numbers = prop::collection::vec(number(), 4);
    (
        head(),
        [name(), name(), name(), name()],
        numbers,
        [integer(), integer()],
        ".{0,12}",
        -100_000_i64..1_000,
    )
        .prop_flat_map(|(head, tags, numbers, [length, followers], author, off)| {
            let names = ["country", "lang", "source", "topic"];
            let ms = NOW / 1_000_000 + off;
            let stored = author.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect();
            let keys = ["sentiment_score", "pos", "neg", "neu"];
            let mut candidate = Candidate {
                measurement: "twitter_sentiment",
                tags: names.iter().copied().zip(tags.clone()).collect(),
                usable: true,
                fields: keys.iter().zip(&numbers).map(|(key, (_, value))| (*key, float(*value))).collect(),
                time: Some(ms * 1_000_000),
                unit_ns: 1_000_000,
                flags: 0,
                own_ordinal: None,
            };
            candidate.fields.extend([
                ("text_length", length.1.map(Field::Int)),
                ("followers", followers.1.map(Field::Int)),
                ("author", Some(Field::Text(stored))),
            ]);
            let mut entries = head.entries();
            entries.extend(names.iter().zip(&tags).map(|(name, value)| text(name, value)));
            entries.extend(keys.iter().zip(&numbers).map(|(key, (tree, _))| entry(key, tree)));
            entries.extend([entry("text_length", &length.0), entry("followers", &followers.0)]);
            entries.extend([text("author", &author), text("id", "7"), ("ts_ms".into(), Tree::Int(ms))]);
            (map(entries), Just(head), Just(vec![candidate]))
        })
}

fn definition() -> impl Strategy<Value = Message> {
    (head(), [name(), name()], time(), [number(), number()], integer(), "[a-z_]{0,9}").prop_flat_map(
        |(head, [exchange, instrument], time, [price, qty], precision, status)| {
            let candidate = Candidate {
                measurement: "instrument",
                tags: vec![("exchange", exchange.clone()), ("instrument", instrument.clone())],
                usable: !instrument.is_empty(),
                fields: vec![
                    ("price_increment", float(price.1)),
                    ("qty_increment", float(qty.1)),
                    ("price_precision", precision.1.map(Field::Int)),
                    ("status", Some(Field::Text(status.clone()))),
                    ("valid_from", time.1.map(Field::Int)),
                ],
                time: time.1,
                unit_ns: 1,
                flags: 0,
                own_ordinal: None,
            };
            let mut entries = head.entries();
            entries.extend([
                text("exchange", &exchange),
                text("instrument", &instrument),
                text("status", &status),
            ]);
            entries.extend([entry("timestamp", &time.0), entry("price_increment", &price.0)]);
            entries.extend([entry("qty_increment", &qty.0), entry("price_precision", &precision.0)]);
            entries.push(("valid_from".into(), Tree::Int(5)));
            (map(entries), Just(head), Just(vec![candidate]))
        },
    )
}

fn text_rig(decoder: DecoderKind, format: Format) -> Rig {
    Rig::new(Feed { format, ..feed(decoder, FieldChoice::All) })
}

/// What the fields stand for, by the predecessor's description; `-` for what is not kept.
fn x01_keys(decoder: DecoderKind, fields: usize) -> Vec<String> {
    let names = match (decoder, fields) {
        (DecoderKind::OandaTick, 3) => "time bid ask".to_owned(),
        (DecoderKind::OandaTick, _) => "instrument time bid ask".to_owned(),
        (DecoderKind::KrakenEurusdTick, _) => {
            "instrument_t0 bid_t0 ask_t0 instrument_t1 bid_t1 ask_t1 spread spread_t_bid spread_t_ask"
                .to_owned()
        }
        _ => {
            let leg = "instrument_ bid_ ask_ - bid_volume_ - ask_volume_";
            let legs = [leg.replace("_ ", "_t0 ") + "t0", leg.replace("_ ", "_t1 ") + "t1"];
            legs.join(" ") + " spread spread_t_bid spread_t_ask"
        }
    };
    names.split(' ').map(str::to_owned).collect()
}

/// The bytes of any `FIELD` but the separator.
const ANY_FIELD: &str =
    "([0-9]{1,4}(\\.[0-9]{1,5})?|2026-08-02T03:36:0[0-9]\\.[0-9]{6}Z|[A-Z]{3}_[A-Z]{3}|[^\u{1}]{0,6})";

fn lines(rig: &mut Rig, payload: &[u8]) -> (FrameClass, String) {
    let (class, lines) = rig.lines_of(b"EUR_USD", payload);
    (class, String::from_utf8(lines.to_vec()).unwrap())
}

proptest! {
    #[test]
    fn generated_synthetic_prices_are_read_back_as_sent(message in synthetic("synthetic", PRICES)) {
        check(Rig::of(DecoderKind::KrakenEurusdTick), message)?;
    }

    #[test]
    fn generated_synthetic_depths_are_read_back_as_sent(message in synthetic("synthetic_depth", PRICES_AND_VOLUMES)) {
        check(Rig::of(DecoderKind::KrakenEurusdDepth), message)?;
    }

    #[test]
    fn generated_posts_are_read_back_as_sent(message in post()) {
        check(Rig::of(DecoderKind::TwitterSentiment), message)?;
    }

    #[test]
    fn generated_definitions_are_read_back_as_sent(message in definition()) {
        check(Rig::of(DecoderKind::Instruments), message)?;
    }

    #[test]
    fn fields_with_x01_between_them_write_what_their_map_writes(
        decoder in prop::sample::select(vec![
            (DecoderKind::OandaTick, 3), (DecoderKind::OandaTick, 4), (DecoderKind::KrakenEurusdTick, 9),
            (DecoderKind::KrakenEurusdDepth, 17),
        ]),
        fields in prop::collection::vec(ANY_FIELD, 17),
    ) {
        let (decoder, count) = decoder;
        let payload = fields[..count].join("\u{1}");
        let mut entries: Vec<(String, Tree)> = x01_keys(decoder, count).into_iter().zip(&fields)
            .filter(|(key, _)| key != "-").map(|(key, field)| (key, Tree::Text(field.clone()))).collect();
        if count == 3 {
            entries.push(text("instrument", "EUR_USD"));
        }
        let expected = lines(&mut Rig::of(decoder), &Tree::Map(entries).bytes());
        prop_assert_eq!(lines(&mut text_rig(decoder, Format::X01), payload.as_bytes()), expected);
        let more = format!("{payload}\u{1}");
        let (class, _) = lines(&mut text_rig(decoder, Format::X01), more.as_bytes());
        prop_assert_eq!(matches!(class, FrameClass::Undecodable(_)), count != 3);
    }
}

/// A payload as JSON, if it can be that.
fn json(cursor: &mut Cursor<'_>) -> Option<Json> {
    Some(match cursor.value().unwrap() {
        Value::Nil => Json::Null,
        Value::Bool(flag) => flag.into(),
        Value::Int(number) => number.into(),
        Value::Float(number) => serde_json::Number::from_f64(number)?.into(),
        Value::Text(text) => std::str::from_utf8(text).ok()?.into(),
        Value::Array(items) => (0..items).map(|_| json(cursor)).collect::<Option<Vec<Json>>>()?.into(),
        Value::Map(entries) => {
            let entry = |_| Some((json(cursor)?.as_str()?.to_owned(), json(cursor)?));
            Json::Object((0..entries).map(entry).collect::<Option<_>>()?)
        }
        Value::Big(_) | Value::Ext => return None,
    })
}

#[test]
fn golden_payloads_that_are_json_write_as_text_what_they_write_as_msgpack() {
    let mut compared = 0;
    for payload in golden::payloads() {
        if Cursor::check(&payload).is_err() {
            continue;
        }
        // A text would be JSON inside a string.
        let value = json(&mut Cursor::new(&payload)).filter(|value| !value.is_string());
        let Some(json) = value.map(|value| value.to_string()) else { continue };
        let mut writer = PayloadWriter::default();
        transcode(&json, RESERVED_INTEGERS, &mut writer).unwrap();
        for (name, decoder) in DecoderKind::ALL.iter().filter(|(_, kind)| *kind != DecoderKind::Custom) {
            let expected = lines(&mut Rig::of(*decoder), writer.bytes());
            let mut rig = text_rig(*decoder, Format::Json);
            assert_eq!(lines(&mut rig, json.as_bytes()), expected, "{name} {json}");
            let inside = serde_json::to_string(&json).unwrap();
            let mut rig = text_rig(*decoder, Format::Json);
            assert_eq!(lines(&mut rig, inside.as_bytes()), expected, "{name} {inside}");
            compared += usize::from(!expected.1.is_empty());
        }
    }
    assert!(compared > 100, "{compared}");
}
