//! What works and what does not, for whoever is on duty.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing that works or does not, for whoever is on duty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartReport {
    /// Its place in the configuration or on the machine, such as `feeds.kraken_tick`, `sinks.influx.spool`, `disk`.
    pub name: String,
    /// Whether it does its work.
    pub state: PartState,
    /// What is wrong; empty where nothing is.
    pub cause: String,
    /// What to do about it; empty where nothing is wrong.
    pub next: String,
    /// Since when, and how it was before.
    pub uptime: UptimeReport,
}

impl PartReport {
    /// A part that does its work.
    pub fn ok(name: &str) -> Self {
        let (name, state, uptime) = (name.to_owned(), PartState::Ok, UptimeReport::default());
        Self { name, state, cause: String::new(), next: String::new(), uptime }
    }
}

/// The past of a part, earlier runs with the same `state_dir` included: of the time of which something is known the
/// share in which it had not failed, 0 to 1; null where nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UptimeReport {
    /// When its state began, s since 1970; 0 where that is not known.
    pub since_s: i64,
    /// Share of the last hour.
    pub hour: Option<f64>,
    /// Share of the last 24 hours.
    pub day: Option<f64>,
    /// Share of the last 30 days.
    pub month: Option<f64>,
}

/// Whether a part does its work; what is worse stands behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartState {
    /// It does.
    Ok,
    /// It does, and somebody should look at it.
    Degraded,
    /// It does not.
    Failed,
}

/// An alert that fires.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertReport {
    /// Its rule.
    pub name: String,
    /// `page` or `warn`.
    pub severity: String,
    /// What it means.
    pub summary: String,
    /// Labels of the series, such as `feed=kraken_tick`.
    pub labels: String,
    /// When it began to hold, ns since 1970.
    pub since_ns: i64,
}

/// A queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueReport {
    /// What waits in it: frames or batches.
    pub waiting: u64,
    /// How much may.
    pub capacity: u64,
}
