//! The promise that a warm engine allocates nothing for a message: decoding, writing lines, closing batches,
//! giving them to two sinks and using them again. Alone in its binary, because it counts every allocation.

use std::sync::Arc;

use crossbeam_channel::Receiver;
use tickline::accepted::Accepted;
use tickline::queue::{BatchPool, Job, batch_queue};
use tickline::stage::batcher::{BatchLimits, Batcher};
use tickline::stats::SinkIn;
use tickline::stop::Stop;
use tickline_config::model::{
    Custom, CustomTime, CustomType, DecoderKind, Feed, FieldChoice, Session, SystemFields, Tiebreak,
    TimeUnit, WhenFull,
};
use tickline_feeds::clock::{MonoNanos, WallNanos};
use tickline_feeds::decoder::{Decoder, DecoderSpec};
use tickline_feeds::frame::{Frame, FrameBlock};
use tickline_feeds::payload::{PayloadWriter, Reserved, Times};
use tickline_sinks::batch::{Mark, Position};

const START_NS: i64 = 1_785_641_762_000_000_000;
const SYMBOLS: u64 = 50;
const MESSAGES: u64 = 100_000;

fn feed(decoder: DecoderKind) -> Feed {
    let path = |text: &str| vec![text.to_owned()];
    let custom = Custom {
        measurement: "bars".into(),
        time: Some(CustomTime { path: path("timestamp"), unit: TimeUnit::Seconds }),
        tags: vec![("symbol".into(), path("symbol"))],
        fields: vec![
            ("bid".into(), path("bid"), CustomType::Float),
            ("n".into(), path("n"), CustomType::Int),
        ],
    };
    Feed {
        silence_max: None,
        data_silence_max: None,
        session: Session::Always,
        curve_server_key: None,
        endpoint: "tcp://127.0.0.1:1".into(),
        topic: "t".into(),
        aliases: vec![],
        decoder,
        fields: FieldChoice::All,
        system_fields: SystemFields { recv_ns: true, flags: true, seq: true },
        tiebreak: Tiebreak::Ordinal,
        fan_in: false,
        deadband_ppm: matches!(decoder, DecoderKind::KrakenTick | DecoderKind::OandaTick).then_some(0),
        series_max: 100_000,
        custom: (decoder == DecoderKind::Custom).then_some(custom),
    }
}

/// Message `n` of a feed: symbol, prices and time vary.
fn write(kind: DecoderKind, n: u64, out: &mut PayloadWriter) {
    let sent = WallNanos(START_NS + n as i64 * 1_000_000);
    let times = Times { sent, recv: sent, due: sent };
    let reserved = Reserved { src: 7, seq: n + 1, times, tie: 0 };
    let (symbol, price) = (n % SYMBOLS, 10_000 + (n % 97) as i64);
    let name = |separator: &str| format!("C{symbol}{separator}USD");
    let levels = |out: &mut PayloadWriter, key: &str, step: i64| {
        out.text(key);
        out.array(10);
        for level in 0..10 {
            out.array(2);
            out.decimal(price + step * (level + 1), 2);
            out.decimal(1 + level, 8);
        }
    };
    match kind {
        DecoderKind::KrakenTick | DecoderKind::KrakenTrades | DecoderKind::Custom => {
            out.begin(&reserved, 8);
            for (key, value) in [("bid", price), ("ask", price + 1), ("price", price), ("qty", 1)] {
                out.text(key);
                out.decimal(value, 2);
            }
            for key in ["trade_id", "n"] {
                out.text(key);
                out.uint(n);
            }
            out.text("symbol");
            out.text(&name("/"));
            out.text("timestamp");
            out.rfc3339(sent, 6);
            if kind == DecoderKind::KrakenTrades {
                let keys = u16::from_be_bytes([out.bytes()[1], out.bytes()[2]]) + 1;
                out.bytes_mut()[1..3].copy_from_slice(&keys.to_be_bytes());
                out.text("side");
                out.text(if n.is_multiple_of(2) { "buy" } else { "sell" });
            }
        }
        DecoderKind::KrakenDepth => {
            out.begin(&reserved, 4);
            levels(out, "bids", -1);
            levels(out, "asks", 1);
            out.text("symbol");
            out.text(&name("/"));
            out.text("timestamp");
            out.rfc3339(sent, 6);
        }
        DecoderKind::OandaTick => {
            out.begin(&reserved, 5);
            for (key, value) in [("bids", price), ("asks", price + 1)] {
                out.text(key);
                out.array(1);
                out.map(2);
                out.text("price");
                out.decimal(value, 5);
                out.text("liquidity");
                out.int(1_000_000);
            }
            out.text("tradeable");
            out.bool(true);
            out.text("instrument");
            out.text(&name("_"));
            out.text("time");
            out.rfc3339(sent, 9);
        }
        DecoderKind::BetfairStream => betfair(n, &reserved, price, out),
    }
}

/// The first message of a market is its image; the others move prices about.
fn betfair(n: u64, reserved: &Reserved, price: i64, out: &mut PayloadWriter) {
    out.begin(reserved, 3);
    out.text("op");
    out.text("mcm");
    out.text("pt");
    out.int(reserved.times.sent.0 / 1_000_000);
    out.text("mc");
    out.array(1);
    out.map(3);
    out.text("id");
    out.text(&format!("1.{}", n % SYMBOLS));
    out.text("img");
    out.bool(n < SYMBOLS);
    out.text("rc");
    out.array(1);
    out.map(4);
    out.text("id");
    out.uint(n / SYMBOLS % 10);
    out.text("ltp");
    out.decimal(price, 2);
    for (key, places) in [("atb", n % 20), ("atl", n % 30 + 50)] {
        out.text(key);
        out.array(1);
        out.array(2);
        out.decimal(200 + places as i64, 2);
        out.decimal((n / SYMBOLS % 3) as i64, 0);
    }
}

/// One feed's way from a block of frames to two sinks, as the encode stage goes it.
struct Lane {
    decoder: Decoder,
    batcher: Batcher,
    sinks: [SinkIn; 2],
    queues: [Receiver<Job>; 2],
    accepted: [Arc<Accepted>; 2],
    heard: u64,
    names: [Arc<str>; 2],
    pool: BatchPool,
    stop: Stop,
    lines: u64,
}

impl Lane {
    fn new(kind: DecoderKind) -> Self {
        let decoder = Decoder::new(&DecoderSpec { feed: feed(kind), legacy_tick: false }, Arc::default());
        let pool = BatchPool::new(8);
        let accepted = <[Arc<Accepted>; 2]>::default();
        let (first, first_end) = batch_queue(4, WhenFull::Block, &pool, &accepted[0]);
        let (second, second_end) = batch_queue(4, WhenFull::Block, &pool, &accepted[1]);
        let limits =
            BatchLimits { linger_ns: 5_000_000, bytes_max: 1 << 16, lines_max: 500, age_max_ns: 500_000_000 };
        Self {
            decoder: decoder.unwrap(),
            batcher: Batcher::new(vec![(0, first), (1, second)], pool.clone(), limits, 0),
            sinks: [SinkIn::default(); 2],
            queues: [first_end, second_end],
            accepted,
            heard: 0,
            names: ["f".into(), "e".into()],
            pool,
            stop: Stop::default(),
            lines: 0,
        }
    }

    fn close(&mut self) {
        let Self { decoder, heard, names: [feed, endpoint], .. } = self;
        let batch = self.batcher.close(&mut self.sinks, |positions| {
            decoder.heard_since(heard, |topic, src, last| {
                let (feed, endpoint, topic) = (Arc::clone(feed), Arc::clone(endpoint), Arc::clone(topic));
                positions.push(Position { feed, endpoint, topic, src, last });
            });
        });
        if let Some(batch) = batch {
            self.batcher.give(batch, &mut self.sinks, &self.stop);
        }
    }

    fn burst(&mut self, block: &FrameBlock, now: MonoNanos) {
        for frame in block.frames() {
            let batch = self.batcher.writable(now);
            let decoded = self.decoder.decode(&frame, &mut batch.lines);
            if decoded.points > 0 {
                batch.points += u64::from(decoded.points);
                batch.marks.push(Mark { sent: decoded.sent, due: decoded.due });
            }
            if self.batcher.is_full() {
                self.close();
            }
        }
        if self.batcher.is_due(now) {
            self.close();
        }
        // Both sinks read, and the last one to finish gives the batch back.
        for (queue, accepted) in self.queues.iter().zip(&self.accepted) {
            while let Ok(Job { batch, .. }) = queue.try_recv() {
                accepted.accept(batch.number, &batch.positions);
                self.lines += batch.lines.iter().filter(|byte| **byte == b'\n').count() as u64;
                self.pool.give(batch);
            }
        }
    }
}

/// The messages of one feed in bursts, made beforehand.
fn bursts(kind: DecoderKind, from: u64, messages: u64) -> Vec<FrameBlock> {
    let mut writer = PayloadWriter::default();
    let mut burst = |first: u64| {
        let mut block = FrameBlock::default();
        for n in first..(first + 64).min(from + messages) {
            writer.clear();
            write(kind, n, &mut writer);
            let recv = WallNanos(START_NS + n as i64 * 1_000_000 + 500);
            let payload = writer.bytes();
            block.push(&Frame { feed: 0, endpoint: 0, recv, topic: b"t", payload, oversized: false });
        }
        block
    };
    (from..from + messages).step_by(64).map(&mut burst).collect()
}

#[test]
fn a_warm_engine_allocates_nothing_for_a_hundred_thousand_messages() {
    let share = MESSAGES.div_ceil(DecoderKind::ALL.len() as u64);
    // The custom feed's times are whole seconds: its series meet ties, and remember eight times each.
    let warm_up = 12_000;
    let mut measured = 0;
    for (name, kind) in DecoderKind::ALL {
        let mut lane = Lane::new(kind);
        let mut now = MonoNanos(0);
        let mut run = |lane: &mut Lane, bursts: &[FrameBlock]| {
            for block in bursts {
                now.0 += 1_000_000;
                lane.burst(block, now);
            }
        };
        let (before, after) = (bursts(kind, 0, warm_up), bursts(kind, warm_up, share));
        run(&mut lane, &before);
        let (decoded, lines) = (lane.decoder.counts().decoded, lane.lines);
        let allocated = allocation_counter::measure(|| run(&mut lane, &after));
        let counts = lane.decoder.counts();
        assert_eq!(allocated.count_total, 0, "{name}: {allocated:?}");
        assert_eq!(counts.decoded - decoded, share, "{name}: every message was decoded");
        assert_eq!((counts.bad_points, counts.bad_field, counts.duplicate), (0, 0, 0), "{name}");
        assert!(lane.lines - lines > share, "{name}: {} lines reached the sinks", lane.lines - lines);
        measured += share;
    }
    println!("{measured} messages, 0 allocations");
    assert!(measured >= MESSAGES);
}

#[test]
fn the_counter_counts() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(vec![1_u8; 64])));
    assert_eq!(counted.count_total, 1);
}
