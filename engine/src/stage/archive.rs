//! The archive: raw frames on disk, as they were received and before anyone has decoded them. Receivers copy each
//! burst into a block for one thread, which writes capture files and keeps the last seconds in memory for the
//! flight recorder. The archive never changes what the sinks get; with `when_full = "block"` it may slow it down.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, unbounded};
use tickline_config::model::{Archive, WhenFull};
use tickline_feeds::capture::{self, Record};
use tickline_feeds::clock::{Clock, MonoNanos};
use tickline_feeds::frame::{Frame, FrameBlock};

use crate::channel::BLOCK_BYTES_KEPT;
use crate::log_limit::LogLimit;
use crate::stats::{ArchiveCell, ArchiveCounters, MergeTimer, thread_cpu_ns};
use crate::stop::LOOK_EVERY;
use crate::view::View;

mod file;
pub mod folder;
pub mod manifest;
mod tap;

use file::ArchiveFile;
use folder::Folder;
pub use tap::Tap;

/// Blocks that may wait for the thread, however small they are.
const QUEUE_BLOCKS: usize = 4_096;
/// Bytes that may wait for the thread.
pub const QUEUE_BYTES: usize = 32 * 1024 * 1024;
/// Empty blocks kept for use again.
pub const BLOCKS_KEPT: usize = 64;
/// Flight recordings kept; older ones go.
const FLIGHTS_KEPT: usize = 8;
/// Bytes of records that are written at once.
pub const CHUNK_BYTES: usize = 1024 * 1024;
/// How long it rests when there is nothing; [`QUEUE_BYTES`] hold what may come meanwhile.
const PAUSE: Duration = Duration::from_millis(10);
/// How long records wait for that.
const FLUSH_EVERY_NS: u64 = 1_000_000_000;
/// Flight recordings after alarms come at most this often.
const FLIGHT_EVERY_NS: u64 = 60_000_000_000;

/// What closes the files that a kill has left unfinished; it takes as long as reading them.
pub type Repairs = Box<dyn FnOnce() + Send>;

/// The thread.
#[derive(Debug)]
pub struct Archiver {
    config: Archive,
    state_dir: PathBuf,
    blocks: Receiver<FrameBlock>,
    empty: Sender<FrameBlock>,
    waiting: Arc<AtomicUsize>,
    folder: Option<Folder>,
    /// Files of an earlier run that were closed only now.
    repaired: Receiver<(PathBuf, u64)>,
    /// Frames lost in the queue that were told of.
    told_lost: u64,
    file: Option<ArchiveFile>,
    flushed_at: MonoNanos,
    flight: VecDeque<(MonoNanos, FrameBlock)>,
    flight_bytes: usize,
    flight_at: Option<MonoNanos>,
    /// Which feeds are kept, by position.
    wanted: Vec<bool>,
    view: Arc<View>,
    clock: Arc<dyn Clock>,
    counters: ArchiveCounters,
    cell: Arc<ArchiveCell>,
    limit: LogLimit,
    cpu: MergeTimer,
}

/// Opens the folder and returns the thread's body, a receiver's end, and what closes the files that a kill has left
/// unfinished, if there are any.
pub fn open(
    config: &Archive,
    instance: &str,
    state_dir: &Path,
    view: &Arc<View>,
    cell: &Arc<ArchiveCell>,
) -> std::io::Result<(Archiver, Tap, Option<Repairs>)> {
    let mut folder = config.dir.as_ref().map(|dir| Folder::open(dir, instance, config)).transpose()?;
    let (send, blocks) = bounded(QUEUE_BLOCKS);
    let (empty_in, empty) = bounded(BLOCKS_KEPT);
    let (closed, repaired) = unbounded();
    let repairs = folder
        .as_mut()
        .filter(|folder| folder.has_torn())
        .map(|folder| -> Repairs { Box::new(folder.repairs(closed)) });
    let waiting = Arc::<AtomicUsize>::default();
    let clock = Arc::clone(&view.clock);
    let archiver = Archiver {
        config: config.clone(),
        state_dir: state_dir.to_owned(),
        blocks: blocks.clone(),
        empty: empty_in,
        waiting: Arc::clone(&waiting),
        folder,
        repaired,
        told_lost: 0,
        file: None,
        flushed_at: clock.mono(),
        flight: VecDeque::new(),
        flight_bytes: 0,
        flight_at: None,
        wanted: Vec::new(),
        view: Arc::clone(view),
        clock,
        counters: ArchiveCounters::default(),
        cell: Arc::clone(cell),
        limit: LogLimit::default(),
        cpu: MergeTimer::default(),
    };
    let (when_full, cell) = (config.when_full, Arc::clone(cell));
    Ok((archiver, Tap { blocks: send, oldest: blocks, empty, waiting, when_full, cell }, repairs))
}

impl Archiver {
    /// The loop; ends when the last tap is gone and everything is on disk.
    pub fn run(mut self) {
        loop {
            match self.blocks.try_recv() {
                Ok(block) => self.take(block),
                // Being woken for each burst would cost more than writing it, and no one waits for the archive.
                Err(TryRecvError::Empty) => std::thread::park_timeout(PAUSE),
                Err(TryRecvError::Disconnected) => break,
            }
            self.look();
        }
        self.flush();
        self.close();
        self.publish();
    }

    fn take(&mut self, block: FrameBlock) {
        let now = self.clock.mono();
        self.waiting.fetch_sub(block.bytes(), Ordering::Relaxed);
        if self.folder.is_some() {
            for frame in block.frames() {
                if self.wants(frame.feed) {
                    self.append(&frame);
                }
            }
        }
        if let Some(keep) = self.config.flight {
            self.flight_bytes += block.bytes();
            self.flight.push_back((now, block));
            self.forget(now, keep);
        } else {
            self.give_back(block);
        }
    }

    fn give_back(&self, mut block: FrameBlock) {
        if block.bytes() <= BLOCK_BYTES_KEPT {
            block.clear();
            // Where enough are kept, it goes.
            self.empty.try_send(block).ok();
        }
    }

    /// Drops what is older than the recorder looks back, or more than it may hold.
    fn forget(&mut self, now: MonoNanos, keep: Duration) {
        let over = |at: MonoNanos, bytes: usize| {
            u128::from(now.since(at)) > keep.as_nanos() || bytes > self.config.flight_bytes_max
        };
        while let Some((at, _)) = self.flight.front()
            && over(*at, self.flight_bytes)
        {
            let Some((_, block)) = self.flight.pop_front() else { break };
            self.flight_bytes -= block.bytes();
            self.give_back(block);
        }
    }

    fn wants(&mut self, feed: u16) -> bool {
        let at = usize::from(feed);
        if self.wanted.len() <= at {
            let wanted = |name: &String| self.config.takes(name);
            self.wanted = self.view.feeds.lock().iter().map(|feed| wanted(&feed.name)).collect();
        }
        self.wanted.get(at).copied().unwrap_or(false)
    }

    fn append(&mut self, frame: &Frame<'_>) {
        let period =
            frame.recv.0.div_euclid(i64::try_from(self.config.rotate.as_nanos()).unwrap_or(i64::MAX));
        if self.file.as_ref().is_some_and(|file| file.period() != period) {
            self.flush();
            self.close();
        }
        if self.file.is_none() {
            self.file = self.folder.as_ref().map(|folder| folder.begin(frame.recv, period));
        }
        let Some(file) = &mut self.file else { return };
        let record = Record { recv: frame.recv, topic: frame.topic, payload: frame.payload };
        if let Err(error) = file.append(&record) {
            return self.lose(1, &std::io::Error::other(error));
        }
        if file.waiting() >= CHUNK_BYTES {
            self.flush();
        }
    }

    /// Writes what waits. Where there is no room or the disk refuses, `when_full` says what happens.
    fn flush(&mut self) {
        self.flushed_at = self.clock.mono();
        while let Err(error) = self.try_flush() {
            let policy = self.config.when_full;
            if policy == WhenFull::DropOldest && self.make_room() {
                continue;
            }
            self.counters.trouble = Some(error.to_string());
            match policy {
                WhenFull::Block if self.view.stop.running() => {
                    self.say(&error);
                    self.publish();
                    // Nothing else is to be done here: receivers wait behind the queue meanwhile.
                    std::thread::park_timeout(LOOK_EVERY);
                }
                _ => {
                    let frames = self.file.as_mut().map_or(0, ArchiveFile::forget_waiting);
                    return self.lose(frames, &error);
                }
            }
        }
    }

    fn try_flush(&mut self) -> std::io::Result<()> {
        let (Some(file), Some(folder)) = (&mut self.file, &mut self.folder) else { return Ok(()) };
        let frames = file.waiting_frames();
        if frames == 0 {
            return Ok(());
        }
        folder.room(file.bytes() + file.waiting() as u64)?;
        file.flush()?;
        self.counters.frames += frames;
        if self.counters.trouble.take().is_some() {
            let lost = self.counters.lost;
            tracing::info!("archive: the disk takes frames again; {lost} were not archived since the start");
        }
        Ok(())
    }

    /// Removes the oldest finished file; where there is none, what is written of the open one is finished, so that the
    /// next try finds it. Whether there is something to try again for.
    fn make_room(&mut self) -> bool {
        let Some(folder) = &mut self.folder else { return false };
        if folder.drop_oldest() {
            self.counters.files_deleted += 1;
            return true;
        }
        let Some(next) = self.file.as_mut().and_then(|file| file.split(folder)) else { return false };
        let full = self.file.replace(next);
        self.publish_file(full);
        true
    }

    fn close(&mut self) {
        let file = self.file.take();
        self.publish_file(file);
    }

    fn publish_file(&mut self, file: Option<ArchiveFile>) {
        let Some(file) = file else { return };
        match file.close() {
            Ok(None) => {}
            Ok(Some((path, bytes))) => {
                self.counters.files += 1;
                self.counters.bytes += bytes;
                self.folder.as_mut().into_iter().for_each(|folder| folder.closed(path.clone(), bytes));
            }
            Err(error) => self.say(&error),
        }
    }

    fn lose(&mut self, frames: u64, error: &std::io::Error) {
        self.counters.lost += frames;
        self.say(error);
    }

    fn say(&mut self, error: &std::io::Error) {
        let Some(suppressed) = self.limit.admit(self.clock.mono()) else { return };
        let dir = self.config.dir.as_deref().unwrap_or(Path::new("")).display();
        let lost = self.counters.lost;
        let more = suppressed.map_or_else(String::new, |n| format!(" (suppressed {n} such lines)"));
        tracing::error!("archive.dir {dir}: {error}; {lost} frames not archived so far{more}");
    }

    /// What is due by the clock.
    fn look(&mut self) {
        let now = self.clock.mono();
        if now.since(self.flushed_at) >= FLUSH_EVERY_NS {
            self.flush();
            let period = self.config.rotate.as_nanos();
            let wall = self.clock.wall().0.div_euclid(i64::try_from(period).unwrap_or(i64::MAX));
            if self.file.as_ref().is_some_and(|file| file.period() < wall) {
                self.close();
            }
        }
        while let Ok((path, bytes)) = self.repaired.try_recv() {
            self.folder.as_mut().into_iter().for_each(|folder| folder.closed(path.clone(), bytes));
        }
        let asked = self.cell.wanted.swap(false, Ordering::Relaxed);
        let alarm = self.cell.alarm.swap(false, Ordering::Relaxed);
        let rested = self.flight_at.is_none_or(|at| now.since(at) >= FLIGHT_EVERY_NS);
        if asked || alarm && rested && self.config.flight.is_some() {
            self.flight_at = Some(now);
            self.write_flight(now);
        }
        if self.cpu.due(now) {
            self.publish();
            *self.cell.cpu_ns.lock() = thread_cpu_ns();
        }
    }

    fn write_flight(&mut self, now: MonoNanos) {
        let Some(keep) = self.config.flight else {
            return tracing::warn!("flight recorder: off, archive.flight says how far it looks back");
        };
        self.forget(now, keep);
        let mut bytes = Vec::with_capacity(self.flight_bytes + self.flight_bytes / 8);
        capture::begin(&mut bytes);
        let mut frames = 0;
        for frame in self.flight.iter().flat_map(|(_, block)| block.frames()) {
            let record = Record { recv: frame.recv, topic: frame.topic, payload: frame.payload };
            frames += u64::from(capture::append(&mut bytes, &record).is_ok());
        }
        let path = self.state_dir.join(format!("flight-{}.cap", folder::stamp(self.clock.wall())));
        folder::keep_newest(&self.state_dir, "flight-", FLIGHTS_KEPT - 1);
        match std::fs::write(&path, &bytes) {
            Ok(()) => tracing::info!(
                "flight recorder: {frames} frames of the last {keep:?} written to {}",
                path.display()
            ),
            Err(error) => tracing::error!("flight recorder: {}: {error}", path.display()),
        }
    }

    fn publish(&mut self) {
        let mut shared = self.cell.counters.lock();
        // The taps count these themselves.
        let queue_full = shared.queue_full;
        shared.clone_from(&self.counters);
        shared.queue_full = queue_full;
        drop(shared);
        let new = queue_full - self.told_lost;
        if new > 0
            && let Some(suppressed) = self.limit.admit(self.clock.mono())
        {
            self.told_lost = queue_full;
            let more = suppressed.map_or_else(String::new, |n| format!(" (suppressed {n} such lines)"));
            tracing::error!("archive: {new} frames not archived, the disk is slower than they come{more}");
        }
    }
}

#[cfg(test)]
mod tests;
