//! Where a decoder's lines are made.

use crate::condition::PlacedCondition;
use crate::deadband::Deadband;
use crate::line::Line;
use crate::minutes::FrameMinutes;
use crate::number::LastNumber;
use crate::time::LastMinute;

/// Where a decoder's lines are made, and what is kept from one to the next.
#[derive(Debug)]
pub struct Scratch {
    pub(crate) line: Line,
    pub(crate) deadband: Option<Deadband>,
    pub(crate) condition: Option<PlacedCondition>,
    pub(crate) minutes: FrameMinutes,
    /// The field `recv_ns`.
    pub(crate) recv_text: LastNumber<9>,
    /// The time at the end of a line.
    pub(crate) time_text: LastNumber<1>,
    pub(crate) last_minute: LastMinute,
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new(None, None)
    }
}

impl Scratch {
    /// With the deadband of a quote feed that has one, and the condition of a feed's filter.
    pub fn new(deadband: Option<Deadband>, condition: Option<PlacedCondition>) -> Self {
        Self {
            deadband,
            condition,
            line: Line::default(),
            minutes: FrameMinutes::default(),
            recv_text: LastNumber::new(b",recv_ns=", b'i'),
            time_text: LastNumber::new(b" ", b'\n'),
            last_minute: LastMinute::default(),
        }
    }

    /// The last frame's points are not written.
    #[cold]
    pub fn discard(&mut self) {
        if let Some(deadband) = &mut self.deadband {
            deadband.forget();
        }
    }

    /// The lines of the last frame.
    #[inline]
    pub fn lines(&self) -> &[u8] {
        self.line.text()
    }
}
