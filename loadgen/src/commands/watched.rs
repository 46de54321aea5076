//! A load with an engine under it: finds the engine, watches both, and gives out what was measured.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use tickline_config::report::Verdict;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::interval;
use tickline_loadgen::measure::{Measured, Second, Terms, Watch, measure, stages};
use tickline_loadgen::output;
use tickline_loadgen::run::Running;
use tickline_loadgen::target::{DEFAULT_URL, Target};
use tickline_loadgen::threshold::{Condition, Sight, judge, nanos};

use super::{NO_RESULT, Usage, build, exit_code, give, save, writable};
use crate::cli::MeasureArgs;

/// The engine to watch; none if there is none and nothing needs it. Refused is what the run could not tell, and a file
/// that could not be written.
pub(super) fn begin(
    args: &MeasureArgs,
    fail_if: &[Condition],
    scheduled: bool,
    clock: &OsClock,
) -> anyhow::Result<Option<Watch>> {
    let watch = find(args, fail_if, clock)?;
    refuse_unseen(watch.as_ref(), fail_if, scheduled)?;
    let log = args.hdr.as_deref().map(|prefix| hdr_file(prefix, "hlog"));
    writable([&args.csv, &args.html, &log, &args.output.report].into_iter().flatten())?;
    Ok(watch)
}

/// Refuses conditions on what a run cannot tell, or not so exactly.
pub(super) fn refuse_unseen(
    watch: Option<&Watch>,
    conditions: &[Condition],
    scheduled: bool,
) -> anyhow::Result<()> {
    let (target, clock_error_ns) = (watch.map(Watch::before), watch.and_then(Watch::clock_error_ns));
    Sight { scheduled, target, clock_error_ns }.shows(conditions).map_err(Usage::of)
}

fn find(args: &MeasureArgs, fail_if: &[Condition], clock: &OsClock) -> anyhow::Result<Option<Watch>> {
    let url = match args.target.as_deref() {
        Some("none") => return Ok(None),
        Some(url) => return Ok(Some(Watch::begin(Target::new(url).map_err(Usage::of)?, clock)?)),
        None => DEFAULT_URL,
    };
    let needing = fail_if.iter().find(|condition| condition.metric().needs_target());
    match (Watch::begin(Target::new(url)?, clock), needing) {
        (Ok(watch), Some(_)) => Ok(Some(watch)),
        (Ok(watch), None) => Ok(Some(watch.if_it_lasts())),
        (Err(error), Some(condition)) => Err(error).context(format!("{condition} needs a target")),
        (Err(_), None) => Ok(None),
    }
}

/// How a load is watched to its end.
pub(super) struct Job<'a> {
    /// Command, for the report.
    pub(super) command: &'a str,
    pub(super) args: &'a MeasureArgs,
    /// What must not be.
    pub(super) fail_if: &'a [Condition],
    pub(super) stop: &'a AtomicBool,
    /// Why the load is not the one that was asked for, however well it goes.
    pub(super) flaw: Option<String>,
}

/// Watches to the end, gives out everything that was asked for, and tells the exit code.
pub(super) fn finish(running: Running, watch: Option<Watch>, job: Job<'_>) -> anyhow::Result<u8> {
    let Job { command, args, fail_if, stop, flaw } = job;
    for (feed, endpoint) in running.endpoints() {
        eprintln!("{feed}: publishes at {endpoint}");
    }
    let terms = Terms { command, build: build(), settle: args.settle, stop };
    let on_terminal = std::io::stderr().is_terminal();
    let mut measured = measure(running, watch, terms, |running, second| {
        if on_terminal {
            eprintln!("{}", status_line(running, second));
        }
    })?;
    let crossed = judge(&mut measured.report, fail_if);
    let flawed = flaw.is_some();
    if flawed {
        measured.report.verdict = Verdict::Fail;
        measured.report.reasons.extend(flaw);
    }
    give(&measured.report, &args.output).and(write_files(&measured, args))?;
    // What nobody needs may be missing; the report says that it is.
    if flawed || measured.missing.is_some() && measured.report.verdict == Verdict::Fail {
        return Ok(NO_RESULT);
    }
    Ok(exit_code(&measured.report, crossed?))
}

fn status_line(running: &Running, second: Option<&Second>) -> String {
    let waits = |(feed, progress): (&str, &tickline_loadgen::publish::Progress)| {
        (!progress.started.load(Ordering::Relaxed)).then(|| format!("{feed} waits for a subscriber"))
    };
    let Some(second) = second else {
        return running.progress().filter_map(waits).collect::<Vec<_>>().join("  ");
    };
    let mut line = format!("{:>6.1} s  sent {:.0}/s", second.at_s, second.sent as f64 / second.span_s);
    if let Some(target) = &second.target {
        let (received, written) = (target.received as f64, target.written as f64);
        let (received, written) = (received / second.span_s, written / second.span_s);
        line += &format!("  received {received:.0}/s  points written {written:.0}/s");
        if let Some((name, latency)) = target.stages.last() {
            line += &format!("  {name} p50 {} p99 {}", nanos(latency.p50), nanos(latency.p99));
        }
    }
    line
}

/// One of the files that begin with a prefix.
fn hdr_file(prefix: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}.{ending}", prefix.display()))
}

/// Writes all that can be written, and tells the first that could not.
fn write_files(measured: &Measured, args: &MeasureArgs) -> anyhow::Result<()> {
    let csv = args.csv.as_deref().map(|path| save(path, output::csv(&measured.seconds).as_bytes()));
    let html = args.html.as_deref().map(|path| save(path, output::page(measured).as_bytes()));
    let hdr = args.hdr.as_deref().map(|prefix| write_hdr(measured, prefix));
    [csv, html, hdr].into_iter().flatten().fold(Ok(()), Result::and)
}

fn write_hdr(measured: &Measured, prefix: &Path) -> anyhow::Result<()> {
    save(&hdr_file(prefix, "hlog"), &output::interval_log(&measured.seconds, measured.start)?)?;
    stages(&measured.report).into_iter().try_for_each(|stage| {
        let Some(histogram) = interval::histogram(stage.due) else { return Ok(()) };
        let path = hdr_file(prefix, &format!("{}.hgrm", stage.label()));
        save(&path, output::percentiles(&histogram).as_bytes())
    })
}
