//! Alerts: the rules of `[alerts]`, looked at every five seconds against the same metrics that `/metrics` gives, on a
//! thread of their own. A rule holds of each series by itself: it waits `for`, fires, and ends when it has not held for
//! `keep`. What fires and ends is logged and, if there is a webhook, posted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tickline_config::filter::matches;
use tickline_config::model::{Alert, Severity};
use tickline_config::report::AlertReport;
use tickline_feeds::clock::MonoNanos;

use crate::spawn::{Thread, spawn};
use crate::view::View;

pub mod render;
mod samples;
mod webhook;

use samples::{Sample, samples};
pub use webhook::{Told, Webhook};

/// Time between two looks.
const LOOK_EVERY_NS: u64 = 5_000_000_000;

/// So soon the end of the run is seen.
const WAIT: Duration = Duration::from_millis(100);

/// An alert that fires, of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Firing {
    /// Name of the rule.
    pub name: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it means, for this series.
    pub summary: String,
    /// Labels of the series, such as `feed=kraken_tick`.
    pub labels: String,
    /// What was compared, when it began.
    pub value: f64,
    /// When it began to hold, ns since 1970.
    pub since_ns: i64,
}

impl Firing {
    /// What a report says of it.
    pub fn report(&self) -> AlertReport {
        AlertReport {
            name: self.name.clone(),
            severity: self.severity.name().to_owned(),
            summary: self.summary.clone(),
            labels: self.labels.clone(),
            since_ns: self.since_ns,
        }
    }
}

/// What has changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is an alert now.
    Fires(Firing),
    /// It is none any more.
    Ends(Firing),
}

/// One series of one rule.
#[derive(Clone, Debug, Default)]
struct Standing {
    /// Since when it holds without a break.
    holds: Option<(MonoNanos, i64)>,
    /// When it last held.
    held: Option<MonoNanos>,
    firing: Option<Firing>,
    /// Values by time, for rules that look at an increase.
    values: Vec<(MonoNanos, f64)>,
}

/// The rules and where each stands.
#[derive(Clone, Debug)]
pub struct Rules {
    rules: BTreeMap<String, Alert>,
    standing: BTreeMap<(String, String), Standing>,
}

impl Rules {
    /// Rules that have seen nothing yet.
    pub fn new(rules: BTreeMap<String, Alert>) -> Self {
        Self { rules, standing: BTreeMap::new() }
    }

    /// What fires now.
    pub fn firing(&self) -> Vec<Firing> {
        self.standing.values().filter_map(|standing| standing.firing.clone()).collect()
    }

    /// Looks at the metrics of now; returns what has begun and ended.
    pub fn look(&mut self, page: &str, now: MonoNanos, wall_ns: i64) -> Vec<Change> {
        let samples = samples(page);
        let mut changes = Vec::new();
        for (name, rule) in &self.rules {
            let Some(severity) = rule.severity else { continue };
            let Some((metric, ..)) = rule.when.number() else { continue };
            for sample in samples.iter().filter(|sample| sample.is(metric) && fits(rule, sample)) {
                let key = (name.clone(), sample.labels_text());
                let standing = self.standing.entry(key).or_default();
                let Some(value) = standing.value(rule, sample.value, now) else { continue };
                let firing = || Firing {
                    name: name.clone(),
                    severity,
                    summary: spoken(&rule.summary, sample, value),
                    labels: sample.labels_text(),
                    value,
                    since_ns: wall_ns,
                };
                changes.extend(standing.look(rule, value, now, wall_ns, firing));
            }
        }
        changes.extend(self.end_the_gone(now));
        changes
    }

    /// A series that is gone (a feed that was removed) does not hold.
    fn end_the_gone(&mut self, now: MonoNanos) -> Vec<Change> {
        let mut ended = Vec::new();
        self.standing.retain(|(name, _), standing| {
            let seen = standing.values.last().is_some_and(|(at, _)| *at == now);
            let Some(rule) = self.rules.get(name).filter(|_| !seen) else { return seen };
            let over = standing.held.is_none_or(|held| now.since(held) >= nanos(rule.keep));
            if over {
                ended.extend(standing.firing.take().map(Change::Ends));
            }
            !over
        });
        ended
    }
}

impl Standing {
    /// The value that is compared; none while there is no earlier one to compare with.
    fn value(&mut self, rule: &Alert, value: f64, now: MonoNanos) -> Option<f64> {
        let span = rule.increase_over.map_or(0, nanos);
        self.values.push((now, value));
        // The last one that is as old as the span stays: what it has grown since then is asked.
        let old = self.values.iter().rposition(|(at, _)| now.since(*at) >= span).unwrap_or(0);
        self.values.drain(..old);
        if rule.increase_over.is_none() {
            return Some(value);
        }
        // A counter that is new began at 0; one that counts again from 0 has grown by what it says.
        let first = self.values.first().map_or(0.0, |(_, first)| *first);
        (self.values.len() > 1).then_some(if value < first { value } else { value - first })
    }

    fn look(
        &mut self,
        rule: &Alert,
        value: f64,
        now: MonoNanos,
        wall_ns: i64,
        firing: impl FnOnce() -> Firing,
    ) -> Option<Change> {
        if rule.when.holds_number(value) {
            let (since, since_ns) = *self.holds.get_or_insert((now, wall_ns));
            self.held = Some(now);
            if self.firing.is_some() || now.since(since) < nanos(rule.hold) {
                return None;
            }
            let fires = Firing { since_ns, ..firing() };
            return Some(Change::Fires(self.firing.insert(fires).clone()));
        }
        self.holds = None;
        let over = self.held.is_none_or(|held| now.since(held) >= nanos(rule.keep));
        self.firing.take_if(|_| over).map(Change::Ends)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn fits(rule: &Alert, sample: &Sample) -> bool {
    rule.labels.iter().all(|(name, glob)| sample.label(name).is_some_and(|value| matches(glob, value)))
}

/// A summary with its labels and value in it.
fn spoken(summary: &str, sample: &Sample, value: f64) -> String {
    let value = if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.3}") };
    let text = summary.replace("{value}", &value);
    sample.labels.iter().fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Looks at the rules until the run ends.
pub(crate) fn watch(
    view: &Arc<View>,
    rules: BTreeMap<String, Alert>,
    webhook: Option<Webhook>,
) -> std::io::Result<Thread> {
    let (view, mut rules) = (Arc::clone(view), Rules::new(rules));
    let stop = Arc::clone(&view.stop);
    spawn("alerts", None, &stop, move || {
        let (mut webhook, mut looked) = (webhook, view.clock.mono());
        while view.stop.running() {
            view.stop.wait(WAIT);
            if view.clock.mono().since(looked) < LOOK_EVERY_NS {
                continue;
            }
            looked = view.clock.mono();
            let page = crate::metrics::now(&view);
            for change in rules.look(&page, view.clock.mono(), view.clock.wall().0) {
                match &change {
                    Change::Fires(of) => {
                        tracing::warn!("alert {} ({}): {}", of.name, of.severity.name(), of.summary)
                    }
                    Change::Ends(of) => tracing::info!("alert {} is over: {}", of.name, of.summary),
                }
                if let Some(webhook) = &mut webhook {
                    webhook.post(change, view.clock.mono());
                }
            }
            let firing = rules.firing();
            if let Some(webhook) = &mut webhook {
                webhook.look(&firing, view.clock.mono());
                *view.told.lock() = webhook.told();
            }
            *view.alerts.lock() = firing;
        }
    })
}

#[cfg(test)]
mod tests;
