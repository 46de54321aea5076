//! What a feed's filter does to a candidate: it makes a point, or is counted as filtered. Only ids that the table of series
//! has marked get here, so that a feed without a filter never does.

use super::{Emit, VenueTime};
use crate::field::{FieldPlan, Slot};
use crate::series::SeriesId;

impl Emit<'_> {
    /// A candidate whose id the table does not know as it is: one that the filter must be asked about, or a bad point.
    #[cold]
    #[inline(never)]
    pub(super) fn held_back(
        &mut self,
        series: SeriesId,
        plan: &FieldPlan,
        slots: &[Slot<'_>],
        at: VenueTime,
        flags: u8,
    ) {
        let Some((known, _)) = self.series.get(series.known()) else { return self.bad_point() };
        let condition = self.scratch.condition.as_ref();
        if !known.left_out && condition.is_none_or(|condition| condition.holds(plan.measurement, slots)) {
            // Counted again there.
            self.tally.candidates -= 1;
            return self.point(Some(series.known()), plan, slots, at, flags);
        }
        known.ties.next_in_map(self.map);
        if let Some(deadband) = &mut self.scratch.deadband {
            deadband.forget_one(series);
        }
        self.tally.rare().filtered += 1;
    }

    /// Counts a candidate that makes no point anyway, if it is the filter that does not want it.
    #[cold]
    #[inline(never)]
    pub(super) fn suppress_held(&mut self, series: SeriesId) -> bool {
        let Some((known, _)) = self.series.get(series.known()) else { return false };
        known.ties.next_in_map(self.map);
        let filtered = known.left_out;
        self.tally.rare().filtered += u64::from(filtered);
        filtered
    }

    /// Whether the filter wants nothing of a series.
    pub(super) fn is_left_out(&mut self, series: SeriesId) -> bool {
        self.series.get(series.known()).is_some_and(|(known, _)| known.left_out)
    }
}
