//! The end of a run for people: ledger, rates, latencies and the verdict.

use std::collections::BTreeMap;
use std::fmt::Write;

use tickline_config::report::{FeedReport, Latency, Ledger, Report, Verdict};

/// The tables.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    tables(&mut out, report).ok();
    out
}

fn tables(out: &mut String, report: &Report) -> std::fmt::Result {
    let load = &report.load;
    if load.planned > 0 {
        let (planned, sent, late, blocked) = (load.planned, load.sent, load.late, load.blocked);
        let busy = load.busy_ratio * 100.0;
        writeln!(
            out,
            "\ngenerator: {sent} of {planned} messages sent, {late} late, {blocked} held up by a full queue, busiest \
             sender {busy:.0} % busy"
        )?;
    }
    feed_tables(out, &report.feeds)?;
    sink_table(out, report)?;
    writeln!(out, "\nlatency                     count       p50       p99     p99.9       max")?;
    for (stage, latency) in &report.latency_ns {
        latency_row(out, stage, latency)?;
    }
    for (name, sink) in &report.sinks {
        latency_row(out, &format!("{name}: write"), &sink.write_ns)?;
        latency_row(out, &format!("{name}: publish_to_ack"), &sink.publish_to_ack_ns)?;
        latency_row(out, &format!("{name}: due_to_ack"), &sink.due_to_ack_ns)?;
    }
    if let Some(archive) = report.archive {
        let (frames, lost, files) = (archive.frames, archive.lost, archive.files);
        writeln!(out, "\narchive: {frames} frames in {files} files, {lost} not archived")?;
    }
    notes(report).iter().try_for_each(|note| writeln!(out, "note: {note}"))?;
    let balance = if report.ledger.balanced { "balances" } else { "DOES NOT BALANCE" };
    let verdict = match report.verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Invalid => "invalid",
    };
    writeln!(out, "\nthe ledger {balance} after {:.1} s; verdict: {verdict}", report.elapsed_s)?;
    report.reasons.iter().try_for_each(|reason| writeln!(out, "  {reason}"))
}

/// Equations 2 and 3 of each feed.
fn feed_tables(out: &mut String, feeds: &BTreeMap<String, FeedReport>) -> std::fmt::Result {
    writeln!(
        out,
        "\nmessages           received   decoded   control undecod.   dropped      lost     msg/s"
    )?;
    for (name, feed) in feeds {
        let ledger = &feed.ledger;
        let (received, decoded, control) = (ledger.received, ledger.decoded, ledger.control);
        let (undecodable, dropped, lost) = (ledger.undecodable, sum(&ledger.dropped_frames), lost(ledger));
        let rate = feed.rate_per_s;
        writeln!(
            out,
            "{name:<16} {received:>10} {decoded:>9} {control:>9} {undecodable:>8} {dropped:>9} {lost:>9} {rate:>9.0}"
        )?;
    }
    writeln!(out, "\npoints           candidates suppressed      bad      made")?;
    for (name, feed) in feeds {
        let ledger = &feed.ledger;
        let (candidates, suppressed) = (ledger.candidates, sum(&ledger.suppressed));
        let (bad, made) = (ledger.bad_points, ledger.points_made);
        writeln!(out, "{name:<16} {candidates:>10} {suppressed:>10} {bad:>8} {made:>9}")?;
    }
    Ok(())
}

/// Equation 4 of each sink.
fn sink_table(out: &mut String, report: &Report) -> std::fmt::Result {
    let seconds = report.elapsed_s;
    writeln!(
        out,
        "\nsink                 points   written  rejected   dropped   on disk in flight  requests   retries  points/s"
    )?;
    for (name, sink) in &report.sinks {
        let ledger = &sink.ledger;
        let rate = if seconds > 0.0 { ledger.written as f64 / seconds } else { 0.0 };
        writeln!(
            out,
            "{name:<16} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {rate:>9.0}",
            ledger.points,
            ledger.written,
            sum(&ledger.rejected),
            sum(&ledger.dropped),
            ledger.spooled,
            ledger.in_flight,
            sink.requests,
            sink.retries
        )?;
    }
    Ok(())
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

/// What the tables sum up, by reason, and counters that stand in no equation, unless they are 0; without
/// sequences, loss cannot be detected.
fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |name: &str, what: &str, count: u64| {
        if count > 0 {
            notes.push(format!("{name}: {what} {count}"));
        }
    };
    for (name, feed) in &report.feeds {
        let ledger = &feed.ledger;
        note(name, "lost before receive", ledger.lost_before_receive.unwrap_or(0));
        note(name, "lost overload", ledger.lost_overload.unwrap_or(0));
        note(name, "duplicate", ledger.duplicate.unwrap_or(0));
        ledger.dropped_frames.iter().for_each(|(reason, n)| note(name, &format!("dropped {reason}"), *n));
        ledger.suppressed.iter().for_each(|(reason, n)| note(name, &format!("suppressed {reason}"), *n));
        feed.counters.iter().for_each(|(counter, n)| note(name, counter, *n));
        if ledger.published.is_none() {
            note(name, "loss cannot be detected on this feed: frames without numbers", feed.frames);
        }
    }
    for (name, sink) in &report.sinks {
        let ledger = &sink.ledger;
        note(name, "found on disk from an earlier run", ledger.recovered);
        note(name, "left on disk for the next run", ledger.spooled);
        ledger.rejected.iter().for_each(|(reason, n)| note(name, &format!("rejected {reason}"), *n));
        ledger.dropped.iter().for_each(|(reason, n)| note(name, &format!("dropped {reason}"), *n));
    }
    notes
}

#[cfg(test)]
mod tests {
    use tickline_config::report::SinkReport;

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

    #[test]
    fn every_sum_of_the_tables_is_followed_by_its_reasons() {
        let mut report = crate::report::blank("run");
        let mut feed = FeedReport::default();
        feed.ledger.lost_before_receive = Some(3);
        feed.ledger.suppressed.insert("unchanged".into(), 5);
        report.feeds.insert("alpha".into(), feed);
        let mut sink = SinkReport::default();
        sink.ledger.rejected.insert("beyond_retention".into(), 9);
        report.sinks.insert("db".into(), sink);
        let expected = [
            "alpha: lost before receive 3",
            "alpha: suppressed unchanged 5",
            "db: rejected beyond_retention 9",
        ];
        assert_eq!(notes(&report), expected);
    }
}
