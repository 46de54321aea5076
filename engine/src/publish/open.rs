//! From the configuration of a publisher to its thread: the one place that knows which connector belongs to which kind.

mod betfair;

use std::sync::Arc;
use std::time::Duration;

use tickline_config::model::publisher as model;
use tickline_config::model::publisher::{PublisherKind, QuotesFrom, SentimentSource};
use tickline_config::registry;
use tickline_feeds::clock::Clock;
use tickline_feeds::connect::OnRefused;
use tickline_feeds::connect::betfair::Stream;
use tickline_feeds::connect::definitions::{Definitions, DefinitionsSettings};
use tickline_feeds::connect::kraken::{
    Depth, DepthSettings, Mode, Orders, OrdersSettings, QuoteSettings, QuoteSource, Quotes, TradeSettings,
    Trades, Trigger,
};
use tickline_feeds::connect::oanda::{Account, Prices, PricesSettings, Transactions, TransactionsSettings};
use tickline_feeds::connect::sentiment::{
    Lines, LinesSettings, Rss, RssSettings, Rule, Settings as Records, X, X_URL, XSettings,
};
use tickline_feeds::derive::{Bars, Basket, Statistics, Synthetic};
use tickline_feeds::payload::Decimals;
use tickline_feeds::publisher::{Framing, Options};
use tickline_loadgen::door::Door;

use super::derived::{bars, legs, statistics};
use super::pace::Pace;
use super::{PublishError, Running, Spec, start};
use crate::stop::Stop;

/// Topic of the synthetic rate.
const EURUSD: &str = "kr_eurusd_tick";

/// What every publisher of a process shares.
pub(super) struct Shared {
    /// Sockets.
    pub(super) context: zmq::Context,
    /// Whom an encrypted socket lets in.
    pub(super) door: Option<Door>,
    /// How long each waits for its first subscribers, and for how many subscriptions.
    pub(super) subscriber_wait: (Duration, u64),
    /// Time.
    pub(super) clock: Arc<dyn Clock>,
    /// Their end.
    pub(super) stop: Arc<Stop>,
    /// How often a host may be asked.
    pub(super) pace: Arc<Pace>,
    /// Differs between processes.
    pub(super) seed: u64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// Starts one publisher.
pub(super) fn open(
    name: &str,
    publisher: &model::Publisher,
    shared: &Shared,
) -> Result<Running, PublishError> {
    let seed =
        mixed(shared.seed ^ name.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(byte)));
    let spec = Spec {
        name: name.to_owned(),
        endpoints: vec![publisher.endpoint.clone()],
        options: Options {
            sndhwm: publisher.sndhwm,
            framing: if publisher.single { Framing::Single } else { Framing::Multipart },
            bundle_max: publisher.bundle_max,
            ..Options::new(source(seed))
        },
        decimals: if publisher.float64 { Decimals::Float64 } else { Decimals::Text },
        tls_ca: publisher.tls_ca.clone(),
        subscriber_wait: shared.subscriber_wait,
        tls_client: betfair::identity(&publisher.kind),
    };
    match &publisher.kind {
        PublisherKind::KrakenTick(kraken, tick) => {
            start(Quotes::new(quotes(kraken, tick, seed)), &spec, shared)
        }
        PublisherKind::KrakenDepth(kraken, depth) => {
            start(Depth::new(books(kraken, depth, seed)), &spec, shared)
        }
        PublisherKind::KrakenTrades(kraken) => {
            let rest_url = rest_url(kraken, false);
            let model::Kraken { url, symbols, .. } = kraken.clone();
            start(Trades::new(TradeSettings { url, rest_url, symbols, seed }), &spec, shared)
        }
        PublisherKind::OandaTick(account, tick) => {
            let settings = prices(oanda(account, publisher), tick, seed);
            start(Prices::new(settings), &Spec { endpoints: views(publisher, tick), ..spec }, shared)
        }
        PublisherKind::OandaOrders(account) => {
            let (account, topic) = (oanda(account, publisher), "oanda_orders".to_owned());
            start(Transactions::new(TransactionsSettings { account, topic, seed }), &spec, shared)
        }
        PublisherKind::EurUsdTick(of) => {
            start(Synthetic::new(legs(of, "kraken_tick", EURUSD), false), &spec, shared)
        }
        PublisherKind::EurUsdDepth(of) => {
            start(Synthetic::new(legs(of, "kr_depth", "kr_eurusd_depth"), true), &spec, shared)
        }
        PublisherKind::EurUsdBasket(of) => {
            start(Basket::new(legs(of, "kr_depth", "kr_eurusd_basket")), &spec, shared)
        }
        PublisherKind::Statistics(of) => start(Statistics::new(statistics(of)), &spec, shared),
        PublisherKind::Bars(of) => start(Bars::new(bars(of)), &spec, shared),
        PublisherKind::Instruments(of) => {
            let (kraken, oanda) = (of.kraken.clone(), of.oanda.as_ref().map(|of| oanda(of, publisher)));
            start(Definitions::new(DefinitionsSettings { kraken, oanda, seed }), &spec, shared)
        }
        PublisherKind::BetfairStream(account, markets) => {
            start(Stream::new(betfair::settings(account, Some(markets), publisher, seed)), &spec, shared)
        }
        PublisherKind::BetfairOrders(account) => {
            start(Stream::new(betfair::settings(account, None, publisher, seed)), &spec, shared)
        }
        PublisherKind::Sentiment(sentiment) => scored(sentiment, publisher, seed, &spec, shared),
        PublisherKind::KrakenOrders(orders) => {
            let model::KrakenOrders { url, rest_url, api_key, api_secret } = orders.clone();
            let fail_when_refused = publisher.fail_when_refused;
            let settings = OrdersSettings { url, rest_url, api_key, api_secret, fail_when_refused, seed };
            start(Orders::new(settings), &spec, shared)
        }
    }
}

/// `_src` is not 0, which counts as absent.
fn source(seed: u64) -> u32 {
    ((seed >> 32) as u32).max(1)
}

/// Numbers far from each other for publishers whose names are alike (SplitMix64, https://prng.di.unimi.it/splitmix64.c).
fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

fn quotes(kraken: &model::Kraken, tick: &model::KrakenTick, seed: u64) -> QuoteSettings {
    let trigger = if tick.on_trades { Trigger::Trades } else { Trigger::Bbo };
    let source = match tick.quotes_from {
        QuotesFrom::Ticker => QuoteSource::Ticker(trigger),
        QuotesFrom::Book => QuoteSource::Book,
        QuotesFrom::Rest => QuoteSource::Rest,
    };
    let poll_ns = u64::try_from(tick.poll_every.as_nanos()).unwrap_or(u64::MAX);
    let rest_url = rest_url(kraken, source == QuoteSource::Rest);
    QuoteSettings {
        url: kraken.url.clone(),
        rest_url,
        symbols: kraken.symbols.clone(),
        source,
        poll_ns,
        seed,
    }
}

fn books(kraken: &model::Kraken, depth: &model::KrakenDepth, seed: u64) -> DepthSettings {
    let mode = match &depth.follow {
        Some(endpoint) => Mode::Conditional { endpoint: endpoint.clone(), topic: EURUSD.to_owned() },
        None => Mode::All,
    };
    DepthSettings {
        url: kraken.url.clone(),
        rest_url: rest_url(kraken, false),
        symbols: kraken.symbols.clone(),
        depth: depth.depth,
        levels: depth.levels,
        mode,
        seed,
    }
}

fn on_refused(publisher: &model::Publisher) -> OnRefused {
    if publisher.fail_when_refused { OnRefused::Fail } else { OnRefused::Degrade }
}

fn oanda(oanda: &model::Oanda, publisher: &model::Publisher) -> Account {
    let model::Oanda { stream_url, rest_url, account, token } = oanda.clone();
    Account { stream_url, rest_url, id: account, token, on_refused: on_refused(publisher) }
}

fn prices(account: Account, tick: &model::OandaTick, seed: u64) -> PricesSettings {
    let topics = std::iter::once("oanda_tick".to_owned()).chain(tick.also.clone()).collect();
    let (instruments, instrument_topics) = (tick.instruments.clone(), tick.per_instrument);
    PricesSettings { account, instruments, topics, instrument_topics, seed }
}

/// The ports at which the registry has the further topics, on the host of the first.
fn views(publisher: &model::Publisher, tick: &model::OandaTick) -> Vec<String> {
    let mut endpoints = vec![publisher.endpoint.clone()];
    let host =
        publisher.endpoint.rsplit_once(':').filter(|(host, port)| host.starts_with("tcp:") && *port != "*");
    let per_instrument = tick.per_instrument.then_some("oanda");
    if let Some((host, _)) = host {
        let rows = tick.also.iter().map(String::as_str).chain(per_instrument).filter_map(registry::find);
        endpoints.extend(rows.map(|row| format!("{host}:{}", row.port)));
    }
    endpoints
}

fn scored(
    sentiment: &model::Sentiment,
    publisher: &model::Publisher,
    seed: u64,
    spec: &Spec,
    shared: &Shared,
) -> Result<Running, PublishError> {
    let rules =
        sentiment.rules.iter().map(|(topic, words)| Rule { topic: topic.clone(), words: words.clone() });
    let topic = "twitter_sentiment".to_owned();
    let records = Records { topic, rules: rules.collect(), with_text: sentiment.with_text };
    let on_refused = on_refused(publisher);
    match sentiment.source.clone() {
        SentimentSource::X { url, token } => {
            let url = url.unwrap_or_else(|| X_URL.to_owned());
            start(X::new(XSettings { url, token, records, on_refused, seed }), spec, shared)
        }
        SentimentSource::Rss { feeds, every } => {
            let every_ns = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX);
            start(Rss::new(RssSettings { feeds, every_ns, records, on_refused, seed }), spec, shared)
        }
        SentimentSource::File { path } => start(Lines::new(LinesSettings { path, records }), spec, shared),
    }
}

fn rest_url(kraken: &model::Kraken, alone: bool) -> String {
    if alone || kraken.rest_fallback { kraken.rest_url.clone() } else { String::new() }
}
