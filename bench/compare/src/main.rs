//! Claim: from payload to line, tickline takes at most 1/15 of the time of rmp-serde with the official builder
//! and 1/1.8 of that of the same work on the `rmp` readers (REST pair). Contenders take turns in rounds of
//! [`ROUND`] messages; a ratio is a contender's time of a round over tickline's of the same round, and the median
//! over all rounds is printed. Floors: copying the message, and the cursor's walk over it. Before anything is
//! timed, each contender's lines are read back and must say the same as tickline's.
//!
//! All contenders get the same payloads, keep a table from name to tags, use our reader of RFC 3339 times, and
//! write the same fields. "The same work on the rmp readers" is tickline with another reader. The others do less:
//! they take each key in one type, and do not keep apart points of one series and time.

mod builder;
mod json;
mod line;
mod model;
mod questdb;
mod reader;
mod same_work;
mod serde_struct;
mod tree;
mod verify;

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tickline_bench::shapes::Shape;
use tickline_feeds::clock::WallNanos;
use tickline_feeds::cursor::Cursor;
use tickline_feeds::decoder::Decoder;

const SEED: u64 = 7;
const ROUND: usize = 1_024;
const ROUNDS: usize = 101;

/// Which message, so that a contender knows what to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// REST Ticker of one pair, all fields.
    RestPair,
    /// OANDA's flat map of one price.
    FlatPrice,
}

/// One way from payload to line.
pub trait Contender {
    /// Name in the table.
    fn name(&self) -> &'static str;
    /// Whether it writes lines at all.
    fn writes_lines(&self) -> bool {
        true
    }
    /// Whether it reads the JSON form instead of msgpack.
    fn reads_json(&self) -> bool {
        false
    }
    /// What it has written, if not into the buffer that it is given.
    fn own_buffer(&self) -> Option<&[u8]> {
        None
    }
    /// Appends the lines of one payload received at `recv`.
    fn decode(&mut self, payload: &[u8], recv: i64, out: &mut Vec<u8>) -> Result<()>;
}

struct Tickline {
    shape: Shape,
    decoder: Decoder,
}

impl Contender for Tickline {
    fn name(&self) -> &'static str {
        "tickline"
    }

    fn decode(&mut self, payload: &[u8], recv: i64, out: &mut Vec<u8>) -> Result<()> {
        let mut frame = self.shape.frame(payload, 0);
        frame.recv = WallNanos(recv);
        self.decoder.decode(&frame, out);
        Ok(())
    }
}

struct Copy;

impl Contender for Copy {
    fn name(&self) -> &'static str {
        "floor: copy the message"
    }

    fn writes_lines(&self) -> bool {
        false
    }

    fn decode(&mut self, payload: &[u8], _recv: i64, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(payload);
        Ok(())
    }
}

struct Walk;

impl Contender for Walk {
    fn name(&self) -> &'static str {
        "floor: walk over the message"
    }

    fn writes_lines(&self) -> bool {
        false
    }

    fn decode(&mut self, payload: &[u8], _recv: i64, _out: &mut Vec<u8>) -> Result<()> {
        Cursor::check(payload).map_err(|why| anyhow::anyhow!("{}", why.name()))
    }
}

fn contenders(shape: &Shape, kind: Kind) -> Vec<Box<dyn Contender>> {
    vec![
        Box::new(Tickline { shape: shape.clone(), decoder: shape.decoder() }),
        Box::new(Copy),
        Box::new(Walk),
        Box::new(same_work::SameWork::new(shape, kind)),
        Box::new(reader::Reader::new(kind)),
        Box::new(serde_struct::SerdeStruct::new(kind)),
        Box::new(questdb::Questdb::new(kind)),
        Box::new(tree::Tree::new(kind)),
        Box::new(builder::Builder::new(kind)),
        Box::new(json::Json::new(kind)),
    ]
}

/// Time of one round.
#[expect(clippy::disallowed_methods, reason = "this program measures, and has no clock to be given")]
fn time(contender: &mut dyn Contender, round: &[Vec<u8>], recv: i64, out: &mut Vec<u8>) -> Result<Duration> {
    let start = Instant::now();
    for (at, payload) in (recv..).zip(round) {
        out.clear();
        contender.decode(black_box(payload), at, out)?;
        black_box(&*out);
    }
    Ok(start.elapsed())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn compare(name: &str, kind: Kind) -> Result<serde_json::Value> {
    let shape = Shape::named(name).context("a known shape")?;
    let mut contenders = contenders(&shape, kind);
    let mut run = shape.run(SEED, ROUND);
    verify::same_lines(&mut contenders, &run.take(ROUND))?;
    let mut times = vec![Vec::with_capacity(ROUNDS); contenders.len()];
    let mut out = Vec::with_capacity(1 << 16);
    // The first round warms up.
    for at in 0..=ROUNDS {
        let recv = run.made() as i64 * 1_000_000;
        let msgpack: Vec<Vec<u8>> = run.round().map(<[u8]>::to_vec).collect();
        let json: Vec<Vec<u8>> = msgpack.iter().map(|m| json::of(m)).collect::<Result<_>>()?;
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            let round = if contender.reads_json() { &json } else { &msgpack };
            let took = time(contender.as_mut(), round, recv, &mut out)?;
            if at > 0 {
                times.push(took.as_nanos() as f64 / ROUND as f64);
            }
        }
    }
    let reference = times.first().cloned().context("tickline comes first")?;
    eprintln!("\n{name}: {} B a message; ns a message, and times tickline's", run.take(1)[0].len());
    let mut rows = Vec::new();
    for (contender, times) in contenders.iter().zip(&mut times) {
        let mut ratios: Vec<f64> = times.iter().zip(&reference).map(|(own, ours)| own / ours).collect();
        let (ns, ratio) = (median(times), median(&mut ratios));
        eprintln!("  {:<44} {ns:>8.0} {ratio:>7.2}", contender.name());
        rows.push(json!({"contender": contender.name(), "ns_per_message": ns, "ratio_to_tickline": ratio}));
    }
    Ok(json!({"shape": name, "seed": SEED, "round": ROUND, "rounds": ROUNDS, "rows": rows}))
}

fn main() -> Result<()> {
    let shapes = [compare("perf_kraken", Kind::RestPair)?, compare("perf_oanda", Kind::FlatPrice)?];
    println!("{}", json!({"unit": "ns a message, median of rounds", "shapes": shapes}));
    Ok(())
}
