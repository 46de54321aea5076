//! Rows that kill the engine.

use std::time::Duration;

use anyhow::Result;

use crate::drill::Drill;
use crate::drill::fake::Reply;
use crate::drill::rig::Rig;
use crate::drill::row::Row;
use crate::prng::Prng;

pub(super) const JOURNAL: &str = "kill -9 under load, durability journal";
pub(super) const JOURNAL_SYNC: &str = "kill -9 under load, durability journal_sync";
pub(super) const SPILL: &str = "kill -9 under load, durability spill";
pub(super) const DRAINING: &str = "kill -9 while a backlog drains";
pub(super) const TWICE: &str = "kill -9, start, append, kill -9, start";

/// What a kill may cost with durability `spill`: an open batch (500 ms) and one that is not late yet (500 ms), with
/// room for a machine that is busy.
const SPILL_WINDOW_MS: u64 = 1_500;
/// From a kill to the first fresh tick stored.
const RECOVERY_MS: u64 = 2_000;

pub(super) fn journal(drill: Drill<'_>) -> Result<Row> {
    under_load(drill, "T15", JOURNAL, "journal", drill.tier.pick(20, 200))
}

pub(super) fn journal_sync(drill: Drill<'_>) -> Result<Row> {
    under_load(drill, "T15s", JOURNAL_SYNC, "journal_sync", drill.tier.pick(5, 50))
}

pub(super) fn spill(drill: Drill<'_>) -> Result<Row> {
    let mut row = under_load(drill, "T15m", SPILL, "spill", drill.tier.pick(10, 100))?;
    let window = row.lost_window_ms_max.unwrap_or(0);
    row.expect(window <= SPILL_WINDOW_MS, format!("a kill cost {window} ms, not at most {SPILL_WINDOW_MS}"));
    Ok(row)
}

/// Kills at random times, while the database is well, slow or refuses.
fn under_load(drill: Drill<'_>, id: &str, fault: &str, durability: &str, kills: u32) -> Result<Row> {
    let durability = format!("sinks.db.durability={durability:?}");
    let mut rig = Rig::new(drill.program, id, fault, &[&durability])?;
    rig.journal = durability.contains("journal");
    let mut dice = Prng::new(drill.seed);
    rig.publisher.set_rate(5_000);
    for _ in 0..kills {
        match dice.below(3) {
            0 => rig.well(),
            1 => rig.script(|_, _, _| Reply::StoreAfter(Duration::from_millis(300))),
            _ => rig.script(|_, _, _| Reply::Status(503, None, String::new())),
        }
        rig.start()?;
        let life = 200 + dice.below(drill.tier.pick(1_300, 4_800));
        rig.watch(Duration::from_millis(life as u64))?;
        rig.kill()?;
    }
    let mut row = rig.finish()?;
    let back = row.recovery_ms_max;
    let soon = back.is_some_and(|back| back <= RECOVERY_MS);
    row.expect(soon, format!("{back:?} ms from a kill to the first fresh tick"));
    Ok(row)
}

/// T16: killed while it sends what an earlier life has left.
pub(super) fn draining(drill: Drill<'_>) -> Result<Row> {
    let mut rig = Rig::new(drill.program, "T16", DRAINING, &["sinks.db.durability=\"journal\""])?;
    rig.journal = true;
    let mut dice = Prng::new(drill.seed);
    rig.script(|_, _, _| Reply::Status(503, None, String::new()));
    rig.start()?;
    rig.publisher.set_rate(20_000);
    rig.watch(Duration::from_secs(5))?;
    rig.publisher.set_rate(1_000);
    rig.kill()?;
    rig.script(|_, _, _| Reply::StoreAfter(Duration::from_millis(20)));
    for _ in 0..drill.tier.pick(20, 1_000) {
        rig.start()?;
        rig.watch(Duration::from_millis(20 + dice.below(300) as u64))?;
        rig.kill()?;
    }
    let mut row = rig.finish()?;
    row.expect(row.duplicates > 0, "nothing was sent twice".to_owned());
    Ok(row)
}

/// T16b: nothing that was there before the first start is lost at the second.
pub(super) fn twice(drill: Drill<'_>) -> Result<Row> {
    let mut rig = Rig::new(drill.program, "T16b", TWICE, &["sinks.db.durability=\"journal\""])?;
    rig.script(|_, _, _| Reply::Status(503, None, String::new()));
    rig.journal = true;
    rig.publisher.set_rate(2_000);
    for _ in 0..drill.tier.pick(10, 200) {
        rig.start()?;
        rig.watch(Duration::from_millis(200))?;
        rig.kill()?;
    }
    rig.finish()
}
