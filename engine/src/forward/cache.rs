//! The last message of each topic and symbol, for subscribers that come late. Bounded in messages and in bytes; beyond that
//! one that has not been renewed is given up, found by a hand that goes round (second chance).

use std::collections::HashMap;
use std::ops::Deref;

use tickline_config::model::CacheLimits;

use super::report::CacheCounts;

/// What an entry takes beside its key and its parts.
const ENTRY_BYTES: usize = 200;
/// Room that a renewed part may leave unused.
const SLACK_BYTES: usize = 1_024;

#[derive(Debug)]
struct Entry {
    key: Box<[u8]>,
    topic: usize,
    parts: Vec<Vec<u8>>,
    /// When it was renewed, in messages of the cache.
    stamp: u64,
    /// Since the hand last came by.
    renewed: bool,
}

impl Entry {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + 2 * self.key.len() + self.parts.iter().map(Vec::capacity).sum::<usize>()
    }
}

/// The cache.
#[derive(Debug)]
pub(super) struct Cache {
    limits: CacheLimits,
    /// Places; none: free.
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    by_key: HashMap<Box<[u8]>, usize>,
    /// The key being looked for.
    key: Vec<u8>,
    bytes: usize,
    hand: usize,
    stamp: u64,
    evicted: u64,
    replayed: u64,
}

impl Cache {
    pub(super) fn new(limits: CacheLimits) -> Self {
        Self {
            limits,
            entries: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            key: Vec::new(),
            bytes: 0,
            hand: 0,
            stamp: 0,
            evicted: 0,
            replayed: 0,
        }
    }

    /// Keeps a message as the last one of its topic and symbol. One that was `sent_again` by another cache is kept only where
    /// there is none.
    pub(super) fn put<P: Deref<Target = [u8]>>(
        &mut self,
        topic: usize,
        symbol: Option<&[u8]>,
        parts: &[P],
        sent_again: bool,
    ) {
        self.key.clear();
        self.key.extend_from_slice(&topic.to_le_bytes());
        self.key.extend_from_slice(symbol.unwrap_or_default());
        self.stamp += 1;
        if ENTRY_BYTES + parts.iter().map(|part| part.len()).sum::<usize>() > self.limits.bytes_max {
            return self.leave_out();
        }
        match self.by_key.get(self.key.as_slice()) {
            Some(_) if sent_again => return,
            Some(&at) => {
                let Some(Some(entry)) = self.entries.get_mut(at) else { return };
                self.bytes -= entry.bytes();
                entry.parts.resize_with(parts.len(), Vec::new);
                entry.parts.iter_mut().zip(parts).for_each(|(kept, part)| renew(kept, part));
                (entry.stamp, entry.renewed) = (self.stamp, true);
                self.bytes += entry.bytes();
            }
            None => {
                let key: Box<[u8]> = Box::from(self.key.as_slice());
                let parts = parts.iter().map(|part| part.to_vec()).collect();
                let entry = Entry { key: key.clone(), topic, parts, stamp: self.stamp, renewed: false };
                self.bytes += entry.bytes();
                // A place that was given up lies behind the hand.
                let at = self.free.pop().unwrap_or(self.entries.len());
                match self.entries.get_mut(at) {
                    Some(place) => *place = Some(entry),
                    None => self.entries.push(Some(entry)),
                }
                self.by_key.insert(key, at);
            }
        }
        while self.by_key.len() > self.limits.entries_max
            || (self.bytes > self.limits.bytes_max && !self.by_key.is_empty())
        {
            self.evict();
        }
    }

    /// A message larger than the cache: what was the last one before it is not so any more.
    #[cold]
    fn leave_out(&mut self) {
        self.evicted += 1;
        let Some(at) = self.by_key.remove(self.key.as_slice()) else { return };
        if let Some(gone) = self.entries.get_mut(at).and_then(Option::take) {
            self.bytes -= gone.bytes();
            self.free.push(at);
        }
    }

    /// Gives up the next entry that was not renewed since the hand came by; there is one.
    #[cold]
    fn evict(&mut self) {
        loop {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            let at = self.hand;
            self.hand += 1;
            let Some(place) = self.entries.get_mut(at) else { return };
            if let Some(gone) = place.take_if(|entry| !std::mem::replace(&mut entry.renewed, false)) {
                self.bytes -= gone.bytes();
                self.by_key.remove(&gone.key);
                self.free.push(at);
                self.evicted += 1;
                return;
            }
        }
    }

    /// Calls `each` with the messages of the topics that are wanted, the one that was renewed longest ago first.
    pub(super) fn replay<E>(
        &mut self,
        wanted: impl Fn(usize) -> bool,
        mut each: impl FnMut(&[Vec<u8>]) -> Result<(), E>,
    ) -> Result<(), E> {
        let entries = self.entries.iter().flatten();
        let mut found: Vec<&Entry> = entries.filter(|entry| wanted(entry.topic)).collect();
        found.sort_unstable_by_key(|entry| entry.stamp);
        self.replayed += found.len() as u64;
        found.into_iter().try_for_each(|entry| each(&entry.parts))
    }

    pub(super) fn counts(&self) -> CacheCounts {
        CacheCounts {
            entries: self.by_key.len() as u64,
            bytes: self.bytes as u64,
            evicted: self.evicted,
            replayed: self.replayed,
        }
    }
}

/// Puts a part in the place of another, in its memory where that is not far too much.
fn renew(kept: &mut Vec<u8>, part: &[u8]) {
    if kept.capacity() > 2 * part.len() + SLACK_BYTES {
        *kept = part.to_vec();
    } else {
        kept.clear();
        kept.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn replayed(cache: &mut Cache, topic: usize) -> Vec<String> {
        let mut all = Vec::new();
        let each = |parts: &[Vec<u8>]| {
            all.push(String::from_utf8(parts.concat()).unwrap());
            Ok::<(), Infallible>(())
        };
        cache.replay(|of| of == topic, each).unwrap();
        all
    }

    #[test]
    fn the_last_message_of_each_topic_and_symbol_comes_again_in_the_order_in_which_they_were_sent() {
        let mut cache = Cache::new(CacheLimits { entries_max: 10, bytes_max: 1 << 20 });
        let sent: [(usize, Option<&[u8]>, &str); 6] = [
            (1, Some(b"A"), "a1"),
            (1, Some(b"B"), "b1"),
            (2, None, "x1"),
            (1, Some(b"A"), "a2"),
            (1, None, "n1"),
            (2, Some(b"A"), "y1"),
        ];
        for (topic, symbol, payload) in sent {
            cache.put(topic, symbol, &[b"t".as_slice(), payload.as_bytes()], false);
        }
        cache.put(1, Some(b"A"), &[b"t", b"older".as_slice()], true);
        cache.put(1, Some(b"C"), &[b"t", b"c0".as_slice()], true);
        assert_eq!(replayed(&mut cache, 1), ["tb1", "ta2", "tn1", "tc0"]);
        assert_eq!(replayed(&mut cache, 2), ["tx1", "ty1"]);
        assert_eq!((cache.counts().entries, cache.counts().replayed, cache.counts().evicted), (6, 6, 0));
    }

    #[test]
    fn beyond_its_bounds_it_gives_up_what_was_not_renewed_and_counts_it() {
        let mut cache = Cache::new(CacheLimits { entries_max: 3, bytes_max: 1 << 20 });
        let put = |cache: &mut Cache, symbol: &str| {
            cache.put(1, Some(symbol.as_bytes()), &[symbol.as_bytes()], false)
        };
        ["a", "b", "c", "d"].iter().for_each(|symbol| put(&mut cache, symbol));
        put(&mut cache, "c");
        put(&mut cache, "e");
        let kept = replayed(&mut cache, 1);
        assert!(kept.contains(&"c".to_owned()) && kept.contains(&"e".to_owned()), "{kept:?}");
        assert_eq!((kept.len(), cache.counts().evicted), (3, 2));
        // By bytes, also where one entry grows.
        let mut cache = Cache::new(CacheLimits { entries_max: 1_000, bytes_max: 10_000 });
        for n in 0..1_000_u32 {
            let size = if n % 7 == 0 { 3_000 } else { 10 };
            cache.put(1, Some(&(n % 20).to_be_bytes()), &[vec![b'x'; size]], false);
            let held = || cache.entries.iter().flatten();
            assert_eq!(held().map(Entry::bytes).sum::<usize>(), cache.bytes);
            assert_eq!(
                (held().count(), cache.free.len()),
                (cache.by_key.len(), cache.entries.len() - held().count())
            );
            assert!(cache.bytes <= 10_000);
        }
        assert!(cache.counts().evicted > 0);
        let (kept, evicted) = (cache.counts().entries, cache.counts().evicted);
        cache.put(2, None, &[vec![b'x'; 20_000]], false);
        assert_eq!(
            (cache.counts().entries, cache.counts().evicted),
            (kept, evicted + 1),
            "larger than the cache"
        );
        cache.put(3, None, &[b"small".as_slice()], false);
        cache.put(3, None, &[vec![b'x'; 20_000]], false);
        assert!(replayed(&mut cache, 3).is_empty(), "it was not the last one any more");
    }
}
