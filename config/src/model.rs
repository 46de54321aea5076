//! The validated configuration, as the other crates use it: every value typed, every default applied, every
//! secret resolved. Nothing here reads a file; `load` makes it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

mod alert;
mod archive;
mod bus;
pub mod publisher;
mod sink;
mod up;

pub use crate::filter::{Comparand, Condition, Filter};
pub use crate::session::{Session, Span};

pub use alert::{Alert, Alerting, Severity};
pub use archive::Archive;
pub use bus::{CacheLimits, Forward, Route, SYMBOL_TAGS, SocketKind};
pub use sink::{Durability, File, Influx, InfluxTarget, Parquet, Postgres, Retention, Sink, SinkKind, Spool};
pub use up::{Canary, Phase, PhaseName, Rollups, Runtime, ServiceConfig, Up};

/// The whole configuration of one engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[engine]`
    pub engine: Engine,
    /// `[http]`
    pub http: Http,
    /// `[compat]`
    pub compat: Compat,
    /// `[archive]`
    pub archive: Archive,
    /// `[forward]`: what `tickline forward` does
    pub forward: Forward,
    /// `[routes.NAME]`, by name
    pub routes: BTreeMap<String, Route>,
    /// `[feeds.NAME]`, by name
    pub feeds: BTreeMap<String, Feed>,
    /// `[sinks.NAME]`, by name
    pub sinks: BTreeMap<String, Sink>,
    /// `[publishers.NAME]`, by name
    pub publishers: BTreeMap<String, publisher::Publisher>,
    /// `[alerting]`
    pub alerting: Alerting,
    /// `[alerts.NAME]`, by name
    pub alerts: BTreeMap<String, Alert>,
    /// `[retention.NAME]`: what `tickline db apply` creates, by policy name
    pub retention: BTreeMap<String, Retention>,
    /// `[up]`: what `tickline up` does
    pub up: Up,
    /// Phases of `tickline up`, in the order in which they come
    pub phases: Vec<(PhaseName, Phase)>,
    /// `[services.NAME]`, by name
    pub services: BTreeMap<String, ServiceConfig>,
    /// `[canary]`
    pub canary: Canary,
    /// `[rollups]`
    pub rollups: Rollups,
}

/// `[engine]`: stages, queues and batches.
#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    /// Value of the tag `instance` on points that the engine writes itself, and part of Parquet file names.
    pub instance: String,
    /// Where sequences, instruments and the quarantine are kept.
    pub state_dir: PathBuf,
    /// Table of Kraken's names (CSV) beside the one that is built in.
    pub kraken_pairs: Option<PathBuf>,
    /// How long draining may take after SIGTERM.
    pub shutdown_timeout: Duration,
    /// A pinned thread an endpoint, or one thread for all.
    pub receive: Receive,
    /// Decode on threads of their own or on the receiving thread.
    pub encode: Encode,
    /// Encoder threads; at most one a feed is used.
    pub encoders: usize,
    /// Which cores the threads are bound to.
    pub pinning: Pinning,
    /// Most frames taken from a socket before they are handed over.
    pub burst_max: usize,
    /// Frames that may wait between the receive threads and one encoder.
    pub queue_frames_max: usize,
    /// Bytes that may wait between the receive threads and one encoder.
    pub queue_bytes_max: usize,
    /// What the receive stage does when that queue is full.
    pub when_full: WhenFull,
    /// Longest payload that is decoded; longer ones are counted and go to quarantine, cut to 64 KiB.
    pub message_bytes_max: usize,
    /// High-water mark of each subscriber socket, in messages.
    pub rcvhwm: i32,
    /// Kernel receive buffer asked for on each subscriber socket.
    pub rcvbuf: usize,
    /// Shortest age at which a batch is closed because a sink is idle.
    pub batch_linger: Duration,
    /// A batch is closed at this size.
    pub batch_bytes_max: usize,
    /// A batch is closed at this many lines.
    pub batch_lines_max: usize,
    /// A batch is closed at this age.
    pub batch_age_max: Duration,
    /// Bytes of undecodable frames kept on disk.
    pub quarantine_bytes_max: u64,
    /// Bytes of refused lines kept on disk for each sink.
    pub rejects_bytes_max: u64,
    /// How often `tickline_ledger` and `tickline_points` are written; none: never.
    pub ledger_every: Option<Duration>,
    /// Our secret key towards publishers with a public key; none: a new one at each start.
    pub curve_secret_key: Option<Secret>,
}

/// How sockets are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// One blocking thread an endpoint.
    Blocking,
    /// One thread polls all endpoints.
    Multiplexed,
}

/// Where frames are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encode {
    /// On encoder threads, behind a queue.
    Thread,
    /// On the receiving thread.
    Inline,
}

/// Which cores threads are bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pinning {
    /// None.
    Off,
    /// Receive and encode threads, from 4 cores up.
    Auto,
    /// These cores, in the order of `tickline plan`.
    Cores(Vec<usize>),
}

/// What happens when a queue is full. Each drop is counted under reason `queue_full`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The stage before waits.
    Block,
    /// What has waited longest is thrown away.
    DropOldest,
    /// What has just come is thrown away.
    DropNewest,
}

/// `[http]`: the admin server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Address to listen on, or none when it is "off".
    pub listen: Option<std::net::SocketAddr>,
}

impl Archive {
    /// Whether a feed's frames are kept.
    pub fn takes(&self, feed: &str) -> bool {
        self.feeds.as_ref().is_none_or(|globs| globs.iter().any(|glob| crate::filter::matches(glob, feed)))
    }
}

/// `[compat]`: the predecessor's forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compat {
    /// Also write measurement `tick` with the predecessor's 19 field names.
    pub legacy_tick: bool,
}

/// `[feeds.NAME]`: one stream of messages and how it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// ZeroMQ endpoint to connect to.
    pub endpoint: String,
    /// Topic, or `*` for every topic without an equality check.
    pub topic: String,
    /// Further topics of the same feed.
    pub aliases: Vec<String>,
    /// Everything that is published, or a share of it.
    pub socket: SocketKind,
    /// How payloads are read.
    pub decoder: DecoderKind,
    /// How payloads are written.
    pub format: Format,
    /// Value of the tag `account` on the points of an order feed; none: no such tag.
    pub account: Option<String>,
    /// Which fields of the schema are written.
    pub fields: FieldChoice,
    /// Which system fields are written.
    pub system_fields: SystemFields,
    /// Whether equal times of a series are moved apart.
    pub tiebreak: Tiebreak,
    /// Several publishers behind a forwarder: a new `_src` is no restart.
    pub fan_in: bool,
    /// How long nothing at all may come, heartbeats included, before it is an alarm; none: for ever.
    pub silence_max: Option<Duration>,
    /// How long no data may come while the session is open before it is an alarm; none: for ever.
    pub data_silence_max: Option<Duration>,
    /// The publisher's public key, Z85; none: unencrypted.
    pub curve_server_key: Option<String>,
    /// When data is expected.
    pub session: Session,
    /// Which points are made.
    pub filter: Filter,
    /// A quote is written only if bid or ask has moved by more than this part of itself, in millionths; none: always.
    pub deadband_ppm: Option<u32>,
    /// Most series that this feed may have; further ones are bad points.
    pub series_max: usize,
    /// `[feeds.NAME.custom]`, there for decoder `custom` only.
    pub custom: Option<Custom>,
}

/// The decoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecoderKind {
    /// Kraken ticker.
    KrakenTick,
    /// Kraken top-of-book levels.
    KrakenDepth,
    /// Kraken public trades.
    KrakenTrades,
    /// Kraken own executions.
    KrakenOrders,
    /// OANDA prices.
    OandaTick,
    /// OANDA transactions.
    OandaOrders,
    /// Betfair market changes.
    BetfairStream,
    /// Betfair own orders.
    BetfairOrders,
    /// Scored posts.
    TwitterSentiment,
    /// EUR/USD as two pairs imply it.
    KrakenEurusdTick,
    /// The same with volumes.
    KrakenEurusdDepth,
    /// Definitions of instruments.
    Instruments,
    /// A feed that the user describes.
    Custom,
}

impl DecoderKind {
    /// Each decoder with its name in the configuration.
    pub const ALL: [(&'static str, DecoderKind); 13] = [
        ("kraken_tick", DecoderKind::KrakenTick),
        ("kraken_depth", DecoderKind::KrakenDepth),
        ("kraken_trades", DecoderKind::KrakenTrades),
        ("kraken_orders", DecoderKind::KrakenOrders),
        ("oanda_tick", DecoderKind::OandaTick),
        ("oanda_orders", DecoderKind::OandaOrders),
        ("betfair_stream", DecoderKind::BetfairStream),
        ("betfair_orders", DecoderKind::BetfairOrders),
        ("twitter_sentiment", DecoderKind::TwitterSentiment),
        ("kraken_eurusd_tick", DecoderKind::KrakenEurusdTick),
        ("kraken_eurusd_depth", DecoderKind::KrakenEurusdDepth),
        ("instruments", DecoderKind::Instruments),
        ("custom", DecoderKind::Custom),
    ];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("custom", |(name, _)| name)
    }

    /// Whether its points have the tag `account`.
    pub const fn has_account(self) -> bool {
        matches!(self, DecoderKind::KrakenOrders | DecoderKind::OandaOrders | DecoderKind::BetfairOrders)
    }

    /// Whether its payloads may be fields with `\x01` between them, as the predecessor sent them.
    pub const fn reads_x01(self) -> bool {
        matches!(
            self,
            DecoderKind::KrakenTick
                | DecoderKind::OandaTick
                | DecoderKind::KrakenEurusdTick
                | DecoderKind::KrakenEurusdDepth
        )
    }
}

/// `format = "msgpack" | "x01" | "json"`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// msgpack, as our publishers send it.
    Msgpack,
    /// Text of fields with `\x01` between them, as the predecessor sent them.
    X01,
    /// JSON text, also inside a JSON string.
    Json,
}

/// `fields = "core" | "all" | [..]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldChoice {
    /// The schema's core fields.
    Core,
    /// All fields.
    All,
    /// These fields, by name.
    List(Vec<String>),
}

/// `system_fields = ["recv_ns", "flags", "seq"]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemFields {
    /// When the venue's bytes were read, ns.
    pub recv_ns: bool,
    /// What is known of the point's quality.
    pub flags: bool,
    /// The publisher's sequence number.
    pub seq: bool,
}

/// `tiebreak = "ordinal" | "none"`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tiebreak {
    /// Add an ordinal in ns.
    Ordinal,
    /// Write the venue's time as it is.
    None,
}

/// A feed in the user's own words: paths into the payload map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custom {
    /// Measurement written.
    pub measurement: String,
    /// Where the venue time stands; none: the time of sending or receiving.
    pub time: Option<CustomTime>,
    /// Tag name and path, sorted by name.
    pub tags: Vec<(String, Vec<String>)>,
    /// Field name, path and type, in the order of the file.
    pub fields: Vec<(String, Vec<String>, CustomType)>,
}

/// Path and unit of a custom feed's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomTime {
    /// Path into the map, outermost key first.
    pub path: Vec<String>,
    /// Unit of a number found there; RFC 3339 text is always read.
    pub unit: TimeUnit,
}

/// Unit of a time given as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

impl TimeUnit {
    /// Nanoseconds in one unit.
    pub const fn nanos(self) -> i64 {
        match self {
            TimeUnit::Seconds => 1_000_000_000,
            TimeUnit::Millis => 1_000_000,
            TimeUnit::Micros => 1_000,
            TimeUnit::Nanos => 1,
        }
    }
}

/// Type of a custom field, in line protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomType {
    /// 64-bit float.
    Float,
    /// 64-bit integer, written with `i`.
    Int,
    /// Boolean.
    Bool,
    /// Text.
    Str,
}
