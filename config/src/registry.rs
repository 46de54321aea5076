//! The port registry: which feed is published on which port, under which topic, in which payload.

use serde::Serialize;

/// One row of the registry. A feed is named by its key without `_pub`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PortRow {
    /// Registry key, such as `kraken_tick_pub`.
    pub key: &'static str,
    /// TCP port on which the publisher binds.
    pub port: u16,
    /// Topic on the wire; `*` means every topic without an equality check; empty for devices and reserved rows.
    pub topic: &'static str,
    /// Other topics under which the same feed was or is sent.
    pub aliases: &'static [&'static str],
    /// Decoder, by its name in the configuration; empty where there is none in this version.
    pub decoder: &'static str,
    /// What is sent.
    pub payload: &'static str,
}

impl PortRow {
    /// The feed's name: the key without `_pub`.
    pub fn feed(&self) -> &'static str {
        self.key.strip_suffix("_pub").unwrap_or(self.key)
    }
}

const fn row(
    key: &'static str,
    port: u16,
    topic: &'static str,
    aliases: &'static [&'static str],
    decoder: &'static str,
    payload: &'static str,
) -> PortRow {
    PortRow { key, port, topic, aliases, decoder, payload }
}

/// Every port that tickline knows of. 5570-5577 and 5600-5699 are free for users.
pub const PORTS: &[PortRow] = &[
    row("kraken_trades_pub", 5553, "kraken_trades", &[], "kraken_trades", "Kraken public trades"),
    row("forwarder_in", 5554, "", &[], "", "XSUB side of the forwarder"),
    row("forwarder_out", 5555, "", &[], "", "XPUB side of the forwarder"),
    row("oanda_pub", 5556, "*", &[], "oanda_tick", "the OANDA ticks again, one topic an instrument"),
    row("betfair_orders_pub", 5557, "betfair_orders", &[], "betfair_orders", "Betfair ocm"),
    row("kraken_tick_pub", 5558, "kraken_tick", &[], "kraken_tick", "Kraken ticker"),
    row(
        "kraken_eurusd_tick_pub",
        5559,
        "kr_eurusd_tick",
        &[],
        "kraken_eurusd_tick",
        "synthetic EUR/USD tick",
    ),
    row("kraken_depth_pub", 5560, "kr_depth", &["kraken_depth"], "kraken_depth", "Kraken top-of-book levels"),
    row(
        "kraken_orders_pub",
        5561,
        "kraken_orders",
        &["kr_order_book"],
        "kraken_orders",
        "Kraken own executions",
    ),
    row("oanda_tick_pub", 5562, "oanda_tick", &[], "oanda_tick", "OANDA PRICE"),
    row("oanda_orders_pub", 5563, "oanda_orders", &[], "oanda_orders", "OANDA transactions"),
    row("betfair_stream_pub", 5564, "betfair_stream", &[], "betfair_stream", "Betfair mcm"),
    row("twitter_sentiment_pub", 5565, "twitter_sentiment", &[], "twitter_sentiment", "sentiment record"),
    row(
        "kraken_eurusd_depth_pub",
        5566,
        "kr_eurusd_depth",
        &[],
        "kraken_eurusd_depth",
        "synthetic EUR/USD depth",
    ),
    row("oandav20_tick_pub", 5567, "oandav20_tick", &[], "oanda_tick", "the same OANDA ticks"),
    row("last_value_cache", 5568, "", &[], "", "XPUB, replays the last value to a late subscriber"),
    row("instruments_pub", 5569, "instruments", &[], "instruments", "instrument definitions"),
    row("sink_status_0", 5578, "", &[], "", "reserved: sink status endpoint"),
    row("sink_status_1", 5579, "", &[], "", "reserved: sink status endpoint"),
    row("sink_status_2", 5580, "", &[], "", "reserved: sink status endpoint"),
    row("sink_status_3", 5581, "", &[], "", "reserved: sink status endpoint"),
    row("sink_status_4", 5582, "", &[], "", "reserved: sink status endpoint"),
    row("sink_status_5", 5583, "", &[], "", "reserved: sink status endpoint"),
    row("sink_status_6", 5584, "", &[], "", "reserved: sink status endpoint"),
    row("retransmit", 5585, "", &[], "", "reserved"),
    row("admin_http", 9600, "", &[], "", "status, health and metrics of the engine"),
];

/// The row of a feed, found by feed name, registry key, topic or alias.
pub fn find(name: &str) -> Option<&'static PortRow> {
    PORTS.iter().find(|r| r.key == name || r.feed() == name).or_else(|| {
        PORTS.iter().find(|r| !r.topic.is_empty() && (r.topic == name || r.aliases.contains(&name)))
    })
}

/// The registry as a table for people.
pub fn ports_table() -> String {
    let mut out = format!(
        "{:<28} {:>5}  {:<18} {:<14} {:<19} {}\n",
        "KEY", "PORT", "TOPIC", "ALIAS", "DECODER", "PAYLOAD"
    );
    for row in PORTS {
        let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let (topic, alias, decoder) =
            (or_dash(row.topic), or_dash(&row.aliases.join(" ")), or_dash(row.decoder));
        out.push_str(&format!(
            "{:<28} {:>5}  {topic:<18} {alias:<14} {decoder:<19} {}\n",
            row.key, row.port, row.payload
        ));
    }
    out
}

/// The registry as a JSON array, a row an object, with a newline at the end.
pub fn ports_json() -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(PORTS)? + "\n")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::model::DecoderKind;

    #[test]
    fn every_key_port_and_topic_is_there_once() {
        let (mut keys, mut ports, mut topics) = (HashSet::new(), HashSet::new(), HashSet::new());
        for row in PORTS {
            assert!(keys.insert(row.key), "{} twice", row.key);
            assert!(ports.insert(row.port), "port {} twice", row.port);
            for topic in row.aliases.iter().chain([&row.topic]).filter(|t| !t.is_empty()) {
                assert!(topics.insert(*topic), "topic {topic} twice");
            }
        }
    }

    #[test]
    fn no_row_takes_a_port_that_is_free_for_users() {
        for row in PORTS {
            assert!(!(5570..=5577).contains(&row.port) && !(5600..=5699).contains(&row.port), "{}", row.key);
        }
    }

    #[test]
    fn a_feed_is_found_by_name_key_topic_and_alias() {
        for name in ["kraken_depth", "kraken_depth_pub", "kr_depth"] {
            assert_eq!(find(name).map(|r| r.port), Some(5560), "{name}");
        }
        assert_eq!(find("kr_order_book").map(PortRow::feed), Some("kraken_orders"));
        assert_eq!(find("nothing"), None);
    }

    #[test]
    fn each_decoder_named_is_one_of_the_configuration() {
        for row in PORTS.iter().filter(|r| !r.decoder.is_empty()) {
            assert!(DecoderKind::ALL.iter().any(|(name, _)| *name == row.decoder), "{}", row.decoder);
        }
    }

    #[test]
    fn the_table_and_the_json_have_every_row() {
        let table = ports_table();
        let json: serde_json::Value = serde_json::from_str(&ports_json().unwrap()).unwrap();
        for (i, row) in PORTS.iter().enumerate() {
            let line = table.lines().nth(i + 1).unwrap();
            assert!(line.starts_with(row.key) && line.contains(&row.port.to_string()), "{line}");
            assert_eq!((&json[i]["key"], &json[i]["port"]), (&row.key.into(), &row.port.into()));
        }
    }
}
