//! Rows that damage what waits on disk while no engine runs. Each case starts from the same folder: the engine must
//! start, send what is whole, send nothing that is not, and count what was hit.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::drill::Drill;
use crate::drill::fake::Reply;
use crate::drill::rig::Rig;
use crate::drill::row::Row;
use crate::prng::Prng;

pub(super) const CUT: &str = "newest segment cut within its last three records";
pub(super) const FLIP: &str = "a bit flipped anywhere in a segment";
pub(super) const GARBAGE: &str = "garbage, zeros or doubled blocks in a segment";
pub(super) const CURSOR: &str = "cursor missing, old, ahead or garbage";
pub(super) const STRAY: &str = "stray names, a segment missing, an impossible length";

/// Messages on disk.
const MESSAGES: u64 = 4_000;

/// What a case does to the folder.
type Damage<'a> = &'a mut dyn FnMut(&mut Prng, &Path, u32) -> Result<()>;

/// T20
pub(super) fn cut(drill: Drill<'_>) -> Result<Row> {
    cases(drill, "T20", CUT, drill.tier.pick(60, 2_000), &mut |dice, dir, _| {
        let newest = segments(dir)?.pop().context("a segment")?;
        let length = fs::metadata(&newest)?.len();
        // The last three records are some KiB each.
        let cut = 1 + dice.below(usize::try_from(length / 2)?) as u64;
        fs::OpenOptions::new().write(true).open(newest)?.set_len(length - cut)?;
        Ok(())
    })
}

/// T21
pub(super) fn flip(drill: Drill<'_>) -> Result<Row> {
    cases(drill, "T21", FLIP, drill.tier.pick(100, 10_000), &mut |dice, dir, _| {
        edit(dice, dir, |dice, bytes| {
            let at = dice.below(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        })
    })
}

/// T22
pub(super) fn garbage(drill: Drill<'_>) -> Result<Row> {
    cases(drill, "T22", GARBAGE, drill.tier.pick(60, 2_000), &mut |dice, dir, case| {
        edit(dice, dir, |dice, bytes| {
            let (at, length) = (dice.below(bytes.len()), 1 + dice.below(4_096));
            let end = (at + length).min(bytes.len());
            let new: Vec<u8> = match case % 3 {
                0 => (0..length).map(|_| dice.below(256) as u8).collect(),
                1 => vec![0; length],
                _ => bytes.get(at..end).unwrap_or_default().to_vec(),
            };
            if case % 2 == 0 {
                bytes.splice(at..end, new);
            } else {
                bytes.splice(at..at, new);
            }
        })
    })
}

/// T23
pub(super) fn cursor(drill: Drill<'_>) -> Result<Row> {
    cases(drill, "T23", CURSOR, drill.tier.pick(8, 80), &mut |dice, dir, case| {
        let path = dir.join("cursor");
        match case % 4 {
            0 => fs::remove_file(&path).or_else(|_| fs::write(&path, b""))?,
            1 => fs::write(&path, [0; 12])?,
            2 => fs::write(&path, [255; 12])?,
            _ => fs::write(&path, (0..dice.below(40)).map(|_| dice.below(256) as u8).collect::<Vec<_>>())?,
        }
        Ok(())
    })
}

/// T24, T25
pub(super) fn stray(drill: Drill<'_>) -> Result<Row> {
    cases(drill, "T25", STRAY, drill.tier.pick(12, 60), &mut |dice, dir, case| {
        match case % 4 {
            0 => fs::write(dir.join("00000000000000000000-old-1.spool"), b"an old one")?,
            1 => {
                fs::write(dir.join("18446744073709551614-18446744073709551614-00000000.spool"), b"tickspol")?
            }
            2 => {
                let all = segments(dir)?;
                let victim = all.get(dice.below(all.len())).context("a segment")?;
                fs::remove_file(victim)?;
            }
            _ => edit(dice, dir, |_, bytes| {
                // The length of the first record says four GiB.
                if let Some(length) = bytes.get_mut(68..72) {
                    length.copy_from_slice(&u32::MAX.to_le_bytes());
                }
            })?,
        }
        Ok(())
    })
}

/// The segments of a folder, oldest first.
fn segments(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "spool") {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

/// Changes the bytes of one segment.
fn edit(dice: &mut Prng, dir: &Path, change: impl FnOnce(&mut Prng, &mut Vec<u8>)) -> Result<()> {
    let all = segments(dir)?;
    let path = all.get(dice.below(all.len())).context("a segment")?;
    let mut bytes = fs::read(path)?;
    change(dice, &mut bytes);
    fs::write(path, bytes)?;
    Ok(())
}

/// Copies the files of a folder.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn cases(drill: Drill<'_>, id: &str, fault: &str, count: u32, damage: Damage<'_>) -> Result<Row> {
    let keys = ["engine.batch_bytes_max=\"16KiB\"", "sinks.db.durability=\"journal\""];
    let mut rig = Rig::new(drill.program, id, fault, &keys)?;
    rig.set("sinks.db.spool.max_bytes=\"1MiB\"".to_owned());
    rig.script(|_, _, _| Reply::Status(503, None, String::new()));
    rig.start()?;
    rig.publisher.send_until(MESSAGES, 5_000);
    while rig.publisher.sent() < MESSAGES {
        rig.watch(Duration::from_millis(50))?;
    }
    rig.drain_to_disk()?;
    rig.stop(0)?;
    rig.forget_claims();
    rig.well();
    let (live, saved) = (rig.dir.path().join("tickline-data/spool/db"), rig.dir.path().join("saved"));
    copy(&live, &saved)?;
    let mut dice = Prng::new(drill.seed);
    for case in 0..count {
        copy(&saved, &live)?;
        rig.fake.store().clear();
        damage(&mut dice, &live, case)?;
        rig.row.faults_injected += 1;
        rig.start()?;
        rig.drain()?;
        let damaged = rig.metric("tickline_spool_damaged_points_total")?;
        let places = rig.metric("tickline_spool_damages_total")?;
        let missing = rig.fake.store().look(|stored| stored.missing(1, MESSAGES).len() as u64);
        // What was cut off at the end of the last segment is nowhere said; a removed file leaves no place at all.
        let told = missing == damaged || (missing > damaged && (places > 0 || fault == STRAY));
        rig.row.expect(told, format!("case {case}: {missing} missing, {damaged} counted in {places} places"));
        rig.row.expect(missing < MESSAGES, format!("case {case}: nothing has survived"));
        rig.stop(0)?;
        rig.forget_claims();
    }
    rig.finish()
}
