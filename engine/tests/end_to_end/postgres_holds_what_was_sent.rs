//! Promise: a PostgreSQL whose tables `tickline db apply` has made holds every tick that was sent, each once, though it is
//! killed under load, and another sink of the same engine does not notice.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::postgres::{self, PORT, Server};
use crate::program::{Engine, feed, tickline};
use crate::publisher::Publisher;

/// Points that must wait on disk before the server comes back.
const ON_DISK: u64 = 5_000;

fn sink(server: &Server, more: &str) -> Vec<String> {
    let servers = format!("servers=[\"{}:{PORT}\"]", server.socket().display());
    let keys = [
        "kind=\"postgresql\"",
        "database=\"tick\"",
        "username=\"tickline\"",
        "password=\"file:password\"",
        &servers,
    ];
    keys.into_iter().chain(more.split_whitespace()).map(|key| format!("sinks.pg.{key}")).collect()
}

/// What `command` prints, and how it ends.
fn said(dir: &std::path::Path, command: &[&str], sets: &[String]) -> (Option<i32>, String) {
    let output = tickline(dir, command, sets);
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (output.status.code(), text)
}

#[test]
fn a_server_that_is_killed_under_load_holds_every_tick_once() {
    let Some(server) = postgres::start(&[]) else { return };
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    std::fs::write(dir.path().join("password"), "tick's secret").unwrap();
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let sets = [sink(&server, "durability=\"spill\""), feed("kraken_tick", &publisher.endpoint)].concat();
    let (code, text) = said(dir.path(), &["check", "--live"], &sets);
    assert_eq!(code, Some(78), "{text}");
    assert!(text.contains("tickline db apply would run CREATE TABLE \"public\".\"kraken_tick\""), "{text}");
    let (code, text) = said(dir.path(), &["db", "apply"], &sets);
    assert!(code == Some(0) && text.contains("pg: CREATE TABLE"), "{text}");
    let (code, text) = said(dir.path(), &["db", "plan"], &sets);
    assert_eq!((code, text.as_str()), (Some(0), "pg: as the configuration says\n"));
    let (code, text) = said(dir.path(), &["check", "--live"], &sets);
    assert!(code == Some(0) && text.contains("sinks.pg: may write"), "{text}");

    let engine = Engine::start(dir.path(), &sets);
    publisher.wait_subscriber();
    let over = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let at = 1_785_641_762_000_000_000 + publisher.seq as i64 * 1_000_000;
                let time = tickline_feeds::payload::rfc3339(tickline_feeds::clock::WallNanos(at), 6);
                let tick = format!(r#"{{"symbol":"BTC/USD","bid":1.5,"ask":1.6,"timestamp":"{time}"}}"#);
                publisher.send_numbered(&tick, at, 0);
                // Some ten thousand a second.
                std::thread::park_timeout(std::time::Duration::from_micros(100));
            }
            publisher.seq
        });
        engine.wait("some are written", |report| report.ledger.written > 1_000);
        for how in ["kill", "stop"] {
            let before = engine.wait("a report", |_| true).ledger.written;
            server.control(how);
            engine.wait("many wait on disk", |report| report.ledger.spooled > ON_DISK);
            server.control("start");
            engine.wait("they come off the disk", |report| {
                report.ledger.spooled == 0 && report.ledger.written > before + ON_DISK
            });
        }
        over.store(true, Ordering::Relaxed);
        sender.join().unwrap()
    });
    engine.wait("all written", |report| report.ledger.written == sent);
    engine.stop().assert_clean();
    let rows = "SELECT count(*), count(DISTINCT (time, ns)), min(bid), max(ask) FROM kraken_tick";
    assert_eq!(server.sql("tick", rows), format!("{sent}|{sent}|1.5|1.6"));
}

#[test]
fn a_table_that_is_dropped_is_told_and_nothing_is_lost_until_apply_has_made_it_again() {
    let Some(server) = postgres::start(&[]) else { return };
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    std::fs::write(dir.path().join("password"), "tick's secret").unwrap();
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let file = ["sinks.other.kind=\"file\"".to_owned(), "sinks.other.path=\"lines\"".to_owned()];
    let sets =
        [sink(&server, "durability=\"spill\""), feed("kraken_tick", &publisher.endpoint), file.to_vec()]
            .concat();
    assert_eq!(said(dir.path(), &["db", "apply"], &sets).0, Some(0));
    let mut engine = Engine::start(dir.path(), &sets);
    publisher.wait_subscriber();
    let mut send = |count: u64| {
        for _ in 0..count {
            let at = 1_785_641_762_000_000_000 + publisher.seq as i64 * 1_000_000;
            let time = tickline_feeds::payload::rfc3339(tickline_feeds::clock::WallNanos(at), 6);
            let tick = format!(r#"{{"symbol":"BTC/USD","bid":1.5,"ask":1.6,"timestamp":"{time}"}}"#);
            publisher.send_numbered(&tick, at, 0);
        }
    };
    send(100);
    engine.wait("they are written", |report| report.sinks["pg"].ledger.written == 100);
    server.sql("tick", "ALTER TABLE kraken_tick RENAME TO aside");
    send(100);
    // The other sink goes on.
    engine.wait("the file has all", |report| report.sinks["other"].ledger.written == 200);
    engine.wait_log("there is no table \"public\".\"kraken_tick\": tickline db apply creates it");
    assert_eq!(engine.wait("a report", |_| true).sinks["pg"].ledger.written, 100);
    assert_eq!(said(dir.path(), &["db", "apply"], &sets).0, Some(0));
    engine.wait("the rest is written", |report| report.sinks["pg"].ledger.written == 200);
    engine.stop().assert_clean();
    assert_eq!(
        server.sql("tick", "SELECT (SELECT count(*) FROM aside), (SELECT count(*) FROM kraken_tick)"),
        "100|100"
    );
}
