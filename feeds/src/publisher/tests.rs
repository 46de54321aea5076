use super::*;
use crate::connect::Note;
use crate::payload::reserved;
use crate::transcode::KRAKEN_INTEGERS;

const NOW: Now = Now { wall: WallNanos(1_000), mono: MonoNanos(5) };

/// A publisher with one subscriber of everything, on a free port.
fn pair(options: Options) -> (Publisher, zmq::Socket, zmq::Context) {
    let context = zmq::Context::new();
    let mut publisher = Publisher::new(&context, options).unwrap();
    let endpoint = publisher.bind("tcp://127.0.0.1:*").unwrap();
    let subscriber = socket::subscriber(&context, 1_000, 65_536).unwrap();
    subscriber.set_subscribe(b"").unwrap();
    subscriber.set_rcvtimeo(10_000).unwrap();
    subscriber.connect(&endpoint).unwrap();
    assert_ne!(publisher.socket.poll(zmq::POLLIN, 10_000).unwrap(), 0, "the subscription arrives");
    (publisher, subscriber, context)
}

fn quotes(count: u64) -> Outbox {
    let mut outbox = Outbox::new(Decimals::Text);
    let topic = outbox.topic("kraken_tick");
    for at in 0..count {
        let json = format!(r#"{{"symbol":"BTC/USD","bid":63388.{at}}}"#);
        outbox.json(topic, WallNanos(900), at as u32, &json, KRAKEN_INTEGERS).unwrap();
    }
    outbox
}

#[test]
fn messages_of_a_topic_are_numbered_from_one_and_carry_source_and_times() {
    let (mut publisher, subscriber, _context) = pair(Options::new(77));
    publisher.send(&mut quotes(2), NOW).unwrap();
    for seq in 1..=2 {
        let [topic, payload] = <[Vec<u8>; 2]>::try_from(subscriber.recv_multipart(0).unwrap()).unwrap();
        let (found, further_keys) = reserved(&payload).unwrap();
        assert_eq!((topic.as_slice(), further_keys), (&b"kraken_tick"[..], 2));
        assert_eq!((found.src, found.seq, found.tie), (77, seq, seq as u32 - 1));
        assert_eq!(
            (found.times.sent, found.times.recv, found.times.due),
            (WallNanos(1_000), WallNanos(900), WallNanos(0))
        );
        let text = payload.windows(7).any(|bytes| bytes == [b"63388.", &[b'0' + seq as u8 - 1][..]].concat());
        assert!(text, "the decimal is the venue's text");
    }
    assert_eq!(
        publisher.sent(),
        Sent { messages: 2, payloads: 2, bytes: publisher.sent().bytes, heartbeats: 0, joined: 0 }
    );
}

#[test]
fn an_event_and_an_image_are_never_joined_with_data() {
    let (mut publisher, subscriber, _context) = pair(Options { bundle_max: 8, ..Options::new(1) });
    let mut outbox = quotes(2);
    let topic = outbox.topic("kraken_tick");
    let note = Note { kind: "gap", scope: "*", ..Note::default() };
    outbox.event(topic, WallNanos(900), &note);
    outbox.event(topic, WallNanos(900), &note);
    let json = r#"{"symbol":"BTC/USD","bid":1.0}"#;
    outbox.json(topic, WallNanos(900), 0, json, KRAKEN_INTEGERS).unwrap();
    outbox.map(topic, WallNanos(900), 0, 1, |writer| {
        writer.text("_image");
        writer.bool(true);
    });
    publisher.send(&mut outbox, NOW).unwrap();
    let sizes = [(2, false), (1, true), (1, true), (1, false), (1, true)];
    for (seq, (maps, is_marked)) in (1..).zip(sizes) {
        let payload = subscriber.recv_multipart(0).unwrap().remove(1);
        let first = if maps > 1 { &payload[5..] } else { &payload[..] };
        assert_eq!((payload[0] == 0xdd, reserved(first).unwrap().0.seq), (maps > 1, seq));
        assert_eq!(payload.windows(6).any(|key| key == b"_event" || key == b"_image"), is_marked, "{seq}");
    }
}

#[test]
fn payloads_that_wait_together_are_one_message_when_bundles_are_allowed() {
    let (mut publisher, subscriber, _context) = pair(Options { bundle_max: 2, ..Options::new(1) });
    publisher.send(&mut quotes(3), NOW).unwrap();
    let bundle = subscriber.recv_multipart(0).unwrap().remove(1);
    let mut expected = vec![0xdd, 0, 0, 0, 2];
    assert!(bundle.starts_with(&expected), "an array of two");
    let (found, _) = reserved(&bundle[5..]).unwrap();
    assert_eq!((found.seq, found.tie), (1, 0));
    expected = b"\xde\0\x03\xa4_tie\xce\0\0\0\x01\xa6symbol\xa7BTC/USD\xa3bid\xa763388.1".to_vec();
    assert!(
        bundle.ends_with(&expected),
        "the second map has only its tie: {:?}",
        String::from_utf8_lossy(&bundle)
    );
    let alone = subscriber.recv_multipart(0).unwrap().remove(1);
    assert_eq!(reserved(&alone).map(|(found, _)| found.seq), Some(2), "a bundle takes one number");
}

#[test]
fn a_silent_topic_says_that_it_lives_and_then_that_it_ends() {
    let (mut publisher, subscriber, _context) = pair(Options { framing: Framing::Single, ..Options::new(9) });
    let topic = publisher.topic("t", NOW);
    publisher
        .publish(topic, NOW, 1, |writer| {
            writer.text("a");
            writer.int(1);
        })
        .unwrap();
    let soon = Now { mono: MonoNanos(1_000_000_000), ..NOW };
    assert_eq!(publisher.beat(soon).unwrap(), MonoNanos(1_000_000_005), "not yet silent for a second");
    publisher.beat(Now { mono: MonoNanos(1_000_000_005), ..NOW }).unwrap();
    publisher.end(NOW).unwrap();
    let message = subscriber.recv_bytes(0).unwrap();
    assert!(message.starts_with(b"t \xde"), "one part, topic and payload");
    let control = |key: &[u8]| {
        [
            b"t \x84",
            key,
            b"\xc3\xa4_src\xce\0\0\0\x09\xa4_seq\xcf\0\0\0\0\0\0\0\x01\xa3_ts\xd3\0\0\0\0\0\0\x03\xe8",
        ]
        .concat()
    };
    assert_eq!(subscriber.recv_bytes(0).unwrap(), control(b"\xa3_hb"));
    assert_eq!(subscriber.recv_bytes(0).unwrap(), control(b"\xa4_end"));
    assert_eq!((publisher.sent().heartbeats, publisher.last_seq(topic)), (1, 1));
}

#[test]
fn a_subscriber_that_joins_is_told_topic_by_topic() {
    let (mut publisher, _subscriber, _context) = pair(Options::new(1));
    let (a, b) = (publisher.topic("a", NOW), publisher.topic("b", NOW));
    let mut joined = Vec::new();
    publisher.look(&mut joined).unwrap();
    assert_eq!(joined, [a, b], "the subscription to everything is one to each");
    publisher.publish_raw(a, b"as it is").unwrap();
    assert_eq!(publisher.last_seq(a), 0, "a raw payload has no number");
}
