//! Keys of `[publishers.NAME]`: those of every publisher, those of its venue, and its own.

use super::{Kind, Section, has, may, needs};

/// A kind of publisher with its sections.
#[derive(Debug)]
pub(crate) struct PublisherForm {
    pub(crate) kind: &'static str,
    pub(crate) sections: &'static [&'static Section],
}

/// Every publisher.
pub(crate) static PUBLISHER: Section = Section {
    name: "defaults.publisher",
    keys: &[
        needs("kind", Kind::Choice(KINDS)),
        needs("endpoint", Kind::Bind),
        has("decimals", Kind::Choice(&["text", "float64"])),
        has("framing", Kind::Choice(&["multipart", "single"])),
        has("bundle_max", Kind::Integer(1, 1_000)),
        has("sndhwm", Kind::Integer(1, 100_000_000)),
        has("on_refused", Kind::Choice(&["fail", "degrade"])),
        may("tls_ca", Kind::Text),
        may("curve_secret_key", Kind::Secret),
        may("curve_allow", Kind::Text),
    ],
};

const KINDS: &[&str] = &[
    "kraken_tick",
    "kraken_depth",
    "kraken_trades",
    "kraken_orders",
    "oanda_tick",
    "oanda_orders",
    "twitter_sentiment",
    "kraken_eurusd_tick",
    "kraken_eurusd_depth",
    "kraken_eurusd_basket",
    "instruments",
    "betfair_stream",
    "betfair_orders",
    "statistics",
    "bars",
];

/// Kraken's public data.
pub(crate) static KRAKEN: Section = Section {
    name: "defaults.kraken",
    keys: &[
        has("url", Kind::WebSocket),
        has("rest_url", Kind::Url),
        has("rest_fallback", Kind::Flag),
        has("symbols", Kind::Texts),
    ],
};

/// `kraken_tick`
pub(crate) static KRAKEN_TICK: Section = Section {
    name: "defaults.kraken_tick",
    keys: &[
        has("quotes_from", Kind::Choice(&["ticker", "book", "rest"])),
        has("event_trigger", Kind::Choice(&["bbo", "trades"])),
        has("poll_every", Kind::Duration("1s", "1h")),
    ],
};

/// `kraken_depth`
pub(crate) static KRAKEN_DEPTH: Section = Section {
    name: "defaults.kraken_depth",
    keys: &[
        has("depth", Kind::Integer(10, 1_000)),
        has("levels", Kind::Integer(1, 1_000)),
        has("mode", Kind::Choice(&["all", "conditional"])),
        has("follow", Kind::Endpoint),
    ],
};

/// `kraken_orders`
pub(crate) static KRAKEN_ORDERS: Section = Section {
    name: "defaults.kraken_orders",
    keys: &[
        has("url", Kind::WebSocket),
        has("rest_url", Kind::Url),
        needs("api_key", Kind::Secret),
        needs("api_secret", Kind::Secret),
    ],
};

/// OANDA.
pub(crate) static OANDA: Section = Section {
    name: "defaults.oanda",
    keys: &[
        has("environment", Kind::Choice(&["practice", "live"])),
        may("stream_url", Kind::Url),
        may("rest_url", Kind::Url),
        needs("account", Kind::Text),
        needs("token", Kind::Secret),
    ],
};

/// `oanda_tick`
pub(crate) static OANDA_TICK: Section = Section {
    name: "defaults.oanda_tick",
    keys: &[
        has("instruments", Kind::Texts),
        has("also", Kind::Subset(&["oandav20_tick"])),
        has("per_instrument", Kind::Flag),
    ],
};

/// `twitter_sentiment`
pub(crate) static SENTIMENT: Section = Section {
    name: "defaults.twitter_sentiment",
    keys: &[
        has("source", Kind::Choice(&["x", "rss", "file"])),
        may("url", Kind::Text),
        may("token", Kind::Secret),
        may("feeds", Kind::Texts),
        has("poll_every", Kind::Duration("1s", "1d")),
        may("path", Kind::Text),
        may("rules", Kind::Names),
        has("with_text", Kind::Flag),
    ],
};

/// `kraken_eurusd_tick`
pub(crate) static EURUSD_TICK: Section = Section {
    name: "defaults.kraken_eurusd_tick",
    keys: &[has("from", Kind::Endpoint), has("window", Kind::Texts)],
};

/// `kraken_eurusd_depth`
pub(crate) static EURUSD_DEPTH: Section = Section {
    name: "defaults.kraken_eurusd_depth",
    keys: &[has("from", Kind::Endpoint), has("window", Kind::Texts)],
};

/// `kraken_eurusd_basket`
pub(crate) static EURUSD_BASKET: Section = Section {
    name: "defaults.kraken_eurusd_basket",
    keys: &[has("from", Kind::Endpoint), has("window", Kind::Texts)],
};

/// `instruments`
pub(crate) static INSTRUMENTS: Section = Section {
    name: "defaults.instruments",
    keys: &[
        has("kraken", Kind::Flag),
        has("kraken_url", Kind::Url),
        has("kraken_stream_url", Kind::Url),
        has("environment", Kind::Choice(&["practice", "live"])),
        may("rest_url", Kind::Url),
        may("account", Kind::Text),
        may("token", Kind::Secret),
    ],
};

/// Betfair's Exchange Stream.
pub(crate) static BETFAIR: Section = Section {
    name: "defaults.betfair",
    keys: &[
        has("address", Kind::Text),
        has("login_url", Kind::Url),
        has("keep_alive_url", Kind::Url),
        needs("app_key", Kind::Secret),
        may("username", Kind::Text),
        may("password", Kind::Secret),
        may("tls_client", Kind::Text),
        may("session", Kind::Secret),
        has("keep_alive_every", Kind::Duration("1m", "12h")),
        has("conflate", Kind::Duration("0ms", "2m")),
        has("heartbeat", Kind::Duration("500ms", "5s")),
    ],
};

/// `betfair_stream`
pub(crate) static BETFAIR_STREAM: Section = Section {
    name: "defaults.betfair_stream",
    keys: &[
        has("event_type_ids", Kind::Texts),
        has("country_codes", Kind::Texts),
        has("market_types", Kind::Texts),
        has("market_ids", Kind::Texts),
        has("fields", Kind::Subset(BETFAIR_FIELDS)),
        has("ladder_levels", Kind::Integer(1, 10)),
    ],
};

/// What of a market can be asked for.
const BETFAIR_FIELDS: &[&str] = &[
    "EX_BEST_OFFERS_DISP",
    "EX_BEST_OFFERS",
    "EX_ALL_OFFERS",
    "EX_TRADED",
    "EX_TRADED_VOL",
    "EX_LTP",
    "EX_MARKET_DEF",
    "SP_TRADED",
    "SP_PROJECTED",
];

/// Rates that are made from legs.
pub(crate) static EURUSD: Section = Section {
    name: "defaults.kraken_eurusd",
    keys: &[may("coins", Kind::Texts), has("leg_age_max", Kind::Duration("1s", "1h"))],
};

/// What is made from the prices of another feed.
pub(crate) static DERIVED: Section = Section {
    name: "defaults.derived",
    keys: &[
        has("from", Kind::Endpoint),
        has("from_topic", Kind::Text),
        has("price", Kind::Choice(&["mid", "bid", "ask", "last"])),
    ],
};

/// `statistics`
pub(crate) static STATISTICS: Section = Section {
    name: "defaults.statistics",
    keys: &[
        has("topic", Kind::Text),
        has("window", Kind::Duration("1s", "1d")),
        has("every", Kind::Duration("1s", "1h")),
    ],
};

/// `bars`
pub(crate) static BARS: Section = Section {
    name: "defaults.bars",
    keys: &[
        has("topic", Kind::Text),
        has("every", Kind::Duration("1s", "1d")),
        has("late", Kind::Duration("0ms", "1m")),
    ],
};

/// Every kind of publisher of this version.
pub(crate) static PUBLISHER_FORMS: &[PublisherForm] = &[
    PublisherForm { kind: "kraken_tick", sections: &[&PUBLISHER, &KRAKEN, &KRAKEN_TICK] },
    PublisherForm { kind: "kraken_depth", sections: &[&PUBLISHER, &KRAKEN, &KRAKEN_DEPTH] },
    PublisherForm { kind: "kraken_trades", sections: &[&PUBLISHER, &KRAKEN] },
    PublisherForm { kind: "kraken_orders", sections: &[&PUBLISHER, &KRAKEN_ORDERS] },
    PublisherForm { kind: "oanda_tick", sections: &[&PUBLISHER, &OANDA, &OANDA_TICK] },
    PublisherForm { kind: "oanda_orders", sections: &[&PUBLISHER, &OANDA] },
    PublisherForm { kind: "twitter_sentiment", sections: &[&PUBLISHER, &SENTIMENT] },
    PublisherForm { kind: "kraken_eurusd_tick", sections: &[&PUBLISHER, &EURUSD, &EURUSD_TICK] },
    PublisherForm { kind: "instruments", sections: &[&PUBLISHER, &INSTRUMENTS] },
    PublisherForm { kind: "betfair_stream", sections: &[&PUBLISHER, &BETFAIR, &BETFAIR_STREAM] },
    PublisherForm { kind: "betfair_orders", sections: &[&PUBLISHER, &BETFAIR] },
    PublisherForm { kind: "kraken_eurusd_depth", sections: &[&PUBLISHER, &EURUSD, &EURUSD_DEPTH] },
    PublisherForm { kind: "statistics", sections: &[&PUBLISHER, &DERIVED, &STATISTICS] },
    PublisherForm { kind: "bars", sections: &[&PUBLISHER, &DERIVED, &BARS] },
    PublisherForm { kind: "kraken_eurusd_basket", sections: &[&PUBLISHER, &EURUSD, &EURUSD_BASKET] },
];

/// The form of a kind.
pub(crate) fn form_of(kind: &str) -> Option<&'static PublisherForm> {
    PUBLISHER_FORMS.iter().find(|form| form.kind == kind)
}
