//! Time as an argument: wall and monotonic nanoseconds are different types, and only engine, loadgen and
//! bench read a clock.

/// Nanoseconds since 1970-01-01T00:00:00Z, as the operating system tells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallNanos(pub i64);

/// Nanoseconds since some fixed point of this run; never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonoNanos(pub u64);

impl MonoNanos {
    /// Nanoseconds from `earlier` to `self`; 0 if `earlier` is later.
    pub const fn since(self, earlier: MonoNanos) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where time comes from.
pub trait Clock: std::fmt::Debug + Send + Sync {
    /// Wall time now.
    fn wall(&self) -> WallNanos;
    /// Monotonic time now.
    fn mono(&self) -> MonoNanos;
}
