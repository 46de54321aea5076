//! How fields with `\x01` between them become the map that a decoder reads: which field stands where in it. The layouts
//! are the predecessor's; fields that the schema does not have are left out.

use tickline_config::model::DecoderKind;

/// Most fields of a layout.
pub(super) const FIELDS_MAX: usize = 20;

/// One form of a decoder's payloads.
#[derive(Debug)]
pub(super) struct Layout {
    /// How many fields it has; by that it is known.
    pub(super) fields: usize,
    /// The map, from front to back.
    pub(super) parts: &'static [Part],
}

/// A piece of the map.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// A map of so many keys begins.
    Map(u32),
    /// An array of so many values begins.
    Array(u32),
    /// A key.
    Key(&'static str),
    /// The topic, as a value.
    Topic,
    /// The field at this position, as key or value.
    Field(usize),
}

use Part::{Array, Field, Key, Map, Topic};

/// The layouts of a decoder that has some.
pub(super) fn of(decoder: DecoderKind) -> Option<&'static [Layout]> {
    match decoder {
        DecoderKind::KrakenTick => Some(&[Layout { fields: 20, parts: KRAKEN_TICK }]),
        DecoderKind::OandaTick => {
            Some(&[Layout { fields: 4, parts: OANDA_TICK }, Layout { fields: 3, parts: OANDA_TICK_OF_TOPIC }])
        }
        DecoderKind::KrakenEurusdTick => Some(&[Layout { fields: 9, parts: SYNTHETIC }]),
        DecoderKind::KrakenEurusdDepth => Some(&[Layout { fields: 17, parts: SYNTHETIC_DEPTH }]),
        _ => None,
    }
}

/// As REST's lists `a b c v p t l h o`: price, whole lots and lots of ask and bid, price and lots of the last trade, then
/// today and 24 hours of volume, average price, trades, low and high, and the opening price.
const KRAKEN_TICK: &[Part] = &[
    Map(1),
    Key("result"),
    Map(1),
    Field(0),
    Array(9),
    Array(3),
    Field(1),
    Field(2),
    Field(3),
    Array(3),
    Field(4),
    Field(5),
    Field(6),
    Array(2),
    Field(7),
    Field(8),
    Array(2),
    Field(9),
    Field(10),
    Array(2),
    Field(11),
    Field(12),
    Array(2),
    Field(13),
    Field(14),
    Array(2),
    Field(15),
    Field(16),
    Array(2),
    Field(17),
    Field(18),
    Field(19),
];

const OANDA_TICK: &[Part] =
    &[Map(4), Key("instrument"), Field(0), Key("time"), Field(1), Key("bid"), Field(2), Key("ask"), Field(3)];

/// The same under the instrument's own topic.
const OANDA_TICK_OF_TOPIC: &[Part] =
    &[Map(4), Key("instrument"), Topic, Key("time"), Field(0), Key("bid"), Field(1), Key("ask"), Field(2)];

const SYNTHETIC: &[Part] = &[
    Map(9),
    Key("instrument_t0"),
    Field(0),
    Key("bid_t0"),
    Field(1),
    Key("ask_t0"),
    Field(2),
    Key("instrument_t1"),
    Field(3),
    Key("bid_t1"),
    Field(4),
    Key("ask_t1"),
    Field(5),
    Key("spread"),
    Field(6),
    Key("spread_t_bid"),
    Field(7),
    Key("spread_t_ask"),
    Field(8),
];

/// Of each leg: instrument, bid and ask that it implies, then price and volume of its own book's best bid and ask, of
/// which only the volumes are kept.
const SYNTHETIC_DEPTH: &[Part] = &[
    Map(13),
    Key("instrument_t0"),
    Field(0),
    Key("bid_t0"),
    Field(1),
    Key("ask_t0"),
    Field(2),
    Key("bid_volume_t0"),
    Field(4),
    Key("ask_volume_t0"),
    Field(6),
    Key("instrument_t1"),
    Field(7),
    Key("bid_t1"),
    Field(8),
    Key("ask_t1"),
    Field(9),
    Key("bid_volume_t1"),
    Field(11),
    Key("ask_volume_t1"),
    Field(13),
    Key("spread"),
    Field(14),
    Key("spread_t_bid"),
    Field(15),
    Key("spread_t_ask"),
    Field(16),
];
