//! From a name on the wire to what it stands for, resolved once and looked up from then on.

use hashbrown::HashMap;

use crate::number::{WIDE_BYTES, Wide};

/// Places of names that are found without the map.
const HOT: usize = 256;

/// A name of up to 15 bytes: its text, zeros, and its length in the last byte.
type Words = [u64; 2];

/// No name: none is as long.
const NO_WORDS: Words = [u64::MAX; 2];

/// What is known of each name of one decoder. Names that cannot be used are not kept, so that a flood of them
/// cannot fill it.
#[derive(Debug)]
pub struct Names<T> {
    /// Known names with their positions, each where [`hot_place`] says: the one that came last.
    hot: Box<[(Words, usize); HOT]>,
    positions: HashMap<Box<[u8]>, usize>,
    known: Vec<T>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { hot: Box::new([(NO_WORDS, 0); HOT]), positions: HashMap::new(), known: Vec::new() }
    }
}

impl<T> Names<T> {
    /// What `name` stands for; `resolve` is asked the first time, and again as long as it answers none.
    #[inline]
    pub fn get(&mut self, name: &[u8], resolve: impl FnOnce(&str) -> Option<T>) -> Option<&mut T> {
        let words = words(name);
        let at = match self.hot.get(hot_place(words)) {
            Some((hot, at)) if *hot == words && words != NO_WORDS => *at,
            _ => self.find(name, words, resolve)?,
        };
        self.known.get_mut(at)
    }

    #[inline(never)]
    fn find(&mut self, name: &[u8], words: Words, resolve: impl FnOnce(&str) -> Option<T>) -> Option<usize> {
        let at = match self.positions.get(name) {
            Some(at) => *at,
            None => self.learn(name, resolve)?,
        };
        if let Some(place) = self.hot.get_mut(hot_place(words)).filter(|_| words != NO_WORDS) {
            *place = (words, at);
        }
        Some(at)
    }

    #[cold]
    fn learn(&mut self, name: &[u8], resolve: impl FnOnce(&str) -> Option<T>) -> Option<usize> {
        let resolved = std::str::from_utf8(name).ok().filter(|n| !n.is_empty()).and_then(resolve)?;
        self.positions.insert(Box::from(name), self.known.len());
        self.known.push(resolved);
        Some(self.known.len() - 1)
    }
}

/// A name as words; longer ones have none.
#[inline]
fn words(name: &[u8]) -> Words {
    match Wide::of(name).filter(|_| name.len() < WIDE_BYTES) {
        Some(wide) => {
            let [low, high] = wide.words();
            [low, high | (name.len() as u64) << 56]
        }
        None => NO_WORDS,
    }
}

/// Where a name is looked for first. Names that meet there displace one another and are found in the map, so that this
/// need not resist names that were made to meet.
#[inline]
fn hot_place([low, high]: Words) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    ((low ^ high.rotate_left(32)).wrapping_mul(ODD) >> 56) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_by_every_byte_and_by_their_length() {
        let all: Vec<Vec<u8>> = (0..40)
            .flat_map(|bytes| [b'a', 0].map(|end| [vec![b'a'; bytes], vec![end]].concat()))
            .chain((0..1_000_u32).map(|number| number.to_string().into_bytes()))
            .collect();
        let mut names = Names::default();
        for round in 0..3 {
            for name in &all {
                let known = names.get(name, |new| (round == 0).then(|| new.to_owned()));
                assert_eq!(known.map(|known| known.as_bytes()), Some(name.as_slice()));
            }
        }
        assert_eq!(names.get(b"", |_| Some(String::new())), None);
    }
}
