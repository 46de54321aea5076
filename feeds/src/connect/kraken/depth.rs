//! Kraken's books (channel `book`, topic `kr_depth`): after each message that changes them, the best levels of the
//! book, checked against the venue's sum. In mode `conditional` nothing is published until the synthetic EUR/USD rate is
//! crossed, and then the books of its legs.

use super::books::{Books, Kept};
use super::rest::{Poll, RestKind};
use super::session::{Heard, Session, Subscription};
use crate::clock::{MonoNanos, WallNanos};
use crate::connect::{Connector, Event, Link, Now, Outbox, Target, TopicId};
use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};

/// Depths that Kraken knows.
pub const DEPTHS: [usize; 5] = [10, 25, 100, 500, 1_000];

const BUS: Link = Link(1);

/// When books are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// After each message that changes a published level.
    All,
    /// When a message of this endpoint and topic says that the synthetic rate is crossed.
    Conditional {
        /// Where `kr_eurusd_tick` is published.
        endpoint: String,
        /// Its topic.
        topic: String,
    },
}

/// What a depth connector is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthSettings {
    /// WebSocket, version 2.
    pub url: String,
    /// REST, asked while the WebSocket is away, one book a second; empty: not.
    pub rest_url: String,
    /// Version 2 names; `*` for all.
    pub symbols: Vec<String>,
    /// Levels subscribed to: one of [`DEPTHS`].
    pub depth: usize,
    /// Levels published.
    pub levels: usize,
    /// When.
    pub mode: Mode,
    /// Differs between processes.
    pub seed: u64,
}

/// The connector.
#[derive(Debug)]
pub struct Depth {
    session: Session,
    books: Books,
    poll: Poll,
    levels: usize,
    mode: Mode,
    /// Rates that could not be read.
    undecodable: u64,
}

impl Depth {
    /// A connector that has not begun.
    pub fn new(settings: DepthSettings) -> Self {
        // A book that nobody may see is not polled.
        let rest_url = if settings.mode == Mode::All { settings.rest_url } else { String::new() };
        let kind = RestKind::Depth(settings.levels);
        let poll = Poll::new(kind, rest_url, settings.symbols.clone(), 0, false, settings.seed);
        let session = Session::new(Subscription {
            url: settings.url,
            topic: "kr_depth",
            channel: "book",
            parameters: format!(r#","depth":{},"snapshot":true"#, settings.depth),
            symbols: settings.symbols,
            begins_with_data: true,
            seed: settings.seed,
        });
        let watched = if settings.mode == Mode::All { settings.levels } else { 0 };
        let books = Books::new(settings.depth, watched, settings.seed);
        Self { session, books, poll, levels: settings.levels, mode: settings.mode, undecodable: 0 }
    }

    /// The legs of a crossed rate, and the EUR legs that lead back.
    fn crossed(&mut self, payload: &[u8], now: Now, out: &mut Outbox) {
        let Ok(crossed) = crossed_legs(payload) else { return self.undecodable += 1 };
        for leg in crossed.into_iter().flatten() {
            let cross = leg.strip_suffix("/USD").map(|coin| format!("{coin}/EUR"));
            for symbol in [Some(leg), cross].into_iter().flatten() {
                let Some(at) = self.session.position(&symbol) else { continue };
                let Some(kept) = self.books.get_mut(at).filter(|kept| kept.is_good()) else { continue };
                publish(kept, &symbol, self.levels, self.session.topic, now.wall, out);
            }
        }
    }
}

/// Queues one book.
fn publish(kept: &mut Kept, symbol: &str, levels: usize, topic: TopicId, recv: WallNanos, out: &mut Outbox) {
    let has_time = !kept.timestamp.is_empty();
    let tie = if has_time { kept.ordinals.take(kept.time_ns, 1) } else { 0 };
    out.map(topic, recv, tie, 4 + u16::from(has_time), |writer| {
        writer.text("symbol");
        writer.text(symbol);
        if has_time {
            writer.text("timestamp");
            writer.text(&kept.timestamp);
        }
        writer.text("checksum");
        writer.uint(u64::from(kept.checksum));
        kept.book.write(levels, writer);
    });
}

/// The two instruments of each rate in a `kr_eurusd_tick` payload, also a bundle, whose spread between them is negative.
fn crossed_legs(payload: &[u8]) -> Result<Vec<[String; 2]>, Undecodable> {
    let mut cursor = Cursor::new(payload);
    let mut crossed = Vec::new();
    match cursor.value()? {
        Value::Map(keys) => crossed.extend(crossed_rate(&mut cursor, keys, 1)?),
        Value::Array(maps) => {
            for _ in 0..maps {
                let Value::Map(keys) = cursor.value()? else { return Err(Undecodable::NotAMap) };
                crossed.extend(crossed_rate(&mut cursor, keys, 2)?);
            }
        }
        _ => return Err(Undecodable::NotAMap),
    }
    Ok(crossed)
}

fn crossed_rate(
    cursor: &mut Cursor<'_>,
    keys: u32,
    depth: usize,
) -> Result<Option<[String; 2]>, Undecodable> {
    let (mut legs, mut is_crossed, mut is_old) = ([None, None], false, false);
    let text = |text: &[u8]| std::str::from_utf8(text).ok().map(str::to_owned);
    for _ in 0..keys {
        let key = cursor.key()?.text;
        match (key, cursor.value()?) {
            (b"instrument_t0", Value::Text(name)) => legs[0] = text(name),
            (b"instrument_t1", Value::Text(name)) => legs[1] = text(name),
            (b"spread_t_bid" | b"spread_t_ask", Value::Text(spread)) => {
                is_crossed |= spread.starts_with(b"-")
            }
            (b"spread_t_bid" | b"spread_t_ask", Value::Float(spread)) => is_crossed |= spread < 0.0,
            // A last value, sent again by a forwarder.
            (b"_resend", Value::Bool(resent)) => is_old |= resent,
            (_, Value::Array(items)) => cursor.skip_container(u64::from(items), depth)?,
            (_, Value::Map(items)) => cursor.skip_container(2 * u64::from(items), depth)?,
            _ => {}
        }
    }
    let [Some(first), Some(second)] = legs else { return Ok(None) };
    Ok((is_crossed && !is_old).then_some([first, second]))
}

impl Connector for Depth {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        self.poll.on(event, &self.session, now, out);
        match event {
            Event::Start => {
                self.session.start(now, out);
                if let Mode::Conditional { endpoint, topic } = &self.mode {
                    out.open(BUS, Target::Bus { endpoint: endpoint.clone(), topics: vec![topic.clone()] });
                }
                return;
            }
            Event::Message(BUS, payload) => return self.crossed(payload, now, out),
            Event::Stop => self.books.forget(&mut self.session),
            Event::Due if self.books.due.is_some_and(|due| now.mono >= due) => {
                self.books.ask_again(&mut self.session, now, out);
            }
            _ => {}
        }
        match self.session.on(event, now, out) {
            Heard::Data(frame) => {
                let (levels, topic) = (self.levels, self.session.topic);
                let all = self.mode == Mode::All;
                self.books.apply(&frame, &mut self.session, now, out, |symbol, kept, out| {
                    if all {
                        publish(kept, symbol, levels, topic, now.wall, out);
                    }
                });
            }
            Heard::Down => self.books.forget(&mut self.session),
            Heard::Retry => self.session.open(out),
            Heard::Malformed => self.books.counts.malformed += 1,
            Heard::Quiet | Heard::Refused(_) => {}
        }
    }

    fn due(&self) -> Option<MonoNanos> {
        [self.session.due(), self.books.due, self.poll.due()].into_iter().flatten().min()
    }

    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.session.tell(tell);
        self.books.tell(tell);
        self.poll.tell(tell);
        tell("undecodable", self.undecodable);
    }
}
