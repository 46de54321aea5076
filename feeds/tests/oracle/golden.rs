//! Golden files: payloads packed by Python's msgpack, with the meaning and the lines that a second decoder,
//! written in Python from the wire description, gives them. See golden/make.py.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tickline_config::model::{
    Custom, CustomTime, CustomType, DecoderKind, Feed, FieldChoice, Format, TimeUnit,
};
use tickline_feeds::decoder::FrameClass;
use tickline_feeds::framing::split_single;

use crate::reading::{Field, Point, read};
use crate::rig::{RECEIVED_NS, Rig, custom_feed, feed};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Topic and payload.
type Message = (Vec<u8>, Vec<u8>);

/// One case: its meaning and its messages.
struct Case {
    name: String,
    meaning: Value,
    messages: Vec<Message>,
    lines: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().into_string().unwrap().strip_suffix(".json").map(str::to_owned)
        })
        .collect();
    names.sort();
    let read = |name: &str, suffix: &str| std::fs::read(folder().join(format!("{name}.{suffix}")));
    let case = |name: String| Case {
        meaning: serde_json::from_slice(&read(&name, "json").unwrap()).unwrap(),
        lines: read(&name, "lp").unwrap(),
        messages: read(&name, "msgpack")
            .map_or_else(|_| messages(&read(&name, "frames").unwrap()), |payload| vec![(vec![], payload)]),
        name,
    };
    names.into_iter().map(case).collect()
}

/// A `.frames` file: a msgpack array of messages, each an array of bin parts.
fn messages(mut file: &[u8]) -> Vec<Message> {
    use rmp::decode::{read_array_len, read_bin_len};
    let count = read_array_len(&mut file).unwrap();
    let mut message = |_| {
        let parts: Vec<&[u8]> = (0..read_array_len(&mut file).unwrap())
            .map(|_| {
                let bytes = read_bin_len(&mut file).unwrap() as usize;
                let (part, rest) = file.split_at(bytes);
                file = rest;
                part
            })
            .collect();
        let (topic, payload) = match parts.as_slice() {
            [single] => split_single(single).expect("a topic and a payload"),
            several => (several[0], several[1]),
        };
        (topic.to_vec(), payload.to_vec())
    };
    (0..count).map(&mut message).collect()
}

/// The payloads of all cases.
pub(crate) fn payloads() -> Vec<Vec<u8>> {
    let payloads = cases().into_iter().flat_map(|case| case.messages).map(|(_, payload)| payload);
    payloads.filter(|payload| payload.len() < 10_000).collect()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

fn feed_of(meaning: &Value) -> Feed {
    let decoder = DecoderKind::ALL.iter().find(|(name, _)| *name == meaning["decoder"]).unwrap().1;
    let fields = match &meaning["fields"] {
        Value::String(all) if all == "all" => FieldChoice::All,
        Value::String(_) => FieldChoice::Core,
        names => FieldChoice::List(strings(names).into_iter().map(str::to_owned).collect()),
    };
    let format = match meaning.get("format").and_then(Value::as_str) {
        None => Format::Msgpack,
        Some("x01") => Format::X01,
        Some(other) => {
            assert_eq!(other, "json");
            Format::Json
        }
    };
    let account = meaning.get("account").and_then(Value::as_str).map(str::to_owned);
    let Some(custom) = meaning.get("custom") else {
        return Feed { format, account, ..feed(decoder, fields) };
    };
    let path = |text: &str| text.split('.').map(str::to_owned).collect();
    let rows = |key: &str| custom[key].as_array().unwrap().iter().map(strings).collect::<Vec<_>>();
    let kind = |name: &str| match name {
        "float" => CustomType::Float,
        "int" => CustomType::Int,
        "bool" => CustomType::Bool,
        _ => CustomType::Str,
    };
    assert_eq!(custom["unit"], "ms");
    custom_feed(Custom {
        measurement: custom["measurement"].as_str().unwrap().into(),
        time: Some(CustomTime { path: path(custom["time"].as_str().unwrap()), unit: TimeUnit::Millis }),
        tags: rows("tags").iter().map(|row| (row[0].into(), path(row[1]))).collect(),
        fields: rows("fields").iter().map(|row| (row[0].into(), path(row[1]), kind(row[2]))).collect(),
    })
}

fn point(value: &Value) -> Point {
    let field = |value: &Value| {
        let pair = strings(value);
        match pair[0] {
            "float" => Field::Float(pair[1].parse().unwrap()),
            "int" => Field::Int(pair[1].parse().unwrap()),
            "bool" => Field::Bool(pair[1].parse().unwrap()),
            _ => Field::Text(pair[1].into()),
        }
    };
    let entries = |key: &str| value[key].as_object().unwrap().iter();
    Point {
        measurement: value["measurement"].as_str().unwrap().into(),
        tags: entries("tags").map(|(name, value)| (name.clone(), value.as_str().unwrap().into())).collect(),
        fields: entries("fields")
            .map(|(name, value)| (name.clone(), field(value)))
            .collect::<BTreeMap<_, _>>(),
        time: value["time"].as_i64().unwrap(),
    }
}

fn class(meaning: &Value) -> String {
    meaning.as_str().unwrap_or("points").to_owned()
}

fn class_of(found: FrameClass) -> String {
    match found {
        FrameClass::Points => "points".into(),
        FrameClass::Control => "control".into(),
        FrameClass::Undecodable(reason) => format!("undecodable:{}", reason.name()),
    }
}

/// What of a case comes out otherwise than it stands in its files.
fn differences(case: Case) -> Vec<String> {
    let Case { name, meaning, messages, lines } = case;
    assert_eq!(meaning["received_ns"], RECEIVED_NS, "{name}");
    let meanings = meaning["messages"].as_array().unwrap();
    assert_eq!(messages.len(), meanings.len(), "{name}");
    let mut rig = Rig::with_legacy(feed_of(&meaning), meaning.get("legacy_tick") == Some(&Value::Bool(true)));
    let (mut written, mut different) = (Vec::new(), Vec::new());
    for (at, ((topic, payload), meaning)) in messages.iter().zip(meanings).enumerate() {
        let (found, lines) = rig.lines_of(topic, payload);
        let expected: Vec<Point> = meaning.as_array().into_iter().flatten().map(point).collect();
        let (found, points) = (class_of(found), read(lines));
        if found != class(meaning) || points != expected {
            let wanted = class(meaning);
            different.push(format!("{name}, message {at}: {found} {points:#?}, not {wanted} {expected:#?}"));
        }
        written.extend_from_slice(lines);
    }
    if different.is_empty() && written != lines {
        let [written, lines] = [&written, &lines].map(|lines| String::from_utf8_lossy(lines));
        different.push(format!("{name}: lines\n{written}not\n{lines}"));
    }
    different
}

#[test]
fn every_golden_payload_means_to_us_what_it_means_to_the_python_decoder() {
    let cases = cases();
    assert!(cases.len() > 45, "found {} cases", cases.len());
    let different: Vec<String> = cases.into_iter().flat_map(differences).collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn make_py_writes_the_golden_files_byte_for_byte() {
    let python = std::env::var("TICKLINE_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_msgpack = Command::new(&python).args(["-c", "import msgpack"]).output();
    if !has_msgpack.is_ok_and(|run| run.status.success()) {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "{python}: must be able to import msgpack");
        println!("skipped: {python} cannot import msgpack (TICKLINE_PYTHON names another)");
        return;
    }
    let run =
        Command::new(&python).args(["-B", "make.py", "--check"]).current_dir(folder()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
