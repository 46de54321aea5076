//! The commands: makes a plan of the command line, carries it out, and prints what was done.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use tickline_config::report::{Build, Report, Verdict};
use tickline_loadgen::child::Died;
use tickline_loadgen::host;
use tickline_loadgen::output;

use crate::cli::{Command, OutputArgs};

mod compare;
mod drain;
mod drill;
mod engine;
mod find_max;
mod load;
mod record;
mod replay;
mod venue;
mod watched;

/// A command line that cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(String);

impl Usage {
    fn of(error: impl std::fmt::Display) -> anyhow::Error {
        anyhow::Error::new(Self(error.to_string()))
    }
}

/// A configuration of an engine that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Misconfigured(String);

impl Misconfigured {
    fn of(error: impl std::fmt::Display) -> anyhow::Error {
        anyhow::Error::new(Self(error.to_string()))
    }
}

/// The exit code of a command that failed: what an engine of ours says of its configuration is its word.
pub(crate) fn failed(error: &anyhow::Error) -> u8 {
    let died = error.downcast_ref::<Died>().and_then(|died| died.code);
    if error.is::<Misconfigured>() || died == Some(i32::from(CONFIGURATION)) {
        CONFIGURATION
    } else if error.is::<Usage>() {
        USAGE
    } else {
        NO_RESULT
    }
}

const NO_RESULT: u8 = 1;
const USAGE: u8 = 2;
const CONFIGURATION: u8 = 78;
const INVALID: u8 = 3;
const FAILED: u8 = 4;
const CROSSED: u8 = 99;

/// Carries out one command and gives its exit code.
pub(crate) fn execute(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Run(args) => load::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Record(args) => record::run(args),
        Command::FindMax(args) => find_max::run(args),
        Command::Certify(args) => find_max::certify(args),
        Command::Compare(args) => compare::run(args),
        Command::Drain(args) => drain::run(args),
        Command::Drill(args) => drill::run(args),
        Command::Venue(args) => venue::run(args),
    }
}

/// SIGINT and SIGTERM set the flag; a second one ends the process at once.
fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

fn build() -> Build {
    host::build(env!("CARGO_PKG_VERSION"), option_env!("TICKLINE_COMMIT"))
}

/// Makes sure, before anything is measured, that files can be written in the end, and makes their folders. What they
/// hold stays until then, and no empty file is left where nothing comes of it.
fn writable<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> anyhow::Result<()> {
    for path in files {
        let new = !path.exists();
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let opened = made.and_then(|()| File::options().create(true).append(true).open(path));
        opened.with_context(|| path.display().to_string())?;
        if new {
            std::fs::remove_file(path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// Writes the report as JSON where that was asked for, as text otherwise. The terminal and the file do not wait for
/// each other: one that takes nothing does not take the report away from the other.
fn give(report: &Report, output: &OutputArgs) -> anyhow::Result<()> {
    let json = format!("{}\n", serde_json::to_string_pretty(report)?);
    let text = if output.json { json.clone() } else { output::text(report) };
    let printed = std::io::stdout().lock().write_all(text.as_bytes()).context("stdout");
    printed.and(output.report.as_deref().map_or(Ok(()), |path| save(path, json.as_bytes())))
}

fn save(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, content).with_context(|| path.display().to_string())
}

/// How a run ends whose thresholds were crossed or not.
fn exit_code(report: &Report, crossed: bool) -> u8 {
    match report.verdict {
        Verdict::Fail => FAILED,
        Verdict::Invalid => INVALID,
        Verdict::Pass if crossed => CROSSED,
        Verdict::Pass => 0,
    }
}
