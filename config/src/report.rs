//! The report: one JSON object, schema `tickline.report/1`, that `run`, `demo`, the load generator and the
//! benches write and `/status` answers. Numbers that do not apply are 0, unknown ones null; none is missing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod parts;

pub use parts::{AlertReport, PartReport, PartState, QueueReport, UptimeReport};

/// Schema name and version of [`Report`].
pub const SCHEMA: &str = "tickline.report/1";

/// Header of an answer of `/status`: the engine's wall clock, ns since 1970.
pub const CLOCK_HEADER: &str = "tickline-clock-ns";

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Command that made it, such as `demo`.
    pub command: String,
    /// Whether its figures may be used.
    pub verdict: Verdict,
    /// Why the verdict is not `pass`, a sentence each.
    pub reasons: Vec<String>,
    /// What program.
    pub build: Build,
    /// What machine.
    pub host: Host,
    /// SHA-256 of the effective configuration, hexadecimal.
    pub config_sha256: Option<String>,
    /// Length of the run, s.
    pub elapsed_s: f64,
    /// All feeds and sinks together.
    pub ledger: Ledger,
    /// Each feed, by name.
    pub feeds: BTreeMap<String, FeedReport>,
    /// Latency of the stages before the sinks, by stage, ns.
    pub latency_ns: BTreeMap<String, Latency>,
    /// Each sink, by name.
    pub sinks: BTreeMap<String, SinkReport>,
    /// What the load generator did; zeros where there was none.
    pub load: Load,
    /// The engine that a load generator has measured; null where it measured none.
    #[serde(default)]
    pub target: Option<TargetReport>,
    /// Conditions that the run was held to.
    #[serde(default)]
    pub thresholds: Vec<ThresholdReport>,
    /// Highest sequence accepted by every sink, by feed, topic and source.
    pub accepted: BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>>,
    /// Rows of drills.
    pub rows: Option<serde_json::Value>,
    /// What became of raw frames; null where there is no archive.
    #[serde(default)]
    pub archive: Option<ArchiveReport>,
    /// Publishers in the same process, by name.
    #[serde(default)]
    pub publishers: BTreeMap<String, PublisherReport>,
    /// What works and what does not, the worst first.
    #[serde(default)]
    pub parts: Vec<PartReport>,
    /// Alerts that fire.
    #[serde(default)]
    pub alerts: Vec<AlertReport>,
    /// Queues between the stages, by what they stand in front of: `enc-0` (frames), `sinks.influx` (batches).
    #[serde(default)]
    pub queues: BTreeMap<String, QueueReport>,
    /// CPU time of the stages.
    pub cpu_s: CpuSeconds,
    /// Largest resident memory of the process, bytes.
    pub rss_max_bytes: u64,
}

/// Whether a run's figures may be used; `fail` outranks `invalid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing was lost and the generator kept its schedule.
    #[default]
    Pass,
    /// The ledger does not balance, or something was lost that should not be.
    Fail,
    /// The generator was the limit.
    Invalid,
}

/// What program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// Version of the package.
    pub version: String,
    /// Commit, where it was known at build time.
    pub commit: Option<String>,
    /// `release` or `debug`.
    pub profile: String,
}

/// A publisher: what it reads and sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublisherReport {
    /// `starting`, `ready`, `degraded` or `stopped`.
    pub state: String,
    /// Why.
    pub why: String,
    /// Where it is bound.
    pub endpoints: Vec<String>,
    /// Messages that the venue sent.
    pub venue_messages: u64,
    /// Numbered messages sent to ZeroMQ.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Heartbeats sent.
    pub heartbeats: u64,
    /// Times that somebody subscribed.
    pub subscribers_joined: u64,
    /// What its connector has counted, by name.
    pub counts: BTreeMap<String, u64>,
}

/// What machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Model name of the processor.
    pub cpu: String,
    /// Cores that the process may use.
    pub cores: usize,
    /// Kernel release.
    pub kernel: String,
    /// Frequency governor, where there is one.
    pub governor: Option<String>,
}

/// The four equations of docs/LEDGER.md, of a feed, of a sink, or summed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// Messages that the publishers numbered; null where no feed has sequences.
    pub published: Option<u64>,
    /// Numbered frames whose `_seq` was read.
    pub sequenced: Option<u64>,
    /// Numbers seen before.
    pub duplicate: Option<u64>,
    /// Missing numbers not explained by our own drops.
    pub lost_before_receive: Option<u64>,
    /// Missing numbers that our own drops explain.
    pub lost_overload: Option<u64>,
    /// Frames received.
    pub received: u64,
    /// Frames decoded.
    pub decoded: u64,
    /// Frames that make no point by design.
    pub control: u64,
    /// Frames that could not be decoded.
    pub undecodable: u64,
    /// Frames dropped before decoding, by reason.
    pub dropped_frames: BTreeMap<String, u64>,
    /// Frames that wait for an encoder.
    pub queued: u64,
    /// Points that a decoder was about to make.
    pub candidates: u64,
    /// Points made, each counted once.
    pub points_made: u64,
    /// Points left out by design, by reason.
    pub suppressed: BTreeMap<String, u64>,
    /// Points that could not be written.
    pub bad_points: u64,
    /// Points given to the sinks.
    pub points: u64,
    /// Points found in the spool at start.
    pub recovered: u64,
    /// Points that a sink acknowledged as stored.
    pub written: u64,
    /// Points that the database refused, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Points thrown away by policy, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Points in the spool.
    pub spooled: u64,
    /// Points given to a sink and not yet settled.
    pub in_flight: u64,
    /// Whether every equation that applies holds exactly.
    pub balanced: bool,
}

/// One feed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FeedReport {
    /// Frames received.
    pub frames: u64,
    /// Payload bytes received.
    pub bytes: u64,
    /// Points made.
    pub points: u64,
    /// Holes in the sequences; null where loss cannot be detected.
    pub gaps: Option<u64>,
    /// Frames received a second.
    pub rate_per_s: f64,
    /// Further counters, by name without `tickline_` and `_total`, such as `bad_field`.
    pub counters: BTreeMap<String, u64>,
    /// Equations 1 to 3.
    pub ledger: Ledger,
    /// What is silent that should not be: `transport` or `data`.
    pub alarm: Option<String>,
    /// When the last message that made points was received, ns since 1970; null: there was none.
    #[serde(default)]
    pub last_ns: Option<i64>,
    /// From its `_ts` to that, ns; null where it has none. Below 0 the clocks disagree.
    #[serde(default)]
    pub lag_ns: Option<i64>,
    /// Who sends on it, the one that was silent longest first; empty where there are no sequences.
    pub sources: Vec<SourceReport>,
}

/// One start of one publisher, on one topic. A restart of the engine begins its counts again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceReport {
    /// Where it publishes.
    pub endpoint: String,
    /// Topic as sent.
    pub topic: String,
    /// `_src`
    pub src: u32,
    /// Highest number known to have been sent.
    pub last: u64,
    /// When it was last heard, ns since 1970.
    pub heard_ns: i64,
    /// It has said `_end`.
    pub ended: bool,
    /// Numbers received, each once.
    pub messages: u64,
    /// Numbers missing.
    pub lost: u64,
    /// Numbers seen before.
    pub duplicate: u64,
    /// Numbers that came after higher ones.
    pub late: u64,
    /// Numbers of the largest hole.
    pub gap_max: u64,
    /// When the last hole was seen, ns since 1970; null: never.
    pub gap_last_ns: Option<i64>,
}

/// A latency distribution, ns. Differences below 0 (clocks that disagree) are counted apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Values recorded.
    pub count: u64,
    /// Differences below 0, in no other figure.
    pub negative: u64,
    /// Smallest value.
    pub min: u64,
    /// Mean.
    pub mean: f64,
    /// Quantile 0.5.
    pub p50: u64,
    /// Quantile 0.9.
    pub p90: u64,
    /// Quantile 0.99.
    pub p99: u64,
    /// Quantile 0.999.
    pub p999: u64,
    /// Quantile 0.9999.
    pub p9999: u64,
    /// Largest value.
    pub max: u64,
    /// HDR histogram, V2, base64; only with `?hdr=1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hdr: Option<String>,
}

/// One sink.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SinkReport {
    /// Equation 4.
    pub ledger: Ledger,
    /// Points given to the sink.
    pub points: u64,
    /// Bytes of lines settled.
    pub bytes: u64,
    /// Requests or writes made.
    pub requests: u64,
    /// Requests made again.
    pub retries: u64,
    /// One request, from its first byte to its outcome.
    pub write_ns: Latency,
    /// From a message's `_ts` to its acknowledgement.
    pub publish_to_ack_ns: Latency,
    /// From a message's `_due` to its acknowledgement.
    pub due_to_ack_ns: Latency,
}

/// The archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArchiveReport {
    /// Frames on disk.
    pub frames: u64,
    /// Frames that found no room in the queue before it, or that the disk did not take.
    pub lost: u64,
    /// Files closed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files removed to make room.
    pub files_deleted: u64,
}

/// What the load generator did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// Slots of the schedule.
    pub planned: u64,
    /// Messages handed to ZeroMQ.
    pub sent: u64,
    /// Slots begun more than 10 ms after they were due, queue not full.
    pub late: u64,
    /// Slots delayed by a full queue.
    pub blocked: u64,
    /// Time building and sending, of the elapsed time, of the busiest sender.
    pub busy_ratio: f64,
}

/// The engine that was measured from outside; its figures stand in the report as if they were ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetReport {
    /// Where it serves.
    pub url: String,
    /// What program.
    pub build: Build,
    /// What machine.
    pub host: Host,
    /// How far a latency may be off because its clock is another one, ns; null on one host.
    pub clock_error_ns: Option<u64>,
}

/// One condition and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdReport {
    /// As written, such as `p99.9>20ms`.
    pub condition: String,
    /// What was measured, with its unit.
    pub measured: String,
    /// Whether the run has failed because of it.
    pub crossed: bool,
}

/// CPU time of the stages, s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuSeconds {
    /// Receive threads.
    pub rx: f64,
    /// Encoder threads.
    pub enc: f64,
    /// Writer threads, and those that put batches and raw frames on disk.
    pub wr: f64,
}

/// The JSON Schema of [`Report`], indented, with a newline at the end.
pub fn schema_json() -> String {
    format!("{:#}\n", schemars::schema_for!(Report).as_value())
}
