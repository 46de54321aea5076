//! The whole path of a message, on one thread: from the bytes that ZeroMQ gave, through block, encoder, batch and
//! queue, to a sink that forgets. The stages are the engine's own; the clock stands still between blocks, so that
//! batches close by size and the count is the same in each run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use crossbeam_channel::{Receiver, bounded, unbounded};
use tickline::accepted::Accepted;
use tickline::channel::Block;
use tickline::plan::FeedPlan;
use tickline::queue::{BatchPool, Job, batch_queue};
use tickline::stage::batcher::BatchLimits;
use tickline::stage::encode::{Encoder, EncoderSpec, NewFeed};
use tickline_config::KRAKEN_CSV;
use tickline_config::model::{Config, WhenFull};
use tickline_feeds::capture::Reader;
use tickline_feeds::clock::{Clock, MonoNanos, WallNanos};
use tickline_feeds::decoder::{Decoder, DecoderSpec};
use tickline_feeds::frame::Frame;
use tickline_feeds::instruments::Instruments;
use tickline_loadgen::plan::{FeedLoad, LoadPlan, Rate};
use tickline_loadgen::run::{CAPTURE_EPOCH, write_capture};

use super::{MADE, WARM};

/// Feeds with a path. `custom` reads Kraken tickers as a user might describe them.
pub(super) const FEEDS: [&str; 6] =
    ["kraken_tick", "kraken_depth", "kraken_trades", "oanda_tick", "betfair_stream", "custom"];

const BURST: usize = 64;

/// Small, so that every feed closes several batches.
const LINES_MAX: u64 = 200;

/// A tenth of a millisecond a message.
const RATE: f64 = 10_000.0;

/// A clock that is set.
#[derive(Debug, Default)]
struct Still(AtomicU64);

impl Clock for Still {
    fn wall(&self) -> WallNanos {
        WallNanos(CAPTURE_EPOCH.0 + self.mono().0 as i64)
    }

    fn mono(&self) -> MonoNanos {
        MonoNanos(self.0.load(Ordering::Relaxed))
    }
}

pub(super) fn run(feed: &str, times: usize) -> Result<()> {
    let messages = messages(if feed == "custom" { "kraken_tick" } else { feed })?;
    let clock = Arc::new(Still::default());
    let pool = BatchPool::new(8);
    let (sender, jobs) = batch_queue(8, WhenFull::Block, &pool, &Arc::new(Accepted::default()));
    let (quarantine, suspects) = bounded(8);
    let (new, feeds) = unbounded();
    new.send(planned(feed)?)?;
    let spec = EncoderSpec {
        queues: vec![sender],
        pool: pool.clone(),
        limits: BatchLimits {
            linger_ns: u64::MAX,
            bytes_max: 1 << 20,
            lines_max: LINES_MAX,
            age_max_ns: u64::MAX,
        },
        age_max_ns: vec![None],
        quarantine,
        cell: Arc::default(),
        feeds,
        live: true,
        own_thread: false,
        at: 0,
        instance: "bench".into(),
        run_ordinal: 0,
        archive: Arc::default(),
        ledger_every_ns: None,
    };
    let mut encoder = Encoder::new(spec, Arc::<Still>::clone(&clock), Arc::default());
    let mut block = Block::default();
    let mut points = 0;
    for (burst, at) in messages[..WARM + times].chunks(BURST).zip(0_u64..) {
        clock.0.store(at * 6_400_000, Ordering::Relaxed);
        let recv = clock.wall();
        for payload in burst {
            let topic = feed.as_bytes();
            block.frames.push(&Frame { feed: 0, endpoint: 0, recv, topic, payload, oversized: false });
        }
        encoder.encode(&block);
        encoder.after_burst();
        block.frames.clear();
        points += forget(&jobs, &pool);
    }
    ensure!(points > 0 && suspects.is_empty(), "{feed}: {points} points, {} undecodable", suspects.len());
    Ok(())
}

/// The sink: counts, and gives batches back.
fn forget(jobs: &Receiver<Job>, pool: &BatchPool) -> u64 {
    let mut points = 0;
    for job in jobs.try_iter() {
        points += job.batch.points;
        pool.give(job.batch);
    }
    points
}

fn planned(feed: &str) -> Result<NewFeed> {
    let mut sets = vec!["sinks.null.kind=\"null\"".to_owned()];
    sets.push(match feed {
        "custom" => concat!(
            "feeds.custom={endpoint=\"tcp://127.0.0.1:1\",topic=\"custom\",custom={measurement=\"m\",time={path=\"timestamp\",unit=\"us\"},tags={pair=\"symbol\"},",
            "fields={bid=\"bid:float\",ask=\"ask:float\",last=\"last:float\",volume=\"volume:float\"}}}"
        )
        .to_owned(),
        _ => format!("feeds.{feed}.tiebreak=\"ordinal\""),
    });
    let loaded = Config::load(&[], &sets, &|_| None)?;
    let config = loaded.config.feeds.get(feed).context("the feed")?.clone();
    let instruments = Arc::new(Instruments::from_csv(KRAKEN_CSV)?);
    let decoder = Decoder::new(&DecoderSpec { feed: config.clone(), legacy_tick: false }, instruments)?;
    let plan = FeedPlan { name: feed.to_owned(), feed: config, endpoint: 0, encoder: 0, sinks: vec![0] };
    Ok(NewFeed::new(0, &plan, decoder, None, Arc::default()))
}

/// What the load generator sends, with all reserved keys.
fn messages(feed: &str) -> Result<Vec<Vec<u8>>> {
    let load = FeedLoad::new(feed, "", Rate::PerSecond(RATE))?;
    let plan = LoadPlan { feeds: vec![load], seed: 7, ..LoadPlan::default() };
    let file = tempfile::NamedTempFile::new()?;
    write_capture(&plan, &[MADE as u64], file.path())?;
    let bytes = std::fs::read(file.path())?;
    let mut reader = Reader::new(bytes.as_slice())?;
    let mut messages = Vec::with_capacity(MADE);
    while let Some(record) = reader.next_record()? {
        messages.push(record.payload.to_vec());
    }
    Ok(messages)
}
