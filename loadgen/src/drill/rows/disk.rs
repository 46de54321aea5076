//! Rows whose fault is the disk's. They mount small file systems or trace system calls, and need root for that.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tickline_feeds::clock::Clock;

use crate::child::{Engine, wait_for};
use crate::drill::Drill;
use crate::drill::fake::Reply;
use crate::drill::message::{FEED, SRC};
use crate::drill::rig::Rig;
use crate::drill::row::Row;

pub(super) const FULL: &str = "disk full, each policy";
pub(super) const INODES: &str = "no inodes left, then read-only at a start";
pub(super) const GONE: &str = "the disk is taken away and comes back";
pub(super) const SYNC: &str = "fdatasync fails with EIO at the n-th call";
pub(super) const BETWEEN: &str = "kill at the n-th call that changes the folder";

/// A call that does not come within this time is not waited for, ns: the engine is killed anyway.
const ALIVE_NS: u64 = 1_500_000_000;
const PATIENCE: Duration = Duration::from_secs(120);

/// A small file system in memory, taken away with its owner.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(dir: &Path, options: &str) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        run("mount", &["-t", "tmpfs", "-o", options, "tmpfs", &dir.display().to_string()])?;
        Ok(Self(dir.to_owned()))
    }

    fn remount(&self, options: &str) -> Result<()> {
        run("mount", &["-o", &format!("remount,{options}"), &self.0.display().to_string()])
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: an engine of a row that failed may still have files there.
        run("umount", &["-l", &self.0.display().to_string()]).ok();
    }
}

fn run(program: &str, words: &[&str]) -> Result<()> {
    let output = Command::new(program).args(words).output()?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// The row as it stands where it cannot be run; in CI that is a failure.
fn impossible(id: &str, fault: &str, program: &str) -> Option<Row> {
    let root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let there =
        ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].iter().any(|dir| Path::new(dir).join(program).exists());
    if root && there {
        return None;
    }
    let mut row = Row::skipped(id, fault, format!("needs root and {program}"));
    if std::env::var_os("TICKLINE_CI").is_some() {
        row.verdict = "fail";
    }
    Some(row)
}

/// T13: with `block` everything arrives once there is room, with the others exactly what is counted is missing.
pub(super) fn full(drill: Drill<'_>) -> Result<Row> {
    if let Some(row) = impossible("T13", FULL, "mount") {
        return Ok(row);
    }
    let mut all: Option<Row> = None;
    for _ in 0..drill.tier.pick(1, 100) {
        for policy in ["block", "drop_oldest", "drop_newest"] {
            let row = full_with(drill, policy)?;
            all = Some(match all {
                Some(before) => before.and(row),
                None => row,
            });
        }
    }
    all.context("a round")
}

fn full_with(drill: Drill<'_>, policy: &str) -> Result<Row> {
    const MESSAGES: u64 = 200_000;
    let mut rig = Rig::new(drill.program, "T13", FULL, &["engine.batch_bytes_max=\"64KiB\""])?;
    let disk = Tmpfs::mount(&rig.dir.path().join("disk"), "size=4m")?;
    rig.set(format!("sinks.db.spool.dir={:?}", disk.0.join("spool").display().to_string()));
    // Segments of 128 KiB: one that is done makes room.
    rig.set("sinks.db.spool.max_bytes=\"1GiB\"".to_owned());
    rig.set(format!("sinks.db.spool.when_full={policy:?}"));
    rig.drops = policy != "block";
    rig.script(|_, _, _| Reply::Status(503, None, String::new()));
    rig.start()?;
    rig.publisher.send_until(MESSAGES, 40_000);
    wait_for("the disk is full", PATIENCE, || {
        Ok((rig.metric("tickline_spool_append_failures_total")? > 0).then_some(()))
    })?;
    rig.row.faults_injected += 1;
    rig.watch(Duration::from_secs(2))?;
    rig.well();
    wait_for("all is sent", PATIENCE, || Ok((rig.publisher.sent() >= MESSAGES).then_some(())))?;
    rig.drain()?;
    let mut row = rig.finish()?;
    let (missing, dropped) = (row.sent - row.stored, row.dropped);
    row.expect(missing == dropped, format!("{policy}: {missing} missing, {dropped} counted"));
    row.expect((dropped == 0) == (policy == "block"), format!("{policy}: {dropped} dropped"));
    row.detail = format!("{policy}: {dropped} dropped; ");
    Ok(row)
}

/// T13b: nothing is lost while the folder takes nothing, and it goes on by itself.
pub(super) fn inodes(drill: Drill<'_>) -> Result<Row> {
    if let Some(row) = impossible("T13b", INODES, "mount") {
        return Ok(row);
    }
    let small = ["engine.batch_bytes_max=\"64KiB\"", "sinks.db.durability=\"journal\""];
    let mut rig = Rig::new(drill.program, "T13b", INODES, &small)?;
    let disk = Tmpfs::mount(&rig.dir.path().join("disk"), "size=32m,nr_inodes=8")?;
    rig.set(format!("sinks.db.spool.dir={:?}", disk.0.join("spool").display().to_string()));
    rig.set("sinks.db.spool.max_bytes=\"4MiB\"".to_owned());
    rig.script(|_, _, _| Reply::Status(503, None, String::new()));
    rig.start()?;
    rig.publisher.send_until(100_000, 20_000);
    let failures = "tickline_spool_append_failures_total";
    wait_for("no inode is left", PATIENCE, || Ok((rig.metric(failures)? > 0).then_some(())))?;
    rig.row.faults_injected += 1;
    rig.watch(Duration::from_secs(1))?;
    rig.well();
    wait_for("all is sent", PATIENCE, || Ok((rig.publisher.sent() >= 100_000).then_some(())))?;
    rig.drain()?;
    rig.stop(0)?;
    disk.remount("ro")?;
    let ended = Engine::spawn(rig.program(), rig.dir.path(), rig.sets())?.wait()?;
    let log = ended.log.join(" | ");
    let said = log.contains("Read-only") && log.contains("what is in it is kept");
    rig.row.expect(ended.code == Some(78) && said, format!("read-only: exit code {:?}: {log}", ended.code));
    rig.row.faults_injected += 1;
    disk.remount("rw")?;
    rig.finish()
}

/// T13c: nothing is written where the disk was, receiving waits, and all of it is stored once the disk is back.
pub(super) fn gone(drill: Drill<'_>) -> Result<Row> {
    if let Some(row) = impossible("T13c", GONE, "mount") {
        return Ok(row);
    }
    let small = ["engine.batch_bytes_max=\"64KiB\"", "sinks.db.durability=\"journal\""];
    let mut rig = Rig::new(drill.program, "T13c", GONE, &small)?;
    let (device, place) = (rig.dir.path().join("device"), rig.dir.path().join("disk"));
    std::fs::create_dir_all(&device)?;
    std::fs::create_dir_all(&place)?;
    let mount = || run("mount", &["--bind", &device.display().to_string(), &place.display().to_string()]);
    rig.set(format!("sinks.db.spool.dir={:?}", place.join("spool").display().to_string()));
    rig.set("sinks.db.spool.max_bytes=\"8MiB\"".to_owned());
    mount()?;
    rig.script(|_, _, _| Reply::Status(503, None, String::new()));
    rig.start()?;
    rig.publisher.set_rate(10_000);
    rig.watch(Duration::from_secs(1))?;
    run("umount", &["-l", &place.display().to_string()])?;
    rig.row.faults_injected += 1;
    let failures = "tickline_spool_append_failures_total";
    wait_for("the next segment has no place", PATIENCE, || {
        rig.ask()?;
        Ok((rig.metric(failures)? > 0).then_some(()))
    })?;
    let log = rig.running()?.log().join(" | ");
    rig.row.expect(log.contains("what is on it is kept"), format!("it is not said: {log}"));
    let (status, ready) = rig.running()?.get("/ready")?;
    rig.row.expect(status == 503, format!("/ready: {status} {ready}"));
    rig.row.expect(
        std::fs::read_dir(&place)?.next().is_none(),
        "something was written where the disk was".to_owned(),
    );
    mount()?;
    let _disk = Tmpfs(place);
    rig.publisher.set_rate(0);
    rig.finish()
}

/// T14: nothing that was accepted is lost, and the failure is counted.
pub(super) fn sync_fails(drill: Drill<'_>) -> Result<Row> {
    if let Some(row) = impossible("T14", SYNC, "strace") {
        return Ok(row);
    }
    let mut rig = Rig::new(drill.program, "T14", SYNC, &["sinks.db.durability=\"journal_sync\""])?;
    rig.publisher.set_rate(500);
    for n in 1..=drill.tier.pick(20, 500) {
        let inject = format!("inject=fdatasync:error=EIO:when={n}");
        trace(&mut rig, &["-e", "trace=fdatasync", "-e", &inject]);
        rig.start()?;
        wait_for("a sync has failed", PATIENCE, || {
            rig.ask()?;
            Ok((rig.metric("tickline_spool_sync_failures_total")? > 0).then_some(()))
        })?;
        rig.row.faults_injected += 1;
        rig.watch(Duration::from_millis(100))?;
        rig.kill()?;
    }
    nothing_is_claimed_while_no_sync_succeeds(&mut rig)?;
    rig.run_under(&[]);
    rig.finish()
}

/// With `journal_sync`, that is what tells it from a journal.
fn nothing_is_claimed_while_no_sync_succeeds(rig: &mut Rig) -> Result<()> {
    trace(rig, &["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=1+"]);
    rig.start()?;
    rig.watch(Duration::from_secs(3))?;
    let claimed = rig.running()?.accepted(FEED, SRC)?;
    rig.row.expect(claimed == 0, format!("{claimed} claimed though no sync has succeeded"));
    // What an earlier life has left is sent; what comes now is not.
    let (from, to) = (rig.joined(), rig.publisher.sent());
    let stored = to + 1 - from - rig.fake.store().look(|stored| stored.missing(from, to).len() as u64);
    rig.row.expect(stored == 0 && to > from, format!("{stored} sent though no sync has succeeded"));
    rig.row.faults_injected += 1;
    rig.kill()
}

/// T26: whatever was done to the folder last, the next start finds everything.
pub(super) fn between(drill: Drill<'_>) -> Result<Row> {
    if let Some(row) = impossible("T26", BETWEEN, "strace") {
        return Ok(row);
    }
    let small = ["engine.batch_bytes_max=\"16KiB\"", "sinks.db.durability=\"journal\""];
    let mut rig = Rig::new(drill.program, "T26", BETWEEN, &small)?;
    rig.set("sinks.db.spool.max_bytes=\"1MiB\"".to_owned());
    rig.publisher.set_rate(5_000);
    // strace counts the calls of each thread: one kind of call at a time, so that each is met.
    for call in ["unlink", "ftruncate", "fdatasync", "fsync", "write"] {
        for n in 1..=drill.tier.pick(12, 400) {
            let inject = format!("inject={call}:signal=SIGKILL:when={n}");
            trace(&mut rig, &["-e", &format!("trace={call}"), "-e", &inject]);
            if let Err(error) = rig.start() {
                // It was killed before it had subscribed: that counts, too.
                let how = format!("{error:#}");
                rig.row.expect(how.contains("signal: 9"), format!("{call} {n}: {how}"));
                rig.row.faults_injected += 1;
                continue;
            }
            let since = crate::clock::OsClock::start();
            while rig.ask().is_ok() && since.mono().0 < ALIVE_NS {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            rig.kill()?;
        }
    }
    rig.run_under(&[]);
    rig.finish()
}

/// Puts the engine under strace, which stays in the background so that the engine is our own child.
fn trace(rig: &mut Rig, words: &[&str]) {
    let log = rig.dir.path().join("strace.log").display().to_string();
    let all = [&["strace", "-D", "-f", "-qq", "-o", &log], words, &["--"]].concat();
    rig.run_under(&all);
}
