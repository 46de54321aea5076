//! What each feed sends in these tests, and the points that must then be stored: both are made of the same
//! numbers, here, and not by anything that the product does.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::points::{Row, row};
use crate::program::feed;
use crate::publisher::Publisher;

mod betfair;
mod kraken;
mod others;

pub(crate) use others::CUSTOM;

/// 2026-08-03T12:30:00Z
pub(crate) const SECOND_NS: i64 = 1_785_760_200_000_000_000;
const SECOND: &str = "2026-08-03T12:30:00";

/// Messages of each feed.
const MESSAGES: i64 = 60;

/// What a feed sends, and what a database must then hold.
#[derive(Default)]
pub(crate) struct Case {
    /// Payload without reserved keys, and the time at which the venue's bytes came.
    pub(crate) messages: Vec<(String, i64)>,
    /// Points by measurement.
    pub(crate) points: BTreeMap<&'static str, Vec<Row>>,
}

impl Case {
    fn expect(&mut self, measurement: &'static str, point: &Value) {
        self.points.entry(measurement).or_default().push(row(point));
    }
}

/// Every feed, by name.
fn every_feed() -> Vec<(&'static str, Case)> {
    vec![
        ("kraken_tick", kraken::tick()),
        ("kraken_depth", kraken::depth()),
        ("kraken_trades", kraken::trades()),
        ("oanda_tick", others::oanda()),
        ("betfair_stream", betfair::stream()),
        ("fills", others::custom()),
    ]
}

/// Every feed with a publisher of its own on a free port, and the keys of them all.
pub(crate) fn every_publisher(context: &zmq::Context) -> (Vec<String>, Vec<(&'static str, Case, Publisher)>) {
    let mut keys: Vec<String> = CUSTOM.map(str::to_owned).into();
    let mut publishers = Vec::new();
    for (name, case) in every_feed() {
        let topic = tickline_config::registry::find(name).map_or(name, |row| row.topic);
        let publisher = Publisher::bind(context, topic);
        keys.extend(feed(name, &publisher.endpoint));
        publishers.push((name, case, publisher));
    }
    (keys, publishers)
}

/// A decimal of `units / 10^digits` as a venue writes it.
fn decimal(units: i64, digits: usize) -> String {
    let unit = 10_i64.pow(digits as u32);
    format!("{}.{:0digits$}", units / unit, units % unit)
}

/// The float of such a decimal.
fn float(units: i64, digits: usize) -> f64 {
    decimal(units, digits).parse().unwrap()
}
