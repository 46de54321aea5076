use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use tickline_feeds::payload::Decimals;

use super::*;
use crate::plan::Rate;
use crate::reading::read;

const FEEDS: [&str; 5] = ["kraken_tick", "kraken_depth", "kraken_trades", "oanda_tick", "betfair_stream"];

/// `count` messages of `feed`, `per_ms` of them in each millisecond.
fn messages(feed: &str, seed: u64, count: u64, per_ms: u64) -> Vec<Vec<u8>> {
    let load = FeedLoad { symbols: 5, ..FeedLoad::new(feed, "127.0.0.1", Rate::Max).unwrap() };
    let mut generator = Generator::new(&load, seed).unwrap();
    let mut out = PayloadWriter::new(Decimals::Text);
    let venue = |k| WallNanos(1_767_225_600_000_000_000 + (k / per_ms * 1_000_000) as i64);
    let slot = |k| Slot::new(1, k + 1, venue(k));
    (0..count)
        .map(|k| {
            generator.write(&slot(k), &mut out);
            out.bytes().to_vec()
        })
        .collect()
}

fn values(feed: &str, count: u64, per_ms: u64) -> Vec<Value> {
    messages(feed, 7, count, per_ms).iter().map(|payload| read(payload)).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    for feed in FEEDS {
        assert_eq!(messages(feed, 7, 500, 3), messages(feed, 7, 500, 3), "{feed}");
        assert_ne!(messages(feed, 7, 500, 3), messages(feed, 8, 500, 3), "{feed}");
    }
    assert_eq!(src(7, "kraken_tick"), src(7, "kraken_tick"));
    let sources: HashSet<u32> = FEEDS.iter().flat_map(|feed| [src(7, feed), src(8, feed)]).collect();
    assert_eq!(sources.len(), 2 * FEEDS.len());
}

#[test]
fn messages_have_the_sizes_of_the_venues() {
    let bounds = [(250, 350), (500, 750), (200, 700), (250, 400), (100, 350)];
    for (feed, (low, high)) in FEEDS.into_iter().zip(bounds) {
        let mut sizes: Vec<usize> = messages(feed, 7, 1_001, 1).iter().map(Vec::len).collect();
        sizes.sort_unstable();
        assert!((low..=high).contains(&sizes[500]), "{feed}: median {}", sizes[500]);
    }
}

#[test]
fn a_symbols_points_never_share_time_and_ordinal() {
    for (feed, symbol, time) in [
        ("kraken_tick", "symbol", "timestamp"),
        ("kraken_depth", "symbol", "timestamp"),
        ("oanda_tick", "instrument", "time"),
    ] {
        let mut seen = HashSet::new();
        let mut tied = 0;
        for message in values(feed, 2_000, 40) {
            assert!(seen.insert((message[symbol].clone(), message[time].clone(), message["_tie"].clone())));
            tied += u64::from(message["_tie"] != 0);
        }
        assert!(tied > 1_000, "{feed}: {tied}");
    }
}

#[test]
fn a_runners_points_never_share_time_and_ordinal() {
    let mut seen = HashSet::new();
    let mut tied = 0;
    for message in values("betfair_stream", 5_000, 40) {
        tied += u64::from(message["_tie"] != 0);
        for market in message["mc"].as_array().unwrap() {
            let changed = market.get("rc").or_else(|| market["marketDefinition"].get("runners")).unwrap();
            for runner in changed.as_array().unwrap() {
                let ids = (market["id"].clone(), runner["id"].clone());
                assert!(seen.insert((ids, message["pt"].clone(), message["_tie"].clone())), "{message}");
            }
        }
    }
    assert!(tied > 500, "{tied}");
}

#[test]
fn trades_of_a_pair_are_numbered_without_a_hole() {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for message in values("kraken_trades", 1_000, 5) {
        for trade in message["data"].as_array().unwrap() {
            let id = trade["trade_id"].as_u64().unwrap();
            let before = last.insert(trade["symbol"].to_string(), id);
            assert!(before.is_none_or(|before| before + 1 == id));
        }
    }
}

#[test]
fn every_book_has_ten_sorted_levels_a_side_does_not_cross_and_fits_its_checksum() {
    for message in values("kraken_depth", 2_000, 1) {
        let side = |key: &str| -> Vec<(String, String)> {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            message[key].as_array().unwrap().iter().map(|level| (text(&level[0]), text(&level[1]))).collect()
        };
        let (bids, asks) = (side("bids"), side("asks"));
        let prices = |side: &[(String, String)]| -> Vec<f64> {
            side.iter().map(|(p, _)| p.parse().unwrap()).collect()
        };
        let (bid_prices, ask_prices) = (prices(&bids), prices(&asks));
        assert!(bid_prices.is_sorted_by(|a, b| a > b) && ask_prices.is_sorted_by(|a, b| a < b), "{message}");
        assert!(
            bid_prices.len() == 10 && ask_prices.len() == 10 && bid_prices[0] < ask_prices[0],
            "{message}"
        );
        let digits: String = asks
            .iter()
            .chain(&bids)
            .flat_map(|(price, quantity)| [price, quantity])
            .map(|text| text.replace('.', "").trim_start_matches('0').to_owned())
            .collect();
        assert_eq!(message["checksum"], crc32fast::hash(digits.as_bytes()));
    }
}

#[test]
fn deltas_fit_the_image_before_them() {
    let mut offers: BTreeMap<(String, String), BTreeMap<i64, f64>> = BTreeMap::new();
    let hundredths = |value: &Value| (value.as_str().unwrap().parse::<f64>().unwrap() * 100.0).round() as i64;
    let all = values("betfair_stream", 20_000, 2);
    assert_eq!((&all[0]["ct"], all[0]["mc"].as_array().unwrap().len()), (&Value::from("SUB_IMAGE"), 5));
    for message in &all {
        let market = &message["mc"][0];
        for market in message["mc"].as_array().unwrap() {
            for runner in market["rc"].as_array().into_iter().flatten() {
                for side in ["atb", "atl"] {
                    let kept = offers
                        .entry((format!("{}/{}", market["id"], runner["id"]), side.to_owned()))
                        .or_default();
                    for offer in runner[side].as_array().into_iter().flatten() {
                        let size: f64 = offer[1].as_str().unwrap().parse().unwrap();
                        if size == 0.0 {
                            assert!(kept.remove(&hundredths(&offer[0])).is_some(), "{message}");
                        } else {
                            kept.insert(hundredths(&offer[0]), size);
                        }
                    }
                }
            }
        }
        for runner in market["rc"].as_array().into_iter().flatten() {
            let side = |side: &str| &offers[&(format!("{}/{}", market["id"], runner["id"]), side.to_owned())];
            let (back, lay) = (side("atb"), side("atl"));
            assert!(back.len() == 8 && lay.len() == 8, "{message}");
            assert!(back.keys().next_back() < lay.keys().next(), "{message}");
        }
    }
    let suspended = all.iter().filter(|m| m["mc"][0]["marketDefinition"]["status"] == "SUSPENDED").count();
    assert!((1..100).contains(&suspended), "{suspended}");
}
