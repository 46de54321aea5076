//! Recordings published again, in the wire's payloads. Owns the formats, one file each, merging several of them by
//! time, and moving their times. It promises the recorded order and, at speed 1x, the recorded distances, also
//! between feeds. It refuses to invent what a recording lacks: a recorded `_recv` is kept, shifted as the venue's
//! time is, or none is sent.

mod book;
mod captured;
mod cbcap;
mod json;
mod kraken_rest;
mod lean;
mod mcm;
mod open;
mod retime;
mod source;
mod v20;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tickline_feeds::clock::{Clock, WallNanos};
use tickline_feeds::payload::Decimals;

use crate::door::Door;
use crate::plan::FeedLoad;
use crate::prng::splitmix64;
use crate::result::LoadError;
use crate::run::{Running, Terms};
use crate::sender::Sender;

#[cfg(feature = "drill")]
pub(crate) use book::{Book, Level as BookLevel};
#[cfg(feature = "drill")]
pub(crate) use lean::{Quote, quotes};
pub use open::feeds_in;
#[cfg(feature = "drill")]
pub(crate) use open::{cbcap_frames, plain_text};
pub(crate) use source::recorded;
pub use source::{Span, scan};

/// Why a recording cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file is of no known format.
    #[error(
        "{path}: must be a capture, CBCAP1, mcm or v20 JSON, a Kraken REST answer or a Lean tick zip, found {found}"
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        found: String,
    },
    /// The file belongs to another feed.
    #[error("{path}: holds messages of decoder {holds}, found feed {feed}")]
    OtherFeed {
        /// The file.
        path: PathBuf,
        /// Decoder of its messages.
        holds: &'static str,
        /// Feed asked for.
        feed: String,
    },
    /// A capture has a topic that belongs to no feed.
    #[error("{path}: topic must be of a feed of the registry, found {topic:?}; name one feed to publish")]
    UnknownTopic {
        /// The file.
        path: PathBuf,
        /// The topic.
        topic: String,
    },
    /// There is nothing to publish.
    #[error("{feed}: must have messages in these files, found none")]
    NoMessage {
        /// Feed asked for.
        feed: String,
    },
    /// A message of the file contradicts its format.
    #[error("{path}: message {message}: {rule}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its number in the file, from 1.
        message: u64,
        /// What is wrong with it.
        rule: String,
    },
}

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// As recorded, this many times faster.
    Times(f64),
    /// As fast as ZeroMQ takes them.
    Max,
}

/// Which venue times are published. Every choice moves all times by one amount, in whole milliseconds, so that
/// distances and ties stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeMode {
    /// As recorded.
    Original,
    /// So that the last message carries the time at which the schedule sends it, and no message one after that:
    /// at speed 1x each carries the time of now, at `max` the recording ends now.
    Now,
    /// By this many ns.
    Shift(i64),
}

/// One replay.
#[derive(Clone, Debug)]
pub struct ReplayPlan {
    /// Recordings; the messages of all are merged by time, and by this order where times are equal.
    pub files: Vec<PathBuf>,
    /// Feeds with topic and endpoint, each published from its own messages in the files.
    pub feeds: Vec<FeedLoad>,
    /// How often everything is published, at least once. Each time begins where the one before ended, and its venue
    /// times go on from there unless they stay as recorded.
    pub loops: u32,
    /// How fast.
    pub speed: Speed,
    /// Which times.
    pub time: TimeMode,
    /// How decimals travel.
    pub decimals: Decimals,
    /// Whether to wait for a subscriber before the first message.
    pub wait: bool,
    /// How long.
    pub wait_timeout: Option<Duration>,
    /// Messages that may wait in the queue for one subscriber.
    pub sndhwm: i32,
    /// Who may subscribe; none: everyone, in plain text.
    pub door: Option<Door>,
}

/// Milliseconds are the coarsest precision of a venue: a finer shift would part or join times.
const SHIFT_UNIT_NS: i64 = 1_000_000;

/// The amount, ns, by which all times of `span` move in the first of `loops` rounds if publishing starts at `start`.
pub fn shift_ns(time: TimeMode, speed: Speed, loops: u32, span: &Span, start: WallNanos) -> i64 {
    let exact = match (time, &span.times) {
        (TimeMode::Original, _) | (TimeMode::Now, None) => 0,
        (TimeMode::Shift(ns), _) => ns,
        (TimeMode::Now, Some((_, last))) => {
            let before_last_ns = u64::from(loops.saturating_sub(1)) * span.period_ns();
            let takes_ns = match speed {
                Speed::Times(times) => ((before_last_ns + span.recorded_ns) as f64 / times) as i64,
                Speed::Max => 0,
            };
            let last_ns = last.0.saturating_add(before_last_ns as i64);
            start.0.saturating_add(takes_ns).saturating_sub(last_ns)
        }
    };
    exact - exact.rem_euclid(SHIFT_UNIT_NS)
}

/// Binds the endpoints and starts the replay of what [`scan`] has seen of each feed. On an error nothing is left
/// running.
pub fn start<C: Clock + Clone + 'static>(
    plan: &ReplayPlan,
    spans: &[Span],
    clock: C,
) -> Result<Running, LoadError> {
    let now = clock.wall();
    let whole = Span::whole(spans);
    let shift = shift_ns(plan.time, plan.speed, plan.loops, &whole, now);
    let context = zmq::Context::new();
    let porter = plan.door.as_ref().map(|door| door.open(&context)).transpose()?;
    let mut bound = Vec::new();
    for ((load, span), salt) in plan.feeds.iter().zip(spans).zip(1..) {
        let FeedLoad { feed, topic, endpoint, .. } = load;
        let source = source::Replayed::new(plan, load, span, &whole, shift);
        let src = (splitmix64((now.0 as u64).wrapping_mul(salt)) >> 32) as u32;
        let sender = Sender::bind(&context, feed, topic, endpoint, (src, plan.sndhwm), plan.door.as_ref())?;
        bound.push((feed.clone(), sender, source));
    }
    let (decimals, wait, wait_timeout) = (plan.decimals, plan.wait, plan.wait_timeout);
    Running::start(bound, porter, &clock, Terms { decimals, wait, wait_timeout, duration: None })
}

/// The files under these paths: of a folder, such as an archive, its captures in the order of their names.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ReplayError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let io = |error| ReplayError::Io { path: path.clone(), error };
        let inside = std::fs::read_dir(path).map_err(io)?.collect::<Result<Vec<_>, _>>().map_err(io)?;
        let inside = inside.into_iter().map(|entry| entry.path());
        let is_capture = |path: &PathBuf| {
            path.to_str().is_some_and(|path| path.ends_with(".cap") || path.ends_with(".cap.zst"))
        };
        let before = files.len();
        files.extend(inside.filter(is_capture));
        if files.len() == before {
            return Err(io(std::io::Error::other("no capture in it")));
        }
        files[before..].sort();
    }
    Ok(files)
}

/// One recorded message.
#[derive(Debug, Default)]
struct Message {
    /// When it came, ns: what speed 1x goes by; none: with the one before.
    at: Option<WallNanos>,
    /// msgpack without reserved keys; with [`Form::Foreign`] as recorded.
    payload: Vec<u8>,
    /// What may be put in front of it.
    form: Form,
    /// `_tie`
    tie: u32,
    /// Recorded `_recv`, 0 if there is none.
    recv: WallNanos,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// A map that gets the reserved keys.
    #[default]
    Map,
    /// The same, and `_first`.
    FirstOfMarket,
    /// Sent as it is.
    Foreign,
}

/// A format's reader.
trait Reader: Send {
    /// The next message; none at the end.
    fn next(&mut self) -> Result<Option<Message>, ReplayError>;

    /// What was passed over so far: messages of other kinds, and bytes of a torn tail.
    fn passed_over(&self) -> (u64, u64) {
        (0, 0)
    }
}

fn damaged(path: &Path, message: u64, rule: impl ToString) -> ReplayError {
    ReplayError::Damaged { path: path.to_owned(), message, rule: rule.to_string() }
}

#[cfg(test)]
mod tests;
