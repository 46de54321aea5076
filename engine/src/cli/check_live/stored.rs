//! What a database already holds against what the configured feeds will write. Pure.

use tickline_config::model::{Config, CustomType};
use tickline_feeds::schema::{FieldType, MEASUREMENTS, SYSTEM_FIELDS};
use tickline_sinks::admin::StoredKey;

use crate::cli::schema::type_name;

/// One measurement that a run may write.
struct Expected<'c> {
    measurement: &'c str,
    tags: Vec<&'c str>,
    fields: Vec<(&'c str, &'static str)>,
}

/// The venue decoders' measurements and those of custom feeds.
fn expected(config: &Config) -> Vec<Expected<'_>> {
    let system = || SYSTEM_FIELDS.iter().map(|field| (field.name, type_name(field.kind)));
    let known = MEASUREMENTS.iter().map(|of| Expected {
        measurement: of.name,
        tags: of.tags.to_vec(),
        fields: of.fields.iter().map(|field| (field.name, type_name(field.kind))).chain(system()).collect(),
    });
    let custom = config.feeds.values().filter_map(|feed| feed.custom.as_ref()).map(|custom| Expected {
        measurement: &custom.measurement,
        tags: custom.tags.iter().map(|(name, _)| name.as_str()).collect(),
        fields: custom
            .fields
            .iter()
            .map(|(name, _, kind)| (name.as_str(), stored_type(*kind)))
            .chain(system())
            .collect(),
    });
    known.chain(custom).collect()
}

fn stored_type(kind: CustomType) -> &'static str {
    type_name(match kind {
        CustomType::Float => FieldType::Float,
        CustomType::Int => FieldType::Integer,
        CustomType::Bool => FieldType::Boolean,
        CustomType::Str => FieldType::String,
    })
}

/// Stored fields and tags that contradict it, in words: InfluxDB would refuse such points.
pub(super) fn conflicts(config: &Config, fields: &[StoredKey], tags: &[StoredKey]) -> Vec<String> {
    let expected = expected(config);
    let of = |name: &str| expected.iter().filter(move |of| of.measurement == name).collect::<Vec<_>>();
    let mut conflicts = Vec::new();
    for stored in fields {
        let place = format!("{}.{}", stored.measurement, stored.key);
        for of in of(&stored.measurement) {
            let wanted = of.fields.iter().find(|(name, _)| *name == stored.key).map(|(_, kind)| *kind);
            if of.tags.contains(&stored.key.as_str()) {
                conflicts.push(format!("{place}: must be a tag, found a stored field"));
            } else if let Some(kind) = wanted.filter(|kind| *kind != stored.kind) {
                conflicts.push(format!("{place}: must be {kind}, found stored as {}", stored.kind));
            }
        }
    }
    for stored in tags {
        for of in of(&stored.measurement) {
            if of.fields.iter().any(|(name, _)| *name == stored.key) {
                let place = format!("{}.{}", stored.measurement, stored.key);
                conflicts.push(format!("{place}: must be a field, found a stored tag"));
            }
        }
    }
    conflicts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(measurement: &str, key: &str, kind: &str) -> StoredKey {
        StoredKey { measurement: measurement.into(), key: key.into(), kind: kind.into() }
    }

    #[test]
    fn stored_types_and_tags_that_contradict_the_schema_or_a_custom_feed_are_named() {
        let custom =
            "feeds.x.custom={ measurement = \"mine\", tags = { who = \"w\" }, fields = { qty = \"q:int\" } }";
        let sets =
            [custom, "feeds.x.endpoint=\"tcp://127.0.0.1:1\"", "feeds.x.topic=\"x\""].map(str::to_owned);
        let config = Config::load(&[], &sets, &|_| None).unwrap().config;
        let fields = [
            key("kraken_tick", "bid", "string"),
            key("kraken_tick", "pair", "string"),
            key("kraken_tick", "ask", "float"),
            key("kraken_tick", "recv_ns", "float"),
            key("someone_else", "bid", "string"),
            key("mine", "qty", "float"),
        ];
        let tags =
            [key("oanda_tick", "bid", ""), key("oanda_tick", "instrument", ""), key("mine", "who", "")];
        let expected = [
            "kraken_tick.bid: must be float, found stored as string",
            "kraken_tick.pair: must be a tag, found a stored field",
            "kraken_tick.recv_ns: must be integer, found stored as float",
            "mine.qty: must be integer, found stored as float",
            "oanda_tick.bid: must be a field, found a stored tag",
        ];
        assert_eq!(conflicts(&config, &fields, &tags), expected);
        assert_eq!(conflicts(&config, &fields[2..3], &[]), Vec::<String>::new());
    }
}
