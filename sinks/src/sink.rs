//! The trait that every destination implements, and the five ways in which a write can end.

use bytes::Bytes;

/// What one call to [`Sink::write`] is given: whole lines, the same bytes at every retry.
#[derive(Clone, Debug)]
pub struct Request {
    /// Finished line protocol, each line ended by a newline.
    pub lines: Bytes,
    /// Points in `lines`; a point is one line.
    pub points: u64,
}

/// How a write ended. Each variant is a decision for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored: all of it, or all but what was refused for good.
    Stored {
        /// Points the database refused, with the reason under which they are counted; empty as a rule.
        rejected: Vec<(RejectReason, u64)>,
        /// The server's own words about them.
        detail: Option<String>,
        /// Which lines of the request they are, from 0; empty if all are, or if that is not known.
        lines: Vec<u32>,
    },
    /// One bad line spoils the whole request and nothing was stored: send halves.
    Split(Fault),
    /// Nothing was stored: send the same bytes again.
    NotSent(Fault),
    /// It may have been stored: send the same bytes again, which InfluxDB absorbs.
    InDoubt(Fault),
    /// Taken, but durable only after the next [`Sink::commit`].
    Held,
}

impl Outcome {
    /// All of it is stored.
    pub fn accepted() -> Self {
        Outcome::Stored { rejected: Vec::new(), detail: None, lines: Vec::new() }
    }

    /// The server's own words.
    pub fn detail(&self) -> &str {
        match self {
            Outcome::Stored { detail, .. } => detail.as_deref().unwrap_or("no reason given"),
            Outcome::Split(fault) | Outcome::NotSent(fault) | Outcome::InDoubt(fault) => &fault.detail,
            Outcome::Held => "held",
        }
    }
}

/// Why points were refused; the report's `rejected` has these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RejectReason {
    /// The database cannot read the line, or its types contradict what is stored.
    BadLine,
    /// The point is older than the retention policy keeps.
    BeyondRetention,
    /// A single line larger than the server takes.
    TooLarge,
    /// The server counts them as dropped without saying more.
    PartialWrite,
    /// A limit of the server is reached, and there is no spool in which they could wait.
    ServerLimit,
}

impl RejectReason {
    /// Every reason, in the order of the report.
    pub const ALL: [RejectReason; 5] = [
        RejectReason::BadLine,
        RejectReason::BeyondRetention,
        RejectReason::TooLarge,
        RejectReason::PartialWrite,
        RejectReason::ServerLimit,
    ];

    /// The name in reports and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            RejectReason::BadLine => "bad_line",
            RejectReason::BeyondRetention => "beyond_retention",
            RejectReason::TooLarge => "too_large",
            RejectReason::PartialWrite => "partial_write",
            RejectReason::ServerLimit => "server_limit",
        }
    }
}

/// Why a write has to be made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of trouble, which decides how long to wait.
    pub kind: FaultKind,
    /// HTTP status or OS error, for metrics; 0 where there is none.
    pub code: u16,
    /// One line for the log, the server's words included.
    pub detail: String,
    /// Shortest wait that the server asked for, ms.
    pub retry_after_ms: Option<u64>,
}

/// Kinds of trouble, by what the caller should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// Overload, network or disk: goes away by itself.
    Transient,
    /// Login refused: someone must act; points are kept.
    Auth,
    /// Database, bucket or policy missing: someone must act; points are kept.
    Missing,
    /// The configuration cannot work (redirect, wrong content type): someone must act; points are kept.
    Config,
    /// The request is too large or one line spoils it.
    Content,
    /// A limit of the server is reached (series, values of a tag, columns): not the line's fault.
    Limit,
}

impl FaultKind {
    /// The kind in words, for the log.
    pub const fn name(self) -> &'static str {
        match self {
            FaultKind::Transient => "trouble that passes",
            FaultKind::Auth => "login refused",
            FaultKind::Missing => {
                "no such database, bucket or policy (tickline db apply creates those of InfluxDB 1)"
            }
            FaultKind::Config => "the configuration cannot work",
            FaultKind::Content => "the request cannot be stored as it is",
            FaultKind::Limit => "a limit of the server is reached",
        }
    }
}

/// What a sink has stored less of than it was given, because its database cannot keep it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Narrowed {
    /// Fields that are texts, which it cannot keep.
    pub texts: u64,
    /// Points whose time was finer than what is kept.
    pub times: u64,
}

impl Narrowed {
    /// Adds those of another.
    pub fn add(&mut self, other: Self) {
        self.texts += other.texts;
        self.times += other.times;
    }
}

/// A destination. One instance belongs to one writer thread; a sink with several connections has several.
pub trait Sink: Send {
    /// Writes one request and says how it ended. It waits at most for its own time-out.
    fn write(&mut self, request: &Request) -> Outcome;

    /// Makes everything held durable. `Stored` settles all held requests, `NotSent` gives them all back.
    fn commit(&mut self) -> Outcome {
        Outcome::accepted()
    }

    /// What the clock of a server said in its last answer, s since 1970, once; none where there is nothing new.
    fn take_server_time_s(&mut self) -> Option<i64> {
        None
    }

    /// What was stored less of since the last time this was asked.
    fn take_narrowed(&mut self) -> Narrowed {
        Narrowed::default()
    }

    /// Ends the sink after the last commit: flushes and closes what is open.
    fn close(&mut self) -> Outcome {
        self.commit()
    }
}
