//! `find-max`: the highest rate that holds, as a certificate; `certify --check`: the same again, compared.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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
use tickline_loadgen::threshold::{Condition, nanos};

use super::engine::Found;
use super::{CROSSED, INVALID, Usage, build, load, save, stop_on_signals, watched, writable};
use crate::cli::{CertifyArgs, Command, CommandLine, FindMaxArgs};

/// How long after a trial its last points may be written, as a share of the trial, and at least, s.
const BACKLOG_SHARE: f64 = 0.2;
const BACKLOG_LEAST_S: f64 = 1.5;

/// How long a load without an end of its own is tried.
const TRIAL: Duration = Duration::from_secs(10);

/// Slowest load that is tried, messages a second.
const LEAST_PER_S: f64 = 1.0;

pub(super) fn run(args: FindMaxArgs) -> anyhow::Result<u8> {
    writable(&args.certificate)?;
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
    writable(&args.certificate)?;
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
    let (plan, fail_if) = load::plan(&args.load, &args.publish)?;
    let length = args.trial.or(plan.duration).unwrap_or(TRIAL);
    if let Some(whole) = plan.duration.filter(|whole| *whole > length) {
        eprintln!(
            "tickline-loadgen: warning: a trial lasts {length:?} of the {whole:?} of this load: the rates are those of \
             its begin; without --trial all of it is tried"
        );
    }
    let base = planned(&plan, length).ok_or_else(|| {
        Usage::of("find-max: every feed must have a rate that can be scaled, found max".to_owned())
    })?;
    let objective = objective(&args.slo, fail_if)?;
    let stop = stop_on_signals()?;
    let found = Found::by(&args.engine, &[], &stop)?;
    let first = Watch::begin(found.target.clone(), &OsClock::start())?;
    watched::refuse_unseen(Some(&first), &objective, true)?;
    let clock_error_ns = first.clock_error_ns();
    let target = &found.target;
    let mut trials =
        Trials { args, plan, length, objective, target, stop: &stop, clock_error_ns, done: Vec::new() };
    let range = (LEAST_PER_S / base, args.max_rate / base);
    let mut search = Search::new((range.0.min(1.0), range.1), args.precision);
    while let Some(factor) = search.next() {
        // One disturbance of the machine is no limit: what breaks once is tried once more.
        let held = trials.holds(factor)? || trials.holds(factor)?;
        search.tried(factor, held);
    }
    let databases = versions(target).unwrap_or_default();
    let capacity_per_s = search.highest().unwrap_or(0.0) * base;
    let certificate = trials.certificate(arguments, capacity_per_s, first.before(), databases);
    // What was found out holds, however the engine ends.
    if let Err(error) = found.end() {
        eprintln!("tickline-loadgen: warning: {error:#}");
    }
    Ok(certificate)
}

/// What must hold: the command line's conditions, and that none of the scenario's holds.
fn objective(slo: &[Condition], fail_if: Vec<Condition>) -> anyhow::Result<Vec<Condition>> {
    let turned = fail_if.into_iter().map(|condition| {
        let rule = "must be an inequality to be part of an objective";
        condition.opposite().ok_or_else(|| Usage::of(format!("fail_if: {rule}, found {condition}")))
    });
    slo.iter().cloned().map(Ok).chain(turned).collect()
}

/// Messages a second that a plan has in this time, of all feeds.
fn planned(plan: &LoadPlan, length: Duration) -> Option<f64> {
    let length_ns = u64::try_from(length.as_nanos()).ok()?;
    let messages = plan.feeds.iter().map(|feed| feed.pace.messages(length_ns));
    let messages = messages.sum::<Option<u64>>()?;
    Some(messages as f64 / length.as_secs_f64())
}

/// The runs of a search.
struct Trials<'a> {
    args: &'a FindMaxArgs,
    plan: LoadPlan,
    length: Duration,
    objective: Vec<Condition>,
    target: &'a Target,
    stop: &'a AtomicBool,
    /// The largest that was seen.
    clock_error_ns: Option<u64>,
    done: Vec<Trial>,
}

impl Trials<'_> {
    /// One run at `factor` times the load: whether the objective held.
    fn holds(&mut self, factor: f64) -> anyhow::Result<bool> {
        let trial = self.run(factor)?;
        ensure!(!self.stop.load(Ordering::Relaxed), "stopped before the search had a result");
        show(&trial);
        let held = trial.held;
        self.done.push(trial);
        Ok(held)
    }

    fn run(&mut self, factor: f64) -> anyhow::Result<Trial> {
        let plan = self.scaled(factor);
        let rate_per_s = planned(&plan, self.length).unwrap_or(0.0);
        let clock = OsClock::start();
        let watch = Watch::begin(self.target.clone(), &clock)?;
        let unseen = watched::refuse_unseen(Some(&watch), &self.objective, true).err();
        self.clock_error_ns = self.clock_error_ns.max(watch.clock_error_ns());
        let running = run::start(plan, clock)?;
        let (settle, stop) = (self.args.settle, self.stop);
        let terms = Terms { command: "loadgen find-max", build: build(), settle, stop };
        let measured = measure(running, Some(watch), terms, |_, _| {})?;
        if let Some(missing) = &measured.missing {
            bail!("at {rate_per_s:.0}/s the engine's figures are missing: {missing}");
        }
        let mut trial = Trial::judge(&measured.report, rate_per_s, &self.objective);
        trial.broken.extend(unseen.map(|error| error.to_string()));
        // A rate holds if it can go on: what is left at the end may be what a moment of it brings, not more.
        let late_s = measured.settled_s.map(|settled_s| settled_s - measured.ended_s);
        let allowed_s = (self.length.as_secs_f64() * BACKLOG_SHARE).max(BACKLOG_LEAST_S);
        if let Some(late_s) = late_s.filter(|late_s| *late_s > allowed_s) {
            let (backlog, allowed) = (measured.backlog(), format!("{allowed_s:.1} s"));
            trial.broken.push(format!(
                "{backlog} points were written up to {late_s:.1} s later, more than {allowed}"
            ));
        }
        trial.held = trial.broken.is_empty();
        Ok(trial)
    }

    fn scaled(&self, factor: f64) -> LoadPlan {
        let scaled = |feed: &FeedLoad| {
            let pace = feed.pace.scaled(factor).unwrap_or(Pace::FlatOut);
            FeedLoad { pace, ..feed.clone() }
        };
        LoadPlan {
            feeds: self.plan.feeds.iter().map(scaled).collect(),
            duration: Some(self.length),
            ..self.plan.clone()
        }
    }

    fn certificate(
        self,
        arguments: Vec<String>,
        capacity_per_s: f64,
        target: &Report,
        databases: Vec<(String, String)>,
    ) -> Certificate {
        // What breaks at the lowest rate is what keeps it from more.
        // A rate that broke once and then held broke by a disturbance.
        let broken =
            self.done.iter().filter(|trial| !trial.held && trial.rate_per_s > capacity_per_s * 1.001);
        let lowest = broken.min_by(|a, b| a.rate_per_s.total_cmp(&b.rate_per_s));
        let limiter =
            lowest.map_or_else(|| "none up to --max-rate".to_owned(), |trial| trial.limiter.clone());
        let slo: Vec<String> = self.objective.iter().map(ToString::to_string).collect();
        Certificate {
            schema: SCHEMA.to_owned(),
            capacity_per_s,
            slo: slo.join(","),
            limiter,
            arguments,
            trial_s: Some(self.length.as_secs_f64()),
            whole_s: self.plan.duration.map(|whole| whole.as_secs_f64()),
            trials: self.done,
            made: rfc3339(OsClock::start().wall(), 0),
            build: build(),
            target_build: target.build.clone(),
            host: target.host.clone(),
            clock_error_ns: self.clock_error_ns,
            config_sha256: target.config_sha256.clone(),
            databases,
        }
    }
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

fn give(certificate: &Certificate, file: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let whole = format!("{}\n", serde_json::to_string_pretty(certificate)?);
    let Certificate { capacity_per_s, slo, limiter, .. } = certificate;
    let mut text = format!("capacity: {capacity_per_s:.0} messages/s at {slo} (limiter: {limiter})\n");
    if let Some(error_ns) = certificate.clock_error_ns {
        text += &format!("the target's clock is another one: latencies are ± {}\n", nanos(error_ns));
    }
    let said = if json { whole.as_bytes() } else { text.as_bytes() };
    let printed = std::io::stdout().lock().write_all(said).context("stdout");
    printed.and(file.map_or(Ok(()), |path| save(path, whole.as_bytes())))
}

/// A capacity of 0 holds nothing; one that the generator limits is only a lower bound.
fn exit_code(certificate: &Certificate) -> u8 {
    match certificate {
        Certificate { capacity_per_s: 0.0, .. } => CROSSED,
        Certificate { limiter, .. } if limiter.starts_with("generator") => INVALID,
        _ => 0,
    }
}
