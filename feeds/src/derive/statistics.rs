//! Rolling statistics of each symbol over a window of the venue's time: count, mean, deviation, extremes, quantiles, return
//! and volatility. A tick costs the same however long the window is; a statistic is told in turns by the clock, for each
//! symbol that had a tick since, and speaks of the window that ends with its last tick.

use std::collections::BTreeMap;

use super::price::Price;
use super::read::{Quote, Told};
use super::source::{BUS, Source};
use super::window::{Figures, MORE_PLACES, RATIO_PLACES, Window};
use crate::clock::{MonoNanos, WallNanos};
use crate::connect::{Connector, Event, Now, Outbox, Ties, TopicId};
use crate::payload::rfc3339;

const SECOND_NS: u64 = 1_000_000_000;

/// What statistics are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatisticsSettings {
    /// Where the source is published.
    pub endpoint: String,
    /// Its topic.
    pub from: String,
    /// Topic of the statistics.
    pub topic: String,
    /// Length of the window, ns; whole seconds.
    pub window_ns: u64,
    /// Time between two statistics of a symbol, ns.
    pub every_ns: u64,
    /// What is sampled.
    pub price: Price,
}

/// One symbol.
#[derive(Debug, Default)]
struct Symbol {
    window: Window,
    ties: Ties,
    /// It had a tick since it was last told.
    is_fresh: bool,
}

/// All symbols, and what was met.
#[derive(Debug, Default)]
struct Symbols {
    all: BTreeMap<String, Symbol>,
    ticks: u64,
    without_price: u64,
    too_long: u64,
    early: u64,
}

impl Symbols {
    fn tick(&mut self, quote: &Quote<'_>, settings: &StatisticsSettings, now: Now) {
        let Some(price) = quote.price(settings.price) else { return self.without_price += 1 };
        if !self.all.contains_key(quote.symbol) {
            self.all.insert(quote.symbol.to_owned(), Symbol::default());
        }
        let Some(symbol) = self.all.get_mut(quote.symbol) else { return };
        let span_ns = i64::try_from(settings.window_ns).unwrap_or(i64::MAX);
        let Some(early) = symbol.window.push(quote.time(now), price, span_ns) else {
            return self.too_long += 1;
        };
        symbol.is_fresh = true;
        self.early += early;
        self.ticks += 1;
    }
}

/// The connector.
#[derive(Debug)]
pub struct Statistics {
    settings: StatisticsSettings,
    source: Source,
    topic: TopicId,
    symbols: Symbols,
    next: Option<MonoNanos>,
    scratch: Vec<i64>,
    told: u64,
}

impl Statistics {
    /// A connector that has not begun.
    pub fn new(settings: StatisticsSettings) -> Self {
        Self {
            source: Source::new(settings.endpoint.clone(), settings.from.clone()),
            settings,
            topic: TopicId(0),
            symbols: Symbols::default(),
            next: None,
            scratch: Vec::new(),
            told: 0,
        }
    }

    /// Tells them if it is time.
    fn turn(&mut self, now: Now, out: &mut Outbox) {
        let Some(next) = self.next.filter(|next| *next <= now.mono) else { return };
        self.tell(now, out);
        // After a halt of the machine one is told, not all that were missed.
        let next = MonoNanos(next.0.saturating_add(self.settings.every_ns));
        self.next = Some(if next > now.mono { next } else { now.after(self.settings.every_ns) });
    }

    /// Tells each symbol that is fresh.
    fn tell(&mut self, now: Now, out: &mut Outbox) {
        for (name, symbol) in &mut self.symbols.all {
            if !std::mem::take(&mut symbol.is_fresh) {
                continue;
            }
            let Some(figures) = symbol.window.figures(&mut self.scratch) else { continue };
            let tie = symbol.ties.next(figures.time_ns);
            publish(name, &figures, self.settings.window_ns, (self.topic, tie), now, out);
            self.told += 1;
        }
    }
}

fn publish(
    symbol: &str,
    figures: &Figures,
    window_ns: u64,
    (topic, tie): (TopicId, u32),
    now: Now,
    out: &mut Outbox,
) {
    let fine = figures.scale + MORE_PLACES;
    let [p05, p50, p95] = figures.quantiles;
    let values = [
        ("mean", Some(figures.mean), fine),
        ("deviation", figures.deviation, fine),
        ("min", Some(figures.min), figures.scale),
        ("max", Some(figures.max), figures.scale),
        ("p05", Some(p05), figures.scale),
        ("p50", Some(p50), figures.scale),
        ("p95", Some(p95), figures.scale),
        ("return", figures.change, RATIO_PLACES),
        ("volatility", figures.volatility, RATIO_PLACES),
    ];
    let values = values.into_iter().filter_map(|(key, value, places)| Some((key, value?, places)));
    let keys = 4 + values.clone().count() as u16;
    out.map(topic, now.wall, tie, keys, |writer| {
        writer.text("symbol");
        writer.text(symbol);
        writer.text("timestamp");
        writer.text(&rfc3339(WallNanos(figures.time_ns), 9));
        writer.text("window_s");
        writer.uint(window_ns / SECOND_NS);
        writer.text("count");
        writer.uint(figures.count as u64);
        for (key, value, places) in values {
            writer.text(key);
            writer.decimal(value, places);
        }
    });
}

impl Connector for Statistics {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        match event {
            Event::Start => {
                self.topic = out.topic(&self.settings.topic);
                self.next = Some(now.after(self.settings.every_ns));
                self.source.open(out);
            }
            Event::Message(BUS, payload) => {
                let (mut events, settings) = (Vec::new(), &self.settings);
                self.source.take(payload, now, out, &mut |told| match told {
                    Told::Quote(quote) => self.symbols.tick(&quote, settings, now),
                    Told::Happened(event) => events.push(event),
                });
                events.iter().for_each(|event| self.source.forward(event, self.topic, now, out));
            }
            Event::Due => {
                if let Some(event) = self.source.look(now, out) {
                    self.source.forward(&event, self.topic, now, out);
                }
                self.turn(now, out);
            }
            Event::Stop => self.tell(now, out),
            _ => {}
        }
    }

    fn due(&self) -> Option<MonoNanos> {
        [self.next, self.source.due()].into_iter().flatten().min()
    }

    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        let all = [
            ("statistics", self.told),
            ("ticks", self.symbols.ticks),
            ("without_price", self.symbols.without_price),
            ("too_long", self.symbols.too_long),
            ("left_early", self.symbols.early),
        ];
        all.into_iter().for_each(|(name, count)| tell(name, count));
        self.source.counts(tell);
    }
}
