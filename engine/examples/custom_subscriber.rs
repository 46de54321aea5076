//! A feed of one's own as line protocol: described in the configuration, no decoder written.
//! `cargo run --example custom_subscriber [ENDPOINT]`

use std::sync::Arc;

use tickline_config::model::Config;
use tickline_feeds::clock::Clock;
use tickline_feeds::decoder::{Decoder, DecoderSpec, FrameClass};
use tickline_feeds::frame::Frame;
use tickline_feeds::instruments::Instruments;
use tickline_feeds::socket::{KERNEL_BUFFER_BYTES, subscriber};
use tickline_loadgen::clock::OsClock;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::args().nth(1).unwrap_or_else(|| "tcp://127.0.0.1:5600".to_owned());
    let sets = [
        format!("feeds.weather.endpoint={endpoint:?}"),
        r#"feeds.weather.topic="weather""#.to_owned(),
        r#"feeds.weather.custom.measurement="weather""#.to_owned(),
        r#"feeds.weather.custom.time={ path = "ts", unit = "ms" }"#.to_owned(),
        r#"feeds.weather.custom.tags={ city = "city" }"#.to_owned(),
        r#"feeds.weather.custom.fields={ celsius = "air.celsius:float" }"#.to_owned(),
    ];
    let config = Config::load(&[], &sets, &|name| std::env::var(name).ok())?.config;
    let feed = config.feeds.get("weather").ok_or("no feed")?.clone();
    let socket = subscriber(&zmq::Context::new(), 100_000, KERNEL_BUFFER_BYTES)?;
    socket.set_subscribe(feed.topic.as_bytes())?;
    socket.connect(&feed.endpoint)?;
    let mut decoder =
        Decoder::new(&DecoderSpec { feed, legacy_tick: false }, Arc::new(Instruments::default()))?;
    let clock = OsClock::start();
    let mut lines = Vec::new();
    loop {
        let parts = socket.recv_multipart(0)?;
        let [topic, payload, ..] = parts.as_slice() else { continue };
        let frame = Frame { feed: 0, endpoint: 0, recv: clock.wall(), topic, payload, oversized: false };
        let decoded = decoder.decode(&frame, &mut lines);
        print!("{}", String::from_utf8_lossy(&lines));
        lines.clear();
        if decoded.class == FrameClass::Control && payload.windows(4).any(|bytes| bytes == b"_end") {
            return Ok(());
        }
    }
}
