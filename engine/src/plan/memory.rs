//! The memory bound: one row for each thing that can grow, from the limits of the configuration.

use tickline_config::model::{Config, SinkKind};

use super::Plan;
use crate::channel::{BLOCK_BYTES_KEPT, BLOCKS_KEPT};
use crate::quarantine::SUSPECTS_MAX;
use crate::run::sinks::SPOOLER_BATCHES;
use crate::stage::archive::{CHUNK_BYTES, QUEUE_BYTES};
use crate::stage::socket::BURST_BYTES;
use tickline_feeds::frame::PAYLOAD_KEPT_BYTES;
use tickline_feeds::tie::CROWDS_MAX;

/// Bytes of one series in a decoder's tables: key, last times and slot; counted generously.
const SERIES_BYTES: u64 = 1_024;
/// Bytes of one map that met others at one time.
const TIE_BYTES: u64 = 24;
/// Bytes of the histograms of one thread and their published copies.
const HISTOGRAMS_BYTES: u64 = 2 * 5 * 320 * 1024;

/// Bytes of a record of the spool in memory.
const RECORD_BYTES: u64 = 64;

/// One thing that can grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryRow {
    /// What it is.
    pub what: String,
    /// Which keys bound it.
    pub bound: &'static str,
    /// At most, bytes.
    pub bytes: u64,
}

pub(super) fn rows(config: &Config, plan: &Plan) -> Vec<MemoryRow> {
    let engine = &config.engine;
    let message = engine.message_bytes_max as u64;
    let receivers = plan.receivers.len() as u64;
    let queues = plan.encoders.len() as u64;
    // Without encoders of their own the receivers encode.
    let encoders = if queues == 0 { receivers } else { queues };
    let burst = BURST_BYTES as u64 + message;
    let batch = engine.batch_bytes_max as u64 + message;
    let row = |what: &str, bound, bytes| MemoryRow { what: what.to_owned(), bound, bytes };
    let feeds = plan.feeds.len() as u64;
    let series: u64 = plan.feeds.iter().map(|feed| feed.feed.series_max as u64).sum();
    let mut rows = vec![
        row("frames that wait for encoders", "queue_bytes_max", queues * engine.queue_bytes_max as u64),
        row("bursts being received", "message_bytes_max", receivers * queues.max(1) * burst),
        row("empty blocks kept", "32 a queue", queues * (BLOCKS_KEPT * 2 * BLOCK_BYTES_KEPT) as u64),
        row("open and empty batches", "batch_bytes_max", encoders * 2 * batch),
        row("series tables", "series_max", series * SERIES_BYTES),
        row("messages that met at one time", "262144 a feed", feeds * CROWDS_MAX as u64 * TIE_BYTES),
        row("undecodable frames on their way", "64 frames", (SUSPECTS_MAX * PAYLOAD_KEPT_BYTES) as u64),
        row("histograms", "threads", (encoders + plan.writers.len() as u64) * HISTOGRAMS_BYTES),
    ];
    if plan.archiver.is_some() {
        let blocks = QUEUE_BYTES as u64 + burst + (BLOCKS_KEPT * BLOCK_BYTES_KEPT) as u64;
        let chunk = 2 * (CHUNK_BYTES as u64 + message);
        // Written, it is there twice for a moment.
        let flight = config.archive.flight.map_or(0, |_| 2 * config.archive.flight_bytes_max as u64);
        rows.push(row("archive", "32 MiB, flight_bytes_max", blocks + chunk + flight));
    }
    for sink in &plan.sinks {
        let queued = sink.sink.queue_batches_max as u64 * batch;
        let writing = match &sink.sink.kind {
            SinkKind::Influx(influx) | SinkKind::Victoria(influx) | SinkKind::Quest(influx) => {
                sink.connections as u64 * (influx.request_bytes_max as u64 + 2 * batch)
            }
            // The lines of a request, and its rows.
            SinkKind::Postgres(postgres) => {
                sink.connections as u64 * 2 * (postgres.request_bytes_max as u64 + 2 * batch)
            }
            SinkKind::Parquet(parquet) => parquet.held_bytes_max as u64 + batch,
            SinkKind::File(_) | SinkKind::Null => batch,
        };
        rows.push(row(&format!("batches for {}", sink.name), "queue_batches_max", queued + writing));
        if sink.spooler.is_some() {
            // What is not synced is kept in memory, too; beside it batches wait to be taken and to be sent again.
            let config = &sink.sink.spool;
            let batches = (SPOOLER_BATCHES + 2 * sink.connections) as u64 * batch;
            // At least a head and a line.
            let records = config.bytes_max / batch.min(4_096) * RECORD_BYTES;
            let bytes = config.sync_bytes + batch + batches + records;
            rows.push(row(&format!("spool of {}", sink.name), "spool.max_bytes, sync_bytes", bytes));
        }
    }
    rows
}

/// A size for people: `12.0 MiB`.
pub fn bytes_text(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB"] {
        if value < 1024.0 {
            return format!("{value:.1} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} GiB")
}
