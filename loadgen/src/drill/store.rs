//! What the database double holds, line by line: how often each message was stored, when first, and whether a line
//! was ever stored that no message makes.

use std::sync::{Mutex, PoisonError};

use super::message;

/// What the engine writes itself.
const OWN: [&str; 4] = ["feed_gap,", "feed_event,", "tickline_ledger,", "tickline_points,"];

/// What is stored.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// How often, and when first, ns of the drill's clock; by number, from 1.
    messages: Vec<(u32, u64)>,
    /// Messages stored at least once.
    pub(super) distinct: u64,
    /// Lines of a message that differ from what it makes.
    pub(super) corrupted: u64,
    /// Lines of no message.
    pub(super) spurious: u64,
    /// Lines that the engine wrote about its feeds.
    pub(super) own: u64,
}

/// The store, shared by the connections of the double.
#[derive(Debug, Default)]
pub(super) struct Store(Mutex<Stored>);

impl Store {
    /// Stores every line of a body.
    pub(super) fn add(&self, body: &str, now_ns: u64) {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted = String::new();
        for line in body.lines().filter(|line| !line.is_empty()) {
            if OWN.iter().any(|measurement| line.starts_with(measurement)) {
                stored.own += 1;
                continue;
            }
            let Some(n) = message::number(line).filter(|n| (1..1 << 32).contains(n)) else {
                stored.spurious += 1;
                continue;
            };
            message::line(n, &mut wanted);
            if wanted != line {
                stored.corrupted += 1;
                continue;
            }
            let at = (n - 1) as usize;
            if stored.messages.len() <= at {
                stored.messages.resize(at + 1, (0, 0));
            }
            let fresh = match stored.messages.get_mut(at) {
                Some((times @ 0, first)) => {
                    (*times, *first) = (1, now_ns);
                    true
                }
                Some((times, _)) => {
                    *times = times.saturating_add(1);
                    false
                }
                None => false,
            };
            stored.distinct += u64::from(fresh);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Stored::default();
    }

    /// Looks at what is stored.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Stored) -> T) -> T {
        look(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Stored {
    /// Whether a message is stored.
    pub(super) fn has(&self, n: u64) -> bool {
        self.first_ns(n).is_some()
    }

    /// When it was first stored.
    pub(super) fn first_ns(&self, n: u64) -> Option<u64> {
        let at = usize::try_from(n.checked_sub(1)?).ok()?;
        self.messages.get(at).filter(|(times, _)| *times > 0).map(|(_, first)| *first)
    }

    /// Messages of a range that are not stored.
    pub(super) fn missing(&self, from: u64, to: u64) -> Vec<u64> {
        (from..=to).filter(|n| !self.has(*n)).collect()
    }

    /// Times that a message was stored again.
    pub(super) fn duplicates(&self) -> u64 {
        self.messages.iter().map(|(times, _)| u64::from(times.saturating_sub(1))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_one_of_its_message_or_counted_against_the_writer() {
        let store = Store::default();
        let (mut one, mut three) = (String::new(), String::new());
        message::line(1, &mut one);
        message::line(3, &mut three);
        store.add(&format!("{one}\n{three}\n"), 10);
        store.add("feed_gap,cause=zmq,feed=f,instance=i from_ns=1i 1\n", 15);
        store.add(&format!("{three}\nother v=1 1\n{}\n", one.replace("n=1i", "n=2i")), 20);
        store.look(|stored| {
            assert_eq!((stored.distinct, stored.duplicates()), (2, 1));
            assert_eq!((stored.corrupted, stored.spurious, stored.own), (1, 1, 1));
            assert_eq!(stored.missing(1, 4), [2, 4]);
            assert_eq!(stored.first_ns(3), Some(10));
        });
    }
}
