//! `tickline-bench e2e`: pairs of a floor and tickline, taking turns; medians over the pairs, and all pairs.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};
use tickline_bench::shapes::Shape;
use tickline_config::report::{Report, Verdict};
use tickline_config::units;
use tickline_feeds::decoder::measurements;
use tickline_loadgen::plan::Rate;

use super::child::Load;
use super::loader::Batches;
use super::server::Server;
use super::{Code, Measured, Unusable, engine, median, raw};

/// Messages from which the number for the wanted duration is estimated.
const CALIBRATION_NULL: u64 = 200_000;
const CALIBRATION_INFLUX: u64 = 20_000;
/// Most messages of a run: the loader keeps all of their lines in memory.
const MESSAGES_MAX_INFLUX: u64 = 1_000_000;

/// Arguments of `e2e`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Shape of the messages: kraken_tick, kraken_rest, kraken_depth, oanda_tick, betfair_stream, or one of
    /// PERFORMANCE's, which begin with perf_.
    #[arg(long, default_value = "kraken_tick")]
    feed: String,
    /// Messages a second: 10000/s, or max for flat out.
    #[arg(long, default_value = "max", value_parser = rate)]
    rate: String,
    /// Where the points go.
    #[arg(long, value_enum, default_value = "null")]
    sink: SinkKind,
    /// InfluxDB 1; its database tickline_bench is dropped and created again and again.
    #[arg(long, required_if_eq("sink", "influx"))]
    url: Option<String>,
    /// Pairs of runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,
    /// Connections to InfluxDB, of tickline and of the loader.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=8))]
    connections: u16,
    /// About how long one run takes.
    #[arg(long, default_value = "5s", value_parser = duration)]
    duration: Duration,
    /// Seed of the messages.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Sets one key of the engine's configuration, such as engine.encode="inline"; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Print JSON, alone, on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SinkKind {
    /// Counts and forgets; the floor is the raw libzmq receiver.
    Null,
    /// InfluxDB 1; the floor posts ready-made batches of the same lines.
    Influx,
}

/// The command line's rate, checked.
fn rate(text: &str) -> Result<String, String> {
    text.parse::<Rate>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// The command line's duration.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).ok_or_else(|| format!("must carry a unit, such as 5s, found {text:?}"))
}

/// One pair.
#[derive(Clone, Copy, Debug, Serialize)]
struct Pair {
    floor_msgs_per_s: f64,
    tickline_msgs_per_s: f64,
    /// p50 and p99 of the floor's publish-to-receive, ns.
    floor_latency_ns: Option<(u64, u64)>,
    /// p50 and p99 of tickline's publish-to-encode, ns.
    tickline_latency_ns: Option<(u64, u64)>,
}

impl Pair {
    fn of(floor: &Measured, tickline: &Measured) -> Self {
        Self {
            floor_msgs_per_s: floor.msgs_per_s,
            tickline_msgs_per_s: tickline.msgs_per_s,
            floor_latency_ns: floor.latency_ns,
            tickline_latency_ns: tickline.latency_ns,
        }
    }
}

/// What is run in pairs.
struct Bench {
    load: Load,
    sinks: Vec<String>,
    server: Option<Server>,
    batches: Option<Batches>,
    connections: usize,
    paced: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Code> {
    let mut bench = Bench::new(arguments)?;
    bench.plan(arguments)?;
    let (mut pairs, mut last, mut reasons, mut verdict) = (Vec::new(), None, Vec::new(), Verdict::Pass);
    for at in 0..arguments.pairs {
        // Whoever goes second finds a warmer machine: they take turns at that, too.
        let (floor, (tickline, report)) = if at % 2 == 0 {
            let floor = bench.floor()?;
            (floor, bench.tickline()?)
        } else {
            let tickline = bench.tickline()?;
            (bench.floor()?, tickline)
        };
        let pair = Pair::of(&floor, &tickline);
        eprintln!("pair {}: {pair:?}", at + 1);
        pairs.push(pair);
        reasons.extend(report.reasons.iter().cloned());
        verdict = worse(verdict, report.verdict);
        last = Some(report);
    }
    let mut report = last.context("there is a pair")?;
    (report.verdict, report.reasons) = (verdict, reasons);
    give(arguments, &bench, &pairs, &report)?;
    Ok(match verdict {
        Verdict::Pass => Code::Ok,
        Verdict::Fail => Code::Ledger,
        Verdict::Invalid => Code::Invalid,
    })
}

fn worse(one: Verdict, other: Verdict) -> Verdict {
    match (one, other) {
        (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
        (Verdict::Invalid, _) | (_, Verdict::Invalid) => Verdict::Invalid,
        _ => Verdict::Pass,
    }
}

impl Bench {
    fn new(arguments: &Arguments) -> Result<Self> {
        let names = || Shape::all().iter().map(|shape| shape.name).collect::<Vec<_>>().join(", ");
        let shape = Shape::named(&arguments.feed).ok_or_else(|| {
            Unusable(format!("--feed: must be one of {}, found {:?}", names(), arguments.feed))
        })?;
        let connections = usize::from(arguments.connections);
        let server = match (&arguments.url, arguments.sink) {
            (Some(url), SinkKind::Influx) => {
                Some(Server::new(url).map_err(|error| Unusable(format!("--url: {error:#}")))?)
            }
            _ => None,
        };
        let mut sinks = server.as_ref().map_or_else(engine::null_sink, |server| server.sink(connections));
        sinks.extend(arguments.sets.iter().cloned());
        let rate = arguments.rate.clone();
        let paced = rate != "max";
        if paced && !shape.reserved {
            return Err(Unusable("--rate: must be max for shapes without _ts".into()).into());
        }
        let load = Load { shape, seed: arguments.seed, messages: 0, rate };
        Ok(Self { load, sinks, server, batches: None, connections, paced })
    }

    /// Decides how many messages a run has.
    fn plan(&mut self, arguments: &Arguments) -> Result<()> {
        let seconds = arguments.duration.as_secs_f64();
        let rate = match arguments.rate.parse()? {
            Rate::PerSecond(rate) => rate,
            Rate::Max => {
                self.load.messages =
                    if self.server.is_some() { CALIBRATION_INFLUX } else { CALIBRATION_NULL };
                self.make_batches();
                self.floor()?.msgs_per_s
            }
        };
        self.load.messages = ((rate * seconds) as u64).max(1_000);
        if self.server.is_some() {
            self.load.messages = self.load.messages.min(MESSAGES_MAX_INFLUX);
        }
        self.make_batches();
        Ok(())
    }

    fn make_batches(&mut self) {
        self.batches = (self.server.is_some() && !self.paced).then(|| Batches::of(&self.load));
    }

    fn floor(&self) -> Result<Measured> {
        match (&self.batches, &self.server) {
            (Some(batches), Some(server)) => {
                let measured = batches.post(&self.load, server, self.connections)?;
                let stored = self.stored(server)?;
                anyhow::ensure!(
                    stored == batches.points,
                    "loader: {} posted, {stored} stored",
                    batches.points
                );
                Ok(measured)
            }
            _ => {
                let defaults = engine::defaults(&self.load.shape)?;
                raw::receive(&self.load, &defaults.config.engine, self.paced)
            }
        }
    }

    fn tickline(&self) -> Result<(Measured, Report)> {
        if let Some(server) = &self.server {
            server.renew()?;
        }
        let (measured, mut report) = engine::receive(&self.load, &self.sinks)?;
        if let Some(server) = self.server.as_ref().filter(|_| self.load.shape.reserved) {
            let (stored, written) = (self.stored(server)?, report.ledger.written);
            if stored != written {
                report.verdict = Verdict::Fail;
                report.reasons.push(format!("{written} points written, {stored} stored"));
            }
        }
        Ok((measured, report))
    }

    /// Points in the database; every tick point has recv_ns.
    fn stored(&self, server: &Server) -> Result<u64> {
        measurements(self.load.shape.decoder).iter().map(|found| server.stored(found.name)).sum()
    }
}

fn give(arguments: &Arguments, bench: &Bench, pairs: &[Pair], report: &Report) -> Result<()> {
    let ratio = |pair: &Pair| pair.tickline_msgs_per_s / pair.floor_msgs_per_s;
    let flat_out = |value: Option<f64>| value.filter(|_| !bench.paced);
    let of_latency = |pick: fn((u64, u64)) -> u64| {
        let ratios = pairs.iter().filter_map(|pair| {
            let (floor, tickline) = (pair.floor_latency_ns?, pair.tickline_latency_ns?);
            Some(pick(tickline) as f64 / pick(floor).max(1) as f64)
        });
        median(ratios).filter(|_| bench.paced)
    };
    let floor = flat_out(median(pairs.iter().map(|pair| pair.floor_msgs_per_s)));
    let ratio_to_floor = flat_out(median(pairs.iter().map(ratio)));
    let latency_ratio = json!({"p50": of_latency(|l| l.0), "p99": of_latency(|l| l.1)});
    let mut object = serde_json::to_value(report)?;
    let further = json!({
        "floor_msgs_per_s": floor,
        "ratio_to_floor": ratio_to_floor,
        "msgs_per_s": median(pairs.iter().map(|pair| pair.tickline_msgs_per_s)),
        "ticks_a_message": bench.load.shape.bundle,
        "latency_ratio": if bench.paced { latency_ratio } else { Value::Null },
        "pairs": pairs,
        "arguments": std::env::args().skip(1).collect::<Vec<_>>(),
        "shape": arguments.feed,
        "source": bench.load.shape.source(),
        "seed": arguments.seed,
        "rate": arguments.rate,
        "messages": bench.load.messages,
        "sink": format!("{:?}", arguments.sink).to_lowercase(),
        "connections": bench.server.as_ref().map(|_| bench.connections),
    });
    if let (Some(object), Value::Object(further)) = (object.as_object_mut(), further) {
        object.extend(further);
    }
    if arguments.json {
        println!("{object:#}");
    } else {
        for key in ["shape", "source", "rate", "sink", "connections", "messages", "floor_msgs_per_s"] {
            println!("{key:<18} {}", object[key]);
        }
        for key in ["msgs_per_s", "ratio_to_floor", "latency_ratio", "verdict", "reasons"] {
            println!("{key:<18} {}", object[key]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_of_all_pairs_stands() {
        use Verdict::{Fail, Invalid, Pass};
        for (one, other, worst) in [(Pass, Pass, Pass), (Pass, Invalid, Invalid), (Invalid, Fail, Fail)] {
            assert_eq!((worse(one, other), worse(other, one)), (worst, worst));
        }
    }

    #[test]
    fn a_rate_or_duration_without_a_unit_is_refused() {
        assert_eq!(rate("10000/s"), Ok("10000/s".to_owned()));
        assert!(rate("10000").unwrap_err().contains("found \"10000\""));
        assert!(duration("5").unwrap_err().contains("found \"5\""));
    }
}
