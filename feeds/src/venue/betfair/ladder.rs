//! The ladders of one runner: price by price (`atb atl`) and level by level (`bdatb bdatl`, `batb batl`).

use std::ops::Range;

use super::amount::Amount;

/// Most prices kept of one side: the FINEST ladder has more, but no market uses them all.
const PRICES_MAX: usize = 2_048;

/// Levels 0 to 9.
const LEVELS: usize = 10;

/// Which ladder a delta belongs to; the best known kind of a market is the one that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// `batb batl`: best levels.
    Best,
    /// `bdatb bdatl`: best levels with virtual prices.
    Display,
    /// `atb atl`: every price.
    Full,
}

/// Which side of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Available to back.
    Back,
    /// Available to lay.
    Lay,
}

/// Price and size of one level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Level {
    pub(super) price: Amount,
    pub(super) size: Amount,
}

/// What one `rc` entry says of one side of one kind.
#[derive(Clone, Debug)]
pub(super) struct LadderChange {
    pub(super) kind: Kind,
    pub(super) side: Side,
    /// Its steps among those of the message. Without any, for `[]` or null, the side is cleared.
    pub(super) steps: Range<usize>,
}

/// One changed level; size 0 removes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Which level, where the ladder goes level by level.
    pub(super) at: usize,
    pub(super) level: Level,
}

/// One side of one kind. Both forms keep their memory when cleared.
#[derive(Debug, Default)]
struct Rungs {
    /// By price, the best last.
    prices: Vec<(i64, Level)>,
    /// By level, the best first.
    levels: Vec<Option<Level>>,
}

impl Rungs {
    fn clear(&mut self) {
        self.prices.clear();
        self.levels.clear();
    }

    fn set_prices(&mut self, side: Side, steps: &[Step]) {
        for Step { level, .. } in steps {
            // Lay prices are better the lower they are: with every bit turned they are in the other order.
            let order = level.price.order();
            let order = if side == Side::Back { order } else { !order };
            match self.prices.binary_search_by_key(&order, |(order, _)| *order) {
                Ok(at) if level.size.is_zero() => {
                    self.prices.remove(at);
                }
                Ok(at) => {
                    if let Some(known) = self.prices.get_mut(at) {
                        known.1 = *level;
                    }
                }
                Err(_) if level.size.is_zero() => {}
                Err(at) => {
                    self.prices.insert(at, (order, *level));
                    if self.prices.len() > PRICES_MAX {
                        self.prices.remove(0);
                    }
                }
            }
        }
    }

    fn set_level(&mut self, at: usize, level: Level) {
        if at >= LEVELS {
            return;
        }
        if self.levels.len() <= at {
            self.levels.resize(at + 1, None);
        }
        if let Some(known) = self.levels.get_mut(at) {
            *known = (!level.size.is_zero()).then_some(level);
        }
    }

    fn best(&self, kind: Kind) -> Option<Level> {
        match kind {
            Kind::Full => self.prices.last().map(|(_, level)| *level),
            _ => self.levels.first().copied().flatten(),
        }
    }
}

/// All ladders of one runner.
#[derive(Debug, Default)]
pub(super) struct Ladders {
    /// By kind, then side.
    rungs: [[Rungs; 2]; 3],
}

impl Ladders {
    /// Forgets every level.
    pub(super) fn clear(&mut self) {
        self.rungs.iter_mut().flatten().for_each(Rungs::clear);
    }

    /// Applies one change, whose steps are given.
    #[inline]
    pub(super) fn apply(&mut self, change: &LadderChange, steps: &[Step]) {
        let LadderChange { kind, side, .. } = *change;
        let Some(rungs) = self.rungs.get_mut(kind as usize).and_then(|k| k.get_mut(side as usize)) else {
            return;
        };
        match kind {
            _ if steps.is_empty() => rungs.clear(),
            Kind::Full => rungs.set_prices(side, steps),
            _ => steps.iter().for_each(|step| rungs.set_level(step.at, step.level)),
        }
    }

    /// Levels of one side of one kind.
    pub(super) fn count(&self, kind: Kind, side: Side) -> usize {
        let mut count = 0;
        self.each(kind, side, |_, _| count += 1);
        count
    }

    /// Calls `each` with every level of one side of one kind and its number, the best first.
    pub(super) fn each(&self, kind: Kind, side: Side, mut each: impl FnMut(usize, Level)) {
        let Some(rungs) = self.rungs.get(kind as usize).and_then(|k| k.get(side as usize)) else { return };
        match kind {
            Kind::Full => rungs.prices.iter().rev().enumerate().for_each(|(at, (_, level))| each(at, *level)),
            _ => rungs
                .levels
                .iter()
                .enumerate()
                .filter_map(|(at, level)| Some((at, (*level)?)))
                .for_each(|(at, level)| each(at, level)),
        }
    }

    /// Best level of one side in the market's kind of ladder.
    #[inline]
    pub(super) fn best(&self, kind: Kind, side: Side) -> Option<Level> {
        self.rungs.get(kind as usize)?.get(side as usize)?.best(kind)
    }
}
