//! Synthetic EUR/USD: the rate that a coin implies is published beside the one before it, with the spreads across them.
//! Where one of these is negative, there is a crossing. How rates are made and which are left out: [`super::legs`].

use super::legs::{LegsSettings, PLACES, Pair, Rate, Rates};
use crate::clock::{MonoNanos, WallNanos};
use crate::connect::{Connector, Event, Now, Outbox, Ties};
use crate::payload::{PayloadWriter, rfc3339};

/// The connector.
#[derive(Debug)]
pub struct Synthetic {
    rates: Rates,
    with_volumes: bool,
    ties: Ties<64>,
}

impl Synthetic {
    /// A connector that has not begun; with volumes, it tells the coins that both legs can fill.
    pub fn new(settings: LegsSettings, with_volumes: bool) -> Self {
        Self { rates: Rates::new(settings), with_volumes, ties: Ties::default() }
    }
}

fn publish(pair: &Pair<'_>, tie: u32, with_volumes: bool, now: Now, out: &mut Outbox) {
    let (before, rate) = (pair.t0, pair.t1);
    let keys = 10 + if with_volumes { 4 } else { 0 };
    out.map(pair.topic, now.wall, tie, keys, |writer| {
        for (key, name) in [("instrument_t0", before.instrument()), ("instrument_t1", rate.instrument())] {
            writer.text(key);
            writer.text(&name);
        }
        writer.text("timestamp");
        writer.text(&rfc3339(WallNanos(pair.time_ns), 6));
        let rates = [
            ("bid_t0", before.bid),
            ("ask_t0", before.ask),
            ("bid_t1", rate.bid),
            ("ask_t1", rate.ask),
            ("spread", rate.ask - rate.bid),
            ("spread_t_bid", pair.spread_t_bid()),
            ("spread_t_ask", pair.spread_t_ask()),
        ];
        for (key, value) in rates {
            writer.text(key);
            writer.decimal(value, PLACES);
        }
        if with_volumes {
            put_volumes(writer, "t0", before);
            put_volumes(writer, "t1", rate);
        }
    });
}

fn put_volumes(writer: &mut PayloadWriter, which: &str, rate: &Rate) {
    for (side, volume) in [("bid", rate.bid_volume()), ("ask", rate.ask_volume())] {
        writer.text(&format!("{side}_volume_{which}"));
        writer.decimal(volume.digits, volume.scale);
    }
}

impl Connector for Synthetic {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        let (ties, with_volumes) = (&mut self.ties, self.with_volumes);
        self.rates.on(event, now, out, &mut |pair, out| {
            publish(pair, ties.next(pair.time_ns), with_volumes, now, out);
        });
    }

    fn due(&self) -> Option<MonoNanos> {
        self.rates.due()
    }

    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.rates.counts(tell);
    }
}
