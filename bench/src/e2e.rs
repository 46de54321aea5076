//! What the end-to-end commands have in common: how they end, and what is measured of one run.

pub(crate) mod child;
pub(crate) mod cost;
pub(crate) mod dashboards;
pub(crate) mod engine;
pub(crate) mod forward;
pub(crate) mod generator;
pub(crate) mod loader;
pub(crate) mod pairs;
#[cfg(feature = "bridges")]
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod raw;
pub(crate) mod receive;
pub(crate) mod rss;
pub(crate) mod sender;
pub(crate) mod server;
pub(crate) mod venue;

use tickline::latency::Latencies;

/// Exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// Done.
    Ok = 0,
    /// Something failed while running.
    Failed = 1,
    /// The sender did not keep its schedule.
    Invalid = 3,
    /// The ledger does not balance, or something was lost.
    Ledger = 4,
    /// What was asked for cannot be run.
    Configuration = 78,
}

/// What was asked for cannot be run.
#[derive(Debug)]
pub(crate) struct Unusable(pub(crate) String);

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

impl Code {
    /// How the process ends with this error.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if error.is::<Unusable>() { Code::Configuration } else { Code::Failed }
    }
}

/// One run of a floor or of tickline.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Messages from the first send to the last one's end, a second.
    pub(crate) msgs_per_s: f64,
    /// From `_ts` to received (floor) or encoded (tickline), p50 and p99, ns; none without `_ts`.
    pub(crate) latency_ns: Option<(u64, u64)>,
}

/// p50 and p99.
pub(crate) fn quantiles(latencies: &Latencies) -> Option<(u64, u64)> {
    let at = |quantile| latencies.histogram.value_at_quantile(quantile);
    (!latencies.histogram.is_empty()).then(|| (at(0.5), at(0.99)))
}

/// The middle value.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_an_odd_number_of_values() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([]), None);
    }

    #[test]
    fn what_cannot_be_run_is_told_from_what_failed() {
        assert_eq!(Code::of(&anyhow::Error::new(Unusable("x".into()))), Code::Configuration);
        assert_eq!(Code::of(&anyhow::anyhow!("x")), Code::Failed);
    }
}
