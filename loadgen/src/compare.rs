//! Two sets of runs compared, metric by metric: how much the one is better or worse, and how sure that is. Reads load
//! reports, bench results, criterion's estimates and instruction counts; runs nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Fewer runs have no interval worth its name.
pub const RUNS_MIN: usize = 3;

/// How sure all intervals of a comparison are together.
const CONFIDENCE: f64 = 0.95;

/// Which way a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// A rate.
    Higher,
    /// A time, a cost.
    Lower,
    /// A count that should be 0, which has no shares: differences are compared.
    Fewer,
}

/// The figures of one run.
pub type Run = BTreeMap<String, (f64, Better)>;

/// One metric compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its name.
    pub metric: String,
    /// Mean of the base's runs.
    pub base: f64,
    /// Mean of the head's runs.
    pub head: f64,
    /// Which way it is better.
    pub better: Better,
    /// Change from base to head, as a share: 0.05 is 5 % more. Of a count the difference.
    pub change: f64,
    /// The interval in which the change is, as sure as all of them together are to be 95 %.
    pub interval: (f64, f64),
    /// What that means.
    pub meaning: Meaning,
}

/// Two sides compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What every run has.
    pub rows: Vec<Row>,
    /// What the base has and not every run: without figures, which is no good sign.
    pub missing: Vec<String>,
    /// What only the head has.
    pub new: Vec<String>,
}

/// What a change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The interval holds 0: no change was shown.
    Unchanged,
    /// A change was shown, smaller than the threshold.
    Small,
    /// Better by more than the threshold.
    Better,
    /// Worse by more than the threshold.
    Worse,
}

/// Why files cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// It is no JSON.
    #[error("{file}: must be JSON, found {error}")]
    Json {
        /// The file.
        file: String,
        /// What is wrong.
        error: String,
    },
    /// Nothing in it can be compared.
    #[error("{file}: must have reports or bench results, found no figure that can be compared")]
    NoFigure {
        /// The file.
        file: String,
    },
    /// A run in it is no result.
    #[error("{file}: every run must have passed, found one with verdict {verdict:?}")]
    NoResult {
        /// The file.
        file: String,
        /// What it says of itself.
        verdict: String,
    },
    /// Too few runs.
    #[error(
        "{file}: must have at least {RUNS_MIN} runs, found {found}; run both sides in turns and append each report"
    )]
    TooFew {
        /// The file.
        file: String,
        /// Runs in it.
        found: usize,
    },
    /// Nothing in common.
    #[error("{base} and {head}: must have a metric in common, found none")]
    NothingInCommon {
        /// One file.
        base: String,
        /// The other.
        head: String,
    },
}

/// The runs of a file: JSON values one after another, or arrays of them.
pub fn runs(file: &str, text: &str) -> Result<Vec<Run>, CompareError> {
    let mut runs = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let value =
            value.map_err(|error| CompareError::Json { file: file.to_owned(), error: error.to_string() })?;
        let values = if let Value::Array(values) = value { values } else { vec![value] };
        for value in &values {
            // A cost carries the engine's report inside.
            let report = value.get("report").unwrap_or(value);
            if let Some(verdict) = report["verdict"].as_str().filter(|verdict| *verdict != "pass") {
                return Err(CompareError::NoResult { file: file.to_owned(), verdict: verdict.to_owned() });
            }
            runs.extend(figures(value));
        }
    }
    runs.retain(|run| !run.is_empty());
    match runs.len() {
        0 => Err(CompareError::NoFigure { file: file.to_owned() }),
        found if found < RUNS_MIN => Err(CompareError::TooFew { file: file.to_owned(), found }),
        _ => Ok(runs),
    }
}

/// The figures of a value: one run, or one a pair where a bench result has several.
fn figures(value: &Value) -> Vec<Run> {
    let pairs = value
        .get("pairs")
        .and_then(Value::as_array)
        .filter(|pairs| pairs.len() > 1 && pairs.iter().all(Value::is_object));
    if let Some(pairs) = pairs {
        return pairs.iter().map(pair).collect();
    }
    vec![run(value)]
}

/// One pair of a bench result: the engine, and its floor beside it.
fn pair(value: &Value) -> Run {
    let rate = |name: &str| value[name].as_f64().filter(|rate| *rate > 0.0);
    let (ours, floor) = (rate("tickline_msgs_per_s"), rate("floor_msgs_per_s"));
    let ratio = ours.zip(floor).map(|(ours, floor)| ours / floor);
    let figures = [("msgs_per_s", ours), ("ratio_to_floor", ratio)];
    figures
        .into_iter()
        .filter_map(|(name, figure)| Some((name.to_owned(), (figure?, Better::Higher))))
        .collect()
}

fn run(value: &Value) -> Run {
    let mut run = Run::new();
    let mut put = |name: String, figure: Option<f64>, better| {
        if let Some(figure) = figure.filter(|figure| figure.is_finite() && *figure > 0.0) {
            run.insert(name, (figure, better));
        }
    };
    for name in ["msgs_per_s", "ratio_to_floor"] {
        put(name.to_owned(), value[name].as_f64(), Better::Higher);
    }
    let sent_per_s = value["load"]["sent"].as_f64().zip(value["elapsed_s"].as_f64()).map(|(n, s)| n / s);
    put("sent_per_s".to_owned(), sent_per_s, Better::Higher);
    put("rss_max_bytes".to_owned(), value["rss_max_bytes"].as_f64(), Better::Lower);
    let received = value["ledger"]["received"].as_f64().filter(|received| *received > 0.0);
    let cpu_s: f64 = ["rx", "enc", "wr"].iter().filter_map(|stage| value["cpu_s"][stage].as_f64()).sum();
    let of_stages = received.map(|received| cpu_s * 1e9 / received);
    put("cpu_ns_a_message".to_owned(), value["cpu_ns_a_message"].as_f64().or(of_stages), Better::Lower);
    let latencies = value["latency_ns"].as_object().into_iter().flatten();
    let sinks = value["sinks"].as_object().into_iter().flatten();
    let acks = sinks.map(|(sink, report)| (format!("due_to_ack.{sink}"), &report["due_to_ack_ns"]));
    for (stage, latency) in latencies.map(|(stage, latency)| (stage.clone(), latency)).chain(acks) {
        for quantile in ["p50", "p90", "p99", "p999", "p9999", "max"] {
            put(format!("{stage}.{quantile}"), latency[quantile].as_f64(), Better::Lower);
        }
    }
    // Times that criterion estimated, and instruction counts, by bench.
    for (bench, ns) in value["benches"].as_object().into_iter().flatten() {
        put(bench.clone(), ns.as_f64(), Better::Lower);
    }
    run.extend(counts(&value["ledger"]));
    run
}

/// What should not be there at all; none of what a report does not know.
fn counts(ledger: &Value) -> Run {
    let sum = |reasons: &str| -> Option<f64> {
        Some(ledger[reasons].as_object()?.values().filter_map(Value::as_f64).sum())
    };
    let overload = ledger["lost_overload"].as_f64().unwrap_or(0.0);
    let lost = ledger["lost_before_receive"].as_f64().map(|lost| lost + overload);
    let dropped = sum("dropped").map(|dropped| dropped + sum("dropped_frames").unwrap_or(0.0));
    let counts = [("lost", lost), ("dropped", dropped), ("rejected", sum("rejected"))];
    counts.into_iter().filter_map(|(name, count)| Some((name.to_owned(), (count?, Better::Fewer)))).collect()
}

/// Compares what both sides have. `threshold` gives the share of a metric by which it may be worse, and of a count the
/// share of the base's.
pub fn compare(
    (base_file, base): (&str, &[Run]),
    (head_file, head): (&str, &[Run]),
    threshold: impl Fn(&str) -> f64,
) -> Result<Comparison, CompareError> {
    let names = |runs: &[Run]| runs.iter().flat_map(Run::keys).cloned().collect::<BTreeSet<String>>();
    let (known, heads) = (names(base), names(head));
    let everywhere = |name: &String| base.iter().chain(head).all(|run| run.contains_key(name));
    let (names, missing): (Vec<&String>, Vec<&String>) = known.iter().partition(|name| everywhere(name));
    if names.is_empty() {
        return Err(CompareError::NothingInCommon { base: base_file.to_owned(), head: head_file.to_owned() });
    }
    let of = |name: &str, runs: &[Run]| -> Vec<f64> {
        runs.iter().filter_map(|run| run.get(name)).map(|(figure, _)| *figure).collect()
    };
    // A count that is 0 in every run has no interval.
    let scatters =
        |name: &&&String| of(name, base).iter().chain(&of(name, head)).any(|figure| *figure != 0.0);
    let intervals = names.iter().filter(scatters).count().max(1);
    // Of many intervals some would miss by chance: each is made so much surer (Bonferroni).
    let confidence = 1.0 - (1.0 - CONFIDENCE) / intervals as f64;
    let rows = names.into_iter().map(|name| {
        let better = base.first().and_then(|run| run.get(name)).map_or(Better::Lower, |figure| figure.1);
        row(name, better, (&of(name, base), &of(name, head)), confidence, threshold(name))
    });
    Ok(Comparison {
        rows: rows.collect(),
        missing: missing.into_iter().cloned().collect(),
        new: heads.difference(&known).cloned().collect(),
    })
}

fn row(metric: &str, better: Better, (base, head): (&[f64], &[f64]), confidence: f64, threshold: f64) -> Row {
    // Ratios are what is compared: differences of logarithms. Counts may be 0, and are compared as they are.
    let counts = better == Better::Fewer;
    let scaled = |values: &[f64]| -> Vec<f64> {
        values.iter().map(|value| if counts { *value } else { value.ln() }).collect()
    };
    let (low, high) = interval(&scaled(base), &scaled(head), confidence);
    let change = mean(&scaled(head)) - mean(&scaled(base));
    let told = |change: f64| if counts { change } else { change.exp() - 1.0 };
    let worse_by = if better == Better::Higher { -told(change) } else { told(change) };
    let allowed = if counts { threshold * mean(base) } else { threshold };
    let meaning = match (low, high) {
        _ if low <= 0.0 && high >= 0.0 => Meaning::Unchanged,
        _ if worse_by > allowed => Meaning::Worse,
        _ if worse_by < -allowed => Meaning::Better,
        _ => Meaning::Small,
    };
    Row {
        metric: metric.to_owned(),
        base: mean(base),
        head: mean(head),
        better,
        change: told(change),
        interval: (told(low), told(high)),
        meaning,
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Variance of the mean.
fn squared_error(values: &[f64]) -> f64 {
    let (mean, n) = (mean(values), values.len() as f64);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0) / n
}

/// The interval of `head - base`. As many runs on both sides were made in turns and are compared in pairs, which takes
/// out what changed on the machine meanwhile; else as two samples of their own (Welch).
fn interval(base: &[f64], head: &[f64], confidence: f64) -> (f64, f64) {
    let (difference, squared, freedom) = if base.len() == head.len() {
        let pairs: Vec<f64> = base.iter().zip(head).map(|(base, head)| head - base).collect();
        (mean(&pairs), squared_error(&pairs), pairs.len() as f64 - 1.0)
    } else {
        let (a, b) = (squared_error(base), squared_error(head));
        let parts = a.powi(2) / (base.len() as f64 - 1.0) + b.powi(2) / (head.len() as f64 - 1.0);
        // Two sides without any scatter: what differs differs.
        let freedom = if parts > 0.0 { (a + b).powi(2) / parts } else { 1.0 };
        (mean(head) - mean(base), a + b, freedom)
    };
    let student = StudentsT::new(0.0, 1.0, freedom);
    let times = student.map_or(f64::INFINITY, |student| student.inverse_cdf(0.5 + confidence / 2.0));
    let reach = if squared > 0.0 { times * squared.sqrt() } else { 0.0 };
    (difference - reach, difference + reach)
}

#[cfg(test)]
mod tests;
