//! What a spool could stand on, with the same work for each: 64 KiB batches appended and made durable every
//! MiB, the store opened again as after a crash, then every batch read in order and removed. The floor is a
//! plain file with `fdatasync`. Prints a table on standard error and JSON on standard output.
//!   cargo run --release --manifest-path bench/compare/Cargo.toml --bin spool -- FOLDER

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use redb::{ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::{Value, json};
use tickline_sinks::batch::Batch;
use tickline_sinks::spool::store::LocalStore;
use tickline_sinks::spool::{Limits, Spool};

const BATCH_BYTES: usize = 64 * 1024;
const BATCHES: u64 = 4_096;
/// Batches between two syncs: 1 MiB.
const SYNC_EVERY: u64 = 16;
/// Points of a batch, for the store that counts them.
const POINTS: u64 = 256;
const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("batches");

trait Contender {
    fn name(&self) -> &'static str;
    /// Opens what is in the folder, or begins.
    fn open(&mut self, dir: &Path) -> Result<()>;
    /// Appends these batches and makes them durable.
    fn append(&mut self, batches: &[(u64, Vec<u8>)]) -> Result<()>;
    /// Reads every batch in order, removes it, and returns the bytes read. Removals are durable at the end.
    fn drain(&mut self) -> Result<u64>;
    fn close(&mut self) -> Result<()>;
}

#[derive(Default)]
struct PlainFile(Option<File>);

impl Contender for PlainFile {
    fn name(&self) -> &'static str {
        "floor: one file, fdatasync"
    }
    fn open(&mut self, dir: &Path) -> Result<()> {
        self.0 = Some(File::options().create(true).read(true).append(true).open(dir.join("file"))?);
        Ok(())
    }
    fn append(&mut self, batches: &[(u64, Vec<u8>)]) -> Result<()> {
        let file = self.0.as_mut().context("open")?;
        for (_, batch) in batches {
            file.write_all(batch)?;
        }
        Ok(file.sync_data()?)
    }
    fn drain(&mut self) -> Result<u64> {
        let file = self.0.as_mut().context("open")?;
        let (mut batch, mut bytes) = (vec![0; BATCH_BYTES], 0);
        std::io::Seek::rewind(file)?;
        while file.read_exact(&mut batch).is_ok() {
            bytes += batch.len() as u64;
        }
        file.set_len(0)?;
        file.sync_all()?;
        Ok(bytes)
    }
    fn close(&mut self) -> Result<()> {
        self.0 = None;
        Ok(())
    }
}

#[derive(Default)]
struct Segments(Option<Spool>);

impl Contender for Segments {
    fn name(&self) -> &'static str {
        "segments of our own"
    }
    fn open(&mut self, dir: &Path) -> Result<()> {
        let limits = Limits { bytes_max: 1 << 40, free_bytes_min: 0, segment_bytes: 16 << 20 };
        let quarantine = Box::new(LocalStore::new(&dir.join("quarantine"))?);
        self.0 = Some(Spool::open(Box::new(LocalStore::new(dir)?), quarantine, [7; 16], limits)?);
        Ok(())
    }
    fn append(&mut self, batches: &[(u64, Vec<u8>)]) -> Result<()> {
        let spool = self.0.as_mut().context("open")?;
        for (_, batch) in batches {
            let batch = Batch { lines: batch.clone(), points: POINTS, ..Batch::default() };
            let id = spool.append(&batch, 0)?;
            spool.give_back(id);
        }
        Ok(spool.sync(0)?)
    }
    fn drain(&mut self) -> Result<u64> {
        let spool = self.0.as_mut().context("open")?;
        let (mut batch, mut bytes) = (Batch::default(), 0);
        while let Some(id) = spool.take_oldest(&mut batch)? {
            bytes += batch.lines.len() as u64;
            spool.acknowledge(id);
        }
        spool.close(0)?;
        Ok(bytes)
    }
    fn close(&mut self) -> Result<()> {
        self.0 = None;
        Ok(())
    }
}

#[derive(Default)]
struct Redb(Option<redb::Database>);

impl Contender for Redb {
    fn name(&self) -> &'static str {
        "redb 4, a transaction a MiB"
    }
    fn open(&mut self, dir: &Path) -> Result<()> {
        self.0 = Some(redb::Database::create(dir.join("spool.redb"))?);
        Ok(())
    }
    fn append(&mut self, batches: &[(u64, Vec<u8>)]) -> Result<()> {
        let transaction = self.0.as_ref().context("open")?.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (id, batch) in batches {
                table.insert(id, batch.as_slice())?;
            }
        }
        Ok(transaction.commit()?)
    }
    fn drain(&mut self) -> Result<u64> {
        let database = self.0.as_mut().context("open")?;
        let mut bytes = 0;
        loop {
            let mut ids = Vec::new();
            for row in database.begin_read()?.open_table(TABLE)?.iter()?.take(SYNC_EVERY as usize) {
                let (id, batch) = row?;
                bytes += batch.value().len() as u64;
                ids.push(id.value());
            }
            if ids.is_empty() {
                database.compact()?;
                return Ok(bytes);
            }
            let transaction = database.begin_write()?;
            {
                let mut table = transaction.open_table(TABLE)?;
                for id in ids {
                    table.remove(id)?;
                }
            }
            transaction.commit()?;
        }
    }
    fn close(&mut self) -> Result<()> {
        self.0 = None;
        Ok(())
    }
}

#[derive(Default)]
struct Fjall(Option<(Database, Keyspace)>);

impl Contender for Fjall {
    fn name(&self) -> &'static str {
        "fjall 3, persisted a MiB"
    }
    fn open(&mut self, dir: &Path) -> Result<()> {
        let database = Database::builder(dir).open()?;
        let keyspace = database.keyspace("batches", KeyspaceCreateOptions::default)?;
        self.0 = Some((database, keyspace));
        Ok(())
    }
    fn append(&mut self, batches: &[(u64, Vec<u8>)]) -> Result<()> {
        let (database, keyspace) = self.0.as_ref().context("open")?;
        for (id, batch) in batches {
            keyspace.insert(id.to_be_bytes(), batch)?;
        }
        Ok(database.persist(PersistMode::SyncData)?)
    }
    fn drain(&mut self) -> Result<u64> {
        let (database, keyspace) = self.0.as_ref().context("open")?;
        let mut bytes = 0;
        for id in 0..BATCHES {
            let batch = keyspace.get(id.to_be_bytes())?.context("the batch is there")?;
            bytes += batch.len() as u64;
            keyspace.remove(id.to_be_bytes())?;
        }
        database.persist(PersistMode::SyncData)?;
        Ok(bytes)
    }
    fn close(&mut self) -> Result<()> {
        self.0 = None;
        Ok(())
    }
}

/// CPU seconds of this process so far, and bytes that it has caused to be written.
fn cost() -> Result<(f64, u64)> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    let io = std::fs::read_to_string("/proc/self/io")?;
    let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok());
    // USER_HZ is 100 on every Linux that runs this.
    Ok(((ticks(11) + ticks(12)) / 100.0, written.context("/proc/self/io has write_bytes")?))
}

fn bytes_in(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_in(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

#[expect(clippy::disallowed_methods, reason = "this program measures, and has no clock to be given")]
fn measure(contender: &mut dyn Contender, dir: &Path) -> Result<Value> {
    std::fs::create_dir_all(dir)?;
    contender.open(dir)?;
    let batch = |id: u64| {
        let line = format!("kraken_tick,pair=BTC/USD bid={id}.5,ask={id}.6 1785641762621302000\n");
        (id, line.into_bytes().into_iter().cycle().take(BATCH_BYTES).collect::<Vec<u8>>())
    };
    let all = BATCHES * BATCH_BYTES as u64;
    let (before, start) = (cost()?, Instant::now());
    for first in (0..BATCHES).step_by(SYNC_EVERY as usize) {
        let batches: Vec<(u64, Vec<u8>)> = (first..first + SYNC_EVERY).map(batch).collect();
        contender.append(&batches)?;
    }
    let (append_s, after) = (start.elapsed().as_secs_f64(), cost()?);
    contender.close()?;
    let start = Instant::now();
    contender.open(dir)?;
    let open_s = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let read = contender.drain()?;
    let drain_s = start.elapsed().as_secs_f64();
    ensure!(read == all, "{}: {all} bytes written, {read} read", contender.name());
    contender.close()?;
    let left = bytes_in(dir)?;
    std::fs::remove_dir_all(dir)?;
    let mib = all as f64 / f64::from(1 << 20);
    let (append, drain) = (mib / append_s, mib / drain_s);
    let (cpu, amplified) = ((after.0 - before.0) * 1e3 / mib, (after.1 - before.1) as f64 / all as f64);
    eprintln!(
        "{:<28} {append:>8.0} {cpu:>10.2} {amplified:>10.2} {:>10.1} {drain:>8.0} {:>10.1}",
        contender.name(),
        open_s * 1e3,
        left as f64 / f64::from(1 << 20)
    );
    Ok(json!({
        "store": contender.name(), "append_mib_per_s": append, "append_cpu_ms_per_mib": cpu,
        "written_per_byte": amplified, "open_ms": open_s * 1e3, "drain_mib_per_s": drain, "left_bytes": left,
    }))
}

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = folder.join(format!("tickline-compare-spool-{}", std::process::id()));
    eprintln!(
        "{:<28} {:>8} {:>10} {:>10} {:>10} {:>8} {:>10}",
        "", "append/s", "CPU ms/MiB", "written/B", "open ms", "drain/s", "left MiB"
    );
    let mut contenders: [Box<dyn Contender>; 4] = [
        Box::new(PlainFile::default()),
        Box::new(Segments::default()),
        Box::new(Redb::default()),
        Box::new(Fjall::default()),
    ];
    let rows: Vec<Value> =
        contenders.iter_mut().map(|contender| measure(contender.as_mut(), &dir)).collect::<Result<_>>()?;
    println!("{:#}", json!({"batch_bytes": BATCH_BYTES, "batches": BATCHES, "sync_every": SYNC_EVERY, "rows": rows}));
    Ok(())
}
