//! What every decoder promises of any bytes: it returns, an undecodable frame leaves no line, each line is one
//! line to the `influxdb-line-protocol` parser, and the counters balance.

use std::sync::Arc;

use influxdb_line_protocol::parse_lines;
use tickline_config::model::{Custom, CustomTime, CustomType, DecoderKind, Feed, FieldChoice, Filter, Format, Session, SocketKind, SystemFields, Tiebreak, TimeUnit};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::counts::Undecodable;
use tickline_feeds::cursor::Cursor;
use tickline_feeds::decoder::{Decoder, DecoderSpec, FrameClass};
use tickline_feeds::frame::Frame;

fn custom() -> Custom {
    let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    Custom {
        measurement: "bars".into(),
        time: Some(CustomTime { path: path("t.at"), unit: TimeUnit::Millis }),
        tags: vec![("sym".into(), path("sym")), ("year".into(), path("year"))],
        fields: vec![
            ("px".into(), path("px"), CustomType::Float),
            ("qty".into(), path("q.total"), CustomType::Int),
            ("ok".into(), path("ok"), CustomType::Bool),
            ("text".into(), path("text"), CustomType::Str),
        ],
    }
}

fn decoder(kind: DecoderKind, format: Format) -> Decoder {
    let feed = Feed {
        silence_max: None,
        data_silence_max: None,
        session: Session::Always,
        curve_server_key: None,
        endpoint: "tcp://127.0.0.1:1".into(),
        topic: "t".into(),
        aliases: vec![],
        decoder: kind,
        format,
        account: kind.has_account().then(|| "main".into()),
        fields: FieldChoice::All,
        system_fields: SystemFields { recv_ns: true, flags: true, seq: true },
        tiebreak: Tiebreak::Ordinal,
        fan_in: false,
        socket: SocketKind::Sub,
        filter: Filter::default(),
        deadband_ppm: None,
        series_max: 100,
        custom: (kind == DecoderKind::Custom).then(custom),
    };
    let spec = DecoderSpec { feed, legacy_tick: true };
    Decoder::new(&spec, Arc::default()).expect("the feed is described in full")
}

/// The msgpack values in `data`, each a frame; what is left over is the last one.
fn frames(data: &[u8]) -> Vec<&[u8]> {
    let (mut frames, mut rest) = (Vec::new(), Cursor::new(data));
    while rest.left() > 0 {
        let start = rest;
        let whole = rest.skip(0).is_ok();
        let end = if whole { rest } else { Cursor::new(&[]) };
        frames.push(start.passed(&end));
        if !whole {
            break;
        }
    }
    frames
}

/// Decodes `data` frame by frame, twice, and checks what is promised of every frame.
pub fn decode(kind: DecoderKind, data: &[u8]) {
    check(decoder(kind, Format::Msgpack), &frames(data));
}

/// The same for text: its lines are the frames.
pub fn decode_text(kind: DecoderKind, format: Format, data: &[u8]) {
    check(decoder(kind, format), &data.split(|byte| *byte == b'\n').collect::<Vec<_>>());
}

fn check(mut decoder: Decoder, frames: &[&[u8]]) {
    let mut lines = Vec::new();
    for payload in frames.iter().chain(frames) {
        lines.clear();
        let frame =
            Frame { feed: 0, endpoint: 0, recv: WallNanos(1), topic: b"t", payload, oversized: false };
        let decoded = decoder.decode(&frame, &mut lines);
        assert!(decoder.counts().balanced(), "{:?}", decoder.counts());
        match decoded.class {
            FrameClass::Points => {}
            FrameClass::Control
            | FrameClass::Undecodable(
                Undecodable::Truncated
                | Undecodable::Malformed
                | Undecodable::TooDeep
                | Undecodable::NotAMap
                | Undecodable::UnknownShape
                | Undecodable::VenueError,
            ) => assert!(lines.is_empty(), "{:?} leaves lines", decoded.class),
            FrameClass::Undecodable(Undecodable::Oversized) => panic!("the frame is whole"),
        }
        let text = std::str::from_utf8(&lines).expect("lines are UTF-8");
        let parsed = parse_lines(text).map(|line| line.expect("lines are line protocol")).count();
        let newlines = lines.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!((parsed, newlines), (decoded.points as usize, decoded.points as usize), "{text:?}");
    }
}
