//! Promise: `tickline validate` shows that ticks of every feed reach the database, takes them out again, and says what
//! does not work.

use serde_json::Value;

use crate::influxd::{self, Options};
use crate::points::dump;
use crate::program::{influx, tickline};
use crate::publisher::Publisher;
use crate::sent::CUSTOM;

/// A feed of every decoder, at one publisher.
fn every_decoder(endpoint: &str) -> Vec<String> {
    let decoders = [
        "kraken_tick",
        "kraken_depth",
        "kraken_trades",
        "kraken_orders",
        "oanda_tick",
        "oanda_orders",
        "betfair_stream",
        "betfair_orders",
        "twitter_sentiment",
        "kraken_eurusd_tick",
        "kraken_eurusd_depth",
        "instruments",
    ];
    let mut sets: Vec<String> = CUSTOM.map(str::to_owned).into();
    sets.push(format!("feeds.fills.endpoint={endpoint:?}"));
    for decoder in decoders {
        sets.push(format!("feeds.{decoder}.endpoint={endpoint:?}"));
        sets.push(format!("feeds.{decoder}.topic=\"{decoder}\""));
        sets.push(format!("feeds.{decoder}.decoder=\"{decoder}\""));
    }
    sets
}

fn rows(stdout: &[u8]) -> Vec<(String, String, String)> {
    let rows: Value = serde_json::from_slice(stdout).unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| (text(row, "name"), text(row, "state"), text(row, "detail"))).collect()
}

#[test]
fn marked_ticks_of_every_decoder_come_back_and_leave_nothing_behind() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let (dir, publisher) = (tempfile::tempdir().unwrap(), Publisher::bind(&zmq::Context::new(), "any"));
    let sets = [every_decoder(&publisher.endpoint), influx(&server.url, "tick")].concat();
    assert_eq!(tickline(dir.path(), &["db", "apply"], &sets).status.code(), Some(0));
    let output = tickline(dir.path(), &["validate", "--json"], &sets);
    let rows = rows(&output.stdout);
    let wrong: Vec<_> = rows.iter().filter(|(_, state, _)| state != "passed").collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(rows.iter().filter(|(name, ..)| name.ends_with(" into influx")).count(), 13);
    let left = dump(&server, "tick");
    let left: Vec<&String> = left.iter().filter(|(_, rows)| !rows.is_empty()).map(|(name, _)| name).collect();
    let allowed = ["_tickline_probe"];
    assert!(left.iter().all(|name| allowed.contains(&name.as_str())), "{left:?}");
}

#[test]
fn what_does_not_work_is_a_row_with_its_reason_and_exit_code_five() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let nobody = "tcp://127.0.0.1:1".to_owned();
    let sets = [vec![format!("feeds.kraken_tick.endpoint={nobody:?}")], influx(&server.url, "tick")].concat();
    let output = tickline(dir.path(), &["validate", "--json", "--timeout", "1s"], &sets);
    let rows = rows(&output.stdout);
    let of = |name: &str| rows.iter().find(|(known, ..)| known == name).unwrap().clone();
    assert_eq!(output.status.code(), Some(5), "{rows:#?}");
    let (_, state, detail) = of("publisher of kraken_tick");
    assert_eq!(
        (state.as_str(), detail.as_str()),
        ("failed", "tcp://127.0.0.1:1: nobody has shaken hands within 1s")
    );
    // There is no database yet.
    let (_, state, detail) = of("sinks.influx");
    assert_eq!(state, "failed");
    assert!(detail.contains("database not found"), "{detail}");
    assert_eq!(of("feeds.kraken_tick into influx").1, "failed");
}

#[test]
fn feeds_of_one_decoder_and_sinks_of_one_database_do_not_get_into_each_others_way() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let (dir, publisher) = (tempfile::tempdir().unwrap(), Publisher::bind(&zmq::Context::new(), "any"));
    let mut sets = influx(&server.url, "tick");
    for feed in ["one", "two"] {
        sets.push(format!("feeds.{feed}.endpoint={:?}", publisher.endpoint));
        sets.push(format!("feeds.{feed}.topic={feed:?}"));
        sets.push(format!("feeds.{feed}.decoder=\"kraken_tick\""));
    }
    let beside = ["kind=\"influxdb\"", "version=1", "database=\"tick\"", "retention_policy=\"long_term\""];
    sets.extend(beside.map(|key| format!("sinks.long.{key}")));
    sets.push(format!("sinks.long.url={:?}", server.url));
    // A feed of one's own without a field of floats, and a sink that is not read back from.
    for key in ["measurement=\"words\"", "tags={who=\"who\"}", "fields={word=\"word:str\"}"] {
        sets.push(format!("feeds.words.custom.{key}"));
    }
    sets.push("feeds.words.topic=\"words\"".into());
    sets.push(format!("feeds.words.endpoint={:?}", publisher.endpoint));
    assert_eq!(tickline(dir.path(), &["db", "apply", "--sink", "influx"], &sets).status.code(), Some(0));
    let output = tickline(dir.path(), &["validate", "--json"], &sets);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = rows(&output.stdout);
    let came: Vec<(&str, &str)> = rows
        .iter()
        .filter_map(|(name, state, _)| Some((name.strip_prefix("feeds.")?, state.as_str())))
        .collect();
    let expected = [
        ("one into influx", "passed"),
        ("two into influx", "passed"),
        ("words into influx", "could_not_run"),
        ("one into long", "passed"),
        ("two into long", "passed"),
        ("words into long", "could_not_run"),
    ];
    assert_eq!(came, expected, "{rows:#?}");
    let left = dump(&server, "tick");
    assert!(!left.contains_key("kraken_tick") || left["kraken_tick"].is_empty(), "{left:?}");
}

#[test]
fn without_a_database_to_read_back_from_it_says_that_it_could_not_run() {
    let (dir, publisher) = (tempfile::tempdir().unwrap(), Publisher::bind(&zmq::Context::new(), "any"));
    let sets = [
        format!("feeds.kraken_tick.endpoint={:?}", publisher.endpoint),
        "sinks.none.kind=\"null\"".to_owned(),
    ];
    let output = tickline(dir.path(), &["validate"], &sets);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("not run  marked ticks") && said.contains("an InfluxDB 1 is needed"), "{said}");
}
