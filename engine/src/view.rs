//! What may be read of a run while it goes on: names, cells and gauges, for reports, metrics and the status
//! line. A view keeps no queue open and changes nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::Receiver;
use tickline_config::report::{PartReport, PublisherReport};
use tickline_feeds::clock::{Clock, MonoNanos};

use crate::accepted::Accepted;
use crate::alert::{Firing, Told};
use crate::canary;
use crate::channel::FillGauge;
use crate::history::History;
use crate::links::Link;
use crate::publish::Shown;
use crate::queue::Job;
use crate::rollup;
use crate::stats::{Cell, Stats};
use crate::stop::Stop;
use crate::uptime::Uptime;

/// A feed's name, and whether it is still configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedView {
    /// Name.
    pub name: String,
    /// False once a new configuration has removed or replaced it; its numbers stay.
    pub active: bool,
    /// Its endpoint, by position.
    pub endpoint: usize,
    /// Sinks its points go to, by position.
    pub sinks: Vec<usize>,
}

/// A sink's name and queue.
#[derive(Clone, Debug)]
pub struct SinkView {
    /// Name.
    pub name: String,
    /// The writers' end, for its length only.
    pub queue: Receiver<Job>,
    /// What it has accepted.
    pub accepted: Arc<Accepted>,
    /// Bytes that its spool may take; 0: it has none.
    pub spool_bytes_max: u64,
}

/// A publisher of the same process.
#[derive(Clone, Debug)]
pub struct PublisherView {
    /// Name.
    pub name: String,
    /// Where it is bound.
    pub endpoints: Vec<String>,
    /// What may be read of it.
    pub shown: Arc<Shown>,
}

impl PublisherView {
    /// Its name and what a report says of it.
    pub fn report(&self) -> (String, PublisherReport) {
        let ((state, why), (sent, venue_messages)) = (self.shown.state(), self.shown.sent());
        let report = PublisherReport {
            state: state.name().to_owned(),
            why,
            endpoints: self.endpoints.clone(),
            venue_messages,
            messages: sent.messages,
            bytes: sent.bytes,
            heartbeats: sent.heartbeats,
            subscribers_joined: sent.joined,
            counts: self.shown.counts().into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        };
        (self.name.clone(), report)
    }
}

/// A run, seen from outside.
#[derive(Debug)]
pub struct View {
    /// Command that started it.
    pub command: &'static str,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// When it started.
    pub started: MonoNanos,
    /// Whether raw frames are archived.
    pub archives: bool,
    /// The folder in which state is kept, and the bytes that its spools leave free; none: nothing is kept.
    pub disk: Option<(PathBuf, u64)>,
    /// What its threads count.
    pub stats: Arc<Stats>,
    /// How far it is from its end.
    pub stop: Arc<Stop>,
    /// Feeds, by position.
    pub feeds: Cell<Vec<FeedView>>,
    /// Endpoints, by position.
    pub endpoints: Cell<Vec<String>>,
    /// Connections, by endpoint.
    pub links: Cell<Vec<Link>>,
    /// Sinks, by position.
    pub sinks: Vec<SinkView>,
    /// Queues in front of the encoders.
    pub frame_queues: Vec<FillGauge>,
    /// Publishers of the same process.
    pub publishers: Cell<Vec<PublisherView>>,
    /// Alerts that fire.
    pub alerts: Cell<Vec<Firing>>,
    /// How many of them were told.
    pub told: Cell<Told>,
    /// A thread that hangs, for how long.
    pub hangs: Cell<Option<String>>,
    /// Since when and how often each part has worked.
    pub uptime: Cell<Uptime>,
    /// The last quarter of an hour.
    pub history: Cell<History>,
    /// How marked ticks came back.
    pub canary: Cell<canary::Seen>,
    /// What stands beside the pipeline.
    pub surroundings: Cell<Vec<PartReport>>,
    /// Bars, by sink.
    pub rollups: Cell<BTreeMap<String, rollup::Seen>>,
    /// The effective configuration, secrets masked, and its SHA-256; empty where there is no file.
    pub config: Cell<(String, Option<String>)>,
}

impl View {
    /// Length of the run so far, s.
    pub fn elapsed_s(&self) -> f64 {
        self.clock.mono().since(self.started) as f64 / 1e9
    }
}
