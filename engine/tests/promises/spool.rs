//! Promise: what a sink does not take goes to disk, whoever sends is not slowed by it, and it arrives later, in
//! this run or the next; a full spool does what its policy says, to the point.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::rig::{
    Gated, Publisher, Refusing, assert_all_in_order, config, end, feed, keys, line_of, look, start,
    wait_until,
};
use crossbeam_channel::bounded;
use tickline::report::{Standard, judge};
use tickline_config::model::{Config, Durability, Engine, SinkKind};
use tickline_config::report::{Report, Verdict};

const MESSAGES: u64 = 5_000;

/// A sink with a queue of two small batches and a spool in `dir`.
fn spooled(dir: &Path, publisher: &Publisher, durability: Durability, further: &[&str]) -> Config {
    let mut config = config(&[
        feed("alpha", &publisher.endpoint),
        keys(&["sinks.db.kind=\"null\"", "sinks.db.queue_batches_max=2", "engine.batch_lines_max=50"]),
        keys(&["sinks.db.spool.min_free_bytes=\"0B\""]),
        keys(further),
        vec![format!("engine.state_dir={:?}", dir.display().to_string())],
    ]);
    config.sinks.get_mut("db").unwrap().durability = durability;
    config
}

fn accepted(report: &Report) -> Option<u64> {
    report.accepted.get("alpha")?.get("alpha")?.get("7").copied()
}

fn assert_each_once(lines: &[String], messages: u64) {
    let wanted: BTreeSet<String> = (1..=messages).map(|n| line_of("alpha", n)).collect();
    assert_eq!(lines.iter().cloned().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(lines.len() as u64, messages, "each once");
}

fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir.join("spool/db")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".spool")).collect()
}

#[test]
fn a_sink_that_lags_slows_no_one_and_gets_everything_once_it_is_back() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "alpha");
    let config = spooled(dir.path(), &publisher, Durability::Spill, &[]);
    let (open, gate) = bounded(0);
    let sink = Gated::new(gate);
    let run = start(&config, &|_| Ok(Box::new(sink.clone())));
    publisher.wait_subscription(true);
    publisher.send(MESSAGES);
    let now = wait_until(&run, "all is taken", |report| report.ledger.points == MESSAGES);
    assert!(now.ledger.balanced, "{:#?}", now.ledger);
    // Two batches wait in the queue, one is being written.
    let now = wait_until(&run, "the rest is on disk", |report| report.ledger.spooled >= MESSAGES - 4 * 50);
    assert!(now.ledger.balanced && accepted(&now).is_none(), "{:#?}", now.ledger);
    drop(open);
    let now = wait_until(&run, "all is stored", |report| report.ledger.written == MESSAGES);
    assert_eq!((now.ledger.spooled, accepted(&now)), (0, Some(MESSAGES)));
    let report = end(run);
    assert!(report.ledger.balanced && report.ledger.in_flight == 0, "{:#?}", report.ledger);
    assert_each_once(&sink.lines(), MESSAGES);
    assert_eq!(files(dir.path()), Vec::<String>::new());
}

#[test]
fn where_what_is_sent_twice_is_stored_twice_the_order_is_kept_while_the_backlog_drains() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "alpha");
    let file = format!("sinks.db.path={:?}", dir.path().join("lines").display().to_string());
    let mut config = spooled(dir.path(), &publisher, Durability::Spill, &["sinks.db.kind=\"file\"", &file]);
    assert!(matches!(config.sinks["db"].kind, SinkKind::File(_)));
    config.engine.batch_linger = Duration::ZERO;
    let (open, gate) = bounded(0);
    let sink = Gated::new(gate);
    let run = start(&config, &|_| Ok(Box::new(sink.clone())));
    publisher.wait_subscription(true);
    publisher.send(MESSAGES);
    wait_until(&run, "the rest is on disk", |report| report.ledger.spooled >= MESSAGES - 4 * 50);
    drop(open);
    publisher.send(MESSAGES);
    wait_until(&run, "all is stored", |report| report.ledger.written == 2 * MESSAGES);
    assert!(end(run).ledger.balanced);
    assert_all_in_order(&sink.lines(), "alpha", 2 * MESSAGES, "in order");
}

#[test]
fn what_is_left_at_a_stop_stays_on_disk_and_is_sent_at_the_next_start() {
    for durability in [Durability::Spill, Durability::Journal, Durability::JournalSync] {
        let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
        let mut publisher = Publisher::bind(&context, "alpha");
        let config = spooled(dir.path(), &publisher, durability, &[]);
        let closed = Arc::new(AtomicBool::new(true));
        let sink = Refusing::new(Arc::clone(&closed));
        let run = start(&config, &|_| Ok(Box::new(sink.clone())));
        publisher.wait_subscription(true);
        publisher.send(MESSAGES);
        let journal = durability != Durability::Spill;
        let now = wait_until(&run, "all is taken", |report| {
            report.ledger.points == MESSAGES && (!journal || accepted(report) == Some(MESSAGES))
        });
        assert_eq!(accepted(&now), journal.then_some(MESSAGES), "{durability:?}");
        let mut report = end(run);
        assert_eq!((report.ledger.spooled, report.ledger.in_flight), (MESSAGES, 0), "{durability:?}");
        judge(&mut report, Standard::Ended);
        assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);

        closed.store(false, Ordering::Relaxed);
        publisher.wait_subscription(false);
        let run = start(&config, &|_| Ok(Box::new(sink.clone())));
        publisher.wait_subscription(true);
        publisher.send(10);
        let now = wait_until(&run, "all is stored", |report| report.ledger.written == MESSAGES + 10);
        assert_eq!((now.ledger.recovered, now.ledger.points), (MESSAGES, 10), "{durability:?}");
        assert_eq!(accepted(&now), Some(MESSAGES + 10));
        let report = end(run);
        assert!(report.ledger.balanced, "{:#?}", report.ledger);
        assert_eq!((report.ledger.spooled, report.ledger.in_flight), (0, 0));
        assert_each_once(&sink.lines(), MESSAGES + 10);
    }
}

#[test]
fn an_end_without_a_stop_costs_a_journal_nothing_and_the_sources_go_on_where_they_were() {
    for durability in [Durability::Journal, Durability::JournalSync] {
        let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
        let mut publisher = Publisher::bind(&context, "alpha");
        let config = spooled(dir.path(), &publisher, durability, &[]);
        let (open, gate) = bounded(0);
        let sink = Gated::new(gate);
        let run = start(&config, &|_| Ok(Box::new(sink.clone())));
        publisher.wait_subscription(true);
        publisher.send(MESSAGES);
        wait_until(&run, "all is accepted", |report| accepted(report) == Some(MESSAGES));
        // As a kill leaves the folder: the lock is free in a copy.
        let copy = tempfile::tempdir().unwrap();
        let to = copy.path().join("spool/db");
        std::fs::create_dir_all(&to).unwrap();
        for name in files(dir.path()) {
            std::fs::copy(dir.path().join("spool/db").join(&name), to.join(&name)).unwrap();
        }
        drop(open);
        end(run);
        publisher.wait_subscription(false);
        publisher.send(7);
        let config =
            Config { engine: Engine { state_dir: copy.path().into(), ..config.engine.clone() }, ..config };
        let again = Gated::open();
        let run = start(&config, &|_| Ok(Box::new(again.clone())));
        publisher.wait_subscription(true);
        publisher.send(10);
        wait_until(&run, "all is stored", |report| report.ledger.written == MESSAGES + 10);
        let report = end(run);
        assert_eq!((report.ledger.recovered, report.ledger.lost_before_receive), (MESSAGES, Some(7)));
        assert!(report.ledger.balanced);
        let lines: BTreeSet<String> = again.lines().into_iter().collect();
        assert!((1..=MESSAGES).all(|n| lines.contains(&line_of("alpha", n))), "{durability:?}");
    }
}

#[test]
fn an_abort_in_the_middle_of_a_request_counts_no_point_twice_and_loses_none() {
    for durability in [Durability::Spill, Durability::Journal, Durability::JournalSync] {
        let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
        let mut publisher = Publisher::bind(&context, "alpha");
        let config = spooled(dir.path(), &publisher, durability, &[]);
        let (open, gate) = bounded(0);
        let sink = Gated::new(gate);
        let mut run = start(&config, &|_| Ok(Box::new(sink.clone())));
        publisher.wait_subscription(true);
        publisher.send(MESSAGES);
        wait_until(&run, "all is taken", |report| report.ledger.points == MESSAGES);
        run.stop().abort();
        // The request that was under way succeeds after all.
        drop(open);
        run.finish();
        let report = look(&run);
        assert!(report.ledger.balanced, "{durability:?}: {:#?}", report.ledger);
        assert_eq!((report.ledger.in_flight, report.ledger.dropped.len()), (0, 0), "{durability:?}");
        assert_eq!(report.ledger.written + report.ledger.spooled, MESSAGES, "{durability:?}");
        assert!(report.ledger.written as usize <= sink.lines().len());
    }
}

#[test]
fn what_an_earlier_run_has_left_is_not_forgotten_when_the_spool_is_switched_off() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "alpha");
    let mut config = spooled(dir.path(), &publisher, Durability::Journal, &[]);
    let closed = Arc::new(AtomicBool::new(true));
    let run = start(&config, &|_| Ok(Box::new(Refusing::new(Arc::clone(&closed)))));
    publisher.wait_subscription(true);
    publisher.send(100);
    wait_until(&run, "all is taken", |report| report.ledger.points == 100);
    assert_eq!(end(run).ledger.spooled, 100);
    config.sinks.get_mut("db").unwrap().durability = Durability::Memory;
    let refused = crate::rig::try_start(&config, &|_| Ok(Box::new(Gated::open()))).unwrap_err().to_string();
    assert!(refused.contains("must not be \"memory\" while an earlier run has left 1 segments"), "{refused}");
    assert!(refused.contains("tickline spool replay"), "{refused}");
}

#[test]
fn a_full_spool_that_drops_counts_every_point_and_one_that_blocks_drops_none() {
    for policy in ["block", "drop_oldest", "drop_newest"] {
        let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
        let mut publisher = Publisher::bind(&context, "alpha");
        let policy_key = format!("sinks.db.spool.when_full=\"{policy}\"");
        let small = ["sinks.db.spool.max_bytes=\"1MiB\"", "engine.batch_bytes_max=\"64KiB\"", &policy_key];
        let config = spooled(dir.path(), &publisher, Durability::Spill, &small);
        let (open, gate) = bounded(0);
        let sink = Gated::new(gate);
        let run = start(&config, &|_| Ok(Box::new(sink.clone())));
        publisher.wait_subscription(true);
        // About 32 bytes a line: three times what the spool holds.
        publisher.send(100_000);
        if policy == "block" {
            wait_until(&run, "it is full", |report| report.ledger.spooled > 20_000);
            drop(open);
        } else {
            wait_until(&run, "all is taken", |report| report.ledger.points == 100_000);
            let now = look(&run);
            assert!(now.ledger.balanced, "{policy}: {:#?}", now.ledger);
            drop(open);
        }
        let dropped = |report: &Report| report.ledger.dropped.get("spool_full").copied().unwrap_or(0);
        let report = wait_until(&run, "the rest is stored", |report| {
            report.ledger.written + dropped(report) == 100_000
        });
        let lines = sink.lines();
        assert_eq!(lines.len() as u64 + dropped(&report), 100_000, "{policy}");
        assert_eq!(dropped(&report) == 0, policy == "block", "{policy}: {:?}", report.ledger.dropped);
        let lines: BTreeSet<String> = lines.into_iter().collect();
        let has = |n: u64| lines.contains(&line_of("alpha", n));
        // A spool that drops the oldest keeps the newest, and the other way round; small batches may fit in at last.
        assert_eq!(
            (has(50_000), has(90_000)),
            match policy {
                "block" => (true, true),
                "drop_oldest" => (false, true),
                _ => (false, false),
            },
            "{policy}"
        );
        assert_eq!(
            accepted(&report),
            (policy == "block").then_some(100_000),
            "{policy}: a hole is never accepted"
        );
        assert!(end(run).ledger.balanced, "{policy}");
    }
}

#[test]
fn what_has_waited_too_long_is_dropped_and_counted() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "alpha");
    let config = spooled(dir.path(), &publisher, Durability::Spill, &["sinks.db.spool.max_age=\"1s\""]);
    let (open, gate) = bounded(0);
    let sink = Gated::new(gate);
    let run = start(&config, &|_| Ok(Box::new(sink.clone())));
    publisher.wait_subscription(true);
    publisher.send(MESSAGES);
    let now = wait_until(&run, "it is too old", |report| report.ledger.dropped.contains_key("max_age"));
    drop(open);
    let dropped = now.ledger.dropped["max_age"];
    assert!(dropped > MESSAGES / 2, "{dropped}");
    let report = end(run);
    assert!(report.ledger.balanced, "{:#?}", report.ledger);
    assert_eq!(report.ledger.written + report.ledger.dropped["max_age"], MESSAGES);
}

#[test]
fn a_spool_serves_one_process_and_says_who_has_it() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let publisher = Publisher::bind(&context, "alpha");
    let config = spooled(dir.path(), &publisher, Durability::Spill, &[]);
    let run = start(&config, &|_| Ok(Box::new(Gated::open())));
    let folder = dir.path().join("spool/db");
    let error = tickline::run::sinks::open_spool(&folder, &config.sinks["db"]).unwrap_err().to_string();
    assert_eq!(error, format!("process {} uses it, and a folder serves one process", std::process::id()));
    end(run);
    tickline::run::sinks::open_spool(&folder, &config.sinks["db"]).unwrap();
}
