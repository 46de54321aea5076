//! Definitions of two venues on one topic, each of what it trades.

use std::collections::BTreeSet;

use serde_json::Value;
use tickline_loadgen::venue::kraken::KrakenVenue;
use tickline_loadgen::venue::oanda::OandaVenue;
use tickline_loadgen::venue::{kraken, oanda};

use crate::bus::Bus;

/// Exchange and name of each instrument.
fn named<'a>(told: impl Iterator<Item = &'a Value>) -> BTreeSet<(String, String)> {
    let text = |payload: &Value, key: &str| payload[key].as_str().unwrap_or_default().to_owned();
    told.map(|payload| (text(payload, "exchange"), text(payload, "instrument"))).collect()
}

#[test]
fn instruments_of_kraken_and_oanda_are_told_at_the_start() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let (pairs, instruments) = (names(&["BTC/USD", "ETH/EUR"]), names(&["EUR_USD", "USD_JPY"]));
    let kraken = kraken::start(KrakenVenue { symbols: pairs.clone(), ..KrakenVenue::default() }).unwrap();
    let oanda =
        oanda::start(OandaVenue { instruments: instruments.clone(), ..OandaVenue::default() }).unwrap();
    let toml = format!(
        "[publishers.instruments]\nkraken_url = {:?}\nkraken_stream_url = {:?}\nrest_url = {:?}\naccount = \"101-004-1234567-001\"\n\
         token = \"env:OANDA_TOKEN\"\n",
        kraken.rest, kraken.stream, oanda.rest
    );
    let mut bus = Bus::start(&toml, None);
    let expected: BTreeSet<_> = pairs
        .into_iter()
        .map(|pair| ("kraken".to_owned(), pair))
        .chain(instruments.into_iter().map(|name| ("oanda".to_owned(), name)))
        .collect();
    bus.until("every instrument", |heard| {
        named(heard.iter().filter(|heard| heard.is_data()).map(|heard| &heard.payload)).is_superset(&expected)
    });
    bus.until("the stream", |heard| heard.iter().any(|heard| heard.event() == Some("up")));
    let of_kraken = bus.data("instruments").filter(|payload| payload["exchange"] == "kraken").count();
    assert_eq!(of_kraken, 2, "what the stream tells is what REST has told: {:?}", bus.heard);
    assert!(bus.data("instruments").all(|payload| payload["price_precision"].is_number()), "{:?}", bus.heard);
}
