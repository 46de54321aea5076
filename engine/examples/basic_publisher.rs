//! A publisher of one topic. `cargo run --example basic_publisher [ENDPOINT] [MESSAGES]`

use tickline_feeds::clock::Clock;
use tickline_feeds::connect::Now;
use tickline_feeds::publisher::{Options, Publisher};
use tickline_loadgen::clock::OsClock;

fn main() -> Result<(), zmq::Error> {
    let mut arguments = std::env::args().skip(1);
    let endpoint = arguments.next().unwrap_or_else(|| "tcp://127.0.0.1:5600".to_owned());
    let messages: i64 = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(10);
    let clock = OsClock::start();
    let now = || Now { wall: clock.wall(), mono: clock.mono() };

    let mut publisher = Publisher::new(&zmq::Context::new(), Options::new(std::process::id()))?;
    println!("bound to {}", publisher.bind(&endpoint)?);
    let topic = publisher.topic("my_topic", now());
    // Without a subscriber ZeroMQ keeps nothing.
    publisher.socket().poll(zmq::POLLIN, -1)?;
    for number in 0..messages {
        publisher.publish(topic, now(), 3, |map| {
            map.text("symbol");
            map.text("EXAMPLE");
            map.text("price");
            map.decimal(100_000 + number, 3);
            map.text("qty");
            map.decimal(5, 0);
        })?;
    }
    publisher.end(now())?;
    println!("sent {:?}", publisher.sent());
    Ok(())
}
