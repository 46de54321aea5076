//! One runner: its ladders, the best levels last told of it, and its figures.

use super::amount::Amount;
use super::change::Change;
use super::ladder::{Kind, LadderChange, Ladders, Level, Side};
use crate::field::Slot;
use crate::series::SeriesId;

#[derive(Debug, Default)]
pub(super) struct Runner {
    pub(super) selection: i64,
    pub(super) handicap: i64,
    pub(super) ladders: Ladders,
    /// By side: what was last seen best; `Some(None)` is a side known to be empty.
    pub(super) best: [Option<Option<Level>>; 2],
    pub(super) last_price: Option<Amount>,
    pub(super) matched: Option<Amount>,
    pub(super) sp_near: Option<Amount>,
    pub(super) sp_far: Option<Amount>,
    pub(super) definition: Option<u64>,
    pub(super) stream: Option<SeriesId>,
    pub(super) runner: Option<SeriesId>,
    /// Last market change in which it made a point.
    pub(super) written: u64,
}

/// What one `rc` entry moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    pub(super) figures: bool,
    pub(super) prices: bool,
    pub(super) ladders: bool,
}

impl Runner {
    pub(super) fn take_figures(&mut self, change: &Change) -> bool {
        let mut moved = false;
        for (known, new) in [
            (&mut self.last_price, change.last_price),
            (&mut self.matched, change.matched),
            (&mut self.sp_near, change.sp_near),
            (&mut self.sp_far, change.sp_far),
        ] {
            if new.is_some() && *known != new {
                *known = new;
                moved = true;
            }
        }
        moved
    }

    /// Takes the best levels over from the ladders. A side counts as known once it was mentioned.
    pub(super) fn settle(&mut self, kind: Option<Kind>, ladders: &[LadderChange]) -> bool {
        let Some(kind) = kind else { return false };
        let mut moved = false;
        for side in [Side::Back, Side::Lay] {
            let best = self.ladders.best(kind, side);
            let Some(known) = self.best.get_mut(side as usize) else { continue };
            let mentioned =
                known.is_some() || best.is_some() || ladders.iter().any(|ladder| ladder.side == side);
            if mentioned && *known != Some(best) {
                *known = Some(best);
                moved = true;
            }
        }
        moved
    }

    /// Fills the empty `slots` of its point. Each is stored at once: as one expression they would all be held until the
    /// last is known.
    #[inline]
    pub(super) fn fill<'a>(&self, slots: &mut [Slot<'a>; 10], status: &'a [u8], in_play: Option<bool>) {
        let [back, back_size, lay, lay_size, last_price, matched, in_play_slot, status_slot, sp_near, sp_far] =
            slots;
        let [best_back, best_lay] = &self.best;
        for (best, price, size) in [(best_back, back, back_size), (best_lay, lay, lay_size)] {
            match best {
                Some(Some(level)) => {
                    level.price.store(price);
                    level.size.store(size);
                }
                Some(None) => *size = Slot::Whole(0),
                None => {}
            }
        }
        for (known, slot) in [
            (self.last_price, last_price),
            (self.matched, matched),
            (self.sp_near, sp_near),
            (self.sp_far, sp_far),
        ] {
            if let Some(amount) = known {
                amount.store(slot);
            }
        }
        if let Some(in_play) = in_play {
            *in_play_slot = Slot::Bool(in_play);
        }
        if !status.is_empty() {
            *status_slot = Slot::Text(status);
        }
    }
}
