//! OANDA v20: prices, the account's transactions, and instrument definitions, from
//! <https://developer.oanda.com/rest-live-v20/introduction/>. It promises that a venue that says nothing but heartbeats
//! is fine and one that says nothing at all is dead after ten seconds. It refuses to send orders.

mod catch_up;
pub mod instruments;
mod prices;
mod transactions;

use std::borrow::Cow;

use serde::Deserialize;
use tickline_config::secret::Secret;

use crate::clock::WallNanos;
use crate::connect::upstream::Plan;
use crate::connect::{Link, OnRefused};
use crate::time::parse_rfc3339;

pub use prices::{Prices, PricesSettings};
pub use transactions::{Transactions, TransactionsSettings};

/// Two of the venue's heartbeats: <https://developer.oanda.com/rest-live-v20/pricing-ep/>.
const SILENCE_NS: u64 = 10_000_000_000;

/// Who asks, and where.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Host of the streams: `https://stream-fxpractice.oanda.com` or `https://stream-fxtrade.oanda.com`.
    pub stream_url: String,
    /// Host of the requests: `https://api-fxpractice.oanda.com` or `https://api-fxtrade.oanda.com`.
    pub rest_url: String,
    /// `101-004-1234567-001`.
    pub id: String,
    /// Personal access token.
    pub token: Secret,
    /// What happens when the venue takes neither token nor account nor instruments.
    pub on_refused: OnRefused,
}

impl Account {
    /// The stream at a path behind the account.
    fn stream(&self, path: &str, scopes: &[String], seed: u64) -> Plan {
        Plan {
            link: Link(0),
            url: format!("{}/v3/accounts/{}/{path}", self.stream_url, self.id),
            token: self.token.to_owned(),
            silence_ns: SILENCE_NS,
            delivery_ns: 0,
            scopes: scopes.to_vec(),
            on_refused: self.on_refused,
            seed,
        }
    }
}

/// What a connector has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that stood.
    pub connections: u64,
    /// Prices or transactions that were published.
    pub published: u64,
    /// The venue's heartbeats.
    pub heartbeats: u64,
    /// Lines that cannot be read.
    pub malformed: u64,
    /// Lines of a type that is not known.
    pub unknown: u64,
    /// Prices without a time that can be read; published.
    pub untimed: u64,
    /// Prices that are older than the one before of their instrument; published.
    pub time_back: u64,
    /// Prices of instruments that were not asked for; published, but not under a topic of their own.
    pub unlisted: u64,
    /// Transactions that came again; not published.
    pub repeated: u64,
    /// Transactions that were fetched because the stream did not bring them.
    pub fetched: u64,
    /// Transactions that could not be had; told as gaps.
    pub lost: u64,
}

impl Counts {
    /// Tells each by its name.
    pub(super) fn tell(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        let all = [
            ("connections", self.connections),
            ("published", self.published),
            ("heartbeats", self.heartbeats),
            ("malformed", self.malformed),
            ("unknown", self.unknown),
            ("untimed", self.untimed),
            ("time_back", self.time_back),
            ("unlisted", self.unlisted),
            ("repeated", self.repeated),
            ("fetched", self.fetched),
            ("lost", self.lost),
        ];
        all.into_iter().for_each(|(name, count)| tell(name, count));
    }
}

/// What is read of a line before it is published as it is; empty: it is not there.
#[derive(Debug, Deserialize)]
struct Head<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Cow<'a, str>,
    #[serde(borrow, default)]
    instrument: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default, rename = "batchID")]
    batch: Cow<'a, str>,
    #[serde(borrow, default, rename = "lastTransactionID")]
    last_transaction: Cow<'a, str>,
}

impl<'a> Head<'a> {
    /// Reads a line; the error is for people.
    fn read(line: &'a [u8]) -> Result<(Self, &'a str), String> {
        let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
        serde_json::from_str(text).map(|head| (head, text)).map_err(|error| error.to_string())
    }

    fn time(&self) -> Option<WallNanos> {
        parse_rfc3339(self.time.as_bytes()).map(WallNanos)
    }
}
