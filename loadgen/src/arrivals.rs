//! When single messages are due around the rate's curve: evenly, in bursts, or in the clusters that a venue sends.
//! It promises that the same seed gives the same times and that clusters do not change the rate.

use std::str::FromStr;

use tickline_config::units::parse_duration;

use crate::curve::Pace;
use crate::prng::Prng;

/// How messages follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrivals {
    /// One after the other at equal distances.
    #[default]
    Even,
    /// So many together, spread over so many ns from the first to behind the last.
    Bursts {
        /// Messages of a burst.
        messages: u32,
        /// Its length, ns; 0: all are due at once.
        within_ns: u64,
    },
    /// As recorded on Kraken: mostly single messages and small clusters tens of µs apart, now and then 60 of one
    /// symbol in 10 ms.
    Venue,
}

/// A text that is no way to arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be even, venue, or a burst such as burst=60 or burst=60/10ms, found {0:?}")]
pub struct ArrivalsError(String);

impl FromStr for Arrivals {
    type Err = ArrivalsError;

    fn from_str(text: &str) -> Result<Self, ArrivalsError> {
        let wrong = || ArrivalsError(text.to_owned());
        match text {
            "even" => return Ok(Self::Even),
            "venue" => return Ok(Self::Venue),
            _ => {}
        }
        let burst = text.strip_prefix("burst=").ok_or_else(wrong)?;
        let (messages, within) = burst.split_once('/').unwrap_or((burst, "0ns"));
        let messages = messages.parse().ok().filter(|messages| *messages > 0).ok_or_else(wrong)?;
        let within = parse_duration(within).ok_or_else(wrong)?;
        let within_ns = u64::try_from(within.as_nanos()).map_err(|_| wrong())?;
        Ok(Self::Bursts { messages, within_ns })
    }
}

/// The cluster sizes of [`Arrivals::Venue`]: how many of 1,000 clusters have at most so many messages. Recorded
/// (three WebSocket v2 books, gaps below 1 ms): mean 2.0 to 2.6, median 1 to 2, p90 4 to 5, p99 11 to 19.
const CLUSTERS: [(usize, i64, i64); 5] =
    [(500, 1, 1), (820, 2, 3), (945, 4, 6), (995, 7, 20), (1_000, BURST, BURST)];

/// A venue's burst: so many messages in 10 ms.
const BURST: i64 = 60;
const BURST_GAP_NS: u64 = 10_000_000 / BURST as u64;

/// Gaps inside a smaller cluster, ns; recorded: p10 to p50 are 4 to 160 µs.
const GAP_NS: (i64, i64) = (4_000, 60_000);

/// Now and then everything happens at once: once in so many clusters, for so many of them, so many times faster.
/// Recorded at 27 to 41 messages a second: 332 to 360 of them within one second.
const BUSY: (usize, u32, f64) = (400, 110, 0.1);

/// Messages after which the times of clusters meet the curve again, so that random gaps do not add up.
const BLOCK: f64 = 1_000.0;

/// The next message of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Upcoming {
    /// When it is due, ns after the start; none: at once.
    pub(crate) due_ns: Option<u64>,
    /// It belongs to the cluster of the one before: the same symbol.
    pub(crate) joined: bool,
}

/// A cluster that is being sent.
#[derive(Clone, Copy, Debug, Default)]
struct Cluster {
    size: u64,
    sent: u64,
    /// Its place on the curve, in messages.
    at: f64,
    gap_ns: u64,
}

/// Due times, message after message.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pace: Pace,
    arrivals: Arrivals,
    prng: Prng,
    sent: u64,
    cluster: Cluster,
    /// Clusters that follow: size, and place on the curve; the last one is next.
    block: Vec<(u64, f64)>,
    busy_left: u32,
    latest_ns: u64,
    next: Upcoming,
}

impl Schedule {
    pub(crate) fn new(pace: Pace, arrivals: Arrivals, seed: u64) -> Self {
        let next = Upcoming { due_ns: None, joined: false };
        let mut schedule = Self {
            pace,
            arrivals,
            prng: Prng::new(seed),
            sent: 0,
            cluster: Cluster::default(),
            block: Vec::new(),
            busy_left: 0,
            latest_ns: 0,
            next,
        };
        schedule.look();
        schedule
    }

    /// Messages that are due within `duration_ns`; none for flat out.
    pub(crate) fn messages(&self, duration_ns: u64) -> Option<u64> {
        self.pace.messages(duration_ns)
    }

    /// The next message.
    pub(crate) fn next(&self) -> Upcoming {
        self.next
    }

    /// Number of the next message, from 0.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Where the next message stands in a file that does not depend on the run; flat out counts as 1 µs a message.
    pub(crate) fn offset_ns(&self) -> u64 {
        self.next.due_ns.unwrap_or(self.sent * 1_000)
    }

    /// The next message is sent.
    pub(crate) fn advance(&mut self) {
        self.sent += 1;
        self.look();
    }

    fn look(&mut self) {
        if self.cluster.sent == self.cluster.size {
            self.begin_cluster();
        }
        let Cluster { sent, at, gap_ns, .. } = self.cluster;
        self.cluster.sent += 1;
        // A cluster that reaches into the next one delays it.
        let due_ns = self.pace.due_ns(at).map(|begin_ns| begin_ns.saturating_add(sent * gap_ns));
        self.latest_ns = self.latest_ns.max(due_ns.unwrap_or(0));
        let joined = sent > 0 && self.arrivals == Arrivals::Venue;
        self.next = Upcoming { due_ns: due_ns.map(|_| self.latest_ns), joined };
    }

    fn begin_cluster(&mut self) {
        let at = self.sent as f64;
        self.cluster = match self.arrivals {
            Arrivals::Even => Cluster { size: 1, sent: 0, at, gap_ns: 0 },
            Arrivals::Bursts { messages, within_ns } => {
                let size = u64::from(messages.max(1));
                Cluster { size, sent: 0, at, gap_ns: within_ns / size }
            }
            Arrivals::Venue => {
                if self.block.is_empty() {
                    self.begin_block();
                }
                let (size, at) = self.block.pop().unwrap_or((1, at));
                let gap_ns = match size == BURST as u64 {
                    true => BURST_GAP_NS,
                    false => self.prng.between(GAP_NS.0, GAP_NS.1) as u64,
                };
                Cluster { size, sent: 0, at, gap_ns }
            }
        };
    }

    /// Draws clusters for about [`BLOCK`] messages and random distances between them, then stretches the distances
    /// so that the block takes the time of its messages.
    fn begin_block(&mut self) {
        let (mut messages, mut gaps) = (0.0, 0.0);
        while messages < BLOCK {
            let dice = self.prng.below(1_000);
            let (_, low, high) = CLUSTERS.into_iter().find(|(below, ..)| dice < *below).unwrap_or((0, 1, 1));
            let size = self.prng.between(low, high) as u64;
            self.block.push((size, gaps));
            messages += size as f64;
            if self.busy_left == 0 && self.prng.one_in(BUSY.0) {
                self.busy_left = BUSY.1;
            }
            let pace = if self.busy_left > 0 { BUSY.2 } else { 1.0 };
            self.busy_left = self.busy_left.saturating_sub(1);
            // Exponential: what many independent symbols look like together.
            gaps -= (1.0 - self.prng.unit()).ln() * pace;
        }
        let stretch = messages / gaps.max(f64::MIN_POSITIVE);
        for (_, at) in &mut self.block {
            *at = self.sent as f64 + *at * stretch;
        }
        self.block.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(pace: Pace, arrivals: Arrivals, count: usize) -> Vec<(u64, bool)> {
        let mut schedule = Schedule::new(pace, arrivals, 7);
        let next = |_| {
            let Upcoming { due_ns, joined } = schedule.next();
            schedule.advance();
            (due_ns.unwrap_or(0), joined)
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn a_burst_keeps_the_rate_and_its_length() {
        let at_once = Arrivals::Bursts { messages: 60, within_ns: 0 };
        let due = times(Pace::constant(1_000.0), at_once, 121);
        assert_eq!(
            (due[59], due[60], due[119], due[120].0),
            ((0, false), (60_000_000, false), (60_000_000, false), 120_000_000)
        );
        let spread = Arrivals::Bursts { messages: 60, within_ns: 10_000_000 };
        let due = times(Pace::constant(1_000.0), spread, 121);
        assert_eq!((due[1].0, due[59].0, due[60].0), (166_666, 9_833_294, 60_000_000));
    }

    #[test]
    fn a_way_to_arrive_is_named() {
        let bursts = |messages, within_ns| Ok(Arrivals::Bursts { messages, within_ns });
        assert_eq!(("even".parse(), "venue".parse()), (Ok(Arrivals::Even), Ok(Arrivals::Venue)));
        assert_eq!("burst=60".parse(), bursts(60, 0));
        assert_eq!("burst=60/10ms".parse(), bursts(60, 10_000_000));
        for bad in ["", "60", "burst=0", "burst=60/10", "burst=60/", "burst=x/1s"] {
            assert_eq!(bad.parse::<Arrivals>(), Err(ArrivalsError(bad.to_owned())), "{bad}");
        }
    }

    #[test]
    fn flat_out_has_no_schedule() {
        let mut schedule = Schedule::new(Pace::FlatOut, Arrivals::Even, 7);
        (0..5).for_each(|_| schedule.advance());
        assert_eq!((schedule.next().due_ns, schedule.messages(1), schedule.offset_ns()), (None, None, 5_000));
    }

    #[test]
    fn a_venues_clusters_keep_the_rate_over_each_block() {
        let due = times(Pace::constant(10_000.0), Arrivals::Venue, 200_000);
        assert!(due.is_sorted_by_key(|(at, _)| *at));
        for (k, (at, _)) in due.iter().enumerate().step_by(10_000) {
            // A block is 1,000 messages and its last cluster: 100 ms and up to 6 more.
            let planned = k as u64 * 100_000;
            assert!(at.abs_diff(planned) < 110_000_000, "message {k} is due at {at}");
        }
    }

    /// The recorded figures stand at `CLUSTERS`; `run/recorded.rs` measures the recordings themselves.
    #[test]
    fn a_venues_clusters_have_the_recorded_sizes() {
        let due = times(Pace::constant(35.0), Arrivals::Venue, 100_000);
        let mut sizes = vec![];
        for (_, joined) in &due {
            match sizes.last_mut() {
                Some(size) if *joined => *size += 1,
                _ => sizes.push(1_usize),
            }
        }
        sizes.sort_unstable();
        let at = |share: f64| sizes[(share * sizes.len() as f64) as usize];
        assert_eq!((at(0.25), at(0.9), sizes.last()), (1, 5, Some(&60)));
        assert!((2..=3).contains(&at(0.55)) && (7..=20).contains(&at(0.99)), "{} {}", at(0.55), at(0.99));
    }
}
