//! The engine in this process, behind a sender: the numerator of every ratio. Measured from the sender's first
//! message to the moment when the sink has settled the last point.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tickline::ledger::Reading;
use tickline::plan::Plan;
use tickline::report::{Histograms, Standard, judge, report};
use tickline::run::{Run, Setup, Source};
use tickline_bench::shapes::Shape;
use tickline_config::model::{Config, DecoderKind, FieldChoice};
use tickline_config::report::{Load as LoadReport, Report, Verdict};
use tickline_config::{KRAKEN_CSV, Loaded};
use tickline_feeds::clock::Clock;
use tickline_feeds::instruments::Instruments;
use tickline_loadgen::clock::OsClock;

use super::child::{Load, Sender};
use super::sender::Sent;
use super::{Measured, Unusable};

/// How often it is asked whether everything is settled.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How long nothing may arrive or be settled.
const STUCK_NS: u64 = 30_000_000_000;

/// A sender that was late with a larger share of its messages was the limit.
const LATE_SHARE_MAX: f64 = 0.001;

/// The configuration of one feed of `shape` at `endpoint`, with `sinks` as arguments of `--set`.
pub(crate) fn configuration(shape: &Shape, endpoint: &str, sinks: &[String]) -> Result<Loaded> {
    let name = shape.name;
    let decoder = DecoderKind::ALL.iter().find(|(_, kind)| *kind == shape.decoder).map_or("", |(n, _)| n);
    let fields = match &shape.fields {
        FieldChoice::Core => "\"core\"".to_owned(),
        FieldChoice::All => "\"all\"".to_owned(),
        FieldChoice::List(names) => format!("{names:?}"),
    };
    let mut sets = vec![
        "engine.ledger_every=\"inf\"".to_owned(),
        format!("feeds.{name}.endpoint=\"{endpoint}\""),
        format!("feeds.{name}.topic=\"{name}\""),
        format!("feeds.{name}.decoder=\"{decoder}\""),
        format!("feeds.{name}.fields={fields}"),
    ];
    if !shape.reserved {
        sets.push(format!("feeds.{name}.system_fields=[]"));
    }
    sets.extend_from_slice(sinks);
    Config::load(&[], &sets, &|name| std::env::var(name).ok())
        .map_err(|errors| anyhow::Error::new(Unusable(errors.to_string())))
}

/// Receives, decodes and writes everything that a sender sends.
pub(crate) fn receive(load: &Load, sinks: &[String]) -> Result<(Measured, Report)> {
    let mut sender = Sender::start(load)?;
    let loaded = configuration(&load.shape, &sender.endpoint, sinks)?;
    let cores: Vec<usize> = (0..std::thread::available_parallelism().map_or(1, usize::from)).collect();
    let clock = OsClock::start();
    let started_ns = clock.wall().0;
    let mut run = Run::start(Setup {
        command: "e2e",
        config: &loaded.config,
        config_text: (loaded.effective.clone(), Some(loaded.sha256.clone())),
        plan: Plan::new(&loaded.config, &cores).map_err(|error| Unusable(error.to_string()))?,
        clock: Arc::new(clock),
        open_sink: &|plan| {
            tickline_sinks::open::open(&plan.name, "bench", started_ns, &plan.sink)
                .map_err(|error| error.to_string())
        },
        instruments: Arc::new(Instruments::from_csv(KRAKEN_CSV)?),
        resume: BTreeMap::new(),
        source: Source::Sockets,
        rejects: None,
    })?;
    // The last message and the end that is said after it.
    let done_ns = settle(&run, &mut sender, load.messages + 1)?;
    run.drain(loaded.config.engine.shutdown_timeout);
    let sent = sender.sent()?;
    let mut report = report(&run.view(), Histograms::LeaveOut);
    judge(&mut report, Standard::Lossless);
    held_against(&mut report, &sent);
    let elapsed_s = (done_ns - sent.first_ns) as f64 / 1e9;
    // The end carries a time, too.
    let latency = report.latency_ns.get("publish_to_encode").filter(|latency| latency.count > 1);
    let latency_ns = latency.map(|latency| (latency.p50, latency.p99));
    Ok((Measured { msgs_per_s: sent.messages as f64 / elapsed_s, latency_ns }, report))
}

/// Waits until `frames` frames have come and everything made of them is settled; the wall time of that, ns.
fn settle(run: &Run, sender: &mut Sender, frames: u64) -> Result<i64> {
    let view = run.view();
    let (mut last, mut since) = ((0, 0), view.clock.mono());
    loop {
        let reading = Reading::take(&view.stats);
        let received: u64 = reading.feeds_in.iter().map(|feed| feed.received).sum();
        let taken: u64 = reading.feeds_out.iter().map(|feed| feed.taken).sum();
        let made: u64 = reading.feeds_out.iter().map(|feed| feed.counts.points_made).sum();
        let settled: u64 = reading.sinks_out.iter().map(|sink| sink.settled).sum();
        if received >= frames && taken == received && settled == made {
            return Ok(view.clock.wall().0);
        }
        let now = view.clock.mono();
        if last != (received, settled) {
            (last, since) = ((received, settled), now);
        }
        ensure!(view.stop.running(), "the engine has ended early");
        if now.since(since) > STUCK_NS {
            let ended = sender.has_ended()?;
            bail!(
                "stuck: {received} of {frames} received, {settled} of {made} settled, sender ended: {ended}"
            );
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Holds the ledger against the sender's own count, and puts the sender's part into the report.
fn held_against(report: &mut Report, sent: &Sent) {
    let received: u64 = report.feeds.values().map(|feed| feed.frames).sum();
    if received != sent.messages + 1 {
        report.verdict = Verdict::Fail;
        report.reasons.push(format!("{} messages sent, {received} frames received", sent.messages + 1));
    }
    if sent.late as f64 > sent.messages as f64 * LATE_SHARE_MAX && report.verdict == Verdict::Pass {
        report.verdict = Verdict::Invalid;
        let (late, messages) = (sent.late, sent.messages);
        report.reasons.push(format!("{late} of {messages} messages were sent more than 10 ms late"));
    }
    // A shape without sequences keeps null: only counting both ends shows a loss there.
    report.ledger.published = report.ledger.published.map(|_| sent.messages);
    report.load =
        LoadReport { planned: sent.messages, sent: sent.messages, late: sent.late, ..LoadReport::default() };
}

/// The engine's defaults, for floors that use its socket options.
pub(crate) fn defaults(shape: &Shape) -> Result<Loaded> {
    configuration(shape, "tcp://127.0.0.1:1", &null_sink()).context("the defaults are valid")
}

/// The sink that forgets.
pub(crate) fn null_sink() -> Vec<String> {
    vec!["sinks.null.kind=\"null\"".to_owned(), "sinks.null.durability=\"memory\"".to_owned()]
}
