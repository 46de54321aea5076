//! The message shapes that every figure names: seeded, and with numbers and times that advance, so that no tie
//! and no cache of the last value sees the same message twice. PERFORMANCE's own shapes carry no reserved keys
//! and write no system fields; the others carry all reserved keys. It promises the same bytes for the same seed,
//! and refuses to measure anything.

use std::sync::Arc;

use tickline_config::KRAKEN_CSV;
use tickline_config::model::{
    DecoderKind, Feed, FieldChoice, Filter, Format, Session, SocketKind, SystemFields, Tiebreak,
};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::decoder::{Decoder, DecoderSpec};
use tickline_feeds::frame::Frame;
use tickline_feeds::instruments::Instruments;

mod betfair;
mod kraken;
mod market;
mod oanda;
mod recording;
mod run;

pub use run::Run;

use run::Message;

/// Venue time of the first message: 2026-01-01T00:00:00Z, ns.
pub const START_NS: i64 = 1_767_225_600_000_000_000;

/// Venue time from one message to the next, ns: more than Betfair's precision, so that no tie hides in a figure.
const STEP_NS: i64 = 1_001_237;

/// Which venue's object is filled, and how it is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Kraken(kraken::Form),
    Oanda(oanda::Form),
    Betfair,
    Recorded,
}

/// One kind of message, and how it is decoded.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Name in every table.
    pub name: &'static str,
    /// Venue decoder.
    pub decoder: DecoderKind,
    /// Fields written.
    pub fields: FieldChoice,
    /// Whether the payload has the reserved keys and its lines the system fields.
    pub reserved: bool,
    /// Maps of a message.
    pub bundle: usize,
    content: Content,
}

/// Maps of a bundle.
const BUNDLE: usize = 16;

impl Shape {
    /// All shapes: PERFORMANCE's three, then those with the reserved keys.
    pub fn all() -> Vec<Shape> {
        use Content::{Betfair, Kraken, Oanda, Recorded};
        use DecoderKind::{BetfairStream, KrakenDepth, KrakenTick, OandaTick};
        use FieldChoice::{All, Core};
        use kraken::Form::{Depth, RestPair, Ticker};
        use oanda::Form::{Flat, Price};
        let shape = |name, decoder, fields, reserved, content| Shape {
            name,
            decoder,
            fields,
            reserved,
            bundle: 1,
            content,
        };
        let bundled = |name, of: Shape| Shape { name, bundle: BUNDLE, ..of };
        let ticker = || shape("kraken_tick", KrakenTick, Core, true, Kraken(Ticker));
        let price = || shape("oanda_tick", OandaTick, Core, true, Oanda(Price));
        let three = FieldChoice::List(["bid", "ask", "volume"].map(str::to_owned).to_vec());
        let stream = if recording::path().is_some() { Recorded } else { Betfair };
        vec![
            shape("perf_kraken", KrakenTick, All, false, Kraken(RestPair)),
            shape("perf_oanda", OandaTick, three, false, Oanda(Flat)),
            shape("perf_betfair", BetfairStream, Core, false, Betfair),
            ticker(),
            shape("kraken_rest", KrakenTick, All, true, Kraken(RestPair)),
            shape("kraken_depth", KrakenDepth, Core, true, Kraken(Depth)),
            price(),
            shape("betfair_stream", BetfairStream, Core, true, stream),
            bundled("bundle_kraken", ticker()),
            bundled("bundle_oanda", price()),
        ]
    }

    /// The shape of that name.
    pub fn named(name: &str) -> Option<Shape> {
        Shape::all().into_iter().find(|shape| shape.name == name)
    }

    /// Where the messages come from: `generated`, or a file below `TICKLINE_RECORDINGS`.
    pub fn source(&self) -> &'static str {
        if self.content == Content::Recorded { recording::FILE } else { "generated" }
    }

    /// A run of messages with `contents` different contents.
    pub fn run(&self, seed: u64, contents: usize) -> Run {
        let mut market = market::Market::new(seed);
        let mut opening = Vec::new();
        let mut messages = Vec::with_capacity(contents);
        let mut make = |write: &mut dyn FnMut(&mut market::Market, &mut market::Payload)| {
            let mut map = |reserved| {
                let mut out = market::Payload::new(reserved);
                write(&mut market, &mut out);
                out.finish()
            };
            match self.bundle {
                1 => map(self.reserved),
                maps => Message::bundle((0..maps).map(|at| map(self.reserved && at == 0)).collect()),
            }
        };
        match self.content {
            Content::Kraken(form) => {
                messages.extend((0..contents).map(|_| make(&mut |market, out| form.write(market, out))));
            }
            Content::Oanda(form) => {
                messages.extend((0..contents).map(|_| make(&mut |market, out| form.write(market, out))));
            }
            Content::Betfair => {
                let mut maker = betfair::Maker::default();
                opening.extend(
                    (0..market::SYMBOLS).map(|at| make(&mut |market, out| maker.image(at, market, out))),
                );
                messages.extend((0..contents).map(|_| make(&mut |market, out| maker.update(market, out))));
            }
            Content::Recorded => {
                let lines = recording::read();
                let mut made =
                    lines.iter().take(contents + 1).map(|line| make(&mut |_, out| line.write(out)));
                opening.extend(made.next());
                messages.extend(made);
            }
        }
        Run::new(opening, messages)
    }

    /// A decoder as a feed of this shape has it.
    pub fn decoder(&self) -> Decoder {
        let feed = Feed {
            silence_max: None,
            data_silence_max: None,
            session: Session::Always,
            curve_server_key: None,
            endpoint: "tcp://127.0.0.1:1".into(),
            topic: self.name.into(),
            aliases: vec![],
            decoder: self.decoder,
            format: Format::Msgpack,
            account: None,
            fields: self.fields.clone(),
            system_fields: SystemFields { recv_ns: self.reserved, flags: self.reserved, seq: false },
            tiebreak: Tiebreak::Ordinal,
            fan_in: false,
            socket: SocketKind::Sub,
            filter: Filter::default(),
            deadband_ppm: None,
            series_max: 200_000,
            custom: None,
        };
        let instruments = Arc::new(Instruments::from_csv(KRAKEN_CSV).expect("the shipped table is read"));
        Decoder::new(&DecoderSpec { feed, legacy_tick: false }, instruments)
            .expect("shapes name known fields")
    }

    /// The frame of the `at`-th message of a run.
    pub fn frame<'a>(&self, payload: &'a [u8], at: u64) -> Frame<'a> {
        let recv = WallNanos(START_NS + at as i64 * STEP_NS + 100_000);
        Frame { feed: 0, endpoint: 0, recv, topic: self.name.as_bytes(), payload, oversized: false }
    }
}

#[cfg(test)]
mod tests;
