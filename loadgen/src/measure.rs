//! A load and the engine under it, looked at from the first message until everything has settled: the engine's
//! figures of that time, and those of each second. It changes nothing at either side.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tickline_config::report::{Build, Latency, Report, Verdict};
use tickline_feeds::clock::{Clock, MonoNanos, WallNanos};

use crate::clock::OsClock;
use crate::interval::IntervalError;
use crate::result::{self, LoadError, distribution};
use crate::run::Running;
use crate::target::TargetError;

mod watch;

pub use watch::Watch;

/// How often the run is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How often its figures are taken.
const SECOND_NS: u64 = 1_000_000_000;

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
    /// When the first message was sent.
    pub start: WallNanos,
    /// When the last message was sent, s after the first.
    pub ended_s: f64,
    /// When nothing of it waited any more; none if that did not come in time, or there was no target.
    pub settled_s: Option<f64>,
    /// Points that still waited in the target in the end, and did not before the load.
    pub left: u64,
    /// Why the report is without the target's figures, where there was a target.
    pub missing: Option<String>,
}

impl Measured {
    /// Points that were not written yet when the load ended, whether they were later or still wait.
    pub fn backlog(&self) -> u64 {
        let late = self.seconds.iter().filter(|second| second.at_s > self.ended_s);
        late.filter_map(|second| Some(second.target.as_ref()?.written)).sum::<u64>() + self.left
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
    /// How long after they were due they were sent.
    pub send: Latency,
    /// The target in this second; none without a target, and where it did not answer in time: the next one has both.
    pub target: Option<TargetSecond>,
}

impl Second {
    /// Latency from the due time, by stage, in the order of the way.
    pub fn stages(&self) -> impl Iterator<Item = (&str, &Latency)> {
        let send = Some(("send", &self.send)).filter(|(_, latency)| latency.count > 0);
        let target = self.target.iter().flat_map(|target| &target.stages);
        send.into_iter().chain(target.map(|(name, latency)| (name.as_str(), latency)))
    }
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
/// figures as long as nothing is sent, and at once when the load has ended. A target that goes away ends nothing:
/// what is measured says that its figures are missing, and has failed if they were needed.
pub fn measure(
    running: Running,
    watch: Option<Watch>,
    terms: Terms<'_>,
    show: impl FnMut(&Running, Option<&Second>),
) -> Result<Measured, MeasureError> {
    let clock = OsClock::start();
    let now = clock.mono();
    let (start, wall) = (now, clock.wall());
    let (late, seconds) = (distribution(), Vec::new());
    let mut look =
        Look { running, watch, terms, show, clock, looked: now, start, wall, sent: 0, late, seconds };
    look.until_sent();
    let ended_s = look.at_s(look.looked);
    let settled = look.until_settled();
    look.measured(ended_s, settled)
}

/// Whether everything that was sent is settled.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Settled {
    /// Yes, s after the start of the load.
    At(f64),
    /// Not in the time that there was.
    Not,
    /// A stop ended the wait.
    CutShort,
}

/// A measurement that goes on.
struct Look<'a, S> {
    running: Running,
    watch: Option<Watch>,
    terms: Terms<'a>,
    show: S,
    clock: OsClock,
    /// End of the last second.
    looked: MonoNanos,
    /// Begin of the first second in which something was sent, on both clocks.
    start: MonoNanos,
    wall: WallNanos,
    /// Messages sent up to the end of the last second.
    sent: u64,
    /// How late messages were since then.
    late: Histogram<u64>,
    seconds: Vec<Second>,
}

impl<S: FnMut(&Running, Option<&Second>)> Look<'_, S> {
    /// Takes a second after the other until everything is sent.
    fn until_sent(&mut self) {
        let mut shown = self.looked;
        while !self.running.has_ended() {
            std::thread::park_timeout(LOOK);
            if self.stopped() {
                self.running.stop();
            }
            let now = self.clock.mono();
            self.hear_lateness();
            if self.sent_now() > 0 {
                if now.since(self.looked) >= SECOND_NS {
                    self.take(now);
                }
                continue;
            }
            // The first second begins with the first message.
            self.looked = now;
            if now.since(shown) >= SECOND_NS {
                shown = now;
                (self.show)(&self.running, None);
            }
        }
        self.take(self.clock.mono());
    }

    /// Takes a second after the other until the target has settled, and says when that was.
    fn until_settled(&mut self) -> Settled {
        let ended = self.looked;
        // A stop that ended the load is its end, and what was sent may still settle; one that comes now ends the wait.
        let ended_by_stop = self.stopped();
        loop {
            let Some(watch) = self.watch.as_mut() else { return Settled::Not };
            if watch.had_settled(self.sent) {
                return Settled::At(self.at_s(self.looked));
            }
            let over = u128::from(self.clock.mono().since(ended)) >= self.terms.settle.as_nanos();
            if over || watch.is_gone() {
                return Settled::Not;
            }
            if self.stopped() && !ended_by_stop {
                return Settled::CutShort;
            }
            std::thread::park_timeout(LOOK);
            // A second of waiting is a line of the record; between two of them only the end is looked for.
            let now = self.clock.mono();
            let Some(watch) = self.watch.as_mut() else { return Settled::Not };
            let look_now = now.since(self.looked) >= SECOND_NS;
            if look_now || watch.look().is_some_and(|report| watch.has_settled(&report, self.sent)) {
                self.take(now);
            }
        }
    }

    /// Ends a second; nothing if no message was sent at all.
    fn take(&mut self, now: MonoNanos) {
        let sent = self.sent_now();
        self.hear_lateness();
        let target = self.watch.as_mut().and_then(Watch::second);
        let begin = std::mem::replace(&mut self.looked, now);
        if sent > 0 {
            if self.seconds.is_empty() {
                self.start = begin;
                self.wall = WallNanos(self.clock.wall().0 - self.clock.mono().since(begin) as i64);
            }
            let (at_s, span_s) = (self.at_s(now), now.since(begin) as f64 / 1e9);
            let send = match self.late.len() {
                0 => Latency::default(),
                _ => Latency { hdr: result::encode(&self.late), ..result::latency(&self.late) },
            };
            self.late.reset();
            self.seconds.push(Second { at_s, span_s, sent: sent - self.sent, send, target });
            self.sent = sent;
        }
        (self.show)(&self.running, self.seconds.last());
    }

    /// Joins what both sides say.
    fn measured(self, ended_s: f64, settled: Settled) -> Result<Measured, MeasureError> {
        let stopped = self.stopped();
        let load = self.running.finish()?;
        let mut report = load.report(self.terms.command, self.terms.build);
        if stopped && report.load.sent < report.load.planned {
            report.verdict = Verdict::Invalid;
            let (sent, planned) = (report.load.sent, report.load.planned);
            report.reasons.push(format!("stopped after {sent} of {planned} messages"));
        }
        let (mut left, mut missing) = (0, None);
        if let Some(mut watch) = self.watch {
            left = watch.waiting();
            match watch.whole(&load) {
                Ok(whole) => {
                    watch.join(&mut report, whole, &load);
                    // What is not acknowledged has no latency yet: the figures leave out the slowest.
                    match settled {
                        Settled::At(_) => {}
                        Settled::CutShort if report.verdict == Verdict::Fail => {}
                        Settled::CutShort => {
                            report.verdict = Verdict::Invalid;
                            report.reasons.push("stopped before the target had settled".to_owned());
                        }
                        Settled::Not => {
                            report.verdict = Verdict::Fail;
                            report.reasons.push(format!(
                                "the target had not settled {:?} after the load; --settle gives it longer",
                                self.terms.settle
                            ));
                        }
                    }
                }
                Err(error) => {
                    if watch.needed {
                        report.verdict = Verdict::Fail;
                    }
                    report.reasons.push(format!("the engine's figures are missing: {error}"));
                    missing = Some(error.to_string());
                }
            }
        }
        let (start, seconds) = (self.wall, self.seconds);
        let settled_s = if let Settled::At(settled_s) = settled { Some(settled_s) } else { None };
        Ok(Measured { report, seconds, start, ended_s, settled_s, left, missing })
    }

    fn hear_lateness(&mut self) {
        self.running.progress().for_each(|(_, progress)| progress.lateness.take(&mut self.late));
    }

    fn stopped(&self) -> bool {
        self.terms.stop.load(Ordering::Relaxed)
    }

    fn sent_now(&self) -> u64 {
        self.running.progress().map(|(_, progress)| progress.sent.load(Ordering::Relaxed)).sum()
    }

    fn at_s(&self, at: MonoNanos) -> f64 {
        at.since(self.start) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests;
