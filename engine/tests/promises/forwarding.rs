//! Promise: a forwarder passes messages on as they are and subscriptions the other way; a slow subscriber loses messages alone
//! and that is counted; a late one gets the last values.

use std::sync::Arc;

use tickline::forward::{ForwardReport, Forwarder};
use tickline::spawn::{Thread, spawn};
use tickline::stats::Cell;
use tickline::stop::Stop;
use tickline_config::model::Config;
use tickline_feeds::payload::PayloadWriter;
use tickline_feeds::socket::{publisher, subscriber};
use tickline_loadgen::clock::OsClock;

use crate::rig::{Gated, PATIENCE, config, end, feed, keys, start};

/// A forwarder on a thread, its subscribers' side on a free port.
struct Device {
    thread: Thread,
    stop: Arc<Stop>,
    cell: Arc<Cell<ForwardReport>>,
    bound: Vec<(&'static str, String)>,
    output: String,
}

impl Device {
    /// Connected to a publisher.
    fn start(from: &str, sets: &[&str]) -> Self {
        let from = format!("forward.from=[{from:?}]");
        Self::of(&[&[from.as_str()], sets].concat())
    }

    fn of(sets: &[&str]) -> Self {
        let own = ["forward.out=\"tcp://127.0.0.1:*\"".to_owned()];
        // Who does not read at the end is not waited for.
        let sets = sets.iter().chain(&["engine.shutdown_timeout=\"1s\""]);
        let sets: Vec<String> = own.into_iter().chain(sets.map(|set| (*set).to_owned())).collect();
        let config = Config::load(&[], &sets, &|_| None).unwrap_or_else(|errors| panic!("{errors}")).config;
        let stop = Arc::new(Stop::default());
        let forwarder = Forwarder::open(&config, Arc::new(OsClock::start()), Arc::clone(&stop)).unwrap();
        let bound = forwarder.bound().to_vec();
        let output = bound.iter().find(|(key, _)| *key == "forward.out").unwrap().1.clone();
        let cell = forwarder.cell();
        let thread = spawn("forward", None, &stop, move || forwarder.run()).unwrap();
        Self { thread, stop, cell, bound, output }
    }

    fn end(self) -> ForwardReport {
        self.stop.drain();
        self.thread.join();
        assert_eq!(self.stop.failure(), None);
        let report = self.cell.lock().clone();
        assert!(report.balanced, "{report:#?}");
        report
    }
}

fn bind(context: &zmq::Context) -> (zmq::Socket, String) {
    let socket = publisher(context, 1_000_000, 0).unwrap();
    socket.set_rcvtimeo(PATIENCE.as_millis() as i32).unwrap();
    socket.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = socket.get_last_endpoint().unwrap().unwrap();
    (socket, endpoint)
}

fn connect(context: &zmq::Context, endpoint: &str, topic: &str) -> zmq::Socket {
    let socket = subscriber(context, 1_000_000, 1 << 20).unwrap();
    socket.set_rcvtimeo(PATIENCE.as_millis() as i32).unwrap();
    socket.set_subscribe(topic.as_bytes()).unwrap();
    socket.connect(endpoint).unwrap();
    socket
}

/// Waits for a subscription, or the end of one.
fn wait(publisher: &zmq::Socket, subscribed: bool, topic: &str) {
    let expected = [&[u8::from(subscribed)], topic.as_bytes()].concat();
    while publisher.recv_bytes(0).expect("it travels") != expected {}
}

/// A tick of a symbol, with a number that only says which it is.
fn tick(symbol: &str, n: i64) -> Vec<u8> {
    let mut out = PayloadWriter::default();
    out.map(2);
    out.text("symbol");
    out.text(symbol);
    out.text("n");
    out.int(n);
    out.bytes().to_vec()
}

#[test]
fn messages_pass_as_they_are_and_subscriptions_the_other_way() {
    let context = zmq::Context::new();
    let (publisher, endpoint) = bind(&context);
    let device = Device::start(&endpoint, &[]);
    let first = connect(&context, &device.output, "alpha");
    wait(&publisher, true, "alpha");
    // Each further one travels, too: a publisher may have an image for it.
    let second = connect(&context, &device.output, "alpha");
    wait(&publisher, true, "alpha");
    let heartbeat =
        b"\x84\xa3_hb\xc3\xa4_src\xce\0\0\0\x01\xa4_seq\xcf\0\0\0\0\0\0\0\x02\xa3_ts\xd3\0\0\0\0\0\0\0\x03";
    let large = vec![7; 100_000];
    let messages: [&[&[u8]]; 7] = [
        &[b"alpha", b"\x80"],
        &[b"alpha \x80"],
        &[b"alphabet", b"", b"third", b"", &large],
        &[b"alpha"],
        &[b"alpha", heartbeat],
        &[b"beta", b"\x80"],
        &[b"alpha", b"last"],
    ];
    for parts in messages {
        publisher.send_multipart(parts, 0).unwrap();
    }
    for socket in [&first, &second] {
        for parts in messages.iter().filter(|parts| parts[0] != b"beta") {
            assert_eq!(socket.recv_multipart(0).unwrap(), *parts);
        }
    }
    drop(first);
    drop(second);
    wait(&publisher, false, "alpha");
    let report = device.end();
    let counts: Vec<_> = report.topics.iter().map(|(name, topic)| (name.as_str(), topic.messages)).collect();
    assert_eq!(counts, [("alpha", 5), ("alphabet", 1)], "what nobody wants stays with the publisher");
    assert_eq!((report.messages, report.overflows), (6, 0));
    assert_eq!(report.topics["alphabet"].bytes, 8 + 5 + 100_000);
}

#[test]
fn publishers_that_connect_are_heard_each_with_what_is_subscribed_to_before_and_after() {
    let context = zmq::Context::new();
    let device = Device::of(&["forward.in=\"tcp://127.0.0.1:*\""]);
    let input = device.bound.iter().find(|(key, _)| *key == "forward.in").unwrap().1.clone();
    let first = publisher(&context, 1_000, 0).unwrap();
    let second = publisher(&context, 1_000, 0).unwrap();
    for socket in [&first, &second] {
        socket.set_rcvtimeo(PATIENCE.as_millis() as i32).unwrap();
    }
    first.connect(&input).unwrap();
    let subscriber = connect(&context, &device.output, "t");
    wait(&first, true, "t");
    second.connect(&input).unwrap();
    wait(&second, true, "t");
    for (socket, payload) in [(&first, "one"), (&second, "two")] {
        socket.send_multipart(["t", payload], 0).unwrap();
        assert_eq!(subscriber.recv_multipart(0).unwrap(), [b"t".to_vec(), payload.as_bytes().to_vec()]);
    }
    // What a subscriber says that is no subscription goes no further.
    let chatty = context.socket(zmq::XSUB).unwrap();
    chatty.connect(&device.output).unwrap();
    for said in [&b"hello"[..], b"\x01u"] {
        chatty.send(said, 0).unwrap();
    }
    assert_eq!(first.recv_bytes(0).unwrap(), b"\x01u");
    assert_eq!(device.end().messages, 2);
}

#[test]
fn a_slow_subscriber_loses_messages_alone_and_each_hole_is_counted() {
    let context = zmq::Context::new();
    let (publisher, endpoint) = bind(&context);
    let device = Device::start(&endpoint, &["forward.queue_messages_max=50"]);
    let fast = connect(&context, &device.output, "t");
    wait(&publisher, true, "t");
    let slow = subscriber(&context, 1, 4_096).unwrap();
    slow.set_rcvtimeo(PATIENCE.as_millis() as i32).unwrap();
    slow.set_subscribe(b"t").unwrap();
    slow.connect(&device.output).unwrap();
    wait(&publisher, true, "t");
    let body = vec![b'x'; 64 * 1024];
    let mut sent = 0_u32;
    let mut send = || {
        sent += 1;
        publisher.send_multipart([b"t".as_slice(), &sent.to_be_bytes(), &body], 0).unwrap();
        // The fast one takes each message before the next is sent: it is never behind.
        assert_eq!(fast.recv_multipart(0).unwrap()[1], sent.to_be_bytes());
        sent
    };
    let number = |parts: Vec<Vec<u8>>| u32::from_be_bytes(parts[1].as_slice().try_into().unwrap());
    let (mut received, mut holes) = (Vec::new(), 0);
    for _ in 0..2 {
        // Many times what the kernel and both queues can hold.
        let last = (0..400).map(|_| send()).last().unwrap();
        // Reads until it is given what was sent after that.
        while received.last().is_none_or(|n| *n <= last) {
            match slow.recv_multipart(zmq::DONTWAIT) {
                Ok(parts) => received.push(number(parts)),
                Err(_) => drop(send()),
            }
        }
    }
    holes += received.windows(2).filter(|pair| pair[1] != pair[0] + 1).count() as u64;
    assert!(received.is_sorted() && holes >= 2, "{holes} holes in {}", received.len());
    let report = device.end();
    // A queue may be emptied between the moment it was found full and the one in which the message is dropped for it.
    assert!(report.overflows >= holes, "{} counted, {holes} holes", report.overflows);
    assert_eq!((report.topics["t"].overflows, report.messages), (report.overflows, u64::from(sent)));
}

#[test]
fn who_comes_late_gets_the_last_message_of_each_topic_and_symbol_marked_as_sent_again() {
    let context = zmq::Context::new();
    let (publisher, endpoint) = bind(&context);
    let device = Device::start(&endpoint, &["forward.cache=true"]);
    // The cache wants everything, whoever subscribes.
    wait(&publisher, true, "");
    let early = connect(&context, &device.output, "");
    wait(&publisher, true, "");
    let sent =
        [("quotes", "A", 1), ("quotes", "B", 1), ("trades", "A", 7), ("quotes", "A", 2), ("other", "A", 9)];
    for (topic, symbol, n) in sent {
        publisher.send_multipart([topic.as_bytes(), &tick(symbol, n)], 0).unwrap();
    }
    publisher.send_multipart([b"plain".as_slice(), b"no map"], 0).unwrap();
    publisher.send(b"quotes_of_old \x81\xa1n\x05".as_slice(), 0).unwrap();
    for _ in 0..sent.len() + 2 {
        early.recv_multipart(0).unwrap();
    }
    let late = connect(&context, &device.output, "quotes");
    late.set_subscribe(b"plain").unwrap();
    let marked = |symbol, n| tickline_feeds::rewrite::resent(&tick(symbol, n)).unwrap();
    let expected = [
        vec![b"quotes".to_vec(), marked("B", 1)],
        vec![b"quotes".to_vec(), marked("A", 2)],
        vec![b"plain".to_vec(), b"no map".to_vec()],
        vec![b"quotes_of_old \xde\0\x02\xa7_resend\xc3\xa1n\x05".to_vec()],
    ];
    let mut found: Vec<Vec<Vec<u8>>> = (0..4).map(|_| late.recv_multipart(0).unwrap()).collect();
    // Both subscriptions may come at once or one after the other.
    found.sort_by_key(|parts| expected.iter().position(|wanted| wanted == parts));
    assert_eq!(found, expected);
    // One that was there sees them as well, and can tell by the mark.
    let again: Vec<Vec<Vec<u8>>> = (0..4).map(|_| early.recv_multipart(0).unwrap()).collect();
    assert!(expected.iter().all(|wanted| again.contains(wanted)), "{again:?}");
    publisher.send_multipart([b"quotes".as_slice(), &tick("C", 3)], 0).unwrap();
    assert_eq!(late.recv_multipart(0).unwrap(), [b"quotes".to_vec(), tick("C", 3)]);
    let cache = device.end().cache.unwrap();
    assert_eq!((cache.entries, cache.replayed, cache.evicted), (7, 4, 0));
}

#[test]
fn a_cache_beyond_its_bounds_gives_up_the_oldest_and_counts_them() {
    let context = zmq::Context::new();
    let (publisher, endpoint) = bind(&context);
    let device = Device::start(&endpoint, &["forward.cache=true", "forward.cache_entries_max=10"]);
    wait(&publisher, true, "");
    let early = connect(&context, &device.output, "quotes");
    wait(&publisher, true, "quotes");
    for n in 0..100 {
        publisher.send_multipart([b"quotes".as_slice(), &tick(&format!("S{n}"), n)], 0).unwrap();
        early.recv_multipart(0).unwrap();
    }
    let late = connect(&context, &device.output, "quotes");
    for n in 90..100 {
        let marked = tickline_feeds::rewrite::resent(&tick(&format!("S{n}"), n)).unwrap();
        assert_eq!(late.recv_multipart(0).unwrap()[1], marked, "S{n}");
    }
    let cache = device.end().cache.unwrap();
    assert_eq!((cache.entries, cache.replayed, cache.evicted), (10, 10, 90));
}

#[test]
fn a_feed_does_not_become_a_share_while_it_runs() {
    let sets = |socket: &str| {
        let sink = keys(&["sinks.kept.kind=\"null\""]);
        config(&[
            feed("alpha", "ipc:///tmp/tickline-nobody"),
            sink,
            vec![format!("feeds.alpha.socket={socket:?}")],
        ])
    };
    let mut run = start(&sets("sub"), &|_| Ok(Box::new(Gated::open())));
    let refused = run.apply(&sets("pull"), (String::new(), None)).unwrap_err().to_string();
    assert_eq!(refused, "feeds.NAME.socket: cannot be changed while running, restart to apply it");
    end(run);
}

#[test]
fn what_cannot_be_opened_is_named_by_its_key() {
    let error = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let config = Config::load(&[], &sets, &|_| None).unwrap_or_else(|errors| panic!("{errors}")).config;
        let opened = Forwarder::open(&config, Arc::new(OsClock::start()), Arc::default());
        opened.map(drop).unwrap_err().to_string()
    };
    let push = "forward.push=[\"tcp://127.0.0.1:*\"]";
    assert_eq!(error(&[push, "forward.cache=true"]), "forward.out: must be set for a cache, found nothing");
    let (_taken, endpoint) = bind(&zmq::Context::new());
    assert_eq!(
        error(&[&format!("forward.out={endpoint:?}")]),
        format!(
            "forward.out: must be an endpoint that ZeroMQ can bind, found {endpoint:?} (Address already in use)"
        )
    );
}
