//! Claim: batching and a sink that forgets add little to decoding, and a queue between receiving and decoding
//! costs a few ns a message. Floor: decoding alone. `one_thread` decodes into batches and writes those to the
//! null sink; `over_a_queue` does the same on a second thread that is fed blocks of frames through a channel.
//! One iteration is a round of [`ROUND`] messages; the throughput is in messages.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::measurement::{Measurement, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crossbeam_channel::bounded;
use tickline_bench::shapes::{Run, Shape};
use tickline_feeds::decoder::Decoder;
use tickline_feeds::frame::{Frame, FrameBlock};
use tickline_sinks::batch::{Batch, Mark, reclaim};
use tickline_sinks::null::NullSink;
use tickline_sinks::sink::{Request, Sink};

const ROUND: usize = 4_096;
const BURST: usize = 64;
const LINES_MAX: u64 = 5_000;

/// Decoder, open batch and null sink of one feed.
struct Line {
    decoder: Decoder,
    open: Arc<Batch>,
    sink: NullSink,
}

struct Lines(Arc<Batch>);

impl AsRef<[u8]> for Lines {
    fn as_ref(&self) -> &[u8] {
        &self.0.lines
    }
}

impl Line {
    fn new(shape: &Shape, opening: &[Vec<u8>]) -> Self {
        let mut line = Self { decoder: shape.decoder(), open: Arc::default(), sink: NullSink };
        for (at, message) in (0..).zip(opening) {
            line.frame(&shape.frame(message, at));
        }
        line
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        let batch = Arc::get_mut(&mut self.open).expect("no one else has it");
        let decoded = self.decoder.decode(frame, &mut batch.lines);
        batch.points += u64::from(decoded.points);
        batch.marks.push(Mark { sent: decoded.sent, due: decoded.due });
        if batch.points >= LINES_MAX {
            self.close();
        }
    }

    fn close(&mut self) {
        let closed = std::mem::take(&mut self.open);
        let lines = Bytes::from_owner(Lines(Arc::clone(&closed)));
        black_box(self.sink.write(&Request { lines, points: closed.points }));
        self.open = reclaim(closed).expect("the sink is done");
    }
}

fn floor(shape: &Shape, mut run: Run, iterations: u64) -> Duration {
    let mut decoder = shape.decoder();
    let mut lines = Vec::with_capacity(1 << 20);
    for (at, message) in (0..).zip(run.take(run.opening())) {
        decoder.decode(&shape.frame(&message, at), &mut lines);
    }
    let mut total = WallTime.zero();
    for _ in 0..iterations {
        let first = run.made();
        let round = run.round();
        let start = WallTime.start();
        for (at, message) in (first..).zip(round) {
            if lines.len() > 1 << 19 {
                lines.clear();
            }
            black_box(decoder.decode(&shape.frame(message, at), &mut lines));
        }
        total = WallTime.add(&total, &WallTime.end(start));
    }
    total
}

fn one_thread(shape: &Shape, mut run: Run, iterations: u64) -> Duration {
    let opening = run.take(run.opening());
    let mut line = Line::new(shape, &opening);
    let mut total = WallTime.zero();
    for _ in 0..iterations {
        let first = run.made();
        let round = run.round();
        let start = WallTime.start();
        for (at, message) in (first..).zip(round) {
            line.frame(&shape.frame(message, at));
        }
        total = WallTime.add(&total, &WallTime.end(start));
    }
    total
}

fn over_a_queue(shape: &Shape, mut run: Run, iterations: u64) -> Duration {
    let opening = run.take(run.opening());
    let mut line = Line::new(shape, &opening);
    let (send, receive) = bounded::<Box<FrameBlock>>(16);
    let (give_back, blocks) = bounded(20);
    let (answer, answers) = bounded(1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for mut block in receive {
                if block.is_empty() {
                    // The mark behind a round.
                    if answer.send(()).is_err() {
                        return;
                    }
                }
                block.frames().for_each(|frame| line.frame(&frame));
                block.clear();
                drop(give_back.try_send(block));
            }
        });
        let mut total = WallTime.zero();
        for _ in 0..iterations {
            let first = run.made();
            let round = run.round();
            let start = WallTime.start();
            let mut block: Box<FrameBlock> = blocks.try_recv().unwrap_or_default();
            for (at, message) in (first..).zip(round) {
                block.push(&shape.frame(message, at));
                if block.len() == BURST {
                    let full = std::mem::replace(&mut block, blocks.try_recv().unwrap_or_default());
                    send.send(full).expect("the encoder lives");
                }
            }
            send.send(block).expect("the encoder lives");
            answers.recv().expect("the encoder answers");
            total = WallTime.add(&total, &WallTime.end(start));
        }
        drop(send);
        total
    })
}

fn pipeline(criterion: &mut Criterion) {
    for name in ["kraken_tick", "kraken_depth", "oanda_tick", "betfair_stream"] {
        let shape = Shape::named(name).expect("a shape");
        let run = shape.run(7, ROUND);
        let mut group = criterion.benchmark_group(format!("pipeline/{name}"));
        group.throughput(Throughput::Elements(ROUND as u64));
        group.bench_function("floor_decode", |b| b.iter_custom(|n| floor(&shape, run.clone(), n)));
        group.bench_function("one_thread", |b| b.iter_custom(|n| one_thread(&shape, run.clone(), n)));
        group.bench_function("over_a_queue", |b| b.iter_custom(|n| over_a_queue(&shape, run.clone(), n)));
        group.finish();
    }
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
