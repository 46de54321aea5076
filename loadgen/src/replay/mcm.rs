//! Betfair stream recordings. Messages other than `mcm` are passed over. `_tie` is counted for each runner within
//! one `pt`; a market that first appears with a definition but without image gets `_first`, as in the venue's
//! historical files.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use tickline_feeds::clock::WallNanos;

use super::{Form, Message};

const MILLI_NS: i64 = 1_000_000;

#[derive(Deserialize)]
struct Mcm<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
    pt: Option<i64>,
    #[serde(borrow)]
    ct: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    mc: Option<Vec<Market<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Market<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(default)]
    img: Option<bool>,
    #[serde(default)]
    market_definition: Option<Definition>,
    #[serde(default)]
    rc: Option<Vec<Runner>>,
}

#[derive(Deserialize)]
struct Definition {
    #[serde(default)]
    runners: Vec<Runner>,
}

#[derive(Deserialize)]
struct Runner {
    id: u64,
    #[serde(default)]
    hc: Option<f64>,
}

/// A runner, or a market itself where there is none.
type Key = (String, Option<(u64, u64)>);

/// What the messages so far say of the next.
#[derive(Debug, Default)]
pub(super) struct Markets {
    seen: HashSet<String>,
    pt: Option<i64>,
    used: HashMap<Key, u32>,
}

impl Markets {
    /// Everything but the payload; none for another message than `mcm`.
    pub(super) fn about(&mut self, json: &str) -> Result<Option<Message>, serde_json::Error> {
        let mcm: Mcm<'_> = serde_json::from_str(json)?;
        if mcm.op != "mcm" {
            return Ok(None);
        }
        if mcm.pt != self.pt {
            self.pt = mcm.pt;
            self.used.clear();
        }
        let markets = mcm.mc.unwrap_or_default();
        let is_image = mcm.ct.as_deref() == Some("SUB_IMAGE");
        let mut first = false;
        for market in &markets {
            let is_new = self.seen.insert(market.id.clone().into_owned());
            let has_image = is_image || market.img == Some(true);
            first |= is_new && !has_image && market.market_definition.is_some();
        }
        Ok(Some(Message {
            at: mcm.pt.map(|ms| WallNanos(ms.saturating_mul(MILLI_NS))),
            tie: self.tie(&markets),
            form: if first { Form::FirstOfMarket } else { Form::Map },
            ..Message::default()
        }))
    }

    /// A runner may make a point for each of its changes, and one for a changed definition.
    fn tie(&mut self, markets: &[Market<'_>]) -> u32 {
        let mut made: HashMap<Key, u32> = HashMap::new();
        for market in markets {
            let key = |runner: &Runner| {
                let handicap = runner.hc.filter(|hc| *hc != 0.0).map_or(0, f64::to_bits);
                (market.id.clone().into_owned(), Some((runner.id, handicap)))
            };
            let definition = market.market_definition.as_ref();
            let of_definition = definition.iter().flat_map(|definition| &definition.runners);
            for runner in market.rc.iter().flatten().chain(of_definition) {
                *made.entry(key(runner)).or_default() += 1;
            }
            if definition.is_some() {
                *made.entry((market.id.clone().into_owned(), None)).or_default() += 1;
            }
        }
        let tie = made.keys().filter_map(|key| self.used.get(key)).max().copied().unwrap_or(0);
        self.used.extend(made.into_iter().map(|(key, points)| (key, tie + points)));
        tie
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_counted_for_each_runner_within_a_publish_time() {
        let table = [
            (r#"{"op":"mcm","pt":1,"mc":[{"id":"1.1","rc":[{"id":7},{"id":8},{"id":7}]}]}"#, 0),
            (r#"{"op":"mcm","pt":1,"mc":[{"id":"1.1","rc":[{"id":8}]}]}"#, 1),
            (r#"{"op":"mcm","pt":1,"mc":[{"id":"1.1","rc":[{"id":9}]}]}"#, 0),
            (r#"{"op":"mcm","pt":1,"mc":[{"id":"1.1","rc":[{"id":7,"hc":0},{"id":9}]}]}"#, 2),
            (
                r#"{"op":"mcm","pt":1,"mc":[{"id":"1.1","rc":[{"id":7,"hc":1.5}]},{"id":"1.2","rc":[{"id":7}]}]}"#,
                0,
            ),
            (r#"{"op":"mcm","pt":1,"mc":[{"id":"1.1","marketDefinition":{"runners":[{"id":8}]}}]}"#, 2),
            (r#"{"op":"mcm","pt":2,"mc":[{"id":"1.1","rc":[{"id":7}]}]}"#, 0),
        ];
        let mut markets = Markets::default();
        for (json, tie) in table {
            assert_eq!(markets.about(json).unwrap().unwrap().tie, tie, "{json}");
        }
    }

    #[test]
    fn only_a_new_market_with_a_definition_and_no_image_is_marked_first() {
        let table = [
            (r#"{"op":"mcm","pt":1,"mc":[{"id":"1.1","marketDefinition":{}}]}"#, Form::FirstOfMarket),
            (r#"{"op":"mcm","pt":2,"mc":[{"id":"1.1","marketDefinition":{}}]}"#, Form::Map),
            (r#"{"op":"mcm","pt":3,"mc":[{"id":"1.2","img":true,"marketDefinition":{}}]}"#, Form::Map),
            (r#"{"op":"mcm","pt":4,"mc":[{"id":"1.3","rc":[]}]}"#, Form::Map),
            (r#"{"op":"mcm","pt":5,"ct":"SUB_IMAGE","mc":[{"id":"1.4","marketDefinition":{}}]}"#, Form::Map),
            (r#"{"op":"mcm","id":2,"status":503}"#, Form::Map),
        ];
        let mut markets = Markets::default();
        for (json, form) in table {
            assert_eq!(markets.about(json).unwrap().unwrap().form, form, "{json}");
        }
        assert!(markets.about(r#"{"op":"connection"}"#).unwrap().is_none());
    }
}
