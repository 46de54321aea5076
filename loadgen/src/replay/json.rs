//! JSON recordings: one message a line or one in the whole file, told apart by what the first one holds. Each is
//! transcoded as it is.

use std::collections::VecDeque;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::StreamDeserializer;
use serde_json::de::IoRead;
use serde_json::value::RawValue;
use tickline_config::model::DecoderKind;
use tickline_feeds::payload::{Decimals, PayloadWriter};
use tickline_feeds::transcode::{BETFAIR_INTEGERS, IntegerKey, KRAKEN_INTEGERS, OANDA_INTEGERS, transcode};

use super::mcm::Markets;
use super::v20::Prices;
use super::{Message, Reader, ReplayError, damaged, kraken_rest};

/// What a JSON recording holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Betfair stream messages.
    Mcm,
    /// OANDA v20 stream messages.
    V20,
    /// An OANDA v20 REST answer: each element of `prices` is a message.
    V20Prices,
    /// A Kraken REST Ticker answer.
    RestTicker,
    /// A Kraken REST Depth answer.
    RestDepth,
}

impl Kind {
    /// The kind of a file that begins with `start`; a cut message is enough if its telling key is in it.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(start);
        let first = text.lines().find(|line| !line.trim().is_empty())?;
        let compact: String = if first.len() > 2 { first } else { &text }.split_whitespace().collect();
        let has = |key: &str| compact.contains(key);
        let kinds = [
            (compact.starts_with("{\"op\":"), Kind::Mcm),
            (compact.starts_with("{\"prices\":[") || has("\"prices\":["), Kind::V20Prices),
            (has("\"result\":{") && has("\"asks\":[") && has("\"error\":["), Kind::RestDepth),
            (has("\"result\":{") && has("\"error\":["), Kind::RestTicker),
            (has("\"bids\":[") && has("\"instrument\":") || has("\"type\":\"HEARTBEAT\""), Kind::V20),
        ];
        let found = kinds.into_iter().find(|(fits, _)| *fits && compact.starts_with('{'));
        found.map(|(_, kind)| kind)
    }

    pub(super) fn decoder(self) -> DecoderKind {
        match self {
            Kind::Mcm => DecoderKind::BetfairStream,
            Kind::V20 | Kind::V20Prices => DecoderKind::OandaTick,
            Kind::RestTicker => DecoderKind::KrakenTick,
            Kind::RestDepth => DecoderKind::KrakenDepth,
        }
    }

    fn integers(self) -> &'static [IntegerKey] {
        match self {
            Kind::Mcm => BETFAIR_INTEGERS,
            Kind::V20 | Kind::V20Prices => OANDA_INTEGERS,
            Kind::RestTicker | Kind::RestDepth => KRAKEN_INTEGERS,
        }
    }
}

#[derive(Deserialize)]
struct PricesAnswer {
    prices: Vec<Box<RawValue>>,
}

pub(super) struct Json<R: BufRead> {
    path: PathBuf,
    kind: Kind,
    values: StreamDeserializer<'static, IoRead<R>, Box<RawValue>>,
    waiting: VecDeque<Box<RawValue>>,
    value: u64,
    other: u64,
    markets: Markets,
    prices: Prices,
    out: PayloadWriter,
}

impl<R: BufRead> Json<R> {
    pub(super) fn new(path: &Path, bytes: R, kind: Kind, decimals: Decimals) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            values: serde_json::Deserializer::from_reader(bytes).into_iter(),
            waiting: VecDeque::new(),
            value: 0,
            other: 0,
            markets: Markets::default(),
            prices: Prices::default(),
            out: PayloadWriter::new(decimals),
        }
    }

    fn next_value(&mut self) -> Result<Option<Box<RawValue>>, ReplayError> {
        while self.waiting.is_empty() {
            let Some(value) = self.values.next() else { return Ok(None) };
            self.value += 1;
            let value = value.map_err(|error| damaged(&self.path, self.value, error))?;
            if self.kind == Kind::V20Prices {
                let answer = serde_json::from_str::<PricesAnswer>(value.get());
                self.waiting.extend(answer.map_err(|error| damaged(&self.path, self.value, error))?.prices);
            } else {
                self.waiting.push_back(value);
            }
        }
        Ok(self.waiting.pop_front())
    }

    /// What the message says of time, ties and firsts; none if it is of another kind.
    fn about(&mut self, json: &str) -> Result<Option<Message>, serde_json::Error> {
        match self.kind {
            Kind::Mcm => self.markets.about(json),
            Kind::V20 | Kind::V20Prices => self.prices.about(json).map(Some),
            Kind::RestTicker | Kind::RestDepth => kraken_rest::about(json).map(Some),
        }
    }
}

impl<R: BufRead + Send> Reader for Json<R> {
    fn next(&mut self) -> Result<Option<Message>, ReplayError> {
        while let Some(value) = self.next_value()? {
            let json = value.get();
            let about = self.about(json).map_err(|error| damaged(&self.path, self.value, error))?;
            let Some(message) = about else {
                self.other += 1;
                continue;
            };
            self.out.clear();
            transcode(json, self.kind.integers(), &mut self.out)
                .map_err(|error| damaged(&self.path, self.value, error))?;
            return Ok(Some(Message { payload: self.out.bytes().to_vec(), ..message }));
        }
        Ok(None)
    }

    fn passed_over(&self) -> (u64, u64) {
        (self.other, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_told_by_the_keys() {
        let table: [(&str, Option<Kind>); 8] = [
            ("{\"op\":\"mcm\",\"id\":2}\n", Some(Kind::Mcm)),
            ("{\"status\":\"tradeable\",\"bids\":[],\"instrument\":\"EUR_USD\"}", Some(Kind::V20)),
            ("{\"type\":\"HEARTBEAT\",\"time\":\"\"}", Some(Kind::V20)),
            ("{\"prices\":[{\"bids\":[],\"instrument\":\"\"}]}", Some(Kind::V20Prices)),
            ("{\n \"error\": [\n ],\n \"result\": {\n \"X\": {\"a\": []}}}", Some(Kind::RestTicker)),
            ("{\"error\":[],\"result\":{\"X\":{\"asks\":[]}}}", Some(Kind::RestDepth)),
            ("[1]", None),
            ("", None),
        ];
        for (start, kind) in table {
            assert_eq!(Kind::of(start.as_bytes()), kind, "{start}");
        }
    }
}
