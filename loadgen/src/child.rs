//! An engine of our own, under drill or under load: the real program as a child process, its log, its `/status`, and its end.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tickline_config::report::Report;
use tickline_feeds::clock::Clock;

use crate::clock::OsClock;
use crate::spawn::spawn;
use crate::target::Target;

/// Longest wait for anything that should happen at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// A free port, so that none that is in use is in the way.
const LISTEN: &str = "http.listen=\"127.0.0.1:0\"";

/// It ended before anyone asked it to.
#[derive(Debug, thiserror::Error)]
#[error("the engine has ended ({status}): {log}")]
pub struct Died {
    /// Its exit code; none after a signal.
    pub code: Option<i32>,
    status: ExitStatus,
    log: String,
}

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    /// Where it serves, once it does.
    http: Option<Target>,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; none after a signal.
    pub code: Option<i32>,
    /// Its last report.
    pub report: Option<Report>,
    /// Its log.
    pub log: Vec<String>,
}

impl Engine {
    /// Starts it in `dir` with these keys and waits until it serves.
    pub fn start(program: &[OsString], dir: &Path, sets: &[String]) -> Result<Self> {
        Self::spawn(program, dir, sets)?.listening(&AtomicBool::new(false))
    }

    fn listening(mut self, stop: &AtomicBool) -> Result<Self> {
        let line = wait_for("the engine serves", PATIENCE, || {
            ensure!(!stop.load(Ordering::Relaxed), "stopped before the engine served");
            self.logged("listening on http://")
        })?;
        let address = line.rsplit("http://").next().unwrap_or_default().trim();
        self.http = Some(Target::patient(&format!("http://{address}"), PATIENCE)?);
        Ok(self)
    }

    /// Where it serves.
    pub fn target(&self) -> Result<&Target> {
        self.http.as_ref().context("the engine does not serve yet")
    }

    /// Starts it and does not wait. Before the program there may be another that runs it.
    pub fn spawn(program: &[OsString], dir: &Path, sets: &[String]) -> Result<Self> {
        let (first, further) = program.split_first().context("a program")?;
        let mut command = Command::new(first);
        command.current_dir(dir).args(further).args(["run", "--json"]);
        command.args(["--set", LISTEN, "--set", "engine.ledger_every=\"inf\""]);
        command.args(sets.iter().flat_map(|set| ["--set", set]));
        Self::run(command)
    }

    /// Starts it with a configuration of the user's, on a free admin port, and waits until it serves or `stop` is
    /// set, which is an error.
    pub fn configured(program: &Path, config: &Path, sets: &[String], stop: &AtomicBool) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["run", "--json", "--set", LISTEN, "--config"]).arg(config);
        command.args(sets.iter().flat_map(|set| ["--set", set]));
        Self::run(command).with_context(|| program.display().to_string())?.listening(stop)
    }

    fn run(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{:?}", command.get_program()))?;
        let stderr = BufReader::new(child.stderr.take().context("its log")?);
        let log = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&log);
        // Reads to the end, so that the program never waits for a full pipe.
        let lines = move || {
            for line in stderr.lines().map_while(Result::ok) {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        };
        let reader = Some(spawn("drill-log".to_owned(), Arc::new(AtomicBool::new(false)), lines)?);
        Ok(Self { child, log, reader, http: None })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a line of the log has `text`.
    pub fn wait_log(&mut self, text: &str) -> Result<String> {
        wait_for(text, PATIENCE, || self.logged(text))
    }

    /// The line of the log that has `text`, if there is one yet.
    fn logged(&mut self, text: &str) -> Result<Option<String>> {
        let line = self.log().into_iter().find(|line| line.contains(text));
        if line.is_none() {
            self.must_run()?;
        }
        Ok(line)
    }

    /// Fails with how it ended, if it has.
    pub fn must_run(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = self.whole_log().join(" | ");
            return Err(Died { code: status.code(), status, log }.into());
        }
        Ok(())
    }

    /// Status and body of one page.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        Ok(self.target()?.page(path)?)
    }

    /// `/status`
    pub fn status(&self) -> Result<Report> {
        Ok(serde_json::from_str(&self.get("/status")?.1)?)
    }

    /// The number up to which it says that everything is accepted.
    pub fn accepted(&self, feed: &str, src: u32) -> Result<u64> {
        let report = self.status()?;
        let topics = report.accepted.get(feed).and_then(|topics| topics.get(feed));
        Ok(topics.and_then(|sources| sources.get(&src.to_string()).copied()).unwrap_or(0))
    }

    /// Sends it a signal by name.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let id = self.child.id().to_string();
        ensure!(Command::new("kill").args([signal, &id]).status()?.success(), "kill {signal} {id}");
        Ok(())
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(mut self) -> Result<Vec<String>> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(self.whole_log())
    }

    /// The log to its end, once the engine is gone.
    fn whole_log(&mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            // What it has read stands in the log.
            reader.join().ok();
        }
        self.log()
    }

    /// Ends it with SIGTERM.
    pub fn stop(mut self) -> Result<Ended> {
        self.signal("-TERM")?;
        self.end()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Result<Ended> {
        self.end()
    }

    /// Waits for its end, and makes one if it does not come.
    fn end(&mut self) -> Result<Ended> {
        // Read while it ends: a report is longer than a pipe is.
        let mut stdout = self.child.stdout.take().context("its output")?;
        let read = move || {
            let mut json = String::new();
            stdout.read_to_string(&mut json).map(|_| json)
        };
        let output = spawn("engine-report".to_owned(), Arc::new(AtomicBool::new(false)), read)?;
        let ended = wait_for("the engine ends", PATIENCE, || Ok(self.child.try_wait()?));
        if ended.is_err() {
            self.child.kill()?;
        }
        let code = self.child.wait()?.code();
        let json = output.join().map_err(|_| anyhow::anyhow!("its output: the thread has panicked"))??;
        Ok(Ended { code, report: serde_json::from_str(&json).ok(), log: self.whole_log() })
    }

    /// Descriptors that are open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).map_or(0, Iterator::count)
    }

    /// Largest resident memory so far, bytes.
    pub fn rss_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Only what failed leaves it running. It still may spool what it has, as long as it takes.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal("-TERM").and_then(|()| self.end()).ok();
        }
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// Looks again and again until there is something, at most for `patience`.
pub fn wait_for<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let clock = OsClock::start();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(clock.mono().0 < patience.as_nanos() as u64, "not within {patience:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_left_running_by_an_error_is_asked_to_end_and_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let script = "trap 'echo spooled > spool; exit' TERM; echo 'listening on http://127.0.0.1:1' >&2; \
                      while :; do sleep 0.01; done";
        let program = ["sh", "-c", script].map(OsString::from);
        drop(Engine::start(&program, dir.path(), &[]).unwrap());
        assert_eq!(std::fs::read_to_string(dir.path().join("spool")).unwrap(), "spooled\n");
    }

    #[test]
    fn an_engine_that_ends_at_once_tells_its_code_and_its_last_words() {
        let program = ["sh", "-c", "echo 'no such key' >&2; exit 78"].map(OsString::from);
        let error = Engine::start(&program, Path::new("."), &[]).unwrap_err();
        assert_eq!(error.downcast_ref::<Died>().and_then(|died| died.code), Some(78));
        assert!(error.to_string().ends_with(": no such key"), "{error}");
    }
}
