//! The containers of docker compose that `tickline up` starts and ends.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tickline_config::model::{Runtime, Up};

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
    pub(super) fn start(&self) -> Result<String, String> {
        let running =
            |all: &[Container], name: &str| all.iter().any(|c| c.service == name && c.state == "running");
        let before = self.look()?;
        for name in self.names.iter().filter(|name| !running(&before, name)) {
            self.compose(&["up", "--detach", name])?;
            let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
            if !started.contains(name) {
                started.push(name.clone());
            }
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

    /// Ends some of them, the last one first.
    pub(super) fn stop(&self, names: &[String], within: Duration) {
        let each_s = (within.as_secs() / names.len().max(1) as u64).saturating_sub(1).max(1).to_string();
        for name in names.iter().rev() {
            match self.compose(&["stop", "--timeout", &each_s, name]) {
                Ok(_) => println!("down  {name:<12}  container ended"),
                Err(why) => tracing::error!("{name}: {why}"),
            }
        }
    }

    /// Those that docker knows of.
    pub(in crate::cli) fn look(&self) -> Result<Vec<Container>, String> {
        let said = self.compose(&["ps", "--all", "--format", "json"])?;
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

    fn compose(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new("docker");
        command.arg("compose").arg("--file").arg(&self.file).args(arguments);
        let output = command.output().map_err(|error| format!("docker: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("docker compose {}: {}", arguments.join(" "), said.lines().last().unwrap_or("failed")))
    }
}
