//! Claim: decoding a message and appending its lines costs at most 3.0 times (a REST pair) or 4.0 times (depth,
//! Betfair) what merely walking over it costs. Floors: copying the message, and the cursor's walk over it. One
//! iteration is a round of [`ROUND`] different messages; the throughput is in messages.

use std::hint::black_box;

use criterion::measurement::{Measurement, WallTime};
use criterion::{Bencher, Criterion, Throughput, criterion_group, criterion_main};
use tickline_bench::shapes::{Run, Shape};
use tickline_feeds::cursor::Cursor;

const SEED: u64 = 7;
const ROUND: usize = 1_024;

/// Times `work` on rounds of messages that are renewed outside the time taken.
fn rounds(bencher: &mut Bencher<'_>, run: &mut Run, mut work: impl FnMut(&[u8], u64)) {
    bencher.iter_custom(|iterations| {
        let mut total = WallTime.zero();
        for _ in 0..iterations {
            let first = run.made();
            let round = run.round();
            let start = WallTime.start();
            for (at, message) in (first..).zip(round) {
                work(black_box(message), at);
            }
            total = WallTime.add(&total, &WallTime.end(start));
        }
        total
    });
}

fn decode(criterion: &mut Criterion) {
    for shape in Shape::all() {
        let mut group = criterion.benchmark_group(format!("decode/{}", shape.name));
        group.throughput(Throughput::Elements(ROUND as u64));
        let mut run = shape.run(SEED, ROUND);
        let mut decoder = shape.decoder();
        let mut lines = Vec::with_capacity(1 << 16);
        for (at, message) in (0..).zip(run.take(run.opening() + ROUND)) {
            decoder.decode(&shape.frame(&message, at), &mut lines);
            lines.clear();
        }
        let mut copy = vec![0; 1 << 16];
        group.bench_function("floor_copy", |bencher| {
            rounds(bencher, &mut run.clone(), |message, _| {
                copy[..message.len()].copy_from_slice(message);
                black_box(&mut copy);
            });
        });
        group.bench_function("floor_walk", |bencher| {
            rounds(bencher, &mut run.clone(), |message, _| {
                black_box(Cursor::check(message)).expect("shapes are whole");
            });
        });
        group.bench_function("tickline", |bencher| {
            rounds(bencher, &mut run, |message, at| {
                lines.clear();
                black_box(decoder.decode(&shape.frame(message, at), &mut lines));
            });
        });
        group.finish();
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
