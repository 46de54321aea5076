//! Promise: a real server that is killed under load and started again holds every tick that was sent, each once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::influxd::{self, Influxd, Options};
use crate::program::{Engine, feed, influx};
use crate::publisher::Publisher;

/// Points that must wait on disk before the server comes back.
const ON_DISK: u64 = 5_000;

/// Kills the server, lets something happen without it, and starts it again where it was, with what it had.
pub(crate) fn killed(server: &mut Influxd, meanwhile: impl FnOnce()) {
    server.child.kill().expect("it runs");
    server.child.wait().expect("its end");
    meanwhile();
    let config = server.dir.path().join("influxd.conf");
    let text = std::fs::read_to_string(&config).expect("its configuration");
    let address = server.url.trim_start_matches("http://");
    let (before, http) = text.split_once("[http]").expect("its section");
    let http = http.replacen("127.0.0.1:0", address, 1);
    std::fs::write(&config, format!("{before}[http]{http}")).expect("its configuration");
    server.child = influxd::spawn(&config).0;
}

#[test]
fn a_server_that_is_killed_under_load_holds_every_tick_once_in_every_durability() {
    for durability in ["spill", "journal", "journal_sync"] {
        let Some(mut server) = influxd::start(Options::default()) else { return };
        server.query(None, "", "CREATE DATABASE tick");
        let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
        let mut publisher = Publisher::bind(&context, "kraken_tick");
        let mut sets = [influx(&server.url, "tick"), feed("kraken_tick", &publisher.endpoint)].concat();
        sets.push(format!("sinks.influx.durability={durability:?}"));
        let mut engine = Engine::start(dir.path(), &sets);
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
            killed(&mut server, || {
                engine.wait("many wait on disk", |report| report.ledger.spooled > ON_DISK);
            });
            engine.wait("they come off the disk", |report| report.ledger.spooled == 0);
            over.store(true, Ordering::Relaxed);
            sender.join().unwrap()
        });
        engine.wait_log("the sink does not store: points wait on disk");
        engine.wait("all written", |report| report.ledger.written == sent);
        let ended = engine.stop();
        ended.assert_clean();
        assert_eq!(server.count("tick", "kraken_tick", "bid"), sent, "{durability}");
    }
}
