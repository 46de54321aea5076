//! How the rate of a feed goes over time, and when its k-th message is due: the inverse of the rate's integral.
//! Pure arithmetic; the randomness of single messages is in `arrivals`.

use std::sync::Arc;

const SECOND_NS: f64 = 1e9;

/// Rate of a feed over time.
#[derive(Clone, Debug, PartialEq)]
pub enum Pace {
    /// As fast as ZeroMQ takes messages.
    FlatOut,
    /// Pieces, one after the other. Past the last one its end rate goes on.
    Curve(Vec<Piece>),
    /// When each message of a recording came, ns after the first, again and again.
    Recorded(Arc<[u64]>),
}

/// A stretch of time in which the rate is constant or goes evenly from one value to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// Messages a second at its begin, above 0.
    pub from: f64,
    /// Messages a second at its end, above 0.
    pub to: f64,
    /// Its length, ns.
    pub span_ns: u64,
}

impl Piece {
    /// Messages in `seconds` from its begin.
    fn messages(&self, seconds: f64) -> f64 {
        let slope = (self.to - self.from) / self.seconds();
        (self.from + slope * seconds / 2.0) * seconds
    }

    fn seconds(&self) -> f64 {
        self.span_ns as f64 / SECOND_NS
    }

    /// Seconds from its begin until `messages` have gone.
    fn until(&self, messages: f64) -> f64 {
        // The root of slope/2·t² + from·t = messages that does not lose digits when the slope is 0.
        let slope = (self.to - self.from) / self.seconds();
        let root = (self.from * self.from + 2.0 * slope * messages).max(0.0).sqrt();
        2.0 * messages / (self.from + root)
    }
}

impl Pace {
    /// The same rate from begin to end.
    pub fn constant(per_second: f64) -> Self {
        Self::Curve(vec![Piece { from: per_second, to: per_second, span_ns: u64::MAX }])
    }

    /// The same curve `factor` times as fast; none for flat out, which has no faster.
    pub fn scaled(&self, factor: f64) -> Option<Self> {
        match self {
            Self::FlatOut => None,
            Self::Curve(pieces) => {
                let scaled =
                    |piece: &Piece| Piece { from: piece.from * factor, to: piece.to * factor, ..*piece };
                Some(Self::Curve(pieces.iter().map(scaled).collect()))
            }
            Self::Recorded(times) => {
                Some(Self::Recorded(times.iter().map(|at| (*at as f64 / factor) as u64).collect()))
            }
        }
    }

    /// When message `k` (from 0; between two of them, too) is due, ns after the start; none: at once.
    pub(crate) fn due_ns(&self, k: f64) -> Option<u64> {
        match self {
            Self::FlatOut => None,
            Self::Curve(pieces) => Some(curve_due_ns(pieces, k)),
            Self::Recorded(times) => Some(recorded_due_ns(times, k as u64)),
        }
    }

    /// Messages that are due within `duration_ns`; none for flat out.
    pub fn messages(&self, duration_ns: u64) -> Option<u64> {
        match self {
            Self::FlatOut => None,
            Self::Curve(pieces) => {
                let (mut left, mut messages, mut end) = (duration_ns, 0.0, 0.0);
                for piece in pieces {
                    let within = left.min(piece.span_ns);
                    messages += piece.messages(within as f64 / SECOND_NS);
                    (left, end) = (left - within, piece.to);
                }
                Some((messages + end * left as f64 / SECOND_NS).round() as u64)
            }
            Self::Recorded(times) => {
                let period = period_ns(times);
                let begun = times.partition_point(|at| *at < duration_ns % period) as u64;
                Some(duration_ns / period * times.len() as u64 + begun)
            }
        }
    }

    /// Highest messages a second that are planned; none where there is no plan.
    pub(crate) fn peak(&self) -> Option<f64> {
        match self {
            Self::Curve(pieces) => pieces.iter().map(|piece| piece.from.max(piece.to)).reduce(f64::max),
            Self::FlatOut | Self::Recorded(_) => None,
        }
    }
}

fn curve_due_ns(pieces: &[Piece], k: f64) -> u64 {
    let (mut left, mut begin_ns) = (k, 0_u64);
    for piece in pieces {
        let messages = piece.messages(piece.seconds());
        if left < messages {
            return begin_ns.saturating_add((piece.until(left) * SECOND_NS) as u64);
        }
        left -= messages;
        begin_ns = begin_ns.saturating_add(piece.span_ns);
    }
    let rate = pieces.last().map_or(1.0, |piece| piece.to);
    begin_ns.saturating_add((left / rate * SECOND_NS) as u64)
}

/// The recording and the mean distance of its messages: after that it begins again.
fn period_ns(times: &[u64]) -> u64 {
    let last = times.last().copied().unwrap_or(0);
    (last + last / (times.len() as u64).saturating_sub(1).max(1)).max(1)
}

fn recorded_due_ns(times: &[u64], k: u64) -> u64 {
    let len = times.len().max(1) as u64;
    let at = times.get((k % len) as usize).copied().unwrap_or(0);
    (k / len).saturating_mul(period_ns(times)).saturating_add(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn message_k_is_due_k_intervals_after_the_start() {
        let pace = Pace::constant(3.0);
        let due: Vec<u64> = (0..4).filter_map(|k| pace.due_ns(f64::from(k))).collect();
        assert_eq!(due, [0, 333_333_333, 666_666_666, 1_000_000_000]);
        assert_eq!(Pace::constant(1e6).due_ns(86_400_000_000.0), Some(86_400_000_000_000));
        assert_eq!(Pace::constant(2_000.0).messages(1_500_000_000), Some(3_000));
    }

    #[test]
    fn a_ramp_sends_its_mean_rate_and_steps_follow_each_other() {
        let ramp = Piece { from: 100.0, to: 300.0, span_ns: 10_000_000_000 };
        let step = Piece { from: 1_000.0, to: 1_000.0, span_ns: 1_000_000_000 };
        let pace = Pace::Curve(vec![ramp, step]);
        assert_eq!(pace.messages(10_000_000_000), Some(2_000));
        assert_eq!(pace.messages(11_000_000_000), Some(3_000));
        // Half way the ramp has sent 5 s at a mean of 150/s.
        assert_eq!(pace.due_ns(750.0), Some(5_000_000_000));
        assert_eq!(pace.due_ns(2_500.0), Some(10_500_000_000));
        // Past its end the curve goes on as it ended.
        assert_eq!(pace.due_ns(3_500.0), Some(11_500_000_000));
        assert_eq!(pace.messages(12_000_000_000), Some(4_000));
        assert_eq!(pace.peak(), Some(1_000.0));
    }

    #[test]
    fn a_scaled_pace_sends_that_many_times_more() {
        let ramp = Pace::Curve(vec![Piece { from: 100.0, to: 300.0, span_ns: 10_000_000_000 }]);
        assert_eq!(ramp.scaled(2.5).and_then(|pace| pace.messages(10_000_000_000)), Some(5_000));
        let recorded = Pace::Recorded(Arc::from([0, 1_000, 3_000]));
        assert_eq!(recorded.scaled(2.0), Some(Pace::Recorded(Arc::from([0, 500, 1_500]))));
        assert_eq!(Pace::FlatOut.scaled(2.0), None);
    }

    #[test]
    fn a_recording_is_repeated_with_its_own_gaps() {
        let pace = Pace::Recorded(Arc::from([0, 10, 11, 30]));
        let due: Vec<u64> = (0..9).filter_map(|k| pace.due_ns(f64::from(k))).collect();
        assert_eq!(due, [0, 10, 11, 30, 40, 50, 51, 70, 80]);
        assert_eq!((pace.messages(40), pace.messages(51)), (Some(4), Some(6)));
    }

    proptest! {
        #[test]
        fn due_times_never_go_back_and_as_many_are_due_as_the_curve_says(
            rates in prop::collection::vec((1.0_f64..5_000.0, 1.0_f64..5_000.0, 1_u64..3_000), 1..5),
        ) {
            let piece = |(from, to, ms)| Piece { from, to, span_ns: ms * 1_000_000 };
            let pace = Pace::Curve(rates.into_iter().map(piece).collect());
            let Pace::Curve(pieces) = &pace else { unreachable!() };
            let span_ns: u64 = pieces.iter().map(|piece| piece.span_ns).sum();
            let messages = pace.messages(span_ns).unwrap();
            let due: Vec<u64> = (0..messages).filter_map(|k| pace.due_ns(k as f64)).collect();
            prop_assert!(due.is_sorted());
            // Rounding the number of messages moves the last one by at most one interval of 1/s.
            prop_assert!(due.last().is_none_or(|last| *last <= span_ns + 1_000_000_000));
            let half = due.partition_point(|at| *at < span_ns / 2) as i64;
            prop_assert!((half - pace.messages(span_ns / 2).unwrap() as i64).abs() <= 2);
        }
    }
}
