//! From a name on the wire to what it stands for, resolved once and looked up from then on.

use hashbrown::HashMap;

/// What is known of each name of one decoder. Names that cannot be used are not kept, so that a flood of them
/// cannot fill it.
#[derive(Debug)]
pub struct Names<T> {
    positions: HashMap<Box<[u8]>, usize>,
    known: Vec<T>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { positions: HashMap::new(), known: Vec::new() }
    }
}

impl<T> Names<T> {
    /// What `name` stands for; `resolve` is asked the first time, and again as long as it answers none.
    #[inline]
    pub fn get(&mut self, name: &[u8], resolve: impl FnOnce(&str) -> Option<T>) -> Option<&mut T> {
        let at = match self.positions.get(name) {
            Some(at) => *at,
            None => self.learn(name, resolve)?,
        };
        self.known.get_mut(at)
    }

    #[cold]
    fn learn(&mut self, name: &[u8], resolve: impl FnOnce(&str) -> Option<T>) -> Option<usize> {
        let resolved = std::str::from_utf8(name).ok().filter(|n| !n.is_empty()).and_then(resolve)?;
        self.positions.insert(Box::from(name), self.known.len());
        self.known.push(resolved);
        Some(self.known.len() - 1)
    }
}
