//! EUR/USD as coins imply it that are quoted in both currencies. BID = X/USD bid over X/EUR ask, ASK = X/USD ask over
//! X/EUR bid; legs are matched by the coin, whatever the order in which pairs come, and each rate is told beside the one
//! before it, of another or the same coin. Rates are exact fractions, rounded to five places, half up; no float is made,
//! and a rate outside of the window or of an old leg is counted and is none; a leg that lost a side, or whose source was
//! not whole, is none until it is quoted again.

use std::collections::HashMap;

use super::read::{Happened, Quote, Told};
use super::source::{BUS, Source};
use crate::clock::MonoNanos;
use crate::connect::kraken::Amount;
use crate::connect::{Event, Now, Outbox, TopicId};

/// Places of a rate.
pub(super) const PLACES: u8 = 5;

/// What rates are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegsSettings {
    /// Where the quotes or books of the legs are published.
    pub endpoint: String,
    /// Their topic: `kraken_tick` or `kr_depth`.
    pub from: String,
    /// Topic of what is made from them.
    pub topic: String,
    /// Coins whose legs are used; none: every coin that is quoted in both currencies.
    pub coins: Vec<String>,
    /// A rate outside of these is no rate; both inside.
    pub window: (Amount, Amount),
    /// A leg that was last heard of longer ago than this is not used, ns.
    pub leg_age_max_ns: u64,
}

/// The last quote of one leg.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    pub(super) bid: Amount,
    pub(super) ask: Amount,
    pub(super) bid_qty: Amount,
    pub(super) ask_qty: Amount,
    time_ns: i64,
    heard: MonoNanos,
}

/// The two legs of a coin.
#[derive(Clone, Copy, Debug, Default)]
struct Legs {
    usd: Option<Leg>,
    eur: Option<Leg>,
}

/// A rate that a coin implies, in units of 10^-5.
#[derive(Debug)]
pub(super) struct Rate {
    coin: String,
    pub(super) usd: Leg,
    pub(super) eur: Leg,
    pub(super) bid: i64,
    pub(super) ask: i64,
}

impl Rate {
    /// The pair in dollars.
    pub(super) fn instrument(&self) -> String {
        format!("{}/USD", self.coin)
    }

    /// The pair in euros.
    pub(super) fn instrument_cross(&self) -> String {
        format!("{}/EUR", self.coin)
    }

    /// Coins that both legs fill at the bid: bought for euros, sold for dollars.
    pub(super) fn bid_volume(&self) -> Amount {
        smaller(self.usd.bid_qty, self.eur.ask_qty)
    }

    /// Coins that both legs fill at the ask: bought for dollars, sold for euros.
    pub(super) fn ask_volume(&self) -> Amount {
        smaller(self.usd.ask_qty, self.eur.bid_qty)
    }
}

/// A rate and the one before it.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) t0: &'a Rate,
    pub(super) t1: &'a Rate,
    /// When the later of the second one's legs was quoted.
    pub(super) time_ns: i64,
    pub(super) topic: TopicId,
}

impl Pair<'_> {
    /// Below 0: who buys euros at the first rate sells them dearer at the second.
    pub(super) fn spread_t_bid(&self) -> i64 {
        self.t0.ask - self.t1.bid
    }

    /// Below 0: who buys euros at the second rate sells them dearer at the first.
    pub(super) fn spread_t_ask(&self) -> i64 {
        self.t1.ask - self.t0.bid
    }
}

/// The legs, the last rate, and what was counted.
#[derive(Debug)]
pub(super) struct Rates {
    settings: LegsSettings,
    source: Source,
    topic: TopicId,
    legs: HashMap<String, Legs>,
    last: Option<Rate>,
    rates: u64,
    stale: u64,
    outside: u64,
}

impl Rates {
    pub(super) fn new(settings: LegsSettings) -> Self {
        Self {
            source: Source::new(settings.endpoint.clone(), settings.from.clone()),
            settings,
            topic: TopicId(0),
            legs: HashMap::new(),
            last: None,
            rates: 0,
            stale: 0,
            outside: 0,
        }
    }

    /// Takes an event; each rate that has one before it is told.
    pub(super) fn on(
        &mut self,
        event: Event<'_>,
        now: Now,
        out: &mut Outbox,
        tell: &mut dyn FnMut(&Pair<'_>, &mut Outbox),
    ) {
        match event {
            Event::Start => {
                self.topic = out.topic(&self.settings.topic);
                self.source.open(out);
            }
            Event::Message(BUS, payload) => {
                let mut told = Vec::new();
                self.source.take(payload, now, out, &mut |what| told.push(what));
                for what in told {
                    match what {
                        Told::Quote(quote) => self.quote(&quote, now, out, tell),
                        Told::Happened(event) => self.happened(&event, now, out),
                    }
                }
            }
            Event::Due => {
                if let Some(event) = self.source.look(now, out) {
                    self.happened(&event, now, out);
                }
            }
            _ => {}
        }
    }

    /// When to look again.
    pub(super) fn due(&self) -> Option<MonoNanos> {
        self.source.due()
    }

    /// A leg whose source was not whole may have changed since: it is heard again before it is used, and no rate stands
    /// beside one of before.
    fn happened(&mut self, event: &Happened<'_>, now: Now, out: &mut Outbox) {
        if !matches!(event.kind, "up" | "clean") {
            let pair = event.scope.split_once('/');
            let is_of = |coin: &str, currency| event.scope == "*" || pair == Some((coin, currency));
            for (coin, legs) in &mut self.legs {
                legs.usd.take_if(|_| is_of(coin, "USD"));
                legs.eur.take_if(|_| is_of(coin, "EUR"));
            }
            self.last.take_if(|rate| is_of(&rate.coin, "USD") || is_of(&rate.coin, "EUR"));
        }
        self.source.forward(event, self.topic, now, out);
    }

    fn quote(
        &mut self,
        quote: &Quote<'_>,
        now: Now,
        out: &mut Outbox,
        tell: &mut dyn FnMut(&Pair<'_>, &mut Outbox),
    ) {
        let Some((coin, currency)) = quote.symbol.split_once('/') else { return };
        let wanted = self.settings.coins.is_empty() || self.settings.coins.iter().any(|known| known == coin);
        if !wanted || !matches!(currency, "USD" | "EUR") {
            return;
        }
        let nothing = Amount::default();
        // Without one of its sides a market has no rate, whatever it was before.
        let leg = quote.bid.zip(quote.ask).map(|(bid, ask)| Leg {
            bid,
            ask,
            bid_qty: quote.bid_qty.unwrap_or(nothing),
            ask_qty: quote.ask_qty.unwrap_or(nothing),
            time_ns: quote.time_ns.unwrap_or(now.wall.0),
            heard: now.mono,
        });
        if !self.legs.contains_key(coin) {
            self.legs.insert(coin.to_owned(), Legs::default());
        }
        let Some(legs) = self.legs.get_mut(coin) else { return };
        *(if currency == "USD" { &mut legs.usd } else { &mut legs.eur }) = leg;
        let Legs { usd: Some(usd), eur: Some(eur) } = *legs else { return };
        let oldest = usd.heard.min(eur.heard);
        if now.mono.since(oldest) > self.settings.leg_age_max_ns {
            self.stale += 1;
            return;
        }
        let Some(rate) = self.rate(coin, usd, eur) else { return };
        let before = self.last.take();
        if let Some(before) = before {
            self.rates += 1;
            let time_ns = usd.time_ns.max(eur.time_ns);
            tell(&Pair { t0: &before, t1: &rate, time_ns, topic: self.topic }, out);
        }
        self.last = Some(rate);
    }

    fn rate(&mut self, coin: &str, usd: Leg, eur: Leg) -> Option<Rate> {
        let (bid, ask) = (ratio(usd.bid, eur.ask)?, ratio(usd.ask, eur.bid)?);
        let inside = |rate: i64| {
            let rate = Amount { digits: rate, scale: PLACES };
            rate >= self.settings.window.0 && rate <= self.settings.window.1
        };
        if !inside(bid) || !inside(ask) {
            self.outside += 1;
            return None;
        }
        Some(Rate { coin: coin.to_owned(), usd, eur, bid, ask })
    }

    pub(super) fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        let all = [("rates", self.rates), ("stale_legs", self.stale), ("outside_window", self.outside)];
        all.into_iter().for_each(|(name, count)| tell(name, count));
        self.source.counts(tell);
    }
}

/// `a / b` in units of 10^-5, rounded half up; none where the numbers are too long for it.
fn ratio(a: Amount, b: Amount) -> Option<i64> {
    let power = |exponent: u8| 10_i128.checked_pow(u32::from(exponent));
    let over = i128::from(a.digits).checked_mul(power(b.scale)?)?.checked_mul(power(PLACES)?)?;
    let under = i128::from(b.digits).checked_mul(power(a.scale)?)?;
    if under == 0 {
        return None;
    }
    i64::try_from(over.checked_mul(2)?.checked_add(under)?.checked_div(under.checked_mul(2)?)?).ok()
}

fn smaller(a: Amount, b: Amount) -> Amount {
    if b < a { b } else { a }
}
