//! The message shapes that every figure names: seeded, endless, with times that advance, so that no tie, no
//! cache of the last value and no branch predictor sees the same message twice in a row. PERFORMANCE's own shapes
//! carry no reserved keys and write no system fields; the others carry all reserved keys. It promises the same
//! bytes for the same seed, and refuses to measure anything.

use std::sync::Arc;

use tickline_config::KRAKEN_CSV;
use tickline_config::model::{DecoderKind, Feed, FieldChoice, SystemFields, Tiebreak};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::decoder::{Decoder, DecoderSpec};
use tickline_feeds::frame::Frame;
use tickline_feeds::instruments::Instruments;

mod betfair;
mod kraken;
mod market;
mod oanda;
mod recording;

/// Venue time of the first message: 2026-01-01T00:00:00Z, ns.
pub const START_NS: i64 = 1_767_225_600_000_000_000;

/// Venue time from one message to the next, ns: more than Betfair's precision, so that no tie hides in a figure.
const STEP_NS: i64 = 1_001_237;

/// How a venue's object is filled and wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    RestPair,
    Ticker,
    Depth,
    FlatPrice,
    Price,
    Markets,
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
    content: Content,
}

impl Shape {
    /// All shapes: PERFORMANCE's three, then those with the reserved keys.
    pub fn all() -> Vec<Shape> {
        let shape =
            |name, decoder, fields, reserved, content| Shape { name, decoder, fields, reserved, content };
        let listed = |names: &[&str]| FieldChoice::List(names.iter().map(|n| (*n).to_owned()).collect());
        let stream = if recording::path().is_some() { Content::Recorded } else { Content::Markets };
        use Content::{Depth, FlatPrice, Markets, Price, RestPair, Ticker};
        use DecoderKind::{BetfairStream, KrakenDepth, KrakenTick, OandaTick};
        use FieldChoice::{All, Core};
        vec![
            shape("perf_kraken", KrakenTick, All, false, RestPair),
            shape("perf_oanda", OandaTick, listed(&["bid", "ask", "volume"]), false, FlatPrice),
            shape("perf_betfair", BetfairStream, Core, false, Markets),
            shape("kraken_tick", KrakenTick, Core, true, Ticker),
            shape("kraken_rest", KrakenTick, All, true, RestPair),
            shape("kraken_depth", KrakenDepth, Core, true, Depth),
            shape("oanda_tick", OandaTick, Core, true, Price),
            shape("betfair_stream", BetfairStream, Core, true, stream),
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

    /// Messages of this shape from the beginning.
    pub fn messages(&self, seed: u64) -> Messages {
        let market = market::Market::new(seed);
        let maker = match self.content {
            Content::RestPair => Maker::Kraken(kraken::Maker::new(kraken::Form::RestPair)),
            Content::Ticker => Maker::Kraken(kraken::Maker::new(kraken::Form::Ticker)),
            Content::Depth => Maker::Kraken(kraken::Maker::new(kraken::Form::Depth)),
            Content::FlatPrice => Maker::Oanda(oanda::Form::Flat),
            Content::Price => Maker::Oanda(oanda::Form::Price),
            Content::Markets => Maker::Betfair(Box::default()),
            Content::Recorded => Maker::Recorded(recording::Lines::read()),
        };
        Messages { maker, market, reserved: self.reserved, made: 0 }
    }

    /// A decoder as a feed of this shape has it.
    pub fn decoder(&self) -> Decoder {
        let feed = Feed {
            endpoint: "tcp://127.0.0.1:1".into(),
            topic: self.name.into(),
            aliases: vec![],
            decoder: self.decoder,
            fields: self.fields.clone(),
            system_fields: SystemFields { recv_ns: self.reserved, flags: self.reserved, seq: false },
            tiebreak: Tiebreak::Ordinal,
            fan_in: false,
            series_max: 200_000,
            custom: None,
        };
        let instruments = Arc::new(Instruments::from_csv(KRAKEN_CSV).expect("the shipped table is read"));
        Decoder::new(&DecoderSpec { feed, legacy_tick: false }, instruments)
            .expect("shapes name known fields")
    }

    /// The frame of the `at`-th message of a run.
    pub fn frame<'a>(&self, payload: &'a [u8], at: usize) -> Frame<'a> {
        let recv = WallNanos(START_NS + at as i64 * STEP_NS + 100_000);
        Frame { feed: 0, endpoint: 0, recv, topic: self.name.as_bytes(), payload, oversized: false }
    }
}

#[derive(Debug)]
enum Maker {
    Kraken(kraken::Maker),
    Oanda(oanda::Form),
    Betfair(Box<betfair::Maker>),
    Recorded(recording::Lines),
}

/// An endless run of messages of one shape.
#[derive(Debug)]
pub struct Messages {
    maker: Maker,
    market: market::Market,
    reserved: bool,
    made: u64,
}

impl Messages {
    /// The next `count` messages; the first of a run are those that a decoder needs to know a market.
    pub fn take(&mut self, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> Vec<u8> {
        let time = START_NS + self.made as i64 * STEP_NS;
        self.made += 1;
        let mut out = market::Payload::new(self.reserved.then_some(self.made), time);
        match &mut self.maker {
            Maker::Kraken(maker) => maker.write(&mut self.market, time, &mut out),
            Maker::Oanda(form) => form.write(&mut self.market, time, &mut out),
            Maker::Betfair(maker) => maker.write(&mut self.market, time, &mut out),
            Maker::Recorded(lines) => lines.write(&mut out),
        }
        out.finish()
    }
}

#[cfg(test)]
mod tests;
