//! The page: one self-contained HTML file with the figures as tables and pictures.

use std::fmt::{self, Write};

use tickline_config::report::{Latency, Report};

use super::chart::{Chart, Line};
use super::said::{Column, QUANTILES, became, latencies, verdict};
use super::stage_names;
use super::text::text;
use crate::interval;
use crate::measure::{Measured, Second, stages};
use crate::threshold::nanos;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;color:#1c2430;background:#f6f7f9;margin:0}\
main{max-width:940px;margin:0 auto;padding:24px 16px}\
h1{font-size:22px;margin:0 0 4px}h2{font-size:16px;margin:28px 0 8px}\
section{background:#fff;border:1px solid #e2e6ec;border-radius:8px;padding:12px}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{text-align:right;padding:4px 8px;border-bottom:1px solid #eef0f3;white-space:nowrap}\
th:first-child,td:first-child,.l{text-align:left}th{font-weight:600;color:#5a6475}\
.pass{color:#00785a}.fail,.invalid{color:#b3261e}.quiet{color:#5a6475}\
svg{width:100%;height:auto}pre{overflow:auto;font-size:13px;margin:0}";

/// The whole page.
pub fn page(measured: &Measured) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    write_page(measured, &mut out).ok();
    out
}

fn write_page(measured: &Measured, out: &mut String) -> fmt::Result {
    let report = &measured.report;
    out.push_str("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    let title = format!("{}: {}", report.command, verdict(report));
    write!(out, "<title>{}</title><style>{STYLE}</style></head><body><main>", escape(&title))?;
    head(report, out)?;
    section("Latency, by share of messages", &quantile_curve(report), out)?;
    latency_table(report, out)?;
    section("Rate over time", &rates(&measured.seconds), out)?;
    for name in stage_names(&measured.seconds) {
        let title = format!("Latency to {name} over time");
        section(&title, &latency_over_time(&measured.seconds, &name), out)?;
    }
    section("Share of the latency, by stage", &by_stage(&measured.seconds), out)?;
    let text = escape(&text(report));
    writeln!(out, "<h2>As text</h2><section><pre>{text}</pre></section></main></body></html>")
}

fn head(report: &Report, out: &mut String) -> fmt::Result {
    let verdict = verdict(report);
    let (command, host) = (escape(&report.command), &report.host);
    write!(out, "<h1>{command} <span class=\"{verdict}\">{verdict}</span></h1>")?;
    let (cpu, cores, kernel) = (escape(&host.cpu), host.cores, escape(&host.kernel));
    let (version, profile) = (escape(&report.build.version), escape(&report.build.profile));
    write!(out, "<p class=\"quiet\">tickline {version} ({profile}), {cpu}, {cores} cores, {kernel}")?;
    if let Some(error_ns) = report.target.as_ref().and_then(|target| target.clock_error_ns) {
        write!(out, "; two clocks: latencies are ± {}", nanos(error_ns))?;
    }
    out.push_str("</p>");
    if report.thresholds.is_empty() && report.reasons.is_empty() {
        return Ok(());
    }
    out.push_str("<section><table>");
    for threshold in &report.thresholds {
        let became = became(threshold);
        let class = if became == "ok" { "pass" } else { "fail" };
        let (condition, measured) = (escape(&threshold.condition), escape(&threshold.measured));
        write!(
            out,
            "<tr><td>fail if {condition}</td><td>{measured}</td><td class=\"{class}\">{became}</td></tr>"
        )?;
    }
    for reason in &report.reasons {
        write!(out, "<tr><td colspan=\"3\" class=\"l\">{}</td></tr>", escape(reason))?;
    }
    out.push_str("</table></section>");
    Ok(())
}

fn section(title: &str, chart: &Chart<'_>, out: &mut String) -> fmt::Result {
    if let Some(svg) = chart.svg() {
        write!(out, "<h2>{}</h2><section>{svg}</section>", escape(title))?;
    }
    Ok(())
}

/// Quantiles against 1 / (1 - quantile): each nine has the same width.
fn quantile_curve(report: &Report) -> Chart<'static> {
    let curve = |latency: &Latency| -> Vec<(f64, f64)> {
        let Some(histogram) = interval::histogram(latency) else { return Vec::new() };
        let steps = histogram.iter_quantiles(5).filter(|step| step.quantile_iterated_to() < 1.0);
        steps
            .map(|step| (1.0 / (1.0 - step.quantile_iterated_to()), step.value_iterated_to().max(1) as f64))
            .collect()
    };
    let mut lines = Vec::new();
    for stage in stages(report) {
        lines.push(Line { label: stage.label(), points: curve(stage.due) });
        if let Some(sent) = stage.sent.filter(|_| stage.name == "ack") {
            lines.push(Line { label: format!("{}, from sent", stage.label()), points: curve(sent) });
        }
    }
    let x_text = |rest: f64| match rest {
        ..1.5 => "0 %".to_owned(),
        ..15.0 => "90 %".to_owned(),
        _ => format!("{:.*} %", (rest.log10() - 1.9) as usize, 100.0 - 100.0 / rest),
    };
    Chart {
        x_title: "share of messages that are as fast or faster",
        lines,
        x_text,
        y_text: nanos_text,
        logarithmic: true,
    }
}

fn latency_table(report: &Report, out: &mut String) -> fmt::Result {
    out.push_str("<section><table><tr><th>to</th><th class=\"l\">from</th><th>count</th>");
    QUANTILES.iter().try_for_each(|(name, _)| write!(out, "<th>{name}</th>"))?;
    out.push_str("</tr>");
    for row in latencies(report) {
        let label = escape(&row.stage);
        write!(out, "<tr><td>{label}</td><td class=\"l\">{}</td><td>{}</td>", row.from, row.latency.count)?;
        QUANTILES.iter().try_for_each(|(_, of)| write!(out, "<td>{}</td>", nanos(of(row.latency))))?;
        out.push_str("</tr>");
    }
    out.push_str("</table></section>");
    Ok(())
}

fn over_time(seconds: &[Second], label: &str, of: impl Fn(&Second) -> Option<f64>) -> Line {
    let points = seconds.iter().filter_map(|second| Some((second.at_s, of(second)?))).collect();
    Line { label: label.to_owned(), points }
}

fn timeline(lines: Vec<Line>, y_text: fn(f64) -> String) -> Chart<'static> {
    Chart {
        x_title: "seconds since the first message",
        lines,
        x_text: |s| format!("{s:.0}"),
        y_text,
        logarithmic: false,
    }
}

fn rates(seconds: &[Second]) -> Chart<'static> {
    let rate = |second: &Second, count: u64| (second.span_s > 0.5).then(|| count as f64 / second.span_s);
    let lines = vec![
        over_time(seconds, "messages sent a second", |s| rate(s, s.sent)),
        over_time(seconds, "received", |s| rate(s, s.target.as_ref()?.received)),
        over_time(seconds, "points written", |s| rate(s, s.target.as_ref()?.written)),
    ];
    timeline(lines, |rate| format!("{rate:.0}"))
}

fn of_stage<'a>(second: &'a Second, name: &str) -> Option<&'a Latency> {
    second.stages().find(|(known, latency)| *known == name && latency.count > 0).map(|(_, latency)| latency)
}

fn latency_over_time(seconds: &[Second], name: &str) -> Chart<'static> {
    let shown: [Column; 4] =
        [("p50", |l| l.p50), ("p99", |l| l.p99), ("p99.9", |l| l.p999), ("max", |l| l.max)];
    let lines = shown.map(|(label, of)| over_time(seconds, label, |s| Some(of(of_stage(s, name)?) as f64)));
    timeline(lines.into(), nanos_text)
}

fn by_stage(seconds: &[Second]) -> Chart<'static> {
    let line =
        |name: &String| over_time(seconds, &format!("{name} p99"), |s| Some(of_stage(s, name)?.p99 as f64));
    timeline(stage_names(seconds).iter().map(line).collect(), nanos_text)
}

fn nanos_text(ns: f64) -> String {
    nanos(ns as u64)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
