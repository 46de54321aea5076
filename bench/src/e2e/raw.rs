//! The floor of everything that receives: a bare libzmq loop, which waits once, takes what is there, and counts.
//! The time is read once a burst, as the engine does.

use anyhow::Result;
use tickline::latency::Latencies;
use tickline_config::model::Engine;
use tickline_feeds::clock::Clock;
use tickline_feeds::payload;
use tickline_feeds::socket::subscriber;
use tickline_loadgen::clock::OsClock;

use super::child::{Load, Sender};
use super::sender::is_end;
use super::{Measured, quantiles};

/// The longest silence that is not an end, ms.
const SILENCE_MAX_MS: i32 = 30_000;

/// Receives everything that a sender sends.
pub(crate) fn receive(load: &Load, engine: &Engine, latency: bool) -> Result<Measured> {
    receive_through(load, engine, latency, |endpoint| Ok(endpoint.to_owned()))
}

/// The same through a device that is connected to the sender and says where to connect to it.
pub(crate) fn receive_through(
    load: &Load,
    engine: &Engine,
    latency: bool,
    device: impl FnOnce(&str) -> Result<String>,
) -> Result<Measured> {
    let sender = Sender::start(load)?;
    let context = zmq::Context::new();
    let rcvbuf = i32::try_from(engine.rcvbuf).unwrap_or(i32::MAX);
    let socket = subscriber(&context, engine.rcvhwm, rcvbuf)?;
    socket.set_rcvtimeo(SILENCE_MAX_MS)?;
    socket.set_subscribe(load.shape.name.as_bytes())?;
    socket.connect(&device(&sender.endpoint)?)?;
    let clock = OsClock::start();
    let (mut topic, mut body) = (zmq::Message::new(), zmq::Message::new());
    let (mut received, mut ended) = (0_u64, false);
    let mut latencies = Latencies::default();
    let mut sent_times = Vec::new();
    while !ended {
        let mut flags = 0;
        sent_times.clear();
        loop {
            match socket.recv(&mut topic, flags) {
                Ok(()) => {}
                Err(zmq::Error::EAGAIN) if flags != 0 => break,
                Err(zmq::Error::EINTR) => continue,
                Err(error) => anyhow::bail!("raw receiver: {received} received, then {error}"),
            }
            socket.recv(&mut body, 0)?;
            flags = zmq::DONTWAIT;
            if is_end(&body) {
                ended = true;
                break;
            }
            received += 1;
            if latency && let Some((reserved, _)) = payload::reserved(&body) {
                sent_times.push(reserved.times.sent.0);
            }
        }
        if latency {
            let now = clock.wall().0;
            for sent in &sent_times {
                latencies.record(*sent, now, 1);
            }
        }
    }
    let done = clock.wall().0;
    let sent = sender.sent()?;
    anyhow::ensure!(received == sent.messages, "raw receiver: {} sent, {received} received", sent.messages);
    let elapsed_s = (done - sent.first_ns) as f64 / 1e9;
    Ok(Measured { msgs_per_s: received as f64 / elapsed_s, latency_ns: quantiles(&latencies) })
}
