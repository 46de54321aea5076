//! The measurements of feeds whose payload is a flat record: scored posts, synthetic prices, instruments.

use super::FieldType::{Float, Integer, String};
use super::{Measurement, core};

/// `twitter_sentiment`
pub const TWITTER_SENTIMENT: Measurement = Measurement {
    name: "twitter_sentiment",
    from: "twitter_sentiment",
    tags: &["country", "lang", "source", "topic"],
    fields: &[
        core("sentiment_score", Float),
        core("text_length", Integer),
        core("pos", Float),
        core("neg", Float),
        core("neu", Float),
        core("followers", Integer),
        core("author", String),
        core("location", String),
    ],
};

/// `synthetic`
pub const SYNTHETIC: Measurement = Measurement {
    name: "synthetic",
    from: "kraken_eurusd_tick",
    tags: &["instrument", "instrument_t0", "instrument_t1"],
    fields: &[
        core("bid_t0", Float),
        core("ask_t0", Float),
        core("bid_t1", Float),
        core("ask_t1", Float),
        core("spread", Float),
        core("spread_t_bid", Float),
        core("spread_t_ask", Float),
    ],
};

/// `synthetic_depth`
pub const SYNTHETIC_DEPTH: Measurement = Measurement {
    name: "synthetic_depth",
    from: "kraken_eurusd_depth",
    tags: &["instrument", "instrument_t0", "instrument_t1"],
    fields: &[
        core("bid_t0", Float),
        core("ask_t0", Float),
        core("bid_t1", Float),
        core("ask_t1", Float),
        core("spread", Float),
        core("spread_t_bid", Float),
        core("spread_t_ask", Float),
        core("bid_volume_t0", Float),
        core("ask_volume_t0", Float),
        core("bid_volume_t1", Float),
        core("ask_volume_t1", Float),
    ],
};

/// `instrument`
pub const INSTRUMENT: Measurement = Measurement {
    name: "instrument",
    from: "instruments",
    tags: &["exchange", "instrument"],
    fields: &[
        core("base", String),
        core("quote", String),
        core("price_increment", Float),
        core("qty_increment", Float),
        core("price_precision", Integer),
        core("qty_precision", Integer),
        core("status", String),
        core("valid_from", Integer),
    ],
};
