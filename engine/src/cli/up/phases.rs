//! What each phase does, and when it has succeeded.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tickline_config::model::{Config, Influx, InfluxTarget, PhaseName, Runtime, SinkKind};
use tickline_feeds::clock::Clock;
use tickline_feeds::curve::KeyPair;
use tickline_loadgen::clock::OsClock;
use tickline_sinks::admin::{AdminError, Change, probe};
use tickline_sinks::open::open;
use tickline_sinks::sink::Outcome;

use super::super::dashboards::provision_at;
use super::super::db::administrator;
use super::super::print_text;
use super::super::tables;
use super::super::validate::{State, rows};
use super::{Containers, line};
use crate::links::handshakes;
use crate::up::control::PhaseState;
use crate::up::supervisor::Supervisor;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Phases without which ticks are stored all the same.
pub(super) const ENDS_NOTHING: [PhaseName; 2] = [PhaseName::Dashboards, PhaseName::Validation];

type Attempt = Box<dyn FnMut(&AtomicBool) -> Result<String, String> + Send>;

/// Tries one phase after the other; an error says which has failed, and why. The engine takes ticks without dashboards
/// and before it is validated: those two are told, and end nothing.
pub(super) fn run(
    supervisor: &mut Supervisor,
    config: &Config,
    containers: &Containers,
) -> Result<(), String> {
    let mut failed: Vec<PhaseName> = Vec::new();
    for (name, phase) in &config.phases {
        let began = supervisor.now();
        let missing = phase.after.iter().find(|after| failed.contains(after));
        let (state, detail) = match (missing, attempt(*name, config, containers)) {
            (Some(after), _) => (PhaseState::Skipped, format!("needs {}", after.name())),
            (None, Err(why_not)) => (PhaseState::Skipped, why_not.to_owned()),
            (None, Ok(attempt)) => match supervisor.phase(*name, phase.deadline, attempt) {
                Ok(detail) => (PhaseState::Ok, detail),
                Err(detail) => (PhaseState::Failed, detail),
            },
        };
        let status = supervisor.note(*name, state, &detail, began);
        print_text(&line(&status)).map_err(|failure| failure.message)?;
        if supervisor.ending() {
            return Err("told to end".to_owned());
        }
        if state == PhaseState::Failed {
            failed.push(*name);
            if !ENDS_NOTHING.contains(name) {
                return Err(format!("{}: {detail}", name.name()));
            }
        }
    }
    Ok(())
}

/// What a phase tries; an error says why there is nothing to do.
fn attempt(phase: PhaseName, config: &Config, containers: &Containers) -> Result<Attempt, &'static str> {
    let own = config.clone();
    let databases = config.sinks.values().any(|sink| sink.kind.is_database());
    Ok(match phase {
        PhaseName::Containers if config.up.runtime != Runtime::Docker => {
            return Err("up.runtime says that somebody else runs them");
        }
        PhaseName::Containers => {
            let containers = containers.clone();
            Box::new(move |given_up| containers.start(given_up))
        }
        PhaseName::Database if config.up.runtime == Runtime::None => return Err("up.runtime is none"),
        PhaseName::Database if !databases => return Err("no sink is a database"),
        PhaseName::Database => Box::new(move |_| database(&own)),
        PhaseName::Publishers if config.publishers.is_empty() && config.services.is_empty() => {
            return Err("somebody else runs them");
        }
        PhaseName::Publishers | PhaseName::Engine => Box::new(move |_| services(&own, phase)),
        PhaseName::Dashboards if config.up.grafana.is_none() => return Err("up.grafana names no Grafana"),
        PhaseName::Dashboards => Box::new(move |_| dashboards(&own)),
        PhaseName::Validation => Box::new(move |_| validation(&own)),
    })
}

/// Every database answers and has what the configuration wants of it, as far as no point goes with that.
fn database(config: &Config) -> Result<String, String> {
    let mut told = Vec::new();
    for (name, of) in &config.sinks {
        let failed = |error: &dyn std::fmt::Display| format!("sinks.{name}: {error}");
        if let Some(tables) = tables::open(config, name, of, true) {
            let mut tables = tables.map_err(|error| failed(&error))?;
            let done = tables.apply().map_err(|error| failed(&error))?;
            if let Some(conflict) = done.conflicts.first() {
                return Err(failed(conflict));
            }
            told.push(format!("{name}: {} statements", done.statements.len()));
        }
        let SinkKind::Influx(influx) = &of.kind else { continue };
        let made = make_database(config, name, influx).map_err(|error| failed(&error));
        if matches!(influx.target, InfluxTarget::V1 { .. }) {
            told.push(format!("{name}: {}", made?));
            continue;
        }
        // A token that may only write says nothing of buckets: whether it may is what counts.
        let now = OsClock::start().wall().0;
        let mut sink = open(name, &config.engine.instance, now, of).map_err(|error| failed(&error))?;
        match sink.write(&probe(&config.engine.instance, now)) {
            Outcome::Stored { rejected, .. } if rejected.is_empty() => {
                told.push(format!("{name}: {}", made.unwrap_or_else(|_| influx.url.clone())));
            }
            refused => return Err(made.err().unwrap_or_else(|| failed(&refused.detail()))),
        }
    }
    Ok(told.join("; "))
}

/// Makes what is missing; what was done.
fn make_database(config: &Config, name: &str, influx: &Influx) -> Result<String, AdminError> {
    let admin = administrator(name, influx)?;
    let (changes, _) = admin.plan(&config.retention)?;
    let (lossy, safe): (Vec<Change>, Vec<Change>) = changes.into_iter().partition(Change::loses);
    admin.apply(&safe, false)?;
    let made = if safe.is_empty() { String::new() } else { format!(", {} changes made", safe.len()) };
    let kept =
        if lossy.is_empty() { "" } else { ", what would lose points is left alone: see tickline db plan" };
    Ok(format!("{} at {}{made}{kept}", admin.name(), influx.url))
}

/// The services of a phase run; those that name an endpoint answer there.
fn services(config: &Config, phase: PhaseName) -> Result<String, String> {
    let mine = || config.services.iter().filter(|(_, service)| service.phase == phase);
    let keys = KeyPair::generate().map_err(|error| error.to_string())?;
    let named: Vec<(&String, &String)> =
        mine().filter_map(|(name, of)| Some((name, of.ready.as_ref()?))).collect();
    // A publisher that lets nobody in without a key tells so by refusing: then it is there.
    let curve = |endpoint: &str| {
        let feed = config.feeds.values().find(|feed| feed.endpoint == endpoint);
        Some((&keys, feed?.curve_server_key.as_deref()?))
    };
    let asked: Vec<_> = named.iter().map(|(_, endpoint)| (endpoint.as_str(), curve(endpoint))).collect();
    for ((name, endpoint), shaken) in named.iter().zip(handshakes(&asked, PATIENCE)) {
        shaken.map_err(|why| format!("{name}: {endpoint}: {why}"))?;
    }
    let mut names: Vec<&str> = mine().map(|(name, _)| name.as_str()).collect();
    match phase {
        PhaseName::Publishers => names.extend(config.publishers.keys().map(String::as_str)),
        _ => names.push("engine"),
    }
    Ok(names.join(", "))
}

fn dashboards(config: &Config) -> Result<String, String> {
    let url = config.up.grafana.as_deref().unwrap_or_default();
    let count = provision_at(config, url).map_err(|failure| failure.message)?;
    Ok(format!("{count} dashboards at {url}"))
}

fn validation(config: &Config) -> Result<String, String> {
    let rows = rows(config, PATIENCE).map_err(|failure| failure.message)?;
    let of = |state| rows.iter().filter(move |row| row.state == state);
    let wrong: Vec<String> = of(State::Failed).map(|row| format!("{}: {}", row.name, row.detail)).collect();
    if !wrong.is_empty() {
        return Err(wrong.join("; "));
    }
    let skipped: Vec<&str> = of(State::CouldNotRun).map(|row| row.detail.as_str()).collect();
    let rest = if skipped.is_empty() { String::new() } else { format!(", not run: {}", skipped.join("; ")) };
    Ok(format!("{} checks passed{rest}", of(State::Passed).count()))
}
