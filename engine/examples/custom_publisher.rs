//! A feed of one's own from JSON that somebody else wrote: one pass from text to msgpack, decimals digit by digit.
//! `cargo run --example custom_publisher [ENDPOINT]`

use tickline_feeds::clock::Clock;
use tickline_feeds::connect::{Note, Now, Outbox};
use tickline_feeds::payload::Decimals;
use tickline_feeds::publisher::{Options, Publisher};
use tickline_feeds::transcode::{IntegerKey, Place};
use tickline_loadgen::clock::OsClock;

/// Numbers under these keys are integers; all others travel as text.
const INTEGERS: &[IntegerKey] = &[IntegerKey { key: "ts", place: Place::Any }];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::args().nth(1).unwrap_or_else(|| "tcp://127.0.0.1:5600".to_owned());
    let clock = OsClock::start();
    let now = || Now { wall: clock.wall(), mono: clock.mono() };
    // What waits together goes out as bundles of up to two ticks.
    let options = Options { bundle_max: 2, ..Options::new(std::process::id()) };
    let mut publisher = Publisher::new(&zmq::Context::new(), options)?;
    println!("bound to {}", publisher.bind(&endpoint)?);
    let mut outbox = Outbox::new(Decimals::Text);
    let topic = outbox.topic("weather");
    publisher.socket().poll(zmq::POLLIN, -1)?;
    for (at, celsius) in ["21.50", "21.75", "22.00"].into_iter().enumerate() {
        let millis = clock.wall().0 / 1_000_000 + at as i64;
        let json = format!(r#"{{"city":"Riga","ts":{millis},"air":{{"celsius":{celsius}}}}}"#);
        outbox.json(topic, clock.wall(), 0, &json, INTEGERS)?;
    }
    publisher.send(&mut outbox, now())?;
    // What happens to the source is said on the same topic, and becomes a row of feed_event.
    let note = Note { kind: "clean", scope: "*", detail: "an example of an event", ..Note::default() };
    outbox.event(topic, clock.wall(), &note);
    publisher.send(&mut outbox, now())?;
    publisher.end(now())?;
    Ok(())
}
