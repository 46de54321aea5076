//! The same rules for others: rule files of Prometheus and of Grafana.

use std::collections::BTreeMap;
use std::fmt::Write;

use tickline_config::model::{Alert, Severity};

/// Where a reader finds what to do.
const RUNBOOK: &str = "docs/RUNBOOK.md#";

/// A rule that only somebody else can look at: that there is no engine.
const ABSENT: (&str, &str, &str) = (
    "engine_absent",
    "absent(tickline_up_seconds)",
    "no engine answers: nothing is received, nothing is stored",
);

/// A text as YAML takes it: JSON's texts are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn seconds(time: std::time::Duration) -> String {
    format!("{}s", time.as_secs())
}

/// `metric{label=~"pattern"}`, or its increase.
fn query(metric: &str, alert: &Alert) -> String {
    let pattern = |glob: &str| {
        let mut pattern = String::new();
        for c in glob.chars() {
            match c {
                '*' => pattern.push_str(".*"),
                '?' => pattern.push('.'),
                c if c.is_ascii_alphanumeric() || c == '_' => pattern.push(c),
                c => {
                    pattern.push_str("\\\\");
                    pattern.push(c);
                }
            }
        }
        pattern
    };
    let labels: Vec<String> =
        alert.labels.iter().map(|(name, glob)| format!("{name}=~\"{}\"", pattern(glob))).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    match alert.increase_over {
        Some(span) => format!("increase(tickline_{metric}{labels}[{}])", seconds(span)),
        None => format!("tickline_{metric}{labels}"),
    }
}

/// `{feed}` as templates of Prometheus and Grafana write it.
fn template(summary: &str, value: &str) -> String {
    let mut out = String::new();
    let mut rest = summary;
    while let Some((before, (name, after))) =
        rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    {
        out.push_str(before);
        if name == "value" {
            out.push_str(value)
        } else {
            write!(out, "{{{{ $labels.{name} }}}}").unwrap_or(())
        }
        rest = after;
    }
    out + rest
}

/// Rules that are on, with their severity.
fn on(alerts: &BTreeMap<String, Alert>) -> impl Iterator<Item = (&String, &Alert, Severity)> {
    alerts.iter().filter_map(|(name, alert)| Some((name, alert, alert.severity?)))
}

/// A rule file of Prometheus.
pub fn prometheus(alerts: &BTreeMap<String, Alert>) -> String {
    let mut out =
        "# Made by tickline alerts prometheus.\ngroups:\n  - name: tickline\n    rules:\n".to_owned();
    let mut rule = |name: &str, expr: &str, hold: &str, keep: &str, severity: &str, summary: &str| {
        // Writing to a String cannot fail.
        writeln!(out, "      - alert: {name}\n        expr: {}\n        for: {hold}", quoted(expr)).ok();
        if keep != "0s" {
            writeln!(out, "        keep_firing_for: {keep}").ok();
        }
        writeln!(out, "        labels:\n          severity: {severity}\n        annotations:").ok();
        writeln!(out, "          summary: {}\n          runbook: {RUNBOOK}{name}", quoted(summary)).ok();
    };
    rule(ABSENT.0, ABSENT.1, "1m", "0s", "page", ABSENT.2);
    for (name, alert, severity) in on(alerts) {
        let Some((metric, sign, value)) = alert.when.number() else { continue };
        let expr = format!("{} {sign} {value}", query(metric, alert));
        let summary = template(&alert.summary, "{{ $value }}");
        rule(name, &expr, &seconds(alert.hold), &seconds(alert.keep), severity.name(), &summary);
    }
    out
}

/// A file for Grafana's provisioning; `datasource` is the uid of a Prometheus.
pub fn grafana(alerts: &BTreeMap<String, Alert>, datasource: &str) -> String {
    let mut out = "# Made by tickline alerts grafana: a file for provisioning/alerting.\napiVersion: 1\ngroups:\n  - orgId: 1\n    name: tickline\n    folder: tickline\n    interval: 10s\n    rules:\n".to_owned();
    let mut rule = |name: &str, expr: &str, hold: &str, keep: &str, severity: &str, summary: &str| {
        let query = serde_json::json!({ "refId": "A", "expr": expr, "instant": true, "range": false });
        let condition =
            serde_json::json!({ "refId": "B", "type": "math", "expression": "$A < 0 || $A >= 0" });
        writeln!(
            out,
            "      - uid: tickline-{name}\n        title: {name}\n        condition: B\n        data:"
        )
        .ok();
        writeln!(out, "          - refId: A\n            datasourceUid: {}", quoted(datasource)).ok();
        writeln!(out, "            relativeTimeRange: {{ from: 600, to: 0 }}\n            model: {query}")
            .ok();
        writeln!(out, "          - refId: B\n            datasourceUid: __expr__").ok();
        writeln!(
            out,
            "            relativeTimeRange: {{ from: 600, to: 0 }}\n            model: {condition}"
        )
        .ok();
        writeln!(out, "        for: {hold}\n        keepFiringFor: {keep}").ok();
        // The query gives only series of which it holds: no data is no alert.
        writeln!(out, "        noDataState: OK\n        execErrState: Error\n        labels:").ok();
        writeln!(out, "          severity: {severity}\n        annotations:").ok();
        writeln!(out, "          summary: {}\n          runbook: {RUNBOOK}{name}", quoted(summary)).ok();
    };
    rule(ABSENT.0, ABSENT.1, "1m", "0s", "page", ABSENT.2);
    for (name, alert, severity) in on(alerts) {
        let Some((metric, sign, value)) = alert.when.number() else { continue };
        let expr = format!("{} {sign} {value}", query(metric, alert));
        let summary = template(&alert.summary, "{{ $values.A }}");
        rule(name, &expr, &seconds(alert.hold), &seconds(alert.keep), severity.name(), &summary);
    }
    out
}
