//! `tickline logs`: what the services of `tickline up` have said.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ConfigArgs, Exit, Failure, print_text};
use crate::up::logs::{file, folder};

/// Time between two looks for what is new.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Most files of a log that are looked for.
const FILES_MAX: usize = 1_000;

/// Arguments of `logs`.
#[derive(Debug, clap::Args)]
pub(super) struct LogsArgs {
    /// Services, such as engine. Default: all of them.
    services: Vec<String>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Go on with what they say.
    #[arg(short, long)]
    follow: bool,
    /// Lines of each before that.
    #[arg(short = 'n', long, default_value_t = 100)]
    lines: usize,
    /// Only the count of lines, warnings and errors of each.
    #[arg(long, conflicts_with_all = ["follow", "lines"])]
    summary: bool,
}

/// The log of one service, as it is read.
struct Tail {
    name: String,
    path: PathBuf,
    /// The file that is read, by its number; another one has taken its place when it is not the path's.
    open: Option<(BufReader<File>, u64)>,
    /// A line whose end has not come.
    part: String,
}

pub(super) fn run(args: &LogsArgs) -> Result<Exit, Failure> {
    let config = args.config.load_to_look()?.config;
    let dir = folder(&config.engine.state_dir);
    let names = names(&dir, &args.services)?;
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let failed = |error: std::io::Error| Failure::failed(format!("{}: {error}", dir.display()));
    if args.summary {
        return names
            .iter()
            .try_for_each(|name| print_text(&summary(&dir, name, width).map_err(failed)?))
            .map(|()| Exit::Ok);
    }
    let mut tails = Vec::new();
    for name in names {
        for line in last_lines(&dir, &name, args.lines).map_err(failed)? {
            print_text(&format!("{name:<width$} | {line}\n"))?;
        }
        let mut tail = Tail { path: file(&dir, &name, 0), name, open: None, part: String::new() };
        tail.reopen().map_err(failed)?;
        if let Some((reader, _)) = &mut tail.open {
            reader.seek(SeekFrom::End(0)).map_err(failed)?;
        }
        tails.push(tail);
    }
    if !args.follow {
        return Ok(Exit::Ok);
    }
    loop {
        for tail in &mut tails {
            for line in tail.new_lines().map_err(failed)? {
                print_text(&format!("{:<width$} | {line}\n", tail.name))?;
            }
        }
        // Nothing but a signal, which ends the process, has anything to say meanwhile.
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// The services that have a log, or those of them that are wanted.
fn names(dir: &Path, wanted: &[String]) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    let place = dir.display();
    let entries = std::fs::read_dir(dir)
        .map_err(|error| Failure::failed(format!("{place}: {error}: tickline up writes logs there")))?;
    for entry in entries {
        let name = entry.map_err(Failure::failed)?.file_name();
        all.extend(name.to_string_lossy().strip_suffix(".log").map(str::to_owned));
    }
    all.sort();
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        return Err(Failure::usage(format!(
            "{unknown}: has no log in {place}, there are {}",
            all.join(", ")
        )));
    }
    Ok(if wanted.is_empty() { all } else { wanted.to_vec() })
}

/// Readers of a log's files, the oldest first.
fn readers(dir: &Path, name: &str) -> std::io::Result<Vec<BufReader<File>>> {
    let mut readers = Vec::new();
    for back in 0..FILES_MAX {
        match File::open(file(dir, name, back)) {
            Ok(open) => readers.insert(0, BufReader::new(open)),
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
    }
    Ok(readers)
}

fn last_lines(dir: &Path, name: &str, count: usize) -> std::io::Result<VecDeque<String>> {
    let mut last = VecDeque::new();
    for reader in readers(dir, name)? {
        for line in reader.split(b'\n') {
            last.push_back(String::from_utf8_lossy(&line?).into_owned());
            if last.len() > count {
                last.pop_front();
            }
        }
    }
    Ok(last)
}

/// `engine  1234 lines, 3 warnings, 0 errors, the last: …`
fn summary(dir: &Path, name: &str, width: usize) -> std::io::Result<String> {
    let (mut lines, mut warnings, mut errors, mut last) = (0_u64, 0_u64, 0_u64, String::new());
    for reader in readers(dir, name)? {
        for line in reader.split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            lines += 1;
            let (warns, fails) = (is_level(&line, "WARN"), is_level(&line, "ERROR"));
            warnings += u64::from(warns);
            errors += u64::from(fails);
            if warns || fails {
                last = format!(", the last: {line}");
            }
        }
    }
    Ok(format!("{name:<width$}  {lines} lines, {warnings} warnings, {errors} errors{last}\n"))
}

/// Whether a line of text or JSON is of this level.
fn is_level(line: &str, level: &str) -> bool {
    line.contains(&format!("\"level\":\"{level}\"")) || line.split_whitespace().nth(1) == Some(level)
}

impl Tail {
    fn reopen(&mut self) -> std::io::Result<()> {
        match File::open(&self.path) {
            Ok(open) => {
                let number = open.metadata()?.ino();
                self.open = Some((BufReader::new(open), number));
                Ok(())
            }
            // Between two files.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whole lines that have come since the last look, also those of a file that has been put aside since.
    fn new_lines(&mut self) -> std::io::Result<Vec<String>> {
        let mut lines = self.rest()?;
        let number = std::fs::metadata(&self.path).map(|of| of.ino()).ok();
        if number.is_some() && number != self.open.as_ref().map(|(_, number)| *number) {
            lines.extend(self.rest()?);
            self.reopen()?;
            lines.extend(self.rest()?);
        }
        Ok(lines)
    }

    fn rest(&mut self) -> std::io::Result<Vec<String>> {
        let (Some((reader, _)), mut lines) = (&mut self.open, Vec::new()) else { return Ok(Vec::new()) };
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            self.part.push_str(&String::from_utf8_lossy(&line));
            if self.part.ends_with('\n') {
                lines.push(std::mem::take(&mut self.part).trim_end().to_owned());
            }
            line.clear();
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::logs::Log;

    #[test]
    fn a_log_that_is_followed_loses_no_line_when_its_file_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), "engine", 40, 2).unwrap();
        let path = file(dir.path(), "engine", 0);
        let mut tail = Tail { name: "engine".into(), path, open: None, part: String::new() };
        tail.reopen().unwrap();
        let (mut said, mut seen) = (Vec::new(), Vec::new());
        for n in 0..50 {
            log.line(format!("line {n}\n").as_bytes()).unwrap();
            said.push(format!("line {n}"));
            if n % 3 == 0 {
                seen.extend(tail.new_lines().unwrap());
            }
        }
        seen.extend(tail.new_lines().unwrap());
        assert_eq!(seen, said);
        let last: Vec<String> = last_lines(dir.path(), "engine", 3).unwrap().into();
        assert_eq!(last, ["line 47", "line 48", "line 49"]);
    }

    #[test]
    fn a_summary_counts_warnings_and_errors_of_text_and_json() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), "x", 1 << 20, 2).unwrap();
        for line in [
            "2026-11-23T10:00:00Z  INFO an ERROR that is none\n",
            "2026-11-23T10:00:01Z  WARN look\n",
            "{\"timestamp\":\"…\",\"level\":\"ERROR\",\"fields\":{}}\n",
            "2026-11-23T10:00:02Z ERROR gone\n",
        ] {
            log.line(line.as_bytes()).unwrap();
        }
        let said = summary(dir.path(), "x", 3).unwrap();
        assert_eq!(said, "x    4 lines, 1 warnings, 2 errors, the last: 2026-11-23T10:00:02Z ERROR gone\n");
    }
}
