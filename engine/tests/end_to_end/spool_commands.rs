//! Promise: what waits on disk, or was refused, can be looked at beside the engine and checked, sent or dropped without it, also
//! after its address has changed; damage costs what it hit, and nobody has to delete a file.

use std::path::Path;

use crate::influxd::{self, Options};
use crate::program::{Engine, feed, influx, tickline};
use crate::publisher::Publisher;
use crate::sent::SECOND_NS;

const MESSAGES: u64 = 300;

/// The output of a command that ends with `code`.
fn spool(dir: &Path, words: &str, sets: &[String], code: i32) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    let output = tickline(dir, &[&["spool"], words.as_slice()].concat(), sets);
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
    text
}

/// The output of a command that ends with 0.
fn spool_words(dir: &Path, words: &[&str], sets: &[String]) -> String {
    let output = tickline(dir, words, sets);
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{words:?}: {text}");
    text
}

/// Leaves `MESSAGES` points on disk for a database where nobody listens; gives the keys that were used.
fn left_on_disk(dir: &Path, during: impl FnOnce(&Engine, &[String])) -> Vec<String> {
    let context = zmq::Context::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let sets =
        [influx(&format!("http://{nobody}"), "tick"), feed("kraken_tick", &publisher.endpoint)].concat();
    let engine = Engine::start(dir, &sets);
    publisher.wait_subscriber();
    for n in 0..MESSAGES as i64 {
        let ticker = format!(r#"{{"symbol":"BTC/USD","bid":{n},"timestamp":"2026-08-03T12:30:00.{n:06}Z"}}"#);
        publisher.send_numbered(&ticker, SECOND_NS + n * 1_000, 0);
        if n == 100 {
            // So that there are several records.
            engine.wait("the first are taken", |report| report.ledger.points >= 100);
        }
    }
    engine.wait("tried and refused", |report| {
        report.ledger.points == MESSAGES && report.sinks["influx"].retries > 0
    });
    during(&engine, &sets);
    let ended = engine.stop();
    let ledger = &ended.report.ledger;
    assert_eq!((ended.code, ledger.spooled, ledger.in_flight), (Some(0), MESSAGES, 0), "{ledger:#?}");
    assert!(ledger.balanced && ledger.dropped.is_empty(), "{ledger:#?}");
    sets
}

#[test]
fn what_waits_for_an_address_that_has_changed_is_sent_to_the_new_one_on_demand() {
    let Some(server) = influxd::start(Options::default()) else { return };
    server.query(None, "", "CREATE DATABASE tick");
    let dir = tempfile::tempdir().unwrap();
    let sets = left_on_disk(dir.path(), |_, sets| {
        let listed = spool(dir.path(), "ls", sets, 0);
        assert!(listed.contains("this sink") && listed.contains(".spool"), "{listed}");
        let stat = spool(dir.path(), "stat", sets, 0);
        assert!(stat.contains("held by        process "), "{stat}");
        spool(dir.path(), "verify", sets, 0);
        let refused = spool(dir.path(), "drop --yes", sets, 1);
        assert!(refused.contains("stop the engine first; nothing was changed"), "{refused}");
    });
    let stat = spool(dir.path(), "stat", &sets, 0);
    assert!(stat.contains("held by        no process") && stat.contains("300 points"), "{stat}");
    let lines = spool(dir.path(), "cat", &sets, 0);
    assert_eq!(lines.lines().filter(|line| line.starts_with("kraken_tick,")).count() as u64, MESSAGES);

    let changed: Vec<String> = sets.iter().filter(|set| !set.contains(".url=")).cloned().collect();
    let changed = [changed, vec![format!("sinks.influx.url={:?}", server.url)]].concat();
    let stat = spool(dir.path(), "stat", &changed, 0);
    assert!(stat.contains("left alone     300 points"), "{stat}");
    // The engine does not send them by itself.
    let mut engine = Engine::start(dir.path(), &changed);
    engine.wait_log("left alone: tickline spool stat");
    let ended = engine.stop();
    assert_eq!((ended.code, ended.report.ledger.recovered), (Some(0), 0));
    let sent = spool(dir.path(), "replay", &changed, 0);
    assert!(sent.contains("0 points stored"), "{sent}");
    let sent = spool(dir.path(), "replay --foreign", &changed, 0);
    assert!(sent.contains("300 points stored, 0 refused"), "{sent}");
    assert_eq!(server.count("tick", "kraken_tick", "recv_ns"), MESSAGES);
    assert!(spool(dir.path(), "stat", &changed, 0).contains("0 points"));
}

#[test]
fn damage_is_found_kept_apart_and_costs_what_it_hit() {
    let Some(server) = influxd::start(Options::default()) else { return };
    server.query(None, "", "CREATE DATABASE tick");
    let dir = tempfile::tempdir().unwrap();
    let sets = left_on_disk(dir.path(), |_, _| {});
    let folder = dir.path().join("tickline-data/spool/influx");
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let segment = names.filter(|path| path.extension().is_some_and(|e| e == "spool")).max().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.len() - 20;
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let found = spool(dir.path(), "verify", &sets, 1);
    assert!(found.contains("1 damaged places, at least"), "{found}");
    let mended = spool(dir.path(), "repair", &sets, 0);
    assert!(mended.contains("were damaged in 1 places"), "{mended}");
    assert_eq!(std::fs::read_dir(folder.join("quarantine")).unwrap().count(), 1);
    spool(dir.path(), "verify", &sets, 0);
    let whole = spool(dir.path(), "stat", &sets, 0);
    let whole: u64 =
        whole.split("on disk").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    assert!(whole > 0 && whole < MESSAGES, "{whole}");
    let would = spool(dir.path(), "drop", &sets, 0);
    assert!(would.contains("would be dropped, with --yes"), "{would}");
    let gone = spool(dir.path(), "drop --yes", &sets, 0);
    assert!(gone.contains(" dropped"), "{gone}");
    assert!(spool(dir.path(), "stat", &sets, 0).contains("0 points"));
}

#[test]
fn a_refused_line_is_kept_with_the_servers_words_and_stored_once_the_server_takes_it() {
    let Some(server) = influxd::start(Options::default()) else { return };
    server.query(None, "", "CREATE DATABASE tick");
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let sets = [influx(&server.url, "tick"), feed("kraken_tick", &publisher.endpoint)].concat();
    let engine = Engine::start(dir.path(), &sets);
    publisher.wait_subscriber();
    let send = |publisher: &mut Publisher, n: i64, field: &str| {
        let ticker = format!(r#"{{"symbol":"BTC/USD",{field},"timestamp":"2026-08-03T12:30:00.{n:06}Z"}}"#);
        publisher.send_numbered(&ticker, SECOND_NS + n * 1_000, 0);
    };
    send(&mut publisher, 1, r#""bid":1"#);
    engine.wait("the first is stored", |report| report.ledger.written == 1);
    // Someone else writes `ask` as text: the engine's points with it are refused until that is gone.
    let bad = "kraken_tick,base=BTC,exchange=kraken,pair=BTC/USD,quote=USD ask=\"x\" 1785760200000000000\n";
    let url = format!("{}/write?db=tick", server.url);
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.post(url).body(bad).send().unwrap().status().as_u16(), 204);
    for n in 2..=101 {
        send(&mut publisher, n, if n % 10 == 0 { r#""ask":2"# } else { r#""bid":2"# });
    }
    let now = engine.wait("all are settled", |report| {
        report.ledger.written + report.ledger.rejected.values().sum::<u64>() == 101
    });
    assert_eq!((now.ledger.written, now.ledger.rejected["bad_line"]), (91, 10));
    let listed = spool_words(dir.path(), &["rejects", "ls"], &sets);
    assert!(listed.contains("influx: 10 lines in") && listed.contains("field type conflict"), "{listed}");
    assert_eq!(engine.stop().code, Some(0));
    let again = spool_words(dir.path(), &["rejects", "replay"], &sets);
    assert!(again.contains("0 lines stored, 10 refused again and kept"), "{again}");
    server.query(None, "tick", "DROP MEASUREMENT kraken_tick");
    let again = spool_words(dir.path(), &["rejects", "replay"], &sets);
    assert!(again.contains("10 lines stored, 0 refused again and kept"), "{again}");
    assert_eq!(server.count("tick", "kraken_tick", "ask"), 10);
    assert!(spool_words(dir.path(), &["rejects", "ls"], &sets).contains("influx: none"));
}
