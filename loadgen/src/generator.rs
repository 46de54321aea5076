//! Messages of made-up markets in the venues' shapes. A generator promises that its content depends on the seed
//! and the number of the message alone; the venue time is given, so that a run can carry the time of now and a
//! capture file its planned times. Prices stay on the venue's grid and walk around their start.

mod betfair_ladder;
mod betfair_market;
mod betfair_stream;
mod kraken_depth;
mod kraken_tick;
mod kraken_trades;
mod oanda_tick;
mod pairs;
mod symbols;

#[cfg(feature = "drill")]
pub(crate) use betfair_ladder::{Offer, PRICES, Side, classic};
#[cfg(feature = "drill")]
pub(crate) use betfair_market::{MARKET_TIME, Market as BetfairMarket};
pub(crate) use oanda_tick::OANDA_GAP_NS;
#[cfg(feature = "drill")]
pub(crate) use pairs::{Walk, kraken, kraken_walks, oanda, oanda_walks};

use tickline_config::model::DecoderKind;
use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::{PayloadWriter, Reserved};

use crate::plan::FeedLoad;
use crate::prng::{Prng, splitmix64};
use symbols::Symbols;

/// One message to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// `_src`
    pub(crate) src: u32,
    /// `_seq`
    pub(crate) seq: u64,
    /// The venue's time; it is cut to the venue's precision and does not go back.
    pub(crate) venue: WallNanos,
    /// When it is planned, ns after the start: the same in each run.
    pub(crate) offset_ns: u64,
    /// Of the same symbol as the one before.
    pub(crate) joined: bool,
}

impl Slot {
    /// One that is not planned yet.
    pub(crate) fn new(src: u32, seq: u64, venue: WallNanos) -> Self {
        Self { src, seq, venue, offset_ns: 0, joined: false }
    }

    fn reserved(&self, tie: u32) -> Reserved {
        Reserved { src: self.src, seq: self.seq, tie, ..Reserved::default() }
    }
}

/// The generator of one feed.
#[derive(Debug)]
pub(crate) struct Generator {
    venue: Venue,
    latest: WallNanos,
}

#[derive(Debug)]
enum Venue {
    KrakenTick(kraken_tick::KrakenTick),
    KrakenDepth(kraken_depth::KrakenDepth),
    KrakenTrades(kraken_trades::KrakenTrades),
    OandaTick(oanda_tick::OandaTick),
    BetfairStream(Box<betfair_stream::BetfairStream>),
}

/// What seeds one feed of a run.
pub(crate) fn feed_seed(seed: u64, feed: &str) -> u64 {
    feed.bytes().fold(splitmix64(seed), |mixed, byte| splitmix64(mixed ^ u64::from(byte)))
}

/// `_src` of one feed of a run.
pub(crate) fn src(seed: u64, feed: &str) -> u32 {
    (splitmix64(!feed_seed(seed, feed)) >> 32) as u32
}

impl Generator {
    /// The generator of `load`, at its first message; none for a kind that has no generator.
    pub(crate) fn new(load: &FeedLoad, seed: u64) -> Option<Self> {
        let prng = Prng::new(feed_seed(seed, &load.feed));
        let symbols = Symbols::new(load.symbols.max(1), load.zipf);
        let venue = match load.kind {
            DecoderKind::KrakenTick => Venue::KrakenTick(kraken_tick::KrakenTick::new(symbols, prng)),
            DecoderKind::KrakenDepth => Venue::KrakenDepth(kraken_depth::KrakenDepth::new(symbols, prng)),
            DecoderKind::KrakenTrades => Venue::KrakenTrades(kraken_trades::KrakenTrades::new(symbols, prng)),
            DecoderKind::OandaTick => Venue::OandaTick(oanda_tick::OandaTick::new(symbols, prng)),
            DecoderKind::BetfairStream => Venue::BetfairStream(Box::new(betfair_stream::BetfairStream::new(
                symbols,
                load.conflate_ns,
                prng,
            ))),
            _ => return None,
        };
        Some(Self { venue, latest: WallNanos(i64::MIN) })
    }

    /// Writes the next message with its reserved keys; `_ts`, `_recv` and `_due` stand as 0.
    pub(crate) fn write(&mut self, slot: &Slot, out: &mut PayloadWriter) {
        self.latest = self.latest.max(slot.venue);
        let slot = Slot { venue: self.latest, ..*slot };
        out.clear();
        match &mut self.venue {
            Venue::KrakenTick(venue) => venue.write(&slot, out),
            Venue::KrakenDepth(venue) => venue.write(&slot, out),
            Venue::KrakenTrades(venue) => venue.write(&slot, out),
            Venue::OandaTick(venue) => venue.write(&slot, out),
            Venue::BetfairStream(venue) => venue.write(&slot, out),
        }
    }
}

#[cfg(test)]
mod tests;
