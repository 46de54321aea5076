//! Kraken's quotes (topic `kraken_tick`): channel `ticker` as it is, or the best levels of checksummed books. `ticker` with
//! its default trigger tells quotes only when there is a trade, so ours is `bbo`. While the WebSocket is away, REST's
//! Ticker is asked once a second for all pairs: quotes without the venue's time, but quotes.

use super::books::{Books, Kept};
use super::rest::{Poll, RestKind};
use super::session::{Heard, Session, Subscription};
use super::wire::{Element, Frame};
use crate::clock::{MonoNanos, WallNanos};
use crate::connect::Ties;
use crate::connect::unread::Unread;
use crate::connect::{Connector, Event, Now, Outbox, State, TopicId};
use crate::time::parse_rfc3339;
use crate::transcode::KRAKEN_INTEGERS;

/// What makes Kraken send a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Each change of the best bid or offer.
    Bbo,
    /// Each trade.
    Trades,
}

/// Where quotes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuoteSource {
    /// Channel `ticker`.
    Ticker(Trigger),
    /// Channel `book`, checked.
    Book,
    /// REST's Ticker alone, once an interval.
    Rest,
}

/// What a quotes connector is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuoteSettings {
    /// WebSocket, version 2.
    pub url: String,
    /// REST; empty: the fallback is off.
    pub rest_url: String,
    /// Version 2 names; `*` for all.
    pub symbols: Vec<String>,
    /// Where quotes come from.
    pub source: QuoteSource,
    /// Time between questions to REST, ns; Kraken allows one a second.
    pub poll_ns: u64,
    /// Differs between processes.
    pub seed: u64,
}

#[derive(Debug)]
enum Source {
    Ticker(Vec<Series>),
    Book(Books),
}

/// One symbol's venue times.
#[derive(Clone, Copy, Debug, Default)]
struct Series {
    ordinals: Ties,
    last_ns: i64,
}

/// The connector.
#[derive(Debug)]
pub struct Quotes {
    session: Session,
    source: Source,
    poll: Poll,
    malformed: u64,
    time_back: u64,
    unread: Unread,
}

impl Quotes {
    /// A connector that has not begun.
    pub fn new(settings: QuoteSettings) -> Self {
        let QuoteSettings { url, rest_url, symbols, source, poll_ns, seed } = settings;
        let (channel, parameters) = match source {
            QuoteSource::Book => ("book", r#","depth":10,"snapshot":true"#),
            QuoteSource::Ticker(Trigger::Trades) => {
                ("ticker", r#","event_trigger":"trades","snapshot":true"#)
            }
            _ => ("ticker", r#","event_trigger":"bbo","snapshot":true"#),
        };
        let poll = Poll::new(
            RestKind::Ticker,
            rest_url,
            symbols.clone(),
            poll_ns,
            source == QuoteSource::Rest,
            seed,
        );
        let session = Session::new(Subscription {
            url,
            topic: "kraken_tick",
            channel,
            parameters: parameters.to_owned(),
            symbols,
            begins_with_data: true,
            seed,
        });
        let source = if source == QuoteSource::Book {
            Source::Book(Books::new(10, 1, seed))
        } else {
            Source::Ticker(Vec::new())
        };
        Self { session, source, poll, malformed: 0, time_back: 0, unread: Unread::default() }
    }

    fn data(&mut self, frame: &Frame<'_>, message: &[u8], now: Now, out: &mut Outbox) {
        let topic = self.session.topic;
        match &mut self.source {
            Source::Book(books) => books.apply(frame, &mut self.session, now, out, |symbol, kept, out| {
                publish_best(kept, symbol, topic, now.wall, out);
            }),
            Source::Ticker(series) => {
                let elements = frame.data.map(|data| serde_json::from_str::<Vec<Element<'_>>>(data.get()));
                let Some(Ok(elements)) = elements else { return self.lost_one(now) };
                let mut tie = 0;
                for element in &elements {
                    let Some(at) = self.session.position(&element.symbol.0) else { continue };
                    if series.len() <= at {
                        series.resize(at + 1, Series::default());
                    }
                    let time_ns =
                        element.timestamp.as_ref().and_then(|time| parse_rfc3339(time.0.as_bytes()));
                    if let (Some(time_ns), Some(series)) = (time_ns, series.get_mut(at)) {
                        tie = tie.max(series.ordinals.take(time_ns, elements.len() as u32));
                        self.time_back += u64::from(time_ns < series.last_ns);
                        series.last_ns = time_ns;
                    }
                    self.session.fresh(at, now, out);
                }
                let sent = std::str::from_utf8(message)
                    .is_ok_and(|json| out.json(topic, now.wall, tie, json, KRAKEN_INTEGERS).is_ok());
                if !sent {
                    self.lost_one(now);
                }
            }
        }
    }

    /// A message that cannot be read may have been a quote.
    fn lost_one(&mut self, now: Now) {
        self.malformed += 1;
        self.unread.add("no quote", now.wall, now);
    }
}

/// The best bid and ask as a ticker element tells them.
fn publish_best(kept: &mut Kept, symbol: &str, topic: TopicId, recv: WallNanos, out: &mut Outbox) {
    let (bid, ask) = (kept.book.bids().first().copied(), kept.book.asks().first().copied());
    let has_time = !kept.timestamp.is_empty();
    let keys = 1 + u16::from(has_time) + 2 * u16::from(bid.is_some()) + 2 * u16::from(ask.is_some());
    let tie = if has_time { kept.ordinals.take(kept.time_ns, 1) } else { 0 };
    out.map(topic, recv, tie, keys, |writer| {
        writer.text("symbol");
        writer.text(symbol);
        let sides = [("bid", "bid_qty", bid), ("ask", "ask_qty", ask)];
        for (price_key, qty_key, level) in sides.into_iter().filter_map(|(p, q, level)| Some((p, q, level?)))
        {
            writer.text(price_key);
            writer.decimal(level.price.digits, level.price.scale);
            writer.text(qty_key);
            writer.decimal(level.qty.digits, level.qty.scale);
        }
        if has_time {
            writer.text("timestamp");
            writer.text(&kept.timestamp);
        }
    });
}

impl Connector for Quotes {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        if let Event::Start = event {
            if self.poll.is_alone() {
                let topic = out.topic("kraken_tick");
                self.session.topic = topic;
                out.state(State::Starting, "asking REST");
            } else {
                self.session.start(now, out);
            }
        }
        self.poll.on(event, &self.session, now, out);
        let is_stop = matches!(event, Event::Stop);
        self.unread.tell(&[self.session.topic], is_stop, now, out);
        if self.poll.is_alone() {
            return;
        }
        if let (Event::Due, Source::Book(books)) = (event, &mut self.source)
            && books.due.is_some_and(|due| now.mono >= due)
        {
            books.ask_again(&mut self.session, now, out);
        }
        if let (true, Source::Book(books)) = (is_stop, &mut self.source) {
            books.forget(&mut self.session);
        }
        match self.session.on(event, now, out) {
            Heard::Data(frame) => {
                if let Event::Message(_, message) = event {
                    self.data(&frame, message, now, out);
                }
            }
            Heard::Down => {
                if let Source::Book(books) = &mut self.source {
                    books.forget(&mut self.session);
                }
            }
            Heard::Retry => self.session.open(out),
            Heard::Malformed => self.lost_one(now),
            Heard::Quiet | Heard::Refused(_) => {}
        }
    }

    fn due(&self) -> Option<MonoNanos> {
        let books = if let Source::Book(books) = &self.source { books.due } else { None };
        let session = if self.poll.is_alone() { None } else { self.session.due() };
        [session, books, self.unread.due(), self.poll.due()].into_iter().flatten().min()
    }

    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.session.tell(tell);
        self.poll.tell(tell);
        tell("quotes_malformed", self.malformed);
        match &self.source {
            Source::Book(books) => books.tell(tell),
            Source::Ticker(_) => tell("time_back", self.time_back),
        }
    }
}
