//! Promise: the example of baskets, connected to a simulated Kraken, stores each snapshot and each basket as a point of
//! `MESSAGES`, and the trades of a basket earn its edge.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tickline_loadgen::venue::kraken::{KrakenVenue, start};
use tickline_loadgen::venue::{Feed, Pace};

use crate::program::Engine;

const EXAMPLE: &str = include_str!("../../../config/examples/baskets.toml");

/// Tags and fields of a point, and its time last.
fn point(line: &str) -> BTreeMap<&str, &str> {
    let [series, fields, time] = <[&str; 3]>::try_from(line.split(' ').collect::<Vec<_>>()).unwrap();
    let tags = series.split(',').skip(1);
    let all = tags.chain(fields.split(',')).filter_map(|pair| pair.split_once('='));
    all.map(|(key, value)| (key, value.trim_matches('"'))).chain([("time", time)]).collect()
}

/// Dollars that one euro earns which goes through the four trades.
fn earned(basket: &BTreeMap<&str, &str>) -> f64 {
    let price = |key: &str| basket[key].parse::<f64>().unwrap();
    let [t0, t1] = ["t0", "t1"].map(|t| price(&format!("price_{t}")) / price(&format!("price_cross_{t}")));
    let sides = ["side_t0", "side_cross_t0", "side_t1", "side_cross_t1"].map(|key| basket[key]);
    match sides {
        ["buy", "sell", "sell", "buy"] => t1 - t0,
        ["sell", "buy", "buy", "sell"] => t0 - t1,
        _ => panic!("{sides:?} leaves coins or euros"),
    }
}

fn sets(dir: &Path, stream: &str, rest: &str) -> Vec<String> {
    let [books, baskets] = ["books", "baskets"].map(|name| format!("ipc://{}", dir.join(name).display()));
    vec![
        format!("publishers.kraken_depth.url={stream:?}"),
        format!("publishers.kraken_depth.rest_url={rest:?}"),
        format!("publishers.kraken_depth.endpoint={books:?}"),
        format!("publishers.kraken_eurusd_basket.from={books:?}"),
        // The simulated pairs walk apart.
        "publishers.kraken_eurusd_basket.window=[\"0.1\", \"10\"]".to_owned(),
        format!("publishers.kraken_eurusd_basket.endpoint={baskets:?}"),
        format!("feeds.kr_eurusd_basket.endpoint={baskets:?}"),
        "sinks.kept.kind=\"file\"".to_owned(),
        "sinks.kept.path=\"kept.lp\"".to_owned(),
    ]
}

#[test]
fn snapshots_and_baskets_of_crossed_rates_are_points_of_messages() {
    let feed = Feed { pace: Pace::Rate(200.0), ..Feed::default() };
    let symbols = ["BTC/USD", "BTC/EUR", "ETH/USD", "ETH/EUR"].map(str::to_owned).to_vec();
    let venue = start(KrakenVenue { feed, symbols, ..KrakenVenue::default() }).unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("engine.toml"), EXAMPLE).unwrap();
    let engine = Engine::start(dir.path(), &sets(dir.path(), &venue.stream, &venue.rest));
    engine.wait("a hundred crossings", |report| {
        let basket = report.publishers.get("kraken_eurusd_basket");
        basket.and_then(|basket| basket.counts.get("crossings")).is_some_and(|count| *count >= 100)
    });
    let ended = engine.stop();
    ended.assert_clean();
    let kept = std::fs::read_to_string(dir.path().join("kept.lp")).unwrap();
    let points: Vec<_> = kept.lines().filter(|line| line.starts_with("MESSAGES,")).map(point).collect();
    assert_eq!(points.len() as u64, ended.report.feeds["kr_eurusd_basket"].ledger.points_made);
    let (snapshots, baskets): (Vec<_>, Vec<_>) =
        points.iter().partition(|point| point["MSGTYPE"] == "snapshot");
    let crossings = ended.report.publishers["kraken_eurusd_basket"].counts["crossings"];
    assert_eq!(snapshots.len() as u64, crossings, "each crossing is stored");
    let times: BTreeSet<&str> = points.iter().map(|point| point["time"]).collect();
    assert_eq!(times.len(), points.len(), "no point stands at another's time");
    let mut crossed = 0;
    for snapshot in &snapshots {
        let number = |key: &str| snapshot[key].parse::<f64>().unwrap();
        let ways = [number("spread_t_bid"), number("spread_t_ask")].map(|spread| usize::from(spread < 0.0));
        assert!(ways.contains(&1), "{snapshot:?}");
        crossed += ways[0] + ways[1];
    }
    assert_eq!(baskets.len(), crossed, "a basket for each negative spread");
    for basket in baskets {
        let edge = basket["edge"].parse::<f64>().unwrap();
        // Both rates are rounded to five places.
        assert!(edge > 0.0 && (earned(basket) - edge).abs() < 1.1e-5, "{basket:?}");
        assert_eq!(basket["instrument_cross_t0"], basket["instrument_t0"].replace("USD", "EUR"));
    }
}
