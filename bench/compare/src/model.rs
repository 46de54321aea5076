//! The two messages as structs that borrow, for the ways that read into one, and the names they belong to.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use crate::Kind;

/// `{"error":[],"result":{PAIR:{…}}}`
#[derive(Debug, Deserialize)]
pub struct Rest<'a> {
    /// Must be empty.
    #[serde(borrow)]
    pub error: Vec<&'a str>,
    /// Pair name to ticker.
    #[serde(borrow)]
    pub result: BTreeMap<&'a str, Pair<'a>>,
}

/// One pair of REST Ticker.
#[derive(Debug, Deserialize)]
pub struct Pair<'a> {
    /// Ask: price, whole lots, lots.
    #[serde(borrow)]
    pub a: [&'a str; 3],
    /// Bid: price, whole lots, lots.
    #[serde(borrow)]
    pub b: [&'a str; 3],
    /// Last trade: price, lots.
    #[serde(borrow)]
    pub c: [&'a str; 2],
    /// Volume: today, 24 h.
    #[serde(borrow)]
    pub v: [&'a str; 2],
    /// Average price.
    #[serde(borrow)]
    pub p: [&'a str; 2],
    /// Trades.
    pub t: [i64; 2],
    /// Low.
    #[serde(borrow)]
    pub l: [&'a str; 2],
    /// High.
    #[serde(borrow)]
    pub h: [&'a str; 2],
    /// Opening price.
    pub o: &'a str,
}

/// Names of the fields of [`Pair::fields`], in the order of the line; the two of them that count trades are
/// at 10 and 11.
pub const PAIR_FIELDS: [&str; 17] = [
    "bid",
    "bid_qty",
    "ask",
    "ask_qty",
    "last_trade_price",
    "volume",
    "vwap",
    "last_trade_qty",
    "volume_today",
    "vwap_today",
    "trades",
    "trades_today",
    "low",
    "low_today",
    "high",
    "high_today",
    "open",
];

/// A value of a line.
#[derive(Clone, Copy, Debug)]
pub enum Field<'a> {
    /// A float that came as text.
    Decimal(&'a str),
    /// An integer.
    Int(i64),
}

impl Pair<'_> {
    /// The fields in the order of [`PAIR_FIELDS`].
    pub fn fields(&self) -> [Field<'_>; 17] {
        use Field::{Decimal, Int};
        [
            Decimal(self.b[0]),
            Decimal(self.b[2]),
            Decimal(self.a[0]),
            Decimal(self.a[2]),
            Decimal(self.c[0]),
            Decimal(self.v[1]),
            Decimal(self.p[1]),
            Decimal(self.c[1]),
            Decimal(self.v[0]),
            Decimal(self.p[0]),
            Int(self.t[1]),
            Int(self.t[0]),
            Decimal(self.l[1]),
            Decimal(self.l[0]),
            Decimal(self.h[1]),
            Decimal(self.h[0]),
            Decimal(self.o),
        ]
    }
}

/// OANDA's flat map.
#[derive(Debug, Deserialize)]
pub struct Flat<'a> {
    /// Such as `EUR_USD`.
    pub instrument: &'a str,
    /// RFC 3339.
    pub time: &'a str,
    /// Bid.
    pub bid: &'a str,
    /// Ask.
    pub ask: &'a str,
    /// Volume.
    pub volume: i64,
}

/// Names of the fields of [`Flat`], in the order of the line.
pub const FLAT_FIELDS: [&str; 3] = ["bid", "ask", "volume"];

impl Flat<'_> {
    /// The fields in the order of [`FLAT_FIELDS`].
    pub fn fields(&self) -> [Field<'_>; 3] {
        [Field::Decimal(self.bid), Field::Decimal(self.ask), Field::Int(self.volume)]
    }
}

/// Tags of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags {
    /// Base currency.
    pub base: String,
    /// Quote currency.
    pub quote: String,
    /// Tag `pair` or `instrument`.
    pub name: String,
}

/// Name on the wire to tags.
#[derive(Debug)]
pub struct Names {
    kind: Kind,
    known: HashMap<String, Tags>,
}

impl Names {
    /// No name known yet.
    pub fn new(kind: Kind) -> Self {
        Self { kind, known: HashMap::new() }
    }

    /// The tags behind a name.
    pub fn tags(&mut self, name: &str) -> &Tags {
        if !self.known.contains_key(name) {
            let tags = resolve(self.kind, name);
            self.known.insert(name.to_owned(), tags);
        }
        &self.known[name]
    }
}

/// What a name means, by the rules of tickline's instrument table.
pub fn resolve(kind: Kind, name: &str) -> Tags {
    if kind == Kind::FlatPrice {
        let (base, quote) = name.split_once('_').unwrap_or_default();
        return Tags { base: base.to_owned(), quote: quote.to_owned(), name: name.to_owned() };
    }
    let quote = if name.ends_with("EUR") { "EUR" } else { "USD" };
    let base = match name.trim_end_matches(quote) {
        "XXBTZ" => "BTC",
        "XDG" => "DOGE",
        long if long.len() == 5 && long.starts_with('X') && long.ends_with('Z') => &long[1..4],
        short => short,
    };
    Tags { base: base.to_owned(), quote: quote.to_owned(), name: format!("{base}/{quote}") }
}

/// Measurement and name of the tag that holds the symbol.
pub fn series_of(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::RestPair => ("kraken_tick", "pair", "kraken"),
        Kind::FlatPrice => ("oanda_tick", "instrument", "oanda"),
    }
}
