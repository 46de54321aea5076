//! Rows whose fault is done to the process, its folder or its configuration.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::child::Engine;
use crate::drill::Drill;
use crate::drill::fake::Reply;
use crate::drill::rig::Rig;
use crate::drill::row::Row;

pub(super) const SIGNALS: &str = "SIGTERM and SIGINT while the sink is well, down or slow";
pub(super) const STOPPED: &str = "SIGSTOP, later SIGCONT";
pub(super) const SECOND: &str = "two processes, one spool";
pub(super) const CONFIGURATION: &str = "invalid configuration while the spool is full";

pub(super) const OVERLOAD: &str = "publisher faster than the engine, which drops by policy";
pub(super) const SECRETS: &str = "a secret in log, pages or report";

/// T17: it drains or spools, and ends with 0.
pub(super) fn signals(drill: Drill<'_>) -> Result<Row> {
    let mut rig = Rig::new(drill.program, "T17", SIGNALS, &[])?;
    rig.publisher.set_rate(5_000);
    for round in 0..drill.tier.pick(5, 200) {
        let replies = [
            Reply::Store,
            Reply::Status(503, None, String::new()),
            Reply::StoreAfter(Duration::from_millis(200)),
        ];
        for reply in replies {
            rig.script(move |_, _, _| reply.clone());
            rig.start()?;
            rig.watch(Duration::from_millis(300))?;
            let began = std::sync::Arc::new(crate::clock::OsClock::start());
            if round % 2 == 0 {
                rig.stop(0)?;
            } else {
                let engine = rig.engine.take().context("it runs")?;
                engine.signal("-INT")?;
                let ended = engine.wait()?;
                rig.see_end(&ended, 0);
            }
            let took = tickline_feeds::clock::Clock::mono(&*began).0 / 1_000_000;
            rig.row.expect(took < 10_000, format!("a stop took {took} ms"));
            rig.row.faults_injected += 1;
        }
    }
    rig.finish()
}

/// T18: a process that was stopped goes on.
pub(super) fn stopped(drill: Drill<'_>) -> Result<Row> {
    let mut rig = Rig::new(drill.program, "T18", STOPPED, &[])?;
    rig.start()?;
    rig.publisher.set_rate(2_000);
    for _ in 0..drill.tier.pick(1, 50) {
        rig.watch(Duration::from_secs(1))?;
        rig.running()?.signal("-STOP")?;
        std::thread::park_timeout(Duration::from_secs(10));
        rig.running()?.signal("-CONT")?;
        rig.row.faults_injected += 1;
    }
    rig.publisher.set_rate(0);
    rig.finish()
}

/// T19: the second process ends, names the first, and damages nothing.
pub(super) fn second(drill: Drill<'_>) -> Result<Row> {
    let mut rig = Rig::new(drill.program, "T19", SECOND, &["sinks.db.durability=\"journal\""])?;
    rig.start()?;
    rig.publisher.set_rate(2_000);
    for round in 0..drill.tier.pick(2, 50) {
        rig.watch(Duration::from_millis(500))?;
        let owner = rig.running()?.id();
        let mut sets = rig.sets().to_vec();
        let elsewhere = rig.dir.path().join(format!("state-{round}"));
        // With the same state folder, that is what is refused; with another, the spool.
        if round % 2 == 1 {
            let spool = rig.dir.path().join("tickline-data/spool/db");
            sets.push(format!("engine.state_dir={:?}", elsewhere.display().to_string()));
            sets.push(format!("sinks.db.spool.dir={:?}", spool.display().to_string()));
        }
        let second = Engine::spawn(rig.program(), rig.dir.path(), &sets)?;
        let ended = second.wait()?;
        let log = ended.log.join(" | ");
        rig.row.expect(ended.code == Some(78), format!("exit code {:?}: {log}", ended.code));
        rig.row.expect(log.contains(&owner.to_string()), format!("process {owner} is not named: {log}"));
        rig.row.faults_injected += 1;
    }
    rig.publisher.set_rate(0);
    rig.finish()
}

/// T28: exit code 78 with the place, and not a byte of the spool has changed.
pub(super) fn configuration(drill: Drill<'_>) -> Result<Row> {
    let mut rig = Rig::new(drill.program, "T28", CONFIGURATION, &["sinks.db.durability=\"journal\""])?;
    rig.script(|_, _, _| Reply::Status(503, None, String::new()));
    rig.start()?;
    rig.publisher.set_rate(5_000);
    rig.watch(Duration::from_secs(1))?;
    rig.publisher.set_rate(0);
    rig.stop(0)?;
    let folder = rig.dir.path().join("tickline-data/spool/db");
    let before = contents(&folder)?;
    rig.row.expect(!before.is_empty(), "nothing is on disk".to_owned());
    let keys =
        ["engine.encoders", "sinks.db.queue_batches_max", "sinks.db.spool.max_bytes", "engine.batch_linger"];
    let values = [
        "-1",
        "\"x",
        "[]",
        "{}",
        "99999999999999999999",
        "\"\"",
        "1.5",
        "true",
        "'7 parsecs'",
        "\"\\u0000\"",
    ];
    let pairs = keys.iter().flat_map(|key| values.iter().map(move |value| format!("{key}={value}")));
    let unknown = (0..20).map(|n| format!("engine.no_such_key_{n}=1"));
    for wrong in pairs.chain(unknown) {
        let sets = [rig.sets(), std::slice::from_ref(&wrong)].concat();
        let ended = Engine::spawn(rig.program(), rig.dir.path(), &sets)?.wait()?;
        let log = ended.log.join(" | ");
        rig.row.expect(ended.code == Some(78), format!("{wrong}: exit code {:?}: {log}", ended.code));
        rig.row.expect(log.contains("--set"), format!("{wrong}: the place is not named: {log}"));
        rig.row.faults_injected += 1;
    }
    let after = contents(&folder)?;
    rig.row.expect(before == after, "the spool has changed".to_owned());
    rig.finish()
}

/// Name and bytes of every file.
fn contents(dir: &std::path::Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            all.push((entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?));
        }
    }
    all.sort();
    Ok(all)
}

/// T32: what the engine drops is what is missing, to the message.
pub(super) fn overload(drill: Drill<'_>) -> Result<Row> {
    let keys = ["engine.when_full=\"drop_newest\"", "engine.queue_frames_max=1000", "engine.burst_max=100"];
    let mut rig = Rig::new(drill.program, "T32", OVERLOAD, &keys)?;
    rig.drops = true;
    rig.start()?;
    let last = drill.tier.pick(500_000, 20_000_000);
    rig.publisher.send_until(last, 10_000_000);
    while rig.publisher.sent() < last {
        rig.watch(Duration::from_millis(100))?;
    }
    rig.drain()?;
    rig.row.faults_injected = rig.running()?.status()?.ledger.lost_overload.unwrap_or(0);
    let mut row = rig.finish()?;
    let (missing, overload) = (row.sent - row.stored, row.gap_messages);
    row.expect(missing == overload, format!("{missing} missing, {overload} said to be dropped"));
    row.detail = format!("{overload} messages dropped and counted");
    Ok(row)
}

/// T40: nowhere that anyone can read.
pub(super) fn secrets(drill: Drill<'_>) -> Result<Row> {
    const SECRET: &str = "correct-horse-battery-staple";
    let mut rig = Rig::new(drill.program, "T40", SECRETS, &[])?;
    let file = rig.dir.path().join("password");
    std::fs::write(&file, SECRET)?;
    rig.set("sinks.db.username=\"u\"".to_owned());
    rig.set(format!("sinks.db.password=\"file:{}\"", file.display()));
    rig.script(|n, _, _| match n % 4 {
        0 => Reply::Status(401, None, "{\"error\":\"authorization failed\"}".to_owned()),
        1 => Reply::Status(503, None, "{\"error\":\"x\"}".to_owned()),
        2 => Reply::ResetRequest,
        _ => Reply::Store,
    });
    rig.start()?;
    rig.publisher.set_rate(500);
    rig.watch(Duration::from_secs(3))?;
    rig.publisher.set_rate(0);
    for page in ["/health", "/ready", "/metrics", "/status?hdr=1", "/config"] {
        let (_, body) = rig.running()?.get(page)?;
        rig.row.expect(!body.is_empty() && !body.contains(SECRET), format!("the secret stands in {page}"));
    }
    rig.well();
    rig.drain()?;
    let ended = rig.stop(0)?;
    let log = ended.map(|ended| ended.log.join("\n")).unwrap_or_default();
    rig.row.expect(!log.is_empty() && !log.contains(SECRET), "the secret stands in the log".to_owned());
    rig.finish()
}
