//! The ledger: four equations over what every stage has counted on its own. Cells are read downstream first
//! (writers, spoolers, encoders, receivers), so that a live reading never shows more taken than given. A remainder at the
//! end of a run, a queue that is not empty included, is a bug.

use std::collections::BTreeMap;

use tickline_config::report::Ledger;
use tickline_feeds::counts::{Counts, Undecodable};
use tickline_sinks::sink::RejectReason;
use tickline_sinks::spool::SpoolStats;

use crate::stats::{EncCounters, FeedIn, FeedOut, RxCounters, SinkIn, SpoolCounters, Stats, WrCounters};

/// Every number of a run, read at one time.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// By feed, as received.
    pub feeds_in: Vec<FeedIn>,
    /// By feed, as encoded.
    pub feeds_out: Vec<FeedOut>,
    /// By sink, as given.
    pub sinks_in: Vec<SinkIn>,
    /// By sink, as spooled; nothing where there is no spool.
    pub spools: Vec<SpoolCounters>,
    /// By sink, as settled.
    pub sinks_out: Vec<WrCounters>,
    /// Messages of topics that no feed asked for.
    pub foreign: u64,
    /// Message parts after the second.
    pub further_parts: u64,
    /// Batches closed.
    pub batches: u64,
}

impl Reading {
    /// Reads all cells.
    pub fn take(stats: &Stats) -> Self {
        let mut reading = Self::default();
        for cell in stats.wr.lock().iter() {
            reading.add_writer(cell.sink, &cell.counters.lock());
        }
        for cell in stats.sp.lock().iter() {
            reading.spools.resize_with(reading.spools.len().max(cell.sink + 1), SpoolCounters::default);
            reading.spools[cell.sink].clone_from(&cell.counters.lock());
        }
        for cell in stats.enc.lock().iter() {
            reading.add_encoder(&cell.counters.lock());
        }
        for cell in stats.rx.lock().iter() {
            reading.add_receiver(&cell.counters.lock());
        }
        let feeds = reading.feeds_in.len().max(reading.feeds_out.len());
        reading.feeds_in.resize(feeds, FeedIn::default());
        reading.feeds_out.resize(feeds, FeedOut::default());
        let sinks = reading.sinks_in.len().max(reading.sinks_out.len()).max(reading.spools.len());
        reading.spools.resize(sinks, SpoolCounters::default());
        reading.sinks_in.resize(sinks, SinkIn::default());
        reading.sinks_out.resize(sinks, WrCounters::default());
        reading
    }

    fn add_writer(&mut self, sink: usize, from: &WrCounters) {
        if self.sinks_out.len() <= sink {
            self.sinks_out.resize(sink + 1, WrCounters::default());
        }
        let to = &mut self.sinks_out[sink];
        to.settled += from.settled;
        to.written += from.written;
        to.rejected.iter_mut().zip(from.rejected).for_each(|(to, from)| *to += from);
        to.shutdown += from.shutdown;
        to.parked += from.parked;
        to.rejects_left_out += from.rejects_left_out;
        to.narrowed.add(from.narrowed);
        to.bytes += from.bytes;
        to.requests += from.requests;
        to.retries += from.retries;
        to.add_faults(&from.faults);
        to.clock_ahead_s = from.clock_ahead_s.or(to.clock_ahead_s);
        to.trouble = to.trouble.take().or_else(|| from.trouble.clone());
    }

    fn add_encoder(&mut self, from: &EncCounters) {
        if self.feeds_out.len() < from.feeds.len() {
            self.feeds_out.resize(from.feeds.len(), FeedOut::default());
        }
        // A feed has one encoder: what the others say of it is zero.
        for (to, from) in self.feeds_out.iter_mut().zip(&from.feeds).filter(|(_, from)| from.taken > 0) {
            *to = *from;
        }
        if self.sinks_in.len() < from.sinks.len() {
            self.sinks_in.resize(from.sinks.len(), SinkIn::default());
        }
        for (to, from) in self.sinks_in.iter_mut().zip(&from.sinks) {
            to.made += from.made;
            to.points += from.points;
            to.enqueued += from.enqueued;
            to.popped += from.popped;
            to.queue_full += from.queue_full;
            to.shutdown += from.shutdown;
        }
        self.batches += from.batches;
    }

    fn add_receiver(&mut self, from: &RxCounters) {
        if self.feeds_in.len() < from.feeds.len() {
            self.feeds_in.resize(from.feeds.len(), FeedIn::default());
        }
        for (to, from) in self.feeds_in.iter_mut().zip(&from.feeds) {
            to.received += from.received;
            to.bytes += from.bytes;
            to.handed += from.handed;
            to.popped += from.popped;
            to.queue_full += from.queue_full;
            to.shutdown += from.shutdown;
        }
        self.foreign += from.foreign;
        self.further_parts += from.further_parts;
    }
}

/// Equations 1 to 3 of one feed.
pub fn feed_ledger(came: &FeedIn, went: &FeedOut) -> Ledger {
    let counts = &went.counts;
    let sequenced = has_sequences(counts);
    let known = |value| sequenced.then_some(value);
    let queued = came.handed.saturating_sub(came.popped).saturating_sub(went.taken);
    let dropped = came.queue_full + came.shutdown + went.shutdown;
    let mut ledger = Ledger {
        published: known(counts.published),
        sequenced: known(counts.sequenced),
        duplicate: known(counts.duplicate),
        lost_before_receive: known(counts.lost_before_receive),
        lost_overload: known(counts.lost_overload),
        received: came.received,
        decoded: counts.decoded,
        control: counts.control,
        undecodable: counts.undecodable_total(),
        dropped_frames: reasons([
            ("queue_full", came.queue_full),
            ("shutdown", came.shutdown + went.shutdown),
        ]),
        queued,
        candidates: counts.candidates,
        points_made: counts.points_made,
        suppressed: reasons([
            ("unchanged", counts.unchanged),
            ("awaiting_image", counts.awaiting_image),
            ("filtered", counts.filtered),
        ]),
        bad_points: counts.bad_points,
        ..Ledger::default()
    };
    let seen = counts.decoded + counts.control + counts.undecodable_total();
    ledger.balanced = counts.balanced()
        && came.received == seen + dropped + queued
        && went.taken == seen + went.shutdown
        && came.handed >= came.popped + went.taken;
    ledger
}

/// Equation 4 of one sink, and that it was given every point that its feeds' decoders have made. `in_flight` is what was put into its queue and has not been given back, counted
/// apart from what became of the points.
pub fn sink_ledger(given: &SinkIn, spool: &SpoolCounters, settled: &WrCounters) -> Ledger {
    let SpoolStats { recovered, waiting, damaged, .. } = spool.stats;
    let (spooled, settled_for_good) = (waiting + spool.parked, settled.settled - settled.parked);
    // What an encoder is about to give counts as given: it may wait there for long.
    let taken = (given.points + recovered).saturating_sub(given.queue_full + given.shutdown);
    let kept_or_lost = spooled + damaged + spool.spool_full + spool.max_age + spool.shutdown;
    let in_flight = taken.saturating_sub(settled_for_good + kept_or_lost);
    let dropped = reasons([
        ("queue_full", given.queue_full),
        ("spool_full", spool.spool_full),
        ("max_age", spool.max_age),
        ("spool_damaged", damaged),
        ("shutdown", given.shutdown + spool.shutdown + settled.shutdown),
    ]);
    let rejected: u64 = settled.rejected.iter().sum();
    let lost: u64 = dropped.values().sum();
    let names = RejectReason::ALL.map(RejectReason::name);
    Ledger {
        points: given.points,
        recovered,
        written: settled.written,
        rejected: reasons(names.into_iter().zip(settled.rejected)),
        dropped,
        spooled,
        in_flight,
        balanced: given.points + recovered == settled.written + rejected + lost + spooled + in_flight
            && given.points == given.made
            && taken >= settled_for_good + kept_or_lost,
        ..Ledger::default()
    }
}

/// Adds one ledger to another. Message figures of a feed without sequences are unknown and change nothing.
pub fn add(to: &mut Ledger, from: &Ledger) {
    let known = |to: &mut Option<u64>, from: Option<u64>| {
        if let Some(from) = from {
            *to.get_or_insert(0) += from;
        }
    };
    known(&mut to.published, from.published);
    known(&mut to.sequenced, from.sequenced);
    known(&mut to.duplicate, from.duplicate);
    known(&mut to.lost_before_receive, from.lost_before_receive);
    known(&mut to.lost_overload, from.lost_overload);
    to.received += from.received;
    to.decoded += from.decoded;
    to.control += from.control;
    to.undecodable += from.undecodable;
    add_reasons(&mut to.dropped_frames, &from.dropped_frames);
    to.queued += from.queued;
    to.candidates += from.candidates;
    to.points_made += from.points_made;
    add_reasons(&mut to.suppressed, &from.suppressed);
    to.bad_points += from.bad_points;
    to.points += from.points;
    to.recovered += from.recovered;
    to.written += from.written;
    add_reasons(&mut to.rejected, &from.rejected);
    add_reasons(&mut to.dropped, &from.dropped);
    to.spooled += from.spooled;
    to.in_flight += from.in_flight;
    to.balanced &= from.balanced;
}

/// Whether a run that has ended left nothing in a queue.
pub fn at_rest(ledger: &Ledger) -> bool {
    ledger.queued == 0 && ledger.in_flight == 0
}

/// Whether loss can be detected on a feed.
pub fn has_sequences(counts: &Counts) -> bool {
    counts.sequenced + counts.published + counts.duplicate > 0
}

/// Undecodable frames by reason, those that occurred.
pub fn undecodable_reasons(counts: &Counts) -> BTreeMap<String, u64> {
    reasons(Undecodable::ALL.map(Undecodable::name).into_iter().zip(counts.undecodable))
}

fn reasons(pairs: impl IntoIterator<Item = (&'static str, u64)>) -> BTreeMap<String, u64> {
    let some = pairs.into_iter().filter(|(_, count)| *count > 0);
    some.map(|(reason, count)| (reason.to_owned(), count)).collect()
}

fn add_reasons(to: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    for (reason, count) in from {
        *to.entry(reason.clone()).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed() -> (FeedIn, FeedOut) {
        let counts = Counts { frames: 7, decoded: 5, control: 2, ..Counts::default() };
        let came = FeedIn { received: 10, handed: 9, popped: 1, queue_full: 2, ..FeedIn::default() };
        (came, FeedOut { taken: 7, counts, ..FeedOut::default() })
    }

    #[test]
    fn frames_balance_only_if_every_one_is_decoded_dropped_or_queued() {
        let (came, went) = feed();
        let ledger = feed_ledger(&came, &went);
        assert_eq!((ledger.balanced, ledger.queued), (true, 1));
        assert_eq!(ledger.published, None, "without sequences loss is unknown, not 0");
        let vanished = FeedIn { received: 11, ..came };
        assert!(!feed_ledger(&vanished, &went).balanced);
        let conjured = FeedOut { taken: 9, ..went };
        assert!(!feed_ledger(&came, &conjured).balanced);
    }

    #[test]
    fn points_on_disk_balance_only_if_each_stands_in_one_place() {
        let given = SinkIn { made: 100, points: 100, enqueued: 100, ..SinkIn::default() };
        let stats = SpoolStats { recovered: 50, waiting: 30, damaged: 4, ..SpoolStats::default() };
        let mut spool = SpoolCounters { stats, spool_full: 6, max_age: 2, ..SpoolCounters::default() };
        let out = WrCounters { settled: 100, written: 100, ..WrCounters::default() };
        let ledger = sink_ledger(&given, &spool, &out);
        assert_eq!((ledger.balanced, ledger.recovered, ledger.spooled, ledger.in_flight), (true, 50, 30, 8));
        assert_eq!(ledger.dropped.values().sum::<u64>(), 12);
        spool.stats.waiting = 39;
        assert!(!sink_ledger(&given, &spool, &out).balanced, "on disk and stored at once");
    }

    #[test]
    fn points_balance_only_if_every_one_is_written_rejected_dropped_or_in_flight() {
        let given = SinkIn { made: 100, points: 100, enqueued: 90, popped: 5, queue_full: 15, shutdown: 0 };
        let mut out = WrCounters { settled: 80, written: 70, shutdown: 3, ..WrCounters::default() };
        out.rejected[1] = 7;
        let ledger = sink_ledger(&given, &SpoolCounters::default(), &out);
        assert_eq!((ledger.balanced, ledger.in_flight), (true, 5));
        assert_eq!(ledger.rejected["beyond_retention"], 7);
        out.written += 1;
        assert!(
            !sink_ledger(&given, &SpoolCounters::default(), &out).balanced,
            "a point counted twice is a remainder"
        );
        out.written -= 1;
        let lost = SinkIn { made: 101, ..given };
        assert!(
            !sink_ledger(&lost, &SpoolCounters::default(), &out).balanced,
            "a point that was made and never given is a remainder"
        );
    }
}
