//! Claim: a book update of Kraken, read, applied, its checksum compared and its ten best levels written as a payload, costs
//! so little that one core carries 50,000 of them a second many times over. Floor: `serde_json` walks over the message.
//! One iteration is a round of [`ROUND`] updates of one pair; the throughput is in updates.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::value::RawValue;
use tickline_bench::venue::{LEVELS, Market};
use tickline_feeds::clock::{MonoNanos, WallNanos};
use tickline_feeds::connect::kraken::{Depth, DepthSettings, Mode};
use tickline_feeds::connect::{Connector, Event, Link, Now, Outbox};
use tickline_feeds::payload::Decimals;

const ROUND: usize = 1_024;

fn connect(criterion: &mut Criterion) {
    let mut market = Market::default();
    let opening = market.snapshot();
    // A round begins with a snapshot, so that it can be played again and again.
    let mut round = vec![opening.clone()];
    round.extend((1..ROUND).map(|at| market.update(at)));
    let mut group = criterion.benchmark_group("connect/kraken_book");
    group.throughput(Throughput::Elements(ROUND as u64));
    group.bench_function("floor_walk", |bencher| {
        bencher.iter(|| {
            for message in &round {
                black_box(serde_json::from_str::<&RawValue>(black_box(message))).expect("JSON");
            }
        });
    });
    let mut depth = Depth::new(DepthSettings {
        url: String::new(),
        rest_url: String::new(),
        symbols: vec!["BTC/USD".to_owned()],
        depth: LEVELS,
        levels: LEVELS,
        mode: Mode::All,
        seed: 1,
    });
    let mut outbox = Outbox::new(Decimals::Text);
    let now = Now { wall: WallNanos(1_785_641_700_000_000_000), mono: MonoNanos(1) };
    for event in [Event::Start, Event::Opened(Link(0)), Event::Message(Link(0), opening.as_bytes())] {
        depth.on(event, now, &mut outbox);
    }
    group.bench_function("tickline", |bencher| {
        bencher.iter(|| {
            for message in &round {
                outbox.clear_payloads();
                depth.on(Event::Message(Link(0), black_box(message.as_bytes())), now, &mut outbox);
                black_box(outbox.payloads());
            }
        });
    });
    group.finish();
    depth.counts(&mut |name, count| assert!(name != "book_resyncs" || count == 0, "every checksum verifies"));
}

criterion_group!(benches, connect);
criterion_main!(benches);
