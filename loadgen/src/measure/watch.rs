//! The target of a measurement: where it stood before the load, what it did in each second, and when nothing of the
//! load waits in it any more. It promises that figures across a restart are never given out, and that one answer that
//! does not come leaves a hole in the seconds and nothing else.

use std::time::Duration;

use tickline_config::report::{Report, TargetReport, Verdict};
use tickline_feeds::clock::Clock;

use super::{LOOK, MeasureError, TargetSecond, stages};
use crate::clock::OsClock;
use crate::interval::{IntervalError, between};
use crate::result::{FeedResult, LoadResult};
use crate::target::{Target, TargetError};

/// The engine's threads bring their histograms up to date four times a second, and where its sources stand once a
/// second: so long its last report is looked for.
const RENEWED_NS: u64 = 2_000_000_000;
const MERGED: Duration = Duration::from_millis(600);

/// Answers in a row that may be missing: a target that is silent for longer is gone.
const SILENT_MAX: u32 = 3;

/// A target and where it stood before the load.
#[derive(Debug)]
pub struct Watch {
    pub(super) target: Target,
    pub(super) before: Report,
    pub(super) last: Report,
    pub(super) clock_error_ns: Option<u64>,
    /// Whether the measurement is for its figures.
    pub(super) needed: bool,
    /// Answers in a row that did not come.
    silent: u32,
    /// Why its figures are no interval any more.
    broken: Option<IntervalError>,
}

impl Watch {
    /// Reads where the target stands. To be called before the first message.
    pub fn begin(target: Target, clock: &OsClock) -> Result<Self, TargetError> {
        let clock_error_ns = target.clock_error_ns(clock)?;
        let before = target.status()?;
        Ok(Self::new(target, before, clock_error_ns))
    }

    pub(super) fn new(target: Target, before: Report, clock_error_ns: Option<u64>) -> Self {
        let last = before.clone();
        Self { target, before, last, clock_error_ns, needed: true, silent: 0, broken: None }
    }

    /// A target that happens to be there: a measurement without its figures has not failed.
    #[must_use]
    pub fn if_it_lasts(self) -> Self {
        Self { needed: false, ..self }
    }

    /// Where it stood before the load.
    pub fn before(&self) -> &Report {
        &self.before
    }

    /// How far its latencies may be off, ns.
    pub fn clock_error_ns(&self) -> Option<u64> {
        self.clock_error_ns
    }

    /// Whether waiting for it has no sense.
    pub(super) fn is_gone(&self) -> bool {
        self.broken.is_some() || self.silent >= SILENT_MAX
    }

    /// Where it stands now; none if it does not say so in time.
    pub(super) fn look(&mut self) -> Option<Report> {
        if self.broken.is_some() {
            return None;
        }
        let now = self.target.status();
        self.silent = if now.is_ok() { 0 } else { self.silent + 1 };
        now.ok()
    }

    /// What it has done since the last time; none if it does not say so in time.
    pub(super) fn second(&mut self) -> Option<TargetSecond> {
        let now = self.look()?;
        let passed = between(&self.last, &now).map_err(|error| self.broken = Some(error)).ok()?;
        self.last = now;
        Some(TargetSecond {
            received: passed.ledger.received,
            written: passed.ledger.written,
            in_flight: passed.ledger.in_flight,
            spooled: passed.ledger.spooled,
            stages: stages(&passed).iter().map(|stage| (stage.label(), stage.due.clone())).collect(),
        })
    }

    /// What it has done with the load, once nothing in it is older than the end of the load.
    pub(super) fn whole(&mut self, load: &LoadResult) -> Result<Report, MeasureError> {
        let clock = OsClock::start();
        std::thread::park_timeout(MERGED);
        loop {
            if let Some(error) = self.broken.take() {
                return Err(error.into());
            }
            match self.target.status() {
                Ok(report) => {
                    let all_heard = load.feeds.iter().all(|feed| unheard(feed, &report) == 0);
                    if all_heard || clock.mono().0 > RENEWED_NS {
                        // A restart shows against the last answer: since the first one more time may have passed.
                        between(&self.last, &report)?;
                        return Ok(between(&self.before, &report)?);
                    }
                }
                Err(error) if self.silent + 1 >= SILENT_MAX => return Err(error.into()),
                Err(_) => self.silent += 1,
            }
            std::thread::park_timeout(LOOK);
        }
    }

    /// Whether everything that was sent had arrived by the last answer, and nothing of it waited any more.
    pub(super) fn had_settled(&self, sent: u64) -> bool {
        self.has_settled(&self.last, sent)
    }

    /// Whether everything that was sent has arrived and nothing of it waits any more, also not in an open batch, whose
    /// points are made and not yet given to a sink: then the ledger does not balance.
    pub(super) fn has_settled(&self, now: &Report, sent: u64) -> bool {
        let came = |now: u64, before: u64| now.saturating_sub(before) >= sent;
        let (now, before) = (&now.ledger, &self.before.ledger);
        let told = now.published.is_some_and(|now| came(now, before.published.unwrap_or(0)));
        let waits = now.queued > 0 || now.in_flight > before.in_flight || now.spooled > before.spooled;
        (told || came(now.received, before.received)) && !waits && now.balanced
    }

    /// Points that wait in it and did not before the load.
    pub(super) fn waiting(&self) -> u64 {
        let waiting = |report: &Report| report.ledger.in_flight + report.ledger.spooled;
        waiting(&self.last).saturating_sub(waiting(&self.before))
    }

    /// Puts the target's figures beside those of the load.
    pub(super) fn join(&self, report: &mut Report, target: Report, load: &LoadResult) {
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
            url: self.target.url().to_owned(),
            build: target.build,
            host: target.host,
            clock_error_ns: self.clock_error_ns,
        });
    }
}

/// Messages at the end of a feed of ours of which the target does not know that they were sent.
fn unheard(feed: &FeedResult, target: &Report) -> u64 {
    let sources = target.feeds.values().flat_map(|feed| &feed.sources);
    let heard = sources.filter(|source| source.src == feed.src).map(|source| source.last).max();
    feed.last_seq.saturating_sub(heard.unwrap_or(0))
}
