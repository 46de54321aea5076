//! What stands beside the pipeline and is asked now and then: Grafana, the services of `tickline up`, and whether what a
//! database accepts can be read there again. None of it is the engine's own work, and none of it makes it unready.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::blocking::Client;
use tickline_config::model::{Config, InfluxTarget, SinkKind};
use tickline_config::report::{PartReport, PartState};
use tickline_sinks::admin::Admin;
use tickline_sinks::influx::spoken;

use crate::spawn::{Thread, spawn};
use crate::up::control::{Request, ServiceState, ask};
use crate::view::View;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// So soon the end of the run is seen.
const WAIT: Duration = Duration::from_millis(100);

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is asked.
struct Surroundings {
    instance: String,
    grafana: Option<(String, Client)>,
    state_dir: Option<PathBuf>,
    /// Databases that can be read, and how often the engine writes rows of its own there.
    databases: Vec<(String, Admin)>,
    ledger_every: Option<Duration>,
}

/// Looks at the surroundings until the run ends.
pub(crate) fn watch(view: &Arc<View>, config: &Config) -> Result<Thread, String> {
    let mut databases = Vec::new();
    for (name, sink) in &config.sinks {
        let SinkKind::Influx(influx) = &sink.kind else { continue };
        if matches!(influx.target, InfluxTarget::V1 { .. }) {
            databases.push((name.clone(), Admin::new(name, influx).map_err(|error| error.to_string())?));
        }
    }
    let grafana = config.up.grafana.clone().map(|url| Ok::<_, reqwest::Error>((url, client()?)));
    let surroundings = Surroundings {
        instance: config.engine.instance.clone(),
        grafana: grafana.transpose().map_err(|error| error.to_string())?,
        state_dir: view.disk.as_ref().map(|(dir, _)| dir.clone()),
        databases,
        ledger_every: config.engine.ledger_every,
    };
    let (view, stop) = (Arc::clone(view), Arc::clone(&view.stop));
    let thread = spawn("surroundings", None, &stop, move || {
        let mut looked = None;
        while view.stop.running() {
            let now = view.clock.mono();
            if looked.is_none_or(|then| u128::from(now.since(then)) >= LOOK_EVERY.as_nanos()) {
                looked = Some(now);
                let parts = surroundings.look(&view);
                *view.surroundings.lock() = parts;
            }
            view.stop.wait(WAIT);
        }
    });
    thread.map_err(|error| error.to_string())
}

impl Surroundings {
    fn look(&self, view: &View) -> Vec<PartReport> {
        let mut parts: Vec<PartReport> = self.services();
        parts.extend(self.grafana.as_ref().map(|(url, client)| grafana(url, client)));
        parts.extend(self.databases.iter().filter_map(|(sink, admin)| self.grows(view, sink, admin)));
        parts
    }

    /// The services of `tickline up`, where that has started us.
    fn services(&self) -> Vec<PartReport> {
        let Some(dir) = &self.state_dir else { return Vec::new() };
        let up = ask(dir, &Request::Status, PATIENCE).ok().flatten();
        let services = up.into_iter().flat_map(|up| up.services).filter(|service| service.name != "engine");
        let part = |service: crate::up::control::ServiceStatus| {
            let name = format!("services.{}", service.name);
            let next = format!("tickline logs {0}; tickline restart {0}", service.name);
            match service.state {
                ServiceState::Running | ServiceState::Starting => PartReport::ok(&name),
                ServiceState::Waiting => part(&name, PartState::Degraded, service.detail, &next),
                ServiceState::Failed | ServiceState::Stopped => {
                    part(&name, PartState::Failed, service.detail, &next)
                }
            }
        };
        services.map(part).collect()
    }

    /// Whether the engine's own rows, a few a minute, can be read where the database has accepted them. One that cannot be
    /// asked says nothing: the sink's own part does.
    fn grows(&self, view: &View, sink: &str, admin: &Admin) -> Option<PartReport> {
        let every = self.ledger_every?.max(LOOK_EVERY);
        let patience = every * 3;
        let name = format!("sinks.{sink}.stored");
        let newest = admin.newest_ledger_ns(&self.instance).ok()?;
        let now_ns = view.clock.wall().0;
        let age_s = newest.map(|newest| now_ns.saturating_sub(newest) / 1_000_000_000);
        let is_old = age_s.is_none_or(|age_s| age_s > patience.as_secs() as i64);
        if !is_old || view.elapsed_s() < patience.as_secs_f64() {
            return Some(PartReport::ok(&name));
        }
        let cause = match age_s {
            Some(age_s) => format!("the newest row that can be read is {age_s} s old"),
            None => "no row of the last hour can be read".to_owned(),
        };
        Some(part(
            &name,
            PartState::Degraded,
            cause,
            "if the sink is well, tickline audit compares what was sent with what is there",
        ))
    }
}

fn part(name: &str, state: PartState, cause: String, next: &str) -> PartReport {
    PartReport { state, cause, next: next.to_owned(), ..PartReport::ok(name) }
}

fn client() -> reqwest::Result<Client> {
    Client::builder().timeout(PATIENCE).no_proxy().build()
}

fn grafana(url: &str, client: &Client) -> PartReport {
    let failed = |why: String| {
        part("grafana", PartState::Degraded, why, "start it, or mend up.grafana; ticks are stored without it")
    };
    match client.get(format!("{url}/api/health")).send() {
        Ok(answer) if answer.status().is_success() => PartReport::ok("grafana"),
        Ok(answer) => failed(format!("{url}: status {}", answer.status().as_u16())),
        Err(error) => failed(format!("{url}: {}", spoken(error))),
    }
}
