//! What a database already holds against what the configured feeds will write. Pure.

use tickline_config::model::Config;
use tickline_sinks::admin::StoredKey;

use crate::cli::schema::type_name;
use crate::expected::of_all;

/// Stored fields and tags that contradict it, in words: InfluxDB would refuse such points.
pub(super) fn conflicts(config: &Config, fields: &[StoredKey], tags: &[StoredKey]) -> Vec<String> {
    let expected = of_all(config);
    let of = |name: &str| expected.iter().filter(move |of| of.measurement == name).collect::<Vec<_>>();
    let mut conflicts = Vec::new();
    for stored in fields {
        let place = format!("{}.{}", stored.measurement, stored.key);
        for of in of(&stored.measurement) {
            let wanted =
                of.fields.iter().find(|(name, _)| *name == stored.key).map(|(_, kind)| type_name(*kind));
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
