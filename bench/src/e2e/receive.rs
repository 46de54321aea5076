//! `tickline-bench receive`: the receive stage alone, its blocks taken off the queue and thrown away, beside the
//! raw receiver.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crossbeam_channel::unbounded;
use serde_json::json;
use tickline::channel::{FrameLimits, FrameQueue, Take};
use tickline::stage::receive::{Blocking, Output, Receiving};
use tickline::stage::socket::{SocketSpec, Subscriber, TopicRoute};
use tickline::stop::Stop;
use tickline_bench::shapes::Shape;
use tickline_config::model::{Engine, SocketKind};
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::host::{build, host};

use super::child::{Load, Sender};
use super::pairs::duration;
use super::sender::is_end;
use super::{Code, Measured, Unusable, engine, median, raw};

const CALIBRATION: u64 = 200_000;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Arguments of `receive`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Shape of the messages.
    #[arg(long, default_value = "kraken_tick")]
    feed: String,
    /// Pairs of runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,
    /// About how long one run takes.
    #[arg(long, default_value = "5s", value_parser = duration)]
    duration: Duration,
    /// Seed of the messages.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Code> {
    let shape = Shape::named(&arguments.feed)
        .ok_or_else(|| Unusable(format!("--feed: must be a shape, found {:?}", arguments.feed)))?;
    let defaults = engine::defaults(&shape)?;
    let engine = &defaults.config.engine;
    let mut load = Load { shape, seed: arguments.seed, messages: CALIBRATION, rate: "max".to_owned() };
    let calibrated = raw::receive(&load, engine, false)?.msgs_per_s;
    load.messages = (calibrated * arguments.duration.as_secs_f64()) as u64;
    let mut pairs = Vec::new();
    for at in 0..arguments.pairs {
        let (floor, stage) = if at % 2 == 0 {
            (raw::receive(&load, engine, false)?, stage(&load, engine)?)
        } else {
            let stage = stage(&load, engine)?;
            (raw::receive(&load, engine, false)?, stage)
        };
        eprintln!("pair {}: floor {:.0}/s, stage {:.0}/s", at + 1, floor.msgs_per_s, stage.msgs_per_s);
        pairs.push((floor.msgs_per_s, stage.msgs_per_s));
    }
    let ratio_to_floor = median(pairs.iter().map(|(floor, stage)| stage / floor));
    let object = json!({
        "command": "receive", "shape": arguments.feed, "source": load.shape.source(), "seed": arguments.seed,
        "messages": load.messages, "pairs": pairs, "ratio_to_floor": ratio_to_floor,
        "floor_msgs_per_s": median(pairs.iter().map(|pair| pair.0)),
        "build": build(env!("CARGO_PKG_VERSION"), option_env!("TICKLINE_COMMIT")), "host": host(),
    });
    println!("{object:#}");
    Ok(Code::Ok)
}

/// The stage as the engine runs it, with someone at the other end who looks for nothing but the end.
fn stage(load: &Load, engine: &Engine) -> Result<Measured> {
    let sender = Sender::start(load)?;
    let context = zmq::Context::new();
    let topic = load.shape.name.to_owned();
    let spec = SocketSpec {
        endpoint: sender.endpoint.clone(),
        at: 0,
        kind: SocketKind::Sub,
        message_bytes_max: engine.message_bytes_max,
        burst_max: engine.burst_max,
        curve: None,
        routes: vec![TopicRoute { topic: Some(topic), feed: 0, queue: 0 }],
    };
    let (socket, _monitor) = Subscriber::open(&context, engine, spec)?;
    let queue = FrameQueue::new(FrameLimits {
        frames_max: engine.queue_frames_max,
        bytes_max: engine.queue_bytes_max,
        when_full: engine.when_full,
    });
    let (clock, stop) = (OsClock::start(), Arc::new(Stop::default()));
    let output = Output::Queues(vec![queue.sender(0)]);
    let receiving = Receiving::new(output, Arc::new(clock), Arc::clone(&stop), Arc::default());
    let (_orders, orders) = unbounded();
    let (rcvhwm, burst_max) = (engine.rcvhwm, engine.burst_max);
    let blocking = Blocking { receiving, socket, orders, rcvhwm, burst_max };
    let (received, done) = std::thread::scope(|scope| -> Result<_> {
        scope.spawn(move || blocking.run());
        let mut blocks = queue.receiver();
        let (mut received, mut done) = (0, None);
        while done.is_none() {
            match blocks.take(LOOK_EVERY) {
                Take::Block(block) => {
                    received += block.frames.len() as u64;
                    if block.frames.frames().last().is_some_and(|frame| is_end(frame.payload)) {
                        done = Some(clock.wall().0);
                    }
                    blocks.give_back(block);
                }
                Take::Nothing => {}
                Take::End => break,
            }
        }
        stop.drain();
        Ok((received, done.context("the receive stage has ended early")?))
    })?;
    let sent = sender.sent()?;
    ensure!(received == sent.messages + 1, "receive stage: {} sent, {received} received", sent.messages + 1);
    let elapsed_s = (done - sent.first_ns) as f64 / 1e9;
    Ok(Measured { msgs_per_s: sent.messages as f64 / elapsed_s, latency_ns: None })
}
