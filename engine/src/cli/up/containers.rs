//! The containers of docker compose that `tickline up` starts and ends.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tickline_config::model::{Runtime, Up};
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;

use crate::spawn::spawn;

/// Longest wait for docker to say what there is.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// Longest wait until a container has started: its image may have to be fetched.
const START_WITHIN: Duration = Duration::from_secs(600);

/// Time between two looks at whether anybody still waits.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What docker itself needs to end a container, beside the container's own time.
const STOP_BESIDE: Duration = Duration::from_secs(1);

/// Containers; none where somebody else runs them.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Containers {
    file: PathBuf,
    names: Vec<String>,
    /// Those that this run has started.
    started: Arc<Mutex<Vec<String>>>,
}

/// A container, as docker tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cli) struct Container {
    /// Its name in the file.
    pub(in crate::cli) service: String,
    /// Such as `running`.
    pub(in crate::cli) state: String,
    /// Such as `healthy`; empty: nothing checks it.
    #[serde(default)]
    pub(in crate::cli) health: String,
}

impl Containers {
    /// Those of a configuration.
    pub(in crate::cli) fn of(up: &Up) -> Self {
        let names = if up.runtime == Runtime::Docker { up.containers.clone() } else { Vec::new() };
        Self { file: up.compose_file.clone(), names, started: Arc::default() }
    }

    /// Their names, in the order of their start.
    pub(in crate::cli) fn all(&self) -> &[String] {
        &self.names
    }

    /// Those that this run has started.
    pub(super) fn started(&self) -> Vec<String> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts them, in their order, and says so when all of them run and none is ill.
    pub(super) fn start(&self, given_up: &AtomicBool) -> Result<String, String> {
        let running =
            |all: &[Container], name: &str| all.iter().any(|c| c.service == name && c.state == "running");
        let before = self.look()?;
        for name in self.names.iter().filter(|name| !running(&before, name)) {
            // Noted before: who gives up meanwhile ends it, too.
            let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
            if !started.contains(name) {
                started.push(name.clone());
            }
            drop(started);
            self.compose(&["up", "--detach", name], START_WITHIN, given_up)?;
        }
        let now = self.look()?;
        match self.names.iter().find(|name| !running(&now, name)) {
            Some(name) => Err(format!("{name} does not run")),
            None => match now.iter().find(|c| !matches!(c.health.as_str(), "" | "healthy")) {
                Some(ill) => Err(format!("{} is {}", ill.service, ill.health)),
                None => Ok(format!("{} run", self.names.join(", "))),
            },
        }
    }

    /// Ends some of them within that time, the last one first.
    pub(super) fn stop(&self, names: &[String], within: Duration) {
        let each = within / u32::try_from(names.len()).unwrap_or(1).max(1);
        let own_s = each.saturating_sub(STOP_BESIDE).as_secs().to_string();
        for name in names.iter().rev() {
            match self.compose(&["stop", "--timeout", &own_s, name], each, &AtomicBool::new(false)) {
                Ok(_) => println!("down  {name:<12}  container ended"),
                Err(why) => tracing::error!("{name}: {why}"),
            }
        }
    }

    /// Those that docker knows of.
    pub(in crate::cli) fn look(&self) -> Result<Vec<Container>, String> {
        let never = AtomicBool::new(false);
        let said = self.compose(&["ps", "--all", "--format", "json"], LOOK_WITHIN, &never)?;
        let known = |text: &str| serde_json::from_str::<Container>(text).map_err(|error| error.to_string());
        // One array, or, since version 2.21, an object a line.
        let all = match serde_json::from_str::<Vec<Container>>(&said) {
            Ok(all) => all,
            Err(_) => {
                said.lines().filter(|line| !line.trim().is_empty()).map(known).collect::<Result<_, _>>()?
            }
        };
        Ok(all.into_iter().filter(|container| self.names.contains(&container.service)).collect())
    }

    fn compose(&self, arguments: &[&str], within: Duration, given_up: &AtomicBool) -> Result<String, String> {
        let mut command = Command::new("docker");
        command.arg("compose").arg("--file").arg(&self.file).args(arguments);
        let said = |text: &str| format!("docker compose {}: {text}", arguments.join(" "));
        let output = match output_within(&mut command, within, given_up) {
            Ok(Some(output)) => output,
            Ok(None) => return Err(said("did not end in time")),
            Err(error) => return Err(format!("docker: {error}")),
        };
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(said(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("failed")))
    }
}

/// What a command says; none: it was ended, because it took too long or nobody waits for it any more.
fn output_within(
    command: &mut Command,
    within: Duration,
    given_up: &AtomicBool,
) -> io::Result<Option<Output>> {
    let clock = OsClock::start();
    let piped = || Stdio::piped();
    let child = command.stdin(Stdio::null()).stdout(piped()).stderr(piped()).process_group(0).spawn()?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    let (tell, told) = bounded(1);
    spawn("docker", None, &Arc::default(), move || {
        // Nobody waits any more where it took too long.
        tell.send(child.wait_with_output()).ok();
    })?;
    loop {
        match told.recv_timeout(LOOK_EVERY) {
            Ok(output) => return output.map(Some),
            Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::BrokenPipe.into()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if u128::from(clock.mono().0) >= within.as_nanos() || given_up.load(Ordering::Relaxed) {
            kill_process_group(group, Signal::TERM)?;
            return Ok(None);
        }
    }
}
