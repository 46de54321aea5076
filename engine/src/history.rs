//! The last quarter of an hour, a sample each 5 s, for the charts of the status page and of `tickline top`: rates and
//! the latencies of each span, not those since the start. Taken by the control plane; about 1.5 kB a series.

use std::collections::{BTreeMap, VecDeque};

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tickline_feeds::clock::MonoNanos;

use crate::latency::Latencies;
use crate::ledger::{Reading, feed_ledger, sink_ledger};
use crate::report::{encoded, written};
use crate::view::View;

/// Time between two samples.
const EVERY_NS: u64 = 5_000_000_000;

/// Samples kept: 15 minutes.
const SAMPLES_MAX: usize = 180;

/// Samples of a run, by series: `feeds.NAME.frames_per_s`, `feeds.NAME.lost_per_s`, `sinks.NAME.points_per_s`,
/// `sinks.NAME.waiting`, `latency.STAGE.p50_ms` and `.p99_ms`. What is not known has no value.
#[derive(Debug, Default)]
pub struct History {
    /// When each was taken, ms since 1970.
    at_ms: VecDeque<i64>,
    series: BTreeMap<String, VecDeque<Option<f64>>>,
    taken: Option<MonoNanos>,
    /// Counters and distributions at the last sample.
    counts: BTreeMap<String, u64>,
    distributions: BTreeMap<String, Histogram<u64>>,
}

/// Takes a sample if it is time; called once a second.
pub(crate) fn look(view: &View, now: MonoNanos) {
    let mut history = view.history.lock();
    let since = now.since(history.taken.unwrap_or(view.started));
    if since >= EVERY_NS {
        history.taken = Some(now);
        history.sample(view, since as f64 / 1e9);
    }
}

impl History {
    /// The samples taken after `since_ms`, as JSON, a column a series.
    pub fn since(&self, since_ms: i64) -> Value {
        let skip = self.at_ms.iter().take_while(|at| **at <= since_ms).count();
        let at_ms: Vec<i64> = self.at_ms.iter().skip(skip).copied().collect();
        let column = |(name, values): (&String, &VecDeque<Option<f64>>)| {
            (name.clone(), values.iter().skip(skip).copied().collect::<Vec<_>>())
        };
        let series: BTreeMap<String, Vec<Option<f64>>> = self.series.iter().map(column).collect();
        json!({ "every_s": EVERY_NS / 1_000_000_000, "at_ms": at_ms, "series": series })
    }

    fn sample(&mut self, view: &View, span_s: f64) {
        let mut values = BTreeMap::new();
        self.counters(view, span_s, &mut values);
        for (stage, of) in encoded(view).named() {
            self.latency(stage, of, &mut values);
        }
        for (sink, of) in view.sinks.iter().zip(written(view)) {
            self.latency(&format!("{}.publish_to_ack", sink.name), &of.publish_to_ack, &mut values);
        }
        self.push(view.clock.wall().0 / 1_000_000, &values);
    }

    fn counters(&mut self, view: &View, span_s: f64, values: &mut BTreeMap<String, f64>) {
        let reading = Reading::take(&view.stats);
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for ((feed, came), went) in view.feeds.lock().iter().zip(&reading.feeds_in).zip(&reading.feeds_out) {
            let ledger = feed_ledger(came, went);
            let lost = ledger.lost_before_receive.unwrap_or(0) + ledger.lost_overload.unwrap_or(0);
            // A feed that was replaced goes on under its name.
            *counts.entry(format!("feeds.{}.frames_per_s", feed.name)).or_default() += came.received;
            *counts.entry(format!("feeds.{}.lost_per_s", feed.name)).or_default() += lost;
        }
        for (at, sink) in view.sinks.iter().enumerate() {
            let (Some(given), Some(spool), Some(settled)) =
                (reading.sinks_in.get(at), reading.spools.get(at), reading.sinks_out.get(at))
            else {
                continue;
            };
            let ledger = sink_ledger(given, spool, settled);
            counts.insert(format!("sinks.{}.points_per_s", sink.name), ledger.written);
            values.insert(format!("sinks.{}.waiting", sink.name), (ledger.in_flight + ledger.spooled) as f64);
        }
        for (name, count) in counts {
            let before = self.counts.insert(name.clone(), count).unwrap_or(0);
            values.insert(name, count.saturating_sub(before) as f64 / span_s);
        }
    }

    /// Quantiles of what was recorded since the last sample; none where nothing was.
    fn latency(&mut self, stage: &str, now: &Latencies, values: &mut BTreeMap<String, f64>) {
        let mut span = now.histogram.clone();
        let before = self.distributions.insert(stage.to_owned(), now.histogram.clone());
        // Counts only grow and both have one shape, so that it cannot fail.
        if before.is_some_and(|before| span.subtract(before).is_err()) || span.is_empty() {
            return;
        }
        for (name, quantile) in [("p50_ms", 0.5), ("p99_ms", 0.99)] {
            values.insert(format!("latency.{stage}.{name}"), span.value_at_quantile(quantile) as f64 / 1e6);
        }
    }

    fn push(&mut self, at_ms: i64, values: &BTreeMap<String, f64>) {
        let behind = self.at_ms.len();
        for name in values.keys() {
            let unknown = || std::iter::repeat_n(None, behind).collect();
            self.series.entry(name.clone()).or_insert_with(unknown);
        }
        self.at_ms.push_back(at_ms);
        for (name, samples) in &mut self.series {
            // A thousandth is more than a chart shows.
            samples.push_back(values.get(name).map(|value| (value * 1_000.0).round() / 1_000.0));
        }
        if self.at_ms.len() > SAMPLES_MAX {
            self.at_ms.pop_front();
            for samples in self.series.values_mut() {
                samples.pop_front();
            }
            // A feed that is long gone.
            self.series.retain(|_, samples| samples.iter().any(Option::is_some));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn a_reader_gets_what_is_new_and_a_series_that_began_late_has_no_values_before() {
        let mut history = History::default();
        history.push(1_000, &values(&[("a", 1.0)]));
        history.push(6_000, &values(&[("a", 2.0004), ("b", 7.0)]));
        let all = json!({ "every_s": 5, "at_ms": [1_000, 6_000],
            "series": { "a": [1.0, 2.0], "b": [null, 7.0] } });
        assert_eq!(history.since(0), all);
        let new = json!({ "every_s": 5, "at_ms": [6_000], "series": { "a": [2.0], "b": [7.0] } });
        assert_eq!(history.since(1_000), new);
    }

    #[test]
    fn fifteen_minutes_are_kept_and_a_series_without_values_is_forgotten() {
        let mut history = History::default();
        history.push(0, &values(&[("gone", 1.0), ("stays", 1.0)]));
        for at in 1..=SAMPLES_MAX as i64 {
            history.push(at, &values(&[("stays", 1.0)]));
        }
        assert_eq!(history.at_ms.len(), SAMPLES_MAX);
        let kept: Vec<(&str, usize)> = history.series.iter().map(|(n, s)| (n.as_str(), s.len())).collect();
        assert_eq!(kept, [("stays", SAMPLES_MAX)]);
    }

    #[test]
    fn quantiles_are_those_of_the_span_and_not_of_the_run() {
        let (mut history, mut run, mut seen) = (History::default(), Latencies::default(), BTreeMap::new());
        run.record(0, 1_000_000, 1_000);
        history.latency("s", &run, &mut seen);
        run.record(0, 50_000_000, 10);
        seen.clear();
        history.latency("s", &run, &mut seen);
        let p50 = seen["latency.s.p50_ms"];
        assert!((p50 - 50.0).abs() < 0.1, "{p50}");
        seen.clear();
        history.latency("s", &run, &mut seen);
        assert!(seen.is_empty());
    }
}
