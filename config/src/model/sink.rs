//! Where points go, and what becomes of those that a sink does not take.

use std::path::PathBuf;
use std::time::Duration;

use super::WhenFull;
use crate::filter::matches;
use crate::secret::Secret;

/// What survives the end of the process of what a sink has not stored yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing.
    Memory,
    /// What has gone to disk because the sink lags, fails or the run ended.
    Spill,
    /// Every batch: it is on disk before it is sent, and synced soon after.
    Journal,
    /// Every batch: it is synced to disk before it is sent.
    JournalSync,
}

/// `[sinks.NAME.spool]`: batches of the sink on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spool {
    /// Folder; none: `spool/NAME` of the state folder.
    pub dir: Option<PathBuf>,
    /// Bytes on disk.
    pub bytes_max: u64,
    /// Bytes that the disk keeps free.
    pub free_bytes_min: u64,
    /// How long a batch may wait; none: for ever.
    pub age_max: Option<Duration>,
    /// What happens when it is full.
    pub when_full: WhenFull,
    /// Longest time until what is appended is synced.
    pub sync_every: Duration,
    /// Bytes appended after which it is synced.
    pub sync_bytes: u64,
}

/// `[sinks.NAME]`: where points go.
#[derive(Clone, Debug, PartialEq)]
pub struct Sink {
    /// Globs of the feeds whose points go there; none: all.
    pub feeds: Option<Vec<String>>,
    /// Batches that may wait for the sink.
    pub queue_batches_max: usize,
    /// What survives the end of the process.
    pub durability: Durability,
    /// What the encoders do when that queue is full and there is no spool behind it.
    pub when_full: WhenFull,
    /// Batches on disk, unless durability is `memory`.
    pub spool: Spool,
    /// What kind of sink, with its own keys.
    pub kind: SinkKind,
}

impl Sink {
    /// Whether a feed's points go there.
    pub fn takes(&self, feed: &str) -> bool {
        self.feeds.as_ref().is_none_or(|globs| globs.iter().any(|glob| matches(glob, feed)))
    }
}

/// The sinks of this version.
#[derive(Clone, Debug, PartialEq)]
pub enum SinkKind {
    /// InfluxDB 1, 2 or 3.
    Influx(Influx),
    /// VictoriaMetrics, which takes what InfluxDB 1 takes; its target has no database.
    Victoria(Influx),
    /// QuestDB 9.1 or later; its target has no database.
    Quest(Influx),
    /// PostgreSQL 13 or later.
    Postgres(Postgres),
    /// Parquet files.
    Parquet(Parquet),
    /// One file of line protocol.
    File(File),
    /// Counts and forgets.
    Null,
}

impl SinkKind {
    /// Whether it is a server that may be away.
    pub fn is_database(&self) -> bool {
        !matches!(self, SinkKind::Parquet(_) | SinkKind::File(_) | SinkKind::Null)
    }
}

/// An InfluxDB sink.
#[derive(Clone, Debug, PartialEq)]
pub struct Influx {
    /// Base URL without path, such as `http://127.0.0.1:8086`.
    pub url: String,
    /// Where and how to log in, by generation.
    pub target: InfluxTarget,
    /// Requests in flight, each on a writer thread of its own.
    pub connections: usize,
    /// Whole request, connection included.
    pub timeout: Duration,
    /// Compress bodies.
    pub gzip: bool,
    /// Waiting batches are joined into one request up to this size.
    pub request_bytes_max: usize,
    /// HTTP proxy; none is used unless it is named here.
    pub proxy: Option<String>,
    /// The only certificate authorities that are believed (PEM); none: the system's.
    pub tls_ca: Option<PathBuf>,
    /// Our certificate and its private key (PEM); none: we show none.
    pub tls_client: Option<PathBuf>,
}

/// Database, login and endpoint of one generation of InfluxDB.
#[derive(Clone, Debug, PartialEq)]
pub enum InfluxTarget {
    /// `POST /write`
    V1 {
        /// Database.
        database: String,
        /// Retention policy; none: the database's default.
        retention_policy: Option<String>,
        /// Basic login.
        login: Option<(String, Secret)>,
    },
    /// `POST /api/v2/write`
    V2 {
        /// Organisation.
        org: String,
        /// Bucket.
        bucket: String,
        /// `Authorization: Token`
        token: Option<Secret>,
    },
    /// `POST /api/v3/write_lp`
    V3 {
        /// Database.
        database: String,
        /// `Authorization: Bearer`
        token: Option<Secret>,
    },
}

/// A PostgreSQL sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postgres {
    /// Host, or folder of the socket, and port of each server; one of them takes writes.
    pub servers: Vec<(String, u16)>,
    /// Database.
    pub database: String,
    /// Schema of the tables.
    pub schema: String,
    /// User.
    pub username: String,
    /// Password; none: the server asks for none.
    pub password: Option<Secret>,
    /// Transactions in flight, each on a writer thread of its own.
    pub connections: usize,
    /// Whole transaction, connection included.
    pub timeout: Duration,
    /// Waiting batches are joined into one transaction up to this size.
    pub request_bytes_max: usize,
    /// Encrypt, and believe only a server whose certificate is right.
    pub tls: bool,
    /// The only certificate authorities that are believed (PEM); none: the system's.
    pub tls_ca: Option<PathBuf>,
}

/// A Parquet sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parquet {
    /// Folder of the files.
    pub dir: PathBuf,
    /// A file is finished at about this size.
    pub file_bytes_max: u64,
    /// A file is finished at this age.
    pub file_age_max: Duration,
    /// Lines that may be held before they must be committed.
    pub held_bytes_max: usize,
    /// Open files; the oldest is finished first.
    pub open_files_max: usize,
}

/// A file sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// File that lines are appended to.
    pub path: PathBuf,
}

/// One retention policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long points are kept; none: for ever.
    pub duration: Option<Duration>,
    /// Span of one shard.
    pub shard_duration: Duration,
    /// Whether it is the database's default policy.
    pub default: bool,
}
