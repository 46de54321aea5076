//! The streams of a simulated Kraken: `book`, `trade` and `ticker` of a pair, and `executions`.

use tickline_feeds::clock::WallNanos;

use super::super::exchange::Market;
use super::super::fault::FaultKind;
use super::super::outbox::Framing;
use super::book::Book;
use super::names::Names;
use super::orders::Orders;
use super::prints::{Ticker, Trades};
use super::recorded::Recorded;
use crate::generator::{Walk, feed_seed};
use crate::prng::Prng;

/// A pair and what happens to it.
pub(super) struct Pair {
    pub(super) walk: Walk,
    pub(super) names: Names,
    pub(super) book: Book,
    pub(super) trades: Trades,
    pub(super) ticker: Ticker,
}

/// What a client asked for with one stream.
#[derive(Debug)]
pub(in super::super) enum Terms {
    Plain,
    Book { depth: usize },
    Executions { sequence: u64 },
}

pub(in super::super) struct Kraken {
    pub(super) pairs: Vec<Pair>,
    pub(super) orders: Orders,
    pub(super) recorded: Vec<Recorded>,
    pub(super) tokens: Vec<String>,
}

impl Kraken {
    pub(super) fn new(walks: Vec<Walk>, seed: u64, recorded: Vec<Recorded>) -> Self {
        let pair = |walk: &Walk| {
            let prng = |channel: &str| Prng::new(feed_seed(seed, &format!("{channel} {}", walk.name)));
            Pair {
                walk: walk.clone(),
                names: Names::of(&walk.name),
                book: Book::new(walk, prng("book")),
                trades: Trades::new(walk, prng("trade")),
                ticker: Ticker::new(walk, prng("ticker")),
            }
        };
        let pairs = walks.iter().map(pair).collect();
        let orders = Orders::new(walks, Prng::new(feed_seed(seed, "executions")));
        Self { pairs, orders, recorded, tokens: Vec::new() }
    }

    pub(super) fn pair(&mut self, symbol: &str) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.walk.name == symbol)
    }

    /// By any of its REST names.
    pub(super) fn pair_of_rest(&self, name: &str) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.walk.name == name || pair.names.is(name))
    }

    pub(super) fn recorded(&self, stream: &str) -> Option<&Recorded> {
        self.recorded.iter().find(|recorded| recorded.stream == stream)
    }
}

impl Market for Kraken {
    type Terms = Terms;
    type Profile = ();
    const STREAMS: &'static str =
        "executions, or book, ticker or trade of one of the venue's pairs, such as \"book BTC/USD\"";
    const FAULTS: &'static [FaultKind] = &[
        FaultKind::Silence,
        FaultKind::DataSilence,
        FaultKind::Disconnect,
        FaultKind::HalfMessage,
        FaultKind::Checksum,
        FaultKind::Refuse,
        FaultKind::Skip,
        FaultKind::Drip,
        FaultKind::RateLimit,
        FaultKind::Malformed,
        FaultKind::ExpiredToken,
        FaultKind::Maintenance,
        FaultKind::RefuseConnections,
    ];
    const FRAMING: Framing = Framing::WebSocket;

    fn has(&mut self, stream: &str) -> bool {
        let (channel, symbol) = stream.split_once(' ').unwrap_or((stream, ""));
        stream == "executions"
            || self.recorded(stream).is_some()
            || ["book", "ticker", "trade"].contains(&channel) && self.pair(symbol).is_some()
    }

    fn make(&mut self, stream: &str, at: WallNanos) -> Option<u64> {
        if let Some(recorded) = self.recorded.iter_mut().find(|recorded| recorded.stream == stream) {
            return recorded.make().then_some(1);
        }
        let (channel, symbol) = stream.split_once(' ').unwrap_or((stream, ""));
        if channel == "executions" {
            self.orders.make(at);
            return Some(1);
        }
        let pair = self.pair(symbol)?;
        match channel {
            "book" => pair.book.change(at),
            "ticker" => pair.ticker.make(at),
            _ => return Some(pair.trades.make(at)),
        }
        Some(1)
    }

    fn text(&mut self, stream: &str, terms: &mut Terms) -> Option<String> {
        if let Some(recorded) = self.recorded(stream) {
            return recorded.update();
        }
        if let Terms::Executions { sequence } = terms {
            *sequence += 1;
            return Some(self.orders.update(*sequence));
        }
        let (channel, symbol) = stream.split_once(' ')?;
        let pair = self.pair(symbol)?;
        Some(match (channel, terms) {
            ("book", Terms::Book { depth }) => pair.book.update(*depth),
            ("ticker", _) => pair.ticker.message("update", WallNanos(0)),
            _ => pair.trades.update(),
        })
    }

    fn beat(&mut self, _profile: &mut (), _at: WallNanos) -> Vec<String> {
        vec![r#"{"channel":"heartbeat"}"#.to_owned()]
    }

    fn spoil(&self, kind: FaultKind, text: String) -> String {
        if kind == FaultKind::Checksum { wrong_checksum(&text).unwrap_or(text) } else { text }
    }

    fn recorded_ns(&self, stream: &str) -> Option<u64> {
        self.recorded(stream).and_then(Recorded::due_ns)
    }

    fn notice(&self, is_closed: bool) -> Option<String> {
        Some(super::request::status(is_closed, 0))
    }
}

fn wrong_checksum(text: &str) -> Option<String> {
    const KEY: &str = "\"checksum\":";
    let start = text.find(KEY)? + KEY.len();
    let rest = text.get(start..)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    let checksum: u32 = rest.get(..digits)?.parse().ok()?;
    Some(format!("{}{}{}", text.get(..start)?, checksum ^ 1, rest.get(digits..)?))
}
