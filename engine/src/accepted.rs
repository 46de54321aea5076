//! What a sink has accepted, so that someone outside can hold us to it: of each source, the number up to which
//! everything is accepted. Batches of a lane may be accepted in any order; only the unbroken run from the first
//! one counts. A lane that has lost a batch says nothing more.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tickline_sinks::batch::{Batch, BatchNumber, Position};

use crate::stats::Cell;

/// Last number, by feed, topic and `_src`.
pub type Sources = BTreeMap<Arc<str>, BTreeMap<Arc<str>, BTreeMap<u32, u64>>>;

#[derive(Debug, Default)]
struct Lane {
    next: u64,
    /// Batches that were accepted before one that comes before them.
    early: BTreeMap<u64, Vec<Position>>,
    broken: bool,
}

#[derive(Debug, Default)]
struct State {
    lanes: HashMap<u32, Lane>,
    sources: Sources,
    behind: bool,
}

/// What one sink has accepted.
#[derive(Debug, Default)]
pub struct Accepted(Cell<State>);

impl Accepted {
    /// A batch is accepted.
    pub fn accept(&self, number: Option<BatchNumber>, positions: &[Position]) {
        let Some(BatchNumber { lane, number }) = number else { return };
        let State { lanes, sources, .. } = &mut *self.0.lock();
        let lane = lanes.entry(lane).or_default();
        if lane.broken {
            return;
        }
        if number != lane.next {
            lane.early.insert(number, positions.to_vec());
            return;
        }
        lane.next += 1;
        positions.iter().for_each(|position| advance(sources, position));
        while let Some(positions) = lane.early.remove(&lane.next) {
            lane.next += 1;
            positions.iter().for_each(|position| advance(sources, position));
        }
    }

    /// A batch will never be accepted.
    pub fn lose(&self, batch: &Batch) {
        if let Some(number) = batch.number {
            let lane = &mut self.0.lock().lanes;
            let lane = lane.entry(number.lane).or_default();
            (lane.broken, lane.early) = (true, BTreeMap::new());
        }
    }

    /// While something older waits to be accepted, nothing is said to be.
    pub fn set_behind(&self, behind: bool) {
        self.0.lock().behind = behind;
    }

    /// As it is now.
    pub fn sources(&self) -> Sources {
        let state = self.0.lock();
        if state.behind { Sources::new() } else { state.sources.clone() }
    }
}

/// Known sources advance without allocating.
fn advance(sources: &mut Sources, position: &Position) {
    let Position { feed, topic, src, last, .. } = position;
    let known = sources.get_mut(feed).and_then(|topics| topics.get_mut(topic)?.get_mut(src));
    match known {
        Some(known) => *known = *last,
        None => {
            let topics = sources.entry(Arc::clone(feed)).or_default();
            topics.entry(Arc::clone(topic)).or_default().insert(*src, *last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(lane: u32, number: u64, last: u64) -> Batch {
        let topic = format!("t{lane}").into();
        let position = Position { feed: "f".into(), endpoint: "e".into(), topic, src: 7, last };
        Batch { number: Some(BatchNumber { lane, number }), positions: vec![position], ..Batch::default() }
    }

    fn last(accepted: &Accepted, topic: &str) -> Option<u64> {
        accepted.sources().get("f")?.get(topic)?.get(&7).copied()
    }

    #[test]
    fn a_number_is_told_only_when_everything_before_it_is_accepted() {
        let accepted = Accepted::default();
        let accept = |batch: Batch| accepted.accept(batch.number, &batch.positions);
        accept(batch(1, 1, 20));
        assert_eq!(last(&accepted, "t1"), None);
        accept(batch(2, 0, 5));
        accept(batch(1, 0, 10));
        assert_eq!((last(&accepted, "t1"), last(&accepted, "t2")), (Some(20), Some(5)));
        accept(batch(1, 3, 40));
        assert_eq!(last(&accepted, "t1"), Some(20));
        accepted.set_behind(true);
        assert_eq!(last(&accepted, "t1"), None);
        accepted.set_behind(false);
        accept(batch(1, 2, 30));
        assert_eq!(last(&accepted, "t1"), Some(40));
    }

    #[test]
    fn behind_a_batch_that_was_lost_nothing_is_told_of_its_lane() {
        let accepted = Accepted::default();
        for at in [0, 1, 3] {
            let batch = batch(1, at, at * 10);
            accepted.accept(batch.number, &batch.positions);
        }
        accepted.lose(&batch(1, 2, 20));
        let after = batch(1, 4, 40);
        accepted.accept(after.number, &after.positions);
        assert_eq!(last(&accepted, "t1"), Some(10));
    }
}
