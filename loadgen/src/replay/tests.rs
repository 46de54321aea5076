use std::fs;

use serde_json::{Value, json};
use tickline_feeds::capture::{self, Record};
use tickline_feeds::payload::reserved;

use super::*;
use crate::clock::OsClock;
use crate::plan::{LoadPlan, Rate};
use crate::reading::{Subscriber, read};
use crate::run::write_capture;

fn plan(files: &[PathBuf], feed: &str) -> ReplayPlan {
    let endpoint = "tcp://127.0.0.1:*".to_owned();
    ReplayPlan {
        files: files.to_vec(),
        feeds: vec![FeedLoad { endpoint, ..FeedLoad::new(feed, "", Rate::Max).unwrap() }],
        loops: 1,
        speed: Speed::Max,
        time: TimeMode::Original,
        decimals: Decimals::Text,
        wait: true,
        wait_timeout: Some(Duration::from_secs(20)),
        sndhwm: 1_000,
        door: None,
    }
}

/// Publishes over ZeroMQ and gives the payloads that came.
fn published(plan: &ReplayPlan) -> Vec<Vec<u8>> {
    let spans = scan(plan).unwrap();
    let running = start(plan, &spans, OsClock::start()).unwrap();
    let subscriber = Subscriber::connect(running.endpoints().next().unwrap().1, 1_000);
    let (payloads, _) = subscriber.until_end();
    let result = running.finish().unwrap();
    let planned = spans[0].messages * u64::from(plan.loops);
    assert_eq!((result.feeds[0].sent, planned), (payloads.len() as u64, payloads.len() as u64));
    payloads
}

fn file(folder: &tempfile::TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn a_betfair_recording_is_sent_as_it_is_with_reserved_keys_in_front() {
    let folder = tempfile::tempdir().unwrap();
    let lines = r#"{"op":"connection","connectionId":"x"}
{"op":"mcm","pt":1500000000001,"mc":[{"id":"1.5","marketDefinition":{"status":"OPEN","runners":[{"id":7}]}}]}
{"op":"mcm","pt":1500000000001,"mc":[{"id":"1.5","rc":[{"id":7,"ltp":2.50,"batb":[[0,2.5,10]]}]}]}
"#;
    let payloads = published(&plan(&[file(&folder, "m.json", lines)], "betfair_stream"));
    let (first, second) = (read(&payloads[0]), read(&payloads[1]));
    assert_eq!((&first["_first"], &first["_tie"], &first["_seq"]), (&true.into(), &0.into(), &1.into()));
    assert_eq!((second.get("_first"), &second["_tie"], &second["_recv"]), (None, &1.into(), &0.into()));
    let runner = json!({"id": 7, "ltp": "2.50", "batb": [[0, "2.5", "10"]]});
    assert_eq!(second["mc"], json!([{"id": "1.5", "rc": [runner]}]));
    assert_eq!(second["pt"], 1_500_000_000_001_i64);
    assert!(second["_ts"].as_i64().unwrap() > 1_500_000_000_001_000_000);
}

#[test]
fn a_rest_answer_gives_a_message_for_each_price() {
    let folder = tempfile::tempdir().unwrap();
    let price = |bid: &str| json!({"time": "2026-08-03T12:30:00.000000001Z", "instrument": "EUR_USD", "bids": [{"price": bid, "liquidity": 5}]});
    let answer = json!({"prices": [price("1.1"), price("1.2")]}).to_string();
    let payloads = published(&plan(&[file(&folder, "p.json", answer)], "oanda_tick"));
    let sent: Vec<Value> = payloads.iter().map(|payload| read(payload)).collect();
    assert_eq!((&sent[0]["bids"], &sent[0]["_tie"]), (&json!([{"price": "1.1", "liquidity": 5}]), &0.into()));
    assert_eq!((&sent[1]["bids"], &sent[1]["_tie"]), (&json!([{"price": "1.2", "liquidity": 5}]), &1.into()));
}

fn cbcap(frames: &[&str]) -> String {
    let records: String =
        frames.iter().zip(5..).map(|(frame, ns)| format!("{ns} {}\n{frame}\n", frame.len())).collect();
    format!("CBCAP1 kraken X/USD 1785552832693693000\n{records}")
}

#[test]
fn a_book_is_sent_whole_padded_and_only_if_its_checksum_fits() {
    let folder = tempfile::tempdir().unwrap();
    let crc = crc32fast::hash(b"15200");
    let frame = |crc: u32| {
        format!(
            r#"{{"channel":"book","type":"snapshot","data":[{{"symbol":"X/USD","bids":[],"asks":[{{"price":1.5,"qty":2.00}}],"checksum":{crc},"timestamp":"2026-08-01T02:53:53.398143Z"}}]}}"#
        )
    };
    let heartbeat = r#"{"channel":"heartbeat"}"#;
    let good = file(&folder, "good", cbcap(&[heartbeat, &frame(crc)]));
    let payloads = published(&plan(&[good], "kraken_depth"));
    let book = read(&payloads[0]);
    let padding = json!([null, "0"]);
    assert_eq!(
        (&book["asks"][0], &book["asks"][1], &book["bids"][0]),
        (&json!(["1.5", "2.00"]), &padding, &padding)
    );
    assert_eq!((book["asks"].as_array().unwrap().len(), &book["checksum"]), (10, &crc.into()));
    assert_eq!(book["timestamp"], "2026-08-01T02:53:53.398143Z");
    let bad = file(&folder, "bad", cbcap(&[heartbeat, &frame(crc ^ 1)]));
    let error = scan(&plan(&[bad], "kraken_depth")).unwrap_err().to_string();
    assert!(
        error.ends_with(&format!("bad: message 2: checksum must be {}, found {crc}", crc ^ 1)),
        "{error}"
    );
}

#[test]
fn a_capture_is_sent_again_with_new_numbers_and_its_own_ties_and_receive_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made");
    let load = LoadPlan {
        feeds: vec![FeedLoad {
            symbols: 3,
            ..FeedLoad::new("kraken_tick", "", Rate::PerSecond(1e7)).unwrap()
        }],
        ..LoadPlan::default()
    };
    write_capture(&load, &[50], &path).unwrap();
    let made = fs::read(&path).unwrap();
    let mut reader = capture::Reader::new(made.as_slice()).unwrap();
    let mut bytes = Vec::new();
    capture::begin(&mut bytes);
    let mut recorded = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        let mut payload = record.payload.to_vec();
        let times = tickline_feeds::payload::Times { recv: WallNanos(7_000_000), ..Default::default() };
        tickline_feeds::payload::set_times(&mut payload, &times);
        capture::append(&mut bytes, &Record { payload: &payload, ..record }).unwrap();
        recorded.push(payload);
    }
    capture::append(
        &mut bytes,
        &Record { recv: WallNanos(1), topic: b"kraken_tick", payload: b"\x81\xa1a\x01" },
    )
    .unwrap();
    let torn = bytes.len();
    bytes.extend_from_slice(&made[8..20]);
    let path = file(&folder, "again", &bytes);
    let plan = ReplayPlan { time: TimeMode::Shift(2_000_000), ..plan(&[path], "kraken_tick") };
    let span = scan(&plan).unwrap().remove(0);
    assert_eq!((span.messages, span.torn_bytes), (51, (bytes.len() - torn) as u64));
    let payloads = published(&plan);
    let mut ties = 0;
    for (payload, before) in payloads.iter().zip(&recorded) {
        let (now, was) = (reserved(payload).unwrap().0, reserved(before).unwrap().0);
        assert_eq!((now.seq, now.tie, now.times.recv), (was.seq, was.tie, WallNanos(9_000_000)));
        assert_ne!(now.src, was.src);
        ties += now.tie;
        let (mut now, mut was) = (read(payload), read(before));
        assert_eq!(
            now["timestamp"].take(),
            was["timestamp"].take().as_str().unwrap().replace(".000", ".002")
        );
        for key in ["_src", "_recv", "_ts", "_due"] {
            (now[key], was[key]) = (Value::Null, Value::Null);
        }
        assert_eq!(now, was);
    }
    assert!(ties > 0);
    assert_eq!(payloads.last().unwrap(), b"\x81\xa1a\x01");
}

#[test]
fn a_shift_is_whole_milliseconds_and_now_ends_at_the_last_due_time() {
    let ns = |s: i64| s * 1_000_000_000;
    let span = Span {
        times: Some((WallNanos(ns(100)), WallNanos(ns(160)))),
        recorded_ns: 60_000_000_000,
        ..Span::default()
    };
    let start = WallNanos(ns(1_000) + 5);
    let table = [
        (TimeMode::Original, Speed::Max, 0),
        (TimeMode::Shift(1_999_999), Speed::Max, 1_000_000),
        (TimeMode::Shift(-1), Speed::Max, -1_000_000),
        (TimeMode::Now, Speed::Times(1.0), ns(900)),
        (TimeMode::Now, Speed::Times(10.0), ns(846)),
        (TimeMode::Now, Speed::Max, ns(840)),
    ];
    for (time, speed, expected) in table {
        assert_eq!(shift_ns(time, speed, 1, &span, start), expected, "{time:?} {speed:?}");
    }
    assert_eq!(shift_ns(TimeMode::Now, Speed::Max, 1, &Span::default(), start), 0);
}

#[test]
fn a_file_of_another_feed_or_of_no_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mcm = file(&folder, "m", r#"{"op":"mcm","pt":1}"#);
    let error = scan(&plan(&[mcm], "kraken_tick")).unwrap_err().to_string();
    assert!(
        error.ends_with("m: holds messages of decoder betfair_stream, found feed kraken_tick"),
        "{error}"
    );
    let text = file(&folder, "t", "hello");
    let error = scan(&plan(&[text], "kraken_tick")).unwrap_err().to_string();
    assert!(error.ends_with("or a Lean tick zip, found \"hello\""), "{error}");
    let missing = scan(&plan(&[folder.path().join("none")], "kraken_tick")).unwrap_err();
    assert!(matches!(missing, ReplayError::Io { .. }));
}

/// A capture of messages that came so many ms after a start, with their number as content.
fn captured(messages: &[(&str, i64, u8)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    capture::begin(&mut bytes);
    for (topic, ms, number) in messages {
        let recv = WallNanos(1_785_000_000_000_000_000 + ms * SHIFT_UNIT_NS);
        let payload = [b"\x81\xa1n".as_slice(), &[*number]].concat();
        capture::append(&mut bytes, &Record { recv, topic: topic.as_bytes(), payload: &payload }).unwrap();
    }
    bytes
}

fn numbers(payloads: &[Vec<u8>]) -> Vec<u8> {
    payloads.iter().filter_map(|payload| payload.last().copied()).collect()
}

#[test]
fn captures_are_merged_by_time_and_each_feed_gets_its_own_messages() {
    let folder = tempfile::tempdir().unwrap();
    let a = captured(&[("kraken_tick", 0, 1), ("oanda_tick", 1, 2), ("kraken_tick", 9, 3)]);
    let b = captured(&[("kraken_tick", 0, 4), ("kraken_tick", 5, 5), ("oanda_tick", 12, 6)]);
    let archive = folder.path().join("archive");
    fs::create_dir(&archive).unwrap();
    fs::write(archive.join("1.cap"), a).unwrap();
    fs::write(archive.join("2.cap.zst"), zstd::encode_all(b.as_slice(), 3).unwrap()).unwrap();
    fs::write(archive.join("2.cap.zst.json"), "{}").unwrap();
    let files = files(&[archive]).unwrap();
    assert_eq!(feeds_in(&files).unwrap().into_iter().collect::<Vec<_>>(), ["kraken_tick", "oanda_tick"]);
    let mut plan = plan(&files, "kraken_tick");
    let endpoint = "tcp://127.0.0.1:*".to_owned();
    plan.feeds.push(FeedLoad { endpoint, ..FeedLoad::new("oanda_tick", "", Rate::Max).unwrap() });
    plan.speed = Speed::Times(1.0);
    let spans = scan(&plan).unwrap();
    let whole = Span::whole(&spans);
    assert_eq!((whole.messages, whole.recorded_ns), (6, 12_000_000));
    let running = start(&plan, &spans, OsClock::start()).unwrap();
    let endpoints: Vec<String> = running.endpoints().map(|(_, endpoint)| endpoint.to_owned()).collect();
    let subscribers: Vec<Subscriber> =
        endpoints.iter().map(|endpoint| Subscriber::connect(endpoint, 1_000)).collect();
    let came: Vec<Vec<u8>> = subscribers.iter().map(|one| numbers(&one.until_end().0)).collect();
    assert_eq!(came, [vec![1, 4, 5, 3], vec![2, 6]]);
    let result = running.finish().unwrap();
    // Both schedules begin with the first message of all: the last one of OANDA is due 12 ms after it.
    assert!(result.feeds.iter().all(|feed| feed.paced && feed.planned == feed.sent));
    assert!(result.feeds[1].elapsed_ns >= 12_000_000, "{}", result.feeds[1].elapsed_ns);
}

#[test]
fn a_loop_begins_where_the_one_before_ended_and_times_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let line = |ms: u32| format!("{{\"op\":\"mcm\",\"pt\":{ms},\"mc\":[]}}\n");
    let path = file(&folder, "m", [0, 10, 30].map(|ms| line(1_500_000_000 + ms)).concat());
    let sent = |time| {
        let mut plan = plan(std::slice::from_ref(&path), "betfair_stream");
        (plan.loops, plan.time) = (3, time);
        published(&plan)
            .iter()
            .map(|payload| read(payload)["pt"].as_i64().unwrap() - 1_500_000_000)
            .collect::<Vec<_>>()
    };
    // A round is 30 ms and the mean gap of 15.
    assert_eq!(sent(TimeMode::Shift(0)), [0, 10, 30, 45, 55, 75, 90, 100, 120]);
    assert_eq!(sent(TimeMode::Original), [0, 10, 30, 0, 10, 30, 0, 10, 30]);
    let span = scan(&plan(std::slice::from_ref(&path), "betfair_stream")).unwrap().remove(0);
    let now = WallNanos(1_785_000_000_000_000_000);
    let last_ns = (1_500_000_000 + 30) * SHIFT_UNIT_NS;
    assert_eq!(
        shift_ns(TimeMode::Now, Speed::Times(1.0), 3, &span, now),
        now.0 + 120_000_000 - 90_000_000 - last_ns
    );
}

#[test]
fn a_capture_of_other_topics_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "c", captured(&[("kraken_tick", 0, 1), ("mine", 1, 2)]));
    let error = scan(&plan(std::slice::from_ref(&path), "oanda_tick")).unwrap_err().to_string();
    assert_eq!(error, "oanda_tick: must have messages in these files, found none");
    let error = feeds_in(&[path]).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "c: topic must be of a feed of the registry, found \"mine\"; name one feed to publish"
        ),
        "{error}"
    );
    let error = files(&[folder.path().to_owned()]).unwrap_err().to_string();
    assert!(error.ends_with(": no capture in it"), "{error}");
}

/// Feed, file and messages of each recording.
const RECORDINGS: &[(&str, &str, u64)] = &[
    ("kraken_depth", "kraken/ws_v2_book_btcusd_d25_20260802.cbcap.gz", 2_052),
    ("kraken_depth", "kraken/ws_v2_book_xrpusd_d25_20260802.cbcap.gz", 1_147),
    ("kraken_depth", "kraken/ws_v2_book_btcusd_d10_resub_20260801.cbcap.gz", 301),
    ("kraken_depth", "kraken/rest_depth_xchange.json", 1),
    ("kraken_tick", "kraken/rest_ticker_xchange.json", 1),
    ("oanda_tick", "oanda/lean_eurusd_tick_20140502_quote.zip", 49_341),
    ("oanda_tick", "oanda/lean_eurusd_tick_20140505_quote.zip", 25_177),
    ("oanda_tick", "oanda/lean_eurusd_tick_20140506_quote.zip", 44_864),
    ("oanda_tick", "oanda/lean_nzdusd_tick_20140507_quote.zip", 41_960),
    ("oanda_tick", "oanda/oandapyV20_pricing_stream_sample.jsonl", 4),
    ("oanda_tick", "oanda/oandapyV20_pricing_rest_sample.json", 2),
    ("betfair_stream", "betfair/flumine_1.200806927.jsonl.gz", 18_529),
    ("betfair_stream", "betfair/flumine_1.197931750.jsonl.gz", 166),
    ("betfair_stream", "betfair/flumine_BASIC-1.132153978.jsonl.gz", 480),
    ("betfair_stream", "betfair/bflw/streaming_mcm_SUB_IMAGE_no_market_def.json.gz", 1),
    ("betfair_stream", "betfair/bflw/streaming_mcm_SUB_IMAGE.json", 1),
    ("betfair_stream", "betfair/bflw/streaming_mcm_RESUB_DELTA.json", 1),
    ("betfair_stream", "betfair/bflw/streaming_mcm_HEARTBEAT.json", 1),
    ("betfair_stream", "betfair/bflw/streaming_mcm_UPDATE_md.json", 1),
    ("betfair_stream", "betfair/bflw/streaming_mcm_UPDATE_tv.json", 1),
    ("betfair_stream", "betfair/bflw/streaming_mcm_update.json", 1),
    ("betfair_stream", "betfair/bflw/streaming_503.json", 1),
];

#[test]
fn every_recording_is_published_whole_and_every_book_checksum_fits() {
    let Some(folder) = std::env::var_os("TICKLINE_RECORDINGS").map(PathBuf::from) else {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "TICKLINE_RECORDINGS is not set");
        println!("skipped: TICKLINE_RECORDINGS not set");
        return;
    };
    for (feed, name, messages) in RECORDINGS {
        let span = scan(&plan(&[folder.join(name)], feed)).unwrap().remove(0);
        assert_eq!(span.messages, *messages, "{name}");
    }
    for (feed, name, _) in
        RECORDINGS.iter().filter(|(_, name, _)| name.contains("xrpusd") || name.contains("1.1979"))
    {
        let payloads = published(&plan(&[folder.join(name)], feed));
        let numbered = payloads
            .iter()
            .zip(1..)
            .all(|(payload, seq)| reserved(payload).is_some_and(|(r, _)| r.seq == seq));
        assert!(numbered, "{name}");
    }
}
