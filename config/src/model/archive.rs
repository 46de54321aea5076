//! The archive of raw frames.

use std::path::PathBuf;
use std::time::Duration;

use super::WhenFull;

/// `[archive]`: raw frames on disk, and the last ones in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Folder; none: no archive.
    pub dir: Option<PathBuf>,
    /// A file holds what was received in one such span of the clock.
    pub rotate: Duration,
    /// Bytes of all files.
    pub bytes_max: u64,
    /// Bytes that the disk keeps free for others.
    pub free_bytes_min: u64,
    /// Whether files are compressed.
    pub compress: bool,
    /// Globs of the feeds that are kept; none: all.
    pub feeds: Option<Vec<String>>,
    /// What happens when there is no room on disk or in the queue before it.
    pub when_full: WhenFull,
    /// How far the flight recorder looks back; none: there is none.
    pub flight: Option<Duration>,
    /// Most bytes that it holds in memory.
    pub flight_bytes_max: usize,
}
