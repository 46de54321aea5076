//! Promise: points for a database that is not there, or that refuses the login, are held and tried again, said
//! plainly, and never counted as written; once the database takes them, every one arrives.

use crate::influxd::{self, Options};
use crate::program::{Engine, feed, influx};
use crate::publisher::Publisher;
use crate::sent::SECOND_NS;

const MESSAGES: u64 = 200;

fn send(publisher: &mut Publisher) {
    publisher.wait_subscriber();
    for n in 0..MESSAGES as i64 {
        let ticker = format!(r#"{{"symbol":"BTC/USD","bid":{n},"timestamp":"2026-08-03T12:30:00.{n:06}Z"}}"#);
        publisher.send_numbered(&ticker, SECOND_NS + n * 1_000, 0);
    }
}

/// Waits until everything waits for the database and the log says why.
fn assert_held(engine: &mut Engine, why: &str, code: u16) {
    let held = engine.wait("tried and refused", |report| {
        report.sinks["influx"].points == MESSAGES && report.sinks["influx"].retries > 0
    });
    assert_eq!((held.ledger.written, held.ledger.in_flight), (0, MESSAGES), "{:#?}", held.ledger);
    assert!(held.ledger.rejected.is_empty() && held.ledger.dropped.is_empty(), "{:#?}", held.ledger);
    let faults = format!("tickline_sink_faults_total{{sink=\"influx\",code=\"{code}\"}} ");
    let metrics = engine.get("/metrics");
    assert!(metrics.contains(&faults), "{metrics}");
    let line = engine.wait_log(why);
    assert!(line.contains("kept until someone acts"), "{line}");
}

#[test]
fn points_for_a_missing_database_arrive_once_it_is_created() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let sets = [influx(&server.url, "later"), feed("kraken_tick", &publisher.endpoint)].concat();
    let mut engine = Engine::start(dir.path(), &sets);
    send(&mut publisher);
    assert_held(&mut engine, "database not found", 404);
    server.query(None, "", "CREATE DATABASE later");
    engine.wait("written", |report| report.ledger.written == MESSAGES);
    engine.stop().assert_clean();
    assert_eq!(server.count("later", "kraken_tick", "recv_ns"), MESSAGES);
}

#[test]
fn points_refused_for_a_wrong_password_arrive_once_it_is_right() {
    let Some(server) = influxd::start(Options { auth: true, ..Options::default() }) else { return };
    let admin = Some(("root", "secret"));
    server.query(None, "", "CREATE USER root WITH PASSWORD 'secret' WITH ALL PRIVILEGES");
    server.query(admin, "", "CREATE DATABASE tick");
    server.query(admin, "", "CREATE USER writer WITH PASSWORD 'another'");
    server.query(admin, "", "GRANT WRITE ON tick TO writer");
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    std::fs::write(dir.path().join("password"), "the-right-one\n").unwrap();
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let login = format!("sinks.influx.password=\"file:{}\"", dir.path().join("password").display());
    let login = vec!["sinks.influx.username=\"writer\"".to_owned(), login];
    let sets = [influx(&server.url, "tick"), login, feed("kraken_tick", &publisher.endpoint)].concat();
    let mut engine = Engine::start(dir.path(), &sets);
    send(&mut publisher);
    assert_held(&mut engine, "authorization failed", 401);
    server.query(admin, "", "SET PASSWORD FOR writer = 'the-right-one'");
    engine.wait("written", |report| report.ledger.written == MESSAGES);
    let ended = engine.stop();
    ended.assert_clean();
    assert!(!ended.log.iter().any(|line| line.contains("the-right-one")), "{:#?}", ended.log);
    let answer = server.query(admin, "tick", "SELECT count(recv_ns) FROM kraken_tick");
    assert_eq!(answer["results"][0]["series"][0]["values"][0][1], MESSAGES);
}
