//! A message that is sent again (`_resend`): the last value, for subscribers that have just come. Whoever was there has had
//! it, and for those it makes nothing; for who was not, it makes its points and claims no number.

use super::{Decoded, Decoder, FrameClass};
use crate::counts::{Tally, Undecodable};
use crate::envelope::Envelope;
use crate::field::FieldCounts;
use crate::frame::Frame;
use crate::sequence::From;
use crate::venue::Shape;

impl Decoder {
    /// Takes in what was made of such a message. It is never late: its times say nothing of how it came here.
    #[cold]
    #[inline(never)]
    pub(super) fn resent(
        &mut self,
        frame: &Frame<'_>,
        envelope: &Envelope,
        result: Result<Shape, Undecodable>,
        (tally, fields): (&Tally, &FieldCounts),
        lines: &mut Vec<u8>,
    ) -> Decoded {
        let Frame { endpoint, topic, recv, .. } = *frame;
        let from = From { endpoint, topic, src: envelope.src, recv_ns: recv.0 };
        let numbered = envelope.numbered && envelope.seq > 0;
        let heard = if numbered { self.sequences.has_heard(from, envelope.seq) } else { None };
        let (class, points) = match result {
            Ok(Shape::Data) if heard != Some(true) => {
                self.counts.add(tally, fields);
                lines.extend_from_slice(self.scratch.lines());
                self.counts.decoded += 1;
                (FrameClass::Points, tally.points_made)
            }
            Ok(_) => {
                self.scratch.discard();
                self.counts.control += 1;
                (FrameClass::Control, 0)
            }
            Err(why) => (self.discard(why), 0),
        };
        match heard {
            Some(_) => {
                if !self.sequences.message(from, envelope.seq, points, &mut self.counts) && points > 0 {
                    self.minutes.add(&self.scratch.minutes);
                }
            }
            // A source is joined where it is heard itself: what lies between its last values is no loss.
            None if numbered => {
                self.counts.sequenced += 1;
                self.counts.duplicate += 1;
            }
            None => self.counts.unsequenced += 1,
        }
        Decoded { class, points: points as u32, sent: 0, due: 0 }
    }
}
