//! Recorded Betfair files through the decoder and through the plain ladders, and recorded orders held against their
//! JSON. They lie outside the project: `TICKLINE_RECORDINGS` names their folder.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;

use tickline_config::model::{DecoderKind, Feed, FieldChoice, Format};
use tickline_feeds::decoder::FrameClass;
use tickline_feeds::payload::PayloadWriter;
use tickline_feeds::transcode::{BETFAIR_INTEGERS, IntegerKey, OANDA_INTEGERS, transcode};

use crate::betfair_ladders::Pair;
use crate::reading::{Field, Point};
use crate::rig::{Rig, feed};

fn recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("TICKLINE_RECORDINGS").map(PathBuf::from);
    if folder.is_none() {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "TICKLINE_RECORDINGS is not set");
        println!("skipped: TICKLINE_RECORDINGS not set");
    }
    folder
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

/// Gives every message of a file to both implementations; the first of each market that has no image is marked.
fn compare(path: &Path) -> Pair {
    let mut pair = Pair::new();
    let mut seen: Vec<String> = Vec::new();
    for line in read(path).lines().filter(|line| !line.trim().is_empty()) {
        let message: Value = serde_json::from_str(line).unwrap();
        if message["op"] != "mcm" {
            continue;
        }
        let changes = message["mc"].as_array().map_or(&[][..], Vec::as_slice);
        let of_image = message["ct"] == "SUB_IMAGE";
        let is_new = |change: &&Value| !seen.iter().any(|id| change["id"] == id.as_str());
        let new: Vec<&Value> = changes.iter().filter(is_new).collect();
        let first = !new.is_empty() && !of_image && new.iter().all(|change| change["img"] != true);
        seen.extend(new.iter().map(|change| change["id"].as_str().unwrap().to_owned()));
        pair.message(line, first);
    }
    pair
}

#[test]
fn every_message_of_the_flumine_files_leaves_both_ladders_alike() {
    let Some(folder) = recordings() else { return };
    for (name, messages) in [("1.200806927", 18_529), ("1.197931750", 166), ("BASIC-1.132153978", 480)] {
        let pair = compare(&folder.join(format!("betfair/flumine_{name}.jsonl.gz")));
        let counts = pair.rig.counts();
        assert_eq!((counts.frames, counts.undecodable_total()), (messages, 0), "{name}");
        assert_eq!((counts.timestamp_overflow, counts.bad_points), (0, 0), "{name}");
        assert!(pair.compared > 400, "{name}: {} points", pair.compared);
        println!("{name}: {messages} messages, {} runner points compared", pair.compared);
    }
}

#[test]
fn every_market_message_of_the_bflw_files_leaves_both_ladders_alike() {
    let Some(folder) = recordings() else { return };
    let entries = std::fs::read_dir(folder.join("betfair/bflw")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("streaming_mcm"));
    paths.sort();
    let compared: Vec<usize> = paths.iter().map(|path| compare(path).compared).collect();
    println!("{} files, runner points compared: {compared:?}", paths.len());
    assert!(paths.len() >= 7 && compared.iter().sum::<usize>() > 500, "{compared:?}");
}

/// What a decoder makes of a recorded message, as our publishers would send it and as JSON.
fn points_of(rigs: &mut [Rig; 2], json: &str, integers: &[IntegerKey]) -> (FrameClass, Vec<Point>) {
    let [packed, text] = rigs;
    let mut writer = PayloadWriter::default();
    transcode(json, integers, &mut writer).unwrap();
    let found = packed.points(writer.bytes());
    assert_eq!(text.points(json.as_bytes()), found, "{json}");
    found
}

fn rigs(decoder: DecoderKind) -> [Rig; 2] {
    [Format::Msgpack, Format::Json].map(|format| {
        let account = Some("main".to_owned());
        Rig::new(Feed { format, account, ..feed(decoder, FieldChoice::All) })
    })
}

/// A number or its digits as a field; none where there is none.
fn float(value: &Value) -> Option<Field> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).map(Field::Float)
}

/// Each field that must be there, and no other but the system's.
fn check_fields(point: &Point, expected: &[(&str, Option<Field>)]) {
    for (name, value) in expected {
        assert_eq!(point.fields.get(*name), value.as_ref(), "{name} of {point:?}");
    }
    let system = ["recv_ns", "flags"].iter().filter(|name| point.fields.contains_key(**name)).count();
    let there = expected.iter().filter(|(_, value)| value.is_some()).count();
    assert_eq!(point.fields.len(), there + system, "{point:?}");
}

#[test]
fn every_order_of_the_bflw_files_is_a_point_with_its_figures() {
    let Some(folder) = recordings() else { return };
    let mut orders = 0;
    for (name, expected) in
        [("EMPTY_IMAGE", 0), ("FULL_IMAGE", 5), ("NEW_FULL_IMAGE", 5), ("SUB_IMAGE", 0), ("UPDATE", 1)]
    {
        let json = read(&folder.join(format!("betfair/bflw/streaming_ocm_{name}.json")));
        let message: Value = serde_json::from_str(&json).unwrap();
        let (class, points) = points_of(&mut rigs(DecoderKind::BetfairOrders), &json, BETFAIR_INTEGERS);
        assert_eq!((class, points.len()), (FrameClass::Points, expected), "{name}");
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let mut points = points.into_iter();
        for market in list(&message, "oc") {
            for runner in list(&market, "orc") {
                for order in list(&runner, "uo") {
                    let point = points.next().unwrap();
                    let text = |value: &Value| value.as_str().unwrap().to_owned();
                    let tags = [
                        ("account", "main".to_owned()),
                        ("market_id", text(&market["id"])),
                        ("selection_id", runner["id"].to_string()),
                        ("side", text(&order["side"])),
                        ("status", text(&order["status"])),
                    ];
                    assert!(point.tags.iter().map(|(name, value)| (name.as_str(), value.clone())).eq(tags));
                    let figures = [
                        ("price", "p"),
                        ("size", "s"),
                        ("matched", "sm"),
                        ("remaining", "sr"),
                        ("avg_price", "avp"),
                    ];
                    let mut fields = figures.map(|(name, key)| (name, float(&order[key]))).to_vec();
                    fields.push(("bet_id", Some(Field::Text(text(&order["id"])))));
                    check_fields(&point, &fields);
                    assert_eq!(point.time / 1_000_000, message["pt"].as_i64().unwrap(), "{name}");
                    orders += 1;
                }
            }
        }
    }
    assert_eq!(orders, 11);
}

#[test]
fn every_transaction_of_the_oanda_sample_is_a_point_and_its_heartbeats_are_none() {
    let Some(folder) = recordings() else { return };
    let (mut made, mut heartbeats) = (0, 0);
    let mut rigs = rigs(DecoderKind::OandaOrders);
    for line in read(&folder.join("oanda/oandapyV20_transactions_stream_sample.jsonl")).lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        let (class, points) = points_of(&mut rigs, line, OANDA_INTEGERS);
        if message["type"] == "HEARTBEAT" {
            assert_eq!((class, points.len()), (FrameClass::Control, 0));
            heartbeats += 1;
            continue;
        }
        let [point] = &points[..] else { panic!("{points:?}") };
        let id = |key: &str| message[key].as_str().map(|id| Field::Int(id.parse().unwrap()));
        check_fields(
            point,
            &[
                ("id", id("id")),
                ("order_id", id("orderID")),
                ("batch_id", id("batchID")),
                ("units", float(&message["units"])),
                ("price", float(&message["price"])),
            ],
        );
        for (tag, key) in [("type", "type"), ("reason", "reason"), ("instrument", "instrument")] {
            assert_eq!(point.tags.get(tag).map(String::as_str), message[key].as_str(), "{tag}");
        }
        let time: jiff::Timestamp = message["time"].as_str().unwrap().parse().unwrap();
        assert_eq!(i128::from(point.time), time.as_nanosecond());
        made += 1;
    }
    assert_eq!((made, heartbeats), (3, 5));
}
