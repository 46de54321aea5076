//! Instrument definitions: the answer of `GET /v3/accounts/{id}/instruments`
//! (<https://developer.oanda.com/rest-live-v20/account-ep/>) as maps of topic `instruments`. It promises that one
//! entry that cannot be read does not take the others with it. It refuses to ask.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::connect::{Now, Outbox, TopicId};

/// Most digits behind the point that a decimal is written with.
const PRECISION_MAX: u8 = 18;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    instruments: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Instrument<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(rename = "displayPrecision")]
    price_precision: u8,
    #[serde(rename = "tradeUnitsPrecision")]
    qty_precision: u8,
}

/// What an answer held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Definitions {
    /// Instruments that were queued.
    pub published: u64,
    /// Entries that are none.
    pub malformed: u64,
}

/// Queues one map for each instrument of the answer's body; the error is for people.
pub fn publish(body: &[u8], topic: TopicId, now: Now, out: &mut Outbox) -> Result<Definitions, String> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let mut done = Definitions::default();
    for entry in answer.instruments {
        match serde_json::from_str::<Instrument<'_>>(entry.get()) {
            Ok(instrument)
                if !instrument.name.is_empty()
                    && instrument.price_precision.max(instrument.qty_precision) <= PRECISION_MAX =>
            {
                instrument.queue(topic, now, out);
                done.published += 1;
            }
            _ => done.malformed += 1,
        }
    }
    Ok(done)
}

impl Instrument<'_> {
    fn queue(&self, topic: TopicId, now: Now, out: &mut Outbox) {
        let sides = self.name.split_once('_');
        let keys = if sides.is_some() { 10 } else { 8 };
        out.map(topic, now.wall, 0, keys, |writer| {
            let base = sides.map(|(base, _)| ("base", base));
            let quote = sides.map(|(_, quote)| ("quote", quote));
            // The endpoint lists what the account may trade.
            let texts = [Some(("exchange", "oanda")), Some(("instrument", &*self.name)), base, quote];
            for (key, text) in texts.into_iter().flatten().chain([("status", "tradeable")]) {
                writer.text(key);
                writer.text(text);
            }
            for (increment, precision, digits) in [
                ("price_increment", "price_precision", self.price_precision),
                ("qty_increment", "qty_precision", self.qty_precision),
            ] {
                writer.text(increment);
                writer.decimal(1, digits);
                writer.text(precision);
                writer.uint(u64::from(digits));
            }
            writer.text("timestamp");
            writer.int(now.wall.0);
        });
    }
}
