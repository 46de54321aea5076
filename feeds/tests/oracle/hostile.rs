//! Hostile input: whatever comes, no decoder panics, an undecodable frame leaves no line, no line ever holds
//! another, and the counters balance. The rig checks all of it for every frame.

use proptest::prelude::*;
use serde_json::{Value, json};
use tickline_config::model::{
    Custom, CustomTime, CustomType, DecoderKind, Feed, FieldChoice, Format, TimeUnit,
};
use tickline_feeds::counts::Undecodable;
use tickline_feeds::cursor::Cursor;
use tickline_feeds::decoder::FrameClass;

use crate::generated::HOSTILE;
use crate::golden;
use crate::rig::{Rig, custom_feed, feed};
use crate::tree::{Tree, pack};

/// One decoder of each kind, the custom one with a path of every type.
fn rigs() -> Vec<Rig> {
    let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    let custom = Custom {
        measurement: "m".into(),
        time: Some(CustomTime { path: path("timestamp"), unit: TimeUnit::Seconds }),
        tags: vec![("symbol".into(), path("symbol"))],
        fields: vec![
            ("bid".into(), path("bid"), CustomType::Float),
            ("pt".into(), path("pt"), CustomType::Int),
            ("deep".into(), path("result.XXBTZUSD.a"), CustomType::Str),
            ("ok".into(), path("ok"), CustomType::Bool),
        ],
    };
    let venues = DecoderKind::ALL.iter().filter(|(_, kind)| *kind != DecoderKind::Custom);
    venues.map(|(_, kind)| Rig::of(*kind)).chain([Rig::new(custom_feed(custom))]).collect()
}

/// One decoder of each kind whose payloads may be text, in each of its formats.
fn text_rigs() -> impl Iterator<Item = Rig> {
    let venues = DecoderKind::ALL.into_iter().filter(|(_, kind)| *kind != DecoderKind::Custom);
    let formats = venues.flat_map(|(_, kind)| {
        let x01 = kind.reads_x01().then_some((kind, Format::X01));
        [(kind, Format::Json)].into_iter().chain(x01)
    });
    formats.map(|(kind, format)| Rig::new(Feed { format, ..feed(kind, FieldChoice::All) }))
}

/// Valid payloads of every kind.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(golden::payloads())
}

/// One way to break a payload.
#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Splice(prop::sample::Index, Vec<u8>),
    Extend(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let some = || prop::collection::vec(any::<u8>(), 1..8);
    prop_oneof![
        3 => (any::<prop::sample::Index>(), 0_u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        1 => any::<prop::sample::Index>().prop_map(Damage::Cut),
        1 => (any::<prop::sample::Index>(), some()).prop_map(|(at, bytes)| Damage::Splice(at, bytes)),
        1 => (any::<prop::sample::Index>(), payload()).prop_map(|(at, bytes)| Damage::Splice(at, bytes)),
        1 => some().prop_map(Damage::Extend),
    ]
}

fn broken(mut bytes: Vec<u8>, damage: Vec<Damage>) -> Vec<u8> {
    for damage in damage {
        let length = bytes.len();
        match damage {
            Damage::Flip(at, bit) if length > 0 => bytes[at.index(length)] ^= 1 << bit,
            Damage::Cut(at) if length > 0 => bytes.truncate(at.index(length)),
            Damage::Splice(at, more) => drop(bytes.splice(at.index(length + 1)..at.index(length + 1), more)),
            Damage::Extend(more) => bytes.extend(more),
            _ => {}
        }
    }
    bytes
}

proptest! {
    #[test]
    fn any_bytes_are_survived(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..4)) {
        for mut rig in rigs().into_iter().chain(text_rigs()) {
            frames.iter().for_each(|frame| drop(rig.points(frame)));
        }
    }

    #[test]
    fn damaged_payloads_are_survived_and_so_are_the_good_ones_after_them(
        frames in prop::collection::vec((payload(), prop::collection::vec(damage(), 0..4)), 1..6)
    ) {
        let frames: Vec<Vec<u8>> = frames.into_iter().map(|(bytes, how)| broken(bytes, how)).collect();
        for mut rig in rigs().into_iter().chain(text_rigs()) {
            frames.iter().for_each(|frame| drop(rig.points(frame)));
        }
    }

    #[test]
    fn a_cut_payload_is_undecodable_wherever_it_is_cut(
        // Some golden payloads are broken on purpose, by bytes behind their end.
        bytes in payload().prop_filter("one whole value", |bytes| Cursor::check(bytes).is_ok()),
        part in 0.0..1.0_f64,
    ) {
        let cut = &bytes[..(bytes.len() as f64 * part) as usize];
        for mut rig in rigs().into_iter().chain(text_rigs()) {
            let (class, lines) = rig.lines(cut);
            prop_assert!(matches!(class, FrameClass::Undecodable(_)), "{class:?}");
            prop_assert!(lines.is_empty());
        }
    }
}

/// A payload of each feed with `symbol` where a symbol, a text and a key may stand.
fn payloads_of(symbol: &str) -> Vec<Value> {
    let at = "2026-08-02T03:36:02.621302Z";
    let ticker = json!({"a": ["3", "1", "1"], "b": ["2", "1", "1"], "c": ["2", "1"], "o": symbol});
    let definition = json!({"eventId": symbol, "marketType": symbol, "status": symbol, "name": symbol,
        "venue": symbol, "runners": [{"id": 1, "name": symbol, "status": symbol, "hc": symbol}]});
    let change = json!({"id": symbol, "img": true, "marketDefinition": definition,
        "rc": [{"id": 1, "ltp": "2"}, {"id": symbol, "ltp": "2"}, {"id": 2, "hc": symbol, "atb": [["2", "1"]]}]});
    let order = json!({"id": symbol, "p": "2", "side": symbol, "status": symbol});
    let mut payloads = vec![
        json!({"symbol": symbol, "bid": "1", "ask": "2", "timestamp": at, "note": symbol}),
        json!({"error": [], "result": {symbol: ticker}}),
        json!({"symbol": symbol, "timestamp": at, "bids": [["1", "2"]], "asks": [["3", symbol]]}),
        json!({"symbol": symbol, "side": "buy", "price": "1", "qty": "1", "trade_id": 1, "ord_type": symbol}),
        json!({"type": "PRICE", "instrument": symbol, "time": at, "bid": "1", "ask": "2", "status": symbol}),
        json!({"op": "mcm", "pt": 1_785_700_000_123_i64, "mc": [change]}),
        json!({"symbol": symbol, "order_id": symbol, "side": symbol, "order_status": symbol, "order_type": symbol,
            "timestamp": at, "fees": [{"asset": symbol, "qty": symbol}]}),
        json!({"type": symbol, "id": "7", "batchID": "5", "instrument": symbol, "reason": symbol, "time": at}),
        json!({"op": "ocm", "pt": 1_785_700_000_123_i64, "oc": [{"id": symbol, "closed": true, "orc": [
            {"id": 7, "uo": [order.clone()]}, {"id": symbol, "uo": [order]}]}]}),
        json!({"ts_ms": 1_785_700_000_123_i64, "sentiment_score": "0.5", "author": symbol, "location": symbol,
            "topic": symbol, "lang": symbol, "country": symbol, "source": symbol}),
        json!({"exchange": symbol, "instrument": symbol, "base": symbol, "status": symbol, "timestamp": at}),
    ];
    payloads.extend([symbol, "A"].map(|t1| {
        json!({"instrument_t0": symbol, "instrument_t1": t1, "bid_t0": "1", "ask_t1": symbol, "timestamp": at})
    }));
    payloads
}

#[test]
fn hostile_symbols_are_stored_as_they_are_or_left_out_and_never_make_another_line() {
    let long = "x".repeat(65_536);
    for symbol in HOSTILE.iter().copied().chain([long.as_str(), "k,v=1i 5\nm,a=b f=1 9"]) {
        let payloads = payloads_of(symbol);
        let texts = payloads.iter().map(|payload| payload.to_string().into_bytes());
        let fields = [3, 4, 9, 17, 20].map(|fields| vec![symbol; fields].join("\u{1}").into_bytes());
        let texts: Vec<Vec<u8>> = texts.chain(fields).collect();
        let packed: Vec<Vec<u8>> = payloads.into_iter().map(pack).collect();
        let of_texts = text_rigs().map(|rig| (rig, &texts));
        for (mut rig, payloads) in rigs().into_iter().map(|rig| (rig, &packed)).chain(of_texts) {
            for payload in payloads {
                let (_, points) = rig.points(payload);
                for value in points.iter().flat_map(|point| point.tags.values()) {
                    assert!(value.len() <= 256 && !value.chars().any(char::is_control), "{value:?}");
                }
            }
        }
    }
}

#[test]
fn numbers_at_the_ends_of_their_range_are_taken_or_left_out() {
    let ends = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::from(u32::MAX), i64::MAX - 1, i64::MAX];
    let payloads: Vec<Vec<u8>> =
        payloads_of("A_B/C").into_iter().map(pack).chain(golden::payloads()).collect();
    for end in ends {
        for key in [
            "_v",
            "_src",
            "_seq",
            "_ts",
            "_recv",
            "_due",
            "_tie",
            "timestamp",
            "pt",
            "time",
            "trade_id",
            "id",
            "batchID",
            "ts_ms",
        ] {
            for mut rig in rigs() {
                for payload in &payloads {
                    let Some(entries) = top_map_with(payload, key, end) else { continue };
                    rig.points(&entries);
                    rig.points(&entries);
                }
            }
        }
    }
}

/// The payload with one more key in its outermost map, if it is a small one.
fn top_map_with(payload: &[u8], key: &str, value: i64) -> Option<Vec<u8>> {
    let (&marker @ 0x80..0x8f, rest) = payload.split_first()? else { return None };
    let entry = Tree::Map(vec![(key.into(), Tree::Int(value))]).bytes();
    Some([&[marker + 1], rest, &entry[1..]].concat())
}

#[test]
fn sources_that_jump_through_all_numbers_never_unbalance_the_sequences() {
    let mut rig = Rig::of(DecoderKind::KrakenTick);
    for src in 0..4_u32 {
        for seq in [1, i64::MAX, 2, i64::MAX, i64::MAX - 1] {
            rig.points(&pack(json!({"_src": src, "_seq": seq, "symbol": "A/B", "bid": "1"})));
            rig.points(&pack(json!({"_src": src, "_seq": seq, "_hb": true})));
        }
    }
    assert_eq!(rig.counts().sequenced, 20);
}

#[test]
fn a_full_series_table_makes_bad_points_and_goes_on() {
    let mut small = feed(DecoderKind::KrakenDepth, FieldChoice::Core);
    small.series_max = 3;
    let mut rig = Rig::new(small);
    let book = |symbol: String| pack(json!({"symbol": symbol, "bids": [["1", "1"], ["2", "1"]], "asks": []}));
    for n in 0..10 {
        rig.points(&book(format!("C{n}/USD")));
    }
    let (_, points) = rig.points(&book("C0/USD".into()));
    assert_eq!((points.len(), rig.counts().points_made, rig.counts().bad_points), (2, 5, 17));
}

#[test]
fn levels_beyond_the_deepest_book_are_bad_points() {
    let mut rig = Rig::of(DecoderKind::KrakenDepth);
    let levels = vec![json!(["1", "2"]); 1_500];
    let (_, points) = rig.points(&pack(json!({"symbol": "A/B", "bids": levels, "asks": []})));
    assert_eq!((points.len(), rig.counts().bad_points), (1_000, 500));
}

#[test]
fn an_oversized_frame_is_undecodable_and_still_shows_its_number() {
    use tickline_feeds::clock::WallNanos;
    use tickline_feeds::decoder::{Decoder, DecoderSpec};
    use tickline_feeds::frame::Frame;
    let spec = DecoderSpec { feed: feed(DecoderKind::KrakenTick, FieldChoice::Core), legacy_tick: false };
    let mut decoder = Decoder::new(&spec, std::sync::Arc::default()).unwrap();
    let payload = pack(json!({"_src": 4, "_seq": 9, "symbol": "A/B", "bid": "1"}));
    let mut lines = Vec::new();
    let frame = Frame {
        feed: 0,
        endpoint: 0,
        recv: WallNanos(1),
        topic: b"t",
        payload: &payload[..20],
        oversized: true,
    };
    let decoded = decoder.decode(&frame, &mut lines);
    assert_eq!(decoded.class, FrameClass::Undecodable(Undecodable::Oversized));
    assert_eq!((lines.len(), decoder.counts().sequenced), (0, 1));
}
