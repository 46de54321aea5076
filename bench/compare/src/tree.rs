//! rmpv into a tree of values, and `format!`.

use anyhow::{Context, Result, bail};
use rmpv::Value;
use tickline_feeds::time::parse_rfc3339;

use crate::model::{Names, PAIR_FIELDS, series_of};
use crate::{Contender, Kind};

/// Where each of [`PAIR_FIELDS`] stands in a REST pair: key and position.
const PLACES: [(&str, usize); 17] = [
    ("b", 0),
    ("b", 2),
    ("a", 0),
    ("a", 2),
    ("c", 0),
    ("v", 1),
    ("p", 1),
    ("c", 1),
    ("v", 0),
    ("p", 0),
    ("t", 1),
    ("t", 0),
    ("l", 1),
    ("l", 0),
    ("h", 1),
    ("h", 0),
    ("o", 0),
];

/// The contender.
#[derive(Debug)]
pub struct Tree {
    kind: Kind,
    names: Names,
}

impl Tree {
    /// No name known yet.
    pub fn new(kind: Kind) -> Self {
        Self { kind, names: Names::new(kind) }
    }

    fn series(&mut self, name: &str) -> String {
        let tags = self.names.tags(name);
        let (measurement, tag, exchange) = series_of(self.kind);
        format!(
            "{measurement},base={},exchange={exchange},{tag}={},quote={}",
            tags.base, tags.name, tags.quote
        )
    }
}

fn get<'a>(value: &'a Value, key: &str) -> Result<&'a Value> {
    let entries = value.as_map().context("a map")?;
    entries.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v).with_context(|| key.to_owned())
}

/// `name=value`: a decimal is parsed, since a tree says nothing of its text.
fn field(name: &str, value: &Value) -> Result<String> {
    Ok(match value {
        Value::String(text) => format!("{name}={}", text.as_str().context("UTF-8")?.parse::<f64>()?),
        Value::Integer(number) => format!("{name}={number}i"),
        other => bail!("{name}: must be a number, found {other}"),
    })
}

impl Contender for Tree {
    fn name(&self) -> &'static str {
        "rmpv + format!"
    }

    fn decode(&mut self, mut payload: &[u8], recv: i64, out: &mut Vec<u8>) -> Result<()> {
        let value = rmpv::decode::read_value(&mut payload)?;
        match self.kind {
            Kind::RestPair => {
                for (name, pair) in get(&value, "result")?.as_map().context("a map")? {
                    let mut fields = Vec::new();
                    for (name, (key, at)) in PAIR_FIELDS.iter().zip(PLACES) {
                        let place = get(pair, key)?;
                        let item = place.as_array().map_or(Some(place), |items| items.get(at));
                        fields.push(field(name, item.context(key)?)?);
                    }
                    let series = self.series(name.as_str().context("a name")?);
                    out.extend_from_slice(format!("{series} {} {recv}\n", fields.join(",")).as_bytes());
                }
            }
            Kind::FlatPrice => {
                let time = get(&value, "time")?.as_str().and_then(|t| parse_rfc3339(t.as_bytes()));
                let series = self.series(get(&value, "instrument")?.as_str().context("a name")?);
                let fields = [
                    field("bid", get(&value, "bid")?)?,
                    field("ask", get(&value, "ask")?)?,
                    field("volume", get(&value, "volume")?)?,
                ];
                let time = time.context("time")?;
                out.extend_from_slice(format!("{series} {} {time}\n", fields.join(",")).as_bytes());
            }
        }
        Ok(())
    }
}
