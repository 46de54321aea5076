//! A marked tick of each decoder: the smallest message of its venue that makes a point, with a symbol that no venue has.

use serde_json::{Map, Value, json};

use super::{Custom, DecoderKind, Feed, WallNanos, rfc3339};

/// The symbol of the marked ticks of one feed, in the words of each venue: two feeds may have one decoder.
struct Symbol {
    /// Of those who want two currencies.
    pair: String,
    base: String,
    instrument: String,
    /// A market that Betfair does not number so.
    market: String,
    topic: String,
}

impl Symbol {
    fn of(feed: usize) -> Self {
        let base = format!("TICKLINE{feed}");
        Self {
            pair: format!("{base}/VALIDATE"),
            instrument: format!("{base}_VALIDATE"),
            market: format!("0.{feed:09}"),
            topic: format!("tickline-validate-{feed}"),
            base,
        }
    }
}

/// What is sent, and what must be stored of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    /// The venue's message.
    pub(super) json: String,
    pub(super) measurement: String,
    /// The tag that marks it, and its value.
    pub(super) tag: String,
    pub(super) tag_value: String,
    /// A field, and its value.
    pub(super) field: String,
    pub(super) value: f64,
}

/// Tick `n` of the feed that has this place among all; none for a custom feed without a tag or a number.
pub(super) fn mark(feed: &Feed, place: usize, n: u64, at: WallNanos) -> Option<Mark> {
    let symbol = Symbol::of(place);
    let (pair, instrument, market) =
        (symbol.pair.as_str(), symbol.instrument.as_str(), symbol.market.as_str());
    let (time, ms) = (rfc3339(at, 6), at.0 / 1_000_000);
    // Of two decimals, so that no digit is lost on the way.
    let value = 1.25 + n as f64;
    let kraken =
        |channel: &str, kind: &str, data: Value| json!({ "channel": channel, "type": kind, "data": [data] });
    let (json, measurement, tag, mark, field) = match feed.decoder {
        DecoderKind::KrakenTick => {
            let data = json!({ "symbol": pair, "bid": value, "timestamp": time });
            (kraken("ticker", "update", data), "kraken_tick", "pair", pair, "bid")
        }
        DecoderKind::KrakenDepth => {
            let data = json!({ "symbol": pair, "timestamp": time, "bids": [[value, 1]], "asks": [[value + 1.0, 1]] });
            (data, "kraken_depth", "pair", pair, "bid_price")
        }
        DecoderKind::KrakenTrades => {
            let data = json!({ "symbol": pair, "side": "buy", "price": value, "qty": 1, "ord_type": "market",
                "trade_id": n, "timestamp": time });
            (kraken("trade", "update", data), "kraken_trades", "pair", pair, "price")
        }
        DecoderKind::KrakenOrders => {
            let data = json!({ "order_id": "TICKLINE", "exec_type": "new", "order_status": "new", "symbol": pair,
                "side": "buy", "order_type": "limit", "limit_price": value, "avg_price": value,
                "last_price": value, "timestamp": time });
            (kraken("executions", "update", data), "kraken_orders", "pair", pair, "price")
        }
        DecoderKind::OandaTick => {
            let json = json!({ "type": "PRICE", "time": time, "instrument": instrument,
                "bids": [{ "price": value.to_string(), "liquidity": 1 }] });
            (json, "oanda_tick", "instrument", instrument, "bid")
        }
        DecoderKind::OandaOrders => {
            let json = json!({ "type": "ORDER_FILL", "id": n.to_string(), "accountID": "0", "time": time,
                "instrument": instrument, "price": value.to_string(), "units": "1" });
            (json, "oanda_orders", "instrument", instrument, "price")
        }
        DecoderKind::BetfairStream => return Some(betfair(market, n, ms)),
        DecoderKind::BetfairOrders => {
            let order = json!({ "id": n.to_string(), "p": value, "s": 2, "side": "B", "status": "E", "pt": "L",
                "ot": "L", "pd": ms });
            let changes = json!({ "id": market, "orc": [{ "id": 7, "uo": [order] }] });
            let json = json!({ "op": "ocm", "id": 3, "clk": "A", "pt": ms, "oc": [changes] });
            (json, "betfair_orders", "market_id", market, "price")
        }
        DecoderKind::TwitterSentiment => {
            let json = json!({ "id": n.to_string(), "ts_ms": ms, "topic": symbol.topic, "author": "tickline",
                "source": "validate", "sentiment_score": value.to_string() });
            (json, "twitter_sentiment", "topic", symbol.topic.as_str(), "sentiment_score")
        }
        DecoderKind::KrakenEurusdTick | DecoderKind::KrakenEurusdDepth => {
            let json = json!({ "instrument_t0": symbol.base, "instrument_t1": "VALIDATE", "timestamp": time,
                "bid_t0": value.to_string(), "ask_t0": (value + 0.5).to_string(), "bid_t1": "1", "ask_t1": "2",
                "bid_volume_t0": "1", "ask_volume_t0": "1", "bid_volume_t1": "1", "ask_volume_t1": "1" });
            let depth = feed.decoder == DecoderKind::KrakenEurusdDepth;
            let measurement = if depth { "synthetic_depth" } else { "synthetic" };
            (json, measurement, "instrument_t0", symbol.base.as_str(), "bid_t0")
        }
        DecoderKind::Instruments => {
            let json = json!({ "exchange": "tickline", "instrument": pair, "price_increment": value.to_string(),
                "qty_increment": "1", "status": "online", "timestamp": time });
            (json, "instrument", "instrument", pair, "price_increment")
        }
        DecoderKind::Custom => return custom(feed.custom.as_ref()?, instrument, value, ms),
    };
    Some(stored(&json, measurement, (tag, mark), field, value))
}

/// An image, then changes of the best price from one step of the ladder to the next.
fn betfair(market_id: &str, n: u64, ms: i64) -> Mark {
    let price = |n: f64| 2.0 + n * 0.02;
    let runner = match n {
        0 => json!({ "id": 7, "atb": [[price(0.0), 1]] }),
        n => json!({ "id": 7, "atb": [[price(n as f64 - 1.0), 0], [price(n as f64), 1]] }),
    };
    let market = json!({ "id": market_id, "img": n == 0, "rc": [runner] });
    let json = json!({ "op": "mcm", "id": 1, "clk": "A", "pt": ms, "mc": [market] });
    stored(&json, "betfair_stream", ("market_id", market_id), "back_price", price(n as f64))
}

fn stored(json: &Value, measurement: &str, tag: (&str, &str), field: &str, value: f64) -> Mark {
    Mark {
        json: json.to_string(),
        measurement: measurement.to_owned(),
        tag: tag.0.to_owned(),
        tag_value: tag.1.to_owned(),
        field: field.to_owned(),
        value,
    }
}

/// A message in the user's own words: every tag marked, every field a number, and the time where it is looked for.
fn custom(custom: &Custom, mark: &str, value: f64, ms: i64) -> Option<Mark> {
    use tickline_config::model::CustomType;
    let mut message = Value::Object(Map::new());
    let (tag, _) = custom.tags.first()?;
    let (field, _, _) = custom.fields.iter().find(|(_, _, kind)| *kind == CustomType::Float)?;
    for (_, path) in &custom.tags {
        put(&mut message, path, mark.into());
    }
    for (_, path, kind) in &custom.fields {
        let given = match kind {
            CustomType::Float => value.into(),
            CustomType::Int => 1.into(),
            CustomType::Bool => true.into(),
            CustomType::Str => "validate".into(),
        };
        put(&mut message, path, given);
    }
    if let Some(time) = &custom.time {
        put(&mut message, &time.path, (ms * 1_000_000 / time.unit.nanos()).into());
    }
    Some(stored(&message, &custom.measurement, (tag, mark), field, value))
}

fn put(into: &mut Value, path: &[String], value: Value) {
    match path {
        [] => *into = value,
        [key, rest @ ..] => {
            if !into.is_object() {
                *into = Value::Object(Map::new());
            }
            put(&mut into[key.as_str()], rest, value);
        }
    }
}
