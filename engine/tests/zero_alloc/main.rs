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
    Condition, Custom, CustomTime, CustomType, DecoderKind, Feed, FieldChoice, Filter, Format, Session,
    SocketKind, SystemFields, Tiebreak, TimeUnit, WhenFull,
};
use tickline_feeds::clock::{MonoNanos, WallNanos};
use tickline_feeds::decoder::{Decoder, DecoderSpec};
use tickline_feeds::frame::{Frame, FrameBlock};
use tickline_feeds::payload::PayloadWriter;
use tickline_sinks::batch::{Mark, Position};

mod messages;

use messages::{write, write_text};

const START_NS: i64 = 1_785_641_762_000_000_000;
const SYMBOLS: u64 = 50;
const MESSAGES: u64 = 100_000;

fn feed(decoder: DecoderKind, format: Format) -> Feed {
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
        format,
        account: decoder.has_account().then(|| "main".into()),
        fields: FieldChoice::All,
        system_fields: SystemFields { recv_ns: true, flags: true, seq: true },
        tiebreak: Tiebreak::Ordinal,
        fan_in: false,
        socket: SocketKind::Sub,
        filter: filter(decoder),
        deadband_ppm: matches!(decoder, DecoderKind::KrakenTick | DecoderKind::OandaTick).then_some(0),
        series_max: 100_000,
        custom: (decoder == DecoderKind::Custom).then_some(custom),
    }
}

/// One of the feeds has every point looked at.
fn filter(decoder: DecoderKind) -> Filter {
    let condition = Condition::parse("bid > 0").filter(|_| decoder == DecoderKind::OandaTick);
    let exclude = if condition.is_some() { vec!["C7_*".to_owned()] } else { Vec::new() };
    Filter { exclude, condition, ..Filter::default() }
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
    fn new(kind: DecoderKind, format: Format) -> Self {
        let spec = DecoderSpec { feed: feed(kind, format), legacy_tick: false };
        let decoder = Decoder::new(&spec, Arc::default());
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
fn bursts((kind, format): (DecoderKind, Format), from: u64, messages: u64) -> Vec<FrameBlock> {
    let mut writer = PayloadWriter::default();
    let mut burst = |first: u64| {
        let mut block = FrameBlock::default();
        for n in first..(first + 64).min(from + messages) {
            writer.clear();
            match format {
                Format::Msgpack => write(kind, n, &mut writer),
                _ => writer.raw(write_text(kind, format, n).as_bytes()),
            }
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
    let texts = [
        (DecoderKind::KrakenTick, Format::X01),
        (DecoderKind::OandaTick, Format::X01),
        (DecoderKind::KrakenTick, Format::Json),
    ];
    let feeds = DecoderKind::ALL.into_iter().map(|(_, kind)| (kind, Format::Msgpack)).chain(texts);
    let share = MESSAGES.div_ceil(feeds.clone().count() as u64);
    // The custom feed's times are whole seconds: its series meet ties, and remember eight times each.
    let warm_up = 12_000;
    let mut measured = 0;
    for feed in feeds {
        let name = format!("{feed:?}");
        let mut lane = Lane::new(feed.0, feed.1);
        let mut now = MonoNanos(0);
        let mut run = |lane: &mut Lane, bursts: &[FrameBlock]| {
            for block in bursts {
                now.0 += 1_000_000;
                lane.burst(block, now);
            }
        };
        let (before, after) = (bursts(feed, 0, warm_up), bursts(feed, warm_up, share));
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
