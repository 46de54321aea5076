//! Databases with tables: do they answer, are they as the configuration wants them, may the login write?

use tickline_config::model::{Config, Sink};
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;

use super::{Finding, State, finding, may_write};
use crate::cli::tables;

/// Clocks that differ by more are told, s.
const SKEW_MAX_S: i64 = 2;

/// Looks at one sink.
pub(super) fn findings(config: &Config, name: &str, sink: &Sink) -> Vec<Finding> {
    let what = format!("sinks.{name}");
    let mut tables = match tables::open(config, name, sink, false) {
        None => return vec![],
        Some(Err(error)) => return vec![finding(State::Refused, &what, error)],
        Some(Ok(tables)) => tables,
    };
    let server = match tables.server() {
        Ok(server) => server,
        Err(error) => return vec![finding(State::Bad, &what, error)],
    };
    let mut findings = vec![finding(State::Good, &what, format!("reachable, {}", server.version))];
    let ahead_s = server.time_s - OsClock::start().wall().0 / 1_000_000_000;
    if ahead_s.abs() > SKEW_MAX_S {
        let detail = format!("its clock differs from ours by {ahead_s} s");
        findings.push(finding(State::Note, &what, detail));
    }
    findings.extend(server.unfit.iter().map(|unfit| finding(State::Refused, &what, unfit)));
    findings.extend(server.notes.iter().map(|note| finding(State::Note, &what, note)));
    match tables.plan() {
        Ok(plan) if plan.statements.is_empty() && plan.conflicts.is_empty() => {
            findings.push(finding(State::Good, &what, "its tables are as the configuration says"));
            findings.push(may_write(config, name, sink));
        }
        Ok(plan) => {
            let apply = |statement: &String| {
                finding(State::Refused, &what, format!("tickline db apply would run {statement}"))
            };
            findings.extend(plan.statements.iter().map(apply));
            findings.extend(plan.conflicts.iter().map(|conflict| finding(State::Refused, &what, conflict)));
        }
        Err(error) => findings.push(finding(State::Bad, &what, error)),
    }
    findings
}
