//! The status line: once a second on a terminal, rates, queue fill, p99 and drops in one line that overwrites
//! itself. Where standard error is no terminal there is none.

use std::io::{IsTerminal, Write, stderr};

use tickline_config::report::{Ledger, Report};

use crate::report::{Histograms, report};
use crate::view::View;

/// Writes the line and remembers what it said last.
#[derive(Clone, Debug, Default)]
pub struct StatusLine {
    shown: bool,
    last: Option<(f64, u64, u64)>,
}

impl StatusLine {
    /// A line, if standard error is a terminal.
    pub fn on_terminal() -> Self {
        Self { shown: stderr().is_terminal(), last: None }
    }

    /// Writes the line as it is now.
    pub fn show(&mut self, view: &View) {
        if !self.shown {
            return;
        }
        let report = report(view, Histograms::LeaveOut);
        let waiting = view.frame_queues.iter().map(|gauge| gauge.read().0).sum();
        let batches: Vec<(&str, usize)> =
            view.sinks.iter().map(|s| (s.name.as_str(), s.queue.len())).collect();
        let line = text(&report, self.last, waiting, &batches);
        self.last = Some((report.elapsed_s, report.ledger.received, report.ledger.written));
        // A terminal that has gone away is no reason to stop.
        write!(stderr(), "\r\x1b[2K{line}").ok();
    }

    /// Leaves the line, so that what follows stands below it.
    pub fn end(&mut self) {
        if self.shown && self.last.take().is_some() {
            writeln!(stderr()).ok();
        }
    }
}

fn text(report: &Report, last: Option<(f64, u64, u64)>, waiting: usize, batches: &[(&str, usize)]) -> String {
    let Ledger { received, written, in_flight, .. } = report.ledger;
    let (then, received_then, written_then) = last.unwrap_or_default();
    let seconds = (report.elapsed_s - then).max(1e-3);
    let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
    let p99 = report.latency_ns.get("receive_to_encode").map_or(0, |latency| latency.p99);
    let sum = |reasons: &std::collections::BTreeMap<String, u64>| reasons.values().sum::<u64>();
    let drops = sum(&report.ledger.dropped) + sum(&report.ledger.dropped_frames);
    let queues: Vec<String> = batches.iter().map(|(name, length)| format!("{name} {length}")).collect();
    format!(
        "{:>6.0}s  in {:>8.0} msg/s  out {:>8.0} points/s  waiting {waiting} frames, {in_flight} points ({})  \
         encode p99 {} us  dropped {drops}  lost {}",
        report.elapsed_s,
        rate(received, received_then),
        rate(written, written_then),
        queues.join(", "),
        p99 / 1_000,
        report.ledger.lost_before_receive.map_or_else(|| "unknown".to_owned(), |lost| lost.to_string()),
    )
}
