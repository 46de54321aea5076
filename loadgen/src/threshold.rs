//! Conditions on a report, such as `p99.9>20ms` or `lost=0`: `--fail-if` names what must not be, an objective what
//! must hold. One grammar for both: metric, operator, value.

use std::fmt;
use std::str::FromStr;

use tickline_config::report::{Latency, Ledger, Report, ThresholdReport};
use tickline_config::units::parse_duration;

mod sight;

pub use sight::{Sight, Unseen};

/// A condition as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    metric: Metric,
    operator: Operator,
    value: f64,
    text: String,
}

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// A number of the load generator itself.
    Load(Count),
    /// A number of the target.
    Target(Count),
    /// A quantile of the latency from the due time to the end of a stage.
    Latency(Stage, Quantile),
}

/// A count or a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Messages sent.
    Sent,
    /// Messages sent a second.
    Rate,
    /// Slots that the generator began too late.
    Late,
    /// Slots delayed by a full queue.
    Blocked,
    /// Messages lost before receive or by overload.
    Lost,
    /// Frames and points dropped by policy.
    Dropped,
    /// Points that a database refused.
    Rejected,
    /// Ledgers that do not balance.
    Unbalanced,
}

/// Where a latency ends; it begins when the message was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// ZeroMQ has taken the message.
    Send,
    /// The engine has received it.
    Receive,
    /// Its points are encoded.
    Encode,
    /// The slowest sink has acknowledged them.
    Ack,
}

/// Which figure of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantile {
    /// 0.5
    P50,
    /// 0.9
    P90,
    /// 0.99
    P99,
    /// 0.999
    P999,
    /// 0.9999
    P9999,
    /// The largest value.
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
}

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// No operator.
    #[error("condition: must be METRIC OPERATOR VALUE such as p99.9>20ms or lost>0, found {0:?}")]
    Shape(String),
    /// No such metric.
    #[error(
        "condition: metric must be one of {METRICS}, or a quantile with send., receive., encode. or ack. in front, found {0:?}"
    )]
    Metric(String),
    /// The value does not fit the metric.
    #[error("condition: value of {metric} must be {rule}, found {found:?}")]
    Value {
        /// The metric.
        metric: String,
        /// What fits.
        rule: &'static str,
        /// As given.
        found: String,
    },
}

const COUNTS: [(&str, Metric); 8] = [
    ("sent", Metric::Load(Count::Sent)),
    ("rate", Metric::Load(Count::Rate)),
    ("late", Metric::Load(Count::Late)),
    ("blocked", Metric::Load(Count::Blocked)),
    ("lost", Metric::Target(Count::Lost)),
    ("dropped", Metric::Target(Count::Dropped)),
    ("rejected", Metric::Target(Count::Rejected)),
    ("unbalanced", Metric::Target(Count::Unbalanced)),
];

const QUANTILES: [(&str, Quantile); 6] = [
    ("p50", Quantile::P50),
    ("p90", Quantile::P90),
    ("p99", Quantile::P99),
    ("p99.9", Quantile::P999),
    ("p99.99", Quantile::P9999),
    ("max", Quantile::Max),
];

const STAGES: [(&str, Stage); 4] =
    [("send.", Stage::Send), ("receive.", Stage::Receive), ("encode.", Stage::Encode), ("ack.", Stage::Ack)];

const METRICS: &str =
    "sent, rate, late, blocked, lost, dropped, rejected, unbalanced, p50, p90, p99, p99.9, p99.99, max";

// Two characters before one, so that `>=` is not read as `>`.
const OPERATORS: [(&str, Operator); 5] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    (">", Operator::Above),
    ("<", Operator::Below),
    ("=", Operator::Equal),
];

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let shape = || ConditionError::Shape(text.to_owned());
        let at = text.find(['<', '>', '=']).ok_or_else(shape)?;
        let (metric, rest) = text.split_at(at);
        let (sign, operator) =
            OPERATORS.into_iter().find(|(sign, _)| rest.starts_with(sign)).ok_or_else(shape)?;
        let (metric, value) = (metric.trim(), rest.get(sign.len()..).unwrap_or_default().trim());
        let named = named(metric).ok_or_else(|| ConditionError::Metric(metric.to_owned()))?;
        let value = named.value(value).map_err(|rule| ConditionError::Value {
            metric: metric.to_owned(),
            rule,
            found: value.to_owned(),
        })?;
        Ok(Self { metric: named, operator, value, text: text.to_owned() })
    }
}

fn named(name: &str) -> Option<Metric> {
    if let Some((_, metric)) = COUNTS.into_iter().find(|(known, _)| *known == name) {
        return Some(metric);
    }
    let prefixed = STAGES.into_iter().find_map(|(prefix, stage)| Some((stage, name.strip_prefix(prefix)?)));
    let (stage, quantile) = prefixed.unwrap_or((Stage::Ack, name));
    let (_, quantile) = QUANTILES.into_iter().find(|(known, _)| *known == quantile)?;
    Some(Metric::Latency(stage, quantile))
}

impl Metric {
    fn value(self, text: &str) -> Result<f64, &'static str> {
        let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
        match self {
            Self::Latency(..) => {
                let duration = parse_duration(text).map(|duration| duration.as_nanos() as f64);
                duration.ok_or("a duration such as 20ms")
            }
            Self::Load(Count::Rate) => {
                text.strip_suffix("/s").and_then(number).ok_or("messages a second such as 5000/s")
            }
            Self::Load(_) | Self::Target(_) => {
                text.parse::<u32>().map(f64::from).map_err(|_| "a whole number such as 0")
            }
        }
    }

    /// Whether it is a figure of the target.
    pub fn needs_target(self) -> bool {
        !matches!(self, Self::Load(_) | Self::Latency(Stage::Send, _))
    }
}

impl Condition {
    /// What holds exactly where this one does not; none for an equality, which has no opposite here.
    pub fn opposite(&self) -> Option<Self> {
        let operator = match self.operator {
            Operator::Above => Operator::AtMost,
            Operator::AtLeast => Operator::Below,
            Operator::Below => Operator::AtLeast,
            Operator::AtMost => Operator::Above,
            Operator::Equal => return None,
        };
        let sign = |wanted| OPERATORS.into_iter().find(|(_, known)| *known == wanted).map(|(sign, _)| sign);
        let text = self.text.replacen(sign(self.operator)?, sign(operator)?, 1);
        Some(Self { operator, text, ..self.clone() })
    }

    /// What it is about.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Its value: ns, messages a second, or a count.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// What the report says of its metric; none if the report does not know.
    pub fn measured(&self, report: &Report) -> Option<f64> {
        match self.metric {
            Metric::Load(count) => load(count, report),
            Metric::Target(count) => target(count, &report.ledger, report),
            Metric::Latency(stage, quantile) => latency(stage, report)
                .into_iter()
                .filter(|latency| latency.count > 0)
                .map(|latency| quantile.of(latency) as f64)
                .reduce(f64::max),
        }
    }

    /// Whether it holds; none if the report does not know its metric.
    pub fn holds(&self, report: &Report) -> Option<bool> {
        let (found, value) = (self.measured(report)?, self.value);
        Some(match self.operator {
            Operator::Above => found > value,
            Operator::AtLeast => found >= value,
            Operator::Below => found < value,
            Operator::AtMost => found <= value,
            Operator::Equal => found == value,
        })
    }

    /// What was measured, in the unit of the condition.
    pub fn shown(&self, report: &Report) -> String {
        let Some(found) = self.measured(report) else { return "unknown".to_owned() };
        match self.metric {
            Metric::Latency(..) => nanos(found as u64),
            Metric::Load(Count::Rate) => format!("{found:.0}/s"),
            _ => format!("{found}"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Quantile {
    fn of(self, latency: &Latency) -> u64 {
        match self {
            Self::P50 => latency.p50,
            Self::P90 => latency.p90,
            Self::P99 => latency.p99,
            Self::P999 => latency.p999,
            Self::P9999 => latency.p9999,
            Self::Max => latency.max,
        }
    }
}

fn load(count: Count, report: &Report) -> Option<f64> {
    let load = &report.load;
    match count {
        Count::Sent => Some(load.sent as f64),
        Count::Rate if report.elapsed_s > 0.0 => Some(load.sent as f64 / report.elapsed_s),
        Count::Late => Some(load.late as f64),
        Count::Blocked => Some(load.blocked as f64),
        _ => None,
    }
}

fn target(count: Count, ledger: &Ledger, report: &Report) -> Option<f64> {
    let sum = |reasons: &std::collections::BTreeMap<String, u64>| reasons.values().sum::<u64>();
    let number = match count {
        Count::Lost => ledger.lost_before_receive? + ledger.lost_overload.unwrap_or(0),
        Count::Dropped => sum(&ledger.dropped_frames) + sum(&ledger.dropped),
        Count::Rejected => sum(&ledger.rejected),
        Count::Unbalanced => {
            let feeds = report.feeds.values().map(|feed| &feed.ledger);
            let all = feeds.chain(report.sinks.values().map(|sink| &sink.ledger));
            all.filter(|ledger| !ledger.balanced).count() as u64
        }
        _ => return None,
    };
    Some(number as f64)
}

/// A condition on a metric that the report does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}: this run has no such figure")]
pub struct Unknown(String);

impl Unknown {
    /// This condition.
    pub fn of(condition: &Condition) -> Self {
        Self(condition.to_string())
    }
}

/// Holds a report to what must not be and writes down what became of each condition. True: the run has failed. An
/// error names a condition of which the report does not know; all the others are written down nevertheless.
pub fn judge(report: &mut Report, fail_if: &[Condition]) -> Result<bool, Unknown> {
    let (mut any, mut unknown) = (false, None);
    for condition in fail_if {
        let held = condition.holds(report);
        if held.is_none() && unknown.is_none() {
            unknown = Some(Unknown::of(condition));
        }
        let (crossed, measured) = (held.unwrap_or(false), condition.shown(report));
        report.thresholds.push(ThresholdReport { condition: condition.to_string(), measured, crossed });
        any |= crossed;
    }
    unknown.map_or(Ok(any), Err)
}

/// The distributions of a stage: one, or one a sink.
fn latency(stage: Stage, report: &Report) -> Vec<&Latency> {
    let named = |name: &str| report.latency_ns.get(name).into_iter().collect();
    match stage {
        Stage::Send => named("due_to_send"),
        Stage::Receive => named("due_to_receive"),
        Stage::Encode => named("due_to_encode"),
        Stage::Ack => report.sinks.values().map(|sink| &sink.due_to_ack_ns).collect(),
    }
}

/// A duration with the unit in which it has at most four digits before the point.
pub fn nanos(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} ms", ns as f64 / 1e6),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests;
