//! Claim: filling a batch, sharing it with two sinks without a copy, and taking it back costs little more than
//! the floor, which copies the same lines once into a buffer of its own. One iteration is one batch of
//! [`LINES`] lines; the throughput is in lines.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tickline_bench::shapes::Shape;
use tickline_sinks::batch::{Batch, Mark, reclaim};
use tickline_sinks::null::NullSink;
use tickline_sinks::sink::{Request, Sink};

const LINES: usize = 1_000;

/// The lines of `count` messages, each by itself.
fn lines(count: usize) -> Vec<Vec<u8>> {
    let shape = Shape::named("kraken_tick").expect("a shape");
    let mut decoder = shape.decoder();
    let line = |(at, message): (u64, Vec<u8>)| {
        let mut line = Vec::new();
        decoder.decode(&shape.frame(&message, at), &mut line);
        line
    };
    (0..).zip(shape.run(7, count).take(count)).map(line).collect()
}

/// A batch read in place by a request, as the write stage does it.
struct Lines(Arc<Batch>);

impl AsRef<[u8]> for Lines {
    fn as_ref(&self) -> &[u8] {
        &self.0.lines
    }
}

fn batch(criterion: &mut Criterion) {
    let lines = lines(LINES);
    let mut group = criterion.benchmark_group("batch");
    group.throughput(Throughput::Elements(LINES as u64));
    let mut buffer = Vec::with_capacity(1 << 20);
    group.bench_function("floor_copy", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            for line in black_box(&lines) {
                buffer.extend_from_slice(line);
            }
            black_box(&buffer);
        });
    });
    let mut empty = Arc::new(Batch::with_capacity(1 << 20, LINES));
    let mut sinks = [NullSink, NullSink];
    group.bench_function("two_sinks", |bencher| {
        bencher.iter(|| {
            let open = Arc::get_mut(&mut empty).expect("no one else has it");
            for line in black_box(&lines) {
                open.lines.extend_from_slice(line);
                open.points += 1;
                open.marks.push(Mark { sent: 1, due: 0 });
            }
            let closed = std::mem::take(&mut empty);
            for sink in &mut sinks {
                let read = Bytes::from_owner(Lines(Arc::clone(&closed)));
                black_box(sink.write(&Request { lines: read, points: closed.points }));
            }
            empty = reclaim(closed).expect("both sinks are done");
        });
    });
    group.finish();
}

criterion_group!(benches, batch);
criterion_main!(benches);
