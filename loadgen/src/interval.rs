//! What happened between two reports of one engine: counters and histograms are subtracted. Gauges (queued, in
//! flight, spooled) and verdicts of the equations are those of the later report.

use std::collections::BTreeMap;

use base64::Engine;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use tickline_config::report::{CpuSeconds, FeedReport, Latency, Ledger, Report, SinkReport};

use crate::result;

/// Why two reports have no difference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntervalError {
    /// The counters began again.
    #[error("the target was started again in the meantime")]
    Restarted,
    /// A histogram cannot be read.
    #[error("{0}: the target must give its histogram (/status?hdr=1), found none that can be read")]
    Histogram(String),
}

/// What the engine did after `before` and up to `after`.
pub fn between(before: &Report, after: &Report) -> Result<Report, IntervalError> {
    if after.elapsed_s < before.elapsed_s {
        return Err(IntervalError::Restarted);
    }
    let mut report = after.clone();
    report.elapsed_s -= before.elapsed_s;
    report.ledger = ledger(&before.ledger, &after.ledger);
    for (name, feed) in &mut report.feeds {
        let earlier = before.feeds.get(name).cloned().unwrap_or_default();
        *feed = self::feed(&earlier, feed, report.elapsed_s);
    }
    for (name, latency) in &mut report.latency_ns {
        *latency = self::latency(name, before.latency_ns.get(name), latency)?;
    }
    for (name, sink) in &mut report.sinks {
        *sink = self::sink(name, &before.sinks.get(name).cloned().unwrap_or_default(), sink)?;
    }
    report.cpu_s = CpuSeconds {
        rx: after.cpu_s.rx - before.cpu_s.rx,
        enc: after.cpu_s.enc - before.cpu_s.enc,
        wr: after.cpu_s.wr - before.cpu_s.wr,
    };
    Ok(report)
}

fn ledger(before: &Ledger, after: &Ledger) -> Ledger {
    let number = |of: fn(&Ledger) -> u64| of(after).saturating_sub(of(before));
    let known = |of: fn(&Ledger) -> Option<u64>| Some(of(after)?.saturating_sub(of(before).unwrap_or(0)));
    Ledger {
        published: known(|l| l.published),
        sequenced: known(|l| l.sequenced),
        duplicate: known(|l| l.duplicate),
        lost_before_receive: known(|l| l.lost_before_receive),
        lost_overload: known(|l| l.lost_overload),
        received: number(|l| l.received),
        decoded: number(|l| l.decoded),
        control: number(|l| l.control),
        undecodable: number(|l| l.undecodable),
        dropped_frames: reasons(&before.dropped_frames, &after.dropped_frames),
        queued: after.queued,
        candidates: number(|l| l.candidates),
        points_made: number(|l| l.points_made),
        suppressed: reasons(&before.suppressed, &after.suppressed),
        bad_points: number(|l| l.bad_points),
        points: number(|l| l.points),
        recovered: number(|l| l.recovered),
        written: number(|l| l.written),
        rejected: reasons(&before.rejected, &after.rejected),
        dropped: reasons(&before.dropped, &after.dropped),
        spooled: after.spooled,
        in_flight: after.in_flight,
        balanced: after.balanced,
    }
}

fn reasons(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let earlier = |reason: &String| before.get(reason).copied().unwrap_or(0);
    after.iter().map(|(reason, count)| (reason.clone(), count.saturating_sub(earlier(reason)))).collect()
}

fn feed(before: &FeedReport, after: &FeedReport, elapsed_s: f64) -> FeedReport {
    let frames = after.frames.saturating_sub(before.frames);
    FeedReport {
        frames,
        bytes: after.bytes.saturating_sub(before.bytes),
        points: after.points.saturating_sub(before.points),
        gaps: after.gaps.map(|gaps| gaps.saturating_sub(before.gaps.unwrap_or(0))),
        rate_per_s: if elapsed_s > 0.0 { frames as f64 / elapsed_s } else { 0.0 },
        counters: reasons(&before.counters, &after.counters),
        ledger: ledger(&before.ledger, &after.ledger),
        ..after.clone()
    }
}

fn sink(name: &str, before: &SinkReport, after: &SinkReport) -> Result<SinkReport, IntervalError> {
    let of = |what: &str, before: &Latency, after: &Latency| {
        self::latency(&format!("sinks.{name}.{what}"), Some(before), after)
    };
    Ok(SinkReport {
        ledger: ledger(&before.ledger, &after.ledger),
        points: after.points.saturating_sub(before.points),
        bytes: after.bytes.saturating_sub(before.bytes),
        requests: after.requests.saturating_sub(before.requests),
        retries: after.retries.saturating_sub(before.retries),
        write_ns: of("write_ns", &before.write_ns, &after.write_ns)?,
        publish_to_ack_ns: of("publish_to_ack_ns", &before.publish_to_ack_ns, &after.publish_to_ack_ns)?,
        due_to_ack_ns: of("due_to_ack_ns", &before.due_to_ack_ns, &after.due_to_ack_ns)?,
    })
}

fn latency(name: &str, before: Option<&Latency>, after: &Latency) -> Result<Latency, IntervalError> {
    let unreadable = || IntervalError::Histogram(name.to_owned());
    let mut histogram = histogram(after).ok_or_else(unreadable)?;
    let (mut count, mut negative) = (0, 0);
    if let Some(before) = before.filter(|before| before.hdr.is_some()) {
        (count, negative) = (before.count, before.negative);
        histogram.subtract(self::histogram(before).ok_or_else(unreadable)?).map_err(|_| unreadable())?;
    }
    if after.count < count {
        return Err(IntervalError::Restarted);
    }
    let hdr = result::encode(&histogram);
    let negative = after.negative.saturating_sub(negative);
    Ok(Latency { negative, hdr, ..result::latency(&histogram) })
}

/// The histogram that a latency carries.
pub fn histogram(latency: &Latency) -> Option<Histogram<u64>> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(latency.hdr.as_ref()?).ok()?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::LoadResult;

    fn latency_of(values: &[u64]) -> Latency {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        values.iter().for_each(|value| histogram.record(*value).unwrap());
        Latency { hdr: result::encode(&histogram), ..result::latency(&histogram) }
    }

    fn report(elapsed_s: f64, written: u64, values: &[u64]) -> Report {
        let mut report = LoadResult::default().report("run", crate::host::build("0.1.0", None));
        report.elapsed_s = elapsed_s;
        (report.ledger.written, report.ledger.spooled) = (written, 7);
        report.ledger.lost_before_receive = (written > 10).then_some(written);
        report.ledger.rejected.insert("bad_line".to_owned(), written / 2);
        report.latency_ns.insert("due_to_encode".to_owned(), latency_of(values));
        let ack = latency_of(values);
        let sink = SinkReport {
            write_ns: ack.clone(),
            publish_to_ack_ns: ack.clone(),
            due_to_ack_ns: ack,
            ..SinkReport::default()
        };
        report.sinks.insert("a".to_owned(), sink);
        report
    }

    #[test]
    fn counters_and_histograms_are_those_of_the_time_between() {
        let before = report(10.0, 10, &[1_000, 2_000]);
        let after = report(14.0, 110, &[1_000, 2_000, 50_000, 50_000, 900_000]);
        let between = between(&before, &after).unwrap();
        assert_eq!((between.elapsed_s, between.ledger.written, between.ledger.spooled), (4.0, 100, 7));
        assert_eq!(between.ledger.lost_before_receive, Some(110));
        assert_eq!(between.ledger.rejected["bad_line"], 50);
        let encode = &between.latency_ns["due_to_encode"];
        assert_eq!((encode.count, encode.p50 / 1_000, encode.max / 1_000), (3, 50, 900));
        assert_eq!(between.sinks["a"].due_to_ack_ns, *encode);
        assert_eq!(histogram(encode).unwrap().len(), 3);
    }

    #[test]
    fn a_restart_between_the_reports_is_not_taken_for_an_interval() {
        let (early, late) = (report(5.0, 10, &[1]), report(6.0, 20, &[1, 2]));
        assert_eq!(between(&late, &early), Err(IntervalError::Restarted));
        assert_eq!(
            between(&report(5.0, 0, &[1, 2]), &report(6.0, 0, &[1])),
            Err(IntervalError::Histogram("due_to_encode".to_owned()))
        );
    }

    #[test]
    fn nothing_happened_is_an_empty_interval() {
        let report = report(5.0, 10, &[1]);
        let between = between(&report, &report).unwrap();
        assert_eq!((between.ledger.written, between.latency_ns["due_to_encode"].count), (0, 0));
    }

    #[test]
    fn a_latency_without_histogram_is_refused_by_name() {
        let before = report(5.0, 10, &[1]);
        let mut after = report(6.0, 10, &[1]);
        after.latency_ns.values_mut().for_each(|latency| latency.hdr = None);
        let error = between(&before, &after).unwrap_err().to_string();
        assert!(error.starts_with("due_to_encode: the target must give its histogram"), "{error}");
    }
}
