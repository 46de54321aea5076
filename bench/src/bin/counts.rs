//! Does one thing as often as it is told, for valgrind to count: `scripts/gate` runs each bench at two numbers and the
//! difference is what one costs. The set-up is the same for both numbers. Decoding alone is in `instructions`.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tickline_config::model::{FieldChoice, SystemFields, Tiebreak};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::emit::{Emit, Settings, VenueTime};
use tickline_feeds::field::{FieldPlan, Slot};
use tickline_feeds::schema;
use tickline_feeds::scratch::Scratch;
use tickline_feeds::series::SeriesTable;
use tickline_sinks::batch::{Batch, Mark, reclaim};
use tickline_sinks::spool::{Limits, Spool, store::LocalStore};

#[path = "counts/whole.rs"]
mod whole;

/// Things done before the count begins: every symbol known, every buffer grown.
const WARM: usize = 1_024;

/// Things that are made, whether they are done or not.
const MADE: usize = WARM + 2_048;

/// Lines of a batch, and bytes of one: a Kraken ticker with its core fields.
const BATCH_LINES: usize = 1_000;
const LINE_BYTES: usize = 200;

/// Counts one bench; without a name it lists them.
#[derive(Debug, Parser)]
struct Arguments {
    /// Name of the bench
    #[arg(long)]
    bench: Option<String>,
    /// How often its thing is done after the warm-up
    #[arg(long, default_value_t = 0)]
    times: usize,
}

fn main() -> Result<()> {
    let Arguments { bench, times } = Arguments::parse();
    ensure!(times <= MADE - WARM, "times: must be at most {}, found {times}", MADE - WARM);
    match bench.as_deref() {
        None => {
            for name in ["line.text", "line.float", "batch", "spool.record"] {
                println!("{name}");
            }
            whole::FEEDS.iter().for_each(|feed| println!("path.{feed}"));
            Ok(())
        }
        Some("line.text") => line(times, false),
        Some("line.float") => line(times, true),
        Some("batch") => batch(times),
        Some("spool.record") => spool(times),
        Some(name) => {
            let feed = name.strip_prefix("path.").filter(|feed| whole::FEEDS.contains(feed));
            whole::run(
                feed.with_context(|| format!("bench: must be one of the list, found {name:?}"))?,
                times,
            )
        }
    }
}

/// One line of a Kraken ticker with 19 fields, as borrowed text or as float64.
fn line(times: usize, floats: bool) -> Result<()> {
    let plan = FieldPlan::new(&schema::KRAKEN_TICK, &FieldChoice::All);
    let settings = Settings {
        system: SystemFields { recv_ns: true, flags: true, seq: false },
        tiebreak: Tiebreak::Ordinal,
        fields_listed: false,
    };
    let tags: [(&str, &[u8]); 4] =
        [("base", b"BTC"), ("exchange", b"kraken"), ("pair", b"BTC/USD"), ("quote", b"USD")];
    let slot = |at: usize| match at {
        10 | 11 => Slot::Int(31_234),
        _ if floats => Slot::Float(63_394.9 + at as f64 / 8.0),
        _ => Slot::Decimal(b"63394.90000"),
    };
    let slots: [Slot<'static>; 19] = std::array::from_fn(slot);
    let mut table = SeriesTable::new(10);
    let series = table.intern(schema::KRAKEN_TICK.name, &tags);
    let (mut scratch, mut map) = (Scratch::default(), 0);
    for at in 0..(WARM + times) as i64 {
        let time = 1_767_225_600_000_000_000 + at * 1_000;
        let mut emit = Emit::new(&mut scratch, &mut table, settings, WallNanos(time), map);
        emit.begin_map();
        emit.point(series, &plan, black_box(&slots), VenueTime::new(Some(time), 1_000), 0);
        map = emit.map();
        black_box(scratch.lines());
    }
    Ok(())
}

/// A batch filled with lines, shared by two sinks, and used again.
fn batch(times: usize) -> Result<()> {
    let line = [b'x'; LINE_BYTES];
    let mut open = Arc::new(Batch::with_capacity(BATCH_LINES * LINE_BYTES, BATCH_LINES));
    for _ in 0..8 + times {
        let batch = Arc::get_mut(&mut open).context("no one else has it")?;
        for _ in 0..BATCH_LINES {
            batch.lines.extend_from_slice(black_box(&line));
            batch.points += 1;
            batch.marks.push(Mark { sent: 1, due: 0 });
        }
        let sinks = [Arc::clone(&open), open];
        let [one, other] = sinks.map(|batch| reclaim(black_box(batch)));
        open = one.or(other).context("the last one gives it back")?;
    }
    Ok(())
}

/// A batch put on disk and taken off again.
fn spool(times: usize) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let limits = Limits { bytes_max: 1 << 40, free_bytes_min: 0, segment_bytes: 1 << 40 };
    let quarantine = Box::new(LocalStore::new(&dir.path().join("quarantine"))?);
    let mut spool = Spool::open(Box::new(LocalStore::new(dir.path())?), quarantine, [7; 16], limits)?;
    let batch = Batch { lines: vec![b'x'; BATCH_LINES * LINE_BYTES], points: 1, ..Batch::default() };
    let mut read = Batch::default();
    for _ in 0..8 + times {
        let id = spool.append(black_box(&batch), 0)?;
        spool.give_back(id);
        let taken = spool.take_oldest(&mut read)?.context("it is there")?;
        spool.acknowledge(taken);
        read.clear();
    }
    Ok(())
}
