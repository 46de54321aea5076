//! How often one process may begin a connection to one host: OANDA allows two a second, however many publishers ask.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tickline_feeds::clock::MonoNanos;

/// Between two connections to a host.
const SPACING_NS: u64 = 500_000_000;

/// When each host may be asked next.
#[derive(Debug, Default)]
pub(super) struct Pace {
    next: Mutex<HashMap<String, MonoNanos>>,
}

impl Pace {
    /// How long to wait before the connection that is wanted now; its turn is taken.
    pub(super) fn wait_ns(&self, host: &str, now: MonoNanos) -> u64 {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = next.get(host).map_or(now, |next| *next.max(&now));
        next.insert(host.to_owned(), MonoNanos(at.0.saturating_add(SPACING_NS)));
        at.since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_to_one_host_are_half_a_second_apart_and_others_do_not_wait() {
        let (pace, now) = (Pace::default(), MonoNanos(7_000_000_000));
        let waits: Vec<u64> = ["a", "a", "b", "a"].map(|host| pace.wait_ns(host, now) / 1_000_000).into();
        assert_eq!(waits, [0, 500, 0, 1_000]);
        assert_eq!(pace.wait_ns("a", MonoNanos(8_600_000_000)), 0);
    }
}
