//! What clients of Betfair's stream ask for. Every request gets a status with its id, and every error ends the
//! connection, except that too many markets were asked for
//! (<https://betfair-developer-docs.atlassian.net/wiki/spaces/1smk3cen4v3lu3yomq5qye0ni/pages/2687396>).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Deserialize;

use super::super::exchange::{Beat, State};
use super::super::fault::FaultKind;
use super::delta::DataFilter;
use super::market::{Betfair, Subscription, millis, token};
use super::{Credentials, Limits};

/// Images larger than this come in segments, if the client has asked for them.
const SEGMENT_BYTES: usize = 64 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    op: String,
    id: Option<i64>,
    app_key: Option<String>,
    session: Option<String>,
    #[serde(default)]
    segmentation_enabled: bool,
    conflate_ms: Option<u64>,
    heartbeat_ms: Option<u64>,
    initial_clk: Option<String>,
    clk: Option<String>,
    #[serde(default)]
    market_filter: MarketFilter,
    #[serde(default)]
    market_data_filter: DataFilter,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MarketFilter {
    market_ids: Option<Vec<String>>,
    event_ids: Option<Vec<String>>,
    event_type_ids: Option<Vec<String>>,
    country_codes: Option<Vec<String>>,
    market_types: Option<Vec<String>>,
    venues: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Definition {
    event_id: String,
    event_type_id: String,
    country_code: String,
    market_type: String,
    venue: String,
}

impl MarketFilter {
    fn lets(&self, id: &str, definition: &Definition) -> bool {
        let fits = |asked: &Option<Vec<String>>, found: &str| {
            asked.as_ref().is_none_or(|asked| asked.is_empty() || asked.iter().any(|one| one == found))
        };
        fits(&self.market_ids, id)
            && fits(&self.event_ids, &definition.event_id)
            && fits(&self.event_type_ids, &definition.event_type_id)
            && fits(&self.country_codes, &definition.country_code)
            && fits(&self.market_types, &definition.market_type)
            && fits(&self.venues, &definition.venue)
    }
}

/// The first line of a connection.
pub(super) fn connection(id: u64) -> String {
    format!("{{\"op\":\"connection\",\"connectionId\":\"002-{id:012}-174\"}}")
}

fn id_text(id: Option<i64>) -> String {
    id.map_or_else(String::new, |id| format!("\"id\":{id},"))
}

/// An error that ends the connection, or not.
fn failure(id: Option<i64>, code: &str, closed: bool) -> String {
    format!(
        "{{\"op\":\"status\",{}\"statusCode\":\"FAILURE\",\"errorCode\":\"{code}\",\"errorMessage\":\"simulated: {code}\",\
         \"connectionClosed\":{closed}}}",
        id_text(id)
    )
}

fn refuse(state: &mut State<Betfair>, connection: u64, id: Option<i64>, code: &str) {
    state.dismiss(connection, failure(id, code, true));
}

/// The client has said nothing in time.
pub(super) fn timed_out(state: &mut State<Betfair>, connection: u64) {
    refuse(state, connection, None, "TIMEOUT");
}

/// Takes one line of a client.
pub(super) fn take(
    state: &mut State<Betfair>,
    connection: u64,
    text: &str,
    credentials: &Credentials,
    limits: &Limits,
) {
    state.hear(connection, text);
    let Ok(request) = serde_json::from_str::<Request>(text) else {
        return refuse(state, connection, None, "INVALID_INPUT");
    };
    let is_authenticated = state.profile(connection).is_some_and(|profile| profile.is_authenticated);
    match request.op.as_str() {
        "authentication" => authenticate(state, connection, &request, credentials, limits),
        "heartbeat" => state.say(connection, success(request.id, "")),
        "marketSubscription" | "orderSubscription" if !is_authenticated => {
            refuse(state, connection, request.id, "NOT_AUTHORIZED");
        }
        "marketSubscription" => markets(state, connection, request, limits),
        "orderSubscription" => orders(state, connection, &request, limits),
        _ => refuse(state, connection, request.id, "INVALID_REQUEST"),
    }
}

fn success(id: Option<i64>, further: &str) -> String {
    format!(
        "{{\"op\":\"status\",{}\"statusCode\":\"SUCCESS\",\"connectionClosed\":false{further}}}",
        id_text(id)
    )
}

fn authenticate(
    state: &mut State<Betfair>,
    connection: u64,
    request: &Request,
    credentials: &Credentials,
    limits: &Limits,
) {
    let known = |session: &String| state.market.sessions.contains(session);
    let error = match (&request.app_key, &request.session) {
        (None, _) => Some("NO_APP_KEY"),
        (Some(key), _) if *key != credentials.app_key => Some("INVALID_APP_KEY"),
        (_, None) => Some("NO_SESSION"),
        (_, Some(session)) if !known(session) => Some("INVALID_SESSION_INFORMATION"),
        _ if state.take(FaultKind::RateLimit, Some("stream")) => Some("TOO_MANY_REQUESTS"),
        _ if state.take(FaultKind::ExpiredToken, None) => Some("INVALID_SESSION_INFORMATION"),
        _ if state.open() > limits.connections => Some("MAX_CONNECTION_LIMIT_EXCEEDED"),
        _ => None,
    };
    if let Some(code) = error {
        return refuse(state, connection, request.id, code);
    }
    if let Some(profile) = state.profile(connection) {
        profile.is_authenticated = true;
    }
    let left = limits.connections.saturating_sub(state.open());
    state.say(connection, success(request.id, &format!(",\"connectionsAvailable\":{left}")));
}

/// What a subscription begins with: where it resumes from, its tokens and what it has effectively.
struct Begin {
    id: i64,
    /// Position to go on from; none: from an image.
    from: Option<u64>,
    initial_clk: String,
    conflate_ms: u64,
    heartbeat_ms: u64,
}

impl Begin {
    /// None if its tokens are refused.
    fn of(
        state: &mut State<Betfair>,
        connection: u64,
        request: &Request,
        criteria: &str,
        limits: &Limits,
    ) -> Option<Self> {
        // Who resumes must ask for the same as before: the first token tells.
        let initial_clk = STANDARD_NO_PAD.encode(crc32fast::hash(criteria.as_bytes()).to_be_bytes());
        let mut from = None;
        if let Some(clk) = &request.clk {
            from = state.market.position(clk);
            let is_other = request.initial_clk.as_ref() != Some(&initial_clk);
            if state.take(FaultKind::InvalidClock, None) || is_other || from.is_none() {
                refuse(state, connection, request.id, "INVALID_CLOCK");
                return None;
            }
        }
        let asked_ms = request.heartbeat_ms.unwrap_or(5_000).clamp(500, 5_000);
        let heartbeat_ms = limits.heartbeat_ms.unwrap_or(asked_ms);
        let conflate_ms = request.conflate_ms.unwrap_or(0).min(120_000);
        Some(Self { id: request.id.unwrap_or(0), from, initial_clk, conflate_ms, heartbeat_ms })
    }

    fn beat(&self) -> Beat {
        Beat { every_ns: Duration::from_millis(self.heartbeat_ms).as_nanos() as u64, only_idle: true }
    }

    /// The keys of an image or of what a resumption brings, up to its content.
    fn head(&self, op: &str, clk: &str, pt_ms: i64, segment: &str) -> String {
        let Self { id, initial_clk, conflate_ms, heartbeat_ms, from } = self;
        let kind = if from.is_some() { "RESUB_DELTA" } else { "SUB_IMAGE" };
        format!(
            "{{\"op\":\"{op}\",\"id\":{id},\"initialClk\":\"{initial_clk}\",\"clk\":\"{clk}\",\"conflateMs\":{conflate_ms},\
             \"heartbeatMs\":{heartbeat_ms},\"pt\":{pt_ms},\"ct\":\"{kind}\"{segment}"
        )
    }
}

fn markets(state: &mut State<Betfair>, connection: u64, request: Request, limits: &Limits) {
    let definition = |state: &State<Betfair>, id: &str| -> Definition {
        let text = state.market.definition(id);
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    };
    let ids: Vec<String> = state
        .market
        .ids()
        .into_iter()
        .filter(|id| request.market_filter.lets(id, &definition(state, id)))
        .collect();
    let refused = ids.iter().any(|id| state.take(FaultKind::Refuse, Some(&format!("market {id}"))));
    if refused || ids.len() > limits.markets {
        return state.say(connection, failure(request.id, "SUBSCRIPTION_LIMIT_EXCEEDED", false));
    }
    let criteria = format!("{:?} {:?}", request.market_filter, request.market_data_filter);
    let Some(begin) = Begin::of(state, connection, &request, &criteria, limits) else { return };
    let (clk, pt_ms) = (token(state.market.position), millis(state.wall()));
    let filter = request.market_data_filter;
    let subscription = Arc::new(Subscription { id: begin.id, filter, clk: Mutex::new(clk.clone()) });
    // A new subscription replaces the old one.
    for stream in state.subscribed(connection).iter().filter(|stream| stream.starts_with("market ")) {
        state.unsubscribe(connection, stream);
    }
    state.say(connection, success(request.id, ""));
    let mut parts: Vec<(String, String)> = Vec::new();
    for id in &ids {
        let filter = &subscription.filter;
        let text = match begin.from {
            Some(from) => state.market.since(id, from, filter),
            None => state.market.image(id, filter),
        };
        parts.push((format!("market {id}"), text.unwrap_or_default()));
    }
    let segments = segments(parts, request.segmentation_enabled);
    let last = segments.len() - 1;
    for (place, (names, content)) in segments.into_iter().enumerate() {
        let segment = match place {
            _ if last == 0 => "",
            0 => ",\"segmentType\":\"SEG_START\"",
            place if place == last => ",\"segmentType\":\"SEG_END\"",
            _ => ",\"segmentType\":\"SEG\"",
        };
        let head = begin.head("mcm", &clk, pt_ms, segment);
        state.snapshot(connection, &names, format!("{head},\"mc\":[{content}]}}"));
    }
    if let Some(profile) = state.profile(connection) {
        profile.markets = Some(Arc::clone(&subscription));
    }
    state.beat(connection, begin.beat());
    for id in ids {
        state.subscribe(connection, &format!("market {id}"), Arc::clone(&subscription));
    }
}

/// Puts markets into messages: one, or as many as their size takes.
fn segments(parts: Vec<(String, String)>, split: bool) -> Vec<(Vec<String>, String)> {
    let mut segments: Vec<(Vec<String>, String)> = vec![(Vec::new(), String::new())];
    for (name, text) in parts {
        let is_full = segments.last().is_some_and(|(_, content)| content.len() + text.len() > SEGMENT_BYTES);
        if split && is_full {
            segments.push((Vec::new(), String::new()));
        }
        if let Some((names, content)) = segments.last_mut() {
            names.push(name);
            if !content.is_empty() && !text.is_empty() {
                content.push(',');
            }
            content.push_str(&text);
        }
    }
    segments
}

fn orders(state: &mut State<Betfair>, connection: u64, request: &Request, limits: &Limits) {
    let Some(begin) = Begin::of(state, connection, request, "orders", limits) else { return };
    let (clk, pt_ms) = (token(state.market.position), millis(state.wall()));
    let subscription =
        Arc::new(Subscription { id: begin.id, filter: DataFilter::default(), clk: Mutex::new(clk.clone()) });
    state.unsubscribe(connection, "orders");
    state.say(connection, success(request.id, ""));
    let content = match begin.from {
        Some(from) => state.market.orders.since(from),
        None => state.market.orders.image(),
    };
    let head = begin.head("ocm", &clk, pt_ms, "");
    state.snapshot(connection, &["orders".to_owned()], format!("{head},\"oc\":[{content}]}}"));
    if let Some(profile) = state.profile(connection) {
        profile.orders = Some(Arc::clone(&subscription));
    }
    state.beat(connection, begin.beat());
    state.subscribe(connection, "orders", subscription);
}
