use std::time::Duration;

use tickline_feeds::capture::Reader;
use tickline_feeds::clock::MonoNanos;
use tickline_feeds::payload::reserved;

use super::*;
use crate::clock::OsClock;
use crate::plan::Rate;
use crate::reading::{Subscriber, read};

fn load(feed: &str, rate: Rate) -> FeedLoad {
    let endpoint = "tcp://127.0.0.1:*".to_owned();
    FeedLoad { endpoint, symbols: 5, ..FeedLoad::new(feed, "", rate).unwrap() }
}

fn plan(feeds: &[&str], rate: Rate, duration_ms: u64) -> LoadPlan {
    LoadPlan {
        feeds: feeds.iter().map(|feed| load(feed, rate)).collect(),
        duration: Some(Duration::from_millis(duration_ms)),
        seed: 7,
        wait_timeout: Some(Duration::from_secs(20)),
        ..LoadPlan::default()
    }
}

fn endpoint(running: &Running) -> String {
    running.endpoints().next().unwrap().1.to_owned()
}

#[test]
fn a_subscriber_gets_every_message_from_the_first_to_the_end() {
    for rate in [Rate::PerSecond(20_000.0), Rate::Max] {
        let running = start(plan(&["kraken_depth"], rate, 300), OsClock::start()).unwrap();
        let subscriber = Subscriber::connect(&endpoint(&running), 1_000);
        let (payloads, end) = subscriber.until_end();
        let result = running.finish().unwrap();
        let feed = &result.feeds[0];
        let numbers: Vec<u64> = payloads.iter().map(|payload| reserved(payload).unwrap().0.seq).collect();
        assert_eq!(numbers, (1..=feed.sent).collect::<Vec<u64>>());
        assert_eq!(
            (end["_seq"].as_u64(), end["_src"].as_u64()),
            (Some(feed.sent), Some(u64::from(feed.src)))
        );
        assert_eq!((feed.last_seq, feed.ended), (feed.sent, true));
        assert_eq!(feed.bytes, payloads.iter().map(|payload| payload.len() as u64).sum::<u64>());
        if rate != Rate::Max {
            assert_eq!((feed.planned, feed.sent), (6_000, 6_000));
        }
    }
}

/// A clock that goes on by 1 ms whenever it is read.
#[derive(Clone, Debug, Default)]
struct Stepping(Arc<std::sync::atomic::AtomicU64>);

impl Clock for Stepping {
    fn wall(&self) -> WallNanos {
        WallNanos(CAPTURE_EPOCH.0 + self.mono().0 as i64)
    }

    fn mono(&self) -> MonoNanos {
        MonoNanos(self.0.fetch_add(1_000_000, Ordering::Relaxed))
    }
}

#[test]
fn a_publisher_that_has_ended_keeps_its_connection_until_its_subscriber_goes() {
    let running = start(plan(&["kraken_tick"], Rate::PerSecond(1_000.0), 50), Stepping::default()).unwrap();
    let subscriber = Subscriber::connect(&endpoint(&running), 1_000);
    subscriber.until_end();
    // Alone it would end after a second of its clock, which are at least 10 s of ours.
    assert!(!running.is_finished());
    drop(subscriber);
    let clock = OsClock::start();
    while !running.is_finished() {
        assert!(clock.mono().0 < 9_000_000_000, "it does not see that its subscriber has gone");
        std::thread::yield_now();
    }
    assert_eq!(running.finish().unwrap().feeds[0].sent, 50);
}

#[test]
fn times_on_the_wire_are_those_of_now_and_due_is_the_schedule() {
    let before = OsClock::start().wall();
    let running = start(plan(&["oanda_tick"], Rate::PerSecond(1_000.0), 50), OsClock::start()).unwrap();
    let (payloads, _) = Subscriber::connect(&endpoint(&running), 1_000).until_end();
    running.finish().unwrap();
    let after = OsClock::start().wall();
    let times: Vec<_> = payloads.iter().map(|payload| reserved(payload).unwrap().0.times).collect();
    for (times, payload) in times.iter().zip(&payloads) {
        assert!(before <= times.recv && times.recv <= times.sent && times.sent <= after);
        assert_eq!(read(payload)["time"], tickline_feeds::payload::rfc3339(times.recv, 9));
        assert!(before.0 - 1_000_000 < times.due.0 && times.due <= times.recv);
    }
    assert_eq!(times.len(), 50);
}

#[test]
fn a_run_lasts_as_long_as_its_schedule_and_not_only_until_its_last_message() {
    let plan = LoadPlan {
        duration: Some(Duration::from_millis(100)),
        wait: false,
        ..plan(&["kraken_tick"], Rate::PerSecond(10.0), 1)
    };
    let result = start(plan, OsClock::start()).unwrap().finish().unwrap();
    assert_eq!((result.feeds[0].sent, result.verdict().0), (1, tickline_config::report::Verdict::Pass));
    assert!(result.feeds[0].elapsed_ns >= 100_000_000, "{}", result.feeds[0].elapsed_ns);
}

#[test]
fn flat_out_has_no_due_time() {
    let running = start(plan(&["kraken_tick"], Rate::Max, 5), OsClock::start()).unwrap();
    let (payloads, _) = Subscriber::connect(&endpoint(&running), 1_000).until_end();
    running.finish().unwrap();
    assert!(!payloads.is_empty());
    assert!(payloads.iter().all(|payload| reserved(payload).unwrap().0.times.due == WallNanos(0)));
}

#[test]
fn nobody_subscribing_is_an_error_that_names_each_endpoint_without_a_subscriber() {
    let feeds = ["kraken_tick", "kraken_trades", "oanda_tick"];
    let plan = LoadPlan { wait_timeout: Some(Duration::from_secs(2)), ..plan(&feeds, Rate::Max, 5) };
    let running = start(plan, OsClock::start()).unwrap();
    let endpoints: Vec<String> = running.endpoints().map(|(_, endpoint)| endpoint.to_owned()).collect();
    let subscriber = Subscriber::connect(&endpoints[1], 1_000);
    let error = running.finish().unwrap_err().to_string();
    let (first, last) = (&endpoints[0], &endpoints[2]);
    assert_eq!(
        error,
        format!("nobody has subscribed within 2 s: kraken_tick at {first}, oanda_tick at {last}")
    );
    drop(subscriber);
}

#[test]
fn another_topic_is_not_taken_for_the_subscriber() {
    let running = start(plan(&["kraken_tick"], Rate::Max, 5), OsClock::start()).unwrap();
    let context = zmq::Context::new();
    let other = context.socket(zmq::SUB).unwrap();
    other.set_subscribe(b"kraken_ticker").unwrap();
    other.set_rcvtimeo(300).unwrap();
    other.connect(&endpoint(&running)).unwrap();
    assert_eq!(other.recv_bytes(0), Err(zmq::Error::EAGAIN));
    assert!(!running.progress().next().unwrap().1.started.load(Ordering::Relaxed));
    other.set_subscribe(b"kraken").unwrap();
    other.set_rcvtimeo(20_000).unwrap();
    assert_eq!(other.recv_bytes(0).as_deref(), Ok(b"kraken_tick".as_slice()));
    running.stop();
    running.finish().unwrap();
}

#[test]
fn a_taken_port_is_named_with_its_owner() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut plan = plan(&["kraken_tick"], Rate::Max, 5);
    plan.feeds[0].endpoint = format!("tcp://{}", taken.local_addr().unwrap());
    let error = start(plan, OsClock::start()).unwrap_err().to_string();
    let expected = format!("kraken_tick: cannot bind tcp://{}: ", taken.local_addr().unwrap());
    assert!(error.starts_with(&expected), "{error}");
    assert!(error.ends_with(&format!("(pid {})", std::process::id())), "{error}");
}

#[test]
fn a_silent_publisher_says_once_a_second_that_it_lives() {
    let mut plan = plan(&["kraken_tick"], Rate::PerSecond(0.001), 0);
    plan.duration = None;
    let running = start(plan, OsClock::start()).unwrap();
    let subscriber = Subscriber::connect(&endpoint(&running), 1_000);
    let (first, heartbeat) = (subscriber.next().1, read(&subscriber.next().1));
    assert_eq!(reserved(&first).unwrap().0.seq, 1);
    assert_eq!((&heartbeat["_hb"], &heartbeat["_seq"]), (&true.into(), &1.into()));
    running.stop();
    assert_eq!(running.finish().unwrap().feeds[0].sent, 1);
}

#[test]
fn a_full_queue_blocks_the_publisher_loses_nothing_and_lets_it_stop() {
    let mut plan = plan(&["kraken_depth"], Rate::Max, 0);
    (plan.duration, plan.sndhwm) = (None, 10);
    let running = start(plan, OsClock::start()).unwrap();
    let subscriber = Subscriber::connect(&endpoint(&running), 10);
    let sent = || running.progress().next().unwrap().1.sent.load(Ordering::Relaxed);
    let mut before = u64::MAX;
    while sent() != before {
        before = sent();
        std::thread::park_timeout(Duration::from_millis(200));
    }
    running.stop();
    let (payloads, _) = subscriber.until_end();
    let feed = &running.finish().unwrap().feeds[0];
    let numbers: Vec<u64> = payloads.iter().map(|payload| reserved(payload).unwrap().0.seq).collect();
    assert_eq!(numbers, (1..=feed.sent).collect::<Vec<u64>>());
}

#[test]
fn a_capture_depends_on_plan_and_seed_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, seed: u64, finish: bool| {
        let path = folder.path().join(name);
        let feeds = ["kraken_tick", "betfair_stream", "oanda_tick"];
        let mut plan = LoadPlan { seed, ..plan(&feeds, Rate::PerSecond(2_000.0), 100) };
        if finish {
            (plan.wait, plan.capture) = (false, Some(path.clone()));
            start(plan, OsClock::start()).unwrap().finish().unwrap();
        } else {
            write_capture(&plan, &[200, 200, 200], &path).unwrap();
        }
        std::fs::read(path).unwrap()
    };
    let bytes = file("a", 7, true);
    assert_eq!(bytes, file("b", 7, true));
    assert_eq!(bytes, file("c", 7, false));
    assert_ne!(bytes, file("d", 8, false));
    let mut reader = Reader::new(bytes.as_slice()).unwrap();
    let mut frames = 0;
    while let Some(record) = reader.next_record().unwrap() {
        let ours = reserved(record.payload).unwrap().0;
        assert_eq!(ours.times, tickline_feeds::payload::Times::default());
        assert_eq!(record.recv.0 - CAPTURE_EPOCH.0, (ours.seq as i64 - 1) * 500_000);
        if record.topic == b"oanda_tick" {
            let time = tickline_feeds::payload::rfc3339(record.recv, 9);
            assert_eq!(read(record.payload)["time"], time);
        }
        frames += 1;
    }
    assert_eq!((frames, reader.left()), (600, 0));
}

#[test]
fn the_wire_carries_what_the_capture_holds_but_for_source_times_and_ties() {
    let running = start(plan(&["kraken_trades"], Rate::PerSecond(2_000.0), 100), OsClock::start()).unwrap();
    let (payloads, _) = Subscriber::connect(&endpoint(&running), 1_000).until_end();
    running.finish().unwrap();
    let path = tempfile::NamedTempFile::new().unwrap();
    write_capture(&plan(&["kraken_trades"], Rate::PerSecond(2_000.0), 100), &[200], path.path()).unwrap();
    let bytes = std::fs::read(path.path()).unwrap();
    let mut reader = Reader::new(bytes.as_slice()).unwrap();
    for payload in payloads {
        let record = reader.next_record().unwrap().unwrap();
        let without_times = |payload: &[u8]| {
            let mut message = read(payload);
            for key in ["_src", "_ts", "_recv", "_due"] {
                message[key].take();
            }
            for trade in message["data"].as_array_mut().unwrap() {
                trade["timestamp"].take();
            }
            message
        };
        assert_eq!(without_times(record.payload), without_times(&payload));
    }
    assert!(reader.next_record().unwrap().is_none());
}
