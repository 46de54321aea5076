//! OANDA v20 prices, from the stream or a REST answer: time and `_tie` of each.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;
use tickline_feeds::clock::WallNanos;

use super::Message;
use crate::ties::Series;

#[derive(Deserialize)]
struct Price<'a> {
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    instrument: Option<Cow<'a, str>>,
}

/// Ties by instrument.
#[derive(Debug, Default)]
pub(super) struct Prices {
    series: HashMap<String, Series>,
}

impl Prices {
    /// Everything but the payload.
    pub(super) fn about(&mut self, json: &str) -> Result<Message, serde_json::Error> {
        let price: Price<'_> = serde_json::from_str(json)?;
        let time = price.time.and_then(|text| text.parse::<Timestamp>().ok());
        let at = time.and_then(|time| i64::try_from(time.as_nanosecond()).ok()).map(WallNanos);
        let tie = match (price.instrument, at) {
            (Some(name), Some(time)) => self.series.entry(name.into_owned()).or_default().next(time.0),
            _ => 0,
        };
        Ok(Message { at, tie, ..Message::default() })
    }
}
