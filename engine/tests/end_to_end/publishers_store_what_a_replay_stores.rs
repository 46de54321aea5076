//! Promise: `tickline run` with `[publishers]`, connected to a simulated Kraken, Betfair or OANDA that says what was
//! recorded, stores the same points as a replay of the recording.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tickline_feeds::payload::Decimals;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::plan::{FeedLoad, Rate};
use tickline_loadgen::replay::{self, ReplayPlan, Speed, TimeMode};
use tickline_loadgen::venue::betfair::{self, BetfairVenue};
use tickline_loadgen::venue::kraken::{KrakenVenue, start};
use tickline_loadgen::venue::oanda::{self, OandaVenue};
use tickline_loadgen::venue::{Feed, Pace, Simulator};

use crate::program::{Engine, PATIENCE, feed, wait_for};

/// A point without what depends on when it was received: series, fields, and the venue's time to the microsecond.
type Point = (String, BTreeMap<String, String>, i64);

/// The points of a file, in its order.
fn points(path: &Path, kind: &str) -> Vec<Point> {
    let text = std::fs::read_to_string(path).unwrap();
    let ours = text.lines().filter(|line| line.starts_with(&format!("{kind},")));
    let point = |line: &str| {
        let [series, fields, time] = <[&str; 3]>::try_from(line.split(' ').collect::<Vec<_>>()).unwrap();
        let mut fields: BTreeMap<String, String> = fields
            .split(',')
            .filter_map(|field| field.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        // A recording is older than two days: its own time is then a field.
        let time = fields
            .remove("venue_ns")
            .map_or_else(|| time.to_owned(), |ns| ns.trim_end_matches('i').to_owned());
        ["recv_ns", "flags"].iter().for_each(|name| drop(fields.remove(*name)));
        (series.to_owned(), fields, time.parse::<i64>().unwrap() / 1_000)
    };
    ours.map(point).collect()
}

fn sink() -> [String; 2] {
    ["sinks.kept.kind=\"file\"".to_owned(), "sinks.kept.path=\"kept.lp\"".to_owned()]
}

/// What a replay stores.
fn replayed(kind: &str, recording: &Path) -> Vec<Point> {
    let load = FeedLoad::new(kind, "127.0.0.1", Rate::Max).unwrap();
    let plan = ReplayPlan {
        files: vec![recording.to_owned()],
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
    let spans = replay::scan(&plan).unwrap_or_else(|error| panic!("{error}"));
    let running = replay::start(&plan, &spans, OsClock::start()).unwrap();
    let endpoint = running.endpoints().next().unwrap().1.to_owned();
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::start(dir.path(), &[feed(kind, &endpoint), sink().to_vec()].concat());
    wait_for("the recording is sent", || running.is_finished().then_some(()));
    let sent = running.finish().unwrap().feeds.remove(0).sent;
    engine.wait("every message", |report| {
        report.ledger.sequenced == Some(sent) && report.ledger.in_flight == 0
    });
    engine.stop().assert_clean();
    points(&dir.path().join("kept.lp"), kind)
}

/// What an engine with a publisher of its own stores; `count` names the count of what the venue has said.
fn published(kind: &str, venue: &Simulator, count: &str, more: &[String]) -> Vec<Point> {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}", dir.path().join("bus").display());
    let mut publisher = [more, &[format!("endpoint={endpoint:?}")]].concat();
    if let Some(certificates) = &venue.certificates {
        certificates.write(dir.path()).unwrap();
        publisher.push("tls_ca=\"ca.pem\"".to_owned());
    }
    let publisher: Vec<String> = publisher.iter().map(|set| format!("publishers.{kind}.{set}")).collect();
    let engine = Engine::start_with(
        dir.path(),
        &[feed(kind, &endpoint), sink().to_vec(), publisher].concat(),
        &[("TOKEN", "simulated-token"), ("SESSION", "simulated-session"), ("APP_KEY", "simulated-app-key")],
    );
    wait_for("the recording is said", || venue.record().ended.then_some(()));
    // Answers of REST are kept beside what the stream said.
    let said = venue.record().sent.iter().filter(|sent| sent.connection > 0).count() as u64;
    let report = engine.wait("every message of the venue", |report| {
        let publisher = &report.publishers[kind];
        let of = |name: &str| publisher.counts.get(name).copied().unwrap_or_default();
        of(count) == said
            && Some(publisher.messages - of("instruments")) == report.ledger.published
            && report.ledger.in_flight == 0
            && report.ledger.written == report.ledger.points
    });
    assert_eq!(
        report.publishers[kind].counts.get("book_resyncs").unwrap_or(&0),
        &0,
        "every checksum verifies"
    );
    engine.stop().assert_clean();
    points(&dir.path().join("kept.lp"), kind)
}

fn recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("TICKLINE_RECORDINGS").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: TICKLINE_RECORDINGS not set");
    }
    folder
}

fn said_at_once() -> Feed {
    Feed { pace: Pace::Max, ..Feed::default() }
}

#[test]
fn recorded_books_are_stored_as_their_replay_is() {
    let Some(folder) = recordings() else { return };
    for (name, depth) in [
        ("ws_v2_book_btcusd_d10_resub_20260801.cbcap.gz", 10),
        ("ws_v2_book_btcusd_d25_20260802.cbcap.gz", 25),
        ("ws_v2_book_xrpusd_d25_20260802.cbcap.gz", 25),
    ] {
        let recording = folder.join("kraken").join(name);
        let symbol = if name.contains("xrpusd") { "XRP/USD" } else { "BTC/USD" };
        let recordings = vec![recording.clone()];
        let venue =
            start(KrakenVenue { feed: said_at_once(), recordings, ..KrakenVenue::default() }).unwrap();
        let more = [
            format!("url={:?}", venue.stream),
            format!("rest_url={:?}", venue.rest),
            format!("symbols=[{symbol:?}]"),
            format!("depth={depth}"),
        ];
        let replayed = replayed("kraken_depth", &recording);
        let published = published("kraken_depth", &venue, "book_updates", &more);
        let stored: BTreeSet<&Point> = published.iter().collect();
        let known: BTreeSet<&Point> = replayed.iter().collect();
        assert!(stored.is_subset(&known), "{name}: {:?}", stored.difference(&known).next());
        // A replay also writes books whose ten best levels are as they were; a publisher does not.
        let mut last: BTreeMap<&str, &BTreeMap<String, String>> = BTreeMap::new();
        let mut repeated = 0;
        for point in &replayed {
            let same = |fields: &BTreeMap<String, String>| {
                let but_sum = |fields: &BTreeMap<String, String>| {
                    fields
                        .iter()
                        .filter(|(name, _)| *name != "checksum")
                        .map(|(_, v)| v.clone())
                        .collect::<Vec<_>>()
                };
                but_sum(fields) == but_sum(&point.1)
            };
            let is_repeated = last.insert(&point.0, &point.1).is_some_and(same);
            assert!(is_repeated || stored.contains(point), "{name}: not stored: {point:?}");
            repeated += u64::from(!stored.contains(point));
        }
        assert!(
            published.len() as u64 >= replayed.len() as u64 / 2,
            "{name}: {repeated} of {} left out",
            replayed.len()
        );
    }
}

#[test]
fn recorded_markets_are_stored_as_their_replay_is() {
    let Some(folder) = recordings() else { return };
    for name in ["flumine_1.197931750.jsonl.gz", "flumine_1.200806927.jsonl.gz"] {
        let recording = folder.join("betfair").join(name);
        let recordings = vec![recording.clone()];
        let venue =
            betfair::start(BetfairVenue { feed: said_at_once(), recordings, ..BetfairVenue::default() })
                .unwrap();
        let more = [
            format!("address={:?}", venue.stream),
            "session=\"env:SESSION\"".to_owned(),
            "app_key=\"env:APP_KEY\"".to_owned(),
            "event_type_ids=[]".to_owned(),
            "country_codes=[]".to_owned(),
            "market_types=[]".to_owned(),
            "fields=[\"EX_ALL_OFFERS\", \"EX_BEST_OFFERS\", \"EX_BEST_OFFERS_DISP\", \"EX_LTP\", \"EX_TRADED_VOL\", \"EX_MARKET_DEF\", \"SP_PROJECTED\"]".to_owned(),
            "ladder_levels=10".to_owned(),
        ];
        let published = published("betfair_stream", &venue, "published", &more);
        // The image is the venue's own, of its own time; behind it everything is as it was recorded.
        let behind = |points: Vec<Point>| {
            let image = points[0].2;
            points.into_iter().filter(|point| point.2 != image).collect::<Vec<_>>()
        };
        assert_same(name, &behind(published), &behind(replayed("betfair_stream", &recording)));
    }
}

#[test]
fn recorded_prices_are_stored_as_their_replay_is() {
    let Some(folder) = recordings() else { return };
    let name = "lean_eurusd_tick_20140505_quote.zip";
    let recording = folder.join("oanda").join(name);
    let recordings = vec![recording.clone()];
    let venue =
        oanda::start(OandaVenue { feed: said_at_once(), recordings, ..OandaVenue::default() }).unwrap();
    let more = [
        format!("stream_url={:?}", venue.stream),
        format!("rest_url={:?}", venue.rest),
        "account=\"101-004-1234567-001\"".to_owned(),
        "token=\"env:TOKEN\"".to_owned(),
        "instruments=[\"EUR_USD\"]".to_owned(),
    ];
    let mut published = published("oanda_tick", &venue, "published", &more);
    // The venue begins with a snapshot, and says more than prices, which are all that was recorded.
    published.remove(0);
    let recorded = ["ask", "bid", "spread"];
    published.iter_mut().for_each(|point| point.1.retain(|name, _| recorded.contains(&name.as_str())));
    assert_same(name, &published, &replayed("oanda_tick", &recording));
}

fn assert_same(name: &str, published: &[Point], replayed: &[Point]) {
    assert!(!published.is_empty(), "{name}");
    for (at, (published, replayed)) in published.iter().zip(replayed).enumerate() {
        assert_eq!(published, replayed, "{name}: point {at}");
    }
    assert_eq!(published.len(), replayed.len(), "{name}");
}
