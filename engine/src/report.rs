//! The report of a run, made from its view at any time: at the end it is the proof, before that `/status`.

use std::collections::BTreeMap;

use tickline_config::report::{
    ArchiveReport, CpuSeconds, FeedReport, Latency, Ledger, Load, QueueReport, Report, SCHEMA, SinkReport,
    SourceReport, Verdict,
};
use tickline_feeds::sequence::SequencePoint;
use tickline_loadgen::host::{build, host, rss_max_bytes};
use tickline_loadgen::result;

use crate::accepted::Sources;
use crate::alert::Firing;
use crate::channel::FillGauge;
use crate::health::parts;
use crate::latency::{EncLatencies, Latencies, WrLatencies};
use crate::ledger::{Reading, add, at_rest, feed_ledger, has_sequences, sink_ledger, undecodable_reasons};
use crate::stage::encode::LastTick;
use crate::stats::{ArchiveCounters, Stats};
use crate::view::{PublisherView, View};

/// Whether histograms go along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Histograms {
    /// Quantiles only.
    LeaveOut,
    /// Also the HDR histogram, V2, base64.
    Include,
}

/// The report as it is now. Its verdict knows the ledger only; see [`judge`].
pub fn report(view: &View, histograms: Histograms) -> Report {
    let reading = Reading::take(&view.stats);
    let elapsed_s = view.elapsed_s();
    let feeds = feed_reports(view, &reading, elapsed_s);
    let sinks = sink_reports(view, &reading, histograms);
    let mut ledger = Ledger { balanced: true, ..Ledger::default() };
    feeds.values().for_each(|feed| add(&mut ledger, &feed.ledger));
    sinks.values().for_each(|sink| add(&mut ledger, &sink.ledger));
    let publishers = view.publishers.lock().iter().map(PublisherView::report).collect();
    let latency_ns = encoded(view).named().map(|(name, of)| (name.to_owned(), latency(of, histograms)));
    Report {
        schema: SCHEMA.to_owned(),
        command: view.command.to_owned(),
        verdict: Verdict::Pass,
        reasons: Vec::new(),
        build: build(env!("CARGO_PKG_VERSION"), option_env!("TICKLINE_COMMIT")),
        host: host(),
        config_sha256: view.config.lock().1.clone(),
        elapsed_s,
        accepted: accepted(view),
        ledger,
        latency_ns: latency_ns.into(),
        sinks,
        load: Load::default(),
        target: None,
        thresholds: Vec::new(),
        rows: None,
        archive: archive(view),
        parts: parts(view, &reading, &feeds),
        alerts: view.alerts.lock().iter().map(Firing::report).collect(),
        queues: queues(view),
        publishers,
        feeds,
        cpu_s: cpu(&view.stats),
        rss_max_bytes: rss_max_bytes(),
    }
}

/// Latencies of all encoders together.
pub(crate) fn encoded(view: &View) -> EncLatencies {
    let mut encoded = EncLatencies::default();
    for cell in view.stats.enc.lock().iter() {
        cell.latencies.lock().add_to(&mut encoded);
    }
    encoded
}

fn queues(view: &View) -> BTreeMap<String, QueueReport> {
    let report =
        |waiting: usize, capacity: usize| QueueReport { waiting: waiting as u64, capacity: capacity as u64 };
    let frames = view.frame_queues.iter().map(FillGauge::read).enumerate();
    let frames = frames.map(|(at, (waiting, _, most))| (format!("enc-{at}"), report(waiting, most)));
    let batches = view.sinks.iter().map(|sink| {
        (format!("sinks.{}", sink.name), report(sink.queue.len(), sink.queue.capacity().unwrap_or(0)))
    });
    frames.chain(batches).collect()
}

/// What a run is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// It goes on: only the equations count.
    Live,
    /// It has ended: its queues must be empty, too.
    Ended,
    /// It has ended and nothing at all may have been lost on the way: demo and benches.
    Lossless,
}

/// Gives a report its verdict and the reasons for it.
pub fn judge(report: &mut Report, standard: Standard) {
    let mut reasons = Vec::new();
    let unbalanced = |(name, ledger): (&String, &Ledger)| (!ledger.balanced).then(|| name.clone());
    let feeds = report.feeds.iter().map(|(name, feed)| (name, &feed.ledger)).filter_map(unbalanced);
    let sinks = report.sinks.iter().map(|(name, sink)| (name, &sink.ledger)).filter_map(unbalanced);
    for name in feeds.chain(sinks) {
        reasons.push(format!("the ledger of {name} does not balance"));
    }
    if standard != Standard::Live && !at_rest(&report.ledger) {
        let Ledger { queued, in_flight, .. } = report.ledger;
        reasons.push(format!("{queued} frames and {in_flight} points were left in the queues"));
    }
    let shutdown = report.ledger.dropped.get("shutdown").copied().unwrap_or(0);
    if shutdown > 0 && standard == Standard::Ended {
        reasons.push(format!("{shutdown} points were dropped at shutdown"));
    }
    if standard == Standard::Lossless {
        reasons.extend(losses(&report.ledger));
    }
    if !reasons.is_empty() {
        report.verdict = Verdict::Fail;
        report.reasons.extend(reasons);
    }
}

/// Everything that a run without loss must not have.
fn losses(ledger: &Ledger) -> Vec<String> {
    let sum = |reasons: &BTreeMap<String, u64>| reasons.values().sum::<u64>();
    let counts = [
        ("messages lost before receive", ledger.lost_before_receive.unwrap_or(0)),
        ("messages lost by overload", ledger.lost_overload.unwrap_or(0)),
        ("frames undecodable", ledger.undecodable),
        ("frames dropped", sum(&ledger.dropped_frames)),
        ("bad points", ledger.bad_points),
        ("points rejected", sum(&ledger.rejected)),
        ("points dropped", sum(&ledger.dropped)),
    ];
    counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{count} {what}"))
        .collect()
}

pub(crate) fn feed_reports(view: &View, reading: &Reading, elapsed_s: f64) -> BTreeMap<String, FeedReport> {
    let mut reports: BTreeMap<String, FeedReport> = BTreeMap::new();
    let (names, endpoints) = (view.feeds.lock().clone(), view.endpoints.lock().clone());
    for (at, feed) in names.iter().enumerate() {
        let came = reading.feeds_in.get(at).copied().unwrap_or_default();
        let went = reading.feeds_out.get(at).copied().unwrap_or_default();
        let report = reports.entry(feed.name.clone()).or_insert_with(|| FeedReport {
            ledger: Ledger { balanced: true, ..Ledger::default() },
            ..FeedReport::default()
        });
        add(&mut report.ledger, &feed_ledger(&came, &went));
        report.frames += came.received;
        report.bytes += came.bytes;
        report.points += went.counts.points_made;
        if has_sequences(&went.counts) {
            *report.gaps.get_or_insert(0) += went.counts.gaps;
        }
        let undecodable = undecodable_reasons(&went.counts).into_iter();
        let undecodable = undecodable.map(|(reason, count)| (format!("undecodable_{reason}"), count));
        let further = went.counts.further().map(|(name, count)| (name.to_owned(), count));
        for (name, count) in further.into_iter().chain(undecodable) {
            *report.counters.entry(name).or_default() += count;
        }
    }
    for cell in view.stats.enc.lock().iter() {
        for standing in &cell.counters.lock().standing {
            let feed = names.get(usize::from(standing.feed)).filter(|feed| feed.active);
            let Some(report) = feed.and_then(|feed| reports.get_mut(&feed.name)) else { continue };
            report.alarm = standing.alarm.map(|alarm| alarm.name().to_owned());
            let LastTick { recv_ns, sent_ns } = standing.last;
            report.last_ns = Some(recv_ns).filter(|at| *at != 0);
            report.lag_ns = report.last_ns.filter(|_| sent_ns != 0).map(|at| at.saturating_sub(sent_ns));
            report.sources = standing.sources.iter().map(|point| source(point, &endpoints)).collect();
        }
    }
    let own = reading.feeds_out.iter().map(|went| went.own_points).sum();
    if own > 0 {
        let ledger = Ledger { candidates: own, points_made: own, balanced: true, ..Ledger::default() };
        let report = FeedReport { points: own, ledger, ..FeedReport::default() };
        reports.insert("_engine".to_owned(), report);
    }
    for report in reports.values_mut() {
        report.rate_per_s = if elapsed_s > 0.0 { report.frames as f64 / elapsed_s } else { 0.0 };
    }
    reports
}

fn source(point: &SequencePoint, endpoints: &[String]) -> SourceReport {
    let SequencePoint { endpoint, topic, src, last, heard_ns, ended, figures, .. } = point.clone();
    SourceReport {
        endpoint: endpoints.get(usize::from(endpoint)).cloned().unwrap_or_default(),
        topic,
        src,
        last,
        heard_ns,
        ended,
        messages: figures.messages,
        lost: figures.lost,
        duplicate: figures.duplicate,
        late: figures.late,
        gap_max: figures.gap_max,
        gap_last_ns: Some(figures.gap_last_ns).filter(|at| *at != 0),
    }
}

/// Latencies of the writers, by sink.
pub(crate) fn written(view: &View) -> Vec<WrLatencies> {
    let mut latencies = vec![WrLatencies::default(); view.sinks.len()];
    for cell in view.stats.wr.lock().iter() {
        let Some(all) = latencies.get_mut(cell.sink) else { continue };
        let shared = cell.latencies.lock();
        shared.write.add_to(&mut all.write);
        shared.publish_to_ack.add_to(&mut all.publish_to_ack);
        shared.due_to_ack.add_to(&mut all.due_to_ack);
    }
    latencies
}

fn sink_reports(view: &View, reading: &Reading, histograms: Histograms) -> BTreeMap<String, SinkReport> {
    let latencies = written(view);
    let sink = |(at, latencies): (usize, &WrLatencies)| {
        let given = reading.sinks_in.get(at).copied().unwrap_or_default();
        let spool = reading.spools.get(at).cloned().unwrap_or_default();
        let settled = reading.sinks_out.get(at).cloned().unwrap_or_default();
        let report = SinkReport {
            ledger: sink_ledger(&given, &spool, &settled),
            points: given.points,
            bytes: settled.bytes,
            requests: settled.requests,
            retries: settled.retries,
            write_ns: latency(&latencies.write, histograms),
            publish_to_ack_ns: latency(&latencies.publish_to_ack, histograms),
            due_to_ack_ns: latency(&latencies.due_to_ack, histograms),
        };
        Some((view.sinks.get(at)?.name.clone(), report))
    };
    latencies.iter().enumerate().filter_map(sink).collect()
}

fn latency(from: &Latencies, histograms: Histograms) -> Latency {
    let hdr = (histograms == Histograms::Include).then(|| result::encode(&from.histogram)).flatten();
    Latency { negative: from.negative, hdr, ..result::figures(&from.histogram, from.mean_ns()) }
}

/// What every sink of a feed has accepted: of each source the lowest of their numbers.
fn accepted(view: &View) -> BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>> {
    let by_sink: Vec<Sources> = view.sinks.iter().map(|sink| sink.accepted.sources()).collect();
    let mut accepted: BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>> = BTreeMap::new();
    for feed in view.feeds.lock().iter().filter(|feed| feed.active) {
        let of = |sink: &usize| by_sink.get(*sink)?.get(feed.name.as_str());
        let all: Vec<_> = feed.sinks.iter().map(of).collect();
        let Some(Some(first)) = all.first() else { continue };
        for (topic, sources) in *first {
            for src in sources.keys() {
                let last = |topics: &Option<&BTreeMap<_, BTreeMap<u32, u64>>>| {
                    topics.and_then(|topics| topics.get(topic)?.get(src).copied())
                };
                let Some(lowest) = all.iter().map(last).min().flatten() else { continue };
                let topics = accepted.entry(feed.name.clone()).or_default();
                topics.entry(topic.to_string()).or_default().insert(src.to_string(), lowest);
            }
        }
    }
    accepted
}

/// What became of raw frames, if anyone keeps them.
fn archive(view: &View) -> Option<ArchiveReport> {
    let ArchiveCounters { frames, files, bytes, files_deleted, queue_full, lost, .. } =
        view.stats.archive.counters.lock().clone();
    view.archives.then_some(ArchiveReport { frames, lost: lost + queue_full, files, bytes, files_deleted })
}

fn cpu(stats: &Stats) -> CpuSeconds {
    let seconds = |ns: u64| ns as f64 / 1e9;
    CpuSeconds {
        rx: seconds(stats.rx.lock().iter().map(|cell| *cell.cpu_ns.lock()).sum()),
        enc: seconds(stats.enc.lock().iter().map(|cell| *cell.cpu_ns.lock()).sum()),
        wr: seconds(
            stats.wr.lock().iter().map(|cell| *cell.cpu_ns.lock()).sum::<u64>()
                + stats.sp.lock().iter().map(|cell| *cell.cpu_ns.lock()).sum::<u64>()
                + *stats.archive.cpu_ns.lock(),
        ),
    }
}

/// A report in which nothing has happened.
#[cfg(test)]
pub(crate) fn blank(command: &str) -> Report {
    Report { schema: SCHEMA.into(), command: command.into(), elapsed_s: 1.0, ..Report::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(ledger: Ledger) -> Report {
        let sink = SinkReport { ledger: ledger.clone(), ..SinkReport::default() };
        Report { ledger, sinks: [("s".to_owned(), sink)].into(), ..blank("test") }
    }

    #[test]
    fn a_verdict_names_every_reason_and_each_standard_asks_for_more() {
        let dropped = [("shutdown".to_owned(), 2u64)];
        let ledger = Ledger { balanced: true, in_flight: 3, dropped: dropped.into(), ..Ledger::default() };
        let verdict = |ledger: &Ledger, standard| {
            let mut report = bare(ledger.clone());
            judge(&mut report, standard);
            (report.verdict, report.reasons)
        };
        assert_eq!(verdict(&ledger, Standard::Live), (Verdict::Pass, vec![]));
        let left = "0 frames and 3 points were left in the queues".to_owned();
        let (fail, reasons) = verdict(&ledger, Standard::Ended);
        assert_eq!(
            (fail, reasons),
            (Verdict::Fail, vec![left.clone(), "2 points were dropped at shutdown".into()])
        );
        let (_, reasons) = verdict(&ledger, Standard::Lossless);
        assert_eq!(reasons, [left, "2 points dropped".into()]);
        let broken = Ledger::default();
        assert_eq!(verdict(&broken, Standard::Live).1, ["the ledger of s does not balance"]);
    }
}
