//! `tickline-bench generator`: the load generator flat out beside a bare libzmq sender, which sends one prepared
//! message of the same size again and again. Both into the same receiver, at which the rate is taken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tickline_feeds::clock::Clock;
use tickline_feeds::socket;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::host::{build, host};
use tickline_loadgen::plan::{FeedLoad, LoadPlan, Rate};
use tickline_loadgen::run::start;

use super::pairs::duration;
use super::{Code, median};

/// How often the receiver looks whether it is over, ms.
const LOOK_EVERY_MS: i32 = 50;
/// The kernel's buffer of the receiver, bytes, as the engine asks for.
const RCVBUF: i32 = 4 << 20;
/// Messages that wait on either side.
const HWM: i32 = 50_000;

/// Arguments of `generator`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Feed of the registry.
    #[arg(long, default_value = "kraken_tick")]
    feed: String,
    /// Pairs of runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,
    /// How long one run takes.
    #[arg(long, default_value = "5s", value_parser = duration)]
    duration: Duration,
    /// Seed of the generator.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// What one sender did.
#[derive(Clone, Copy, Debug)]
struct Sent {
    messages: u64,
    payload_bytes: usize,
}

/// The same, and how fast it arrived.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    msgs_per_s: f64,
    payload_bytes: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Code> {
    let mut payload_bytes = generated(arguments)?.payload_bytes;
    let mut pairs = Vec::new();
    for at in 0..arguments.pairs {
        let (floor, ours) = if at % 2 == 0 {
            let floor = bare(arguments, payload_bytes)?;
            (floor, generated(arguments)?)
        } else {
            let ours = generated(arguments)?;
            (bare(arguments, payload_bytes)?, ours)
        };
        payload_bytes = ours.payload_bytes;
        eprintln!("pair {}: bare {:.0}/s, generator {:.0}/s", at + 1, floor.msgs_per_s, ours.msgs_per_s);
        pairs.push((floor.msgs_per_s, ours.msgs_per_s));
    }
    let object = json!({
        "command": "generator", "feed": arguments.feed, "seed": arguments.seed, "payload_bytes": payload_bytes,
        "pairs": pairs, "ratio_to_floor": median(pairs.iter().map(|(floor, ours)| ours / floor)),
        "msgs_per_s": median(pairs.iter().map(|pair| pair.1)),
        "floor_msgs_per_s": median(pairs.iter().map(|pair| pair.0)),
        "build": build(env!("CARGO_PKG_VERSION"), option_env!("TICKLINE_COMMIT")), "host": host(),
    });
    println!("{object:#}");
    Ok(Code::Ok)
}

/// The generator, one publisher.
fn generated(arguments: &Arguments) -> Result<Arrived> {
    let load = FeedLoad::new(&arguments.feed, "127.0.0.1", Rate::Max)?;
    let plan = LoadPlan {
        feeds: vec![FeedLoad { endpoint: "tcp://127.0.0.1:*".to_owned(), ..load }],
        duration: Some(arguments.duration),
        seed: arguments.seed,
        sndhwm: HWM,
        ..LoadPlan::default()
    };
    let running = start(plan, OsClock::start())?;
    let endpoint =
        running.endpoints().next().map(|(_, endpoint)| endpoint.to_owned()).context("one publisher")?;
    beside_a_receiver(&endpoint, || {
        let load = running.finish()?;
        let feed = load.feeds.first().context("one publisher")?;
        Ok(Sent { messages: feed.sent, payload_bytes: (feed.bytes / feed.sent.max(1)) as usize })
    })
}

/// A loop around `zmq_msg_send`, whose queue blocks when it is full, as the generator's does.
fn bare(arguments: &Arguments, payload_bytes: usize) -> Result<Arrived> {
    let context = zmq::Context::new();
    let publisher = socket::publisher(&context, HWM, 0)?;
    publisher.bind("tcp://127.0.0.1:*")?;
    let endpoint = publisher.get_last_endpoint()?.ok().context("the endpoint is text")?;
    let payload = vec![b'x'; payload_bytes];
    beside_a_receiver(&endpoint, || {
        publisher.recv_bytes(0)?;
        let clock = OsClock::start();
        let (begin, mut sent) = (clock.mono(), 0_u64);
        let all = arguments.duration.as_nanos() as u64;
        // The time is read as rarely as it does not show.
        while clock.mono().since(begin) < all {
            for _ in 0..256 {
                publisher.send(arguments.feed.as_bytes(), zmq::SNDMORE)?;
                publisher.send(payload.as_slice(), 0)?;
            }
            sent += 256;
        }
        Ok(Sent { messages: sent, payload_bytes })
    })
}

/// Sends while a thread takes everything from `endpoint` and looks at nothing.
fn beside_a_receiver(endpoint: &str, send: impl FnOnce() -> Result<Sent>) -> Result<Arrived> {
    let context = zmq::Context::new();
    let socket = socket::subscriber(&context, HWM, RCVBUF)?;
    socket.set_rcvtimeo(LOOK_EVERY_MS)?;
    socket.set_subscribe(b"")?;
    socket.connect(endpoint)?;
    let clock = OsClock::start();
    let over = AtomicBool::new(false);
    let until = &over;
    std::thread::scope(|scope| {
        let receiving = scope.spawn(move || {
            let (mut message, mut messages) = (zmq::Message::new(), 0_u64);
            let (mut first, mut last) = (clock.mono(), clock.mono());
            loop {
                match socket.recv(&mut message, 0) {
                    Ok(()) if message.get_more() => {}
                    Ok(()) => {
                        messages += 1;
                        if messages == 1 {
                            first = clock.mono();
                        }
                        // Read as rarely as it does not show.
                        if messages % 256 == 0 {
                            last = clock.mono();
                        }
                    }
                    Err(zmq::Error::EINTR) => {}
                    Err(zmq::Error::EAGAIN) if !until.load(Ordering::Relaxed) => {}
                    Err(zmq::Error::EAGAIN) => return Ok((messages, last.since(first))),
                    Err(error) => return Err(error),
                }
            }
        });
        let sent = send();
        over.store(true, Ordering::Relaxed);
        let (messages, elapsed_ns) =
            receiving.join().map_err(|_| anyhow::anyhow!("the receiver has panicked"))??;
        let Sent { messages: sent, payload_bytes } = sent?;
        // The generator also says its end.
        anyhow::ensure!(messages >= sent, "generator: {sent} sent, {messages} received");
        Ok(Arrived { msgs_per_s: messages as f64 * 1e9 / elapsed_ns.max(1) as f64, payload_bytes })
    })
}
