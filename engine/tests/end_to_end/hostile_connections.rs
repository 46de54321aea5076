//! Promise: whoever speaks something else than ZeroMQ, sends what is too large, or opens connections and says
//! nothing, is refused and counted and disturbs no one else.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::program::{Engine, feed};
use crate::publisher::Publisher;

const TICK: &str = r#"{"symbol":"BTC/USD","bid":1.5,"ask":1.6,"timestamp":"2026-08-02T03:36:02.5Z"}"#;
const RECV_NS: i64 = 1_785_641_762_600_000_000;

#[test]
fn a_peer_that_speaks_no_zeromq_is_refused_and_counted_and_the_other_feed_goes_on() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", stranger.local_addr().unwrap());
    let mut sets = [feed("kraken_tick", &publisher.endpoint), feed("oanda_tick", &endpoint)].concat();
    sets.push("sinks.kept.kind=\"null\"".to_owned());
    let engine = Engine::start(dir.path(), &sets);
    // Something else than ZeroMQ, its first bytes right, half a handshake.
    for junk in
        [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\xff\0\0\0\0\0\0\0\x01\x7fjunk", b"\xff", &[0; 4_096]]
    {
        let (mut peer, _) = stranger.accept().unwrap();
        // It may have been thrown out already.
        peer.write_all(junk).ok();
    }
    publisher.wait_subscriber();
    (0..1_000).for_each(|_| publisher.send_numbered(TICK, RECV_NS, 0));
    engine.wait("the other feed", |report| report.ledger.written >= 1_000);
    engine.wait_metric("tickline_feed_refused_total{feed=\"oanda_tick\"}", 3.0);
    engine.stop().assert_exit(0);
}

#[test]
fn connections_that_say_nothing_are_closed_and_the_status_is_still_answered() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let publisher = Publisher::bind(&context, "kraken_tick");
    let mut sets = feed("kraken_tick", &publisher.endpoint);
    sets.push("sinks.kept.kind=\"null\"".to_owned());
    let engine = Engine::start(dir.path(), &sets);
    let address = engine.address().to_owned();
    let mut slow: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /status HTTP/1.1\r\nhost: loc").unwrap();
    }
    // More than there are places for: it waits until they have run out of time.
    assert_eq!(engine.get("/health"), "ok\n");
    for stream in &mut slow {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut answer = Vec::new();
        // An answer that says so, or a closed connection.
        stream.read_to_end(&mut answer).ok();
        assert!(!answer.windows(6).any(|text| text == b"200 OK"), "{}", String::from_utf8_lossy(&answer));
    }
    let mut other = TcpStream::connect(&address).unwrap();
    other.write_all(b"GET /status HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    engine.stop().assert_exit(0);
}
