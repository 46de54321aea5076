//! Baskets: where the rate that a coin implies crosses the rate before it, the quotes of all four legs as one snapshot,
//! and the four trades that would turn dollars into euros at one rate and back at the other. Sums are exact decimals,
//! rounded to five places, half up; one too long for its place leaves the crossing out, which is counted. It trades
//! nothing, and where both rates are the same coin's, the quotes of the first may no longer stand.

use super::legs::{LegsSettings, PLACES, Pair, Rate, Rates};
use crate::clock::{MonoNanos, WallNanos};
use crate::connect::kraken::Amount;
use crate::connect::{Connector, Event, Now, Outbox, Ties};
use crate::payload::{PayloadWriter, rfc3339};

/// The connector.
#[derive(Debug)]
pub struct Basket {
    rates: Rates,
    ties: Ties<64>,
    crossings: u64,
    too_long: u64,
}

impl Basket {
    /// A connector that has not begun.
    pub fn new(settings: LegsSettings) -> Self {
        Self { rates: Rates::new(settings), ties: Ties::default(), crossings: 0, too_long: 0 }
    }
}

/// One message, made before the first is queued: all of a crossing are told, or none.
enum Made {
    Snapshot([(&'static str, i64); 4]),
    /// Whether euros are bought through the first coin, and how many.
    Trades {
        through_t0: bool,
        amount_eur: i64,
    },
}

/// What is told of a pair; nothing where it is not crossed, none where a number is too long.
fn made(pair: &Pair<'_>) -> Option<Vec<Made>> {
    let (t0, t1) = (pair.t0, pair.t1);
    let rate = |digits| Amount { digits, scale: PLACES };
    let (through_t0, through_t1) = (pair.spread_t_bid() < 0, pair.spread_t_ask() < 0);
    let mut all = Vec::new();
    if through_t0 || through_t1 {
        all.push(Made::Snapshot([
            ("cross_bid_t0", product(t0.eur.bid, rate(t1.bid))?),
            ("cross_ask_t0", product(t0.eur.ask, rate(t1.ask))?),
            ("cross_bid_t1", product(t1.eur.bid, rate(t0.bid))?),
            ("cross_ask_t1", product(t1.eur.ask, rate(t0.ask))?),
        ]));
    }
    if through_t0 {
        all.push(Made::Trades { through_t0: true, amount_eur: amount_eur(t0, t1)? });
    }
    if through_t1 {
        all.push(Made::Trades { through_t0: false, amount_eur: amount_eur(t1, t0)? });
    }
    Some(all)
}

/// Euros that `bought` can give for its coins and `sold` can take for its own.
fn amount_eur(bought: &Rate, sold: &Rate) -> Option<i64> {
    Some(product(bought.ask_volume(), bought.eur.bid)?.min(product(sold.bid_volume(), sold.eur.ask)?))
}

/// `a * b` in units of 10^-5, rounded half up; none where the numbers are too long for it.
fn product(a: Amount, b: Amount) -> Option<i64> {
    let (whole, scale) = (i128::from(a.digits) * i128::from(b.digits), u32::from(a.scale + b.scale));
    let units = match scale.checked_sub(u32::from(PLACES)) {
        Some(more) => {
            let unit = 10_i128.checked_pow(more)?;
            whole.checked_add(unit / 2)?.checked_div(unit)?
        }
        None => whole.checked_mul(10_i128.pow(u32::from(PLACES) - scale))?,
    };
    i64::try_from(units).ok()
}

fn publish(pair: &Pair<'_>, made: &Made, tie: u32, now: Now, out: &mut Outbox) {
    let (kind, own) = match made {
        Made::Snapshot(_) => ("snapshot", 19),
        Made::Trades { .. } => ("basket", 13),
    };
    out.map(pair.topic, now.wall, tie, 6 + own, |writer| {
        let texts = [
            ("type", kind),
            ("timestamp", &rfc3339(WallNanos(pair.time_ns), 6)),
            ("instrument_t0", &pair.t0.instrument()),
            ("instrument_cross_t0", &pair.t0.instrument_cross()),
            ("instrument_t1", &pair.t1.instrument()),
            ("instrument_cross_t1", &pair.t1.instrument_cross()),
        ];
        put_texts(writer, &texts);
        match made {
            Made::Snapshot(crossed) => put_snapshot(writer, pair, crossed),
            Made::Trades { through_t0, amount_eur } => put_trades(writer, pair, *through_t0, *amount_eur),
        }
    });
}

fn put_snapshot(writer: &mut PayloadWriter, pair: &Pair<'_>, crossed: &[(&str, i64); 4]) {
    let (t0, t1) = (pair.t0, pair.t1);
    let legs = [
        ("usd_bid_t0", t0.usd.bid),
        ("usd_ask_t0", t0.usd.ask),
        ("eur_bid_t0", t0.eur.bid),
        ("eur_ask_t0", t0.eur.ask),
        ("usd_bid_t1", t1.usd.bid),
        ("usd_ask_t1", t1.usd.ask),
        ("eur_bid_t1", t1.eur.bid),
        ("eur_ask_t1", t1.eur.ask),
    ];
    put_amounts(writer, &legs);
    let rates = [
        ("bid_t0", t0.bid),
        ("ask_t0", t0.ask),
        ("bid_t1", t1.bid),
        ("ask_t1", t1.ask),
        ("spread", t1.ask - t1.bid),
        ("spread_t_bid", pair.spread_t_bid()),
        ("spread_t_ask", pair.spread_t_ask()),
    ];
    put_units(writer, &rates);
    put_units(writer, crossed);
}

fn put_trades(writer: &mut PayloadWriter, pair: &Pair<'_>, through_t0: bool, amount_eur: i64) {
    let (t0, t1) = (pair.t0, pair.t1);
    // Who buys euros buys the coin for dollars and sells it for euros; who sells them goes back.
    let bought = |rate: &Rate| (rate.usd.ask, rate.eur.bid, rate.ask_volume());
    let sold = |rate: &Rate| (rate.usd.bid, rate.eur.ask, rate.bid_volume());
    let (to, back) = (("buy", "sell"), ("sell", "buy"));
    let (direction, sides, of_t0, of_t1, edge) = if through_t0 {
        ("buy_t0_sell_t1", (to, back), bought(t0), sold(t1), -pair.spread_t_bid())
    } else {
        ("buy_t1_sell_t0", (back, to), sold(t0), bought(t1), -pair.spread_t_ask())
    };
    let texts = [
        ("direction", direction),
        ("side_t0", sides.0.0),
        ("side_cross_t0", sides.0.1),
        ("side_t1", sides.1.0),
        ("side_cross_t1", sides.1.1),
    ];
    put_texts(writer, &texts);
    let amounts = [
        ("price_t0", of_t0.0),
        ("price_cross_t0", of_t0.1),
        ("price_t1", of_t1.0),
        ("price_cross_t1", of_t1.1),
        ("volume_t0", of_t0.2),
        ("volume_t1", of_t1.2),
    ];
    put_amounts(writer, &amounts);
    put_units(writer, &[("amount_eur", amount_eur), ("edge", edge)]);
}

fn put_texts(writer: &mut PayloadWriter, texts: &[(&str, &str)]) {
    for (key, text) in texts {
        writer.text(key);
        writer.text(text);
    }
}

fn put_amounts(writer: &mut PayloadWriter, amounts: &[(&str, Amount)]) {
    for (key, amount) in amounts {
        writer.text(key);
        writer.decimal(amount.digits, amount.scale);
    }
}

fn put_units(writer: &mut PayloadWriter, units: &[(&str, i64)]) {
    for (key, units) in units {
        writer.text(key);
        writer.decimal(*units, PLACES);
    }
}

impl Connector for Basket {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        let Self { rates, ties, crossings, too_long } = self;
        rates.on(event, now, out, &mut |pair, out| {
            let Some(all) = made(pair) else { return *too_long += 1 };
            let Ok(messages @ 1..) = u32::try_from(all.len()) else { return };
            *crossings += 1;
            let first = ties.take(pair.time_ns, messages);
            for (tie, made) in (first..).zip(&all) {
                publish(pair, made, tie, now, out);
            }
        });
    }

    fn due(&self) -> Option<MonoNanos> {
        self.rates.due()
    }

    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.rates.counts(tell);
        tell("crossings", self.crossings);
        tell("too_long", self.too_long);
    }
}
