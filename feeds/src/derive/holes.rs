//! When a source was not whole, by symbol: the spans that its events name, and from an event that begins an absence to the
//! one that ends it. Spans are of our clock and prices of the venue's, so a span is widened by what the two may differ.

use std::collections::HashMap;

use super::read::Happened;
use crate::connect::Now;

/// Scope of an event that is about every symbol.
const ALL: &str = "*";

#[derive(Clone, Copy, Debug)]
pub(super) struct Hole {
    from_ns: i64,
    /// None: it has not ended.
    to_ns: Option<i64>,
}

impl Hole {
    /// Whether it meets `begin_ns..end_ns`.
    pub(super) fn meets(&self, begin_ns: i64, end_ns: i64) -> bool {
        self.from_ns < end_ns && self.to_ns.is_none_or(|to_ns| to_ns >= begin_ns)
    }
}

/// The last hole of each scope.
#[derive(Debug, Default)]
pub(super) struct Holes {
    last: HashMap<String, Hole>,
}

impl Holes {
    /// Takes an event; a hole that it tells is returned, and remembered for intervals that begin later.
    pub(super) fn take(&mut self, event: &Happened<'_>, slack_ns: i64, now: Now) -> Option<Hole> {
        let wide = |from: i64, to: i64| Hole {
            from_ns: from.saturating_sub(slack_ns),
            to_ns: Some(to.saturating_add(slack_ns)),
        };
        let now_ns = now.wall.0;
        let hole = match (event.from.zip(event.to), event.kind) {
            (Some((from, to)), _) => wide(from.0, to.0),
            (None, "up" | "clean") => {
                let open = self.last.get_mut(event.scope).filter(|hole| hole.to_ns.is_none());
                open.into_iter().for_each(|hole| hole.to_ns = Some(now_ns.saturating_add(slack_ns)));
                return None;
            }
            (None, "down" | "maintenance") => Hole { to_ns: None, ..wide(now_ns, now_ns) },
            (None, _) => wide(now_ns, now_ns),
        };
        // What begins inside of an absence does not end it: what ends it begins at the last word before it.
        let is_inside = |known: &Hole| known.to_ns.is_none() && hole.from_ns > known.from_ns;
        if !self.last.get(event.scope).is_some_and(is_inside) {
            self.last.insert(event.scope.to_owned(), hole);
        }
        Some(hole)
    }

    /// Whether a hole of the symbol meets `begin_ns..end_ns`.
    pub(super) fn meet(&self, symbol: &str, begin_ns: i64, end_ns: i64) -> bool {
        let mut scopes = [symbol, ALL].into_iter().filter_map(|scope| self.last.get(scope));
        scopes.any(|hole| hole.meets(begin_ns, end_ns))
    }
}

/// Whether an event of `scope` is about `symbol`.
pub(super) fn is_about(scope: &str, symbol: &str) -> bool {
    scope == ALL || scope == symbol
}
