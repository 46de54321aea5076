//! Wall times of an open-loop schedule, and who is to blame for a late message. Pure arithmetic: time is an
//! argument.

use tickline_feeds::clock::{MonoNanos, WallNanos};

/// A slot that begins later than this after it was due is late.
pub const LATE_NS: u64 = 10_000_000;

/// Wall time of a monotonic time. The two clocks drift apart while the system disciplines the wall clock, and a
/// thread may be suspended between reading one and the other; so the smallest difference seen counts, and may
/// grow by 1 ns a µs.
#[derive(Clone, Copy, Debug)]
pub struct WallOffset {
    offset_ns: i64,
    seen: MonoNanos,
}

impl WallOffset {
    /// `wall` was read after `mono`.
    pub fn new(mono: MonoNanos, wall: WallNanos) -> Self {
        Self { offset_ns: wall.0 - mono.0 as i64, seen: mono }
    }

    /// Another such pair.
    pub fn observe(&mut self, mono: MonoNanos, wall: WallNanos) {
        let drift_ns = (mono.since(self.seen) / 1_000) as i64;
        *self = Self { offset_ns: (self.offset_ns + drift_ns).min(wall.0 - mono.0 as i64), seen: mono };
    }

    /// The wall time at `mono`.
    pub fn wall(&self, mono: MonoNanos) -> WallNanos {
        WallNanos(mono.0 as i64 + self.offset_ns)
    }
}

/// Counts late and blocked slots of one publisher. A slot is late if it begins more than 10 ms after it was due,
/// unless the queue was full since the publisher was last on time: then it is blocked, as is a slot that meets
/// the full queue itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Punctuality {
    /// Late slots: the generator was the limit.
    pub late: u64,
    /// Slots delayed by a full queue: the subscriber was the limit.
    pub blocked: u64,
    behind_a_full_queue: bool,
}

impl Punctuality {
    /// The next slot is not due yet.
    pub fn on_time(&mut self) {
        self.behind_a_full_queue = false;
    }

    /// A slot was begun `behind_ns` after it was due and met a full queue or not.
    pub fn sent(&mut self, behind_ns: u64, met_full_queue: bool) {
        if self.behind_a_full_queue || (met_full_queue && behind_ns <= LATE_NS) {
            self.blocked += 1;
        } else if behind_ns > LATE_NS {
            self.late += 1;
        }
        self.behind_a_full_queue |= met_full_queue;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspension_between_the_clocks_does_not_move_the_schedule() {
        let mut offset = WallOffset::new(MonoNanos(1_000), WallNanos(501_000));
        assert_eq!(offset.wall(MonoNanos(2_000)), WallNanos(502_000));
        offset.observe(MonoNanos(2_000), WallNanos(8_502_000));
        assert_eq!(offset.wall(MonoNanos(2_000)), WallNanos(502_001));
        offset.observe(MonoNanos(3_000), WallNanos(502_990));
        assert_eq!(offset.wall(MonoNanos(3_000)), WallNanos(502_990));
    }

    #[test]
    fn lateness_is_blamed_on_the_queue_until_the_publisher_is_on_time_again() {
        let mut punctuality = Punctuality::default();
        punctuality.sent(LATE_NS, false);
        punctuality.sent(LATE_NS + 1, false);
        assert_eq!((punctuality.late, punctuality.blocked), (1, 0));
        punctuality.sent(0, true);
        punctuality.sent(LATE_NS + 1, false);
        punctuality.sent(5, false);
        assert_eq!((punctuality.late, punctuality.blocked), (1, 3));
        punctuality.on_time();
        punctuality.sent(LATE_NS + 1, false);
        assert_eq!((punctuality.late, punctuality.blocked), (2, 3));
    }

    #[test]
    fn a_slot_that_was_late_before_it_met_the_full_queue_is_late() {
        let mut punctuality = Punctuality::default();
        punctuality.sent(LATE_NS + 1, true);
        assert_eq!((punctuality.late, punctuality.blocked), (1, 0));
    }
}
