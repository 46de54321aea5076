//! The commands: makes a plan of the command line, carries it out, and prints what was done.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use tickline_config::report::{FeedReport, Report, Verdict};
use tickline_feeds::clock::{Clock, MonoNanos};
use tickline_feeds::payload::rfc3339;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::host;
use tickline_loadgen::plan::{FeedLoad, LoadPlan, Rate};
use tickline_loadgen::record::{self, RecordPlan};
use tickline_loadgen::replay::{self, ReplayPlan, Span};
use tickline_loadgen::result::LoadResult;
use tickline_loadgen::run::{self, Running};

use crate::cli::{Command, OutputArgs, RecordArgs, ReplayArgs, RunArgs};

mod drill;

const USAGE: u8 = 2;
const INVALID: u8 = 3;

/// How often progress is looked at.
const TICK: Duration = Duration::from_millis(100);

/// Time between two status lines, ns.
const STATUS_NS: u64 = 1_000_000_000;

/// Carries out one command and gives its exit code.
pub(crate) fn execute(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Run(args) => run_load(args),
        Command::Replay(args) => replay_files(args),
        Command::Record(args) => record_topics(args),
        Command::Drill(args) => drill::run(args),
    }
}

/// SIGINT and SIGTERM set the flag; a second one ends the process at once.
fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

fn usage(error: impl std::fmt::Display) -> anyhow::Result<u8> {
    eprintln!("tickline-loadgen: {error}");
    Ok(USAGE)
}

fn run_load(args: RunArgs) -> anyhow::Result<u8> {
    let mut feeds = Vec::new();
    for name in &args.feeds {
        match FeedLoad::new(name, &args.bind, args.rate) {
            Ok(load) => feeds.push(load),
            Err(error) => return usage(error),
        }
    }
    for (name, endpoint) in args.endpoint {
        let Some(load) = feeds.iter_mut().find(|load| load.feed == name || load.topic == name) else {
            return usage(format!("endpoint: must be of a feed of --feeds, found {name:?}"));
        };
        load.endpoint = endpoint;
    }
    if let Some(symbols) = args.symbols {
        feeds.iter_mut().for_each(|load| load.symbols = symbols as usize);
    }
    let plan = LoadPlan {
        feeds,
        duration: args.duration,
        seed: args.seed,
        wait: !args.publish.no_wait,
        wait_timeout: args.publish.wait_timeout,
        decimals: args.publish.decimals.into(),
        burst: args.burst,
        sndhwm: args.publish.sndhwm,
        door: args.publish.door()?,
        capture: args.capture,
    };
    let stop = stop_on_signals()?;
    let running = run::start(plan, OsClock::start())?;
    let result = wait(running, &stop)?;
    print(&result.report("loadgen run", build()), &args.output)
}

fn replay_files(args: ReplayArgs) -> anyhow::Result<u8> {
    let mut feed = match FeedLoad::new(&args.feed, "127.0.0.1", Rate::Max) {
        Ok(feed) => feed,
        Err(error) => return usage(error),
    };
    if let Some(endpoint) = args.endpoint {
        feed.endpoint = endpoint;
    }
    let plan = ReplayPlan {
        files: args.files,
        feed,
        speed: args.speed,
        time: args.time,
        decimals: args.publish.decimals.into(),
        wait: !args.publish.no_wait,
        wait_timeout: args.publish.wait_timeout,
        sndhwm: args.publish.sndhwm,
        door: args.publish.door()?,
    };
    let stop = stop_on_signals()?;
    let clock = OsClock::start();
    let span = replay::scan(&plan)?;
    describe(&span, replay::shift_ns(plan.time, plan.speed, &span, clock.wall()));
    let running = replay::start(&plan, &span, clock)?;
    let result = wait(running, &stop)?;
    print(&result.report("loadgen replay", build()), &args.output)
}

/// The time span that will be published, before anything is.
fn describe(span: &Span, shift_ns: i64) {
    let moved = |time: tickline_feeds::clock::WallNanos| {
        rfc3339(tickline_feeds::clock::WallNanos(time.0.saturating_add(shift_ns)), 6)
    };
    let times = match span.times {
        Some((first, last)) => format!("with venue times {} to {}", moved(first), moved(last)),
        None => "without venue times".to_owned(),
    };
    eprintln!("{} messages {times}", span.messages);
    if span.passed_over > 0 {
        eprintln!("{} messages of other kinds are not published", span.passed_over);
    }
    if span.torn_bytes > 0 {
        eprintln!("{} bytes behind the last whole record are not read", span.torn_bytes);
    }
}

fn record_topics(args: RecordArgs) -> anyhow::Result<u8> {
    let own = || match &args.curve_secret_key {
        Some(path) => tickline_loadgen::door::keys(path),
        None => Ok(tickline_feeds::curve::KeyPair::generate()?),
    };
    let curve = args.curve_server_key.clone().map(|server| anyhow::Ok((own()?, server))).transpose()?;
    let plan = RecordPlan {
        endpoints: args.connect,
        topics: args.topic,
        file: args.file,
        duration: args.duration,
        rcvhwm: args.rcvhwm,
        curve,
    };
    let stop = stop_on_signals()?;
    let recorded = record::record(&plan, &OsClock::start(), &stop)?;
    let elapsed_s = recorded.elapsed_ns as f64 / 1e9;
    let mut report = LoadResult::default().report("loadgen record", build());
    report.elapsed_s = elapsed_s;
    report.ledger.published = None;
    report.ledger.received = recorded.frames;
    let mut all = FeedReport {
        frames: recorded.frames,
        bytes: recorded.bytes,
        rate_per_s: if elapsed_s > 0.0 { recorded.frames as f64 / elapsed_s } else { 0.0 },
        ..FeedReport::default()
    };
    all.ledger.received = recorded.frames;
    all.ledger.balanced = true;
    all.counters.insert("malformed".to_owned(), recorded.malformed);
    report.feeds.insert(if plan.topics.is_empty() { "*".to_owned() } else { plan.topics.join(",") }, all);
    print(&report, &args.output)
}

fn build() -> tickline_config::report::Build {
    host::build(env!("CARGO_PKG_VERSION"), option_env!("TICKLINE_COMMIT"))
}

/// Waits until the run has ended or a signal has ended it, with a status line a second on a terminal.
fn wait(running: Running, stop: &AtomicBool) -> anyhow::Result<LoadResult> {
    for (feed, endpoint) in running.endpoints() {
        eprintln!("{feed}: publishes at {endpoint}");
    }
    let on_terminal = std::io::stderr().is_terminal();
    let clock = OsClock::start();
    let mut shown = MonoNanos(0);
    while !running.is_finished() {
        std::thread::park_timeout(TICK);
        if stop.load(Ordering::Relaxed) {
            running.stop();
        }
        let now = clock.mono();
        if on_terminal && now.since(shown) >= STATUS_NS {
            let feeds: Vec<String> = running
                .progress()
                .map(|(feed, progress)| match progress.started.load(Ordering::Relaxed) {
                    true => format!("{feed} {}", progress.sent.load(Ordering::Relaxed)),
                    false => format!("{feed} waits for a subscriber"),
                })
                .collect();
            eprintln!("{}", feeds.join("  "));
            shown = now;
        }
    }
    Ok(running.finish()?)
}

/// Writes the report as JSON where that was asked for.
fn give(report: &Report, output: &OutputArgs) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    if let Some(path) = &output.report {
        std::fs::write(path, format!("{json}\n")).with_context(|| path.display().to_string())?;
    }
    if output.json {
        writeln!(std::io::stdout().lock(), "{json}")?;
    }
    Ok(())
}

fn print(report: &Report, output: &OutputArgs) -> anyhow::Result<u8> {
    give(report, output)?;
    let mut out = std::io::stdout().lock();
    if !output.json {
        for (name, feed) in &report.feeds {
            let (messages, bytes, rate) = (feed.frames, feed.bytes, feed.rate_per_s);
            match messages {
                0 => writeln!(out, "{name}: no message")?,
                _ => writeln!(out, "{name}: {messages} messages, {bytes} bytes, {rate:.0}/s")?,
            }
        }
        let load = &report.load;
        if load.planned > 0 {
            let (planned, late, blocked) = (load.planned, load.late, load.blocked);
            let busy = load.busy_ratio * 100.0;
            writeln!(out, "planned {planned}, late {late}, blocked {blocked}, busiest sender {busy:.1} %")?;
        }
        for reason in &report.reasons {
            writeln!(out, "invalid: {reason}")?;
        }
    }
    Ok(if report.verdict == Verdict::Invalid { INVALID } else { 0 })
}
