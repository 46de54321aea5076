//! What is written to the venue: lines of the stream, and the requests around a session
//! (<https://betfair-developer-docs.atlassian.net/wiki/spaces/1smk3cen4v3lu3yomq5qye0ni/pages/2687396>).

use serde::Serialize;

use super::settings::{Markets, Settings, Subscription};
use crate::connect::Request;

/// Where a subscription goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clocks {
    pub(super) initial: Option<String>,
    pub(super) clk: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Authentication<'a> {
    op: &'static str,
    id: i64,
    app_key: &'a str,
    session: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Subscribe<'a> {
    op: &'static str,
    id: i64,
    segmentation_enabled: bool,
    conflate_ms: u64,
    heartbeat_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial_clk: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clk: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    market_filter: Option<MarketFilter<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    market_data_filter: Option<MarketDataFilter<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MarketFilter<'a> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    event_type_ids: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    country_codes: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    market_types: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    market_ids: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MarketDataFilter<'a> {
    fields: &'a [String],
    ladder_levels: u8,
}

/// These types have no way to fail.
fn line(request: &impl Serialize) -> String {
    serde_json::to_string(request).unwrap_or_default()
}

/// Who we are.
pub(super) fn authentication(id: i64, app_key: &str, session: &str) -> String {
    line(&Authentication { op: "authentication", id, app_key, session })
}

/// What is asked for, always in the same words: who resumes must ask for the same as before.
pub(super) fn subscription(id: i64, settings: &Settings, clocks: &Clocks) -> String {
    let markets = match &settings.subscription {
        Subscription::Markets(markets) => Some(markets),
        Subscription::Orders => None,
    };
    line(&Subscribe {
        op: if markets.is_some() { "marketSubscription" } else { "orderSubscription" },
        id,
        segmentation_enabled: true,
        conflate_ms: settings.conflate_ms,
        heartbeat_ms: settings.heartbeat_ms,
        initial_clk: clocks.initial.as_deref(),
        clk: clocks.clk.as_deref(),
        market_filter: markets.map(filter),
        market_data_filter: markets.map(|markets| MarketDataFilter {
            fields: &markets.fields,
            ladder_levels: markets.ladder_levels,
        }),
    })
}

fn filter(markets: &Markets) -> MarketFilter<'_> {
    MarketFilter {
        event_type_ids: &markets.event_type_ids,
        country_codes: &markets.country_codes,
        market_types: &markets.market_types,
        market_ids: &markets.market_ids,
    }
}

/// A login with the client's certificate.
pub(super) fn login(url: &str, app_key: &str, username: &str, password: &str) -> Request {
    Request {
        url: format!("{url}/api/certlogin"),
        headers: vec![
            ("X-Application", app_key.to_owned()),
            ("Accept", "application/json".to_owned()),
            ("Content-Type", "application/x-www-form-urlencoded".to_owned()),
        ],
        body: Some(format!("username={}&password={}", form(username), form(password))),
    }
}

/// The session lives on.
pub(super) fn keep_alive(url: &str, app_key: &str, session: &str) -> Request {
    Request {
        url: format!("{url}/api/keepAlive"),
        headers: vec![
            ("X-Application", app_key.to_owned()),
            ("X-Authentication", session.to_owned()),
            ("Accept", "application/json".to_owned()),
        ],
        body: Some(String::new()),
    }
}

/// A value of a form: everything but letters, digits and `-._~` as `%XX`.
fn form(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                for nibble in [byte >> 4, byte & 15] {
                    out.extend(
                        char::from_digit(u32::from(nibble), 16).map(|digit| digit.to_ascii_uppercase()),
                    );
                }
            }
        }
    }
    out
}
