//! Reads `[alerting]` and `[alerts.NAME]`.

use crate::filter::Condition;
use crate::keys::{ALERT, ALERTING};
use crate::model::{Alert, Alerting, Severity};
use crate::reader::{Context, Reader};
use crate::tree::{Node, Value};

pub(crate) fn read_alerting(node: &Node, context: &mut Context<'_>) -> Option<Alerting> {
    let mut r = Reader::open("alerting", node, &[&ALERTING], context, &|_| None)?;
    Some(Alerting {
        webhook: if r.has("webhook") { r.secret("webhook") } else { None },
        body: r.special("body", document).unwrap_or_default(),
        repeat: r.retention("repeat"),
        timeout: r.duration("timeout"),
    })
}

pub(crate) fn read_alert(path: &str, node: &Node, context: &mut Context<'_>) -> Option<Alert> {
    let mut r = Reader::open(path, node, &[&ALERT], context, &|_| None)?;
    let severities = [("page", Some(Severity::Page)), ("warn", Some(Severity::Warn)), ("off", None)];
    let alert = Alert {
        labels: if r.has("labels") { r.names("labels") } else { Vec::new() },
        increase_over: if r.has("increase_over") { Some(r.duration("increase_over")) } else { None },
        hold: r.duration("for"),
        keep: r.duration("keep"),
        severity: r.choice("severity", &severities).flatten(),
        summary: r.text("summary").unwrap_or_default(),
        when: r.special("when", condition)?,
    };
    Some(alert)
}

fn condition(value: &Value) -> Option<Condition> {
    let Value::Text(text) = value else { return None };
    Condition::parse(text).filter(|condition| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        condition.number().is_some_and(|(metric, ..)| metric.chars().all(plain))
    })
}

fn document(value: &Value) -> Option<String> {
    if let Value::Text(text) = value {
        Some(text.clone()).filter(|text| !text.trim().is_empty())
    } else {
        None
    }
}
