//! Promise: what was received can be decoded again into any sink, byte for byte, also after a kill; and the last
//! seconds can be had from memory.

use std::path::Path;
use std::process::Command;

use crate::program::{Engine, feed};
use crate::publisher::Publisher;
use crate::sent::every_publisher;

/// What `tickline replay DIR` writes into a file.
fn replay(dir: &Path, archive: &Path, sets: &[String], further: &[&str]) -> Vec<u8> {
    let (code, said) = try_replay(dir, archive, sets, further);
    assert_eq!(code, Some(0), "{said}");
    std::fs::read(dir.join("again.lp")).expect("its lines")
}

/// Exit code, log and summary of a replay.
fn try_replay(dir: &Path, archive: &Path, sets: &[String], further: &[&str]) -> (Option<i32>, String) {
    let out = dir.join("again.lp");
    std::fs::remove_file(&out).ok();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickline"));
    command.current_dir(dir).arg("replay").arg(archive).args(further);
    command.args(sets.iter().flat_map(|set| ["--set", set]));
    command.args(["--set", "sinks.again.kind=\"file\"", "--set", &format!("sinks.again.path={out:?}")]);
    let output = command.output().expect("it runs");
    let said = [output.stderr, output.stdout].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// Lines of one measurement, in order.
fn of_feed(lines: &[u8], measurement: &str) -> Vec<String> {
    let start = format!("{measurement},");
    let text = std::str::from_utf8(lines).expect("text");
    text.lines().filter(|line| line.starts_with(&start)).map(str::to_owned).collect()
}

struct Setup {
    dir: tempfile::TempDir,
    feeds: Vec<String>,
    sets: Vec<String>,
}

fn setup(feeds: Vec<String>) -> Setup {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let mut sets = feeds.clone();
    sets.push(format!("archive.dir={:?}", path("archive")));
    sets.push("archive.flight=\"1h\"".to_owned());
    sets.push(format!("engine.state_dir={:?}", path("state")));
    sets.push("sinks.live.kind=\"file\"".to_owned());
    sets.push(format!("sinks.live.path={:?}", path("live.lp")));
    Setup { dir, feeds, sets }
}

#[test]
fn an_archive_decoded_again_makes_the_same_bytes_for_every_feed() {
    let context = zmq::Context::new();
    let (feeds, mut publishers) = every_publisher(&context);
    let Setup { dir, feeds, sets } = setup(feeds);
    let mut engine = Engine::start(dir.path(), &sets);
    let mut messages = 0;
    for (_, case, publisher) in &mut publishers {
        publisher.wait_subscriber();
        case.messages.iter().for_each(|(json, recv)| publisher.send_numbered(json, *recv, 0));
        // Not decodable, and in the archive all the same.
        publisher.send(vec![0xc1]);
        messages += case.messages.len() as u64 + 1;
    }
    engine.wait("all received", |report| report.ledger.received == messages && report.ledger.in_flight == 0);
    engine.signal("USR2");
    let said = engine.wait_log("flight recorder: ");
    assert!(said.contains(&format!("flight recorder: {messages} frames of the last ")), "{said}");
    let flight = said.rsplit("written to ").next().expect("its path").trim().to_owned();
    engine.stop().assert_exit(0);
    let live = std::fs::read(dir.path().join("live.lp")).unwrap();
    let archive = dir.path().join("archive");
    for source in [&archive, Path::new(&flight)] {
        let again = replay(dir.path(), source, &feeds, &[]);
        assert_eq!(again.len(), live.len());
        for (name, case, _) in &publishers {
            for measurement in case.points.keys() {
                assert_eq!(of_feed(&again, measurement), of_feed(&live, measurement), "{name}");
            }
        }
    }
    let one = replay(dir.path(), &archive, &feeds, &["--feed", "oanda_tick", "--sink", "again"]);
    assert_eq!(of_feed(&one, "oanda_tick"), of_feed(&live, "oanda_tick"));
    assert_eq!(of_feed(&one, "kraken_tick"), [""; 0]);
    let none = replay(dir.path(), &archive, &feeds, &["--to", "2001-01-01T00:00:00Z"]);
    assert_eq!(none, b"", "nothing was received then");

    let all = std::fs::read_dir(&archive).unwrap().map(|entry| entry.unwrap().path());
    let file = all.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "zst")).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let (code, said) = try_replay(dir.path(), &archive, &feeds, &[]);
    assert_eq!(code, Some(1), "a damaged archive is no success: {said}");
    assert!(said.contains("the ledger balances"), "what could be read is all accounted for: {said}");
    std::fs::remove_file(&file).unwrap();
    let (code, said) = try_replay(dir.path(), &archive, &feeds, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(".json: its file is missing"), "{said}");
}

#[test]
fn after_a_kill_the_archive_has_everything_up_to_the_last_second_and_goes_on() {
    let context = zmq::Context::new();
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let Setup { dir, feeds, sets } = setup(feed("kraken_tick", &publisher.endpoint));
    let tick = r#"{"symbol":"BTC/USD","bid":1.5,"ask":1.6,"timestamp":"2026-08-02T03:36:02.5Z"}"#;
    let engine = Engine::start(dir.path(), &sets);
    publisher.wait_subscriber();
    (0..500).for_each(|_| publisher.send_numbered(tick, 1_785_641_762_600_000_000, 0));
    engine.wait_metric("tickline_archive_frames_total", 500.0);
    engine.kill();
    let mut engine = Engine::start(dir.path(), &sets);
    engine.wait_log("was left unfinished by a kill and is closed, 0 bytes of its end left out");
    publisher.wait_subscriber();
    (0..100).for_each(|_| publisher.send_numbered(tick, 1_785_641_762_700_000_000, 0));
    engine.wait_metric("tickline_archive_frames_total", 100.0);
    engine.stop().assert_exit(0);
    let again = replay(dir.path(), &dir.path().join("archive"), &feeds, &[]);
    assert_eq!(of_feed(&again, "kraken_tick").len(), 600);
}
