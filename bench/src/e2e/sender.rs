//! The sender process: publishes prepared messages, renewed before each send, flat out or open loop. Its first
//! line on standard output is its endpoint, its last what it did. It is the same for floor and tickline.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tickline_bench::shapes::Shape;
use tickline_feeds::clock::{Clock, WallNanos};
use tickline_feeds::payload::{ControlKey, PayloadWriter, reserved};
use tickline_feeds::socket;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::plan::Rate;

use super::{Code, Unusable};

/// Different contents; renewing makes each message new.
pub(crate) const CONTENTS: usize = 4_096;
/// Messages that may wait for the subscriber.
const SNDHWM: i32 = 50_000;
/// How long the last messages may still wait at the end, ms.
const LINGER_MS: i32 = 30_000;
/// A slot that begins later than this was late, ns.
const LATE_NS: u64 = 10_000_000;

/// Arguments of the hidden command `send`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    shape: String,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    messages: u64,
    #[arg(long)]
    rate: Rate,
}

/// What a sender did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// Wall time of the first send, ns.
    pub(crate) first_ns: i64,
    /// From the first to the last send, ns.
    pub(crate) elapsed_ns: u64,
    /// Messages with a number.
    pub(crate) messages: u64,
    /// Slots begun more than 10 ms after they were due.
    pub(crate) late: u64,
    /// Mean bytes of a payload.
    pub(crate) payload_bytes: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Code> {
    let shape = Shape::named(&arguments.shape)
        .ok_or_else(|| Unusable(format!("shape: must be known, found {:?}", arguments.shape)))?;
    let mut run = shape.run(arguments.seed, CONTENTS);
    let context = zmq::Context::new();
    let publisher = socket::publisher(&context, SNDHWM, LINGER_MS)?;
    publisher.bind("tcp://127.0.0.1:*")?;
    let endpoint = publisher.get_last_endpoint()?.ok().context("the endpoint is text")?;
    say(&endpoint)?;
    // The subscription; whoever started this process also ends it.
    publisher.recv_bytes(0)?;
    // Wakes on time instead of up to 50 µs later; where it cannot be set, both sides get the same lateness.
    std::fs::write("/proc/self/timerslack_ns", "1").ok();

    let clock = OsClock::start();
    let (first, start) = (clock.wall(), clock.mono());
    let (mut late, mut bytes, mut src, mut last) = (0, 0, 0, 0);
    let topic = shape.name.as_bytes();
    for at in 0..arguments.messages {
        let mut due = WallNanos(0);
        if let Rate::PerSecond(rate) = arguments.rate {
            let due_ns = (at as f64 * 1e9 / rate) as u64;
            due = WallNanos(first.0 + due_ns as i64);
            let mut now_ns = clock.mono().since(start);
            late += u64::from(now_ns > due_ns + LATE_NS);
            while now_ns < due_ns {
                std::thread::park_timeout(Duration::from_nanos(due_ns - now_ns));
                now_ns = clock.mono().since(start);
            }
        }
        let payload = run.next_at(clock.wall(), due);
        bytes += payload.len() as u64;
        if at + 1 == arguments.messages && shape.reserved {
            // The reserved keys of a bundle stand in its first map, behind the array's marker and length.
            let map = if shape.bundle > 1 { payload.get(3..).unwrap_or_default() } else { payload };
            (src, last) = reserved(map).map_or((0, 0), |(known, _)| (known.src, known.seq));
        }
        // XPUB_NODROP: a full queue blocks here instead of losing messages.
        publisher.send(topic, zmq::SNDMORE)?;
        publisher.send(payload, 0)?;
    }
    let elapsed_ns = clock.mono().since(start);
    let mut end = PayloadWriter::default();
    end.control(ControlKey::End, src, last, clock.wall());
    publisher.send(topic, zmq::SNDMORE)?;
    publisher.send(end.bytes(), 0)?;
    let payload_bytes = bytes / arguments.messages.max(1);
    let (first_ns, messages) = (first.0, arguments.messages);
    let sent = Sent { first_ns, elapsed_ns, messages, late, payload_bytes };
    say(&serde_json::to_string(&sent)?)?;
    // Closed sooner, what TCP still holds would be lost when the receiver's next heartbeat meets a closed port. Its
    // standard input ends when the receiver has everything.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(Code::Ok)
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Whether a payload is the sender's end.
pub(crate) fn is_end(payload: &[u8]) -> bool {
    payload.starts_with(b"\x84\xa4_end")
}
