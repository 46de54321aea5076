//! `tickline-bench cost`: what `tickline run` needs for a message, as a process of its own: CPU by stage, and memory.
//! One feed on so many sockets with so many symbols, at a rate that it keeps up with, or a recording flat out. Absolute figures: only those of
//! one script's run belong side by side.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tickline_feeds::payload::Decimals;
use tickline_loadgen::arrivals::Arrivals;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::plan::{FeedLoad, LoadPlan, Rate};
use tickline_loadgen::replay::{self, ReplayPlan, Speed, TimeMode};
use tickline_loadgen::result::LoadResult;
use tickline_loadgen::run::{Running, start};

use super::Code;
use super::pairs::duration;
use super::program::{Program, children_cpu_s};

/// Bursts a second.
const BURSTS_PER_S: f64 = 100.0;

/// Arguments of `cost`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    program: Program,
    /// Feed of the registry.
    #[arg(long, default_value = "kraken_tick")]
    feed: String,
    /// Publishers of it, each on a socket of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    sockets: u16,
    /// Symbols of each.
    #[arg(long, default_value_t = 100)]
    symbols: usize,
    /// Messages a second, of all together.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
    /// Messages come one by one at equal distances; else all of 10 ms at once, so that waking up does not count.
    #[arg(long)]
    even: bool,
    /// Publishes this recording, flat out, instead of making messages up.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sockets", "symbols", "rate", "even"])]
    replay: Option<PathBuf>,
    /// How long they are sent; of a recording, how long it is waited for.
    #[arg(long, default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// Seed of the generator.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Sets one key of the configuration; of a feed's section, `feeds.*.KEY`. Without a sink the null sink.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Code> {
    let (generator, topic, kind) = publish(arguments)?;
    let mut sets = Vec::new();
    for (at, (_, endpoint)) in generator.endpoints().enumerate() {
        let name = format!("{kind}_{at}");
        let texts = [("endpoint", endpoint), ("topic", topic.as_str()), ("decoder", kind.as_str())];
        sets.extend(texts.map(|(key, value)| format!("feeds.{name}.{key}=\"{value}\"")));
        let own = arguments.sets.iter().filter_map(|set| set.strip_prefix("feeds.*."));
        sets.extend(own.map(|set| format!("feeds.{name}.{set}")));
    }
    sets.extend(arguments.sets.iter().filter(|set| !set.starts_with("feeds.*.")).cloned());
    if !sets.iter().any(|set| set.starts_with("sinks.")) {
        sets.push("sinks.null.kind=\"null\"".to_owned());
    }
    let before_s = children_cpu_s()?;
    let report = arguments.program.run(arguments.duration, &sets)?;
    let cpu_s = children_cpu_s()? - before_s;
    generator.stop();
    let load = generator.finish()?;
    println!("{:#}", told(arguments, &report, &load, cpu_s)?);
    // What came after the engine's end would be messages that cost nothing.
    let (sent, received) = (load.load().sent, report["ledger"]["decoded"].as_u64().unwrap_or_default());
    if sent != received {
        eprintln!("cost: {sent} messages sent, {received} decoded");
    }
    Ok(if report["verdict"] == "pass" && sent == received { Code::Ok } else { Code::Ledger })
}

/// The running publishers, their topic and their decoder.
fn publish(arguments: &Arguments) -> Result<(Running, String, String)> {
    let sockets = usize::from(arguments.sockets);
    let rate = Rate::PerSecond(arguments.rate as f64 / sockets as f64);
    let load = FeedLoad::new(&arguments.feed, "127.0.0.1", rate)?;
    let burst = (arguments.rate as f64 / sockets as f64 / BURSTS_PER_S).round().max(1.0) as u32;
    let bursts = Arrivals::Bursts { messages: burst, within_ns: 0 };
    let arrivals = if arguments.even { Arrivals::Even } else { bursts };
    let endpoint = "tcp://127.0.0.1:*".to_owned();
    let load = FeedLoad { endpoint, arrivals, symbols: arguments.symbols, ..load };
    let (topic, kind) = (load.topic.clone(), load.feed.clone());
    let running = if let Some(file) = &arguments.replay {
        let plan = ReplayPlan {
            files: vec![file.clone()],
            feeds: vec![load],
            loops: 1,
            speed: Speed::Max,
            time: TimeMode::Original,
            decimals: Decimals::Text,
            wait: true,
            wait_timeout: Some(arguments.duration),
            sndhwm: LoadPlan::default().sndhwm,
            door: None,
        };
        replay::start(&plan, &replay::scan(&plan)?, OsClock::start())?
    } else {
        let plan = LoadPlan {
            feeds: vec![load; sockets],
            duration: Some(arguments.duration),
            seed: arguments.seed,
            ..LoadPlan::default()
        };
        start(plan, OsClock::start())?
    };
    Ok((running, topic, kind))
}

fn told(arguments: &Arguments, report: &Value, load: &LoadResult, cpu_s: f64) -> Result<Value> {
    let sent: u64 = load.feeds.iter().map(|feed| feed.sent).sum();
    let elapsed_ns = load.feeds.iter().map(|feed| feed.elapsed_ns).max().unwrap_or_default();
    let a_message = |seconds: f64| (seconds * 1e9 / sent.max(1) as f64).round();
    let stage =
        |name: &str| report["cpu_s"][name].as_f64().with_context(|| format!("cpu_s.{name} of the report"));
    let [rx, enc, wr] = [stage("rx")?, stage("enc")?, stage("wr")?];
    let payload_bytes: u64 = report["feeds"]
        .as_object()
        .into_iter()
        .flat_map(|feeds| feeds.values())
        .filter_map(|feed| feed["bytes"].as_u64())
        .sum();
    Ok(json!({
        "command": "cost", "feed": arguments.feed, "sockets": arguments.sockets, "symbols": arguments.symbols,
        "rate_per_s": arguments.rate, "even": arguments.even, "seed": arguments.seed, "sets": arguments.sets, "messages": sent,
        "load": load.load(), "achieved_per_s": sent as f64 * 1e9 / elapsed_ns.max(1) as f64,
        "payload_bytes": payload_bytes / sent.max(1), "cpu_ns_a_message": a_message(cpu_s),
        "stages_ns_a_message": {
            "receive": a_message(rx), "encode": a_message(enc), "write": a_message(wr),
            "other": a_message((cpu_s - rx - enc - wr).max(0.0)),
        },
        "rss_max_bytes": report["rss_max_bytes"], "report": report,
    }))
}
