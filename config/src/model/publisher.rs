//! Publishers: which venue, how it is asked, and where what it says is sent.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

/// `[publishers.NAME]`: one connection to a venue and the socket that its data go out on.
#[derive(Clone, Debug, PartialEq)]
pub struct Publisher {
    /// Endpoint that is bound.
    pub endpoint: String,
    /// Whether decimals travel as float64; else as the venue's text.
    pub float64: bool,
    /// Whether topic and payload are one part of a message; else two.
    pub single: bool,
    /// Most payloads that are joined into one message.
    pub bundle_max: usize,
    /// Messages that may wait for one subscriber.
    pub sndhwm: i32,
    /// Whether the process ends when a venue refuses our credentials.
    pub fail_when_refused: bool,
    /// Certificates (PEM) of the only authorities that are believed.
    pub tls_ca: Option<PathBuf>,
    /// Our secret key and the file of the public keys that are let in; none: not encrypted.
    pub curve: Option<(Secret, PathBuf)>,
    /// Which venue, with its own keys.
    pub kind: PublisherKind,
}

/// The publishers of this version.
#[derive(Clone, Debug, PartialEq)]
pub enum PublisherKind {
    /// Kraken's quotes.
    KrakenTick(Kraken, KrakenTick),
    /// Kraken's books.
    KrakenDepth(Kraken, KrakenDepth),
    /// Kraken's public trades.
    KrakenTrades(Kraken),
    /// Our own orders at Kraken.
    KrakenOrders(KrakenOrders),
    /// OANDA's prices.
    OandaTick(Oanda, OandaTick),
    /// The transactions of an account at OANDA.
    OandaOrders(Oanda),
    /// Posts and articles, scored.
    Sentiment(Sentiment),
    /// Synthetic EUR/USD from quotes.
    EurUsdTick(EurUsd),
    /// The same from books, with volumes.
    EurUsdDepth(EurUsd),
    /// What a crossing of rates from books would trade.
    EurUsdBasket(EurUsd),
    /// Instrument definitions.
    Instruments(Instruments),
    /// Betfair's markets.
    BetfairStream(Betfair, BetfairMarkets),
    /// Our own orders at Betfair.
    BetfairOrders(Betfair),
    /// Rolling statistics of prices on the bus.
    Statistics(Statistics),
    /// Bars of prices on the bus.
    Bars(Bars),
}

impl PublisherKind {
    /// Where it listens on the bus itself.
    pub fn listens_to(&self) -> Option<&str> {
        match self {
            Self::EurUsdTick(of) | Self::EurUsdDepth(of) | Self::EurUsdBasket(of) => Some(&of.from),
            Self::Statistics(of) => Some(&of.derived.from),
            Self::Bars(of) => Some(&of.derived.from),
            Self::KrakenDepth(_, depth) => depth.follow.as_deref(),
            _ => None,
        }
    }
}

/// Kraken's public data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kraken {
    /// WebSocket, version 2.
    pub url: String,
    /// REST.
    pub rest_url: String,
    /// Whether REST is asked for what the WebSocket did not bring.
    pub rest_fallback: bool,
    /// Version 2 names, or `*`.
    pub symbols: Vec<String>,
}

/// Where Kraken's quotes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotesFrom {
    /// Channel `ticker`.
    Ticker,
    /// Checked books.
    Book,
    /// REST alone.
    Rest,
}

/// `kraken_tick`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KrakenTick {
    /// Where quotes come from.
    pub quotes_from: QuotesFrom,
    /// Whether channel `ticker` tells each trade instead of each best bid or offer.
    pub on_trades: bool,
    /// Time between questions to REST.
    pub poll_every: Duration,
}

/// `kraken_depth`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KrakenDepth {
    /// Levels subscribed to.
    pub depth: usize,
    /// Levels published.
    pub levels: usize,
    /// Where the synthetic rate is published whose crossing lets books through; none: all are published.
    pub follow: Option<String>,
}

/// `kraken_orders`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KrakenOrders {
    /// WebSocket for private channels, version 2.
    pub url: String,
    /// REST.
    pub rest_url: String,
    /// API key.
    pub api_key: Secret,
    /// Its secret, base64.
    pub api_secret: Secret,
}

/// An account at OANDA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oanda {
    /// Host of the streams.
    pub stream_url: String,
    /// Host of the requests.
    pub rest_url: String,
    /// Number of the account.
    pub account: String,
    /// Personal access token.
    pub token: Secret,
}

/// `oanda_tick`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OandaTick {
    /// Instruments as OANDA names them.
    pub instruments: Vec<String>,
    /// Further topics under which each price is sent.
    pub also: Vec<String>,
    /// Whether each price is sent under its instrument's name, too.
    pub per_instrument: bool,
}

/// `twitter_sentiment`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentiment {
    /// Where posts come from.
    pub source: SentimentSource,
    /// Topics, and the words any of which speak for them, by name.
    pub rules: Vec<(String, Vec<String>)>,
    /// Whether the text itself is sent.
    pub with_text: bool,
}

/// Where posts come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SentimentSource {
    /// X's filtered stream, version 2.
    X {
        /// Address; none: X's own.
        url: Option<String>,
        /// Bearer token.
        token: Secret,
    },
    /// RSS and Atom documents.
    Rss {
        /// Their addresses.
        feeds: Vec<String>,
        /// How often each is asked for.
        every: Duration,
    },
    /// A file of JSON lines, or standard input for `-`.
    File {
        /// Path.
        path: String,
    },
}

/// `kraken_eurusd_tick`, `kraken_eurusd_depth`, `kraken_eurusd_basket`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EurUsd {
    /// Where the legs are published.
    pub from: String,
    /// Lowest and highest rate, decimals.
    pub window: [String; 2],
    /// Coins whose legs are used; none: all.
    pub coins: Vec<String>,
    /// How old a leg may be.
    pub leg_age_max: Duration,
}

/// `instruments`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruments {
    /// Kraken's REST and its WebSocket, version 2; none: not Kraken.
    pub kraken: Option<(String, String)>,
    /// Whose instruments at OANDA; none: not OANDA.
    pub oanda: Option<Oanda>,
}

/// Betfair's Exchange Stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Betfair {
    /// Host and port of the stream.
    pub address: String,
    /// Host of the login with a certificate.
    pub login_url: String,
    /// Host that keeps sessions alive.
    pub keep_alive_url: String,
    /// Application key.
    pub app_key: Secret,
    /// Who asks.
    pub login: BetfairLogin,
    /// How often the session is kept alive.
    pub keep_alive_every: Duration,
    /// Time in which the venue joins changes; 0: each as it comes.
    pub conflate: Duration,
    /// The venue says something at least so often.
    pub heartbeat: Duration,
}

/// Who asks at Betfair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BetfairLogin {
    /// An account with a client certificate.
    Certificate {
        /// Name of the account.
        username: String,
        /// Its password.
        password: Secret,
        /// Certificate and key, PEM.
        identity: PathBuf,
    },
    /// A session that somebody else has got.
    Session(Secret),
}

/// `betfair_stream`: an empty list means all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BetfairMarkets {
    /// Kinds of event: `7` is horse racing.
    pub event_type_ids: Vec<String>,
    /// Countries, two letters each.
    pub country_codes: Vec<String>,
    /// Kinds of market.
    pub market_types: Vec<String>,
    /// Markets.
    pub market_ids: Vec<String>,
    /// What of them.
    pub fields: Vec<String>,
    /// Levels of the best offers.
    pub ladder_levels: u8,
}

/// What is made from the prices of another feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// Where the source is published.
    pub from: String,
    /// Its topic.
    pub from_topic: String,
    /// Topic of what is made.
    pub topic: String,
    /// What is sampled.
    pub price: SampledPrice,
}

/// A price of a quote or a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampledPrice {
    /// The middle of bid and ask.
    Mid,
    /// Best bid.
    Bid,
    /// Best ask.
    Ask,
    /// Last trade.
    Last,
}

/// `statistics`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Source and topic.
    pub derived: Derived,
    /// Length of the window.
    pub window: Duration,
    /// Time between two statistics of a symbol.
    pub every: Duration,
}

/// `bars`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bars {
    /// Source and topic.
    pub derived: Derived,
    /// Length of an interval.
    pub every: Duration,
    /// How long ticks are waited for after its end.
    pub late: Duration,
}
