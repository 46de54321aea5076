//! What stands beside the pipeline and is asked now and then: Grafana, the services of `tickline up`, and whether what a
//! database accepts can be read there again. None of it is the engine's own work, and none of it makes it unready.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::blocking::Client;
use tickline_config::model::{Config, InfluxTarget, SinkKind};
use tickline_config::report::{PartReport, PartState};
use tickline_feeds::clock::MonoNanos;
use tickline_sinks::admin::Admin;
use tickline_sinks::influx::spoken;

use crate::ledger::Reading;
use crate::spawn::{Thread, spawn};
use crate::up::control::{Request, ServiceState, ask};
use crate::view::View;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// So soon the end of the run is seen.
const WAIT: Duration = Duration::from_millis(100);

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Rows of the engine's own are late when so many of them have not come.
const ROWS_LATE: u32 = 3;

/// What is asked.
struct Surroundings {
    instance: String,
    grafana: Option<(String, Client)>,
    state_dir: Option<PathBuf>,
    /// Databases that can be read, since when each has taken points without a break, and how often the engine writes
    /// rows of its own there.
    databases: Vec<(String, Admin, Flow)>,
    ledger_every: Option<Duration>,
}

/// Since when points have flowed into a sink.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    written: u64,
    changed: MonoNanos,
    since: MonoNanos,
}

impl Flow {
    /// For how long it has flowed, with no break of more than `every`.
    fn look(&mut self, written: u64, now: MonoNanos, every: Duration) -> Duration {
        let is_idle = u128::from(now.since(self.changed)) > every.as_nanos();
        if written != self.written {
            (self.written, self.changed) = (written, now);
        }
        if is_idle {
            self.since = now;
        }
        Duration::from_nanos(now.since(self.since))
    }
}

/// Looks at the surroundings until the run ends.
pub(crate) fn watch(view: &Arc<View>, config: &Config) -> Result<Thread, String> {
    let mut databases = Vec::new();
    for (name, sink) in &config.sinks {
        let SinkKind::Influx(influx) = &sink.kind else { continue };
        if matches!(influx.target, InfluxTarget::V1 { .. }) {
            let admin = Admin::new(name, influx).map_err(|error| error.to_string())?;
            databases.push((name.clone(), admin, Flow::default()));
        }
    }
    let grafana = config.up.grafana.clone().map(|url| Ok::<_, reqwest::Error>((url, client()?)));
    let mut surroundings = Surroundings {
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
    fn look(&mut self, view: &View) -> Vec<PartReport> {
        let mut parts: Vec<PartReport> = self.services();
        parts.extend(self.grafana.as_ref().map(|(url, client)| grafana(url, client)));
        if let Some(every) = self.ledger_every.map(|every| every.max(LOOK_EVERY)) {
            let (now, reading) = (view.clock.mono(), Reading::take(&view.stats));
            let patience = every * ROWS_LATE;
            for (sink, admin, flow) in &mut self.databases {
                let at = view.sinks.iter().position(|of| of.name == *sink);
                let settled = at.and_then(|at| reading.sinks_out.get(at));
                let flows = flow.look(settled.map_or(0, |settled| settled.written), now, every);
                parts.extend(if flows >= patience {
                    grows(view, sink, admin, &self.instance, patience)
                } else {
                    Some(PartReport::ok(&format!("sinks.{sink}.stored")))
                });
            }
        }
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
                ServiceState::Running if !service.trouble.is_empty() => {
                    let next = format!("it goes on by itself unless a cause names a key: {next}");
                    part(&name, PartState::Degraded, service.trouble, &next)
                }
                ServiceState::Running | ServiceState::Starting => PartReport::ok(&name),
                ServiceState::Waiting => part(&name, PartState::Degraded, service.detail, &next),
                ServiceState::Failed | ServiceState::Stopped => {
                    part(&name, PartState::Failed, service.detail, &next)
                }
            }
        };
        services.map(part).collect()
    }
}

/// Whether the engine's own rows, a few a minute, can be read where the database has accepted points all the time. One
/// that cannot be asked says nothing: the sink's own part does.
fn grows(view: &View, sink: &str, admin: &Admin, instance: &str, patience: Duration) -> Option<PartReport> {
    let name = format!("sinks.{sink}.stored");
    let newest = admin.newest_ledger_ns(instance).ok()?;
    let age_s = newest.map(|newest| view.clock.wall().0.saturating_sub(newest) / 1_000_000_000);
    let cause = match age_s {
        Some(age_s) if age_s <= patience.as_secs() as i64 => return Some(PartReport::ok(&name)),
        Some(age_s) => format!("points are accepted, and the newest row that can be read is {age_s} s old"),
        None => "points are accepted, and no row of the last hour can be read".to_owned(),
    };
    let next = "tickline audit compares what was sent with what is there";
    Some(part(&name, PartState::Degraded, cause, next))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_flow_without_a_break_or_from_the_last_break_on() {
        let (mut flow, every) = (Flow::default(), Duration::from_secs(60));
        let mut at = |s: u64, written: u64| flow.look(written, MonoNanos(s * 1_000_000_000), every).as_secs();
        assert_eq!([at(10, 0), at(100, 0), at(110, 5), at(150, 9)], [10, 0, 0, 40]);
        // A minute without any is a break, half a minute is none.
        assert_eq!([at(180, 9), at(209, 10), at(280, 10), at(281, 11), at(300, 12)], [70, 99, 0, 0, 19]);
    }
}
