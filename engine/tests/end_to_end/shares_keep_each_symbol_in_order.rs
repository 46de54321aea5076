//! Promise: engines that share a feed get each message once, all messages of a symbol in one of them and in order, and each
//! can tell what of its share it has lost.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::forwarder::{Forward, kept, quotes, send_quote, wait_end};
use crate::program::Engine;
use crate::publisher::Publisher;

const WORKERS: usize = 3;
const SYMBOLS: u64 = 40;

fn pair(n: u64) -> String {
    format!("C{}/USD", n * 7 % SYMBOLS)
}

/// A forwarder for three workers, and where each connects to.
fn start(dir: &Path, publisher: &Publisher) -> (Forward, Vec<String>) {
    let free = "tcp://127.0.0.1:*";
    let push = [["--push", free]; WORKERS].concat();
    let mut forward = Forward::start(dir, &[&["--from", &publisher.endpoint], push.as_slice()].concat());
    let endpoints = forward.bound("forward.push", WORKERS);
    publisher.wait_subscription("");
    (forward, endpoints)
}

fn worker(dir: &Path, endpoint: &str) -> Engine {
    std::fs::create_dir_all(dir).unwrap();
    let mut sets = quotes("kraken_tick", endpoint);
    sets.push("feeds.kraken_tick.socket=\"pull\"".to_owned());
    let mut engine = Engine::start(dir, &sets);
    engine.wait_log(": connected");
    engine
}

#[test]
fn three_workers_get_each_message_once_and_each_symbol_in_order() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let (forward, endpoints) = start(dir.path(), &publisher);
    let dirs: Vec<PathBuf> = (0..WORKERS).map(|at| dir.path().join(at.to_string())).collect();
    let engines: Vec<Engine> = dirs.iter().zip(&endpoints).map(|(dir, at)| worker(dir, at)).collect();
    let mut sent: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for n in 1..=3_000 {
        send_quote(&mut publisher, &pair(n), 1);
        sent.entry(pair(n)).or_default().push(n);
    }
    let event = r#"{"_event":"resync","scope":"*","detail":"everyone is told"}"#;
    publisher.send_numbered(event, 1_785_641_762_000_000_000, 0);
    // The forwarder's end is told to each worker.
    for engine in &engines {
        engine.wait("the event", |report| report.ledger.control == 1);
    }
    let report = forward.stop();
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut published = 0;
    for ((engine, dir), at) in engines.into_iter().zip(&dirs).zip(0..) {
        wait_end(&engine);
        let ended = engine.stop();
        ended.assert_clean();
        let mut own: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        kept(dir).into_iter().for_each(|(pair, n)| own.entry(pair).or_default().push(n));
        let count: usize = own.values().map(Vec::len).sum();
        assert!(count > 500, "worker {at} has its share: {count}");
        assert_eq!(
            (&report["workers"][at]["sent"], &report["workers"][at]["dropped"]),
            (&count.into(), &0.into())
        );
        published += ended.report.ledger.published.unwrap();
        // A symbol that two of them have would take the place of the other's.
        own.into_iter().for_each(|(pair, all)| assert_eq!(found.insert(pair, all), None));
    }
    assert_eq!(found, sent, "every symbol whole and in order");
    assert_eq!(published, 3_000 + WORKERS as u64, "each has the event");
    let upstream = &report["upstream"];
    assert_eq!((&upstream["published"], &upstream["lost"]), (&3_001.into(), &0.into()));
}

#[test]
fn a_worker_that_was_away_can_tell_what_it_has_lost_and_the_others_lose_nothing() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let (forward, endpoints) = start(dir.path(), &publisher);
    let dirs: Vec<PathBuf> = (0..WORKERS).map(|at| dir.path().join(at.to_string())).collect();
    let mut engines: Vec<Engine> = dirs.iter().zip(&endpoints).map(|(dir, at)| worker(dir, at)).collect();
    let mut n = 0;
    let mut send = |publisher: &mut Publisher, count: u64| {
        for _ in 0..count {
            n += 1;
            send_quote(publisher, &pair(n), 1);
        }
    };
    send(&mut publisher, 600);
    let share = |report: &tickline_config::report::Report| report.ledger.received;
    let all = |engines: &[Engine], wanted: u64| {
        let received = || engines.iter().map(|engine| share(&engine.wait("a look", |_| true))).sum::<u64>();
        crate::program::wait_for("everything", || (received() == wanted).then_some(()));
    };
    all(&engines, 600);
    let before = engines.remove(1).stop();
    before.assert_clean();
    send(&mut publisher, 600);
    engines.insert(1, worker(&dirs[1], &endpoints[1]));
    send(&mut publisher, 600);
    // What is held against it is the forwarder's own count of its share.
    for at in [0, 2] {
        engines[at].wait("its share", |report| report.ledger.points_made > 0);
    }
    let report = forward.stop();
    for (at, engine) in engines.into_iter().enumerate() {
        let of = &report["workers"][at];
        let (sent, dropped) = (of["sent"].as_u64().unwrap(), of["dropped"].as_u64().unwrap());
        wait_end(&engine);
        let ended = engine.stop();
        ended.assert_exit(0);
        let ledger = &ended.report.feeds["kraken_tick"].ledger;
        assert!(ended.report.ledger.balanced, "{:#?}", ended.report.ledger);
        let lost = ledger.lost_before_receive.unwrap();
        let had = if at == 1 { before.report.ledger.points_made } else { 0 };
        assert_eq!(had + ledger.points_made + lost, sent + dropped, "worker {at}");
        assert_eq!(lost > 0, at == 1, "worker {at}: {lost} lost");
        assert_eq!(dropped > 0, at == 1, "worker {at}: {dropped} dropped");
    }
}
