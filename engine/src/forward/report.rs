//! What a forwarder has counted: JSON of schema `tickline.forward/1`, a table for people, and whether it adds up.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

/// One topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TopicCounts {
    /// Messages received.
    pub messages: u64,
    /// Bytes of all their parts.
    pub bytes: u64,
    /// How often a message found a subscriber without room: each begins a hole that the subscriber sees in the numbers.
    pub overflows: u64,
}

impl TopicCounts {
    pub(super) fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.overflows += other.overflows;
    }
}

/// The last-value cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheCounts {
    /// Messages kept now.
    pub entries: u64,
    /// Bytes they take.
    pub bytes: u64,
    /// Messages given up for others.
    pub evicted: u64,
    /// Messages sent again to who came late.
    pub replayed: u64,
}

/// One route: `looked_at = passed + filtered`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RouteCounts {
    /// Messages of its topics, without events.
    pub looked_at: u64,
    /// Passed on.
    pub passed: u64,
    /// Not wanted.
    pub filtered: u64,
    /// Events, which are passed on whatever is wanted.
    pub events: u64,
}

/// One worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WorkerCounts {
    /// Where it connects to.
    pub endpoint: String,
    /// Messages of its share that it was given.
    pub sent: u64,
    /// Messages of its share for which it had no room, or was not there.
    pub dropped: u64,
}

/// The numbers of what is handed on by choice: `published = sequenced - duplicate + lost`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpstreamCounts {
    /// Numbers that publishers are known to have given.
    pub published: u64,
    /// Messages with a number.
    pub sequenced: u64,
    /// Numbers that came again; they are not handed on again.
    pub duplicate: u64,
    /// Numbers that never came.
    pub lost: u64,
    /// Messages without one.
    pub unsequenced: u64,
}

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ForwardReport {
    /// `tickline.forward/1`
    pub schema: &'static str,
    /// Length of the run, s.
    pub elapsed_s: f64,
    /// Messages received.
    pub messages: u64,
    /// Bytes of all their parts.
    pub bytes: u64,
    /// See [`TopicCounts::overflows`]; also by what is passed on beside the messages.
    pub overflows: u64,
    /// Messages of more parts than are passed on.
    pub refused: u64,
    /// By name.
    pub topics: BTreeMap<String, TopicCounts>,
    /// Of the cache, if there is one.
    pub cache: Option<CacheCounts>,
    /// By name.
    pub routes: BTreeMap<String, RouteCounts>,
    /// In the order of the configuration.
    pub workers: Vec<WorkerCounts>,
    /// Messages that were one worker's.
    pub handed_out: u64,
    /// What came before routes and workers, where there are any.
    pub upstream: Option<UpstreamCounts>,
    /// Whether topics, routes, workers and numbers add up.
    pub balanced: bool,
}

impl ForwardReport {
    /// Whether everything stands in one place.
    pub(super) fn adds_up(&self) -> bool {
        let topics: u64 = self.topics.values().map(|topic| topic.messages).sum();
        let given: u64 = self.workers.iter().map(|worker| worker.sent + worker.dropped).sum();
        let routed = |route: &RouteCounts| route.looked_at == route.passed + route.filtered;
        let numbers = |up: &UpstreamCounts| {
            up.published == up.sequenced.wrapping_sub(up.duplicate).wrapping_add(up.lost)
        };
        self.messages == topics
            && self.handed_out == given
            && self.routes.values().all(routed)
            && self.upstream.as_ref().is_none_or(numbers)
    }

    /// The tables.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        self.tables(&mut out).ok();
        out
    }

    fn tables(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\ntopic                      messages           bytes  overflows")?;
        for (name, topic) in &self.topics {
            writeln!(out, "{name:<22} {:>12} {:>15} {:>10}", topic.messages, topic.bytes, topic.overflows)?;
        }
        for (name, route) in &self.routes {
            let RouteCounts { looked_at, passed, filtered, events } = route;
            writeln!(
                out,
                "route {name}: {passed} of {looked_at} passed on, {filtered} filtered, {events} events"
            )?;
        }
        for WorkerCounts { endpoint, sent, dropped } in &self.workers {
            writeln!(out, "worker {endpoint}: {sent} sent, {dropped} dropped")?;
        }
        if let Some(CacheCounts { entries, bytes, evicted, replayed }) = self.cache {
            writeln!(
                out,
                "cache: {entries} messages in {bytes} bytes, {evicted} given up, {replayed} sent again"
            )?;
        }
        if let Some(up) = self.upstream {
            let UpstreamCounts { published, sequenced, duplicate, lost, unsequenced } = up;
            writeln!(
                out,
                "before routes and workers: {published} published, {sequenced} numbered, {duplicate} came again, \
                 {lost} lost, {unsequenced} without number"
            )?;
        }
        let adds_up = if self.balanced { "adds up" } else { "DOES NOT ADD UP" };
        let (messages, refused) = (self.messages, self.refused);
        writeln!(
            out,
            "\n{messages} messages, {refused} refused; everything {adds_up} after {:.1} s",
            self.elapsed_s
        )
    }
}
