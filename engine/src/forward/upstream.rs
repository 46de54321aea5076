//! What a forwarder knows of the numbers that come to it, where it hands on by choice: whoever gets a part of them cannot see
//! what is missing in the whole.

use tickline_feeds::counts::Counts;
use tickline_feeds::envelope::Envelope;
use tickline_feeds::news::{Gap, News};
use tickline_feeds::sequence::{From, Sequences};

use super::report::UpstreamCounts;

/// The sources of the topics that are handed on by choice.
#[derive(Debug)]
pub(super) struct Upstream {
    sequences: Sequences,
    counts: Counts,
}

impl Upstream {
    pub(super) fn new() -> Self {
        // Any number of publishers stand behind one socket.
        Self { sequences: Sequences::new(true), counts: Counts::default() }
    }

    /// Takes in the number of a message, received at `recv_ns`. Returns whether it was handed on before.
    pub(super) fn hear(&mut self, topic: &[u8], envelope: &Envelope, recv_ns: i64) -> bool {
        let from = From { endpoint: 0, topic, src: envelope.src, recv_ns };
        if envelope.silence {
            if envelope.numbered {
                self.sequences.span(from, envelope.seq, envelope.end, &mut self.counts);
            }
            return false;
        }
        if !envelope.numbered || envelope.seq == 0 {
            self.counts.unsequenced += 1;
            return false;
        }
        // A last value of a source that has not spoken itself claims no number.
        if envelope.resend && self.sequences.has_heard(from, envelope.seq).is_none() {
            self.counts.sequenced += 1;
            self.counts.duplicate += 1;
            return false;
        }
        self.sequences.message(from, envelope.seq, 0, &mut self.counts)
    }

    /// The holes found since this was last asked.
    pub(super) fn gaps(&mut self) -> Vec<Gap> {
        let news = self.sequences.news();
        if news.is_empty() {
            return Vec::new();
        }
        let gap = |news| if let News::Gap(gap) = news { Some(gap) } else { None };
        news.drain(..).filter_map(gap).collect()
    }

    pub(super) fn counts(&self) -> UpstreamCounts {
        let Counts { published, sequenced, duplicate, lost_before_receive: lost, unsequenced, .. } =
            self.counts;
        UpstreamCounts { published, sequenced, duplicate, lost, unsequenced }
    }
}
