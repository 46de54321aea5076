//! Kraken's public trades (channel `trade`, topic `kraken_trades`), one payload a trade. A pair's `trade_id` counts by one,
//! so a hole shows itself: what is missing is asked for over REST, within its rate limit, and what cannot be had is an
//! event with the exact number of trades that are lost.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use serde_json::value::RawValue;

use super::names::Pairs;
use super::rest::get;
use super::session::{Heard, Session, Subscription};
use super::wire::{Element, Frame, Text};
use crate::clock::{MonoNanos, WallNanos};
use crate::connect::{Backoff, Connector, Event, Note, Now, Outbox};
use crate::payload::rfc3339;
use crate::time::{from_decimal, parse_rfc3339};
use crate::transcode::KRAKEN_INTEGERS;

const PAIRS: u32 = 1;
const FILL: u32 = 2;

const SECOND_NS: u64 = 1_000_000_000;
/// Public addresses may ask for the trades of a pair once a second.
const ASK_NS: u64 = SECOND_NS;
/// Waits after a refusal.
const WAIT_NS: (u64, u64) = (2 * SECOND_NS, 30 * SECOND_NS);
/// Questions for one hole before it is given up.
const ASKS_MAX: u32 = 8;
/// Longer holes are not filled.
const HOLE_MAX: u64 = 8_000;

/// What a trades connector is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TradeSettings {
    /// WebSocket, version 2.
    pub url: String,
    /// REST; empty: holes are not filled.
    pub rest_url: String,
    /// Version 2 names; `*` for all.
    pub symbols: Vec<String>,
    /// Differs between processes.
    pub seed: u64,
}

/// The last trade of a pair.
#[derive(Clone, Copy, Debug)]
struct Last {
    id: u64,
    time_ns: i64,
    heard: WallNanos,
}

/// Trades that are missing.
#[derive(Clone, Debug)]
struct Hole {
    at: usize,
    /// First missing one, and the last.
    ids: (u64, u64),
    /// The venue's time before them, in ns: where REST begins.
    since_ns: i64,
    span: (WallNanos, WallNanos),
    asks: u32,
}

/// The connector.
#[derive(Debug)]
pub struct Trades {
    session: Session,
    rest_url: String,
    /// None until REST has told them.
    pairs: Option<Pairs>,
    last: Vec<Option<Last>>,
    holes: VecDeque<Hole>,
    backoff: Backoff,
    /// A question is on its way; one about trades is about the first hole, which stays until it is answered.
    asked: bool,
    next_ask: MonoNanos,
    malformed: u64,
    filled: u64,
    lost: u64,
    duplicates: u64,
}

/// A row of REST's Trades.
struct Row<'a> {
    price: Cow<'a, str>,
    qty: Cow<'a, str>,
    time_ns: i64,
    side: &'static str,
    ord_type: &'static str,
    id: u64,
}

impl Trades {
    /// A connector that has not begun.
    pub fn new(settings: TradeSettings) -> Self {
        let session = Session::new(Subscription {
            url: settings.url,
            topic: "kraken_trades",
            channel: "trade",
            parameters: r#","snapshot":true"#.to_owned(),
            symbols: settings.symbols,
            begins_with_data: false,
            seed: settings.seed,
        });
        Self {
            session,
            rest_url: settings.rest_url,
            pairs: None,
            last: Vec::new(),
            holes: VecDeque::new(),
            backoff: Backoff::new(WAIT_NS.0, WAIT_NS.1, settings.seed),
            asked: false,
            next_ask: MonoNanos(0),
            malformed: 0,
            filled: 0,
            lost: 0,
            duplicates: 0,
        }
    }

    fn data(&mut self, frame: &Frame<'_>, now: Now, out: &mut Outbox) {
        let is_snapshot = frame.kind.as_ref().is_some_and(|kind| kind.0 == "snapshot");
        let trades = frame.data.map(|data| serde_json::from_str::<Vec<&RawValue>>(data.get()));
        let Some(Ok(trades)) = trades else { return self.malformed += 1 };
        let mut known = None;
        for trade in trades {
            let Ok(element) = serde_json::from_str::<Element<'_>>(trade.get()) else {
                self.malformed += 1;
                continue;
            };
            let Some(at) = self.session.position(&element.symbol.0) else {
                self.malformed += 1;
                continue;
            };
            // A snapshot is of one pair; what it tells of a pair at the start was traded before it.
            let known = *known.get_or_insert(self.last.get(at).copied().flatten().is_some());
            self.trade(at, &element, trade.get(), is_snapshot && !known, now, out);
        }
    }

    fn trade(
        &mut self,
        at: usize,
        element: &Element<'_>,
        json: &str,
        is_past: bool,
        now: Now,
        out: &mut Outbox,
    ) {
        let (Some(id), Some(time)) = (element.trade_id, &element.timestamp) else {
            return self.malformed += 1;
        };
        let time_ns = parse_rfc3339(time.0.as_bytes()).unwrap_or(now.wall.0);
        if self.last.len() <= at {
            self.last.resize(at + 1, None);
        }
        let before = self.last.get(at).copied().flatten();
        if let Some(place) = self.last.get_mut(at)
            && before.is_none_or(|before| id > before.id)
        {
            *place = Some(Last { id, time_ns, heard: now.wall });
        }
        match before {
            _ if is_past => return,
            Some(before) if id <= before.id && !self.fills(at, id) => return self.duplicates += 1,
            Some(before) if id > before.id + 1 => self.missing(at, before, id - 1, now),
            _ => {}
        }
        if out.json(self.session.topic, now.wall, 0, json, KRAKEN_INTEGERS).is_err() {
            self.malformed += 1;
        }
        self.session.fresh(at, now, out);
    }

    /// Whether a late trade was missing, and is not any more.
    fn fills(&mut self, at: usize, id: u64) -> bool {
        let inside = |hole: &&mut Hole| hole.at == at && (hole.ids.0..=hole.ids.1).contains(&id);
        let Some(hole) = self.holes.iter_mut().find(inside) else { return false };
        if id != hole.ids.0 {
            // Behind others that are missing: REST brings it with them.
            return false;
        }
        hole.ids.0 += 1;
        self.filled += 1;
        true
    }

    fn missing(&mut self, at: usize, before: Last, last_id: u64, now: Now) {
        let span = (before.heard, now.wall);
        self.holes.push_back(Hole {
            at,
            ids: (before.id + 1, last_id),
            since_ns: before.time_ns,
            span,
            asks: 0,
        });
    }

    /// Asks for what is missing, or gives it up.
    fn look(&mut self, now: Now, out: &mut Outbox) {
        if self.asked {
            return;
        }
        self.holes.retain(|hole| hole.ids.0 <= hole.ids.1);
        while let Some(hole) = self.holes.front_mut() {
            let why = match &self.pairs {
                _ if self.rest_url.is_empty() => "REST is not asked",
                _ if hole.ids.1 - hole.ids.0 >= HOLE_MAX => "too many",
                _ if hole.asks >= ASKS_MAX => "REST did not tell them",
                _ if now.mono < self.next_ask => return,
                None => {
                    hole.asks += 1;
                    return self.ask(PAIRS, "/0/public/AssetPairs", now, out);
                }
                Some(pairs) => match pairs.altname(self.session.name(hole.at)) {
                    Some(name) => {
                        hole.asks += 1;
                        // `since` leaves out what was traded at that time itself.
                        let path = format!("/0/public/Trades?pair={name}&since={}", hole.since_ns - 1);
                        return self.ask(FILL, &path, now, out);
                    }
                    None => "REST does not know the pair",
                },
            };
            self.give_up(why, now, out);
        }
    }

    fn ask(&mut self, id: u32, path: &str, now: Now, out: &mut Outbox) {
        self.asked = true;
        self.next_ask = now.after(ASK_NS);
        out.ask(id, get(&self.rest_url, path));
    }

    /// The run ends: what is missing stays so, whatever REST was asked.
    fn stop(&mut self, now: Now, out: &mut Outbox) {
        self.holes.retain(|hole| hole.ids.0 <= hole.ids.1);
        while !self.holes.is_empty() {
            self.give_up("the run ended before REST told them", now, out);
        }
    }

    /// The first hole stays one.
    fn give_up(&mut self, why: &str, now: Now, out: &mut Outbox) {
        let Some(hole) = self.holes.pop_front() else { return };
        let lost = hole.ids.1 - hole.ids.0 + 1;
        self.lost += lost;
        let detail = format!("trades {} to {}: {why}", hole.ids.0, hole.ids.1);
        let (scope, span) = (self.session.name(hole.at), Some(hole.span));
        let note = Note { kind: "gap", scope, span, lost: Some(lost), detail: &detail };
        out.event(self.session.topic, now.wall, &note);
    }

    fn answer(&mut self, status: Option<u16>, body: &[u8], now: Now, out: &mut Outbox) {
        self.asked = false;
        let rows = serde_json::from_slice::<Answer<'_>>(body).ok().filter(|_| status == Some(200));
        let rows = rows.as_ref().and_then(Answer::rows);
        let Some(rows) = rows else {
            // Refused, or no answer: the rate limit is the usual reason.
            self.next_ask = now.after(self.backoff.next_ns());
            return self.look(now, out);
        };
        self.backoff.reset();
        let mut last = 0;
        for row in rows.iter().filter_map(|row| read_row(row)) {
            last = last.max(row.id);
            self.fill(&row, now, out);
        }
        // REST may be behind the stream; where it is beyond them, it does not have them.
        if self.holes.front().is_some_and(|hole| hole.ids.0 <= hole.ids.1 && last > hole.ids.1) {
            self.give_up("REST does not have them", now, out);
        }
        self.look(now, out);
    }

    /// Publishes one trade of the first hole.
    fn fill(&mut self, row: &Row<'_>, now: Now, out: &mut Outbox) {
        let Some(hole) = self.holes.front_mut().filter(|hole| (hole.ids.0..=hole.ids.1).contains(&row.id))
        else {
            return;
        };
        let skipped = row.id - hole.ids.0;
        hole.ids.0 = row.id + 1;
        hole.since_ns = row.time_ns;
        let (symbol, span) = (self.session.name(hole.at), Some(hole.span));
        self.filled += 1;
        if skipped > 0 {
            self.lost += skipped;
            let detail = "trades that REST does not have";
            let note = Note { kind: "gap", scope: symbol, span, lost: Some(skipped), detail };
            out.event(self.session.topic, now.wall, &note);
        }
        out.map(self.session.topic, now.wall, 0, 7, |writer| {
            let time = rfc3339(WallNanos(row.time_ns), 6);
            let texts =
                [("symbol", symbol), ("side", row.side), ("ord_type", row.ord_type), ("timestamp", &time)];
            for (key, text) in texts {
                writer.text(key);
                writer.text(text);
            }
            for (key, text) in [("price", &row.price), ("qty", &row.qty)] {
                writer.text(key);
                writer.decimal_text(text);
            }
            writer.text("trade_id");
            writer.uint(row.id);
        });
    }
}

/// REST's answer: rows under the pair's name, and `last`.
#[derive(serde::Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<BTreeMap<String, &'a RawValue>>,
}

impl<'a> Answer<'a> {
    fn rows(&self) -> Option<Vec<&'a RawValue>> {
        self.result.as_ref()?.values().find_map(|value| serde_json::from_str(value.get()).ok())
    }
}

/// `[price, volume, time, "b" or "s", "l" or "m", "", trade_id]`; older rows have no id. The time keeps its digits.
type RawRow<'a> = (Text<'a>, Text<'a>, &'a RawValue, Text<'a>, Text<'a>, Text<'a>, u64);

fn read_row<'a>(row: &'a RawValue) -> Option<Row<'a>> {
    let (price, qty, time, side, ord_type, _, id) = serde_json::from_str::<RawRow<'a>>(row.get()).ok()?;
    let side = if side.0 == "b" { "buy" } else { "sell" };
    let ord_type = if ord_type.0 == "m" { "market" } else { "limit" };
    let time_ns = from_decimal(time.get().as_bytes(), 1_000_000_000)?;
    Some(Row { price: price.0, qty: qty.0, time_ns, side, ord_type, id })
}

impl Connector for Trades {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        match event {
            Event::Start => {
                self.session.start(now, out);
                if !self.rest_url.is_empty() {
                    self.ask(PAIRS, "/0/public/AssetPairs", now, out);
                }
                return;
            }
            Event::Answer { id: PAIRS, body, .. } => {
                self.asked = false;
                self.pairs = Pairs::read(body).ok();
                if self.pairs.is_none() {
                    self.next_ask = now.after(self.backoff.next_ns());
                }
            }
            Event::Answer { id: FILL, status, body } => self.answer(status, body, now, out),
            Event::Stop => self.stop(now, out),
            _ => {}
        }
        match self.session.on(event, now, out) {
            Heard::Data(frame) => self.data(&frame, now, out),
            Heard::Retry => self.session.open(out),
            Heard::Malformed => self.malformed += 1,
            Heard::Down | Heard::Quiet | Heard::Refused(_) => {}
        }
        self.look(now, out);
    }

    fn due(&self) -> Option<MonoNanos> {
        let fill = (!self.holes.is_empty() && !self.asked).then_some(self.next_ask);
        [self.session.due(), fill].into_iter().flatten().min()
    }

    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.session.tell(tell);
        tell("trades_malformed", self.malformed);
        tell("trades_filled", self.filled);
        tell("trades_lost", self.lost);
        tell("trades_duplicate", self.duplicates);
    }
}
