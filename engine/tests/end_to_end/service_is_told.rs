//! Promise: systemd is told when the engine is ready, how it goes, that its pipeline moves, and that it ends.

use std::os::unix::net::UnixDatagram;

use crate::program::{Engine, PATIENCE, feed};
use crate::publisher::Publisher;

#[test]
fn systemd_hears_ready_first_then_status_and_watchdog_and_stopping_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let publisher = Publisher::bind(&zmq::Context::new(), "kraken_tick");
    let mut sets = feed("kraken_tick", &publisher.endpoint);
    sets.extend(["sinks.kept.kind=\"file\"".to_owned(), "sinks.kept.path=\"kept.lp\"".to_owned()]);
    let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "30000000")];
    let engine = Engine::start_with(dir.path(), &sets, &variables);
    let next = || {
        let mut text = [0; 1024];
        let bytes = socket.recv(&mut text).unwrap();
        String::from_utf8(text[..bytes].to_vec()).unwrap().trim_end().to_owned()
    };
    assert_eq!(next(), "READY=1");
    // Two looks: a status and a sign of life each.
    for _ in 0..2 {
        let status = next();
        assert!(status.starts_with("STATUS=") && status.contains(" messages/s in, "), "{status}");
        assert_eq!(next(), "WATCHDOG=1");
    }
    engine.stop().assert_exit(0);
    let last = std::iter::repeat_with(next).find(|said| !said.starts_with("STATUS=") && said != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
}
