use std::sync::Arc;

use tickline_config::model::{
    DecoderKind, Feed, FieldChoice, Filter, Format, Session, SocketKind, SystemFields, Tiebreak,
};

use crate::clock::WallNanos;
use crate::counts::Undecodable;
use crate::decoder::{Decoded, Decoder, DecoderSpec, FrameClass};
use crate::frame::Frame;
use crate::instruments::Instruments;
use crate::payload::{Decimals, PayloadWriter};

fn decoder() -> Decoder {
    let feed = Feed {
        silence_max: None,
        data_silence_max: None,
        session: Session::Always,
        curve_server_key: None,
        endpoint: "tcp://127.0.0.1:1".into(),
        topic: "t".into(),
        aliases: vec![],
        decoder: DecoderKind::BetfairStream,
        format: Format::Msgpack,
        account: None,
        fields: FieldChoice::Core,
        system_fields: SystemFields { recv_ns: false, flags: true, seq: false },
        tiebreak: Tiebreak::Ordinal,
        fan_in: false,
        socket: SocketKind::Sub,
        filter: Filter::default(),
        deadband_ppm: None,
        series_max: 100,
        custom: None,
    };
    Decoder::new(&DecoderSpec { feed, legacy_tick: false }, Arc::new(Instruments::default())).unwrap()
}

fn decode(decoder: &mut Decoder, payload: &[u8]) -> (Decoded, String) {
    let frame = Frame { feed: 0, endpoint: 0, recv: WallNanos(9), topic: b"t", payload, oversized: false };
    let mut lines = Vec::new();
    let decoded = decoder.decode(&frame, &mut lines);
    (decoded, String::from_utf8(lines).unwrap())
}

/// A message with one price and a definition for each of two markets; `id` may stand behind `mc`.
fn message(pt: i64, image: bool, size: &str, mc_last: bool) -> Vec<u8> {
    let mut out = PayloadWriter::new(Decimals::Text);
    out.map(3);
    out.text("pt");
    out.int(pt);
    if mc_last {
        out.text("op");
        out.text("mcm");
    }
    out.text("mc");
    out.array(2);
    for market in ["1.1", "1.2"] {
        out.map(4);
        out.text("marketDefinition");
        out.map(1);
        out.text("status");
        out.text("OPEN");
        out.text("rc");
        out.array(1);
        out.map(2);
        out.text("atb");
        out.array(1);
        out.array(2);
        out.text("2.62");
        out.text(size);
        out.text("id");
        out.int(7);
        out.text("id");
        out.text(market);
        out.text("img");
        out.bool(image);
    }
    if !mc_last {
        out.text("op");
        out.text("mcm");
    }
    out.bytes().to_vec()
}

#[test]
fn a_message_cut_at_any_byte_or_followed_by_one_changes_no_ladder() {
    for mc_last in [true, false] {
        let (image, change) = (message(1_000, true, "5.5", true), message(2_000, false, "6.25", mc_last));
        let mut whole = decoder();
        decode(&mut whole, &image);
        let (_, expected) = decode(&mut whole, &change);
        assert_eq!(expected.matches("back_size=6.25").count(), 2, "{expected}");

        let mut decoder = decoder();
        decode(&mut decoder, &image);
        let longer = [change.as_slice(), &[0xc0]].concat();
        for (payload, why) in (1..change.len())
            .map(|bytes| (&change[..bytes], Undecodable::Truncated))
            .chain([(longer.as_slice(), Undecodable::Malformed)])
        {
            let (decoded, lines) = decode(&mut decoder, payload);
            assert_eq!((decoded.class, lines.as_str()), (FrameClass::Undecodable(why), ""));
        }
        assert_eq!(decode(&mut decoder, &change).1, expected);
    }
}
