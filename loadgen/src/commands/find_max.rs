//! `find-max`: the highest rate that holds, as a certificate; `certify --check`: the same again, compared.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use tickline_config::report::Report;
use tickline_feeds::clock::Clock;
use tickline_feeds::payload::rfc3339;
use tickline_loadgen::certificate::{Certificate, SCHEMA};
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::curve::Pace;
use tickline_loadgen::find_max::{Search, Trial};
use tickline_loadgen::measure::{Terms, Watch, measure};
use tickline_loadgen::plan::{FeedLoad, LoadPlan};
use tickline_loadgen::run;
use tickline_loadgen::target::Target;

use super::engine::Found;
use super::{CROSSED, INVALID, Usage, build, load, stop_on_signals};
use crate::cli::{CertifyArgs, Command, CommandLine, FindMaxArgs};

/// How long after a trial its last points may be written, as a share of the trial, and at least, s.
const BACKLOG_SHARE: f64 = 0.2;
const BACKLOG_LEAST_S: f64 = 1.5;

/// Slowest load that is tried, messages a second.
const LEAST_PER_S: f64 = 1.0;

pub(super) fn run(args: FindMaxArgs) -> anyhow::Result<u8> {
    let certificate = search(&args, arguments())?;
    give(&certificate, args.certificate.as_deref(), args.json)?;
    Ok(exit_code(&certificate))
}

/// Repeats what an old certificate did and holds the new capacity against it.
pub(super) fn certify(args: CertifyArgs) -> anyhow::Result<u8> {
    let old = Certificate::read(&args.check)?;
    let words = ["tickline-loadgen", "find-max"].into_iter().map(str::to_owned);
    let parsed = CommandLine::try_parse_from(words.chain(old.arguments.clone()));
    let Ok(CommandLine { command: Command::FindMax(mut again) }) = parsed else {
        let arguments = old.arguments.join(" ");
        return Err(Usage::of(format!(
            "{}: arguments must be those of find-max, found {arguments}",
            args.check.display()
        )));
    };
    again.engine = args.engine;
    let new = search(&again, old.arguments.clone())?;
    give(&new, args.certificate.as_deref(), args.json)?;
    let ratio = new.ratio_to(&old);
    eprintln!("capacity {:.0}/s, was {:.0}/s: {:.3} of it", new.capacity_per_s, old.capacity_per_s, ratio);
    new.differences(&old).iter().for_each(|line| eprintln!("  {line}"));
    let code = exit_code(&new);
    let crossed = ratio < 1.0 - args.tolerance;
    Ok(if code == 0 && crossed { CROSSED } else { code })
}

/// The command line without what names an engine or files: what a repetition needs.
fn arguments() -> Vec<String> {
    const NAMES: [&str; 4] = ["--target", "--run", "--engine", "--certificate"];
    let mut kept = Vec::new();
    let mut words = std::env::args().skip_while(|word| word != "find-max").skip(1);
    while let Some(word) = words.next() {
        if NAMES.contains(&word.as_str()) {
            words.next();
        } else if word != "--json" && !NAMES.iter().any(|name| word.starts_with(&format!("{name}="))) {
            kept.push(word);
        }
    }
    kept
}

fn search(args: &FindMaxArgs, arguments: Vec<String>) -> anyhow::Result<Certificate> {
    let (plan, _) = load::plan(&args.load, &args.publish)?;
    let base = planned(&plan, args).ok_or_else(|| {
        Usage::of("find-max: every feed must have a rate that can be scaled, found max".to_owned())
    })?;
    let stop = stop_on_signals()?;
    let found = Found::by(&args.engine, &[], &stop)?;
    let first = found.target.status()?;
    let range = (LEAST_PER_S / base, args.max_rate / base);
    let mut search = Search::new((range.0.min(1.0), range.1), args.precision);
    let mut trials: Vec<Trial> = Vec::new();
    while let Some(factor) = search.next() {
        let mut trial = attempt(args, &plan, factor, trials.len(), &found.target, &stop)?;
        show(&trial);
        if !trial.held && !stop.load(Ordering::Relaxed) {
            // One disturbance of the machine is no limit: what breaks once is tried once more.
            trials.push(trial);
            trial = attempt(args, &plan, factor, trials.len(), &found.target, &stop)?;
            show(&trial);
        }
        ensure!(!stop.load(Ordering::Relaxed), "stopped before the search had a result");
        search.tried(factor, trial.held);
        trials.push(trial);
    }
    let databases = versions(&found.target).unwrap_or_default();
    // What was found out holds, however the engine ends.
    if let Err(error) = found.end() {
        eprintln!("tickline-loadgen: warning: {error:#}");
    }
    Ok(certificate(args, arguments, search.highest().unwrap_or(0.0) * base, trials, &first, databases))
}

/// Messages a second that the unscaled plan has, of all feeds.
fn planned(plan: &LoadPlan, args: &FindMaxArgs) -> Option<f64> {
    let trial_ns = u64::try_from(args.trial.as_nanos()).ok()?;
    let messages = plan.feeds.iter().map(|feed| feed.pace.messages(trial_ns));
    let messages = messages.sum::<Option<u64>>()?;
    Some(messages as f64 / args.trial.as_secs_f64())
}

/// One run at `factor` times the load.
fn attempt(
    args: &FindMaxArgs,
    plan: &LoadPlan,
    factor: f64,
    number: usize,
    target: &Target,
    stop: &AtomicBool,
) -> anyhow::Result<Trial> {
    let scaled = |feed: &FeedLoad| {
        let pace = feed.pace.scaled(factor).unwrap_or(Pace::FlatOut);
        FeedLoad { pace, ..feed.clone() }
    };
    let plan = LoadPlan {
        feeds: plan.feeds.iter().map(scaled).collect(),
        duration: Some(args.trial),
        // Another source each time: the same one would begin again at numbers that are known.
        seed: plan.seed.wrapping_add(number as u64),
        ..plan.clone()
    };
    let rate_per_s = planned(&plan, args).unwrap_or(0.0);
    let clock = OsClock::start();
    let watch = Watch::begin(target.clone(), &clock)?;
    let running = run::start(plan, clock)?;
    let terms = Terms { command: "loadgen find-max", build: build(), settle: args.settle, stop };
    let measured = measure(running, Some(watch), terms, |_, _| {})?;
    if let Some(missing) = &measured.missing {
        bail!("at {rate_per_s:.0}/s the engine's figures are missing: {missing}");
    }
    let mut trial = Trial::judge(&measured.report, rate_per_s, &args.slo)?;
    // A rate holds if it can go on: what is left at the end may be what a moment of it brings, not more.
    let late_s = measured.settled_s.map(|settled_s| settled_s - measured.ended_s);
    let allowed_s = (args.trial.as_secs_f64() * BACKLOG_SHARE).max(BACKLOG_LEAST_S);
    if let Some(late_s) = late_s.filter(|late_s| *late_s > allowed_s) {
        let (backlog, allowed) = (measured.backlog(), format!("{allowed_s:.1} s"));
        trial
            .broken
            .push(format!("{backlog} points were written up to {late_s:.1} s later, more than {allowed}"));
        trial.held = false;
    }
    Ok(trial)
}

fn show(trial: &Trial) {
    let became = if trial.held { "holds " } else { "breaks" };
    let said = if trial.held { &trial.measured } else { &trial.broken };
    eprintln!("{:>10.0}/s  {became}  {}", trial.rate_per_s, said.join("  "));
}

/// The version that the database of each sink tells of itself, where it can be asked.
fn versions(target: &Target) -> anyhow::Result<Vec<(String, String)>> {
    let config = target.config()?;
    let table: toml::Table = toml::from_str(&config).context("the target's /config")?;
    let sinks = table.get("sinks").and_then(toml::Value::as_table).into_iter().flatten();
    let url = |sink: &toml::Value| Some(sink.get("url")?.as_str()?.to_owned());
    let asked = sinks.filter_map(|(name, sink)| Some((name.clone(), Target::database_version(&url(sink)?)?)));
    Ok(asked.collect())
}

fn certificate(
    args: &FindMaxArgs,
    arguments: Vec<String>,
    capacity_per_s: f64,
    trials: Vec<Trial>,
    target: &Report,
    databases: Vec<(String, String)>,
) -> Certificate {
    // What breaks at the lowest rate is what keeps it from more.
    // A rate that broke once and then held broke by a disturbance.
    let broken = trials.iter().filter(|trial| !trial.held && trial.rate_per_s > capacity_per_s * 1.001);
    let lowest = broken.min_by(|a, b| a.rate_per_s.total_cmp(&b.rate_per_s));
    let limiter = lowest.map_or_else(|| "none up to --max-rate".to_owned(), |trial| trial.limiter.clone());
    let slo: Vec<String> = args.slo.iter().map(ToString::to_string).collect();
    Certificate {
        schema: SCHEMA.to_owned(),
        capacity_per_s,
        slo: slo.join(","),
        limiter,
        arguments,
        trials,
        made: rfc3339(OsClock::start().wall(), 0),
        build: build(),
        target_build: target.build.clone(),
        host: target.host.clone(),
        config_sha256: target.config_sha256.clone(),
        databases,
    }
}

fn give(certificate: &Certificate, file: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(certificate)?;
    if let Some(path) = file {
        std::fs::write(path, format!("{text}\n")).with_context(|| path.display().to_string())?;
    }
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{text}")?;
    } else {
        let Certificate { capacity_per_s, slo, limiter, .. } = certificate;
        writeln!(out, "capacity: {capacity_per_s:.0} messages/s at {slo} (limiter: {limiter})")?;
    }
    Ok(())
}

/// A capacity of 0 holds nothing; one that the generator limits is only a lower bound.
fn exit_code(certificate: &Certificate) -> u8 {
    match certificate {
        Certificate { capacity_per_s: 0.0, .. } => CROSSED,
        Certificate { limiter, .. } if limiter.starts_with("generator") => INVALID,
        _ => 0,
    }
}
