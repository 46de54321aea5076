//! A child of the supervisor: a process in a group of its own, whose output goes to its log and whose end, and words to
//! `NOTIFY_SOCKET`, become events.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, PipeReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};

use super::logs::Log;
use super::supervisor::Event;
use crate::spawn::spawn;
use crate::stop::Stop;

/// Set for children that are this program: they end with their supervisor.
pub const SUPERVISED: &str = "TICKLINE_SUPERVISED";

/// Longest line of a log; what is longer is cut into several.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// How long the last words of a child that has ended are waited for: a child of its own may keep its output open.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Characters of its last line that are told.
const LAST_CHARS_MAX: usize = 300;

/// How long the thread that hears a child waits before it looks whether the child has ended.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What is started.
#[derive(Clone, Debug)]
pub struct Program {
    /// Name of the service: of its log, its threads and its socket.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<OsString>,
    /// Whether it tells of itself as systemd's services do, and is ready when it says so.
    pub notifies: bool,
    /// It is killed when it has told nothing for so long.
    pub watchdog: Option<Duration>,
}

/// Where children live.
#[derive(Clone, Debug)]
pub struct Home {
    /// Folder of control and notification sockets.
    pub run: PathBuf,
    /// Folder of logs.
    pub logs: PathBuf,
    /// Bytes of a log file.
    pub log_bytes_max: u64,
    /// Files of one log.
    pub log_files_max: usize,
}

/// A process that was started. It outlives this value; whoever wants its end signals it.
#[derive(Debug)]
pub struct Child {
    /// Process id.
    pub pid: u32,
    /// The group that it leads.
    group: Pid,
    /// Names this very process, even after its id is another's.
    process: OwnedFd,
}

impl Child {
    /// Starts it; `run` tells its events from those of runs before.
    pub fn start(
        program: &Program,
        home: &Home,
        run: u64,
        stop: &Arc<Stop>,
        events: &Sender<Event>,
    ) -> io::Result<Self> {
        let (first, arguments) = program.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let log = Log::open(&home.logs, &program.name, home.log_bytes_max, home.log_files_max)?;
        let (output, input) = io::pipe()?;
        let mut command = Command::new(first);
        command.args(arguments).stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
        // Ctrl-C in the terminal is for the supervisor, which ends its children in their order.
        command
            .process_group(0)
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID");
        let heard = if program.notifies {
            let path = home.run.join(format!("{}.notify", program.name));
            let socket = bind_again(&path)?;
            command.env("NOTIFY_SOCKET", std::path::absolute(&path)?).env(SUPERVISED, "1");
            if let Some(watchdog) = program.watchdog {
                command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
            }
            Some(socket)
        } else {
            None
        };
        let mut child = command.spawn()?;
        drop(command); // And with it our ends of the pipe.
        let pid = child.id();
        let group = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        let process = pidfd_open(group, PidfdFlags::empty())?;
        let (name, over) = (program.name.clone(), Arc::new(AtomicBool::new(false)));
        let (say, said) = bounded(1);
        let reader = spawn(&format!("log-{name}"), None, stop, move || {
            // Nobody listens any more where another process still has the output.
            say.send(keep(output, log)).ok();
        })?;
        if let Some(socket) = heard {
            let (name, events, over) = (name.clone(), events.clone(), Arc::clone(&over));
            spawn(&format!("ear-{name}"), None, stop, move || hear(&socket, &over, &name, run, &events))?;
        }
        let events = events.clone();
        spawn(&format!("end-{name}"), None, stop, move || {
            // What it has started goes with it. Until it is waited for, its id, and so its group's, is no one else's.
            if waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).is_ok() {
                kill_process_group(group, Signal::KILL).ok();
            }
            let how = child.wait().map_or_else(|error| error.to_string(), how_it_ended);
            over.store(true, Ordering::Relaxed);
            reader.ended_within(LAST_WORDS);
            let how = match said.try_recv() {
                // Who was killed has not said why.
                Ok(last) if !last.is_empty() && !how.starts_with("signal") => format!("{how}: {last}"),
                _ => how,
            };
            // A supervisor that is gone has nobody to tell.
            events.send(Event::Ended { name, run, how }).ok();
        })?;
        Ok(Self { pid, group, process })
    }

    /// Sends a signal, also to what it has started; one that has ended already is none the worse for it.
    pub fn signal(&self, signal: Signal) {
        // As long as nobody has waited for it, its group is its own.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        if waitid(WaitId::PidFd(self.process.as_fd()), look).is_ok() {
            kill_process_group(self.group, signal).ok();
        }
    }
}

/// Ends this process when the thread that started it ends, so that no service is left without a supervisor.
pub fn follow_supervisor() {
    if std::env::var_os(SUPERVISED).is_some()
        && let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
    {
        tracing::warn!("it does not end with its supervisor: {error}");
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        _ => status.to_string(),
    }
}

/// A socket file that a run before has left is of no use.
fn bind_again(path: &Path) -> io::Result<UnixDatagram> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixDatagram::bind(path)?;
    socket.set_read_timeout(Some(LOOK_EVERY))?;
    Ok(socket)
}

/// Writes what a child says to its log, until it and all who have its output have ended; its last line.
fn keep(output: PipeReader, mut log: Log) -> String {
    let mut last = String::new();
    let (mut output, mut line, mut told) = (BufReader::new(output), Vec::new(), false);
    while let Ok(1..) = io::Read::take(&mut output, LINE_BYTES_MAX).read_until(b'\n', &mut line) {
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        // A full disk must not stop the service: its words are lost instead, and that is said once.
        if let Err(error) = log.line(&line)
            && !std::mem::replace(&mut told, true)
        {
            tracing::error!("its log cannot be written: {error}");
        }
        if !line.trim_ascii().is_empty() {
            last = String::from_utf8_lossy(line.trim_ascii()).chars().take(LAST_CHARS_MAX).collect();
        }
        line.clear();
    }
    last
}

/// Passes on what a child says of itself, until it is over.
fn hear(socket: &UnixDatagram, over: &AtomicBool, name: &str, run: u64, events: &Sender<Event>) {
    let mut buffer = [0; 4096];
    loop {
        match socket.recv(&mut buffer) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(buffer.get(..bytes).unwrap_or_default()).into_owned();
                if events.send(Event::Told { name: name.to_owned(), run, text }).is_err() {
                    return;
                }
            }
            Err(_) if over.load(Ordering::Relaxed) => return,
            Err(_) => {}
        }
    }
}
