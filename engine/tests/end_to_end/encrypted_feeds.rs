//! Promise: with keys in the configuration nothing is taken from a publisher that does not have the right one, and
//! nothing goes over the wire in plain text; without them an encrypted publisher refuses us, and we say so.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tickline_loadgen::clock::OsClock;
use tickline_loadgen::door::Door;
use tickline_loadgen::plan::{FeedLoad, LoadPlan, Rate};
use tickline_loadgen::run;

use crate::program::{Engine, feed};
use crate::publisher::Publisher;

const MESSAGES_PER_S: f64 = 200.0;

fn keys_new(name: &Path) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_tickline")).args(["keys", "new"]).arg(name).output().expect("it runs")
}

/// An engine that is to take a guarded publisher's feed with these keys.
fn engine(dir: &Path, endpoint: &str, keys: &[String]) -> Engine {
    std::fs::create_dir_all(dir).unwrap();
    let mut sets = feed("kraken_tick", endpoint);
    sets.push("sinks.kept.kind=\"null\"".to_owned());
    sets.extend_from_slice(keys);
    Engine::start(dir, &sets)
}

#[test]
fn an_encrypted_feed_needs_the_publishers_key_and_ours_on_its_list() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["publisher", "engine", "stranger"] {
        let made = keys_new(&dir.path().join(name));
        assert!(made.status.success(), "{made:?}");
        let secret = dir.path().join(format!("{name}.secret"));
        assert_eq!(secret.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = keys_new(&dir.path().join("engine"));
    assert_eq!(again.status.code(), Some(1), "a key that is there is kept: {again:?}");

    let path = |name: &str| dir.path().join(name);
    std::fs::copy(path("engine.public"), path("list")).unwrap();
    let door = Door::read(&path("publisher.secret"), &path("list")).unwrap();
    let mut load = FeedLoad::new("kraken_tick", "127.0.0.1", Rate::PerSecond(MESSAGES_PER_S)).unwrap();
    load.endpoint = "tcp://127.0.0.1:*".to_owned();
    let plan = LoadPlan { feeds: vec![load], door: Some(door), ..LoadPlan::default() };
    let running = run::start(plan, OsClock::start()).unwrap();
    let endpoint = running.endpoints().next().unwrap().1.to_owned();

    let server = |name: &str| format!("feeds.kraken_tick.curve_server_key=\"file:{}\"", path(name).display());
    let own = |name: &str| format!("engine.curve_secret_key=\"file:{}\"", path(name).display());
    for (case, keys) in [
        ("in plain text", vec![]),
        ("a key that is not on the list", vec![server("publisher.public"), own("stranger.secret")]),
        ("a publisher that is someone else", vec![server("stranger.public"), own("engine.secret")]),
    ] {
        let mut refused = engine(&path(&case.replace(' ', "_")), &endpoint, &keys);
        let said = refused.wait_log(&endpoint);
        assert!(!said.contains(": connected"), "{case}: {said}");
        let ended = refused.stop();
        assert_eq!((ended.code, ended.report.ledger.received), (Some(0), 0), "{case}");
    }

    let mut engine = engine(&path("right"), &endpoint, &[server("publisher.public"), own("engine.secret")]);
    engine.wait_log(": connected");
    engine.wait("some messages", |report| report.ledger.written >= 200);
    let config = engine.get("/config");
    let secret = std::fs::read_to_string(path("engine.secret")).unwrap();
    assert!(!config.contains(secret.trim()), "{config}");
    let ended = engine.stop();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.log.concat().contains(secret.trim()));
    running.stop();
    running.finish().unwrap();
}

#[test]
fn a_feed_that_comes_with_a_reload_is_encrypted_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for name in ["publisher", "engine"] {
        assert!(keys_new(&path(name)).status.success());
    }
    let context = zmq::Context::new();
    let plain = Publisher::bind(&context, "oanda_tick");
    let mut load = FeedLoad::new("kraken_tick", "127.0.0.1", Rate::PerSecond(MESSAGES_PER_S)).unwrap();
    load.endpoint = "tcp://127.0.0.1:*".to_owned();
    let door = Door::read(&path("publisher.secret"), &path("engine.public")).unwrap();
    let plan = LoadPlan { feeds: vec![load], door: Some(door), ..LoadPlan::default() };
    let running = run::start(plan, OsClock::start()).unwrap();
    let endpoint = running.endpoints().next().unwrap().1.to_owned();

    let mut config = feed("oanda_tick", &plain.endpoint);
    config.push("sinks.kept.kind=\"null\"".to_owned());
    config.push(format!("engine.curve_secret_key=\"file:{}\"", path("engine.secret").display()));
    std::fs::write(path("engine.toml"), config.join("\n")).unwrap();
    let mut engine = Engine::start(dir.path(), &[]);
    plain.wait_subscriber();
    config.extend(feed("kraken_tick", &endpoint));
    let server =
        format!("feeds.kraken_tick.curve_server_key=\"file:{}\"", path("publisher.public").display());
    config.push(server);
    std::fs::write(path("engine.toml"), config.join("\n")).unwrap();
    engine.signal("HUP");
    engine.wait_log("SIGHUP: applied: feed kraken_tick added");
    engine.wait("some messages", |report| report.ledger.written >= 200);
    engine.stop().assert_exit(0);
    running.stop();
    running.finish().unwrap();
}
