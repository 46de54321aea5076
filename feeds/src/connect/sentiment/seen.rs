//! Ids that were seen. It promises to remember the last so many and a bound on its memory; it refuses to remember more
//! than twice as many.

use hashbrown::HashSet;

/// Ids in two generations: when the younger is full, the older is forgotten.
#[derive(Debug)]
pub(super) struct Seen {
    young: HashSet<Box<str>>,
    old: HashSet<Box<str>>,
    most: usize,
}

impl Seen {
    /// Remembers at least the last `most`.
    pub(super) fn new(most: usize) -> Self {
        Self { young: HashSet::new(), old: HashSet::new(), most }
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.young.contains(id) || self.old.contains(id)
    }

    /// Remembers an id; false: it was seen before.
    pub(super) fn insert(&mut self, id: &str) -> bool {
        if self.has(id) {
            return false;
        }
        if self.young.len() >= self.most {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(Box::from(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ids_are_known_and_no_more_than_twice_as_many_are_kept() {
        let mut seen = Seen::new(10);
        for id in 0..1_000_u32 {
            assert!(seen.insert(&id.to_string()));
            let known = |back: u32| id.checked_sub(back).is_none_or(|id| seen.has(&id.to_string()));
            assert!((0..10).all(known), "{id}");
            assert!(seen.young.len() + seen.old.len() <= 20);
        }
        assert!(!seen.insert("999"));
        assert!(seen.insert("0"), "forgotten long ago");
    }
}
