//! From the values of a point's tags to its series, where they come from the payload: a series is made once for each
//! set of values and looked up from then on. Values of which no series can be made are not kept, so that a flood of
//! them cannot fill it.

use hashbrown::HashMap;

use crate::series::SeriesId;

/// Series of one measurement by the values of their tags.
#[derive(Debug, Default)]
pub struct TagSeries {
    known: HashMap<Box<[u8]>, SeriesId>,
    /// The values being looked up, each behind its length.
    key: Vec<u8>,
}

impl TagSeries {
    /// Begins with the values of another point.
    #[inline]
    pub fn begin(&mut self) {
        self.key.clear();
    }

    /// The next value is what `append` appends.
    #[inline]
    pub fn push(&mut self, append: impl FnOnce(&mut Vec<u8>)) {
        let mark = self.key.len();
        self.key.extend_from_slice(&[0; LENGTH_BYTES]);
        append(&mut self.key);
        let bytes = (self.key.len() - mark - LENGTH_BYTES) as u32;
        if let Some(length) = self.key.get_mut(mark..mark + LENGTH_BYTES) {
            length.copy_from_slice(&bytes.to_be_bytes());
        }
    }

    /// The series of the values; `intern` is asked for it the first time, and again as long as it answers none.
    #[inline]
    pub fn get(&mut self, intern: impl FnOnce(Values<'_>) -> Option<SeriesId>) -> Option<SeriesId> {
        if let Some(known) = self.known.get(self.key.as_slice()) {
            return Some(*known);
        }
        let series = intern(Values { rest: &self.key })?;
        self.known.insert(Box::from(self.key.as_slice()), series);
        Some(series)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// All series.
    pub fn all(&self) -> impl Iterator<Item = SeriesId> {
        self.known.values().copied()
    }
}

const LENGTH_BYTES: usize = 4;

/// The values of one point's tags, in order.
#[derive(Clone, Debug)]
pub struct Values<'k> {
    rest: &'k [u8],
}

impl<'k> Iterator for Values<'k> {
    type Item = &'k [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.rest.split_first_chunk::<LENGTH_BYTES>()?;
        let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        self.rest = rest;
        Some(value)
    }
}
