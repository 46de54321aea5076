//! Latency distributions, a set a thread. A thread records into its own and moves them into its cell now and then;
//! nothing here is shared while it is recorded into.

use hdrhistogram::Histogram;
use tickline_loadgen::result::distribution;
use tickline_sinks::batch::Mark;

/// A distribution of latencies, ns; differences below 0 are counted apart, never clipped.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// Values from 0 on.
    pub histogram: Histogram<u64>,
    /// Values below 0.
    pub negative: u64,
    /// The others together, ns.
    pub sum_ns: u128,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { histogram: distribution(), negative: 0, sum_ns: 0 }
    }
}

impl Latencies {
    /// Counts `times` values of `to - from`.
    pub fn record(&mut self, from_ns: i64, to_ns: i64, times: u64) {
        match u64::try_from(to_ns.saturating_sub(from_ns)) {
            Ok(value) => {
                self.histogram.saturating_record_n(value, times);
                self.sum_ns += u128::from(value) * u128::from(times);
            }
            Err(_) => self.negative += times,
        }
    }

    /// Counts one value from `from_ns`; 0 is no time.
    pub fn record_from(&mut self, from_ns: i64, to_ns: i64) {
        if from_ns != 0 {
            self.record(from_ns, to_ns, 1);
        }
    }

    /// Adds everything to `other`.
    pub fn add_to(&self, other: &mut Latencies) {
        if self.histogram.is_empty() && self.negative == 0 {
            return;
        }
        // `other` resizes by itself, so that adding cannot fail.
        if other.histogram.add(&self.histogram).is_err() {
            tracing::error!("latency: merging failed, {} values left out", self.histogram.len());
        }
        other.negative += self.negative;
        other.sum_ns += self.sum_ns;
    }

    /// Moves everything into `other`.
    pub fn merge_into(&mut self, other: &mut Latencies) {
        if self.histogram.is_empty() && self.negative == 0 {
            return;
        }
        self.add_to(other);
        self.histogram.reset();
        (self.negative, self.sum_ns) = (0, 0);
    }

    /// Mean of the values from 0 on, ns; 0 if there is none.
    pub fn mean_ns(&self) -> f64 {
        self.sum_ns as f64 / self.histogram.len().max(1) as f64
    }
}

/// Latencies of an encoder.
#[derive(Clone, Debug, Default)]
pub struct EncLatencies {
    /// From `_ts` to the end of the burst in which the frame was received.
    pub publish_to_receive: Latencies,
    /// From there to the end of the block in which it was encoded.
    pub receive_to_encode: Latencies,
    /// From `_ts` to the end of that block.
    pub publish_to_encode: Latencies,
    /// From `_due` to the end of the burst in which the frame was received.
    pub due_to_receive: Latencies,
    /// From `_due` to the end of the block in which it was encoded.
    pub due_to_encode: Latencies,
}

impl EncLatencies {
    /// Adds everything to `other`.
    pub fn add_to(&self, other: &mut Self) {
        self.publish_to_receive.add_to(&mut other.publish_to_receive);
        self.receive_to_encode.add_to(&mut other.receive_to_encode);
        self.publish_to_encode.add_to(&mut other.publish_to_encode);
        self.due_to_receive.add_to(&mut other.due_to_receive);
        self.due_to_encode.add_to(&mut other.due_to_encode);
    }

    /// Each latency with its name in the report.
    pub fn named(&mut self) -> [(&'static str, &mut Latencies); 5] {
        [
            ("publish_to_receive", &mut self.publish_to_receive),
            ("receive_to_encode", &mut self.receive_to_encode),
            ("publish_to_encode", &mut self.publish_to_encode),
            ("due_to_receive", &mut self.due_to_receive),
            ("due_to_encode", &mut self.due_to_encode),
        ]
    }

    /// A message was received.
    pub fn received(&mut self, mark: Mark, at_ns: i64) {
        self.publish_to_receive.record_from(mark.sent, at_ns);
        self.due_to_receive.record_from(mark.due, at_ns);
    }

    /// It was encoded.
    pub fn encoded(&mut self, mark: Mark, at_ns: i64) {
        self.publish_to_encode.record_from(mark.sent, at_ns);
        self.due_to_encode.record_from(mark.due, at_ns);
    }

    /// Moves everything into `other`.
    pub fn merge_into(&mut self, other: &mut Self) {
        for ((_, from), (_, to)) in self.named().into_iter().zip(other.named()) {
            from.merge_into(to);
        }
    }
}

/// Latencies of a writer.
#[derive(Clone, Debug, Default)]
pub struct WrLatencies {
    /// One request.
    pub write: Latencies,
    /// From `_ts` to the acknowledgement.
    pub publish_to_ack: Latencies,
    /// From `_due` to the acknowledgement.
    pub due_to_ack: Latencies,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_latency_is_counted_apart_and_merging_moves_all() {
        let (mut own, mut shared) = (Latencies::default(), Latencies::default());
        own.record(1_000, 3_500, 2);
        own.record(3_500, 1_000, 1);
        own.merge_into(&mut shared);
        assert_eq!((shared.histogram.len(), shared.negative, shared.mean_ns()), (2, 1, 2_500.0));
        assert_eq!((own.histogram.len(), own.negative), (0, 0));
        assert_eq!(shared.histogram.min(), 2_500);
    }
}
