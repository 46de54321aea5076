//! What every row has: a publisher, a database double, an engine that may die, and an oracle that knows what the
//! engine has claimed and looks whether it is there.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tickline_feeds::clock::Clock;

use super::fake::{Fake, Head, Reply};
use super::message::{FEED, SRC, feed_keys};
use super::publisher::Publisher;
use super::row::Row;
use crate::child::{Ended, Engine, wait_for};
use crate::clock::OsClock;

/// Fresh ticks at the end of each row.
const FRESH: u64 = 1_000;
/// A journal claims what was sent so long ago, ns: batch, append, and the next question.
const CLAIM_NS: u64 = 500_000_000;
/// How long a spool may stand still before a row gives up.
const STANDSTILL: Duration = Duration::from_secs(120);
/// How often the engine is asked what it has accepted.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// A life of the engine that ended in a kill.
#[derive(Clone, Copy, Debug)]
struct Killed {
    joined: u64,
    at_ns: u64,
}

/// See the module.
pub(super) struct Rig {
    program: Vec<OsString>,
    pub(super) dir: TempDir,
    pub(super) clock: OsClock,
    pub(super) fake: Fake,
    pub(super) publisher: Publisher,
    pub(super) engine: Option<Engine>,
    sets: Vec<String>,
    /// First message of this life, and the highest number that it claims.
    life: (u64, u64),
    claims: Vec<(u64, u64)>,
    killed: Vec<Killed>,
    /// Whether what was received is to be claimed within [`CLAIM_NS`].
    pub(super) journal: bool,
    /// Messages that may be missing: every one whose number this divides; 0: none.
    pub(super) poisoned: u64,
    /// Whether messages may be missing that the engine says it dropped.
    pub(super) drops: bool,
    /// First message of each life, and whether the database was well when it began.
    joins: Vec<(u64, bool)>,
    well: bool,
    pub(super) row: Row,
}

impl Rig {
    /// A rig whose engine writes to the double with these further keys.
    pub(super) fn new(program: &Path, id: &str, what: &str, further: &[&str]) -> Result<Self> {
        let clock = OsClock::start();
        let (fake, publisher) = (Fake::start(clock)?, Publisher::start(clock)?);
        let mut sets = feed_keys(&publisher.endpoint);
        let sink = [
            ("kind", "\"influxdb\"".to_owned()),
            ("version", "1".to_owned()),
            ("url", format!("{:?}", fake.url())),
            ("database", "\"drill\"".to_owned()),
            ("spool.min_free_bytes", "\"0B\"".to_owned()),
        ];
        sets.extend(sink.into_iter().map(|(key, value)| format!("sinks.db.{key}={value}")));
        sets.extend(further.iter().map(|key| (*key).to_owned()));
        Ok(Self {
            program: vec![program.into()],
            dir: TempDir::new()?,
            clock,
            fake,
            publisher,
            engine: None,
            sets,
            life: (0, 0),
            claims: Vec::new(),
            killed: Vec::new(),
            journal: false,
            poisoned: 0,
            drops: false,
            joins: Vec::new(),
            well: true,
            row: Row::new(id, what),
        })
    }

    pub(super) fn sets(&self) -> &[String] {
        &self.sets
    }

    /// Adds or changes a key for the next start.
    pub(super) fn set(&mut self, key: String) {
        self.sets.push(key);
    }

    pub(super) fn program(&self) -> &[OsString] {
        &self.program
    }

    /// From the next start on the engine runs under another program; none: by itself.
    pub(super) fn run_under(&mut self, words: &[&str]) {
        let program = self.program.pop();
        self.program = words.iter().map(OsString::from).chain(program).collect();
    }

    /// The sum of a metric's samples.
    pub(super) fn metric(&self, name: &str) -> Result<u64> {
        let page = self.running()?.get("/metrics")?.1;
        let values = page.lines().filter(|line| line.starts_with(name));
        let values = values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(values.sum::<f64>() as u64)
    }

    /// Starts the engine and waits until it has subscribed.
    pub(super) fn start(&mut self) -> Result<()> {
        let before = self.publisher.joins().len();
        let mut engine = Engine::start(&self.program, self.dir.path(), &self.sets)?;
        let joined = wait_for("the engine subscribes", Duration::from_secs(30), || {
            engine.must_run()?;
            Ok(self.publisher.joins().get(before..).and_then(<[u64]>::last).copied())
        })?;
        self.engine = Some(engine);
        self.life = (joined, 0);
        self.joins.push((joined, self.well));
        self.row.restarts = self.joins.len() as u64 - 1;
        Ok(())
    }

    /// From now on the database meets requests like this.
    pub(super) fn script(&mut self, script: impl Fn(u64, &str, &Head) -> Reply + Send + 'static) {
        self.well = false;
        self.fake.script(script);
    }

    /// From now on the database is well.
    pub(super) fn well(&mut self) {
        self.well = true;
        self.fake.script(|_, _, _| Reply::Store);
    }

    /// The first message that this life was sent.
    pub(super) fn joined(&self) -> u64 {
        self.life.0
    }

    pub(super) fn running(&self) -> Result<&Engine> {
        self.engine.as_ref().ok_or_else(|| anyhow::anyhow!("the engine is not running"))
    }

    /// Watches the engine for a time and keeps what it claims.
    pub(super) fn watch(&mut self, time: Duration) -> Result<()> {
        let end = self.clock.mono().0 + time.as_nanos() as u64;
        while self.clock.mono().0 < end {
            self.ask()?;
            std::thread::park_timeout(ASK_EVERY);
        }
        Ok(())
    }

    /// Asks once.
    pub(super) fn ask(&mut self) -> Result<()> {
        let engine = self.running()?;
        let (accepted, rss) = (engine.accepted(FEED, SRC)?, engine.rss_bytes());
        self.life.1 = self.life.1.max(accepted);
        self.row.rss_peak_bytes = self.row.rss_peak_bytes.max(rss);
        let disk = disk_bytes(&self.dir.path().join("tickline-data/spool/db"));
        self.row.spool_peak_bytes = self.row.spool_peak_bytes.max(disk);
        Ok(())
    }

    /// Kills the engine; what it has claimed so far must be stored in the end.
    pub(super) fn kill(&mut self) -> Result<()> {
        let Some(engine) = self.engine.take() else { return Ok(()) };
        let at_ns = self.clock.mono().0;
        let log = engine.kill()?;
        self.see_log(&log);
        self.claims.push(self.life);
        self.killed.push(Killed { joined: self.life.0, at_ns });
        self.row.kills += 1;
        Ok(())
    }

    /// Stops the engine and expects this exit code; what it has claimed must be stored in the end.
    pub(super) fn stop(&mut self, code: i32) -> Result<Option<Ended>> {
        self.ask()?;
        let Some(engine) = self.engine.take() else { return Ok(None) };
        let ended = engine.stop()?;
        self.claims.push(self.life);
        self.see_end(&ended, code);
        Ok(Some(ended))
    }

    pub(super) fn see_end(&mut self, ended: &Ended, code: i32) {
        self.see_log(&ended.log);
        self.row.expect(
            ended.code == Some(code),
            format!("exit code {:?}, not {code}: {}", ended.code, ended.log.join(" | ")),
        );
        self.row.expect(ended.report.is_some() || code == 78, "no report at the end".to_owned());
        if let Some(report) = &ended.report {
            self.row
                .expect(report.ledger.balanced, format!("the ledger does not balance: {:?}", report.ledger));
            self.row.count(&report.ledger);
            self.row.retries += report.sinks.values().map(|sink| sink.retries).sum::<u64>();
        }
    }

    fn see_log(&mut self, log: &[String]) {
        let panics = log.iter().filter(|line| line.contains("panicked")).count() as u64;
        self.row.panics += panics;
        self.row.expect(panics == 0, format!("panicked: {}", log.join(" | ")));
    }

    /// Ends a row: the faults are over, everything drains, fresh ticks arrive, and what was claimed is there.
    pub(super) fn finish(mut self) -> Result<Row> {
        self.well();
        self.publisher.set_rate(0);
        if self.engine.is_none() {
            self.start()?;
        }
        self.drain()?;
        let last = self.publisher.sent() + FRESH;
        self.publisher.send_until(last, 5_000);
        wait_for("fresh ticks are sent", STANDSTILL, || Ok((self.publisher.sent() >= last).then_some(())))?;
        let fresh = wait_for("fresh ticks are stored", STANDSTILL, || {
            let missing = self.fake.store().look(|stored| stored.missing(last - FRESH + 1, last));
            let excused = |n: &u64| self.poisoned > 0 && n.is_multiple_of(self.poisoned);
            Ok(missing.iter().all(excused).then_some(()))
        });
        self.row.expect(fresh.is_ok(), "1,000 fresh ticks did not arrive".to_owned());
        self.drain()?;
        // Everything that this life was sent must be there, whatever it claims.
        if !self.drops {
            self.life.1 = last;
        }
        self.stop(0)?;
        self.judge();
        Ok(self.row)
    }

    /// Waits until nothing waits any more.
    pub(super) fn drain(&mut self) -> Result<()> {
        let (mut last, mut since) = (0, self.clock.mono());
        loop {
            self.ask()?;
            let ledger = self.running()?.status()?.ledger;
            let sent = self.publisher.sent();
            let received = ledger.received >= (sent + 1).saturating_sub(self.life.0);
            self.row.expect(ledger.balanced, format!("the ledger does not balance: {ledger:?}"));
            if ledger.spooled + ledger.in_flight + ledger.queued == 0 && received {
                return Ok(());
            }
            let progress = ledger.written + ledger.received;
            if progress != last {
                (last, since) = (progress, self.clock.mono());
            }
            let still = Duration::from_nanos(self.clock.mono().since(since));
            ensure!(still < STANDSTILL, "nothing has moved for {still:?}: {ledger:?}");
            std::thread::park_timeout(ASK_EVERY);
        }
    }

    /// Waits until everything that was sent waits on disk or is with a writer.
    pub(super) fn drain_to_disk(&mut self) -> Result<()> {
        let sent = self.publisher.sent();
        wait_for("all is taken", STANDSTILL, || {
            let ledger = self.running()?.status()?.ledger;
            Ok((ledger.points > sent - self.life.0 && ledger.queued == 0).then_some(()))
        })
    }

    /// The engine has subscribed again, from message `joined` on. What was sent before and has not arrived is lost on the
    /// way; returns how many messages that is. Nothing of them may be claimed.
    pub(super) fn rejoin(&mut self, joined: u64) -> Result<u64> {
        // The first message behind the hole shows how large it is.
        wait_for("a message after it", STANDSTILL, || {
            Ok(self.fake.store().look(|s| s.has(joined)).then_some(()))
        })?;
        let missing = self.fake.store().look(|stored| stored.missing(self.life.0, joined));
        let last = missing.first().map_or(joined, |first| first - 1);
        self.claims.push((self.life.0, last.min(self.life.1)));
        self.life = (joined, 0);
        self.joins.push((joined, self.well));
        Ok(missing.len() as u64)
    }

    /// What was claimed so far is held against nothing: the row does that itself.
    pub(super) fn forget_claims(&mut self) {
        self.claims.clear();
    }

    /// Holds what is stored against what was claimed.
    fn judge(&mut self) {
        let Self { row, publisher, fake, claims, killed, joins, poisoned, journal, .. } = self;
        let excused = |n: &u64| *poisoned > 0 && n.is_multiple_of(*poisoned);
        row.sent = publisher.sent();
        row.http_requests = fake.requests();
        row.faults_injected += fake.faults() + row.kills;
        fake.store().look(|stored| {
            row.stored = stored.distinct;
            row.duplicates = stored.duplicates();
            (row.corrupted, row.spurious) = (stored.corrupted, stored.spurious);
            let missing = claims.iter().flat_map(|(from, to)| stored.missing(*from, *to));
            row.lost_accepted = missing.filter(|n| !excused(n)).count() as u64;
            row.claimed = claims.iter().map(|(from, to)| (to + 1).saturating_sub(*from)).sum();
            let mut windows = Vec::new();
            for Killed { joined, at_ns } in killed.iter() {
                let sent = publisher.first_after(*at_ns).saturating_sub(1);
                let first = stored.missing(*joined, sent).first().and_then(|n| publisher.time_of(*n));
                windows.push(first.map_or(0, |first| at_ns.saturating_sub(first) / 1_000_000));
                // A journal that claims nothing would pass for one that loses nothing.
                let must = publisher.first_after(at_ns.saturating_sub(CLAIM_NS)).saturating_sub(1);
                let claim = claims.iter().find(|(from, _)| from == joined).map_or(0, |(_, to)| *to);
                let told = !*journal || must < *joined || claim >= must;
                row.expect(
                    told,
                    format!("of messages {joined} to {must} only those to {claim} were claimed"),
                );
                let next = joins.iter().find(|(join, _)| join > joined).filter(|(_, well)| *well);
                let back = next.and_then(|(join, _)| stored.first_ns(*join));
                let recovery = back.map(|back| back.saturating_sub(*at_ns) / 1_000_000);
                row.recovery_ms_max = row.recovery_ms_max.max(recovery);
            }
            windows.sort_unstable();
            row.lost_window_ms_max = windows.last().copied();
            row.lost_window_ms_median = windows.get(windows.len() / 2).copied();
        });
        let Row { lost_accepted, corrupted, spurious, .. } = *row;
        row.expect(lost_accepted == 0, format!("{lost_accepted} accepted messages are lost"));
        row.expect(corrupted + spurious == 0, format!("{corrupted} lines corrupted, {spurious} made up"));
        let injected = row.faults_injected > 0 || matches!(row.id.as_str(), "T1" | "T30" | "T40");
        row.expect(injected, "the fault did not happen".to_owned());
    }
}

/// Bytes of the files in a folder.
fn disk_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}
