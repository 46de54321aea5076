//! `drain`: lets a backlog grow, behind a database that is away or under a load that is too much, and tells how long
//! the engine takes to work it off.

use tickline_loadgen::clock::OsClock;
use tickline_loadgen::gate::Gate;
use tickline_loadgen::measure::{Measured, Terms, Watch, measure};
use tickline_loadgen::run;
use tickline_loadgen::threshold::judge;

use super::engine::{Found, databases};
use super::{NO_RESULT, Usage, build, exit_code, give, load, stop_on_signals, watched, writable};
use crate::cli::DrainArgs;

pub(super) fn run(args: DrainArgs) -> anyhow::Result<u8> {
    let (plan, fail_if) = load::plan(&args.load, &args.publish)?;
    if plan.duration.is_none() {
        return Err(Usage::of("duration: must be given: how long the backlog grows"));
    }
    writable(&args.output.report)?;
    let (gates, sets) = match (&args.engine.run, args.away) {
        (Some(config), true) => gates(config)?,
        (None, true) => {
            return Err(Usage::of("away: must go with --run, so that the engine can be led through a gate"));
        }
        (_, false) => (Vec::new(), Vec::new()),
    };
    let stop = stop_on_signals()?;
    let found = Found::by(&args.engine, &sets, &stop)?;
    let clock = OsClock::start();
    let watch = Watch::begin(found.target.clone(), &clock)?;
    watched::refuse_unseen(Some(&watch), &fail_if, plan.is_scheduled())?;
    let running = run::start(plan, clock)?;
    let terms = Terms { command: "loadgen drain", build: build(), settle: args.settle, stop: &stop };
    let mut measured = measure(running, Some(watch), terms, |running, _| {
        // The database is back when the last message is sent.
        if running.has_ended() {
            gates.iter().for_each(Gate::open);
        }
    })?;
    let crossed = judge(&mut measured.report, &fail_if);
    let given = give(&measured.report, &args.output);
    say(&measured, args.away);
    given?;
    // An engine that could not get rid of everything ends with an error; what was measured stands.
    found.end()?;
    Ok(if measured.settled_s.is_none() { NO_RESULT } else { exit_code(&measured.report, crossed?) })
}

/// A shut gate before each database of a configuration, and the keys that lead the engine through them.
fn gates(config: &std::path::Path) -> anyhow::Result<(Vec<Gate>, Vec<String>)> {
    let (mut gates, mut sets) = (Vec::new(), Vec::new());
    for (name, url) in databases(config)? {
        let server = url.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or_default());
        let Some(server) = server else {
            return Err(Usage::of(format!(
                "sinks.{name}.url: must be http:// to be led through a gate, found {url:?}"
            )));
        };
        let gate = Gate::before(server)?;
        let through = url.replacen(server, &gate.address().to_string(), 1);
        sets.push(format!("sinks.{name}.url={through:?}"));
        gates.push(gate);
    }
    if gates.is_empty() {
        return Err(Usage::of("away: must have an InfluxDB sink that can be away, found none"));
    }
    Ok((gates, sets))
}

fn say(measured: &Measured, away: bool) {
    eprintln!("{}", said(measured, away));
}

fn said(measured: &Measured, away: bool) -> String {
    let (backlog, left, ended_s) = (measured.backlog(), measured.left, measured.ended_s);
    let how = if away { "with the database away" } else { "under load" };
    let after = format!("backlog {backlog} points after {ended_s:.1} s {how}");
    match (&measured.missing, measured.settled_s.map(|settled_s| settled_s - ended_s)) {
        (Some(missing), _) => format!("backlog unknown: {missing}"),
        (None, Some(took_s)) if took_s > 0.0 => {
            format!("{after}, empty {took_s:.1} s later: {:.0} points/s", backlog as f64 / took_s)
        }
        (None, Some(_)) => format!("{after}, empty at once"),
        (None, None) => format!("{after}, NOT WORKED OFF: {left} of them still wait"),
    }
}
