//! The one place that reads the operating system's clocks.
#![expect(clippy::disallowed_methods, reason = "this module is where the ban points")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tickline_feeds::clock::{Clock, MonoNanos, WallNanos};

/// The operating system's wall clock and monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct OsClock {
    start: Instant,
}

impl OsClock {
    /// A clock whose monotonic time starts at 0 now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for OsClock {
    fn wall(&self) -> WallNanos {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallNanos(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
    }

    fn mono(&self) -> MonoNanos {
        MonoNanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Lets this thread wake when its time has come instead of up to 50 µs later, Linux's default timer slack. Where
/// it cannot be set, sends are that much later; each message's `_due` tells.
pub(crate) fn wake_on_time() {
    std::fs::write("/proc/thread-self/timerslack_ns", "1").ok();
}
