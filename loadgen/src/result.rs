//! What a run has done, its verdict, and its report. Pure functions of the counts.

use base64::Engine;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};
use tickline_config::report::{Build, FeedReport, Latency, Ledger, Load, Report, SCHEMA, Verdict};

use crate::host;
use crate::plan::PlanError;
use crate::sender::BindError;

/// Share of late slots from which a run is invalid.
const LATE_SHARE_MAX: f64 = 0.001;

/// Share of time from which a sender is the limit, and work that is too little to make anything late.
const BUSY_RATIO_MAX: f64 = 0.95;
const BUSY_LEAST_NS: u64 = 10_000_000;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The plan cannot be carried out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An endpoint is taken or wrong.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Nobody subscribed in time.
    #[error("nobody has subscribed within {waited_s} s: {}", .missing.join(", "))]
    NoSubscriber {
        /// Feed and endpoint of each publisher that has no subscriber.
        missing: Vec<String>,
        /// How long it was waited for.
        waited_s: u64,
    },
    /// libzmq failed.
    #[error("zeromq: {0}")]
    Zmq(#[from] zmq::Error),
    /// A recording cannot be read.
    #[error(transparent)]
    Replay(#[from] crate::replay::ReplayError),
    /// Encryption cannot be set up.
    #[error(transparent)]
    Door(#[from] crate::door::DoorError),
    /// A file cannot be written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// A thread could not be started or has panicked.
    #[error("{0}")]
    Internal(String),
}

/// What one publisher has done.
#[derive(Clone, Debug)]
pub struct FeedResult {
    /// Feed.
    pub feed: String,
    /// Endpoint it was bound to.
    pub endpoint: String,
    /// `_src` of its messages.
    pub src: u32,
    /// Slots of the schedule; flat out: what was sent.
    pub planned: u64,
    /// Messages that ZeroMQ has taken.
    pub sent: u64,
    /// Number of the last numbered message: what `published` is compared with.
    pub last_seq: u64,
    /// Payload bytes of those messages.
    pub bytes: u64,
    /// Slots begun more than 10 ms after they were due, the queue not being the reason.
    pub late: u64,
    /// Slots delayed by a full queue.
    pub blocked: u64,
    /// Time building and sending.
    pub busy_ns: u64,
    /// Time from the first slot to the last message, or to the end of the schedule if all of it was sent.
    pub elapsed_ns: u64,
    /// Whether there was a schedule.
    pub paced: bool,
    /// Whether the end was said; false if the queue stayed full.
    pub ended: bool,
    /// How long after it was due each slot was begun, ns.
    pub lateness: Histogram<u64>,
}

impl FeedResult {
    /// Time building and sending, of the elapsed time.
    pub fn busy_ratio(&self) -> f64 {
        // One that has sent nothing was not busy, it waited for its subscriber.
        if self.elapsed_ns == 0 || self.sent == 0 {
            0.0
        } else {
            self.busy_ns as f64 / self.elapsed_ns as f64
        }
    }
}

/// What a run has done.
#[derive(Clone, Debug, Default)]
pub struct LoadResult {
    /// Each publisher.
    pub feeds: Vec<FeedResult>,
}

impl LoadResult {
    /// Whether the generator was the limit, and where. A flat-out feed has no schedule and is never invalid.
    pub fn verdict(&self) -> (Verdict, Vec<String>) {
        let mut reasons = Vec::new();
        for feed in self.feeds.iter().filter(|feed| feed.paced) {
            // Slots that never came, because the run was stopped, were not on time either.
            if feed.late as f64 > feed.sent as f64 * LATE_SHARE_MAX {
                let (late, sent) = (feed.late, feed.sent);
                reasons.push(format!("{}: {late} of {sent} messages began more than 10 ms late", feed.feed));
            }
            if feed.busy_ratio() >= BUSY_RATIO_MAX && feed.busy_ns >= BUSY_LEAST_NS {
                let percent = feed.busy_ratio() * 100.0;
                reasons.push(format!("{}: the sender was busy {percent:.1} % of the time", feed.feed));
            }
        }
        (if reasons.is_empty() { Verdict::Pass } else { Verdict::Invalid }, reasons)
    }

    /// The report's `load`.
    pub fn load(&self) -> Load {
        let sum = |of: fn(&FeedResult) -> u64| self.feeds.iter().map(of).sum();
        Load {
            planned: sum(|f| f.planned),
            sent: sum(|f| f.sent),
            late: sum(|f| f.late),
            blocked: sum(|f| f.blocked),
            busy_ratio: self.feeds.iter().map(FeedResult::busy_ratio).fold(0.0, f64::max),
        }
    }

    /// The whole report of a load generator's command. Only what was published is in its ledgers.
    pub fn report(&self, command: &str, build: Build) -> Report {
        let (verdict, reasons) = self.verdict();
        let mut lateness = distribution();
        for feed in &self.feeds {
            lateness += &feed.lateness;
        }
        let due_to_send = Latency { hdr: encode(&lateness), ..latency(&lateness) };
        Report {
            schema: SCHEMA.to_owned(),
            command: command.to_owned(),
            verdict,
            reasons,
            build,
            host: host::host(),
            elapsed_s: self.feeds.iter().map(|f| f.elapsed_ns).max().unwrap_or(0) as f64 / 1e9,
            ledger: published(self.feeds.iter().map(|f| f.last_seq).sum()),
            feeds: self.feeds.iter().map(|feed| (feed.feed.clone(), feed_report(feed))).collect(),
            latency_ns: [("due_to_send".to_owned(), due_to_send)].into(),
            load: self.load(),
            rss_max_bytes: host::rss_max_bytes(),
            ..Report::default()
        }
    }
}

fn published(last_seq: u64) -> Ledger {
    Ledger { published: Some(last_seq), balanced: true, ..Ledger::default() }
}

fn feed_report(feed: &FeedResult) -> FeedReport {
    let counters = [
        ("planned", feed.planned),
        ("sent", feed.sent),
        ("late", feed.late),
        ("blocked", feed.blocked),
        ("busy_us", feed.busy_ns / 1_000),
    ];
    FeedReport {
        frames: feed.sent,
        bytes: feed.bytes,
        rate_per_s: if feed.elapsed_ns == 0 { 0.0 } else { feed.sent as f64 * 1e9 / feed.elapsed_ns as f64 },
        counters: counters.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        ledger: published(feed.last_seq),
        ..FeedReport::default()
    }
}

/// An empty distribution of ns: three digits up to a day, which is longer than any outage that is waited for. What is
/// longer counts as a day.
pub fn distribution() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 86_400_000_000_000, 3)
        .unwrap_or_else(|error| unreachable!("constant bounds are valid: {error:?}"))
}

/// A histogram as the report carries it: V2, base64.
pub fn encode(histogram: &Histogram<u64>) -> Option<String> {
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(histogram, &mut bytes).ok()?;
    Some(base64::engine::general_purpose::STANDARD.encode(&bytes))
}

/// A histogram's figures as the report has them.
pub fn latency(histogram: &Histogram<u64>) -> Latency {
    figures(histogram, histogram.mean())
}

/// The same where the mean is known: the histogram takes a look at every bucket for it.
pub fn figures(histogram: &Histogram<u64>, mean: f64) -> Latency {
    Latency {
        count: histogram.len(),
        negative: 0,
        min: histogram.min(),
        mean,
        p50: histogram.value_at_quantile(0.5),
        p90: histogram.value_at_quantile(0.9),
        p99: histogram.value_at_quantile(0.99),
        p999: histogram.value_at_quantile(0.999),
        p9999: histogram.value_at_quantile(0.9999),
        max: histogram.max(),
        hdr: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn feed(late: u64, blocked: u64, busy_ns: u64, paced: bool) -> FeedResult {
        FeedResult {
            feed: "kraken_tick".to_owned(),
            endpoint: String::new(),
            src: 1,
            planned: 10_000,
            sent: 10_000,
            last_seq: 10_000,
            bytes: 0,
            late,
            blocked,
            busy_ns,
            elapsed_ns: 1_000_000_000,
            paced,
            ended: true,
            lateness: Histogram::new(3).unwrap(),
        }
    }

    #[test]
    fn a_run_is_invalid_only_where_the_generator_was_the_limit() {
        let table = [
            (feed(10, 0, 949 * MS, true), Verdict::Pass, 0),
            (feed(11, 0, 949 * MS, true), Verdict::Invalid, 1),
            (feed(0, 0, 950 * MS, true), Verdict::Invalid, 1),
            (feed(11, 0, 999 * MS, true), Verdict::Invalid, 2),
            (feed(0, 10_000, 100 * MS, true), Verdict::Pass, 0),
            (feed(11, 0, 1_000 * MS, false), Verdict::Pass, 0),
            (FeedResult { sent: 0, ..feed(0, 0, 1_000 * MS, true) }, Verdict::Pass, 0),
            (FeedResult { sent: 1_000, ..feed(5, 0, 100 * MS, true) }, Verdict::Invalid, 1),
            // One message, and nothing but the work for it: too short to be late.
            (FeedResult { elapsed_ns: 9 * MS, ..feed(0, 0, 9 * MS, true) }, Verdict::Pass, 0),
            (FeedResult { elapsed_ns: 10 * MS, ..feed(0, 0, 10 * MS, true) }, Verdict::Invalid, 1),
        ];
        for (feed, verdict, reasons) in table {
            let said = LoadResult { feeds: vec![feed.clone()] }.verdict();
            assert_eq!((said.0, said.1.len()), (verdict, reasons), "{feed:?}");
        }
    }

    #[test]
    fn the_report_sums_the_feeds_and_names_the_busiest_sender() {
        let mut slower = feed(1, 2, 300 * MS, true);
        slower.feed = "oanda_tick".to_owned();
        slower.lateness.record(7_000).unwrap();
        let report = LoadResult { feeds: vec![feed(3, 4, 500 * MS, true), slower] }
            .report("loadgen run", host::build("0.1.0", None));
        let load = Load { planned: 20_000, sent: 20_000, late: 4, blocked: 6, busy_ratio: 0.5 };
        assert_eq!(report.load, load);
        assert_eq!(report.ledger.published, Some(20_000));
        assert_eq!(report.feeds["oanda_tick"].counters["late"], 1);
        assert_eq!(report.latency_ns["due_to_send"].count, 1);
    }
}
