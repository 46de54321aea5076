//! A run of the engine: started from a plan, drained from left to right, read at any time. It owns every thread
//! and the last handle of every queue; signals, HTTP and reports are someone else's.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use tickline_config::model::Config;
use tickline_feeds::clock::{Clock, WallNanos};
use tickline_feeds::curve::CurveError;
use tickline_feeds::decoder::SpecError;
use tickline_feeds::instruments::Instruments;
use tickline_sinks::sink::Sink;

use crate::channel::FrameQueue;
use crate::links::{self, Monitor};
use crate::plan::{FeedPlan, Plan, PlanError, SinkPlan};
use crate::quarantine::Suspect;
use crate::queue::{BatchPool, BatchSender};
use crate::spawn::Thread;
use crate::stage::archive::manifest::Manifest;
use crate::stage::archive::{Tap, folder};
use crate::stage::encode::NewFeed;
use crate::stage::multiplex::OrderWaker;
use crate::stage::receive::Order;
use crate::state::Resume;
use crate::stop::Stop;
use crate::view::View;

mod reload;
pub mod sinks;
mod sockets;
mod start;

/// How long threads may take to notice an abort.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// Opens one connection of a sink; called before any thread is pinned.
pub type OpenSink<'a> = &'a dyn Fn(&SinkPlan) -> Result<Box<dyn Sink>, String>;

/// Where frames come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// ZeroMQ.
    Sockets,
    /// Captures, one after the other.
    Captures(Captures),
}

/// Captures, and what of them is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captures {
    /// The files, in the order of reading.
    pub files: Vec<PathBuf>,
    /// Receive time of the first frame wanted, ns since 1970.
    pub from_ns: i64,
    /// Receive time behind the last one.
    pub to_ns: i64,
}

impl Captures {
    /// Files, and those of folders in the order of their names. A file whose manifest says that nothing of it is
    /// wanted is left out.
    pub fn new(paths: &[PathBuf], from_ns: Option<i64>, to_ns: Option<i64>) -> io::Result<Self> {
        let (from_ns, to_ns) = (from_ns.unwrap_or(i64::MIN), to_ns.unwrap_or(i64::MAX));
        let mut files = Vec::new();
        for path in paths {
            if !path.is_dir() {
                files.push(path.clone());
                continue;
            }
            let inside = folder::captures(path).and_then(|inside| {
                if inside.is_empty() { Err(io::Error::other("no capture in it")) } else { Ok(inside) }
            });
            if let Some(manifest) = folder::without_file(path)? {
                return Err(io::Error::other(format!("{}: its file is missing", manifest.display())));
            }
            files.extend(inside.map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?);
        }
        files.retain(|file| Manifest::of(file).is_none_or(|of| of.to_ns >= from_ns && of.from_ns < to_ns));
        Ok(Self { files, from_ns, to_ns })
    }

    /// Whether a frame received then is wanted.
    pub fn wants(&self, recv_ns: i64) -> bool {
        (self.from_ns..self.to_ns).contains(&recv_ns)
    }
}

/// What a run is started from.
pub struct Setup<'a> {
    /// Command, for the report.
    pub command: &'static str,
    /// The configuration.
    pub config: &'a Config,
    /// Its text, secrets masked, and SHA-256.
    pub config_text: (String, Option<String>),
    /// The plan made from it.
    pub plan: Plan,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Sinks.
    pub open_sink: OpenSink<'a>,
    /// Names known at start.
    pub instruments: Arc<Instruments>,
    /// Where the feeds stood.
    pub resume: Resume,
    /// Sockets or captures.
    pub source: Source,
    /// State folder in which refused lines are kept; none: they are counted only.
    pub rejects: Option<&'a Path>,
}

impl std::fmt::Debug for Setup<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("plan", &self.plan)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// Why a run could not be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be carried out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A decoder cannot be made.
    #[error("feeds.{feed}.{source}")]
    Decoder {
        /// Feed.
        feed: String,
        /// Why.
        source: SpecError,
    },
    /// The archive's folder cannot be used.
    #[error("archive.dir: must be a folder that only this process writes to, found {dir:?}: {source}")]
    Archive {
        /// As configured.
        dir: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A sink cannot be opened.
    #[error("{0}")]
    Sink(String),
    /// ZeroMQ refuses an endpoint.
    #[error(
        "feeds.{feed}.endpoint: must be an endpoint that ZeroMQ can connect to, found {endpoint:?} ({source})"
    )]
    Endpoint {
        /// First feed on it.
        feed: String,
        /// As configured.
        endpoint: String,
        /// What ZeroMQ says.
        source: CurveError,
    },
    /// A thread could not be started.
    #[error("thread: {0}")]
    Thread(#[from] io::Error),
    /// A new configuration changes what only a restart can change.
    #[error("{sections}: cannot be changed while running, restart to apply it")]
    NeedsRestart {
        /// Sections that differ.
        sections: String,
    },
}

/// A receive thread as the run sees it.
#[derive(Debug)]
struct ReceiverHandle {
    orders: Sender<Order>,
    waker: Option<OrderWaker>,
    /// Endpoints it serves, by position.
    endpoints: Vec<usize>,
    /// Where its inline encoder takes new feeds.
    feeds: Option<Sender<NewFeed>>,
}

/// A run.
pub struct Run {
    config: Config,
    view: Arc<View>,
    instruments: Arc<Instruments>,
    context: Option<zmq::Context>,
    /// Feeds by position; those that were replaced stay, so that positions never change.
    feeds: Vec<FeedPlan>,
    /// Wall time at the start.
    began: WallNanos,
    /// Whether each is still configured, as its encoder sees it.
    active: Vec<Arc<AtomicBool>>,
    endpoints: Vec<Option<String>>,
    /// Whether the publisher of each is connected, as the encoders see it.
    up: Vec<Arc<AtomicBool>>,
    /// What listens to their sockets.
    monitors: Vec<Monitor>,
    receivers: Vec<ReceiverHandle>,
    /// Queues and new feeds of the encoder threads.
    encoders: Vec<(FrameQueue, Sender<NewFeed>)>,
    /// For further receivers.
    tap: Option<Tap>,
    /// Queues of the sinks, each with the age at which it wants a batch at the latest, ns.
    sinks: Vec<(BatchSender, Option<u64>)>,
    pool: BatchPool,
    suspects: (Sender<Suspect>, Receiver<Suspect>),
    threads: Vec<Thread>,
}

impl Run {
    /// Starts every thread: writers first, receivers last.
    pub fn start(setup: Setup<'_>) -> Result<Self, StartError> {
        start::start(setup)
    }

    /// What may be read of it.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view)
    }

    /// Its end.
    pub fn stop(&self) -> &Arc<Stop> {
        &self.view.stop
    }

    /// Whether frames go to an archive or a flight recorder.
    pub(crate) fn has_archive(&self) -> bool {
        self.tap.is_some()
    }

    /// Sees who has come and gone.
    pub(crate) fn look_at_links(&mut self) {
        links::look(&mut self.monitors, &self.up, &self.view, self.view.clock.mono());
    }

    /// Undecodable frames, for the quarantine.
    pub fn suspects(&self) -> Receiver<Suspect> {
        self.suspects.1.clone()
    }

    /// Applies another configuration: feeds are added, removed or replaced, and those that are the same are not
    /// touched. On an error nothing has changed. Returns what was done, a phrase each.
    pub fn apply(
        &mut self,
        config: &Config,
        text: (String, Option<String>),
    ) -> Result<Vec<String>, StartError> {
        reload::apply(self, config, text)
    }

    /// Lets every stage finish what it has, from left to right. Returns at once.
    pub fn begin_drain(&mut self) {
        self.view.stop.drain();
        // A queue ends when the last handle of its sending end is gone.
        self.receivers.clear();
        self.encoders.clear();
        self.tap = None;
        self.sinks.clear();
    }

    /// Whether every thread has ended.
    pub fn ended(&self) -> bool {
        self.threads.iter().all(|thread| thread.ended_within(Duration::ZERO))
    }

    /// Whether nothing more can be received: every receiver has ended by itself.
    pub fn received_all(&self) -> bool {
        let mut receivers = self.threads.iter().filter(|thread| thread.name().starts_with("rx-"));
        receivers.all(|thread| thread.ended_within(Duration::ZERO))
    }

    /// Waits at most `time` for every thread to end.
    pub fn wait_ended(&self, time: Duration) -> bool {
        let started = self.view.clock.mono();
        self.threads.iter().all(|thread| {
            let spent = Duration::from_nanos(self.view.clock.mono().since(started));
            thread.ended_within(time.saturating_sub(spent))
        })
    }

    /// Drains within `timeout`; what is left then is counted as dropped, and threads that do not even notice
    /// that are left behind, their points in flight.
    pub fn drain(&mut self, timeout: Duration) {
        self.begin_drain();
        if !self.wait_ended(timeout) {
            tracing::warn!("shutdown_timeout is over: what is not written is dropped");
            self.view.stop.abort();
        }
        self.finish();
    }

    /// Takes leave of the threads after a drain or an abort.
    pub fn finish(&mut self) {
        self.begin_drain();
        if self.wait_ended(ABORT_GRACE) {
            self.threads.drain(..).for_each(Thread::join);
            // Their sockets are closed now, and the context waits for them.
            self.monitors.clear();
        } else {
            let late = self.threads.iter().filter(|thread| !thread.ended_within(Duration::ZERO));
            let names: Vec<&str> = late.map(Thread::name).collect();
            tracing::error!("threads that do not end: {}", names.join(", "));
            // libzmq would wait for the sockets of such a thread.
            std::mem::forget(self.context.take());
            std::mem::forget(std::mem::take(&mut self.monitors));
        }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("view", &self.view).finish_non_exhaustive()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.view.stop.abort();
            self.finish();
        }
    }
}
