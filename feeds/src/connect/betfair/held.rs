//! The parts of a message that comes in several (`segmentType`), held until the last one is there. It promises that a
//! subscriber sees all of them or none: of what was cut off the venue sends all again, because the clock before it still
//! holds. It refuses to join them: one part fits into a message, all of them may not.

use super::message::Segment;
use crate::clock::{MonoNanos, WallNanos};
use crate::connect::Now;

/// Parts of one message; the largest recorded image has 186 kB for 137 markets.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// The last part comes so soon after the first, ns.
const PARTS_NS: u64 = 10_000_000_000;

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is published now.
    Publish,
    /// It waits for the last part.
    Wait,
    /// It is the last part: all that wait are published, in order.
    Release(Vec<(WallNanos, String)>),
    /// The parts do not fit together, for the reason.
    Torn(&'static str),
}

/// The parts so far.
#[derive(Debug, Default)]
pub(super) struct Held {
    lines: Vec<(WallNanos, String)>,
    bytes: usize,
    until: Option<MonoNanos>,
}

impl Held {
    /// When the last part must be there.
    pub(super) fn due(&self) -> Option<MonoNanos> {
        self.until
    }

    /// Takes a line and says what becomes of it. Between the parts a whole message keeps its place.
    pub(super) fn take(&mut self, segment: Segment, line: &str, now: Now) -> Turn {
        let is_open = self.until.is_some();
        match segment {
            Segment::Whole if !is_open => return Turn::Publish,
            Segment::First if is_open => return Turn::Torn("segments: must end before others begin"),
            Segment::Middle | Segment::Last if !is_open => {
                return Turn::Torn("segments: must begin with SEG_START");
            }
            Segment::First => self.until = Some(now.after(PARTS_NS)),
            _ => {}
        }
        self.bytes += line.len();
        if self.bytes > BYTES_MAX {
            return Turn::Torn("segments: must have at most 64 MiB");
        }
        self.lines.push((now.wall, line.to_owned()));
        if segment == Segment::Last { Turn::Release(self.clear()) } else { Turn::Wait }
    }

    /// Lets go of what waits.
    pub(super) fn clear(&mut self) -> Vec<(WallNanos, String)> {
        (self.bytes, self.until) = (0, None);
        std::mem::take(&mut self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now { wall: WallNanos(7), mono: MonoNanos(1) };

    #[test]
    fn parts_wait_for_the_last_one_and_keep_the_order_of_everything_that_came() {
        let mut held = Held::default();
        assert_eq!(held.take(Segment::Whole, "a", NOW), Turn::Publish);
        assert_eq!(held.take(Segment::First, "b", NOW), Turn::Wait);
        assert_eq!(held.due(), Some(MonoNanos(1 + PARTS_NS)));
        assert_eq!(held.take(Segment::Whole, "c", NOW), Turn::Wait);
        let all = ["b", "c", "d"].map(|line| (WallNanos(7), line.to_owned())).to_vec();
        assert_eq!(held.take(Segment::Last, "d", NOW), Turn::Release(all));
        assert_eq!((held.due(), held.take(Segment::Whole, "e", NOW)), (None, Turn::Publish));
    }

    #[test]
    fn parts_that_do_not_fit_together_are_torn() {
        for (segments, rule) in [
            (&[Segment::Middle][..], "must begin"),
            (&[Segment::Last], "must begin"),
            (&[Segment::First, Segment::Middle, Segment::First], "must end"),
        ] {
            let mut held = Held::default();
            let last = segments.iter().map(|segment| held.take(*segment, "x", NOW)).last();
            assert!(matches!(last, Some(Turn::Torn(why)) if why.contains(rule)), "{segments:?}: {last:?}");
        }
        let mut held = Held::default();
        held.take(Segment::First, &"x".repeat(BYTES_MAX), NOW);
        assert_eq!(held.take(Segment::Middle, "x", NOW), Turn::Torn("segments: must have at most 64 MiB"));
    }
}
