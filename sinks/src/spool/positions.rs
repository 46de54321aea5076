//! Where the sources of a batch stood, as it is written beside the lines: a sum, then JSON. A start reads them of
//! every record, so that it knows to the message what was received before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::batch::Position;

/// Longest that is read; a head that says more is damaged.
pub const POSITIONS_BYTES_MAX: usize = 16 * 1024 * 1024;

const SUM_BYTES: usize = 4;

/// Feed, endpoint, topic, `_src` and `_seq`.
type Row<T> = (T, T, T, u32, u64);

/// Appends `positions` to `into`; nothing if there are none.
pub(super) fn write(positions: &[Position], into: &mut Vec<u8>) {
    if positions.is_empty() {
        return;
    }
    let begin = into.len();
    into.extend_from_slice(&[0; SUM_BYTES]);
    let rows: Vec<Row<&str>> =
        positions.iter().map(|p| (&*p.feed, &*p.endpoint, &*p.topic, p.src, p.last)).collect();
    // Numbers and text always have a JSON form, and memory takes it.
    serde_json::to_writer(&mut *into, &rows).ok();
    let sum = crc32c::crc32c(into.get(begin + SUM_BYTES..).unwrap_or_default());
    if let Some(to) = into.get_mut(begin..begin + SUM_BYTES) {
        to.copy_from_slice(&sum.to_le_bytes());
    }
}

/// Reads them back; none if they are damaged.
fn read(bytes: &[u8]) -> Option<Vec<Row<String>>> {
    let (sum, json) = bytes.split_first_chunk::<SUM_BYTES>()?;
    if crc32c::crc32c(json) != u32::from_le_bytes(*sum) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// The last number of each source that records have told.
#[derive(Clone, Debug, Default)]
pub struct Positions(BTreeMap<(String, String, String, u32), u64>);

impl Positions {
    /// Takes in what stands beside a record; damaged ones tell nothing.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for (feed, endpoint, topic, src, last) in read(bytes).unwrap_or_default() {
            let known = self.0.entry((feed, endpoint, topic, src)).or_default();
            *known = last.max(*known);
        }
    }

    /// One a source.
    pub fn iter(&self) -> impl Iterator<Item = Position> {
        self.0.iter().map(|((feed, endpoint, topic, src), last)| Position {
            feed: Arc::from(feed.as_str()),
            endpoint: Arc::from(endpoint.as_str()),
            topic: Arc::from(topic.as_str()),
            src: *src,
            last: *last,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(topic: &str, src: u32, last: u64) -> Position {
        Position { feed: "f".into(), endpoint: "tcp://a:1".into(), topic: topic.into(), src, last }
    }

    #[test]
    fn the_highest_number_of_each_source_is_kept_and_damage_tells_nothing() {
        let mut all = Positions::default();
        let mut bytes = Vec::new();
        for rows in
            [vec![position("t\"\n", 1, 7), position("u", 1, 3)], vec![position("t\"\n", 1, 5)], vec![]]
        {
            bytes.clear();
            write(&rows, &mut bytes);
            all.add(&bytes);
        }
        assert_eq!(bytes, [0; 0]);
        write(&[position("u", 1, 9)], &mut bytes);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            all.add(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(all.iter().collect::<Vec<_>>(), [position("t\"\n", 1, 7), position("u", 1, 3)]);
        all.add(&bytes);
        assert_eq!(all.iter().last(), Some(position("u", 1, 9)));
    }
}
