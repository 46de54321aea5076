//! A decoder of one feed, driven frame by frame, with the promises checked that hold for every frame.

use std::sync::Arc;

use tickline_config::model::{
    Custom, DecoderKind, Feed, FieldChoice, Filter, Format, Session, SocketKind, SystemFields, Tiebreak,
};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::counts::Counts;
use tickline_feeds::decoder::{Decoder, DecoderSpec, FrameClass};
use tickline_feeds::frame::Frame;
use tickline_feeds::instruments::Instruments;
use tickline_feeds::news::News;

use crate::reading::{Point, read};

/// When the engine takes each message off the socket.
pub(crate) const RECEIVED_NS: i64 = 1_785_641_762_700_000_000;

/// The table that the golden files were made with.
pub(crate) const INSTRUMENTS: &str = include_str!("../golden/instruments.csv");

/// What stands in every buffer before a frame is decoded, so that nothing in front of it is touched.
const BEFORE: &[u8] = b"before v=1 1\n";

/// A feed of the given kind; every system field but `seq`.
pub(crate) fn feed(decoder: DecoderKind, fields: FieldChoice) -> Feed {
    Feed {
        silence_max: None,
        data_silence_max: None,
        session: Session::Always,
        curve_server_key: None,
        endpoint: "tcp://127.0.0.1:1".into(),
        topic: "t".into(),
        aliases: vec![],
        decoder,
        format: Format::Msgpack,
        account: None,
        fields,
        system_fields: SystemFields { recv_ns: true, flags: true, seq: false },
        tiebreak: Tiebreak::Ordinal,
        fan_in: false,
        socket: SocketKind::Sub,
        filter: Filter::default(),
        deadband_ppm: None,
        series_max: 100_000,
        custom: None,
    }
}

/// A feed in the user's own words.
pub(crate) fn custom_feed(custom: Custom) -> Feed {
    Feed { custom: Some(custom), ..feed(DecoderKind::Custom, FieldChoice::All) }
}

/// One decoder and its buffer.
pub(crate) struct Rig {
    decoder: Decoder,
    lines: Vec<u8>,
}

impl Rig {
    pub(crate) fn new(feed: Feed) -> Self {
        Self::with_legacy(feed, false)
    }

    pub(crate) fn with_legacy(feed: Feed, legacy_tick: bool) -> Self {
        let instruments = Arc::new(Instruments::from_csv(INSTRUMENTS).unwrap());
        let decoder = Decoder::new(&DecoderSpec { feed, legacy_tick }, instruments).unwrap();
        Self { decoder, lines: Vec::new() }
    }

    pub(crate) fn of(decoder: DecoderKind) -> Self {
        Self::new(feed(decoder, FieldChoice::All))
    }

    pub(crate) fn news(&mut self) -> &mut Vec<News> {
        self.decoder.news()
    }

    pub(crate) fn counts(&self) -> &Counts {
        self.decoder.counts()
    }

    /// Decodes one payload and returns what it was and its lines.
    pub(crate) fn lines(&mut self, payload: &[u8]) -> (FrameClass, &[u8]) {
        self.lines_of(b"t", payload)
    }

    /// The same under a topic.
    pub(crate) fn lines_of(&mut self, topic: &[u8], payload: &[u8]) -> (FrameClass, &[u8]) {
        let before = *self.decoder.counts();
        self.lines.clear();
        self.lines.extend_from_slice(BEFORE);
        let frame =
            Frame { feed: 0, endpoint: 0, recv: WallNanos(RECEIVED_NS), topic, payload, oversized: false };
        let decoded = self.decoder.decode(&frame, &mut self.lines);
        let counts = self.decoder.counts();
        let lines = self.lines.strip_prefix(BEFORE).expect("what stood in the buffer stays");
        let newlines = lines.iter().filter(|byte| **byte == b'\n').count();
        assert!(counts.balanced(), "{counts:?}");
        assert_eq!(counts.points_made - before.points_made, newlines as u64, "a point is a line");
        assert_eq!(decoded.points as usize, newlines, "the caller hears of every line");
        assert!(decoded.class == FrameClass::Points || lines.is_empty(), "{:?} makes no line", decoded.class);
        (decoded.class, lines)
    }

    /// Decodes one payload and reads its lines back.
    pub(crate) fn points(&mut self, payload: &[u8]) -> (FrameClass, Vec<Point>) {
        let (class, lines) = self.lines(payload);
        (class, read(lines))
    }
}
