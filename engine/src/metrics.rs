//! The metrics page: Prometheus text made from a report, prefix `tickline_`, counters `_total`, times in
//! seconds. Labels are feed, sink, stage, reason and code, never a symbol.

use std::collections::BTreeMap;
use std::fmt::Write;

use tickline_config::report::{FeedReport, Latency, PublisherReport, Report, SinkReport};

use crate::links::Link;
use crate::report::{Histograms, report};
use crate::stats::{ArchiveCell, SpoolCounters};
use crate::view::{FeedView, View};

mod beside;

use beside::{alerts, beside, parts};

/// The page as it is now.
pub fn now(view: &View) -> String {
    page(&report(view, Histograms::LeaveOut), view)
}

/// The page.
pub fn page(report: &Report, view: &View) -> String {
    let mut page = Page::default();
    feeds(&mut page, &report.feeds);
    sinks(&mut page, &report.sinks);
    page.gauge("up_seconds", "time since the start", &[], report.elapsed_s);
    page.gauge(
        "ledger_balanced",
        "1 if every equation of the ledger holds",
        &[],
        f64::from(u8::from(report.ledger.balanced)),
    );
    page.gauge("resident_memory_max_bytes", "largest resident memory", &[], report.rss_max_bytes as f64);
    for (gauge, at) in view.frame_queues.iter().zip(0..) {
        let (frames, bytes, _) = gauge.read();
        let stage = format!("enc-{at}");
        page.gauge("queue_frames", "frames that wait for an encoder", &[("stage", &stage)], frames as f64);
        page.gauge("queue_bytes", "bytes that wait for an encoder", &[("stage", &stage)], bytes as f64);
    }
    parts(&mut page, &report.parts);
    for sink in &view.sinks {
        let labels = [("sink", sink.name.as_str())];
        page.gauge("queue_batches", "batches that wait for a sink", &labels, sink.queue.len() as f64);
    }
    for (stage, latency) in &report.latency_ns {
        page.latency("latency_seconds", "latency before the sinks", &[("stage", stage)], latency);
    }
    for (stage, latency) in &report.latency_ns {
        let help = "latencies below 0: clocks that disagree";
        page.counter("latency_negative", help, &[("stage", stage)], latency.negative);
    }
    let labels = [
        ("version", report.build.version.as_str()),
        ("commit", report.build.commit.as_deref().unwrap_or("")),
    ];
    page.gauge("build_info", "1, with what is running", &labels, 1.0);
    for (stage, seconds) in [("rx", report.cpu_s.rx), ("enc", report.cpu_s.enc), ("wr", report.cpu_s.wr)] {
        page.sample("cpu_seconds_total", "counter", "CPU time of a stage", &[("stage", stage)], seconds);
    }
    let arc = *view.stats.archive.cpu_ns.lock() as f64 / 1e9;
    page.sample("cpu_seconds_total", "counter", "CPU time of a stage", &[("stage", "arc")], arc);
    links(&mut page, view);
    publishers(&mut page, &report.publishers);
    let reading = crate::ledger::Reading::take(&view.stats);
    answers(&mut page, view, &reading);
    spools(&mut page, view, &reading.spools);
    beside(&mut page, view);
    archive(&mut page, &view.stats.archive);
    alerts(&mut page, view);
    page.counter("foreign_topics", "messages of topics that no feed asked for", &[], reading.foreign);
    page.counter("further_parts", "message parts after the second", &[], reading.further_parts);
    page.counter("batches", "batches closed", &[], reading.batches);
    page.text
}

/// What the sinks' servers have answered.
fn answers(page: &mut Page, view: &View, reading: &crate::ledger::Reading) {
    for (sink, settled) in view.sinks.iter().zip(&reading.sinks_out) {
        for (code, count) in &settled.faults {
            let labels = [("sink", sink.name.as_str()), ("code", &code.to_string())];
            page.counter("sink_faults", "writes that failed, by status or os error", &labels, *count);
        }
    }
    for (sink, settled) in view.sinks.iter().zip(&reading.sinks_out) {
        if let Some(ahead_s) = settled.clock_ahead_s {
            let help = "how far the database's clock was ahead of ours in its last answer, whole seconds";
            page.gauge("clock_offset_seconds", help, &[("sink", &sink.name)], ahead_s as f64);
        }
    }
    for (sink, settled) in view.sinks.iter().zip(&reading.sinks_out) {
        let help = "refused lines that found no room in rejects/";
        page.counter("sink_rejects_left_out", help, &[("sink", &sink.name)], settled.rejects_left_out);
    }
    for (sink, settled) in view.sinks.iter().zip(&reading.sinks_out) {
        let lost = [("string_field", settled.narrowed.texts), ("sub_millisecond", settled.narrowed.times)];
        for (what, count) in lost.into_iter().filter(|(_, count)| *count > 0) {
            let help = "fields and times that the database cannot keep as they are";
            page.counter("sink_narrowed", help, &[("sink", &sink.name), ("what", what)], count);
        }
    }
}

/// The archive; zeros where there is none.
fn archive(page: &mut Page, cell: &ArchiveCell) {
    let counters = cell.counters.lock().clone();
    page.counter("archive_frames", "frames in the archive", &[], counters.frames);
    page.counter("archive_files", "archive files closed", &[], counters.files);
    page.counter("archive_bytes", "bytes of these files", &[], counters.bytes);
    page.counter("archive_files_deleted", "archive files removed to make room", &[], counters.files_deleted);
    for (reason, count) in [("queue_full", counters.queue_full), ("disk", counters.lost)] {
        page.counter("archive_frames_lost", "frames not archived", &[("reason", reason)], count);
    }
}

/// Publishers in the same process.
fn publishers(page: &mut Page, publishers: &BTreeMap<String, PublisherReport>) {
    let each = |page: &mut Page, name: &str, help: &str, of: fn(&PublisherReport) -> u64| {
        for (publisher, report) in publishers {
            page.counter(name, help, &[("publisher", publisher)], of(report));
        }
    };
    each(page, "publisher_venue_messages", "messages read from a venue", |of| of.venue_messages);
    each(page, "publisher_messages", "numbered messages sent", |of| of.messages);
    each(page, "publisher_bytes", "bytes of payloads sent", |of| of.bytes);
    each(page, "publisher_heartbeats", "heartbeats sent", |of| of.heartbeats);
    each(page, "publisher_subscribers_joined", "times that somebody subscribed", |of| of.subscribers_joined);
    for (publisher, report) in publishers {
        let ready = f64::from(u8::from(report.state == "ready"));
        page.gauge(
            "publisher_ready",
            "1 if everything that was asked for comes",
            &[("publisher", publisher)],
            ready,
        );
    }
    for (publisher, report) in publishers {
        for (what, count) in &report.counts {
            let labels = [("publisher", publisher.as_str()), ("what", what.as_str())];
            page.counter("publisher_counts", "what a connector has counted", &labels, *count);
        }
    }
}

/// The connections of the feeds; those at one endpoint share theirs.
fn links(page: &mut Page, view: &View) {
    let (feeds, links) = (view.feeds.lock().clone(), view.links.lock().clone());
    let of = |feed: &FeedView| links.get(feed.endpoint).copied().unwrap_or_default();
    let active = || feeds.iter().filter(|feed| feed.active);
    for feed in active() {
        let up = f64::from(u8::from(of(feed).up));
        page.gauge("feed_connected", "1 while its publisher is there", &[("feed", &feed.name)], up);
    }
    let counters: [LinkMetric; 3] = [
        ("feed_connects", "handshakes with publishers that succeeded", |link| link.connects),
        ("feed_disconnects", "connections to publishers that ended", |link| link.disconnects),
        ("feed_refused", "handshakes that failed: not ZeroMQ, or keys that do not fit", |link| link.refused),
    ];
    for (name, help, value) in counters {
        active().for_each(|feed| page.counter(name, help, &[("feed", &feed.name)], value(&of(feed))));
    }
}

/// Name, help and value.
type LinkMetric = (&'static str, &'static str, fn(&Link) -> u64);

/// Name, help and value.
type SpoolMetric = (&'static str, &'static str, fn(&SpoolCounters) -> u64);

/// The spools of those sinks that have one.
fn spools(page: &mut Page, view: &View, spools: &[SpoolCounters]) {
    let cells = view.stats.sp.lock().clone();
    let has = |at: usize| cells.iter().any(|cell| cell.sink == at);
    let of = || view.sinks.iter().zip(spools).enumerate().filter(|(at, _)| has(*at)).map(|(_, of)| of);
    let gauges: [SpoolMetric; 5] = [
        ("spool_points", "points on disk that no writer has taken", |s| s.stats.waiting),
        ("spool_parked_points", "points put aside that the server cannot store now", |s| s.parked),
        ("spool_bytes", "bytes on disk", |s| s.stats.bytes),
        ("spool_segments", "files on disk", |s| s.stats.segments),
        ("spool_foreign_segments", "files of another sink or version, left alone", |s| s.stats.foreign),
    ];
    for (name, help, value) in gauges {
        of().for_each(|(sink, spool)| page.gauge(name, help, &[("sink", &sink.name)], value(spool) as f64));
    }
    of().for_each(|(sink, spool)| {
        let ratio = spool.stats.bytes as f64 / sink.spool_bytes_max.max(1) as f64;
        page.gauge("spool_fill_ratio", "bytes on disk of those it may take", &[("sink", &sink.name)], ratio);
    });
    let counters: [SpoolMetric; 6] = [
        ("spool_appended_points", "points put on disk", |s| s.appended),
        ("spool_recovered_points", "points found on disk at the start, some sent before", |s| {
            s.stats.recovered
        }),
        ("spool_damages", "damaged places found on disk", |s| s.stats.damages),
        ("spool_damaged_points", "points in damaged places", |s| s.stats.damaged + s.stats.damaged_before),
        ("spool_append_failures", "batches that the disk did not take when they came", |s| s.append_failures),
        ("spool_sync_failures", "syncs that the disk refused", |s| s.sync_failures),
    ];
    for (name, help, value) in counters {
        of().for_each(|(sink, spool)| page.counter(name, help, &[("sink", &sink.name)], value(spool)));
    }
}

fn feeds(page: &mut Page, feeds: &BTreeMap<String, FeedReport>) {
    let mut each = |name: &str, help: &str, value: &dyn Fn(&FeedReport) -> Option<u64>| {
        for (feed, report) in feeds {
            if let Some(value) = value(report) {
                page.counter(name, help, &[("feed", feed)], value);
            }
        }
    };
    each("frames_received", "frames received", &|f| Some(f.frames));
    each("received_bytes", "payload bytes received", &|f| Some(f.bytes));
    each("frames_decoded", "frames decoded", &|f| Some(f.ledger.decoded));
    each("frames_control", "frames that make no point by design", &|f| Some(f.ledger.control));
    each("frames_undecodable", "frames that could not be decoded", &|f| Some(f.ledger.undecodable));
    each("points_made", "points made", &|f| Some(f.ledger.points_made));
    each("bad_points", "points that could not be written", &|f| Some(f.ledger.bad_points));
    each("messages_published", "messages that the publishers numbered", &|f| f.ledger.published);
    each("messages_duplicate", "message numbers seen before", &|f| f.ledger.duplicate);
    each("messages_lost_before_receive", "message numbers missing", &|f| f.ledger.lost_before_receive);
    each("messages_lost_overload", "message numbers missing by our own drops", &|f| f.ledger.lost_overload);
    let names: std::collections::BTreeSet<&String> = feeds.values().flat_map(|f| f.counters.keys()).collect();
    for name in names.into_iter().filter(|name| !name.starts_with("undecodable_")) {
        for (feed, report) in feeds {
            let value = report.counters.get(name).copied().unwrap_or(0);
            page.counter(name, "see the documentation of the ledger", &[("feed", feed)], value);
        }
    }
    for (feed, report) in feeds {
        for kind in ["transport", "data"] {
            let stands = f64::from(u8::from(report.alarm.as_deref() == Some(kind)));
            page.gauge(
                "feed_silent",
                "1 if what should come does not",
                &[("feed", feed), ("reason", kind)],
                stands,
            );
        }
    }
    for (feed, at_ns) in feeds.iter().filter_map(|(feed, report)| Some((feed, report.last_ns?))) {
        let help = "unix time at which the last message with points was received";
        page.gauge("feed_last_tick_seconds", help, &[("feed", feed)], at_ns as f64 / 1e9);
    }
    for (feed, lag_ns) in feeds.iter().filter_map(|(feed, report)| Some((feed, report.lag_ns?))) {
        let help = "from _ts of that message to its receipt";
        page.gauge("feed_lag_seconds", help, &[("feed", feed)], lag_ns as f64 / 1e9);
    }
    let worst = |report: &FeedReport| report.sources.iter().map(|source| source.gap_max).max();
    for (feed, largest) in feeds.iter().filter_map(|(feed, report)| Some((feed, worst(report)?))) {
        let help = "messages of the largest hole since the start";
        page.gauge("feed_gap_largest_messages", help, &[("feed", feed)], largest as f64);
    }
    let last = |report: &FeedReport| report.sources.iter().filter_map(|source| source.gap_last_ns).max();
    for (feed, at_ns) in feeds.iter().filter_map(|(feed, report)| Some((feed, last(report)?))) {
        let help = "unix time at which the last hole was seen";
        page.gauge("feed_gap_last_seconds", help, &[("feed", feed)], at_ns as f64 / 1e9);
    }
    for (feed, report) in feeds {
        for (reason, count) in &report.ledger.dropped_frames {
            page.counter(
                "frames_dropped",
                "frames dropped by policy",
                &[("feed", feed), ("reason", reason)],
                *count,
            );
        }
    }
    for (feed, report) in feeds {
        for (reason, count) in &report.ledger.suppressed {
            let labels = [("feed", feed.as_str()), ("reason", reason)];
            page.counter("points_suppressed", "points left out by design", &labels, *count);
        }
    }
}

fn sinks(page: &mut Page, sinks: &BTreeMap<String, SinkReport>) {
    let mut each = |name: &str, help: &str, value: &dyn Fn(&SinkReport) -> u64| {
        for (sink, report) in sinks {
            page.counter(name, help, &[("sink", sink)], value(report));
        }
    };
    each("sink_points", "points given to the sink", &|s| s.points);
    each("sink_written", "points acknowledged as stored", &|s| s.ledger.written);
    each("sink_bytes", "bytes of lines settled", &|s| s.bytes);
    each("sink_requests", "requests made", &|s| s.requests);
    each("sink_retries", "requests made again", &|s| s.retries);
    for (sink, report) in sinks {
        page.gauge(
            "sink_in_flight",
            "points not yet settled",
            &[("sink", sink)],
            report.ledger.in_flight as f64,
        );
    }
    for (sink, report) in sinks {
        for (reason, count) in &report.ledger.rejected {
            page.counter("sink_rejected", "points refused", &[("sink", sink), ("reason", reason)], *count);
        }
    }
    for (sink, report) in sinks {
        for (reason, count) in &report.ledger.dropped {
            page.counter(
                "sink_dropped",
                "points dropped by policy",
                &[("sink", sink), ("reason", reason)],
                *count,
            );
        }
    }
    for (sink, report) in sinks {
        page.latency("sink_write_seconds", "one request", &[("sink", sink)], &report.write_ns);
    }
    for (sink, report) in sinks {
        let help = "from _ts to the acknowledgement";
        page.latency("sink_publish_to_ack_seconds", help, &[("sink", sink)], &report.publish_to_ack_ns);
    }
    for (sink, report) in sinks {
        let help = "from _due to the acknowledgement";
        page.latency("sink_due_to_ack_seconds", help, &[("sink", sink)], &report.due_to_ack_ns);
    }
}

/// A page being written.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) text: String,
    /// The last metric named; its samples must stand together.
    named: String,
}

impl Page {
    pub(crate) fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: u64) {
        self.sample(&format!("{name}_total"), "counter", help, labels, value as f64);
    }

    pub(crate) fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.sample(name, "gauge", help, labels, value);
    }

    fn latency(&mut self, name: &str, help: &str, labels: &[(&str, &str)], latency: &Latency) {
        let quantiles =
            [("0.5", latency.p50), ("0.9", latency.p90), ("0.99", latency.p99), ("0.999", latency.p999)];
        for (quantile, ns) in quantiles {
            let labels: Vec<(&str, &str)> = labels.iter().copied().chain([("quantile", quantile)]).collect();
            self.sample(name, "summary", help, &labels, ns as f64 / 1e9);
        }
        self.line(&format!("{name}_sum"), labels, latency.mean * latency.count as f64 / 1e9);
        self.line(&format!("{name}_count"), labels, latency.count as f64);
    }

    fn sample(&mut self, name: &str, kind: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        if self.named != name {
            name.clone_into(&mut self.named);
            // Writing to a String cannot fail.
            writeln!(self.text, "# HELP tickline_{name} {help}\n# TYPE tickline_{name} {kind}").ok();
        }
        self.line(name, labels, value);
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escape(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        writeln!(self.text, "tickline_{name}{labels} {value}").ok();
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
