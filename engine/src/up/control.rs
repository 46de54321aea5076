//! The control socket of a supervisor: a line of JSON asks, a line of JSON answers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use serde::{Deserialize, Serialize};

use super::supervisor::Event;
use crate::spawn::spawn;
use crate::stop::Stop;

/// Longest wait of the supervisor for who asks.
const PATIENCE: Duration = Duration::from_secs(1);

/// Longest wait of who asks how it goes.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Longest question, bytes.
const ASKED_BYTES_MAX: u64 = 4096;

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// How it goes.
    Status,
    /// End everything; the answer comes when all has ended.
    Down,
    /// Start one service again, or all; the answer comes when they run.
    Restart {
        /// Which; none: all of them.
        service: Option<String>,
    },
}

/// How far a phase is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseState {
    /// Its turn has not come.
    #[default]
    Waiting,
    /// It is tried.
    Running,
    /// It has succeeded.
    Ok,
    /// It has not.
    Failed,
    /// There is nothing to do.
    Skipped,
}

/// One phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseStatus {
    /// Its name.
    pub name: String,
    /// How far it is.
    pub state: PhaseState,
    /// What was done, or why it failed.
    pub detail: String,
    /// How long it took, ms.
    pub took_ms: u64,
}

/// How a service is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// Not started yet, or ended as it should.
    #[default]
    Stopped,
    /// Started and not ready yet.
    Starting,
    /// It runs and is ready.
    Running,
    /// It has ended and is started again soon.
    Waiting,
    /// It has ended too often and is left alone.
    Failed,
}

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: ServiceState,
    /// Process id, while it has one.
    pub pid: Option<u32>,
    /// Since when it is so, s since 1970.
    pub since_s: i64,
    /// How often it was started again because it had ended by itself.
    pub restarts: u64,
    /// Why it has ended, or what it says of itself.
    pub detail: String,
    /// What does not work though it runs; empty: everything does.
    pub trouble: String,
}

/// A supervisor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UpStatus {
    /// Its process id.
    pub pid: u32,
    /// Where the engine serves; none: it does not.
    pub http: Option<SocketAddr>,
    /// Phases, in their order.
    pub phases: Vec<PhaseStatus>,
    /// Whether every phase that is tried has been.
    pub settled: bool,
    /// Services, in the order of their start.
    pub services: Vec<ServiceStatus>,
    /// Whether it ends.
    pub ending: bool,
    /// Why what was asked cannot be done.
    pub refused: Option<String>,
}

/// Folder of the sockets of `tickline up` below a state folder.
pub fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("up")
}

/// The control socket below a state folder.
pub fn socket(state_dir: &Path) -> PathBuf {
    folder(state_dir).join("control.sock")
}

/// Listens until the process ends. The caller holds the folder's lock: a socket that is there is nobody's.
pub(super) fn listen(path: &Path, stop: &Arc<Stop>, events: Sender<Event>) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    spawn("control", None, stop, move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // Too many files are open: they may be fewer soon.
                std::thread::park_timeout(PATIENCE);
                continue;
            };
            let Some(request) = question(&stream) else { continue };
            if events.send(Event::Asked { request, stream }).is_err() {
                return;
            }
        }
    })
    .map(drop)
}

fn question(stream: &UnixStream) -> Option<Request> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let mut line = String::new();
    BufReader::new(stream.take(ASKED_BYTES_MAX)).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

/// Answers; whoever asked may be gone.
pub(super) fn answer(mut stream: &UnixStream, status: &UpStatus) {
    let Ok(mut line) = serde_json::to_string(status) else { return };
    line.push('\n');
    if let Err(error) = stream.write_all(line.as_bytes()) {
        tracing::debug!("control: nobody takes the answer: {error}");
    }
}

/// Asks the supervisor of a state folder; none: there is none. An answer takes at most `patience`.
pub fn ask(state_dir: &Path, request: &Request, patience: Duration) -> io::Result<Option<UpStatus>> {
    let mut stream = match UnixStream::connect(socket(state_dir)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(patience))?;
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut said = String::new();
    let late = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::other(format!("its supervisor has not answered within {} s", patience.as_secs()))
        }
        _ => error,
    };
    BufReader::new(stream).read_line(&mut said).map_err(late)?;
    if said.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended without an answer"));
    }
    Ok(Some(serde_json::from_str(&said)?))
}
