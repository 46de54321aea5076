//! A measurement for a terminal.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use tickline_config::report::Report;

use super::said::{QUANTILES, became, latencies, weight};
use crate::threshold::nanos;

/// What was sent, what became of it, how long it took, and what is to be said of it.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    write_all(report, &mut out).ok();
    out
}

fn write_all(report: &Report, out: &mut String) -> fmt::Result {
    feeds(report, out)?;
    let load = &report.load;
    if load.planned > 0 {
        let (planned, sent, late, blocked) = (load.planned, load.sent, load.late, load.blocked);
        let busy = load.busy_ratio * 100.0;
        let rate = if report.elapsed_s > 0.0 { sent as f64 / report.elapsed_s } else { 0.0 };
        writeln!(
            out,
            "planned {planned}, sent {sent} ({rate:.0}/s), late {late}, blocked {blocked}, busiest sender {busy:.1} %"
        )?;
    }
    if let Some(target) = &report.target {
        let version = &target.build.version;
        writeln!(out, "\ntarget {} (tickline {version})", target.url)?;
        if let Some(error_ns) = target.clock_error_ns {
            writeln!(out, "its clock is another one: latencies are ± {}", nanos(error_ns))?;
        }
        ledger(report, out)?;
    }
    table(report, out)?;
    for threshold in &report.thresholds {
        let became = became(threshold);
        writeln!(out, "fail if {:<20} {:>12}  {became}", threshold.condition, threshold.measured)?;
    }
    for reason in &report.reasons {
        writeln!(out, "{}: {reason}", weight(report))?;
    }
    Ok(())
}

fn feeds(report: &Report, out: &mut String) -> fmt::Result {
    for (name, feed) in &report.feeds {
        let sent = feed.counters.get("sent").copied().unwrap_or(feed.frames);
        let (bytes, rate) = (feed.bytes, feed.rate_per_s);
        match sent {
            0 => writeln!(out, "{name}: no message")?,
            _ => writeln!(out, "{name}: {sent} messages, {bytes} bytes, {rate:.0}/s")?,
        }
    }
    Ok(())
}

fn ledger(report: &Report, out: &mut String) -> fmt::Result {
    let ledger = &report.ledger;
    let sum = |reasons: &BTreeMap<String, u64>| reasons.values().sum::<u64>();
    let lost = ledger.lost_before_receive.map(|lost| lost + ledger.lost_overload.unwrap_or(0));
    let lost = lost.map_or_else(|| "unknown".to_owned(), |lost| lost.to_string());
    let (received, points, written) = (ledger.received, ledger.points, ledger.written);
    let dropped = sum(&ledger.dropped_frames) + sum(&ledger.dropped);
    let rejected = sum(&ledger.rejected);
    let balanced = if ledger.balanced { "balances" } else { "DOES NOT BALANCE" };
    writeln!(
        out,
        "received {received}, lost {lost}; points {points}, written {written}, dropped {dropped}, rejected {rejected}; \
         ledger {balanced}"
    )?;
    let cpu = &report.cpu_s;
    let mib = report.rss_max_bytes as f64 / f64::from(1 << 20);
    writeln!(
        out,
        "cpu s: receive {:.2}, encode {:.2}, write {:.2}; memory {mib:.1} MiB",
        cpu.rx, cpu.enc, cpu.wr
    )
}

fn table(report: &Report, out: &mut String) -> fmt::Result {
    let rows = latencies(report);
    if rows.is_empty() {
        return Ok(());
    }
    write!(out, "\n{:<22}{:<6}{:>10}", "latency to", "from", "count")?;
    for (name, _) in QUANTILES {
        write!(out, "{name:>11}")?;
    }
    out.push('\n');
    for row in rows {
        let label = if row.from == "due" { row.stage.as_str() } else { "" };
        write!(out, "{label:<22}{:<6}{:>10}", row.from, row.latency.count)?;
        for (_, of) in QUANTILES {
            write!(out, "{:>11}", nanos(of(row.latency)))?;
        }
        out.push('\n');
    }
    Ok(())
}
