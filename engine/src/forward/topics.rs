//! The topics that a forwarder has seen: what it has counted of each, and what is to be done with its messages. Bounded: a
//! flood of names is passed on and counted as one.

use std::collections::HashMap;

use tickline_config::filter::matches;

use super::report::TopicCounts;

/// Topics that are told apart; also those that a feed's sequences are followed for.
pub(super) const TOPICS_MAX: usize = 10_000;
/// Longest name of one.
const NAME_BYTES_MAX: usize = 256;

/// Where all further topics are counted.
pub(super) const OTHERS: usize = 0;

/// One topic.
#[derive(Debug, Default)]
pub(super) struct Topic {
    pub(super) name: Box<[u8]>,
    pub(super) counts: TopicCounts,
    /// Routes whose globs its name fits, by position.
    pub(super) routes: Vec<usize>,
    /// Whether anything but passing on is done with its messages.
    pub(super) is_looked_at: bool,
    /// Whether a word of it has come since heartbeats were last sent.
    pub(super) heard: bool,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Topics {
    all: Vec<Topic>,
    by_name: HashMap<Box<[u8]>, usize>,
    /// The one that came last.
    last: usize,
    /// Globs of each route.
    routes: Vec<Vec<String>>,
    /// Every message is looked at, whatever its topic.
    looks_at_all: bool,
}

impl Topics {
    pub(super) fn new(routes: Vec<Vec<String>>, caches: bool, shares: bool) -> Self {
        let others = Topic { name: Box::from(&b"(others)"[..]), is_looked_at: shares, ..Topic::default() };
        Self {
            all: vec![others],
            by_name: HashMap::new(),
            last: usize::MAX,
            routes,
            looks_at_all: caches || shares,
        }
    }

    /// The place of a topic.
    pub(super) fn find(&mut self, name: &[u8]) -> usize {
        if self.all.get(self.last).is_some_and(|topic| *topic.name == *name) {
            return self.last;
        }
        let at = self.by_name.get(name).copied().unwrap_or_else(|| self.learn(name));
        if at != OTHERS {
            self.last = at;
        }
        at
    }

    #[cold]
    fn learn(&mut self, name: &[u8]) -> usize {
        if self.all.len() > TOPICS_MAX || name.len() > NAME_BYTES_MAX {
            return OTHERS;
        }
        let text = String::from_utf8_lossy(name);
        let fits = |(_, globs): &(usize, &Vec<String>)| globs.iter().any(|glob| matches(glob, &text));
        let routes: Vec<usize> = self.routes.iter().enumerate().filter(fits).map(|(at, _)| at).collect();
        let is_looked_at = self.looks_at_all || !routes.is_empty();
        self.all.push(Topic { name: Box::from(name), routes, is_looked_at, ..Topic::default() });
        let at = self.all.len() - 1;
        self.by_name.insert(Box::from(name), at);
        at
    }

    pub(super) fn get(&self, at: usize) -> &Topic {
        // Places come from `find`.
        self.all.get(at).unwrap_or(&self.all[OTHERS])
    }

    pub(super) fn get_mut(&mut self, at: usize) -> &mut Topic {
        let at = if at < self.all.len() { at } else { OTHERS };
        &mut self.all[at]
    }

    /// Every topic that has a place of its own, and the others as one.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.all.iter()
    }

    /// Those that have a place of their own.
    pub(super) fn own_mut(&mut self) -> impl Iterator<Item = &mut Topic> {
        self.all.iter_mut().skip(OTHERS + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_keeps_its_place_and_a_flood_shares_one() {
        let mut topics = Topics::new(vec![vec!["kraken_*".to_owned()], vec!["*".to_owned()]], false, false);
        let [a, b, empty] = [&b"kraken_tick"[..], b"oanda", b""].map(|name| topics.find(name));
        assert_eq!((topics.find(b"kraken_tick"), topics.find(b"oanda"), topics.find(b"")), (a, b, empty));
        assert_eq!((&*topics.get(a).routes, &*topics.get(b).routes), (&[0, 1][..], &[1][..]));
        let long = vec![b'x'; NAME_BYTES_MAX + 1];
        assert_eq!((topics.find(&long), topics.find(&long)), (OTHERS, OTHERS));
        let places: Vec<usize> = (0..TOPICS_MAX).map(|n| topics.find(format!("t{n}").as_bytes())).collect();
        assert_eq!(places.iter().filter(|at| **at == OTHERS).count(), 3);
        assert_eq!(topics.find(b"(others)"), OTHERS);
        assert_eq!(topics.find(b"t0"), places[0]);
        assert!(topics.get(places[0]).is_looked_at && !topics.get(OTHERS).is_looked_at);
    }
}
