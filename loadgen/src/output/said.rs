//! What a text and a page say alike: the verdict in a word, what became of each condition, and the latencies as rows.

use tickline_config::report::{Latency, Report, ThresholdReport, Verdict};

use crate::measure::stages;

/// Name of a figure, and the figure.
pub(super) type Column = (&'static str, fn(&Latency) -> u64);

/// Columns of a table of latencies.
pub(super) const QUANTILES: [Column; 6] = [
    ("p50", |l| l.p50),
    ("p90", |l| l.p90),
    ("p99", |l| l.p99),
    ("p99.9", |l| l.p999),
    ("p99.99", |l| l.p9999),
    ("max", |l| l.max),
];

/// The verdict. A run that is none says so, whatever its thresholds came to.
pub(super) fn verdict(report: &Report) -> &'static str {
    match report.verdict {
        Verdict::Fail => "fail",
        Verdict::Invalid => "invalid",
        Verdict::Pass if report.thresholds.iter().any(|threshold| threshold.crossed) => "fail",
        Verdict::Pass => "pass",
    }
}

/// What a reason stands for: the verdict, or something to know.
pub(super) fn weight(report: &Report) -> &'static str {
    if report.verdict == Verdict::Pass { "note" } else { verdict(report) }
}

/// What became of a condition.
pub(super) fn became(threshold: &ThresholdReport) -> &'static str {
    match threshold {
        ThresholdReport { crossed: true, .. } => "CROSSED",
        ThresholdReport { measured, .. } if measured == UNKNOWN => "NOT MEASURED",
        ThresholdReport { .. } => "ok",
    }
}

/// What a condition without a figure has measured.
const UNKNOWN: &str = "unknown";

/// One row of a table of latencies.
pub(super) struct Row<'a> {
    /// The stage at whose end it ends.
    pub(super) stage: String,
    /// Where it begins: `due`, or `sent`, which is what a load generator that waits for its victim would tell. Where
    /// the two differ, messages had to wait before they were sent.
    pub(super) from: &'static str,
    pub(super) latency: &'a Latency,
}

/// Up to two rows a stage, in the order of the way.
pub(super) fn latencies(report: &Report) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for stage in stages(report) {
        for (from, latency) in [("due", Some(stage.due)), ("sent", stage.sent)] {
            let latency = latency.filter(|latency| latency.count > 0);
            rows.extend(latency.map(|latency| Row { stage: stage.label(), from, latency }));
        }
    }
    rows
}
