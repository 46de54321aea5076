//! Rows about the way between publisher and engine, and about time.

use std::time::Duration;

use anyhow::{Context, Result};
use tickline_feeds::clock::Clock;

use crate::child::wait_for;
use crate::drill::Drill;
use crate::drill::proxy::Proxy;
use crate::drill::rig::Rig;
use crate::drill::row::Row;

pub(super) const SOAK: &str = "none, for a long time";
pub(super) const HALF_OPEN: &str = "a connection that falls silent and is not closed";

/// Twice the heartbeat timeout of the engine's sockets.
const BACK_MAX: Duration = Duration::from_secs(12);

/// T30: after the first part memory and descriptors stay as they are, and nothing is left on disk.
pub(super) fn soak(drill: Drill<'_>) -> Result<Row> {
    let mut rig = Rig::new(drill.program, "T30", SOAK, &["sinks.db.durability=\"journal\""])?;
    rig.start()?;
    rig.publisher.set_rate(5_000);
    let part = Duration::from_secs(drill.tier.pick(20, 600));
    rig.watch(part)?;
    let (memory, descriptors) = (rig.running()?.rss_bytes(), rig.running()?.descriptors());
    rig.watch(2 * part)?;
    let (memory_after, after) = (rig.running()?.rss_bytes(), rig.running()?.descriptors());
    let spooled = rig.running()?.status()?.ledger.spooled;
    let mut row = rig.finish()?;
    let growth = memory_after as f64 / memory as f64;
    row.detail = format!(
        "in the last two thirds memory {growth:.3} of what it was, {descriptors} descriptors and then {after}, {spooled} \
         points left on disk"
    );
    row.expect(growth <= 1.05, format!("memory grew to {growth:.3}"));
    // A request to the status page may be under way at either look.
    row.expect(after <= descriptors + 2, format!("{descriptors} descriptors became {after}"));
    row.expect(spooled == 0, format!("{spooled} points are on disk"));
    row.expect(row.stored == row.sent && row.duplicates == 0, "sent is not stored once".to_owned());
    Ok(row)
}

/// T33: the heartbeat notices, the engine connects again, and what was sent meanwhile is named as lost, to the message.
pub(super) fn half_open(drill: Drill<'_>) -> Result<Row> {
    let mut rig = Rig::new(drill.program, "T33", HALF_OPEN, &[])?;
    let proxy = Proxy::start(&rig.publisher.endpoint)?;
    rig.set(format!("feeds.drill.endpoint={:?}", proxy.endpoint));
    rig.start()?;
    rig.publisher.set_rate(2_000);
    let (mut slowest, mut lost) = (Duration::ZERO, 0);
    for _ in 0..drill.tier.pick(2, 50) {
        rig.watch(Duration::from_secs(1))?;
        let (joins, connections) = (rig.publisher.joins().len(), proxy.connections());
        proxy.fall_silent();
        rig.row.faults_injected += 1;
        let began = rig.clock.mono();
        wait_for("the engine connects again", 2 * BACK_MAX, || {
            Ok((proxy.connections() > connections).then_some(()))
        })?;
        slowest = slowest.max(Duration::from_nanos(rig.clock.mono().since(began)));
        let joined = wait_for("it subscribes again", BACK_MAX, || {
            Ok(rig.publisher.joins().get(joins..).and_then(<[u64]>::last).copied())
        })?;
        lost += rig.rejoin(joined)?;
    }
    rig.publisher.set_rate(0);
    rig.watch(Duration::from_secs(1))?;
    let ledger = rig.running()?.status()?.ledger;
    let named = ledger.lost_before_receive.context("sequences")?;
    let own = rig.fake.store().look(|stored| stored.own);
    let mut row = rig.finish()?;
    row.detail = format!(
        "connected again after at most {:.1} s; {named} messages named as lost of {lost} that are missing, {own} rows about \
         it",
        slowest.as_secs_f64()
    );
    row.expect(slowest <= BACK_MAX, format!("connected again only after {slowest:?}"));
    row.expect(named == lost && lost > 0, format!("{named} messages named as lost, {lost} are missing"));
    row.expect(own > 0, "no row of feed_gap".to_owned());
    Ok(row)
}
