//! What Kraken's WebSocket v2 clients ask for, and the answers: one ack or refusal a symbol, with the client's `req_id`
//! (<https://docs.kraken.com/api/docs/guides/spot-ws-intro>).

use serde::Deserialize;
use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::rfc3339;

use super::super::exchange::{Beat, State};
use super::super::fault::FaultKind;
use super::book::DEPTHS;
use super::market::{Kraken, Terms};
use super::rest::instruments;

#[derive(Deserialize)]
struct Request {
    method: String,
    req_id: Option<u64>,
    #[serde(default)]
    params: Params,
}

#[derive(Deserialize, Default)]
struct Params {
    #[serde(default)]
    channel: String,
    symbol: Option<Vec<String>>,
    depth: Option<usize>,
    snapshot: Option<bool>,
    event_trigger: Option<String>,
    token: Option<String>,
    snap_orders: Option<bool>,
    snap_trades: Option<bool>,
}

/// The first frame of a connection, and the news about maintenance.
pub(super) fn status(is_closed: bool, connection: u64) -> String {
    let system = if is_closed { "maintenance" } else { "online" };
    // Above 2^53, as the venue's are.
    let id = 2_950_167_385_101_900_000 + connection;
    format!(
        "{{\"channel\":\"status\",\"type\":\"update\",\"data\":[{{\"version\":\"2.0.10\",\"system\":\"{system}\",\
         \"api_version\":\"v2\",\"connection_id\":{id}}}]}}"
    )
}

/// One answer, with its times.
struct Reply<'a> {
    method: &'a str,
    req_id: Option<u64>,
    at: WallNanos,
}

impl Reply<'_> {
    fn tail(&self) -> String {
        let time = rfc3339(self.at, 6);
        let id = self.req_id.map_or_else(String::new, |id| format!(",\"req_id\":{id}"));
        format!("\"time_in\":\"{time}\",\"time_out\":\"{time}\"{id}}}")
    }

    fn done(&self, result: &str) -> String {
        format!("{{\"method\":\"{}\",\"result\":{{{result}}},\"success\":true,{}", self.method, self.tail())
    }

    fn refused(&self, error: &str, symbol: Option<&str>) -> String {
        let symbol = symbol.map_or_else(String::new, |symbol| format!("\"symbol\":{symbol:?},"));
        let Self { method, .. } = self;
        format!("{{\"error\":{error:?},\"method\":\"{method}\",\"success\":false,{symbol}{}", self.tail())
    }
}

/// Takes one message of a client.
pub(super) fn take(state: &mut State<Kraken>, id: u64, text: &str, beat: Beat) {
    state.hear(id, text);
    let at = state.wall();
    let Ok(request) = serde_json::from_str::<Request>(text) else {
        return state.say(id, Reply { method: "", req_id: None, at }.refused("Malformed request", None));
    };
    let reply = Reply { method: &request.method, req_id: request.req_id, at };
    match request.method.as_str() {
        "ping" => state.say(id, format!("{{\"method\":\"pong\",{}", pong(&reply))),
        "subscribe" => {
            subscribe(state, id, &request.params, &reply);
            state.beat(id, beat);
        }
        "unsubscribe" => unsubscribe(state, id, &request.params, &reply),
        _ => state.say(id, reply.refused("Method not supported", None)),
    }
}

/// Fields in the order of the venue.
fn pong(reply: &Reply<'_>) -> String {
    let id = reply.req_id.map_or_else(String::new, |id| format!("\"req_id\":{id},"));
    let time = rfc3339(reply.at, 6);
    format!("{id}\"time_in\":\"{time}\",\"time_out\":\"{time}\"}}")
}

fn subscribe(state: &mut State<Kraken>, id: u64, params: &Params, reply: &Reply<'_>) {
    let channel = params.channel.as_str();
    match channel {
        "book" | "trade" | "ticker" => {}
        "executions" => return executions(state, id, params, reply),
        "instrument" => {
            state.say(id, reply.done("\"channel\":\"instrument\",\"snapshot\":true"));
            let text = instruments(&state.market);
            return state.say(id, text);
        }
        _ => return state.say(id, reply.refused("Channel not supported", None)),
    }
    let depth = params.depth.unwrap_or(10);
    if channel == "book" && !DEPTHS.contains(&depth) {
        return state.say(id, reply.refused("Subscription depth not supported", None));
    }
    let trigger = params.event_trigger.as_deref().unwrap_or("trades");
    if channel == "ticker" && !["trades", "bbo"].contains(&trigger) {
        return state.say(id, reply.refused("Event trigger not supported", None));
    }
    if params.symbol.as_ref().is_none_or(Vec::is_empty) {
        return state.say(id, reply.refused("Symbol missing", None));
    }
    for symbol in params.symbol.iter().flatten() {
        let stream = format!("{channel} {symbol}");
        let recorded_depth = state.market.recorded(&stream).map(|recorded| recorded.depth);
        let is_refused = state.take(FaultKind::Refuse, Some(&stream));
        if is_refused || state.market.pair(symbol).is_none() {
            let error = format!("Currency pair not supported {symbol}");
            state.say(id, reply.refused(&error, Some(symbol)));
            continue;
        }
        if channel == "book" && recorded_depth.is_some_and(|recorded| recorded != depth) {
            state.say(id, reply.refused("Subscription depth not supported", Some(symbol)));
            continue;
        }
        if state.subscribed(id).contains(&stream) {
            state.say(id, reply.refused("Already subscribed", Some(symbol)));
            continue;
        }
        let wants_snapshot = params.snapshot.unwrap_or(channel != "trade");
        let extra = match channel {
            "book" => format!("\"depth\":{depth},"),
            "ticker" => format!("\"event_trigger\":\"{trigger}\","),
            _ => String::new(),
        };
        let result =
            format!("\"channel\":\"{channel}\",{extra}\"snapshot\":{wants_snapshot},\"symbol\":{symbol:?}");
        state.say(id, reply.done(&result));
        if wants_snapshot && let Some(text) = snapshot(&mut state.market, channel, symbol, depth, reply.at) {
            state.snapshot(id, std::slice::from_ref(&stream), text);
        }
        let terms = if channel == "book" { Terms::Book { depth } } else { Terms::Plain };
        state.subscribe(id, &stream, terms);
    }
}

fn snapshot(market: &mut Kraken, channel: &str, symbol: &str, depth: usize, at: WallNanos) -> Option<String> {
    let stream = format!("{channel} {symbol}");
    if let Some(recorded) = market.recorded(&stream) {
        return recorded.snapshot();
    }
    let pair = market.pair(symbol)?;
    Some(match channel {
        "book" => pair.book.snapshot(depth, at),
        "ticker" => pair.ticker.message("snapshot", at),
        _ => pair.trades.snapshot(),
    })
}

fn executions(state: &mut State<Kraken>, id: u64, params: &Params, reply: &Reply<'_>) {
    let known = params.token.as_ref().is_some_and(|token| state.market.tokens.contains(token));
    if state.take(FaultKind::ExpiredToken, None) || !known {
        return state.say(id, reply.refused("ESession:Invalid session", None));
    }
    if state.take(FaultKind::Refuse, Some("executions")) {
        return state.say(id, reply.refused("EGeneral:Permission denied", None));
    }
    let (orders, trades) = (params.snap_orders.unwrap_or(true), params.snap_trades.unwrap_or(false));
    let result = format!("\"channel\":\"executions\",\"snap_orders\":{orders},\"snap_trades\":{trades}");
    state.say(id, reply.done(&result));
    let mut sequence = 0;
    if let Some(text) = state.market.orders.snapshot(orders, trades, reply.at, 1) {
        sequence = 1;
        state.snapshot(id, &["executions".to_owned()], text);
    }
    state.subscribe(id, "executions", Terms::Executions { sequence });
}

fn unsubscribe(state: &mut State<Kraken>, id: u64, params: &Params, reply: &Reply<'_>) {
    let channel = params.channel.as_str();
    let whole = [String::new()];
    let symbols = params.symbol.as_deref().filter(|_| channel != "executions").unwrap_or(&whole);
    for symbol in symbols {
        let stream = if symbol.is_empty() { channel.to_owned() } else { format!("{channel} {symbol}") };
        let depth = if channel == "book" {
            format!("\"depth\":{},", params.depth.unwrap_or(10))
        } else {
            String::new()
        };
        let answer = if state.unsubscribe(id, &stream) {
            let named = if symbol.is_empty() { String::new() } else { format!(",\"symbol\":{symbol:?}") };
            let named = format!("\"channel\":\"{channel}\",{depth}{}", named.trim_start_matches(','));
            reply.done(named.trim_end_matches(','))
        } else {
            reply
                .refused("Subscription Not Found", Some(symbol).filter(|s| !s.is_empty()).map(String::as_str))
        };
        state.say(id, answer);
    }
}
