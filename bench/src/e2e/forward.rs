//! `tickline-bench forward`: the forwarder beside libzmq's own `zmq_proxy`, both on the same sockets between the same sender and
//! the raw receiver, taking turns.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tickline::forward::Forwarder;
use tickline::stop::Stop;
use tickline_bench::shapes::Shape;
use tickline_config::model::Config;
use tickline_feeds::socket::{forward_in, forward_out};
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::host::{build, host};

use super::child::Load;
use super::pairs::duration;
use super::{Code, Measured, Unusable, median, raw};

const CALIBRATION: u64 = 200_000;
/// Messages that may wait for the receiver, so many that none is lost.
const QUEUE_MESSAGES: i32 = 10_000_000;

/// Arguments of `forward`.
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
    /// Sets one key of the forwarder's configuration, such as forward.cache=true; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Code> {
    let shape = Shape::named(&arguments.feed)
        .ok_or_else(|| Unusable(format!("--feed: must be a shape, found {:?}", arguments.feed)))?;
    let mut sets = vec![
        "forward.out=\"tcp://127.0.0.1:*\"".to_owned(),
        format!("forward.queue_messages_max={QUEUE_MESSAGES}"),
    ];
    sets.extend(arguments.sets.iter().cloned());
    let mut load = Load { shape, seed: arguments.seed, messages: CALIBRATION, rate: "max".to_owned() };
    let calibrated = proxy(&load, &config(&sets, "tcp://127.0.0.1:1")?)?.msgs_per_s;
    load.messages = (calibrated * arguments.duration.as_secs_f64()) as u64;
    let mut pairs = Vec::new();
    for at in 0..arguments.pairs {
        let (floor, ours) = if at % 2 == 0 {
            (proxy(&load, &config(&sets, "tcp://127.0.0.1:1")?)?, forwarder(&load, &sets)?)
        } else {
            let ours = forwarder(&load, &sets)?;
            (proxy(&load, &config(&sets, "tcp://127.0.0.1:1")?)?, ours)
        };
        let (floor, ours) = (floor.msgs_per_s, ours.msgs_per_s);
        eprintln!("pair {}: zmq_proxy {floor:.0}/s, forwarder {ours:.0}/s", at + 1);
        pairs.push((floor, ours));
    }
    let object = json!({
        "command": "forward", "shape": arguments.feed, "source": load.shape.source(), "seed": arguments.seed,
        "set": arguments.sets, "messages": load.messages, "pairs": pairs,
        "ratio_to_floor": median(pairs.iter().map(|(floor, ours)| ours / floor)),
        "msgs_per_s": median(pairs.iter().map(|pair| pair.1)),
        "floor_msgs_per_s": median(pairs.iter().map(|pair| pair.0)),
        "build": build(env!("CARGO_PKG_VERSION"), option_env!("TICKLINE_COMMIT")), "host": host(),
    });
    println!("{object:#}");
    Ok(Code::Ok)
}

fn config(sets: &[String], from: &str) -> Result<Config> {
    let sets = [sets, &[format!("forward.from=[{from:?}]")]].concat();
    Ok(Config::load(&[], &sets, &|_| None).map_err(|error| Unusable(error.to_string()))?.config)
}

/// Our forwarder on a thread.
fn forwarder(load: &Load, sets: &[String]) -> Result<Measured> {
    let (stop, clock) = (Arc::new(Stop::default()), Arc::new(OsClock::start()));
    let engine = config(sets, "tcp://127.0.0.1:1")?.engine;
    std::thread::scope(|scope| {
        let measured = raw::receive_through(load, &engine, false, |endpoint| {
            let forwarder = Forwarder::open(&config(sets, endpoint)?, clock, Arc::clone(&stop))?;
            let (_, output) = forwarder.bound().first().cloned().context("it has bound its output")?;
            scope.spawn(move || forwarder.run());
            Ok(output)
        });
        stop.drain();
        measured
    })
}

/// libzmq's proxy on a thread, on sockets that are made as ours are.
fn proxy(load: &Load, config: &Config) -> Result<Measured> {
    let engine = &config.engine;
    let mut context = zmq::Context::new();
    std::thread::scope(|scope| {
        let own = context.clone();
        let measured = raw::receive_through(load, engine, false, move |endpoint| {
            let input = forward_in(&own, engine.rcvhwm, i32::try_from(engine.rcvbuf).unwrap_or(i32::MAX))?;
            let output = forward_out(&own, QUEUE_MESSAGES, 0)?;
            output.bind("tcp://127.0.0.1:*")?;
            input.connect(endpoint)?;
            let bound = output.get_last_endpoint()?.ok().context("the endpoint is text")?;
            // Ends with its context.
            scope.spawn(move || zmq::proxy(&input, &output));
            Ok(bound)
        });
        context.destroy()?;
        // Its destructor would do it again.
        std::mem::forget(context);
        measured
    })
}
