//! The end of a run for people: ledger, rates, latencies and the verdict.

use std::collections::BTreeMap;
use std::fmt::Write;

use tickline_config::report::{Latency, Ledger, Report, Verdict};

/// The tables.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    tables(&mut out, report).ok();
    out
}

fn tables(out: &mut String, report: &Report) -> std::fmt::Result {
    let seconds = report.elapsed_s;
    writeln!(
        out,
        "\nfeed               received   decoded   control undecod.   dropped      lost    points     msg/s"
    )?;
    for (name, feed) in &report.feeds {
        let ledger = &feed.ledger;
        let lost = lost(ledger);
        let dropped = sum(&ledger.dropped_frames);
        writeln!(
            out,
            "{name:<16} {:>10} {:>9} {:>9} {:>8} {dropped:>9} {lost:>9} {:>9} {:>9.0}",
            ledger.received,
            ledger.decoded,
            ledger.control,
            ledger.undecodable,
            ledger.points_made,
            feed.rate_per_s
        )?;
    }
    writeln!(
        out,
        "\nsink                 points   written  rejected   dropped in flight  requests   retries  points/s"
    )?;
    for (name, sink) in &report.sinks {
        let ledger = &sink.ledger;
        let rate = if seconds > 0.0 { ledger.written as f64 / seconds } else { 0.0 };
        writeln!(
            out,
            "{name:<16} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {rate:>9.0}",
            ledger.points,
            ledger.written,
            sum(&ledger.rejected),
            sum(&ledger.dropped),
            ledger.in_flight,
            sink.requests,
            sink.retries
        )?;
    }
    writeln!(out, "\nlatency                     count       p50       p99     p99.9       max")?;
    for (stage, latency) in &report.latency_ns {
        latency_row(out, stage, latency)?;
    }
    for (name, sink) in &report.sinks {
        latency_row(out, &format!("{name}: write"), &sink.write_ns)?;
        latency_row(out, &format!("{name}: publish_to_ack"), &sink.publish_to_ack_ns)?;
        latency_row(out, &format!("{name}: due_to_ack"), &sink.due_to_ack_ns)?;
    }
    for (feed, counter, count) in noteworthy(report) {
        writeln!(out, "note: {feed}: {counter} {count}")?;
    }
    let balance = if report.ledger.balanced { "balances" } else { "DOES NOT BALANCE" };
    let verdict = match report.verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Invalid => "invalid",
    };
    writeln!(out, "\nthe ledger {balance} after {seconds:.1} s; verdict: {verdict}")?;
    report.reasons.iter().try_for_each(|reason| writeln!(out, "  {reason}"))
}

fn latency_row(out: &mut String, name: &str, latency: &Latency) -> std::fmt::Result {
    if latency.count == 0 {
        return Ok(());
    }
    let [p50, p99, p999, max] = [latency.p50, latency.p99, latency.p999, latency.max].map(time);
    writeln!(out, "{name:<24} {:>8} {p50:>9} {p99:>9} {p999:>9} {max:>9}", latency.count)
}

/// `1.25 ms`
fn time(ns: u64) -> String {
    let ns = ns as f64;
    if ns < 1e6 {
        format!("{:.1} us", ns / 1e3)
    } else if ns < 1e9 {
        format!("{:.2} ms", ns / 1e6)
    } else {
        format!("{:.2} s", ns / 1e9)
    }
}

fn lost(ledger: &Ledger) -> String {
    match (ledger.lost_before_receive, ledger.lost_overload) {
        (Some(before), overload) => (before + overload.unwrap_or(0)).to_string(),
        (None, _) => "unknown".to_owned(),
    }
}

fn sum(reasons: &BTreeMap<String, u64>) -> u64 {
    reasons.values().sum()
}

/// Counters that stand in no equation and are not 0; without sequences, loss cannot be detected.
fn noteworthy(report: &Report) -> Vec<(&str, &str, u64)> {
    let counters = |(feed, of): (&'static str, u64)| (of > 0).then_some((feed, of));
    let mut notes = Vec::new();
    for (name, feed) in &report.feeds {
        notes.extend(
            feed.counters
                .iter()
                .filter(|(_, count)| **count > 0)
                .map(|(c, n)| (name.as_str(), c.as_str(), *n)),
        );
        let unknown = feed.ledger.published.is_none() && feed.frames > 0;
        let detect =
            unknown.then_some(("loss cannot be detected on this feed: frames without numbers", feed.frames));
        notes.extend(detect.and_then(counters).map(|(what, count)| (name.as_str(), what, count)));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_the_unit_that_fits() {
        assert_eq!([900, 1_500_000, 2_000_000_000].map(time), ["0.9 us", "1.50 ms", "2.00 s"]);
    }

    #[test]
    fn the_verdict_and_its_reasons_stand_at_the_end() {
        let mut report = crate::report::blank("run");
        (report.verdict, report.reasons) = (Verdict::Fail, vec!["7 points dropped".into()]);
        let text = text(&report);
        assert!(
            text.ends_with("the ledger DOES NOT BALANCE after 1.0 s; verdict: fail\n  7 points dropped\n")
        );
    }
}
