//! A load and the engine under it, looked at from the first message until everything has settled: the engine's
//! figures of that time, and those of each second. It changes nothing at either side.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tickline_config::report::{Build, Latency, Report, TargetReport, Verdict};
use tickline_feeds::clock::{Clock, MonoNanos};

use crate::clock::OsClock;
use crate::interval::{IntervalError, between};
use crate::result::{FeedResult, LoadError, LoadResult};
use crate::run::Running;
use crate::target::{Target, TargetError};

/// How often the run is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How often its figures are taken.
const SECOND_NS: u64 = 1_000_000_000;

/// The engine's threads bring their histograms up to date four times a second, and where its sources stand once a
/// second: so long its last report is looked for.
const RENEWED_NS: u64 = 2_000_000_000;
const MERGED: Duration = Duration::from_millis(600);

/// Why a measurement has no result.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The load failed.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The target does not tell.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The target's figures cannot be compared.
    #[error(transparent)]
    Interval(#[from] IntervalError),
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The whole run: the load's figures, and the target's of the same time.
    pub report: Report,
    /// Each second of it.
    pub seconds: Vec<Second>,
    /// When the last message was sent, s after the first.
    pub ended_s: f64,
    /// When nothing of it waited any more; none if that did not come in time, or there was no target.
    pub settled_s: Option<f64>,
}

impl Measured {
    /// Points that were not written yet when the load ended.
    pub fn backlog(&self) -> u64 {
        let late = self.seconds.iter().filter(|second| second.at_s > self.ended_s);
        late.filter_map(|second| Some(second.target.as_ref()?.written)).sum()
    }
}

/// One second of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Second {
    /// Its end, s after the start of the load.
    pub at_s: f64,
    /// Its length, s.
    pub span_s: f64,
    /// Messages sent.
    pub sent: u64,
    /// The target in this second; none without a target.
    pub target: Option<TargetSecond>,
}

/// The target in one second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetSecond {
    /// Frames received.
    pub received: u64,
    /// Points acknowledged, of all sinks.
    pub written: u64,
    /// Points given to sinks and not settled, at its end.
    pub in_flight: u64,
    /// Points in spools, at its end.
    pub spooled: u64,
    /// Latency from the due time, by stage.
    pub stages: Vec<(String, Latency)>,
}

/// One stage of the way of a message.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    /// Its name: `send`, `receive`, `encode`, or `ack` and the sink.
    pub name: &'a str,
    /// Sink, for `ack`.
    pub sink: Option<&'a str>,
    /// From when the message was due to its end.
    pub due: &'a Latency,
    /// From when the message was sent to its end; what a closed loop would tell.
    pub sent: Option<&'a Latency>,
}

impl Stage<'_> {
    /// `send`, `receive`, `encode`, or `ack.influx`.
    pub fn label(&self) -> String {
        self.sink.map_or_else(|| self.name.to_owned(), |sink| format!("{}.{sink}", self.name))
    }
}

/// The stages that a report knows, in the order of the way.
pub fn stages(report: &Report) -> Vec<Stage<'_>> {
    let early = |name, due: &str, sent: Option<&str>| {
        let due = report.latency_ns.get(due)?;
        let sent = sent.and_then(|sent| report.latency_ns.get(sent));
        Some(Stage { name, sink: None, due, sent })
    };
    let mut stages: Vec<Stage<'_>> = [
        early("send", "due_to_send", None),
        early("receive", "due_to_receive", Some("publish_to_receive")),
        early("encode", "due_to_encode", Some("publish_to_encode")),
    ]
    .into_iter()
    .flatten()
    .collect();
    stages.extend(report.sinks.iter().map(|(name, sink)| Stage {
        name: "ack",
        sink: Some(name),
        due: &sink.due_to_ack_ns,
        sent: Some(&sink.publish_to_ack_ns),
    }));
    stages.retain(|stage| stage.due.count > 0);
    stages
}

/// A target and where it stood before the load.
#[derive(Debug)]
pub struct Watch {
    target: Target,
    before: Report,
    last: Report,
    clock_error_ns: Option<u64>,
}

impl Watch {
    /// Reads where the target stands. To be called before the first message.
    pub fn begin(target: Target, clock: &OsClock) -> Result<Self, TargetError> {
        let clock_error_ns = target.clock_error_ns(clock)?;
        let before = target.status()?;
        Ok(Self { target, last: before.clone(), before, clock_error_ns })
    }

    /// How far its latencies may be off, ns.
    pub fn clock_error_ns(&self) -> Option<u64> {
        self.clock_error_ns
    }

    /// What the target has done since the last time.
    fn second(&mut self) -> Result<TargetSecond, MeasureError> {
        let now = self.target.status()?;
        let passed = between(&self.last, &now)?;
        self.last = now;
        Ok(TargetSecond {
            received: passed.ledger.received,
            written: passed.ledger.written,
            in_flight: passed.ledger.in_flight,
            spooled: passed.ledger.spooled,
            stages: stages(&passed).iter().map(|stage| (stage.label(), stage.due.clone())).collect(),
        })
    }

    /// The target's report once nothing in it is older than the end of the load.
    fn last_report(&self, load: &LoadResult) -> Result<Report, TargetError> {
        let clock = OsClock::start();
        std::thread::park_timeout(MERGED);
        loop {
            let report = self.target.status()?;
            let all_heard = load.feeds.iter().all(|feed| unheard(feed, &report) == 0);
            if all_heard || clock.mono().0 > RENEWED_NS {
                return Ok(report);
            }
            std::thread::park_timeout(LOOK);
        }
    }

    /// Whether everything that was sent has arrived and nothing of it waits any more.
    fn has_settled(&self, now: &Report, sent: u64) -> bool {
        let came = |now: u64, before: u64| now.saturating_sub(before) >= sent;
        let (now, before) = (&now.ledger, &self.before.ledger);
        let told = now.published.is_some_and(|now| came(now, before.published.unwrap_or(0)));
        let waits = now.queued > 0 || now.in_flight > before.in_flight || now.spooled > before.spooled;
        (told || came(now.received, before.received)) && !waits
    }
}

/// What a measurement is given beside the load.
#[derive(Debug)]
pub struct Terms<'a> {
    /// Command, for the report.
    pub command: &'a str,
    /// This program, for the report.
    pub build: Build,
    /// How long the target may take after the last message.
    pub settle: Duration,
    /// Ends load and waiting.
    pub stop: &'a AtomicBool,
}

/// Looks at a running load until it has ended and the target has settled. `show` is told each second, without
/// figures as long as nothing is sent, and at once when the load has ended.
pub fn measure(
    running: Running,
    mut watch: Option<Watch>,
    terms: Terms<'_>,
    mut show: impl FnMut(&Running, Option<&Second>),
) -> Result<Measured, MeasureError> {
    let clock = OsClock::start();
    let mut shown = clock.mono();
    let mut record = Record { looked: shown, start: shown, sent: 0, seconds: Vec::new() };
    while !running.has_ended() {
        std::thread::park_timeout(LOOK);
        if terms.stop.load(Ordering::Relaxed) {
            running.stop();
        }
        let now = clock.mono();
        let sent = sent(&running);
        if sent == 0 {
            // The first second begins with the first message.
            record.looked = now;
            if now.since(shown) >= SECOND_NS {
                shown = now;
                show(&running, None);
            }
        } else if now.since(record.looked) >= SECOND_NS {
            show(&running, record.take(now, sent, watch.as_mut())?);
        }
    }
    let sent = sent(&running);
    let ended = clock.mono();
    show(&running, record.take(ended, sent, watch.as_mut())?);
    let since_start_s = |now: MonoNanos, record: &Record| now.since(record.start) as f64 / 1e9;
    let ended_s = since_start_s(ended, &record);
    let mut settled_s = None;
    if let Some(watch) = &mut watch {
        loop {
            let settled = watch.has_settled(&watch.last, sent);
            settled_s = settled.then(|| since_start_s(record.looked, &record));
            let over = u128::from(clock.mono().since(ended)) >= terms.settle.as_nanos();
            if settled || over || terms.stop.load(Ordering::Relaxed) {
                break;
            }
            std::thread::park_timeout(LOOK);
            // A second of waiting is a line of the record; between two of them only the end is looked for.
            let now = clock.mono();
            if now.since(record.looked) >= SECOND_NS || watch.has_settled(&watch.target.status()?, sent) {
                show(&running, record.take(now, sent, Some(watch))?);
            }
        }
    }
    let load = running.finish()?;
    let mut report = load.report(terms.command, terms.build);
    if terms.stop.load(Ordering::Relaxed) && report.load.sent < report.load.planned {
        report.verdict = Verdict::Invalid;
        report
            .reasons
            .push(format!("stopped after {} of {} messages", report.load.sent, report.load.planned));
    }
    if let Some(watch) = watch {
        let last = watch.last_report(&load)?;
        let whole = between(&watch.before, &last)?;
        join(&mut report, whole, &load, &watch);
        if settled_s.is_none() && !terms.stop.load(Ordering::Relaxed) {
            // What is not acknowledged has no latency yet: the figures leave out the slowest.
            report.verdict = Verdict::Fail;
            report.reasons.push(format!(
                "the target had not settled {:?} after the load; --settle gives it longer",
                terms.settle
            ));
        }
    }
    Ok(Measured { report, seconds: record.seconds, ended_s, settled_s })
}

fn sent(running: &Running) -> u64 {
    running.progress().map(|(_, progress)| progress.sent.load(Ordering::Relaxed)).sum()
}

/// The seconds so far.
struct Record {
    /// End of the last second.
    looked: MonoNanos,
    /// Begin of the first second in which something was sent.
    start: MonoNanos,
    sent: u64,
    seconds: Vec<Second>,
}

impl Record {
    /// Ends a second; none if nothing was sent at all.
    fn take(
        &mut self,
        now: MonoNanos,
        sent: u64,
        watch: Option<&mut Watch>,
    ) -> Result<Option<&Second>, MeasureError> {
        let target = watch.map(Watch::second).transpose()?;
        let begin = std::mem::replace(&mut self.looked, now);
        if sent == 0 {
            return Ok(None);
        }
        if self.seconds.is_empty() {
            self.start = begin;
        }
        let at_s = now.since(self.start) as f64 / 1e9;
        let span_s = now.since(begin) as f64 / 1e9;
        self.seconds.push(Second { at_s, span_s, sent: sent - self.sent, target });
        self.sent = sent;
        Ok(self.seconds.last())
    }
}

/// Puts the target's figures beside those of the load.
fn join(report: &mut Report, target: Report, load: &LoadResult, watch: &Watch) {
    let unheard: u64 = load.feeds.iter().map(|feed| unheard(feed, &target)).sum();
    report.ledger = target.ledger;
    report.ledger.published = report.ledger.published.map(|published| published + unheard);
    report.ledger.lost_before_receive = report.ledger.lost_before_receive.map(|lost| lost + unheard);
    for (name, mut feed) in target.feeds {
        if let Some(ours) = report.feeds.get(&name) {
            feed.counters.extend(ours.counters.clone());
            (feed.bytes, feed.rate_per_s) = (ours.bytes, ours.rate_per_s);
        }
        report.feeds.insert(name, feed);
    }
    report.latency_ns.extend(target.latency_ns);
    report.sinks = target.sinks;
    report.accepted = target.accepted;
    report.archive = target.archive;
    report.cpu_s = target.cpu_s;
    report.rss_max_bytes = target.rss_max_bytes;
    report.config_sha256 = target.config_sha256;
    if !report.ledger.balanced {
        report.verdict = Verdict::Fail;
        report.reasons.push("the target's ledger does not balance".to_owned());
    }
    report.target = Some(TargetReport {
        url: watch.target.url().to_owned(),
        build: target.build,
        host: target.host,
        clock_error_ns: watch.clock_error_ns,
    });
}

/// Messages at the end of a feed of ours of which the target does not know that they were sent.
fn unheard(feed: &FeedResult, target: &Report) -> u64 {
    let sources = target.feeds.values().flat_map(|feed| &feed.sources);
    let heard = sources.filter(|source| source.src == feed.src).map(|source| source.last).max();
    feed.last_seq.saturating_sub(heard.unwrap_or(0))
}

#[cfg(test)]
mod tests;
