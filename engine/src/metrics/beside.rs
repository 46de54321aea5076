//! Metrics of what goes on beside the pipeline: what works, alerts, marked ticks and bars.

use std::collections::BTreeMap;

use tickline_config::report::PartReport;

use super::Page;
use crate::view::View;

/// What goes on beside the pipeline: marked ticks and bars.
pub(super) fn beside(page: &mut Page, view: &View) {
    let canary = view.canary.lock().clone();
    if canary.runs > 0 {
        let came = f64::from(u8::from(canary.wrong.is_none()));
        page.gauge("canary_ok", "1 if the last marked ticks all came back", &[], came);
        page.gauge("canary_seconds", "how long the last marked ticks took", &[], canary.took_s);
    }
    page.counter("canary_runs", "times that marked ticks were sent", &[], canary.runs);
    page.counter("canary_failures", "times that not all of them came back", &[], canary.failures);
    for (sink, seen) in view.rollups.lock().iter() {
        let labels = [("sink", sink.as_str())];
        page.counter("rollup_bars", "bars written, again included", &labels, seen.bars);
        page.gauge("rollup_pending", "intervals without bars yet", &labels, seen.pending as f64);
    }
}

/// What works, as /ready and the status page say it.
pub(super) fn parts(page: &mut Page, parts: &[PartReport]) {
    for part in parts {
        let state = f64::from(part.state as u8);
        let help = "0 if it does its work, 1 if somebody should look, 2 if it does not";
        page.gauge("part_state", help, &[("part", &part.name)], state);
    }
}

/// Alerts that fire, and how many were told.
pub(super) fn alerts(page: &mut Page, view: &View) {
    let mut firing: BTreeMap<(String, &str), u64> = BTreeMap::new();
    for of in view.alerts.lock().iter() {
        *firing.entry((of.name.clone(), of.severity.name())).or_default() += 1;
    }
    for ((name, severity), count) in firing {
        page.gauge(
            "alerts_firing",
            "alerts that fire",
            &[("alert", &name), ("severity", severity)],
            count as f64,
        );
    }
    let told = *view.told.lock();
    page.counter("alerts_sent", "messages that the webhook took", &[], told.sent);
    page.counter(
        "alerts_given_up",
        "messages that the webhook did not take within ten minutes",
        &[],
        told.given_up,
    );
}
