//! What one Betfair message says of one market, with every number as it is written, and what of it a subscription's
//! filter lets through (<https://betfair-developer-docs.atlassian.net/wiki/spaces/1smk3cen4v3lu3yomq5qye0ni/pages/2687396>).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Fields of a filter and the keys that they stand for.
const FIELDS: [(&str, &[&str]); 9] = [
    ("EX_BEST_OFFERS", &["batb", "batl"]),
    ("EX_BEST_OFFERS_DISP", &["bdatb", "bdatl"]),
    ("EX_ALL_OFFERS", &["atb", "atl"]),
    ("EX_TRADED", &["trd"]),
    ("EX_TRADED_VOL", &["tv"]),
    ("EX_LTP", &["ltp"]),
    ("EX_MARKET_DEF", &["marketDefinition"]),
    ("SP_TRADED", &["spb", "spl"]),
    ("SP_PROJECTED", &["spn", "spf"]),
];

/// Ladders whose elements begin with a level.
const LEVELED: [&str; 4] = ["batb", "batl", "bdatb", "bdatl"];

/// One element of a ladder, as numbers are written.
pub(super) type Element = Vec<String>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Delta {
    pub(super) id: String,
    pub(super) img: bool,
    pub(super) con: bool,
    pub(super) definition: Option<String>,
    pub(super) tv: Option<String>,
    pub(super) runners: Vec<RunnerDelta>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RunnerDelta {
    pub(super) id: String,
    pub(super) hc: Option<String>,
    pub(super) scalars: Vec<(String, String)>,
    pub(super) ladders: Vec<(String, Vec<Element>)>,
}

/// `marketDataFilter` of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DataFilter {
    fields: Option<Vec<String>>,
    ladder_levels: Option<usize>,
}

impl DataFilter {
    fn has(&self, key: &str) -> bool {
        let asked = self.fields.as_ref().filter(|fields| !fields.is_empty());
        let Some(fields) = asked else { return true };
        FIELDS.iter().any(|(field, keys)| keys.contains(&key) && fields.iter().any(|known| known == field))
    }

    fn elements<'a>(&self, key: &str, elements: &'a [Element]) -> Vec<&'a Element> {
        let levels = self.ladder_levels.unwrap_or(10);
        let seen = |element: &&Element| {
            let level = element.first().and_then(|level| level.parse::<usize>().ok());
            !LEVELED.contains(&key) || level.is_some_and(|level| level < levels)
        };
        elements.iter().filter(seen).collect()
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<String>>().join(",")
}

impl Delta {
    /// The element of `mc`; none where the filter leaves nothing of it.
    pub(super) fn text(&self, filter: &DataFilter) -> Option<String> {
        let mut parts = vec![format!("\"id\":{:?}", self.id)];
        if let Some(definition) = self.definition.as_ref().filter(|_| filter.has("marketDefinition")) {
            parts.push(format!("\"marketDefinition\":{definition}"));
        }
        if let Some(tv) = self.tv.as_ref().filter(|_| filter.has("tv")) {
            parts.push(format!("\"tv\":{tv}"));
        }
        let runners: Vec<String> = self.runners.iter().filter_map(|runner| runner.text(filter)).collect();
        if !runners.is_empty() {
            parts.push(format!("\"rc\":[{}]", runners.join(",")));
        }
        if parts.len() == 1 && !self.img {
            return None;
        }
        for (key, flag) in [("img", self.img), ("con", self.con)] {
            if flag {
                parts.push(format!("\"{key}\":true"));
            }
        }
        Some(format!("{{{}}}", parts.join(",")))
    }
}

impl RunnerDelta {
    fn text(&self, filter: &DataFilter) -> Option<String> {
        let mut parts = Vec::new();
        for (key, elements) in self.ladders.iter().filter(|(key, _)| filter.has(key)) {
            let elements = filter.elements(key, elements);
            let elements = join(elements.into_iter().map(|element| format!("[{}]", element.join(","))));
            parts.push(format!("\"{key}\":[{elements}]"));
        }
        for (key, value) in self.scalars.iter().filter(|(key, _)| filter.has(key)) {
            parts.push(format!("\"{key}\":{value}"));
        }
        if parts.is_empty() {
            return None;
        }
        parts.extend(self.hc.iter().map(|hc| format!("\"hc\":{hc}")));
        parts.push(format!("\"id\":{}", self.id));
        Some(format!("{{{}}}", parts.join(",")))
    }
}

#[derive(Deserialize)]
struct Market {
    id: String,
    #[serde(default)]
    img: bool,
    #[serde(default)]
    con: bool,
    #[serde(rename = "marketDefinition")]
    definition: Option<Box<RawValue>>,
    tv: Option<Box<RawValue>>,
    #[serde(default)]
    rc: Vec<BTreeMap<String, Box<RawValue>>>,
}

/// Reads one element of a recorded `mc`.
pub(super) fn read(text: &str) -> Result<Delta, serde_json::Error> {
    let market: Market = serde_json::from_str(text)?;
    let raw = |value: Option<Box<RawValue>>| value.map(|value| value.get().to_owned());
    let runners: Result<Vec<RunnerDelta>, serde_json::Error> = market.rc.into_iter().map(runner).collect();
    Ok(Delta {
        id: market.id,
        img: market.img,
        con: market.con,
        definition: raw(market.definition),
        tv: raw(market.tv),
        runners: runners?,
    })
}

fn runner(fields: BTreeMap<String, Box<RawValue>>) -> Result<RunnerDelta, serde_json::Error> {
    let mut runner = RunnerDelta::default();
    for (key, value) in fields {
        let text = value.get().to_owned();
        match key.as_str() {
            "id" => runner.id = text,
            "hc" => runner.hc = Some(text),
            _ if text.starts_with('[') => {
                let elements: Vec<Vec<Box<RawValue>>> = serde_json::from_str(&text)?;
                let plain = |element: Vec<Box<RawValue>>| -> Element {
                    element.into_iter().map(|number| number.get().to_owned()).collect()
                };
                runner.ladders.push((key, elements.into_iter().map(plain).collect()));
            }
            _ => runner.scalars.push((key, text)),
        }
    }
    Ok(runner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKET: &str = r#"{"id":"1.2","marketDefinition":{"status":"OPEN"},"rc":[{"atb":[[2.66,0],[2.64,13.2]],"batb":[[0,2.68,20.4],[4,2.5,1]],"ltp":2.68,"hc":1.5,"id":7}]}"#;

    #[test]
    fn a_market_is_read_and_written_with_its_numbers_as_they_are() {
        assert_eq!(read(MARKET).unwrap().text(&DataFilter::default()).unwrap(), MARKET);
    }

    #[test]
    fn a_filter_lets_its_fields_through_and_its_levels() {
        let market = read(MARKET).unwrap();
        let filter = |fields: &[&str], levels: Option<usize>| DataFilter {
            fields: Some(fields.iter().map(|field| (*field).to_owned()).collect()),
            ladder_levels: levels,
        };
        assert_eq!(
            market.text(&filter(&["EX_BEST_OFFERS"], Some(3))).unwrap(),
            r#"{"id":"1.2","rc":[{"batb":[[0,2.68,20.4]],"hc":1.5,"id":7}]}"#
        );
        assert_eq!(market.text(&filter(&["SP_TRADED"], None)), None);
    }
}
