//! From a name on the wire to what it stands for, resolved once and looked up from then on.

use hashbrown::HashMap;

/// What is known of each name of one decoder. Names that cannot be used are not kept, so that a flood of them
/// cannot fill it.
#[derive(Debug)]
pub struct Names<T> {
    known: HashMap<Box<[u8]>, T>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { known: HashMap::new() }
    }
}

impl<T> Names<T> {
    /// What `name` stands for; `resolve` is asked the first time, and again as long as it answers none.
    #[inline]
    pub fn get(&mut self, name: &[u8], resolve: impl FnOnce(&str) -> Option<T>) -> Option<&mut T> {
        if !self.known.contains_key(name) {
            let resolved = std::str::from_utf8(name).ok().filter(|n| !n.is_empty()).and_then(resolve)?;
            self.known.insert(Box::from(name), resolved);
        }
        self.known.get_mut(name)
    }
}
