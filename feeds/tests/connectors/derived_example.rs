//! The example that stores statistics and bars takes every value that is published.

use std::path::PathBuf;
use std::sync::Arc;

use tickline_config::model::{Config, Feed};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::decoder::{Decoder, DecoderSpec};
use tickline_feeds::derive::{Bars, BarsSettings, Price, Statistics, StatisticsSettings};
use tickline_feeds::frame::Frame;
use tickline_feeds::instruments::Instruments;

use crate::derived::{hear, payload, trade};
use crate::rig::{Done, Rig, SECOND_NS, START_NS};

fn feed(name: &str) -> Feed {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config/examples/derived.toml");
    let mut config = Config::load(&[file], &[], &|_| None).unwrap().config;
    config.feeds.remove(name).unwrap()
}

/// Lines of the first payload, as the feed of the example decodes it.
fn lines(name: &str, done: &Done) -> String {
    let instruments = Arc::new(Instruments::from_csv("").unwrap_or_default());
    let spec = DecoderSpec { feed: feed(name), legacy_tick: false };
    let mut decoder = Decoder::new(&spec, instruments).unwrap();
    let recv = WallNanos(START_NS + 60 * SECOND_NS as i64);
    let topic = done.sent[0].0.as_bytes();
    let frame = Frame { feed: 0, endpoint: 0, recv, topic, payload: &done.bytes[0], oversized: false };
    let mut lines = Vec::new();
    decoder.decode(&frame, &mut lines);
    String::from_utf8(lines).unwrap()
}

fn ticks<C: tickline_feeds::connect::Connector>(rig: &mut Rig<C>) {
    for (price, ms) in [("100.0", 0), ("101.0", 1_000), ("99.0", 2_000), ("102.0", 2_000)] {
        hear(rig, &payload(&trade("BTC/USD", price, "1", START_NS + ms * 1_000_000)));
    }
}

#[test]
fn a_statistic_and_a_bar_are_stored_value_by_value_under_the_venue_s_time() {
    let (endpoint, from) = (String::new(), String::new());
    let (window_ns, every_ns) = (60 * SECOND_NS, 10 * SECOND_NS);
    let topic = "statistics".to_owned();
    let settings = StatisticsSettings { endpoint, from, topic, window_ns, every_ns, price: Price::Last };
    let mut rig = Rig::new(Statistics::new(settings)).0;
    ticks(&mut rig);
    let line = lines("statistics", &rig.pass(10 * SECOND_NS));
    let expected = "statistics,symbol=BTC/USD,window_s=60 count=4i,mean=100.50000,deviation=1.29099,min=99.0,\
        max=102.0,p05=99.0,p50=100.0,p95=102.0,return=0.0200000000,volatility=0.0250950242,recv_ns=";
    assert!(line.starts_with(expected) && line.ends_with(" 1785641702000000000\n"), "{line}");

    let (endpoint, from, topic) = (String::new(), String::new(), "bars".to_owned());
    let settings = BarsSettings { endpoint, from, topic, every_ns, late_ns: 0, price: Price::Last };
    let mut rig = Rig::new(Bars::new(settings)).0;
    ticks(&mut rig);
    let line = lines("bars", &rig.pass(10 * SECOND_NS));
    let expected = "bar,interval_s=10,symbol=BTC/USD open=100.0,high=102.0,low=99.0,close=102.0,ticks=4i,\
        complete=false,recv_ns=";
    assert!(line.starts_with(expected) && line.ends_with(" 1785641700000000000\n"), "{line}");
}
