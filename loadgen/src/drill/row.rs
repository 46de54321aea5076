//! What a row of the drill found.

use serde::Serialize;
use tickline_config::report::Ledger;

/// A row: which fault, what happened, and whether what was promised held.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Row of the matrix, such as `T15`.
    pub id: String,
    /// The fault.
    pub fault: String,
    /// `pass`, `fail` or `skipped`.
    pub verdict: &'static str,
    /// Why it is not `pass`.
    pub reasons: Vec<String>,
    /// Faults that really happened.
    pub faults_injected: u64,
    /// Of these, kills of the engine.
    pub kills: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages that the engine received, over all its lives that ended by themselves.
    pub received: u64,
    /// Messages that were sent while no engine listened, as far as those lives know.
    pub gap_messages: u64,
    /// Messages stored at least once.
    pub stored: u64,
    /// Times that a message was stored again, which the database absorbs.
    pub duplicates: u64,
    /// Messages that the engine claimed as accepted, over all its lives.
    pub claimed: u64,
    /// Messages that the engine had accepted and that are not stored.
    pub lost_accepted: u64,
    /// Longest time before a kill from which on something is missing, ms.
    pub lost_window_ms_max: Option<u64>,
    /// The same in the median.
    pub lost_window_ms_median: Option<u64>,
    /// Lines stored that differ from what was sent.
    pub corrupted: u64,
    /// Lines stored that no one sent.
    pub spurious: u64,
    /// Points refused, by the engine's count.
    pub rejected: u64,
    /// Points dropped by policy, by the engine's count.
    pub dropped: u64,
    /// Requests made.
    pub http_requests: u64,
    /// Requests made again.
    pub retries: u64,
    /// Most bytes on disk.
    pub spool_peak_bytes: u64,
    /// Times that the engine was started again.
    pub restarts: u64,
    /// Panics in its log.
    pub panics: u64,
    /// Longest time from a kill to the first fresh tick stored, ms.
    pub recovery_ms_max: Option<u64>,
    /// Most resident memory, bytes.
    pub rss_peak_bytes: u64,
    /// How long it took, s.
    pub elapsed_s: f64,
    /// What else there is to say.
    pub detail: String,
}

impl Row {
    pub(super) fn new(id: &str, fault: &str) -> Self {
        Self {
            id: id.to_owned(),
            fault: fault.to_owned(),
            verdict: "pass",
            reasons: Vec::new(),
            faults_injected: 0,
            kills: 0,
            sent: 0,
            received: 0,
            gap_messages: 0,
            stored: 0,
            duplicates: 0,
            claimed: 0,
            lost_accepted: 0,
            lost_window_ms_max: None,
            lost_window_ms_median: None,
            corrupted: 0,
            spurious: 0,
            rejected: 0,
            dropped: 0,
            http_requests: 0,
            retries: 0,
            spool_peak_bytes: 0,
            restarts: 0,
            panics: 0,
            recovery_ms_max: None,
            rss_peak_bytes: 0,
            elapsed_s: 0.0,
            detail: String::new(),
        }
    }

    /// Fails the row where a promise does not hold; each reason stands once.
    pub(super) fn expect(&mut self, holds: bool, reason: String) {
        if holds {
            return;
        }
        self.verdict = "fail";
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// The row could not be run here.
    pub(super) fn skipped(id: &str, fault: &str, why: String) -> Self {
        Self { verdict: "skipped", reasons: vec![why], ..Self::new(id, fault) }
    }

    /// Two rounds of a row as one.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.reasons.extend(other.reasons);
        self.verdict = if self.reasons.is_empty() { "pass" } else { "fail" };
        self.faults_injected += other.faults_injected;
        self.kills += other.kills;
        self.sent += other.sent;
        self.received += other.received;
        self.gap_messages += other.gap_messages;
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.claimed += other.claimed;
        self.lost_accepted += other.lost_accepted;
        self.corrupted += other.corrupted;
        self.spurious += other.spurious;
        self.rejected += other.rejected;
        self.dropped += other.dropped;
        self.http_requests += other.http_requests;
        self.retries += other.retries;
        self.restarts += other.restarts;
        self.panics += other.panics;
        self.spool_peak_bytes = self.spool_peak_bytes.max(other.spool_peak_bytes);
        self.rss_peak_bytes = self.rss_peak_bytes.max(other.rss_peak_bytes);
        self.detail += &other.detail;
        self
    }

    /// Adds what a life of the engine has counted.
    pub(super) fn count(&mut self, ledger: &Ledger) {
        self.received += ledger.sequenced.unwrap_or(0);
        self.gap_messages += ledger.lost_before_receive.unwrap_or(0) + ledger.lost_overload.unwrap_or(0);
        self.rejected += ledger.rejected.values().sum::<u64>();
        self.dropped += ledger.dropped.values().sum::<u64>();
    }
}
