//! Alerts: what is one, and who is told.

use std::time::Duration;

use crate::filter::Condition;
use crate::secret::Secret;

/// `[alerting]`: who is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerting {
    /// Address that each alert is posted to.
    pub webhook: Option<Secret>,
    /// What is posted, with `{name}`, `{state}`, … in it.
    pub body: String,
    /// An alert that stands is told again so often; none: never.
    pub repeat: Option<Duration>,
    /// Longest wait for an answer.
    pub timeout: Duration,
}

/// `[alerts.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// A comparison of a metric with a number, the metric without its prefix `tickline_`.
    pub when: Condition,
    /// Globs that the labels of its series must fit, by label.
    pub labels: Vec<(String, String)>,
    /// What is compared is how much it has grown in this time; none: its value.
    pub increase_over: Option<Duration>,
    /// For so long it must hold before it is an alert.
    pub hold: Duration,
    /// For so long it must not hold before it is none any more.
    pub keep: Duration,
    /// How much it matters; none: the rule is off.
    pub severity: Option<Severity>,
    /// What it means, with `{LABEL}` and `{value}` in it.
    pub summary: String,
}

/// How much an alert matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Somebody is woken.
    Page,
    /// Somebody looks in the morning.
    Warn,
}

impl Severity {
    /// The name in rules and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Page => "page",
            Severity::Warn => "warn",
        }
    }
}
