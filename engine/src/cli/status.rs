//! `tickline status`: what `tickline up` runs, its containers, and the engine's own parts.

use std::fmt::Write;

use serde::Serialize;
use tickline_config::report::{PartReport, PartState};
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::target::{DEFAULT_URL, Target};

use super::up::{Containers, line};
use super::words::seconds;
use super::{ConfigArgs, Exit, Failure, health, print_text};
use crate::up::control::{ANSWER_WITHIN, PhaseState, Request, ServiceState, UpStatus, ask};

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Status {
    /// None: nothing was started by `tickline up`.
    up: Option<UpStatus>,
    containers: Vec<PartReport>,
    parts: Vec<PartReport>,
}

pub(super) fn run(args: &StatusArgs) -> Result<Exit, Failure> {
    let config = args.config.load_to_look()?.config;
    let up = ask(&config.engine.state_dir, &Request::Status, ANSWER_WITHIN).map_err(Failure::failed)?;
    let listen = up.as_ref().map_or(config.http.listen, |up| up.http);
    let url = listen.map_or_else(|| DEFAULT_URL.to_owned(), |listen| format!("http://{listen}"));
    let target = Target::new(&url).map_err(Failure::failed)?;
    let status =
        Status { up, containers: containers(&Containers::of(&config.up)), parts: health::look(&target) };
    let text = if args.json {
        format!("{}\n", serde_json::to_string(&status).map_err(Failure::failed)?)
    } else {
        text(&status, OsClock::start().wall().0 / 1_000_000_000)
    };
    print_text(&text)?;
    Ok(if status.is_well() { Exit::Ok } else { Exit::Failed })
}

/// Each container; an engine that does not answer is one that failed, too.
fn containers(containers: &Containers) -> Vec<PartReport> {
    if containers.all().is_empty() {
        return Vec::new();
    }
    let failed = |name: &str, cause: String, next: &str| PartReport {
        state: PartState::Failed,
        cause,
        next: next.to_owned(),
        ..PartReport::ok(&format!("containers.{name}"))
    };
    let known = match containers.look() {
        Ok(known) => known,
        Err(why) => return vec![failed("docker", why, "tickline doctor says whether docker answers")],
    };
    let part = |name: &String| match known.iter().find(|container| container.service == *name) {
        Some(container)
            if container.state == "running" && matches!(container.health.as_str(), "" | "healthy") =>
        {
            PartReport::ok(&format!("containers.{name}"))
        }
        Some(container) => {
            let health =
                if container.health.is_empty() { String::new() } else { format!(", {}", container.health) };
            failed(name, format!("{}{health}", container.state), "docker compose logs says why")
        }
        None => failed(name, "it was not started".to_owned(), "tickline up starts it"),
    };
    containers.all().iter().map(part).collect()
}

impl Status {
    fn is_well(&self) -> bool {
        let up = self.up.as_ref().is_none_or(|up| {
            let services = up.services.iter().all(|service| service.state == ServiceState::Running);
            services && up.phases.iter().all(|phase| phase.state != PhaseState::Failed)
        });
        up && self.containers.iter().chain(&self.parts).all(|part| part.state != PartState::Failed)
    }
}

fn text(status: &Status, now_s: i64) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    match &status.up {
        None => writeln!(out, "nothing was started by tickline up\n").ok(),
        Some(up) => {
            out.push_str("at the start:\n");
            let shown = up.phases.iter().filter(|phase| phase.state != PhaseState::Skipped);
            shown.for_each(|phase| out.push_str(&line(phase)));
            writeln!(
                out,
                "\n{:<8}  {:<12}  {:>8}  {:>9}  {:>8}",
                "state", "service", "process", "since", "restarts"
            )
            .ok();
            for service in &up.services {
                let state = match service.state {
                    ServiceState::Stopped => "stopped",
                    ServiceState::Starting => "starting",
                    ServiceState::Running if !service.trouble.is_empty() => "degraded",
                    ServiceState::Running => "ok",
                    ServiceState::Waiting => "waits",
                    ServiceState::Failed => "FAILED",
                };
                let pid = service.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
                let since = if service.since_s == 0 {
                    "-".to_owned()
                } else {
                    seconds((now_s - service.since_s).max(0))
                };
                writeln!(
                    out,
                    "{state:<8}  {:<12}  {pid:>8}  {since:>9}  {:>8}",
                    service.name, service.restarts
                )
                .ok();
                for said in [&service.detail, &service.trouble].into_iter().filter(|said| !said.is_empty()) {
                    writeln!(out, "          {said}").ok();
                }
            }
            writeln!(out).ok()
        }
    };
    let parts: Vec<PartReport> = status.containers.iter().chain(&status.parts).cloned().collect();
    out.push_str(&health::table(&parts, now_s));
    out
}
