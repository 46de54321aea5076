//! Two sets of runs compared, metric by metric: how much the one is better or worse, and how sure that is. Reads load
//! reports, bench results, criterion's estimates and instruction counts; runs nothing.

use std::collections::BTreeMap;

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
    /// Change from base to head, as a share: 0.05 is 5 % more.
    pub change: f64,
    /// The interval in which the change is, as sure as all of them together are to be 95 %.
    pub interval: (f64, f64),
    /// What that means.
    pub meaning: Meaning,
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
            if let Some(verdict) = value["verdict"].as_str().filter(|verdict| *verdict != "pass") {
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
    let pairs = value.get("pairs").and_then(Value::as_array).filter(|pairs| pairs.len() > 1);
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
    put("rss_max_bytes".to_owned(), value["rss_max_bytes"].as_f64(), Better::Lower);
    let received = value["ledger"]["received"].as_f64().filter(|received| *received > 0.0);
    let cpu_s: f64 = ["rx", "enc", "wr"].iter().filter_map(|stage| value["cpu_s"][stage].as_f64()).sum();
    put("cpu_ns_a_message".to_owned(), received.map(|received| cpu_s * 1e9 / received), Better::Lower);
    let latencies = value["latency_ns"].as_object().into_iter().flatten();
    let sinks = value["sinks"].as_object().into_iter().flatten();
    let acks = sinks.map(|(sink, report)| (format!("due_to_ack.{sink}"), &report["due_to_ack_ns"]));
    for (stage, latency) in latencies.map(|(stage, latency)| (stage.clone(), latency)).chain(acks) {
        for quantile in ["p50", "p99", "p999"] {
            put(format!("{stage}.{quantile}"), latency[quantile].as_f64(), Better::Lower);
        }
    }
    // Times that criterion estimated, and instruction counts, by bench.
    for (bench, ns) in value["benches"].as_object().into_iter().flatten() {
        put(bench.clone(), ns.as_f64(), Better::Lower);
    }
    run
}

/// Compares what both sides have. `threshold` gives the share of a metric by which it may be worse.
pub fn compare(
    (base_file, base): (&str, &[Run]),
    (head_file, head): (&str, &[Run]),
    threshold: impl Fn(&str) -> f64,
) -> Result<Vec<Row>, CompareError> {
    let everywhere = |name: &&String| base.iter().chain(head).all(|run| run.contains_key(*name));
    let names: Vec<&String> = base.first().into_iter().flat_map(Run::keys).filter(everywhere).collect();
    if names.is_empty() {
        return Err(CompareError::NothingInCommon { base: base_file.to_owned(), head: head_file.to_owned() });
    }
    // Of many intervals some would miss by chance: each is made so much surer (Bonferroni).
    let confidence = 1.0 - (1.0 - CONFIDENCE) / names.len() as f64;
    let rows = names.into_iter().map(|name| {
        let of =
            |runs: &[Run]| -> Vec<f64> { runs.iter().filter_map(|run| run.get(name)).map(|v| v.0).collect() };
        let better = base.first().and_then(|run| run.get(name)).map_or(Better::Lower, |figure| figure.1);
        row(name, better, (&of(base), &of(head)), confidence, threshold(name))
    });
    Ok(rows.collect())
}

fn row(metric: &str, better: Better, (base, head): (&[f64], &[f64]), confidence: f64, threshold: f64) -> Row {
    // Ratios are what is compared: differences of logarithms.
    let logs = |values: &[f64]| values.iter().map(|value| value.ln()).collect::<Vec<f64>>();
    let (low, high) = interval(&logs(base), &logs(head), confidence);
    let change = mean(&logs(head)) - mean(&logs(base));
    let share = |log: f64| log.exp() - 1.0;
    let worse_by = match better {
        Better::Higher => -share(change),
        Better::Lower => share(change),
    };
    let meaning = match (low, high) {
        _ if low <= 0.0 && high >= 0.0 => Meaning::Unchanged,
        _ if worse_by > threshold => Meaning::Worse,
        _ if worse_by < -threshold => Meaning::Better,
        _ => Meaning::Small,
    };
    Row {
        metric: metric.to_owned(),
        base: mean(base),
        head: mean(head),
        change: share(change),
        interval: (share(low), share(high)),
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
