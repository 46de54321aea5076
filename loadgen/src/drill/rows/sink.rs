//! Rows whose fault is the database's.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::child::wait_for;
use crate::drill::Drill;
use crate::drill::fake::Reply;
use crate::drill::message;
use crate::drill::rig::Rig;
use crate::drill::row::Row;
use crate::prng::splitmix64;

pub(super) const NONE: &str = "none";
pub(super) const DOWN: &str = "sink down";
pub(super) const SLOW: &str = "slow sink";
pub(super) const RESET: &str = "connection reset in request or answer";
pub(super) const LOGIN: &str = "401, then the password file is rotated";
pub(super) const MISSING: &str = "404, database missing for a time";
pub(super) const POISON: &str = "poison lines in every batch";
pub(super) const FOREVER: &str = "some batches fail for ever with 500";
pub(super) const IDLE: &str = "idle connections closed just when they are used again";
pub(super) const STORM: &str = "5xx storm, 429 with Retry-After of every kind";

/// T1: everything sent is stored once.
pub(super) fn none(drill: Drill<'_>) -> Result<Row> {
    let mut rig = Rig::new(drill.program, "T1", NONE, &[])?;
    rig.start()?;
    let messages = drill.tier.pick(300_000, 10_000_000);
    rig.publisher.send_until(messages, drill.tier.pick(30_000, 100_000));
    while rig.publisher.sent() < messages {
        rig.watch(Duration::from_millis(100))?;
    }
    let mut row = rig.finish()?;
    row.expect(row.stored == row.sent && row.duplicates == 0, "sent is not stored once".to_owned());
    row.expect(row.retries == 0, format!("{} retries", row.retries));
    Ok(row)
}

/// T2, T3: refused for longer than any internal timer; memory stays flat and the log does not fill.
pub(super) fn down(drill: Drill<'_>) -> Result<Row> {
    let mut rig = Rig::new(drill.program, "T2", DOWN, &[])?;
    rig.start()?;
    rig.publisher.set_rate(drill.tier.pick(5_000, 20_000));
    rig.watch(Duration::from_secs(2))?;
    rig.script(|_, _, _| Reply::ResetRequest);
    // Until the queue in memory is full, which is bounded.
    rig.watch(Duration::from_secs(10))?;
    let before = rig.running()?.rss_bytes();
    let (requests, seconds) = (rig.fake.requests(), drill.tier.pick(30, 600));
    rig.watch(Duration::from_secs(seconds))?;
    let (after, tried) = (rig.running()?.rss_bytes(), rig.fake.requests() - requests);
    let lines = rig.running()?.log().len() as u64;
    let began = rig.publisher.sent();
    rig.well();
    let spooled = rig.running()?.status()?.ledger.spooled;
    let clock = crate::clock::OsClock::start();
    rig.publisher.set_rate(drill.tier.pick(1_000, 5_000));
    wait_for("the backlog drains", Duration::from_secs(600), || {
        Ok((rig.running()?.status()?.ledger.spooled == 0).then_some(()))
    })?;
    let seconds_to_drain = tickline_feeds::clock::Clock::mono(&clock).0 as f64 / 1e9;
    let speed = spooled as f64 / seconds_to_drain / drill.tier.pick(5_000.0, 20_000.0);
    ensure!(began > 0, "nothing was sent");
    let mut row = rig.finish()?;
    let growth = after as f64 / before as f64;
    row.detail = format!(
        "memory {growth:.2} of what it was, {tried} tries and {lines} log lines in {seconds} s, drained at {speed:.1} x \
         real time"
    );
    row.expect(growth <= 1.10, format!("memory grew to {growth:.2}"));
    // Two connections, a first wait of 100 ms that doubles up to 10 s, half of it in the mean.
    row.expect(tried <= 2 * (20 + seconds), format!("{tried} tries"));
    row.expect(lines <= 20 + seconds / 3, format!("{lines} log lines"));
    row.expect(speed >= 3.0, format!("drained at {speed:.1} x real time"));
    row.expect(row.spool_peak_bytes > 0, "nothing was on disk".to_owned());
    Ok(row)
}

/// T4: answers after 0.1 to 1 s.
pub(super) fn slow(drill: Drill<'_>) -> Result<Row> {
    let mut rig = Rig::new(drill.program, "T4", SLOW, &[])?;
    let seed = drill.seed;
    rig.fake
        .script(move |n, _, _| Reply::StoreAfter(Duration::from_millis(100 + splitmix64(seed ^ n) % 900)));
    rig.start()?;
    rig.publisher.set_rate(5_000);
    rig.watch(Duration::from_secs(drill.tier.pick(20, 600)))?;
    rig.publisher.set_rate(0);
    rig.finish()
}

/// T5: the connection breaks at every place, also after the points were stored.
pub(super) fn reset(drill: Drill<'_>) -> Result<Row> {
    let mut rig = Rig::new(drill.program, "T5", RESET, &["sinks.db.connections=16"])?;
    let seed = drill.seed;
    rig.script(move |n, _, _| match splitmix64(seed ^ n) % 10 {
        0 => Reply::StoreAndReset,
        1 => Reply::ResetRequest,
        2 => Reply::StoreHalfAndReset,
        3 => Reply::StoreAndCut,
        _ => Reply::Store,
    });
    rig.start()?;
    rig.publisher.set_rate(2_000);
    let wanted = drill.tier.pick(500, 20_000);
    while rig.fake.faults() < wanted {
        rig.watch(Duration::from_millis(100))?;
    }
    rig.publisher.set_rate(0);
    let mut row = rig.finish()?;
    row.expect(row.duplicates > 0, "nothing was stored twice".to_owned());
    Ok(row)
}

/// T6: a request comes every 200 ms, and what is idle for nearly that long is closed.
pub(super) fn idle(drill: Drill<'_>) -> Result<Row> {
    // A little less than the time between two requests.
    const IDLE_TIME: Duration = Duration::from_millis(190);
    let mut rig = Rig::new(drill.program, "T6", IDLE, &["sinks.db.connections=1"])?;
    rig.fake.close_idle(IDLE_TIME);
    rig.start()?;
    rig.publisher.set_rate(5);
    rig.watch(IDLE_TIME * drill.tier.pick(60, 2_000))?;
    rig.publisher.set_rate(0);
    let lines = rig.running()?.log();
    let troubled: Vec<&String> = lines.iter().filter(|line| line.contains("ERROR")).collect();
    rig.row.expect(troubled.is_empty(), format!("{troubled:?}"));
    rig.finish()
}

/// T7: half of the answers are refusals of every kind.
pub(super) fn storm(drill: Drill<'_>) -> Result<Row> {
    let mut rig = Rig::new(drill.program, "T7", STORM, &["sinks.db.connections=32"])?;
    let seed = drill.seed;
    rig.script(move |n, _, _| {
        let dice = splitmix64(seed ^ n);
        let status = [500, 502, 503, 504, 429, 408][(dice % 6) as usize];
        let retry =
            [None, Some("0"), Some("1"), Some("soon"), Some("-5"), Some("Wed, 21 Oct 2015 07:28:00 GMT")];
        let retry = retry[(dice / 6 % 6) as usize].map(str::to_owned);
        if (dice / 36).is_multiple_of(2) {
            Reply::Store
        } else {
            Reply::Status(status, retry, "{\"error\":\"drill\"}".into())
        }
    });
    rig.start()?;
    rig.publisher.set_rate(2_000);
    let wanted = drill.tier.pick(2_000, 200_000);
    while rig.fake.requests() < wanted {
        rig.watch(Duration::from_millis(100))?;
    }
    rig.publisher.set_rate(0);
    rig.finish()
}

/// T8: held, not ready, and resumed without anyone's help once the file has another password.
pub(super) fn login(drill: Drill<'_>) -> Result<Row> {
    let mut rig = Rig::new(drill.program, "T8", LOGIN, &[])?;
    let file = rig.dir.path().join("password");
    std::fs::write(&file, "old\n")?;
    rig.set("sinks.db.username=\"u\"".to_owned());
    rig.set(format!("sinks.db.password=\"file:{}\"", file.display()));
    // u:new
    rig.script(|_, _, head| match head.authorization.as_str() {
        "Basic dTpuZXc=" => Reply::Store,
        _ => Reply::Status(401, None, "{\"error\":\"authorization failed\"}".to_owned()),
    });
    rig.start()?;
    rig.publisher.set_rate(1_000);
    rig.watch(Duration::from_secs(2))?;
    rig.publisher.set_rate(0);
    let (status, why) = rig.running()?.get("/ready")?;
    rig.row.expect(status == 503 && why.contains("login refused"), format!("/ready {status}: {why}"));
    std::fs::write(&file, "new\n")?;
    rig.drain()?;
    rig.finish()
}

/// T9: held until the database is there.
pub(super) fn missing(drill: Drill<'_>) -> Result<Row> {
    let mut rig = Rig::new(drill.program, "T9", MISSING, &[])?;
    for _ in 0..drill.tier.pick(1, 20) {
        let body = "{\"error\":\"database not found: drill\"}";
        rig.script(move |_, _, _| Reply::Status(404, None, body.to_owned()));
        if rig.engine.is_none() {
            rig.start()?;
        }
        rig.publisher.set_rate(1_000);
        rig.watch(Duration::from_secs(2))?;
        rig.publisher.set_rate(0);
        rig.well();
        rig.drain()?;
    }
    rig.finish()
}

/// T10: only the bad lines are refused, each is kept with the server's words, and their neighbours are stored.
pub(super) fn poison(drill: Drill<'_>) -> Result<Row> {
    const DIVISOR: u64 = 20;
    let mut rig = Rig::new(drill.program, "T10", POISON, &["engine.rejects_bytes_max=\"1GiB\""])?;
    rig.poisoned = DIVISOR;
    rig.script(|_, _, _| Reply::StoreBut(DIVISOR));
    rig.start()?;
    let last = drill.tier.pick(10_000, 1_000_000) * DIVISOR;
    rig.publisher.send_until(last, 20_000);
    while rig.publisher.sent() < last {
        rig.watch(Duration::from_millis(100))?;
    }
    rig.drain()?;
    rig.stop(0)?;
    let kept = std::fs::read_to_string(rig.dir.path().join("tickline-data/rejects/db.lp"))?;
    let (mut wanted, mut numbers) = (String::new(), BTreeSet::new());
    for line in kept.lines().filter(|line| !line.starts_with('#')) {
        let n = message::number(line).unwrap_or(0);
        message::line(n, &mut wanted);
        rig.row.expect(
            wanted == line && n.is_multiple_of(DIVISOR),
            format!("a dead letter that is none: {line}"),
        );
        numbers.insert(n);
    }
    let (bad, refused) = (last / DIVISOR, rig.row.rejected);
    rig.row
        .expect(numbers.len() as u64 == bad, format!("{} dead letters for {bad} bad lines", numbers.len()));
    rig.row.expect(refused == bad, format!("{refused} refused of {bad} bad lines"));
    rig.finish()
}

/// T12: what the server always fails on is put aside; the rest flows, and it is stored once the server can.
pub(super) fn forever(drill: Drill<'_>) -> Result<Row> {
    let batches = drill.tier.pick(3, 30);
    let last = 2_000 * batches + 10_000;
    let mut rig = Rig::new(drill.program, "T12", FOREVER, &[])?;
    rig.script(move |_, body, _| {
        let cursed = |line: &str| {
            let n = message::number(line).unwrap_or(0);
            n.is_multiple_of(2_000) && n / 2_000 <= batches
        };
        if body.lines().any(cursed) {
            Reply::Status(500, None, "{\"error\":\"engine: shard is damaged\"}".to_owned())
        } else {
            Reply::Store
        }
    });
    rig.start()?;
    rig.publisher.send_until(last, 2_000);
    let parked = wait_for("they are put aside", Duration::from_secs(600), || {
        let parked = rig.metric("tickline_spool_parked_points")?;
        let ledger = rig.running()?.status()?.ledger;
        Ok((ledger.points == last && ledger.written + parked == last).then_some(parked))
    })?;
    rig.row.expect(parked >= batches, format!("{parked} points put aside"));
    let (status, why) = rig.running()?.get("/ready")?;
    rig.row.expect(status == 503 && why.contains("put aside"), format!("/ready {status}: {why}"));
    let mut row = rig.finish()?;
    row.detail = format!("{parked} points were put aside while the others were stored");
    Ok(row)
}
