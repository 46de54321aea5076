//! One socket, several topics, each with numbers of its own; a subscriber takes what it wants.
//! `cargo run --example several_topics`

use tickline_feeds::clock::Clock;
use tickline_feeds::connect::Now;
use tickline_feeds::payload::reserved;
use tickline_feeds::publisher::{Options, Publisher};
use tickline_feeds::socket::{KERNEL_BUFFER_BYTES, subscriber};
use tickline_loadgen::clock::OsClock;

fn main() -> Result<(), zmq::Error> {
    let context = zmq::Context::new();
    let clock = OsClock::start();
    let now = || Now { wall: clock.wall(), mono: clock.mono() };
    let mut publisher = Publisher::new(&context, Options::new(1))?;
    let endpoint = publisher.bind("tcp://127.0.0.1:*")?;
    let topics = ["EUR_USD", "USD_JPY"].map(|name| publisher.topic(name, now()));

    let socket = subscriber(&context, 1_000, KERNEL_BUFFER_BYTES)?;
    socket.set_subscribe(b"USD_JPY")?;
    socket.connect(&endpoint)?;
    publisher.socket().poll(zmq::POLLIN, -1)?;
    for price in [108_512, 15_021_300, 108_513, 15_021_400] {
        let topic = topics[usize::from(price > 1_000_000)];
        publisher.publish(topic, now(), 1, |map| {
            map.text("price");
            map.decimal(price, 5);
        })?;
    }
    for _ in 0..2 {
        let parts = socket.recv_multipart(0)?;
        let seq = parts.get(1).and_then(|payload| reserved(payload)).map(|(keys, _)| keys.seq);
        println!("{} message {seq:?}", String::from_utf8_lossy(&parts[0]));
    }
    Ok(())
}
