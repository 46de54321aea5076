//! Claim: handing over bursts is several times cheaper a frame than one message a send, and copying a burst into
//! one reused block stays within a few tens of ns a frame of moving the messages themselves. A block is what a
//! frame travels in: its memory is counted and bounded, while a small message keeps 8 KiB of libzmq's receive arena
//! for as long as it is queued. Each contender starts with the received messages and ends when another thread has
//! read every payload and has freed what it was given. Floor: the same messages read and freed on one thread,
//! without a queue. One iteration is [`BURSTS`] bursts of [`BURST`] frames; the throughput is in frames.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crossbeam_channel::{Receiver, Sender, bounded};
use tickline_bench::shapes::Shape;
use tickline_feeds::clock::WallNanos;
use tickline_feeds::frame::{Frame, FrameBlock};

const BURST: usize = 64;
const BURSTS: usize = 64;
const QUEUE: usize = 16;

type Messages = Vec<zmq::Message>;

/// Makes messages as they come off a TCP connection: small ones share libzmq's receive arena.
struct Wire {
    push: zmq::Socket,
    pull: zmq::Socket,
}

impl Wire {
    fn new() -> Result<Self, zmq::Error> {
        let context = zmq::Context::new();
        let (push, pull) = (context.socket(zmq::PUSH)?, context.socket(zmq::PULL)?);
        push.set_sndhwm(0)?;
        pull.set_rcvhwm(0)?;
        pull.bind("tcp://127.0.0.1:*")?;
        push.connect(&pull.get_last_endpoint()?.unwrap_or_default())?;
        Ok(Self { push, pull })
    }

    fn received(&self, payloads: &[Vec<u8>]) -> Result<Vec<Messages>, zmq::Error> {
        for payload in payloads {
            self.push.send(payload.as_slice(), 0)?;
        }
        payloads
            .chunks(BURST)
            .map(|burst| burst.iter().map(|_| self.pull.recv_msg(0)).collect::<Result<Messages, _>>())
            .collect()
    }
}

/// What an encoder does first with a payload: it looks at it.
fn read(payload: &[u8]) -> u64 {
    payload.iter().step_by(64).map(|byte| u64::from(*byte)).sum()
}

/// What goes through the queue.
enum Parcel {
    Message(zmq::Message),
    Burst(Messages),
    Block(Box<FrameBlock>),
    /// The last of an iteration.
    Mark,
}

/// The other thread: reads what comes, frees messages, gives blocks back, answers each mark.
fn consume(parcels: &Receiver<Parcel>, blocks: &Sender<Box<FrameBlock>>, answers: &Sender<u64>) {
    let mut sum = 0;
    for parcel in parcels {
        match parcel {
            Parcel::Message(message) => sum += read(&message),
            Parcel::Burst(burst) => sum += burst.iter().map(|message| read(message)).sum::<u64>(),
            Parcel::Block(mut block) => {
                sum += block.frames().map(|frame| read(frame.payload)).sum::<u64>();
                block.clear();
                // The producer has gone when there is no one left to take it.
                drop(blocks.try_send(block));
            }
            Parcel::Mark => {
                if answers.send(sum).is_err() {
                    return;
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Way {
    BlockCopy,
    MessageBurst,
    MessageEach,
}

fn send(way: Way, bursts: Vec<Messages>, parcels: &Sender<Parcel>, blocks: &Receiver<Box<FrameBlock>>) {
    let put = |parcel| parcels.send(parcel).expect("the consumer lives");
    for burst in bursts {
        match way {
            Way::MessageBurst => put(Parcel::Burst(burst)),
            Way::MessageEach => burst.into_iter().for_each(|message| put(Parcel::Message(message))),
            Way::BlockCopy => {
                let mut block = blocks.try_recv().unwrap_or_default();
                for message in burst {
                    block.push(&Frame {
                        feed: 0,
                        endpoint: 0,
                        recv: WallNanos(0),
                        topic: b"kraken_tick",
                        payload: &message,
                        oversized: false,
                    });
                }
                put(Parcel::Block(block));
            }
        }
    }
    put(Parcel::Mark);
}

fn hand_over(way: Way, wire: &Wire, payloads: &[Vec<u8>], iterations: u64) -> Duration {
    // A queue of single messages holds as many messages as one of bursts.
    let depth = if matches!(way, Way::MessageEach) { QUEUE * BURST } else { QUEUE };
    let (parcels, incoming) = bounded(depth);
    let (give, blocks) = bounded(QUEUE + 2);
    let (answer, answers) = bounded(1);
    std::thread::scope(|scope| {
        scope.spawn(move || consume(&incoming, &give, &answer));
        let mut total = WallTime.zero();
        for _ in 0..iterations {
            let bursts = wire.received(payloads).expect("loopback works");
            let start = WallTime.start();
            send(way, bursts, &parcels, &blocks);
            black_box(answers.recv().expect("the consumer answers"));
            total = WallTime.add(&total, &WallTime.end(start));
        }
        drop(parcels);
        total
    })
}

fn channel(criterion: &mut Criterion) {
    let wire = Wire::new().expect("loopback works");
    let mut group = criterion.benchmark_group("channel");
    group.throughput(Throughput::Elements((BURST * BURSTS) as u64));
    for name in ["perf_oanda", "perf_kraken", "kraken_depth"] {
        let payloads = Shape::named(name).expect("a shape").run(7, BURST * BURSTS).take(BURST * BURSTS);
        group.bench_function(BenchmarkId::new("floor_one_thread", name), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut total = WallTime.zero();
                for _ in 0..iterations {
                    let bursts = wire.received(&payloads).expect("loopback works");
                    let start = WallTime.start();
                    for burst in bursts {
                        black_box(burst.iter().map(|message| read(message)).sum::<u64>());
                    }
                    total = WallTime.add(&total, &WallTime.end(start));
                }
                total
            });
        });
        let ways = [
            ("block_copy", Way::BlockCopy),
            ("message_burst", Way::MessageBurst),
            ("message_each", Way::MessageEach),
        ];
        for (label, way) in ways {
            group.bench_function(BenchmarkId::new(label, name), |bencher| {
                bencher.iter_custom(|iterations| hand_over(way, &wire, &payloads, iterations));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, channel);
criterion_main!(benches);
