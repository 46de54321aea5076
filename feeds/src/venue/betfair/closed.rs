//! Markets that are gone: their series are kept a while, since a late message of one must meet the times that it has
//! used, and then make room for others.

use std::collections::VecDeque;

use crate::series::{SeriesId, SeriesTable};

/// Closed markets whose series are kept.
const CLOSED_KEPT: usize = 256;

/// Ids and series of markets that are gone.
#[derive(Debug, Default)]
pub(super) struct Closed {
    gone: VecDeque<(Vec<u8>, Vec<SeriesId>)>,
}

impl Closed {
    /// Takes over the series of a market; those of the one that went longest ago are released, unless it `is_known`
    /// again.
    pub(super) fn push(
        &mut self,
        (id, all): (Vec<u8>, Vec<SeriesId>),
        is_known: impl Fn(&[u8]) -> bool,
        series: &mut SeriesTable,
    ) {
        self.gone.push_back((id, all));
        if self.gone.len() <= CLOSED_KEPT {
            return;
        }
        let Some((id, all)) = self.gone.pop_front() else { return };
        // A market that came back has the same series.
        if !is_known(&id) && self.gone.iter().all(|(other, _)| *other != id) {
            all.into_iter().for_each(|gone| series.release(gone));
        }
    }
}
