//! The floor of writing into InfluxDB: batches of finished lines, the same that tickline would write, posted by
//! the same client with as many connections. Making them is not measured.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tickline_config::model::SinkKind;
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;
use tickline_sinks::influx::InfluxSink;
use tickline_sinks::sink::{Outcome, Request, Sink};

use super::child::Load;
use super::engine::configuration;
use super::server::Server;
use super::{Measured, Unusable};

/// Points of a batch, as the engine's `batch_lines_max` has it.
const BATCH_POINTS: u64 = 5_000;

/// The lines of a load, in batches.
#[derive(Debug)]
pub(crate) struct Batches {
    batches: Vec<Request>,
    messages: u64,
    /// Points of all batches.
    pub(crate) points: u64,
}

impl Batches {
    /// Decodes what a sender would send.
    pub(crate) fn of(load: &Load) -> Self {
        let mut decoder = load.shape.decoder();
        let mut run = load.shape.run(load.seed, super::sender::CONTENTS);
        let (mut batches, mut lines, mut points) = (Vec::new(), Vec::new(), 0);
        for at in 0..load.messages {
            let decoded = decoder.decode(&load.shape.frame(run.next(), at), &mut lines);
            points += u64::from(decoded.points);
            if points >= BATCH_POINTS || at + 1 == load.messages {
                let full = std::mem::take(&mut lines);
                batches.push(Request { lines: Bytes::from(full), points: std::mem::take(&mut points) });
            }
        }
        let points = batches.iter().map(|batch| batch.points).sum();
        Self { batches, messages: load.messages, points }
    }

    /// Posts all of them over `connections` connections.
    pub(crate) fn post(&self, load: &Load, server: &Server, connections: usize) -> Result<Measured> {
        server.renew()?;
        let loaded = configuration(&load.shape, "tcp://127.0.0.1:1", &server.sink(connections))?;
        let sink = loaded.config.sinks.values().next().context("there is one sink")?;
        let SinkKind::Influx(influx) = &sink.kind else {
            return Err(Unusable("sink: must be influxdb".into()).into());
        };
        let sinks = (0..connections).map(|_| InfluxSink::open("influx", influx));
        let mut sinks: Vec<InfluxSink> = sinks.collect::<Result<_, _>>()?;
        let next = AtomicUsize::new(0);
        let clock = OsClock::start();
        std::thread::scope(|scope| {
            let posted: Vec<_> =
                sinks.iter_mut().map(|sink| scope.spawn(|| self.post_some(sink, &next))).collect();
            posted.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("loader: a thread has panicked")))
            })
        })?;
        let elapsed_s = clock.mono().0 as f64 / 1e9;
        Ok(Measured { msgs_per_s: self.messages as f64 / elapsed_s, latency_ns: None })
    }

    fn post_some(&self, sink: &mut InfluxSink, next: &AtomicUsize) -> Result<()> {
        while let Some(batch) = self.batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = sink.write(batch);
            ensure!(outcome == Outcome::accepted(), "loader: must be stored, found {outcome:?}");
        }
        Ok(())
    }
}
