//! The receive stage of a replay: captures instead of sockets, with the receive times that were recorded.

use std::path::Path;

use anyhow::{Context, ensure};
use tickline_feeds::capture::Reader;
use tickline_feeds::frame::{Frame, PAYLOAD_KEPT_BYTES};

use crate::run::Captures;
use crate::stage::archive::folder::open;
use crate::stage::archive::manifest::Manifest;
use crate::stage::receive::Receiving;
use crate::stage::socket::{BURST_BYTES, TopicRoute, find};

/// A thread that reads captures.
#[derive(Debug)]
pub struct Replay {
    /// Where the bursts go.
    pub receiving: Receiving,
    /// Captures, one after the other.
    pub captures: Captures,
    /// Topics of all feeds.
    pub routes: Vec<TopicRoute>,
    /// `message_bytes_max`
    pub message_bytes_max: usize,
    /// Frames of a full burst.
    pub burst_max: usize,
}

impl Replay {
    /// The loop; ends with the last file or the run.
    pub fn run(mut self) {
        for file in self.captures.files.clone() {
            if let Err(error) = self.read(&file) {
                // What can be read, of this file and the others, is worth having.
                self.receiving.hand_over();
                self.receiving.publish();
                self.receiving.stop().fail_at_end(format!("{}: {error:#}", file.display()));
            }
        }
        self.receiving.finish();
    }

    fn read(&mut self, file: &Path) -> anyhow::Result<()> {
        let mut reader = Reader::new(open(file).context("opening failed")?)?;
        let mut frames = 0;
        while let Some(record) = reader.next_record()? {
            if !self.receiving.stop().running() {
                break;
            }
            frames += 1;
            if !self.captures.wants(record.recv.0) {
                continue;
            }
            let (blocks, counters) = self.receiving.blocks();
            let Some(route) = find(&self.routes, record.topic) else {
                counters.foreign += 1;
                continue;
            };
            let Some(block) = blocks.get_mut(route.queue) else { continue };
            let oversized = record.payload.len() > self.message_bytes_max;
            let cut = record.payload.get(..PAYLOAD_KEPT_BYTES).filter(|_| oversized);
            let feed = counters.feed(route.feed);
            feed.received += 1;
            feed.bytes += record.payload.len() as u64;
            block.frames.push(&Frame {
                feed: route.feed,
                endpoint: 0,
                recv: record.recv,
                topic: record.topic,
                payload: cut.unwrap_or(record.payload),
                oversized,
            });
            if block.frames.len() >= self.burst_max || block.frames.bytes() >= BURST_BYTES {
                self.receiving.hand_over();
            }
        }
        self.receiving.hand_over();
        self.receiving.publish();
        // An archive file is closed when it is whole: less in it is damage, and not the tail of a kill.
        let told = Manifest::of(file).map_or(frames, |manifest| manifest.frames);
        ensure!(
            !self.receiving.stop().running() || frames == told,
            "{told} frames in its manifest, {frames} can be read"
        );
        if reader.left() > 0 {
            tracing::warn!("{}: torn tail, {} bytes left out", file.display(), reader.left());
        }
        Ok(())
    }
}
