//! The schema: every measurement with its tags, fields and types, in one table that documentation, dashboards,
//! Parquet and `check --live` read. A change to a measurement is a change of stored data: raise [`SCHEMA_VERSION`] and
//! write it into docs/ARCHITECTURE.md and CHANGELOG.md first. A new measurement changes none.

use serde::Serialize;

mod orders;
mod records;

pub use orders::{BETFAIR_ORDERS, KRAKEN_ORDERS, OANDA_ORDERS};
pub use records::{INSTRUMENT, SYNTHETIC, SYNTHETIC_DEPTH, TWITTER_SENTIMENT};

/// Version of [`MEASUREMENTS`].
pub const SCHEMA_VERSION: u32 = 1;

/// Type of a field in line protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// 64-bit float; prices and sizes are always this.
    Float,
    /// 64-bit integer, written with `i`.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// Quoted text.
    String,
}

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Name in the database.
    pub name: &'static str,
    /// Type in the database.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// Written with `fields = "core"`.
    pub core: bool,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Measurement {
    /// Name in the database.
    pub name: &'static str,
    /// The decoder that writes it, and the key that it needs.
    pub from: &'static str,
    /// Tag names, sorted.
    pub tags: &'static [&'static str],
    /// Fields, in the order of the line.
    pub fields: &'static [Field],
}

const fn core(name: &'static str, kind: FieldType) -> Field {
    Field { name, kind, core: true }
}

const fn more(name: &'static str, kind: FieldType) -> Field {
    Field { name, kind, core: false }
}

use FieldType::{Boolean, Float, Integer, String};

/// `kraken_tick`
pub const KRAKEN_TICK: Measurement = Measurement {
    name: "kraken_tick",
    from: "kraken_tick",
    tags: &["base", "exchange", "pair", "quote"],
    fields: &[
        core("bid", Float),
        core("bid_qty", Float),
        core("ask", Float),
        core("ask_qty", Float),
        core("last_trade_price", Float),
        core("volume", Float),
        core("vwap", Float),
        more("last_trade_qty", Float),
        more("volume_today", Float),
        more("vwap_today", Float),
        more("trades", Integer),
        more("trades_today", Integer),
        more("low", Float),
        more("low_today", Float),
        more("high", Float),
        more("high_today", Float),
        more("open", Float),
        more("change", Float),
        more("change_pct", Float),
    ],
};

/// `tick`, the predecessor's measurement, with `compat.legacy_tick`.
pub const LEGACY_TICK: Measurement = Measurement {
    name: "tick",
    from: "kraken_tick with compat.legacy_tick = true",
    tags: &["base_ccy", "instrument", "term_ccy"],
    fields: &[
        core("ask_price", Float),
        core("ask_whole_lot_volume", Float),
        core("ask_lot_volume", Float),
        core("bid_price", Float),
        core("bid_whole_lot_volume", Float),
        core("bid_lot_volume", Float),
        core("last_trade_price", Float),
        core("last_trade_lot_volume", Float),
        core("volume_today", Float),
        core("volume_last_24_hours", Float),
        core("vwap_today", Float),
        core("vwap_last_24_hours", Float),
        core("number_of_trades_today", Float),
        core("number_of_trades_last_24_hours", Float),
        core("low_today", Float),
        core("low_last_24_hours", Float),
        core("high_today", Float),
        core("high_last_24_hours", Float),
        core("opening_price", Float),
    ],
};

/// `kraken_depth`
pub const KRAKEN_DEPTH: Measurement = Measurement {
    name: "kraken_depth",
    from: "kraken_depth",
    tags: &["base", "exchange", "level", "pair", "quote"],
    fields: &[
        core("bid_price", Float),
        core("bid_size", Float),
        core("ask_price", Float),
        core("ask_size", Float),
        more("checksum", Integer),
    ],
};

/// `kraken_trades`
pub const KRAKEN_TRADES: Measurement = Measurement {
    name: "kraken_trades",
    from: "kraken_trades",
    tags: &["base", "exchange", "pair", "quote", "side"],
    fields: &[core("price", Float), core("qty", Float), core("trade_id", Integer), more("ord_type", String)],
};

/// `oanda_tick`
pub const OANDA_TICK: Measurement = Measurement {
    name: "oanda_tick",
    from: "oanda_tick",
    tags: &["base", "exchange", "instrument", "quote"],
    fields: &[
        core("bid", Float),
        core("ask", Float),
        core("bid_liquidity", Integer),
        core("ask_liquidity", Integer),
        core("tradeable", Boolean),
        more("spread", Float),
        more("closeout_bid", Float),
        more("closeout_ask", Float),
        more("volume", Integer),
    ],
};

/// `betfair_stream`
pub const BETFAIR_STREAM: Measurement = Measurement {
    name: "betfair_stream",
    from: "betfair_stream",
    tags: &["exchange", "handicap", "market_id", "selection_id"],
    fields: &[
        core("back_price", Float),
        core("back_size", Float),
        core("lay_price", Float),
        core("lay_size", Float),
        core("last_price", Float),
        core("matched_amount", Float),
        core("in_play", Boolean),
        core("status", String),
        more("sp_near", Float),
        more("sp_far", Float),
    ],
};

/// `betfair_market`
pub const BETFAIR_MARKET: Measurement = Measurement {
    name: "betfair_market",
    from: "betfair_stream",
    tags: &["event_id", "event_type", "exchange", "market_id", "market_type"],
    fields: &[
        core("status", String),
        core("bet_delay", Integer),
        core("in_play", Boolean),
        core("complete", Boolean),
        core("bsp_reconciled", Boolean),
        core("number_of_winners", Integer),
        core("number_of_active_runners", Integer),
        core("market_time", Integer),
        core("suspend_time", Integer),
        core("country", String),
        core("venue", String),
        core("version", Integer),
        core("betting_type", String),
        core("total_matched", Float),
        core("ladder", String),
        core("name", String),
    ],
};

/// `betfair_runner`
pub const BETFAIR_RUNNER: Measurement = Measurement {
    name: "betfair_runner",
    from: "betfair_stream",
    tags: &["exchange", "handicap", "market_id", "selection_id"],
    fields: &[
        core("status", String),
        core("sort_priority", Integer),
        core("adjustment_factor", Float),
        core("bsp", Float),
        core("removal_time", Integer),
        core("name", String),
    ],
};

/// Every measurement that the venue decoders write. Each tick point also carries [`SYSTEM_FIELDS`].
pub const MEASUREMENTS: &[Measurement] = &[
    KRAKEN_TICK,
    LEGACY_TICK,
    KRAKEN_DEPTH,
    KRAKEN_TRADES,
    KRAKEN_ORDERS,
    OANDA_TICK,
    OANDA_ORDERS,
    BETFAIR_STREAM,
    BETFAIR_MARKET,
    BETFAIR_RUNNER,
    BETFAIR_ORDERS,
    TWITTER_SENTIMENT,
    SYNTHETIC,
    SYNTHETIC_DEPTH,
    INSTRUMENT,
];

const fn own(name: &'static str, tags: &'static [&'static str], fields: &'static [Field]) -> Measurement {
    Measurement { name, from: "the engine", tags, fields }
}

/// What the engine writes itself; none of it carries [`SYSTEM_FIELDS`].
pub const OWN_MEASUREMENTS: &[Measurement] = &[
    own(
        "feed_gap",
        &["cause", "feed", "instance"],
        &[
            core("from_ns", Integer),
            core("to_ns", Integer),
            core("lost", Integer),
            core("from_seq", Integer),
            core("to_seq", Integer),
            core("scope", String),
            core("detail", String),
        ],
    ),
    own("feed_event", &["feed", "instance", "kind"], &[core("scope", String), core("detail", String)]),
    own(
        "tickline_ledger",
        &["feed", "instance"],
        &[
            core("topic", String),
            core("src", Integer),
            core("messages", Integer),
            core("lost", Integer),
            core("points_made", Integer),
            core("seq_first", Integer),
            core("seq_last", Integer),
        ],
    ),
    own("tickline_points", &["feed", "instance", "measurement"], &[core("points", Integer)]),
];

/// A field that every tick point may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SystemField {
    /// Name in the database.
    pub name: &'static str,
    /// Type in the database.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// What it says and when it is there.
    pub about: &'static str,
}

const fn system(name: &'static str, about: &'static str) -> SystemField {
    SystemField { name, kind: Integer, about }
}

/// Fields of every tick point; `system_fields` of a feed leaves out or adds the first three.
pub const SYSTEM_FIELDS: &[SystemField] = &[
    system("recv_ns", "ns since 1970 when the venue's bytes were read, as well as it is known"),
    system(
        "flags",
        "left out when 0: 1 image, 2 conflated, 4 suspect, 8 no venue time, 16 moved, 32 crossed",
    ),
    system("seq", "the publisher's message number, with system_fields = [\"recv_ns\", \"flags\", \"seq\"]"),
    system("venue_ns", "only where the venue's time was too far off to be used"),
];

/// Most fields that a measurement of the schema has.
pub const FIELDS_MAX: usize = 19;

/// The whole schema as JSON.
pub fn to_json() -> serde_json::Value {
    serde_json::json!({
        "version": SCHEMA_VERSION,
        "measurements": MEASUREMENTS,
        "own_measurements": OWN_MEASUREMENTS,
        "system_fields": SYSTEM_FIELDS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_sorted_names_unique_and_no_measurement_has_more_fields_than_a_line_holds() {
        for measurement in MEASUREMENTS.iter().chain(OWN_MEASUREMENTS) {
            assert!(measurement.tags.is_sorted(), "{}", measurement.name);
            assert!(measurement.fields.len() <= FIELDS_MAX, "{}", measurement.name);
            let mut names: Vec<_> = measurement.tags.to_vec();
            names.extend(measurement.fields.iter().map(|f| f.name));
            names.extend(SYSTEM_FIELDS.iter().map(|f| f.name));
            names.sort_unstable();
            names.dedup();
            let all = measurement.tags.len() + measurement.fields.len() + SYSTEM_FIELDS.len();
            assert_eq!(names.len(), all, "{}", measurement.name);
        }
    }
}
