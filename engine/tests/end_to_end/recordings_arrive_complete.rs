//! Promise: real recordings, published flat out over ZeroMQ, arrive complete: what the database holds is what
//! the engine counted as written, and what decoding the same messages directly gives.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use tickline_config::model::Config;
use tickline_feeds::clock::WallNanos;
use tickline_feeds::decoder::{Decoder, DecoderSpec};
use tickline_feeds::frame::Frame;
use tickline_feeds::instruments::Instruments;
use tickline_feeds::payload::Decimals;
use tickline_feeds::socket::subscriber;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::plan::{FeedLoad, Rate};
use tickline_loadgen::replay::{self, ReplayPlan, Span, Speed, TimeMode};
use tickline_loadgen::result::FeedResult;
use tickline_loadgen::run::Running;

use crate::influxd::{self, Influxd, Options};
use crate::program::{Engine, PATIENCE, feed, influx, tickline, wait_for};

const RECORDINGS: [(&str, &[&str]); 4] = [
    (
        "kraken_depth",
        &[
            "kraken/ws_v2_book_btcusd_d10_resub_20260801.cbcap.gz",
            "kraken/ws_v2_book_btcusd_d25_20260802.cbcap.gz",
            "kraken/ws_v2_book_xrpusd_d25_20260802.cbcap.gz",
            "kraken/rest_depth_xchange.json",
        ],
    ),
    ("kraken_tick", &["kraken/rest_ticker_xchange.json"]),
    (
        "oanda_tick",
        &[
            "oanda/lean_eurusd_tick_20140502_quote.zip",
            "oanda/lean_eurusd_tick_20140505_quote.zip",
            "oanda/lean_eurusd_tick_20140506_quote.zip",
            "oanda/lean_nzdusd_tick_20140507_quote.zip",
            "oanda/oandapyV20_pricing_rest_sample.json",
            "oanda/oandapyV20_pricing_stream_sample.jsonl",
        ],
    ),
    (
        "betfair_stream",
        &[
            "betfair/flumine_1.197931750.jsonl.gz",
            "betfair/flumine_1.200806927.jsonl.gz",
            "betfair/flumine_BASIC-1.132153978.jsonl.gz",
            "betfair/bflw/streaming_mcm_HEARTBEAT.json",
            "betfair/bflw/streaming_mcm_RESUB_DELTA.json",
            "betfair/bflw/streaming_mcm_SUB_IMAGE.json",
            "betfair/bflw/streaming_mcm_SUB_IMAGE_no_market_def.json.gz",
            "betfair/bflw/streaming_mcm_UPDATE_md.json",
            "betfair/bflw/streaming_mcm_UPDATE_tv.json",
            "betfair/bflw/streaming_mcm_update.json",
        ],
    ),
];

/// Recordings that hold nothing to be stored: a heartbeat, the volume of a market that is not known, and prices
/// of a runner before its market's image.
const WITHOUT_POINTS: [&str; 3] =
    ["streaming_mcm_HEARTBEAT.json", "streaming_mcm_UPDATE_tv.json", "streaming_mcm_update.json"];

/// One recording on its way.
struct Replay {
    running: Running,
    endpoint: String,
    topic: String,
    span: Span,
}

impl Replay {
    fn start(feed: &str, file: PathBuf) -> Self {
        let load = FeedLoad::new(feed, "127.0.0.1", Rate::Max).unwrap();
        let topic = load.topic.clone();
        let plan = ReplayPlan {
            files: vec![file],
            feeds: vec![FeedLoad { endpoint: "tcp://127.0.0.1:*".to_owned(), ..load }],
            loops: 1,
            speed: Speed::Max,
            time: TimeMode::Original,
            decimals: Decimals::Text,
            wait: true,
            wait_timeout: Some(PATIENCE),
            sndhwm: 50_000,
            door: None,
        };
        let mut spans = replay::scan(&plan).unwrap_or_else(|error| panic!("{error}"));
        let running = replay::start(&plan, &spans, OsClock::start()).unwrap();
        let endpoint = running.endpoints().next().unwrap().1.to_owned();
        Self { running, endpoint, topic, span: spans.remove(0) }
    }

    /// Waits until everything has been sent.
    fn finish(self) -> FeedResult {
        wait_for("the recording is sent", || self.running.is_finished().then_some(()));
        self.running.finish().unwrap().feeds.remove(0)
    }
}

/// What decoding the messages of a recording gives.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    lines: u64,
    undecodable: u64,
    /// Points by measurement, each series and time once.
    stored: BTreeMap<String, u64>,
}

/// Subscribes to a replay of its own and decodes what comes, without the engine.
fn decode_directly(name: &str, file: PathBuf) -> Expected {
    let replay = Replay::start(name, file);
    let sets = [feed(name, &replay.endpoint), vec!["sinks.none.kind=\"null\"".to_owned()]].concat();
    let config = Config::load(&[], &sets, &|_| None).unwrap_or_else(|errors| panic!("{errors}")).config;
    let spec = DecoderSpec { feed: config.feeds[name].clone(), legacy_tick: false };
    let instruments = Arc::new(Instruments::from_csv(tickline_config::KRAKEN_CSV).unwrap());
    let mut decoder = Decoder::new(&spec, instruments).unwrap();
    let context = zmq::Context::new();
    let socket = subscriber(&context, 1_000_000, 1 << 22).unwrap();
    socket.set_rcvtimeo(PATIENCE.as_millis() as i32).unwrap();
    socket.connect(&replay.endpoint).unwrap();
    socket.set_subscribe(replay.topic.as_bytes()).unwrap();
    let (mut expected, mut lines, mut keys) = (Expected::default(), Vec::new(), HashSet::new());
    // One more: the end is said.
    for _ in 0..=replay.span.messages {
        let parts = socket.recv_multipart(0).expect("every message");
        lines.clear();
        let frame = Frame {
            feed: 0,
            endpoint: 0,
            recv: WallNanos(1),
            topic: &parts[0],
            payload: &parts[1],
            oversized: false,
        };
        decoder.decode(&frame, &mut lines);
        for line in std::str::from_utf8(&lines).unwrap().lines() {
            expected.lines += 1;
            // Neither a venue's id nor a field of these recordings holds a space.
            let (series, rest) = line.split_once(' ').unwrap();
            if keys.insert(format!("{series} {}", rest.rsplit(' ').next().unwrap())) {
                let measurement = series.split(',').next().unwrap().to_owned();
                *expected.stored.entry(measurement).or_default() += 1;
            }
        }
    }
    expected.undecodable = decoder.counts().undecodable_total();
    assert!(replay.finish().ended);
    expected
}

/// Publishes a recording into an engine that writes to the `archive` policy of its own database.
fn through_the_engine(server: &Influxd, database: &str, name: &str, file: PathBuf, expected: &Expected) {
    let dir = tempfile::tempdir().unwrap();
    let archive = vec!["sinks.influx.retention_policy=\"archive\"".to_owned()];
    let sink = [influx(&server.url, database), archive].concat();
    assert_eq!(tickline(dir.path(), &["db", "apply"], &sink).status.code(), Some(0));
    let replay = Replay::start(name, file);
    let engine = Engine::start(dir.path(), &[sink, feed(name, &replay.endpoint)].concat());
    let sent = replay.finish();
    assert!(sent.ended, "{database}");
    engine.wait(database, |report| {
        report.ledger.received > sent.sent && report.ledger.written == expected.lines
    });
    let ended = engine.stop();
    ended.assert_clean();
    let ledger = &ended.report.ledger;
    assert_eq!((ledger.received, ledger.undecodable), (sent.sent + 1, expected.undecodable), "{database}");
    assert_eq!((ledger.written, ledger.published), (expected.lines, Some(sent.last_seq)), "{database}");
    assert_eq!(ended.report.feeds[name].counters["timestamp_collisions"], 0, "{database}");
    let counted = |measurement: &String| server.count(database, &format!("archive.{measurement}"), "recv_ns");
    let stored: BTreeMap<String, u64> = expected.stored.keys().map(|m| (m.clone(), counted(m))).collect();
    assert_eq!(stored, expected.stored, "{database}");
    assert_eq!(stored.values().sum::<u64>(), expected.lines, "{database}: every point at a time of its own");
}

#[test]
fn recordings_arrive_in_the_database_point_for_point() {
    let Some(recordings) = std::env::var_os("TICKLINE_RECORDINGS").map(PathBuf::from) else {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "TICKLINE_RECORDINGS is not set");
        println!("skipped: TICKLINE_RECORDINGS not set");
        return;
    };
    let Some(server) = influxd::start(Options::default()) else { return };
    let mut total = 0;
    for (name, files) in RECORDINGS {
        for (n, file) in files.iter().enumerate() {
            let expected = decode_directly(name, recordings.join(file));
            assert_eq!(expected.undecodable, 0, "{file}");
            let without = WITHOUT_POINTS.iter().any(|name| file.ends_with(name));
            assert_eq!(expected.lines == 0, without, "{file}: {expected:?}");
            through_the_engine(&server, &format!("{name}_{n}"), name, recordings.join(file), &expected);
            println!("{file}: {} points", expected.lines);
            total += expected.lines;
        }
    }
    println!("{total} points in all");
}
