//! Promise: a clock that is set an hour forward or back changes no count, drops nothing as too old, and wakes no one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tickline_feeds::clock::{Clock, MonoNanos, WallNanos};
use tickline_loadgen::clock::OsClock;

use crate::rig::{Publisher, Refusing, config, end, feed, keys, start_at, wait_until};

const HOUR_NS: i64 = 3_600_000_000_000;

/// The system's clock, with a wall time that can be set.
#[derive(Debug)]
struct Settable {
    clock: OsClock,
    offset_ns: AtomicI64,
}

impl Clock for Settable {
    fn mono(&self) -> MonoNanos {
        self.clock.mono()
    }

    fn wall(&self) -> WallNanos {
        WallNanos(self.clock.wall().0 + self.offset_ns.load(Ordering::Relaxed))
    }
}

#[test]
fn a_clock_set_an_hour_either_way_while_points_wait_on_disk_loses_none_and_raises_no_alarm() {
    let dir = tempfile::tempdir().unwrap();
    let context = zmq::Context::new();
    let mut publisher = Publisher::bind(&context, "alpha");
    let mut config = config(&[
        feed("alpha", &publisher.endpoint),
        keys(&[
            "sinks.kept.kind=\"null\"",
            "sinks.kept.spool.max_age=\"30m\"",
            "feeds.alpha.silence_max=\"20m\"",
        ]),
        keys(&["feeds.alpha.data_silence_max=\"20m\"", "sinks.kept.durability=\"journal\""]),
        vec![format!("engine.state_dir={:?}", dir.path().display().to_string())],
    ]);
    config.archive.dir = Some(dir.path().join("archive"));
    let clock = Arc::new(Settable { clock: OsClock::start(), offset_ns: AtomicI64::new(0) });
    let closed = Arc::new(AtomicBool::new(true));
    let kept = Refusing::new(Arc::clone(&closed));
    let run = start_at(&config, Arc::<Settable>::clone(&clock), &|_| Ok(Box::new(kept.clone())));
    publisher.wait_subscription(true);
    let mut sent = 0;
    for offset in [0, HOUR_NS, -HOUR_NS, 0] {
        clock.offset_ns.store(offset, Ordering::Relaxed);
        publisher.send(200);
        sent += 200;
        wait_until(&run, "all on disk or with the writer", |report| {
            report.ledger.points >= sent && report.feeds["alpha"].alarm.is_none()
        });
    }
    closed.store(false, Ordering::Relaxed);
    wait_until(&run, "all stored", |report| report.ledger.in_flight + report.ledger.spooled == 0);
    let report = end(run);
    assert!(report.ledger.balanced, "{:#?}", report.ledger);
    assert_eq!(report.ledger.dropped.values().sum::<u64>(), 0, "{:#?}", report.ledger);
    let ticks = kept.lines().iter().filter(|line| line.starts_with("alpha ")).count() as u64;
    assert_eq!(ticks, sent);
    assert!(!kept.lines().iter().any(|line| line.contains("silent") || line.contains("no_data")));
}
