//! `tickline-bench rss`: the resident memory of `tickline run`, as a process of its own, into the null sink, with
//! four generated feeds and about 10,000 series.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tickline_bench::shapes::Shape;
use tickline_feeds::capture::Reader;
use tickline_feeds::frame::Frame;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::plan::{FeedLoad, LoadPlan, Rate};
use tickline_loadgen::run::start;

use super::Code;
use super::pairs::duration;
use super::program::Program;

/// Feeds and their symbols: 1 series a pair, 10 a book, 1 an instrument, about 21 a market.
const FEEDS: [(&str, usize); 4] =
    [("kraken_tick", 1_000), ("kraken_depth", 300), ("oanda_tick", 1_000), ("betfair_stream", 250)];
const RATE: f64 = 2_000.0;

/// Arguments of `rss`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    program: Program,
    /// How long the feeds send.
    #[arg(long, default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// Seed of the generator.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Code> {
    let dir = tempfile::tempdir()?;
    let object = measure(arguments, dir.path())?;
    println!("{object:#}");
    let passed = object["report"]["verdict"] == "pass";
    Ok(if passed { Code::Ok } else { Code::Ledger })
}

fn measure(arguments: &Arguments, dir: &Path) -> Result<Value> {
    let capture = dir.join("load.capture");
    let feeds = FEEDS.iter().map(|(name, symbols)| {
        let load = FeedLoad::new(name, "127.0.0.1", Rate::PerSecond(RATE))?;
        Ok(FeedLoad { endpoint: "tcp://127.0.0.1:*".to_owned(), symbols: *symbols, ..load })
    });
    let plan = LoadPlan {
        feeds: feeds.collect::<Result<_>>()?,
        duration: Some(arguments.duration),
        seed: arguments.seed,
        capture: Some(capture.clone()),
        ..LoadPlan::default()
    };
    let generator = start(plan, OsClock::start())?;
    let mut sets = vec!["sinks.null.kind=\"null\"".to_owned()];
    sets.extend(
        generator.endpoints().map(|(feed, endpoint)| format!("feeds.{feed}.endpoint=\"{endpoint}\"")),
    );
    let report = arguments.program.run(arguments.duration, &sets)?;
    generator.stop();
    let load = generator.finish()?;
    let sent: u64 = load.feeds.iter().map(|feed| feed.sent).sum();
    let series = series(&capture, &load.feeds.iter().map(|feed| feed.feed.clone()).collect::<Vec<_>>())?;
    Ok(json!({
        "command": "rss", "rss_max_bytes": report["rss_max_bytes"], "series": series, "messages": sent,
        "seed": arguments.seed, "report": report,
    }))
}

/// Series of everything that was sent: the same messages stand in the capture.
fn series(capture: &Path, feeds: &[String]) -> Result<usize> {
    let mut total = 0;
    for name in feeds {
        let topic = FeedLoad::new(name, "127.0.0.1", Rate::Max)?.topic;
        let mut decoder = Shape::named(name).context("a shape of that name")?.decoder();
        let mut reader = Reader::new(BufReader::new(File::open(capture)?))?;
        let mut lines = Vec::new();
        while let Some(record) = reader.next_record()? {
            if record.topic == topic.as_bytes() {
                let (recv, payload) = (record.recv, record.payload);
                let frame =
                    Frame { feed: 0, endpoint: 0, recv, topic: record.topic, payload, oversized: false };
                decoder.decode(&frame, &mut lines);
                lines.clear();
            }
        }
        total += decoder.series();
    }
    Ok(total)
}
