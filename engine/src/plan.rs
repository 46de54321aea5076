//! The plan of a run: which threads there will be, on which cores, with which queues, files and how much
//! memory. Pure: made from the configuration and the cores of the machine, before anything is started.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tickline_config::model::{Archive, Config, Durability, Encode, Feed, Pinning, Receive, Sink, SinkKind};

pub mod footprint;
mod memory;

pub use memory::{MemoryRow, bytes_text};

/// Everything a run will start.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Distinct endpoints; a frame names its own by position.
    pub endpoints: Vec<String>,
    /// Feeds; a frame names its own by position.
    pub feeds: Vec<FeedPlan>,
    /// Sinks, in the order of their names.
    pub sinks: Vec<SinkPlan>,
    /// Receive threads.
    pub receivers: Vec<ReceiverPlan>,
    /// Encoder threads; none if the receivers encode.
    pub encoders: Vec<ThreadPlan>,
    /// Writer threads.
    pub writers: Vec<WriterPlan>,
    /// The thread of the archive and the flight recorder, if there is one of them.
    pub archiver: Option<ThreadPlan>,
    /// What each part of the run may hold at most, bytes.
    pub memory: Vec<MemoryRow>,
    /// What libzmq may hold apart from that, bytes.
    pub libzmq_bytes: u64,
    /// Files and folders that are written, with what for.
    pub files: Vec<(&'static str, String)>,
}

/// One feed.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedPlan {
    /// Its name.
    pub name: String,
    /// As configured.
    pub feed: Feed,
    /// Endpoint, by position.
    pub endpoint: usize,
    /// Encoder, by position; the receiver's where receivers encode.
    pub encoder: usize,
    /// Sinks, by position.
    pub sinks: Vec<usize>,
}

/// One sink.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkPlan {
    /// Its name.
    pub name: String,
    /// As configured.
    pub sink: Sink,
    /// Writer threads.
    pub connections: usize,
    /// The thread that puts batches on disk, unless its durability is `memory`.
    pub spooler: Option<ThreadPlan>,
}

/// One thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadPlan {
    /// Its name.
    pub name: String,
    /// The core it is bound to.
    pub core: Option<usize>,
}

/// One receive thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverPlan {
    /// The thread.
    pub thread: ThreadPlan,
    /// Endpoints, by position.
    pub endpoints: Vec<usize>,
}

/// One writer thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterPlan {
    /// The thread.
    pub thread: ThreadPlan,
    /// Its sink, by position.
    pub sink: usize,
}

/// Why there is no plan.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// There is nothing to receive.
    #[error("feeds: at least one must be configured, found none")]
    NoFeed,
    /// There is nowhere to write.
    #[error("sinks: at least one must be configured, found none")]
    NoSink,
    /// A core that this process may not use.
    #[error("engine.pinning: must list cores out of {usable:?}, found {found}")]
    NoSuchCore {
        /// As configured.
        found: usize,
        /// Cores of this process.
        usable: Vec<usize>,
    },
}

/// From how many cores on `pinning = "auto"` binds threads.
const AUTO_PINNING_CORES: usize = 4;

impl Plan {
    /// The plan for a configuration on a machine with these cores.
    pub fn new(config: &Config, cores: &[usize]) -> Result<Self, PlanError> {
        if config.feeds.is_empty() {
            return Err(PlanError::NoFeed);
        }
        if config.sinks.is_empty() {
            return Err(PlanError::NoSink);
        }
        let sinks: Vec<SinkPlan> = config.sinks.iter().map(|(name, sink)| sink_plan(name, sink)).collect();
        let endpoints = endpoints(config);
        let feeds = feeds(config, &endpoints, &sinks);
        let mut plan = Self {
            receivers: receivers(config, &endpoints, &feeds),
            encoders: encoders(config),
            writers: writers(&sinks),
            archiver: archives(&config.archive).then(|| ThreadPlan { name: "arc".into(), core: None }),
            memory: Vec::new(),
            libzmq_bytes: 0,
            files: files(config),
            endpoints,
            feeds,
            sinks,
        };
        plan.pin(&config.engine.pinning, cores)?;
        plan.memory = memory::rows(config, &plan);
        let waiting = u64::try_from(config.engine.rcvhwm).unwrap_or(0);
        let largest = config.engine.message_bytes_max as u64;
        plan.libzmq_bytes = waiting.saturating_mul(largest).saturating_mul(plan.endpoints.len() as u64);
        Ok(plan)
    }

    fn pin(&mut self, pinning: &Pinning, cores: &[usize]) -> Result<(), PlanError> {
        let receivers = self.receivers.iter_mut().map(|receiver| &mut receiver.thread);
        let hot = receivers.chain(&mut self.encoders);
        match pinning {
            Pinning::Off => {}
            // The first core is left to the writers and to everyone else on the machine.
            Pinning::Auto if cores.len() >= AUTO_PINNING_CORES => {
                hot.zip(cores.iter().skip(1)).for_each(|(thread, core)| thread.core = Some(*core));
            }
            Pinning::Auto => {}
            Pinning::Cores(listed) => {
                if let Some(&found) = listed.iter().find(|core| !cores.contains(core)) {
                    return Err(PlanError::NoSuchCore { found, usable: cores.to_vec() });
                }
                let writers = self.writers.iter_mut().map(|writer| &mut writer.thread);
                hot.chain(writers).zip(listed).for_each(|(thread, core)| thread.core = Some(*core));
            }
        }
        Ok(())
    }

    /// Most memory that everything but libzmq may take, bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.memory.iter().map(|row| row.bytes).sum()
    }
}

/// The sinks that a feed's points go to, by position.
pub fn sinks_of(feed: &str, sinks: &[SinkPlan]) -> Vec<usize> {
    sinks.iter().enumerate().filter(|(_, sink)| sink.sink.takes(feed)).map(|(at, _)| at).collect()
}

/// Name of the thread that receives an endpoint: the first feed on it.
pub fn receiver_name(feed: &str) -> String {
    format!("rx-{feed}")
}

fn sink_plan(name: &str, sink: &Sink) -> SinkPlan {
    let connections = match &sink.kind {
        SinkKind::Influx(influx) | SinkKind::Victoria(influx) | SinkKind::Quest(influx) => influx.connections,
        SinkKind::Postgres(postgres) => postgres.connections,
        SinkKind::Parquet(_) | SinkKind::File(_) | SinkKind::Null => 1,
    };
    let spooler = (sink.durability != Durability::Memory)
        .then(|| ThreadPlan { name: format!("sp-{name}"), core: None });
    SinkPlan { name: name.to_owned(), sink: sink.clone(), connections, spooler }
}

/// Whether raw frames are kept anywhere.
fn archives(config: &Archive) -> bool {
    config.dir.is_some() || config.flight.is_some()
}

/// Folder of a sink's spool.
pub fn spool_dir(state_dir: &Path, name: &str, sink: &Sink) -> PathBuf {
    sink.spool.dir.clone().unwrap_or_else(|| state_dir.join("spool").join(name))
}

fn endpoints(config: &Config) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let all = config.feeds.values().map(|feed| &feed.endpoint);
    all.filter(|endpoint| seen.insert(*endpoint)).cloned().collect()
}

fn feeds(config: &Config, endpoints: &[String], sinks: &[SinkPlan]) -> Vec<FeedPlan> {
    let encoders = encoders(config).len();
    let plan = |(at, (name, feed)): (usize, (&String, &Feed))| {
        let endpoint = endpoints.iter().position(|e| *e == feed.endpoint).unwrap_or(0);
        let receiver = if config.engine.receive == Receive::Multiplexed { 0 } else { endpoint };
        FeedPlan {
            name: name.clone(),
            feed: feed.clone(),
            endpoint,
            encoder: if encoders == 0 { receiver } else { at % encoders },
            sinks: sinks_of(name, sinks),
        }
    };
    config.feeds.iter().enumerate().map(plan).collect()
}

fn receivers(config: &Config, endpoints: &[String], feeds: &[FeedPlan]) -> Vec<ReceiverPlan> {
    let thread = |name| ThreadPlan { name, core: None };
    if config.engine.receive == Receive::Multiplexed {
        let all = (0..endpoints.len()).collect();
        return vec![ReceiverPlan { thread: thread("rx-all".into()), endpoints: all }];
    }
    let first_feed = |at| feeds.iter().find(|feed| feed.endpoint == at).map_or("", |feed| &feed.name);
    let one = |at| ReceiverPlan { thread: thread(receiver_name(first_feed(at))), endpoints: vec![at] };
    (0..endpoints.len()).map(one).collect()
}

fn encoders(config: &Config) -> Vec<ThreadPlan> {
    let count = match config.engine.encode {
        Encode::Inline => 0,
        Encode::Thread => config.engine.encoders.clamp(1, config.feeds.len().max(1)),
    };
    (0..count).map(|at| ThreadPlan { name: format!("enc-{at}"), core: None }).collect()
}

fn writers(sinks: &[SinkPlan]) -> Vec<WriterPlan> {
    let of = |(sink, plan): (usize, &SinkPlan)| {
        let name = plan.name.clone();
        (0..plan.connections).map(move |at| WriterPlan {
            thread: ThreadPlan { name: format!("wr-{name}-{at}"), core: None },
            sink,
        })
    };
    sinks.iter().enumerate().flat_map(of).collect()
}

fn files(config: &Config) -> Vec<(&'static str, String)> {
    let state = &config.engine.state_dir;
    let mut files = vec![
        ("sequence state", state.join("sequences.json").display().to_string()),
        ("quarantine", state.join("quarantine.cap").display().to_string()),
        ("histograms on SIGUSR1", state.join("histograms.json").display().to_string()),
    ];
    if let Some(dir) = &config.archive.dir {
        files.push(("archive", dir.display().to_string()));
    }
    if config.archive.flight.is_some() {
        files.push(("flight recordings", state.join("flight-TIME.cap").display().to_string()));
    }
    for (name, sink) in &config.sinks {
        if sink.durability != Durability::Memory {
            files.push(("spool", spool_dir(state, name, sink).display().to_string()));
        }
        match &sink.kind {
            SinkKind::Parquet(parquet) => files.push(("parquet", parquet.dir.display().to_string())),
            SinkKind::File(file) => files.push(("line protocol", file.path.display().to_string())),
            _ => {}
        }
    }
    files
}

#[cfg(test)]
mod tests;
