//! `tickline spool`: what is on disk for each sink. Reading works beside the engine; what changes a spool needs it
//! stopped.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tickline_config::model::{Durability, Engine, Sink};
use tickline_sinks::spool::fingerprint::fingerprint;
use tickline_sinks::spool::inspect::{SegmentInfo, is_of, look, segments, verify};
use tickline_sinks::spool::record::HeaderError;
use tickline_sinks::spool::store::LocalStore;

use super::{ConfigArgs, Exit, Failure, print_text};
use crate::plan::{bytes_text, spool_dir};

mod change;

/// What to do with the spools.
#[derive(Debug, clap::Subcommand)]
pub(super) enum SpoolCommand {
    /// List the segments of each spool.
    Ls(SpoolArgs),
    /// Say for each spool how much is on disk, since when, and who has it; some of it may be stored already.
    Stat(SpoolArgs),
    /// Read everything and check every sum; ends with 1 if something is damaged.
    Verify(SpoolArgs),
    /// Print the lines that are on disk, oldest first; some may be stored already.
    Cat(SpoolArgs),
    /// Move damaged bytes to quarantine/ and keep the rest. The engine does the same at its start.
    Repair(SpoolArgs),
    /// Throw away what waits.
    Drop(change::DropArgs),
    /// Send what waits to a sink, also what was meant for another address, then remove it.
    Replay(change::ReplayArgs),
}

/// Which spools.
#[derive(Debug, clap::Args)]
pub(super) struct SpoolArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only the spool of this sink.
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// A spool's folder, without a configuration; only to read.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["files", "sets", "sink"])]
    dir: Option<PathBuf>,
}

/// A spool on disk.
struct Place {
    /// The sink, or the folder.
    name: String,
    dir: PathBuf,
    sink: Option<Sink>,
    engine: Option<Engine>,
}

impl SpoolArgs {
    /// Those that are meant, to be changed: for that their sinks must be known.
    fn places_to_change(&self) -> Result<Vec<Place>, Failure> {
        match &self.dir {
            Some(_) => Err(Failure::usage("--dir: only to read; name the configuration with --config FILE")),
            None => self.places(),
        }
    }

    /// The spools that are meant, those without a folder left out.
    fn places(&self) -> Result<Vec<Place>, Failure> {
        if let Some(dir) = &self.dir {
            if segments(&LocalStore::at(dir)).is_ok_and(|found| found.is_empty())
                && !dir.join("LOCK").exists()
            {
                return Err(Failure::usage(format!(
                    "--dir: must be a spool's folder, found nothing of a spool in {}",
                    dir.display()
                )));
            }
            let name = dir.display().to_string();
            return Ok(vec![Place { name, dir: dir.clone(), sink: None, engine: None }]);
        }
        let config = self.config.load().map_err(|failure| self.config.hinted(failure))?.config;
        let mut places = Vec::new();
        for (name, sink) in &config.sinks {
            let wanted = self.sink.as_ref().is_none_or(|only| only == name);
            let dir = spool_dir(&config.engine.state_dir, name, sink);
            if wanted && (sink.durability != Durability::Memory || dir.exists()) {
                let (sink, engine) = (Some(sink.clone()), Some(config.engine.clone()));
                places.push(Place { name: name.clone(), dir, sink, engine });
            }
        }
        match &self.sink {
            Some(sink) if places.is_empty() => {
                Err(Failure::usage(format!("--sink: must be a sink with a spool, found {sink:?}")))
            }
            _ if places.is_empty() => Err(Failure::configuration(
                "no sink of this configuration has a spool: name it with --config FILE, or a folder with --dir",
            )),
            _ => Ok(places),
        }
    }
}

impl Place {
    fn store(&self) -> LocalStore {
        LocalStore::at(&self.dir)
    }

    /// The segments; a folder that is not there yet has none.
    fn names(&self) -> Result<Vec<String>, Failure> {
        match segments(&self.store()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.sink.is_some() => Ok(Vec::new()),
            read => read.map_err(|error| self.failure(&error)),
        }
    }

    /// Looks at every segment; those that go meanwhile are left out.
    fn look(&self) -> Result<Vec<SegmentInfo>, Failure> {
        let names = self.names()?;
        let read = names.iter().map(|name| look(&self.store(), name));
        let there = read.filter(|info| !gone(info));
        there.collect::<io::Result<_>>().map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &io::Error) -> Failure {
        Failure::failed(format!("{}: {error}", self.dir.display()))
    }

    /// Whose segment it is.
    fn owner(&self, info: &SegmentInfo) -> &'static str {
        match (&info.header, &self.sink) {
            (Err(HeaderError::Version(_)), _) => "other version",
            (_, None) => "unknown",
            (_, Some(sink)) if is_of(info, &fingerprint(sink)) => "this sink",
            _ => "other sink",
        }
    }

    /// The process that has the spool, if one has.
    fn holder(&self) -> Option<String> {
        let path = self.dir.join("LOCK");
        let file = std::fs::File::open(&path).ok()?;
        match file.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => {
                Some(std::fs::read_to_string(path).unwrap_or_default().trim().to_owned())
            }
            _ => None,
        }
    }
}

fn gone<T>(read: &io::Result<T>) -> bool {
    matches!(read, Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// A wall time for people, to the second.
fn time(ns: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(ns.into()).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn run(command: &SpoolCommand) -> Result<Exit, Failure> {
    match command {
        SpoolCommand::Ls(args) => ls(args),
        SpoolCommand::Stat(args) => stat(args),
        SpoolCommand::Verify(args) => verify_all(args),
        SpoolCommand::Cat(args) => cat(args),
        SpoolCommand::Repair(args) => change::repair(args),
        SpoolCommand::Drop(args) => change::drop_waiting(args),
        SpoolCommand::Replay(args) => change::replay(args),
    }
}

fn ls(args: &SpoolArgs) -> Result<Exit, Failure> {
    let mut out = String::new();
    for place in args.places()? {
        // Writing to a String cannot fail.
        writeln!(out, "{}: {}", place.name, place.dir.display()).ok();
        writeln!(
            out,
            "  {:<46} {:>10} {:>8} {:>10}  {:<20}  owner",
            "segment", "size", "records", "points", "last written"
        )
        .ok();
        for info in place.look()? {
            let (size, written, owner) = (bytes_text(info.bytes), time(info.written_ns), place.owner(&info));
            writeln!(
                out,
                "  {:<46} {size:>10} {:>8} {:>10}  {written}  {owner}",
                info.name, info.records, info.points
            )
            .ok();
        }
    }
    print_text(&out)?;
    Ok(Exit::Ok)
}

fn stat(args: &SpoolArgs) -> Result<Exit, Failure> {
    let mut out = String::new();
    for place in args.places()? {
        let all = place.look()?;
        let (own, others): (Vec<_>, Vec<_>) =
            all.iter().partition(|info| matches!(place.owner(info), "this sink" | "unknown"));
        let sum = |infos: &[&SegmentInfo], of: fn(&SegmentInfo) -> u64| -> u64 {
            infos.iter().map(|info| of(info)).sum()
        };
        let holder = place.holder().map_or_else(|| "no process".to_owned(), |pid| format!("process {pid}"));
        let (points, bytes) = (sum(&own, |info| info.points), bytes_text(sum(&own, |info| info.bytes)));
        let begun =
            own.iter().filter_map(|info| info.header.as_ref().ok().map(|header| header.created_ns)).min();
        let begun = begun.map_or_else(String::new, |ns| format!(", the oldest from {}", time(ns)));
        writeln!(out, "{}: {}", place.name, place.dir.display()).ok();
        writeln!(out, "  held by        {holder}").ok();
        writeln!(out, "  on disk        {points} points, {bytes} in {} segments{begun}", own.len()).ok();
        let (damages, check) = (sum(&own, |info| info.damages), "lines are checked by tickline spool verify");
        writeln!(out, "  damaged        {damages} places, by the heads alone; {check}").ok();
        if !others.is_empty() {
            let (points, count) = (sum(&others, |info| info.points), others.len());
            writeln!(
                out,
                "  left alone     {points} points in {count} segments of another sink or version: tickline spool replay \
                 --foreign sends them, tickline spool drop --foreign removes them"
            )
            .ok();
        }
    }
    print_text(&out)?;
    Ok(Exit::Ok)
}

fn verify_all(args: &SpoolArgs) -> Result<Exit, Failure> {
    let mut damaged = 0;
    for place in args.places()? {
        let (mut records, mut points) = (0, 0);
        let names = place.names()?;
        let last = names.last().cloned();
        for name in names {
            let read = verify(&place.store(), &name, &mut |_, _| Ok(()));
            if gone(&read) {
                continue;
            }
            let info = read.map_err(|error| place.failure(&error))?;
            (records, points) = (records + info.records, points + info.points);
            if info.damages > 0 && last.as_ref() == Some(&name) && place.holder().is_some() {
                println!("{}: {name}: its end is being written", place.name);
            } else if info.damages > 0 {
                damaged += info.damages;
                let (places, lost) = (info.damages, info.damaged_points);
                println!("{}: {name}: {places} damaged places, at least {lost} points", place.name);
            }
        }
        println!("{}: {records} records with {points} points are whole", place.name);
    }
    Ok(if damaged == 0 { Exit::Ok } else { Exit::Failed })
}

fn cat(args: &SpoolArgs) -> Result<Exit, Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for place in args.places()? {
        for name in place.names()? {
            let read = verify(&place.store(), &name, &mut |_, lines| out.write_all(lines));
            match read {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Ok),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(place.failure(&error)),
                _ => {}
            }
        }
    }
    match out.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::failed(error)),
        _ => Ok(Exit::Ok),
    }
}

/// Takes a spool's folder for this process.
fn take(dir: &Path) -> Result<(LocalStore, std::fs::File), Failure> {
    let store = LocalStore::at(dir);
    let lock = store.lock().map_err(|error| {
        Failure::failed(format!("{}: {error}: stop the engine first; nothing was changed", dir.display()))
    })?;
    Ok((store, lock))
}
