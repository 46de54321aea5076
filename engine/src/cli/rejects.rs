//! `tickline rejects`: lines that a database has refused for good, with its words.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use std::time::Duration;

use tickline_config::model::{Engine, Sink};
use tickline_sinks::sink::Request;

use super::sender::Sender;
use super::{ConfigArgs, Exit, Failure};
use crate::rejects::{ENDING, lines, lock, rejects_dir};

/// How long a sink that does not take them is tried.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lines sent at once.
const LINES_MAX: usize = 1_000;

/// What to do with them.
#[derive(Debug, clap::Subcommand)]
pub(super) enum RejectsCommand {
    /// Say for each sink how many there are and why.
    Ls(RejectsArgs),
    /// Send them once more; those that are refused again are kept.
    Replay(RejectsArgs),
}

/// Which sinks.
#[derive(Debug, clap::Args)]
pub(super) struct RejectsArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only those of this sink.
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
}

/// A sink by name, the file of its dead letters, and how it is configured.
type Kept = (String, PathBuf, Sink);

impl RejectsArgs {
    /// The files that are there, each with its sink.
    fn files(&self) -> Result<(Engine, Vec<Kept>), Failure> {
        let config = self.config.load().map_err(|failure| self.config.hinted(failure))?.config;
        if let Some(name) = self.sink.as_ref().filter(|name| !config.sinks.contains_key(*name)) {
            return Err(Failure::usage(format!(
                "--sink: must be a sink of the configuration, found {name:?}"
            )));
        }
        let dir = rejects_dir(&config.engine.state_dir);
        let wanted = |name: &String| self.sink.as_ref().is_none_or(|only| only == name);
        let all = config.sinks.into_iter().filter(|(name, _)| wanted(name));
        let files = all.map(|(name, sink)| (name.clone(), dir.join(format!("{name}.{ENDING}")), sink));
        Ok((config.engine, files.collect()))
    }
}

/// The text of a file; none if there is no file.
fn read(path: &PathBuf) -> Result<Option<String>, Failure> {
    match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::failed(format!("{}: {error}", path.display()))),
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
    }
}

pub(super) fn run(command: &RejectsCommand) -> Result<Exit, Failure> {
    match command {
        RejectsCommand::Ls(args) => ls(args),
        RejectsCommand::Replay(args) => replay(args),
    }
}

fn ls(args: &RejectsArgs) -> Result<Exit, Failure> {
    for (name, path, _) in args.files()?.1 {
        let Some(text) = read(&path)? else {
            println!("{name}: none");
            continue;
        };
        println!("{name}: {} lines in {}", lines(&text).count(), path.display());
        let (mut reasons, mut reason) = (BTreeMap::<String, u64>::new(), String::new());
        for line in text.lines() {
            match line.strip_prefix("# ") {
                // Without the time.
                Some(head) => reason = head.split_once(' ').map_or(head, |(_, words)| words).to_owned(),
                None => *reasons.entry(reason.clone()).or_default() += 1,
            }
        }
        reasons.iter().for_each(|(reason, count)| println!("  {count:>8}  {reason}"));
    }
    Ok(Exit::Ok)
}

/// The file is taken away first, under the lock that whoever adds to it has: the engine goes on with a new one.
fn replay(args: &RejectsArgs) -> Result<Exit, Failure> {
    let (engine, files) = args.files()?;
    for (name, path, sink) in files {
        let taken = path.with_extension("replaying");
        if !taken.exists() {
            let _lock = path.parent().map(lock).transpose().map_err(Failure::failed)?;
            match std::fs::rename(&path, &taken) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    println!("{name}: none");
                    continue;
                }
                moved => moved.map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?,
            }
        }
        let text = read(&taken)?.unwrap_or_default();
        let mut sender = Sender::open(&name, &sink, &engine, PATIENCE)?;
        let all: Vec<&str> = lines(&text).collect();
        for some in all.chunks(LINES_MAX) {
            let lines = some.join("\n") + "\n";
            let request = Request { lines: lines.into(), points: some.len() as u64 };
            let sent = sender.send(request).and_then(|held| sender.commit(&held));
            sent.map_err(|error| {
                Failure::failed(format!("{name}: {error}; the lines are kept in {}", taken.display()))
            })?;
        }
        std::fs::remove_file(&taken)
            .map_err(|error| Failure::failed(format!("{}: {error}", taken.display())))?;
        println!("{name}: {} lines stored, {} refused again and kept", sender.written, sender.rejected);
    }
    Ok(Exit::Ok)
}
