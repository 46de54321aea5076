//! A connector by hand: what the engine does for `tickline publish kraken-tick`, with a venue of three messages.
//! `cargo run --example kraken_publisher`

use tickline_feeds::clock::Clock;
use tickline_feeds::connect::kraken::{QuoteSettings, QuoteSource, Quotes, Trigger};
use tickline_feeds::connect::{Command, Connector, Event, Link, Now, Outbox};
use tickline_feeds::payload::Decimals;
use tickline_loadgen::clock::OsClock;

const VENUE: [&str; 3] = [
    r#"{"channel":"status","type":"update","data":[{"system":"online"}]}"#,
    r#"{"method":"subscribe","success":true,"req_id":1,"result":{"channel":"ticker","symbol":"BTC/USD"}}"#,
    r#"{"channel":"ticker","type":"snapshot","data":[{"symbol":"BTC/USD","bid":63388.70,"bid_qty":1.5,"ask":63401.30,"ask_qty":2.0,"timestamp":"2026-08-02T03:36:02.621302Z"}]}"#,
];

fn main() {
    let clock = OsClock::start();
    let now = || Now { wall: clock.wall(), mono: clock.mono() };
    let mut connector = Quotes::new(QuoteSettings {
        url: "wss://ws.kraken.com/v2".to_owned(),
        rest_url: String::new(),
        symbols: vec!["BTC/USD".to_owned()],
        source: QuoteSource::Ticker(Trigger::Bbo),
        poll_ns: 1_000_000_000,
        seed: 1,
    });
    let mut out = Outbox::new(Decimals::Text);
    let messages = VENUE.iter().map(|message| Event::Message(Link(0), message.as_bytes()));
    for event in [Event::Start, Event::Opened(Link(0))].into_iter().chain(messages) {
        connector.on(event, now(), &mut out);
        let topics = out.topics().to_vec();
        let (queued, _) = out.payloads();
        queued.iter().for_each(|payload| {
            println!(
                "publish on {}: {} bytes",
                topics[usize::from(payload.topic.0)],
                payload.to - payload.from
            )
        });
        out.clear_payloads();
        for command in out.take_commands() {
            match command {
                Command::Send(_, text) => println!("send {text}"),
                command => println!("{command:?}"),
            }
        }
    }
}
