//! Bars of each symbol over intervals of the venue's time, counted from 1970: open, high, low, close and ticks, and volume
//! and vwap where ticks have quantities. A bar is told once, when a tick of a later interval comes or the interval has been
//! over for a while, and an interval without ticks has none. It says whether it is complete: no hole of the source meets
//! it, and it was heard from its beginning.

use std::collections::BTreeMap;

use super::bar::Bar;
use super::holes::{Holes, is_about};
use super::price::Price;
use super::read::{Happened, Quote, Told};
use super::source::{BUS, Source};
use crate::clock::{MonoNanos, WallNanos};
use crate::connect::{Connector, Event, Now, Outbox, TopicId};
use crate::payload::rfc3339;

const SECOND_NS: u64 = 1_000_000_000;

/// What bars are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarsSettings {
    /// Where the source is published.
    pub endpoint: String,
    /// Its topic.
    pub from: String,
    /// Topic of the bars.
    pub topic: String,
    /// Length of an interval, ns; whole seconds.
    pub every_ns: u64,
    /// How long after its end ticks of an interval may come, and how far venue's clock and ours may differ, ns.
    pub late_ns: u64,
    /// What is sampled.
    pub price: Price,
}

/// One symbol.
#[derive(Debug, Default)]
struct Symbol {
    bar: Option<Bar>,
    /// Begin of the bar told last.
    told_ns: Option<i64>,
}

/// The connector.
#[derive(Debug)]
pub struct Bars {
    settings: BarsSettings,
    every_ns: i64,
    late_ns: i64,
    source: Source,
    topic: TopicId,
    symbols: BTreeMap<String, Symbol>,
    holes: Holes,
    /// When the first message came.
    since_ns: Option<i64>,
    next: Option<MonoNanos>,
    bars: u64,
    incomplete: u64,
    ticks: u64,
    late: u64,
    without_price: u64,
    too_long: u64,
}

impl Bars {
    /// A connector that has not begun.
    pub fn new(settings: BarsSettings) -> Self {
        Self {
            every_ns: i64::try_from(settings.every_ns).unwrap_or(i64::MAX).max(1),
            late_ns: i64::try_from(settings.late_ns).unwrap_or(i64::MAX),
            source: Source::new(settings.endpoint.clone(), settings.from.clone()),
            settings,
            topic: TopicId(0),
            symbols: BTreeMap::new(),
            holes: Holes::default(),
            since_ns: None,
            next: None,
            bars: 0,
            incomplete: 0,
            ticks: 0,
            late: 0,
            without_price: 0,
            too_long: 0,
        }
    }

    fn quote(&mut self, quote: &Quote<'_>, now: Now, out: &mut Outbox) {
        let Some(price) = quote.price(self.settings.price) else { return self.without_price += 1 };
        let time_ns = quote.time(now);
        let begin_ns = time_ns.div_euclid(self.every_ns).saturating_mul(self.every_ns);
        if !self.symbols.contains_key(quote.symbol) {
            self.symbols.insert(quote.symbol.to_owned(), Symbol::default());
        }
        let Some(symbol) = self.symbols.get_mut(quote.symbol) else { return };
        let open_ns = symbol.bar.as_ref().map(|bar| bar.begin_ns);
        if symbol.told_ns >= Some(begin_ns) || open_ns > Some(begin_ns) {
            return self.late += 1;
        }
        let before = symbol.bar.take_if(|bar| bar.begin_ns < begin_ns);
        let end_ns = begin_ns.saturating_add(self.every_ns);
        let rest_ns = end_ns.saturating_add(self.late_ns).saturating_sub(time_ns);
        let over = now.after(u64::try_from(rest_ns).unwrap_or(0));
        symbol.told_ns = before.as_ref().map(|bar| bar.begin_ns).or(symbol.told_ns);
        let (is_first, since_ns) = (symbol.told_ns.is_none(), self.since_ns.unwrap_or(i64::MAX));
        let holes = &self.holes;
        let bar = symbol.bar.get_or_insert_with(|| {
            let is_whole = !is_first || begin_ns > since_ns;
            Bar::new(begin_ns, over, price, is_whole && !holes.meet(quote.symbol, begin_ns, end_ns))
        });
        let quantity = quote.last_qty.filter(|_| self.settings.price == Price::Last);
        if bar.add(price, quantity, over) {
            self.ticks += 1;
        } else {
            self.too_long += 1;
        }
        self.next = Some(self.next.map_or(bar.over, |next| next.min(bar.over)));
        if let Some(before) = before {
            self.tell(quote.symbol, &before, now, out);
        }
    }

    fn happened(&mut self, event: &Happened<'_>, now: Now, out: &mut Outbox) {
        if let Some(hole) = self.holes.take(event, self.late_ns, now) {
            let about = self.symbols.iter_mut().filter(|(name, _)| is_about(event.scope, name));
            for bar in about.filter_map(|(_, symbol)| symbol.bar.as_mut()) {
                bar.is_complete &= !hole.meets(bar.begin_ns, bar.begin_ns.saturating_add(self.every_ns));
            }
        }
        self.source.forward(event, self.topic, now, out);
    }

    /// Tells the bars that are over, or all of them, incomplete.
    fn close(&mut self, is_end: bool, now: Now, out: &mut Outbox) {
        let mut symbols = std::mem::take(&mut self.symbols);
        self.next = None;
        for (name, symbol) in &mut symbols {
            if let Some(mut bar) = symbol.bar.take_if(|bar| is_end || bar.over <= now.mono) {
                bar.is_complete &= bar.over <= now.mono;
                symbol.told_ns = Some(bar.begin_ns);
                self.tell(name, &bar, now, out);
            }
            if let Some(bar) = &symbol.bar {
                self.next = Some(self.next.map_or(bar.over, |next| next.min(bar.over)));
            }
        }
        self.symbols = symbols;
    }

    fn tell(&mut self, symbol: &str, bar: &Bar, now: Now, out: &mut Outbox) {
        self.bars += 1;
        self.incomplete += u64::from(!bar.is_complete);
        let volumes = bar.volumes();
        let interval_s = self.settings.every_ns / SECOND_NS;
        out.map(self.topic, now.wall, 0, 9 + 2 * u16::from(volumes.is_some()), |writer| {
            writer.text("symbol");
            writer.text(symbol);
            writer.text("timestamp");
            writer.text(&rfc3339(WallNanos(bar.begin_ns), 9));
            writer.text("interval_s");
            writer.uint(interval_s);
            let prices = [("open", bar.open), ("high", bar.high), ("low", bar.low), ("close", bar.close)];
            let volumes = volumes.into_iter().flat_map(|(volume, vwap)| [("volume", volume), ("vwap", vwap)]);
            for (key, amount) in prices.into_iter().chain(volumes) {
                writer.text(key);
                writer.decimal(amount.digits, amount.scale);
            }
            writer.text("ticks");
            writer.uint(bar.ticks);
            writer.text("complete");
            writer.bool(bar.is_complete);
        });
    }
}

impl Connector for Bars {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        match event {
            Event::Start => {
                self.topic = out.topic(&self.settings.topic);
                self.source.open(out);
            }
            Event::Message(BUS, payload) => {
                self.since_ns.get_or_insert(now.wall.0);
                let mut told = Vec::new();
                self.source.take(payload, now, out, &mut |what| told.push(what));
                for what in told {
                    match what {
                        Told::Quote(quote) => self.quote(&quote, now, out),
                        Told::Happened(event) => self.happened(&event, now, out),
                    }
                }
            }
            Event::Due => {
                if let Some(event) = self.source.look(now, out) {
                    self.happened(&event, now, out);
                }
                self.close(false, now, out);
            }
            Event::Stop => self.close(true, now, out),
            _ => {}
        }
    }

    fn due(&self) -> Option<MonoNanos> {
        [self.next, self.source.due()].into_iter().flatten().min()
    }

    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        let all = [
            ("bars", self.bars),
            ("incomplete", self.incomplete),
            ("ticks", self.ticks),
            ("late", self.late),
            ("without_price", self.without_price),
            ("too_long", self.too_long),
        ];
        all.into_iter().for_each(|(name, count)| tell(name, count));
        self.source.counts(tell);
    }
}
