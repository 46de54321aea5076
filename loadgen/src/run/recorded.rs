//! The venues' profiles held against what the venues were recorded to send: sizes, gaps and bursts of one pair, one
//! market. Figures are compared within a factor, since each recording is another minute of another market.

use std::path::PathBuf;

use tickline_feeds::capture::Reader;

use super::*;
use crate::arrivals::Arrivals;
use crate::curve::Pace;
use crate::plan::Rate;
use crate::reading::read;
use crate::replay;

const MILLI_NS: u64 = 1_000_000;

/// Time, and payload bytes without reserved keys, of each message.
type Messages = Vec<(u64, usize)>;

fn recording(name: &str, feed: &str) -> Option<Messages> {
    let Some(folder) = std::env::var_os("TICKLINE_RECORDINGS").map(PathBuf::from) else {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "TICKLINE_RECORDINGS is not set");
        println!("skipped: TICKLINE_RECORDINGS not set");
        return None;
    };
    let load = FeedLoad::new(feed, "", Rate::Max).unwrap();
    Some(replay::recorded(&folder.join(name), &load).unwrap())
}

/// Time and payload of what the generator sends.
fn generated(load: FeedLoad, messages: u64) -> Vec<(u64, Vec<u8>)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let plan = LoadPlan { feeds: vec![load], seed: 7, ..LoadPlan::default() };
    write_capture(&plan, &[messages], file.path()).unwrap();
    let bytes = std::fs::read(file.path()).unwrap();
    let mut reader = Reader::new(bytes.as_slice()).unwrap();
    let mut made = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        made.push(((record.recv.0 - CAPTURE_EPOCH.0) as u64, record.payload.to_vec()));
    }
    made
}

fn bare(made: &[(u64, Vec<u8>)]) -> Messages {
    made.iter().map(|(at, payload)| (*at, payload.len() - tickline_feeds::payload::RESERVED_BYTES)).collect()
}

fn at(mut values: Vec<u64>, share: f64) -> u64 {
    values.sort_unstable();
    values[(share * (values.len() - 1) as f64) as usize]
}

fn gaps(messages: &Messages) -> Vec<u64> {
    messages.windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
}

fn sizes(messages: &Messages) -> Vec<u64> {
    messages.iter().map(|(_, bytes)| *bytes as u64).collect()
}

/// Messages that follow each other within a millisecond.
fn clusters(messages: &Messages) -> Vec<u64> {
    let mut clusters = vec![1];
    for gap in gaps(messages) {
        match clusters.last_mut() {
            Some(size) if gap < MILLI_NS => *size += 1,
            _ => clusters.push(1),
        }
    }
    clusters
}

/// Most messages within `window_ns`.
fn burst(messages: &Messages, window_ns: u64) -> usize {
    let until =
        |(at, begin): (usize, u64)| messages[at..].partition_point(|(time, _)| *time <= begin + window_ns);
    messages.iter().enumerate().map(|(at, (begin, _))| until((at, *begin))).max().unwrap_or(0)
}

#[test]
fn a_kraken_pair_comes_in_the_recorded_clusters_gaps_and_sizes() {
    let names = ["btcusd_d25_20260802", "xrpusd_d25_20260802"];
    let files = names.map(|name| format!("kraken/ws_v2_book_{name}.cbcap.gz"));
    let Some(recorded) = files.iter().map(|name| recording(name, "kraken_depth")).collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let load = FeedLoad {
        symbols: 1,
        arrivals: Arrivals::Venue,
        ..FeedLoad::new("kraken_depth", "", Rate::PerSecond(35.0)).unwrap()
    };
    let ours = bare(&generated(load, 10_000));
    // Half to double of what the two recordings span.
    let within = |what: &str, figure: &dyn Fn(&Messages) -> u64| {
        let span: Vec<u64> = recorded.iter().map(figure).collect();
        let (low, high) = (span.iter().min().unwrap() / 2, span.iter().max().unwrap() * 2);
        let found = figure(&ours);
        assert!((low..=high).contains(&found), "{what}: {found}, recorded {span:?}");
    };
    within("cluster p90", &|m| at(clusters(m), 0.9));
    within("cluster p99", &|m| at(clusters(m), 0.99));
    within("mean cluster, tenths", &|m| clusters(m).iter().sum::<u64>() * 10 / clusters(m).len() as u64);
    within("messages in 10 ms", &|m| burst(m, 10 * MILLI_NS) as u64);
    within("messages in 1 s", &|m| burst(m, 1_000 * MILLI_NS) as u64);
    within("gap p10", &|m| at(gaps(m), 0.1));
    within("gap p50", &|m| at(gaps(m), 0.5));
    within("gap p90", &|m| at(gaps(m), 0.9));
    within("size p50", &|m| at(sizes(m), 0.5));
    within("size p99", &|m| at(sizes(m), 0.99));
}

#[test]
fn an_oanda_instrument_sends_at_most_four_prices_a_second_of_the_recorded_size() {
    let Some(recorded) = recording("oanda/oandapyV20_pricing_stream_sample.jsonl", "oanda_tick") else {
        return;
    };
    let load = FeedLoad::new("oanda_tick", "", Rate::PerSecond(272.0)).unwrap();
    assert_eq!((load.symbols, load.beyond_venue()), (68, None));
    let made = generated(load, 5_000);
    let mut last = std::collections::HashMap::new();
    for (time, payload) in &made {
        let instrument = read(payload)["instrument"].to_string();
        let before = last.insert(instrument, *time);
        assert!(before.is_none_or(|before| time - before >= 250 * MILLI_NS), "{before:?} {time}");
    }
    let (ours, theirs) = (at(sizes(&bare(&made)), 0.5), at(sizes(&recorded), 0.5));
    assert!((theirs / 2..=theirs * 2).contains(&ours), "{ours} bytes, recorded {theirs}");
}

#[test]
fn a_betfair_market_sends_deltas_of_the_recorded_size_and_no_bursts() {
    let Some(recorded) = recording("betfair/flumine_1.200806927.jsonl.gz", "betfair_stream") else { return };
    let load = FeedLoad::new("betfair_stream", "", Rate::PerSecond(1.3)).unwrap();
    let ours = bare(&generated(FeedLoad { symbols: 1, ..load }, 5_000));
    for share in [0.5, 0.9] {
        let (ours, theirs) = (at(sizes(&ours), share), at(sizes(&recorded), share));
        assert!((theirs / 2..=theirs * 2).contains(&ours), "p{share}: {ours} bytes, recorded {theirs}");
    }
    assert!(burst(&ours, 10 * MILLI_NS) <= burst(&recorded, 10 * MILLI_NS));
}

#[test]
fn a_conflated_betfair_market_sends_once_a_second_what_has_happened_meanwhile() {
    let Some(recorded) = recording("betfair/flumine_1.197931750.jsonl.gz", "betfair_stream") else { return };
    let load = FeedLoad::new("betfair_stream", "", Rate::PerSecond(1.0)).unwrap();
    let load = FeedLoad { symbols: 1, conflate_ns: Some(1_000 * MILLI_NS), ..load };
    let made = generated(load, 300);
    let image = read(&made[0].1);
    assert_eq!((&image["conflateMs"], &image["ct"]), (&1_000.into(), &"SUB_IMAGE".into()));
    let changes = made.iter().skip(1).map(|(_, payload)| read(payload)["mc"][0].clone());
    assert!(changes.filter(|change| change.get("rc").is_some()).all(|change| change["con"] == true));
    let ours = bare(&made);
    assert_eq!((burst(&ours, 999 * MILLI_NS), burst(&recorded, 999 * MILLI_NS)), (1, 1));
    let (ours, theirs) = (at(sizes(&ours), 0.5), at(sizes(&recorded), 0.5));
    assert!((theirs / 2..=theirs * 2).contains(&ours), "{ours} bytes, recorded {theirs}");
}

#[test]
fn the_rate_of_a_venues_profile_is_the_one_asked_for() {
    let load = FeedLoad::new("kraken_tick", "", Rate::PerSecond(1_000.0)).unwrap();
    assert_eq!(load.pace, Pace::constant(1_000.0));
    let made = generated(FeedLoad { arrivals: Arrivals::Venue, ..load }, 60_000);
    let (last, _) = made.last().unwrap();
    assert!(last.abs_diff(60_000 * MILLI_NS) < 60_000 * MILLI_NS / 200, "{last}");
}
