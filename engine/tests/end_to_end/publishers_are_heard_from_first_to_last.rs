//! Promise: in one process, feeds and derived publishers hear a publisher's first word and its last.

use tickline_loadgen::venue::kraken::{KrakenVenue, start};
use tickline_loadgen::venue::{Feed, Pace};

use crate::program::{Engine, feed};

#[test]
fn a_process_stores_what_its_own_publishers_say_from_the_first_word_to_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let ipc = |name: &str| format!("ipc://{}", dir.path().join(name).display());
    let (ticks, rates) = (ipc("ticks"), ipc("rates"));
    let symbols = ["BTC/USD", "BTC/EUR"];
    let venue = start(KrakenVenue {
        feed: Feed { pace: Pace::Rate(100.0), ..Feed::default() },
        symbols: symbols.map(str::to_owned).to_vec(),
        ..KrakenVenue::default()
    })
    .unwrap();
    let publishers = [
        format!("kraken_tick.endpoint={ticks:?}"),
        format!("kraken_tick.url={:?}", venue.stream),
        "kraken_tick.rest_fallback=false".to_owned(),
        format!("kraken_tick.symbols={symbols:?}"),
        format!("kraken_eurusd_tick.endpoint={rates:?}"),
        format!("kraken_eurusd_tick.from={ticks:?}"),
    ];
    let publishers: Vec<String> = publishers.iter().map(|set| format!("publishers.{set}")).collect();
    let sink = ["sinks.kept.kind=\"file\"".to_owned(), "sinks.kept.path=\"kept.lp\"".to_owned()];
    let sets = [feed("kraken_tick", &ticks), feed("kraken_eurusd_tick", &rates), sink.to_vec(), publishers];
    let engine = Engine::start(dir.path(), &sets.concat());
    engine.wait("some quotes and rates", |report| {
        ["kraken_tick", "kraken_eurusd_tick"].iter().all(|name| report.feeds[*name].frames > 50)
    });
    drop(venue);
    engine.wait("the venue is missed", |report| report.publishers["kraken_tick"].state == "degraded");
    let ended = engine.stop();
    ended.assert_clean();
    for (name, publisher) in &ended.report.publishers {
        assert_eq!(Some(publisher.messages), ended.report.feeds[name].ledger.published, "{name}");
    }
    let kept = std::fs::read_to_string(dir.path().join("kept.lp")).unwrap();
    for name in ["kraken_tick", "kraken_eurusd_tick"] {
        let gap = format!("feed_gap,cause=venue,feed={name},");
        assert!(kept.lines().any(|line| line.starts_with(&gap)), "{name} tells the hole at the end");
    }
}
