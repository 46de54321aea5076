//! What reads a feed's payloads: one of the venues' decoders, given the maps of a payload one by one.

use std::sync::Arc;

use tickline_config::model::DecoderKind;

use super::{DecoderSpec, SpecError};
use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::emit::Emit;
use crate::instruments::Instruments;
use crate::venue::Shape;
use crate::venue::betfair::Betfair;
use crate::venue::betfair::orders::BetfairOrders;
use crate::venue::custom::CustomFeed;
use crate::venue::definitions::Definitions;
use crate::venue::flat::Flat;
use crate::venue::kraken_depth::KrakenDepth;
use crate::venue::kraken_orders::KrakenOrders;
use crate::venue::kraken_tick::KrakenTick;
use crate::venue::kraken_trades::KrakenTrades;
use crate::venue::oanda::Oanda;
use crate::venue::oanda_orders::OandaOrders;

/// The decoder of one feed's payloads.
#[derive(Debug)]
pub(super) enum Venue {
    KrakenTick(KrakenTick),
    KrakenDepth(KrakenDepth),
    KrakenTrades(KrakenTrades),
    KrakenOrders(Box<KrakenOrders>),
    Oanda(Oanda),
    OandaOrders(Box<OandaOrders>),
    Betfair(Box<Betfair>),
    BetfairOrders(Box<BetfairOrders>),
    Flat(Box<Flat>),
    Definitions(Box<Definitions>),
    Custom(Box<CustomFeed>),
}

impl Venue {
    /// What reads the feed's payloads, without history.
    pub(super) fn new(spec: &DecoderSpec, instruments: Arc<Instruments>) -> Result<Self, SpecError> {
        let DecoderSpec { feed, legacy_tick } = spec;
        let fields = &feed.fields;
        let account = feed.account.as_deref().unwrap_or_default();
        Ok(match feed.decoder {
            DecoderKind::KrakenTick => Venue::KrakenTick(KrakenTick::new(fields, *legacy_tick, instruments)),
            DecoderKind::KrakenDepth => Venue::KrakenDepth(KrakenDepth::new(fields, instruments)),
            DecoderKind::KrakenTrades => Venue::KrakenTrades(KrakenTrades::new(fields, instruments)),
            DecoderKind::KrakenOrders => {
                Venue::KrakenOrders(Box::new(KrakenOrders::new(fields, account, instruments)))
            }
            DecoderKind::OandaTick => Venue::Oanda(Oanda::new(fields)),
            DecoderKind::OandaOrders => Venue::OandaOrders(Box::new(OandaOrders::new(fields, account))),
            DecoderKind::BetfairStream => Venue::Betfair(Box::new(Betfair::new(fields))),
            DecoderKind::BetfairOrders => Venue::BetfairOrders(Box::new(BetfairOrders::new(fields, account))),
            DecoderKind::TwitterSentiment => Venue::Flat(Box::new(Flat::sentiment(fields))),
            DecoderKind::KrakenEurusdTick => Venue::Flat(Box::new(Flat::synthetic(fields))),
            DecoderKind::KrakenEurusdDepth => Venue::Flat(Box::new(Flat::synthetic_depth(fields))),
            DecoderKind::Instruments => Venue::Definitions(Box::new(Definitions::new(fields))),
            DecoderKind::Custom => {
                Venue::Custom(Box::new(CustomFeed::new(feed.custom.as_ref().ok_or(SpecError::NoCustom)?)))
            }
        })
    }

    /// The last frame's points are not written.
    #[cold]
    pub(super) fn discard(&mut self) {
        if let Venue::Definitions(venue) = self {
            venue.forget();
        }
    }

    /// A map, or an array of maps: a bundle, whose reserved keys stand in its first map.
    #[inline]
    pub(super) fn payload(&mut self, payload: &[u8], emit: &mut Emit<'_>) -> Result<Shape, Undecodable> {
        let mut cursor = Cursor::new(payload);
        let shape = match cursor.short_map().or_else(|| cursor.wide_map()) {
            Some(entries) => self.map(payload, &mut cursor, entries, emit, 1)?,
            None => self.long_payload(payload, &mut cursor, emit)?,
        };
        if cursor.left() > 0 { Err(Undecodable::Malformed) } else { Ok(shape) }
    }

    /// A bundle, or a map of an odd form.
    #[inline(never)]
    fn long_payload<'a>(
        &mut self,
        payload: &'a [u8],
        cursor: &mut Cursor<'a>,
        emit: &mut Emit<'_>,
    ) -> Result<Shape, Undecodable> {
        let maps = match cursor.value()? {
            Value::Map(entries) => return self.map(payload, cursor, entries, emit, 1),
            Value::Array(maps) if maps > 0 => maps,
            _ => return Err(Undecodable::NotAMap),
        };
        if matches!(self, Venue::Betfair(_)) {
            // Its ladders outlive the message: nothing is applied of one that is broken further on.
            Cursor::check(payload).inspect_err(|_| emit.envelope.read_front(payload))?;
        }
        let mut shape = Shape::Control;
        for _ in 0..maps {
            let Value::Map(entries) = cursor.value()? else { return Err(Undecodable::NotAMap) };
            if self.map(payload, cursor, entries, emit, 2)? == Shape::Data {
                shape = Shape::Data;
            }
        }
        Ok(shape)
    }

    #[inline(always)]
    fn map<'a>(
        &mut self,
        payload: &'a [u8],
        cursor: &mut Cursor<'a>,
        entries: u32,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Shape, Undecodable> {
        emit.begin_map();
        let entries = emit.envelope.read_ours(cursor, entries);
        match self {
            Venue::KrakenTick(venue) => venue.map(cursor, entries, emit, depth),
            Venue::KrakenDepth(venue) => venue.map(payload, cursor, entries, emit, depth),
            Venue::KrakenTrades(venue) => venue.map(cursor, entries, emit, depth),
            Venue::KrakenOrders(venue) => venue.map(cursor, entries, emit, depth),
            Venue::Oanda(venue) => venue.map(cursor, entries, emit, depth),
            Venue::OandaOrders(venue) => venue.map(cursor, entries, emit, depth),
            Venue::Betfair(venue) => venue.map(payload, cursor, entries, emit, depth),
            Venue::BetfairOrders(venue) => venue.map(cursor, entries, emit, depth),
            Venue::Flat(venue) => venue.map(cursor, entries, emit, depth),
            Venue::Definitions(venue) => venue.map(cursor, entries, emit, depth),
            Venue::Custom(venue) => venue.map(cursor, entries, emit, depth),
        }
    }
}
