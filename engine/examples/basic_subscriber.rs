//! A subscriber of one topic that prints what comes as JSON and counts what is missing.
//! `cargo run --example basic_subscriber [ENDPOINT] [TOPIC]`

use tickline_feeds::json::append_json;
use tickline_feeds::payload::reserved;
use tickline_feeds::socket::{KERNEL_BUFFER_BYTES, subscriber};

fn main() -> Result<(), zmq::Error> {
    let mut arguments = std::env::args().skip(1);
    let endpoint = arguments.next().unwrap_or_else(|| "tcp://127.0.0.1:5600".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "my_topic".to_owned());
    let socket = subscriber(&zmq::Context::new(), 100_000, KERNEL_BUFFER_BYTES)?;
    socket.set_subscribe(topic.as_bytes())?;
    socket.connect(&endpoint)?;
    let (mut last, mut lost) = (None, 0);
    loop {
        let parts = socket.recv_multipart(0)?;
        // ZeroMQ compares only the beginning of a topic.
        let [name, payload, ..] = parts.as_slice() else { continue };
        if name != topic.as_bytes() {
            continue;
        }
        let mut json = String::new();
        match append_json(payload, &mut json) {
            Ok(()) => println!("{json}"),
            Err(why) => eprintln!("no msgpack: {}", why.name()),
        }
        if let Some((keys, _)) = reserved(payload) {
            lost += last.map_or(0, |last: u64| keys.seq.saturating_sub(last + 1));
            last = Some(keys.seq);
        }
        if json.contains("\"_end\":true") {
            println!("the publisher has ended, {lost} messages are missing");
            return Ok(());
        }
    }
}
