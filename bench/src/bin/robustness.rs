//! Figures that are made once and committed: hostile payloads by the million, bit flips by the thousand, and how long a
//! full spool takes to open. Prints JSON.
//!   cargo run --release -p tickline-bench --bin robustness -- FOLDER

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::{Value, json};
use tickline_bench::shapes::Shape;
use tickline_feeds::clock::Clock;
use tickline_feeds::decoder::FrameClass;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::prng::splitmix64;
use tickline_sinks::batch::{Batch, Position};
use tickline_sinks::spool::store::LocalStore;
use tickline_sinks::spool::{Limits, Spool};

const BATCH_BYTES: usize = 64 * 1024;
const LINE: &[u8] = b"kraken_tick,base=BTC,exchange=kraken,pair=BTC/USD bid=1,ask=2 1785600000000000000\n";
const FINGERPRINT: [u8; 16] = *b"robustness bench";

#[derive(Debug, Parser)]
struct Arguments {
    /// Folder for the spools; what is in it goes.
    dir: PathBuf,
    /// Hostile payloads.
    #[arg(long, default_value_t = 5_000_000)]
    payloads: u64,
    /// Bits flipped, one at a time.
    #[arg(long, default_value_t = 10_000)]
    flips: u64,
    /// MiB of the full spool.
    #[arg(long, default_value_t = 1_024)]
    mib: u64,
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Random numbers, one after the other.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(1);
        (splitmix64(self.0) % bound.max(1) as u64) as usize
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // A panic is counted, not printed a million times.
    std::panic::set_hook(Box::new(|_| {}));
    let result = json!({
        "seed": arguments.seed,
        "payloads": payloads(arguments.payloads, arguments.seed)?,
        "flips": flips(&arguments.dir, arguments.flips, arguments.seed)?,
        "start": start(&arguments.dir, arguments.mib)?,
    });
    println!("{result:#}");
    Ok(())
}

/// Breaks a payload in one of the ways that hurt most.
fn break_it(payload: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(payload.len());
    match dice.below(8) {
        0 => payload.truncate(at),
        1 => payload.insert(at, dice.below(256) as u8),
        // A length of 4 GiB: text, bytes, array, map.
        2 => drop(payload.splice(at..at, [[0xdb, 0xc6, 0xdd, 0xdf][dice.below(4)], 0xff, 0xff, 0xff, 0xff])),
        // Arrays in arrays in arrays.
        3 => drop(payload.splice(at..at, std::iter::repeat_n(0x91, 1 + dice.below(100_000)))),
        4 => drop(payload.splice(at..at, [0xc9, 0xff, 0xff, 0xff, 0xff, 0x01])),
        5 => drop(payload.splice(at..at, [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0])),
        6 => drop(payload.splice(at..at, [0xa4, 0xff, 0xfe, b'\n', 0])),
        _ => {
            if let Some(byte) = payload.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
    }
}

fn payloads(count: u64, seed: u64) -> Result<Value> {
    let mut dice = Dice(seed);
    let (mut panics, mut undecodable, mut points, mut slowest_ns) = (0_u64, 0_u64, 0_u64, 0);
    let mut allocated_max = 0;
    let (shapes, clock) = (Shape::all(), OsClock::start());
    let each = count / shapes.len() as u64;
    for shape in &shapes {
        let valid = shape.run(seed, 256).take(256);
        let mut decoder = shape.decoder();
        let mut lines = Vec::with_capacity(1 << 20);
        for message in 0..each {
            let mut payload = valid[dice.below(valid.len())].clone();
            (0..=dice.below(3)).for_each(|_| break_it(&mut payload, &mut dice));
            lines.clear();
            let frame = shape.frame(&payload, message);
            let began = clock.mono();
            let mut decoded = None;
            let counted = allocation_counter::measure(|| {
                let decode = AssertUnwindSafe(|| decoder.decode(&frame, &mut lines));
                decoded = catch_unwind(decode).ok();
            });
            slowest_ns = slowest_ns.max(clock.mono().since(began));
            allocated_max = allocated_max.max(counted.bytes_max);
            match decoded {
                None => panics += 1,
                Some(decoded) if matches!(decoded.class, FrameClass::Undecodable(_)) => {
                    undecodable += 1;
                    ensure!(lines.is_empty(), "an undecodable frame left a line");
                }
                Some(decoded) => points += u64::from(decoded.points),
            }
            let made = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
            ensure!(decoded.is_none_or(|decoded| made == u64::from(decoded.points)), "a line too many");
        }
        ensure!(decoder.counts().balanced(), "{}: the counts do not balance", shape.name);
    }
    Ok(json!({
        "payloads": each * shapes.len() as u64,
        "decoders": shapes.len(),
        "panics": panics,
        "undecodable": undecodable,
        "points": points,
        "slowest_us": slowest_ns as f64 / 1e3,
        "allocated_bytes_max": allocated_max,
    }))
}

fn open(dir: &Path) -> Result<Spool> {
    let limits = Limits { bytes_max: 1 << 40, free_bytes_min: 0, segment_bytes: 16 << 20 };
    let quarantine = Box::new(LocalStore::at(&dir.join("quarantine")));
    Ok(Spool::open(Box::new(LocalStore::new(dir)?), quarantine, FINGERPRINT, limits)?)
}

/// Appends batches of about [`BATCH_BYTES`], each with where four sources stand.
fn fill(dir: &Path, batches: u64) -> Result<u64> {
    std::fs::remove_dir_all(dir).ok();
    let mut spool = open(dir)?;
    let points = (BATCH_BYTES / LINE.len()) as u64;
    let position = |src: u32, last: u64| Position {
        feed: "kraken_tick".into(),
        endpoint: "tcp://127.0.0.1:5558".into(),
        topic: "kraken_tick".into(),
        src,
        last,
    };
    for batch in 0..batches {
        let positions = (0..4).map(|src| position(src, batch)).collect();
        let batch = Batch { lines: LINE.repeat(points as usize), points, positions, ..Batch::default() };
        spool.append(&batch, 1_785_600_000_000_000_000)?;
    }
    spool.sync(1_785_600_000_000_000_000)?;
    Ok(batches * points)
}

/// Flips one bit, opens, reads everything, and flips it back.
fn flips(dir: &Path, count: u64, seed: u64) -> Result<Value> {
    let dir = dir.join("flips");
    let points = fill(&dir, 24)?;
    let segment = |entry: std::io::Result<std::fs::DirEntry>| Some(entry.ok()?.path());
    let mut segments: Vec<PathBuf> = std::fs::read_dir(&dir)?.filter_map(segment).collect();
    segments.retain(|path| path.extension().is_some_and(|ending| ending == "spool"));
    let originals: Vec<(PathBuf, Vec<u8>)> =
        segments.into_iter().map(|path| Ok((path.clone(), std::fs::read(path)?))).collect::<Result<_>>()?;
    let mut dice = Dice(seed);
    let (mut panics, mut worst, mut slowest_ms) = (0, 0, 0.0_f64);
    for _ in 0..count {
        std::fs::remove_dir_all(&dir)?;
        std::fs::create_dir_all(&dir)?;
        let hit = dice.below(originals.len());
        for (at, (path, bytes)) in originals.iter().enumerate() {
            let mut bytes = bytes.clone();
            if at == hit {
                let byte = dice.below(bytes.len());
                bytes[byte] ^= 1 << dice.below(8);
            }
            std::fs::write(path, bytes)?;
        }
        let clock = OsClock::start();
        let read = catch_unwind(|| -> Result<u64> {
            let mut spool = open(&dir)?;
            let (mut batch, mut found) = (Batch::default(), 0);
            while spool.take_oldest(&mut batch)?.is_some() {
                found += batch.points;
            }
            Ok(found)
        });
        slowest_ms = slowest_ms.max(clock.mono().0 as f64 / 1e6);
        match read {
            Err(_) => panics += 1,
            Ok(found) => worst = worst.max(points.saturating_sub(found?)),
        }
    }
    std::fs::remove_dir_all(&dir)?;
    Ok(json!({
        "flips": count,
        "panics": panics,
        "points": points,
        "points_lost_max": worst,
        "batch_points": BATCH_BYTES / LINE.len(),
        "slowest_ms": slowest_ms,
    }))
}

/// How long it takes to open a full spool, with what the kernel knows of it and without.
fn start(dir: &Path, mib: u64) -> Result<Value> {
    let dir = dir.join("start");
    let points = fill(&dir, (mib << 20) / BATCH_BYTES as u64)?;
    let time = || -> Result<f64> {
        let clock = OsClock::start();
        let spool = open(&dir)?;
        ensure!(spool.stats().recovered == points, "{} of {points} points found", spool.stats().recovered);
        Ok(clock.mono().0 as f64 / 1e6)
    };
    let warm_ms = time()?;
    let dropped = std::process::Command::new("sync").status().context("sync")?.success()
        && std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok();
    let cold_ms = if dropped { Some(time()?) } else { None };
    std::fs::remove_dir_all(&dir)?;
    Ok(json!({ "mib": mib, "points": points, "warm_ms": warm_ms, "cold_ms": cold_ms }))
}
