//! `tickline run` as a process of its own.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Unusable;

/// The engine stops this long after the generator.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// Ticks a second of the CPU times in `/proc`, which Linux has fixed for every architecture.
const TICKS_PER_S: f64 = 100.0;

/// Which program.
#[derive(Debug, clap::Args)]
pub(crate) struct Program {
    /// The program; by default the one beside this.
    #[arg(long)]
    tickline: Option<PathBuf>,
}

impl Program {
    /// Runs it a little longer than the generator sends, with `sets` as its configuration; returns its report.
    pub(crate) fn run(&self, sending: Duration, sets: &[String]) -> Result<Value> {
        let beside = || Some(std::env::current_exe().ok()?.with_file_name("tickline"));
        let program = self.tickline.clone().or_else(beside).unwrap_or_default();
        if !program.is_file() {
            return Err(
                Unusable(format!("--tickline: must be a program, found {:?}", program.display())).into()
            );
        }
        let dir = tempfile::tempdir()?;
        let state_dir = format!("engine.state_dir=\"{}\"", dir.path().display());
        let mut command = Command::new(&program);
        command.args(["run", "--json", "--duration", &format!("{}s", (sending + AFTERWARDS).as_secs())]);
        for set in ["engine.ledger_every=\"inf\"", "http.listen=\"127.0.0.1:0\"", &state_dir] {
            command.args(["--set", set]);
        }
        for set in sets {
            command.args(["--set", set]);
        }
        let output = command.stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "{} ended with {}", program.display(), output.status);
        serde_json::from_slice(&output.stdout).context("the report")
    }
}

/// User and system time of all children that have ended, s.
pub(crate) fn children_cpu_s() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // Behind the program's name, which may hold anything: state is field 3, the children's times are 16 and 17.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    let (user, system) = ticks(16).zip(ticks(17)).context("CPU times in /proc/self/stat")?;
    Ok((user + system) / TICKS_PER_S)
}
