//! The streams of a simulated Betfair: `market` of an id, and `orders`. Every change has a position, which its `clk` is
//! made of: who comes back with one gets what has changed since.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tickline_feeds::clock::WallNanos;

use super::super::exchange::Market;
use super::super::fault::FaultKind;
use super::super::outbox::Framing;
use super::cache;
use super::delta::{DataFilter, Delta};
use super::markets::Made;
use super::orders::Orders;
use super::recorded::{Recorded, Said};
use crate::generator::feed_seed;
use crate::prng::Prng;

/// How a line of market changes begins.
const OP: &str = "\"op\":\"mcm\",";

/// What a client has subscribed to.
#[derive(Debug)]
pub(in super::super) struct Subscription {
    pub(super) id: i64,
    pub(super) filter: DataFilter,
    /// Of the last message that was sent.
    pub(super) clk: Mutex<String>,
}

impl Subscription {
    pub(super) fn set_clk(&self, clk: String) {
        *self.clk.lock().unwrap_or_else(PoisonError::into_inner) = clk;
    }

    fn clk(&self) -> String {
        self.clk.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What is known of a connection.
#[derive(Debug, Default)]
pub(in super::super) struct Profile {
    pub(super) is_authenticated: bool,
    pub(super) markets: Option<Arc<Subscription>>,
    pub(super) orders: Option<Arc<Subscription>>,
}

enum Source {
    Made(Box<Made>),
    Recorded(Recorded),
}

struct Listed {
    id: String,
    source: Source,
    cache: cache::Market,
}

/// The message that was made last.
#[derive(Default)]
struct Last {
    pt_ms: i64,
    clk: String,
    delta: Delta,
    recorded: Option<Said>,
}

pub(in super::super) struct Betfair {
    markets: Vec<Listed>,
    pub(super) orders: Orders,
    pub(super) sessions: Vec<String>,
    pub(super) position: u64,
    /// Positions of tokens that were recorded.
    recorded_clks: HashMap<String, u64>,
    last: Last,
}

/// The token of a position.
pub(super) fn token(position: u64) -> String {
    STANDARD_NO_PAD.encode(position.to_be_bytes())
}

pub(super) fn millis(at: WallNanos) -> i64 {
    at.0.div_euclid(1_000_000)
}

impl Betfair {
    pub(super) fn new(markets: usize, recorded: Vec<Recorded>, seed: u64, session: String) -> Self {
        let made = |number: usize| {
            let made = Made::new(number, Prng::new(feed_seed(seed, &format!("market {number}"))));
            (made.id().to_owned(), made.image(), Source::Made(Box::new(made)))
        };
        let sources: Vec<(String, Delta, Source)> = if recorded.is_empty() {
            (0..markets).map(made).collect()
        } else {
            recorded.into_iter().map(|r| (r.id.clone(), r.first.clone(), Source::Recorded(r))).collect()
        };
        let listed = sources.into_iter().map(|(id, image, source)| {
            let mut cache = cache::Market::default();
            cache.apply(&image, 1);
            Listed { id, source, cache }
        });
        let markets: Vec<Listed> = listed.collect();
        let runners = markets.iter().filter_map(|listed| match &listed.source {
            Source::Made(made) => Some((listed.id.clone(), made.runners())),
            Source::Recorded(_) => None,
        });
        let orders = Orders::new(runners.collect(), Prng::new(feed_seed(seed, "orders")));
        let (recorded_clks, last) = (HashMap::new(), Last::default());
        Self { markets, orders, sessions: vec![session], position: 1, recorded_clks, last }
    }

    /// Ids of all markets.
    pub(super) fn ids(&self) -> Vec<String> {
        self.markets.iter().map(|listed| listed.id.clone()).collect()
    }

    fn listed(&self, id: &str) -> Option<&Listed> {
        self.markets.iter().find(|listed| listed.id == id)
    }

    /// A market's definition as it is.
    pub(super) fn definition(&self, id: &str) -> Option<String> {
        self.listed(id)?.cache.image(id).definition
    }

    /// A market as it is, through a filter.
    pub(super) fn image(&self, id: &str, filter: &DataFilter) -> Option<String> {
        self.listed(id)?.cache.image(id).text(filter)
    }

    /// What of a market has changed after a position.
    pub(super) fn since(&self, id: &str, position: u64, filter: &DataFilter) -> Option<String> {
        self.listed(id)?.cache.since(id, position).text(filter)
    }

    /// The position of a token; none if it was never given.
    pub(super) fn position(&self, clk: &str) -> Option<u64> {
        if let Some(position) = self.recorded_clks.get(clk) {
            return Some(*position);
        }
        let bytes: [u8; 8] = STANDARD_NO_PAD.decode(clk).ok()?.try_into().ok()?;
        Some(u64::from_be_bytes(bytes)).filter(|position| *position <= self.position)
    }
}

impl Market for Betfair {
    type Terms = Arc<Subscription>;
    type Profile = Profile;
    const STREAMS: &'static str =
        "orders, login, stream, or one of the venue's markets, such as \"market 1.230000000\"";
    const FAULTS: &'static [FaultKind] = &[
        FaultKind::Silence,
        FaultKind::DataSilence,
        FaultKind::Disconnect,
        FaultKind::HalfMessage,
        FaultKind::Refuse,
        FaultKind::Skip,
        FaultKind::Drip,
        FaultKind::Unreliable,
        FaultKind::InvalidClock,
        FaultKind::RateLimit,
        FaultKind::Malformed,
        FaultKind::ExpiredToken,
        FaultKind::RefuseConnections,
    ];
    const FRAMING: Framing = Framing::Lines;

    fn has(&mut self, stream: &str) -> bool {
        let id = stream.strip_prefix("market ");
        matches!(stream, "orders" | "login" | "stream")
            || self.markets.iter().any(|market| id == Some(market.id.as_str()))
    }

    fn make(&mut self, stream: &str, at: WallNanos) -> Option<u64> {
        let position = self.position + 1;
        let mut last = Last { pt_ms: millis(at), clk: token(position), ..Last::default() };
        if stream == "orders" {
            if !self.orders.make(position, at) {
                return None;
            }
        } else {
            let id = stream.strip_prefix("market ")?;
            let listed = self.markets.iter_mut().find(|listed| listed.id == id)?;
            match &mut listed.source {
                Source::Made(made) => {
                    last.delta = made.make();
                    listed.cache.apply(&last.delta, position);
                }
                Source::Recorded(recorded) => {
                    let said = recorded.make()?;
                    let own = said.deltas.iter().filter(|delta| delta.id == id);
                    own.for_each(|delta| listed.cache.apply(delta, position));
                    if let Some(clk) = &said.clk {
                        self.recorded_clks.insert(clk.clone(), position);
                        last.clk.clone_from(clk);
                    }
                    last.recorded = Some(said);
                }
            }
        }
        self.position = position;
        self.last = last;
        Some(1)
    }

    fn text(&mut self, stream: &str, terms: &mut Arc<Subscription>) -> Option<String> {
        let (id, Last { pt_ms, clk, delta, recorded }) = (terms.id, &self.last);
        if let Some(said) = recorded {
            let text = said.text.clone();
            return Some(if said.has_id { text } else { text.replacen(OP, &format!("{OP}\"id\":{id},"), 1) });
        }
        if stream == "orders" {
            let orders = self.orders.update();
            return Some(format!(
                "{{\"op\":\"ocm\",\"id\":{id},\"clk\":\"{clk}\",\"pt\":{pt_ms},\"oc\":[{orders}]}}"
            ));
        }
        let market = delta.text(&terms.filter)?;
        Some(format!("{{\"op\":\"mcm\",\"id\":{id},\"clk\":\"{clk}\",\"pt\":{pt_ms},\"mc\":[{market}]}}"))
    }

    fn sent(&mut self, terms: &mut Arc<Subscription>) {
        terms.set_clk(self.last.clk.clone());
    }

    fn beat(&mut self, profile: &mut Profile, at: WallNanos) -> Vec<String> {
        let pt = millis(at);
        let beat = |op: &str, subscription: &Arc<Subscription>| {
            let (id, clk) = (subscription.id, subscription.clk());
            format!("{{\"op\":\"{op}\",\"id\":{id},\"clk\":\"{clk}\",\"pt\":{pt},\"ct\":\"HEARTBEAT\"}}")
        };
        let markets = profile.markets.iter().map(|subscription| beat("mcm", subscription));
        let orders = profile.orders.iter().map(|subscription| beat("ocm", subscription));
        markets.chain(orders).collect()
    }

    fn spoil(&self, kind: FaultKind, text: String) -> String {
        match kind {
            FaultKind::Unreliable => text.replacen(",\"pt\":", ",\"status\":503,\"pt\":", 1),
            _ => text,
        }
    }

    fn recorded_ns(&self, stream: &str) -> Option<u64> {
        match &self.listed(stream.strip_prefix("market ")?)?.source {
            Source::Recorded(recorded) => Some(recorded.due_ns()),
            Source::Made(_) => None,
        }
    }
}
