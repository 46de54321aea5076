//! The predecessor's configuration becomes one of ours that loads.

use tickline_config::import::{ImportError, import};

use crate::load;

const OLD: &str = r#"{
  "version": "2.0",
  "system": {"name": "x"},
  "influxdb": {
    "host": "db.lan", "port": 8087, "database": "tick", "username": "zmq", "password": "s3cret",
    "admin_username": "admin", "admin_password": "s3cret-admin",
    "retention_policies": {
      "default": {"duration": "30d", "replication": 1, "shard_duration": "1d", "default": true},
      "for_ever": {"duration": "INF", "replication": 2, "shard_duration": "30d", "default": false},
      "odd": {"duration": "a month", "shard_duration": "1d"}
    },
    "measurements": {"kraken_tick": {"fields": [], "tags": []}}
  },
  "publishers": [
    {"name": "kraken_tick", "module": "m", "class": "c", "port": 5558, "topic": "kraken_tick", "enabled": true},
    {"name": "kraken_depth", "port": 15560, "topic": "kraken_depth", "enabled": true, "colour": "red"},
    {"name": "oanda_tick", "port": 5562, "topic": "fx", "enabled": true},
    {"name": "kraken_orders", "port": 5561, "topic": "kraken_orders", "enabled": true},
    {"name": "betfair_stream", "port": 5564, "topic": "betfair_stream", "enabled": false},
    {"name": "kraken_tick", "port": 5558, "topic": "kraken_tick", "enabled": true},
    7,
    {"name": "last_value_cache", "port": 5568, "topic": "", "enabled": true}
  ],
  "extra": 1
}"#;

#[test]
fn the_predecessors_file_becomes_a_configuration_that_loads() {
    let imported = import(OLD).unwrap();
    let toml = r#"[feeds.kraken_tick]

[feeds.kraken_depth]
endpoint = "tcp://127.0.0.1:15560"

[feeds.oanda_tick]
topic = "fx"

[feeds.kraken_orders]

[sinks.influx]
kind = "influxdb"
version = 1
url = "http://db.lan:8087"
database = "tick"
username = "zmq"
password = "env:INFLUX_PASSWORD"

[retention.default]
duration = "30d"
shard_duration = "1d"
default = true

[retention.for_ever]
duration = "inf"
shard_duration = "30d"
default = false
"#;
    assert_eq!(imported.toml, toml);
    let loaded = load(&imported.toml, &[], &[("INFLUX_PASSWORD", "p")]).unwrap();
    assert_eq!(loaded.config.feeds["kraken_depth"].aliases, ["kraken_depth"]);
    assert_eq!(loaded.config.feeds["oanda_tick"].topic, "fx");
    assert_eq!(loaded.config.require_runnable(), Ok(()));
}

#[test]
fn what_an_import_leaves_out_is_said_and_no_password_is_copied() {
    let imported = import(OLD).unwrap();
    let warnings = [
        "extra: unknown, left out",
        "system: left out, logs go to standard error and state_dir is set in [engine]",
        "publishers[1].colour: unknown, left out",
        "publishers[4] \"betfair_stream\": not enabled, left out",
        "publishers[5] \"kraken_tick\": feed kraken_tick is there already, left out",
        "publishers[6]: no object, left out",
        "publishers[7] \"last_value_cache\": no feed that this version decodes, left out",
        "influxdb.password: not copied, set environment variable INFLUX_PASSWORD",
        "influxdb.admin_username: left out, the engine needs no administrator",
        "influxdb.admin_password: left out, the engine needs no administrator",
        "influxdb.measurements: left out, each feed has its schema, see tickline schema",
        "influxdb.retention_policies.for_ever.replication: left out, one server has one copy",
        "influxdb.retention_policies.odd: must be durations such as 30d, found \"a month\" and \"1d\", left out",
    ];
    assert_eq!(imported.warnings, warnings);
    assert!(!format!("{imported:?}").contains("s3cret"));
}

#[test]
fn what_is_no_object_cannot_be_imported() {
    assert!(matches!(import("[]"), Err(ImportError::NotAnObject)));
    assert!(matches!(import("{"), Err(ImportError::Json(_))));
    let imported = import("{}").unwrap();
    assert_eq!((imported.toml.as_str(), imported.warnings.len()), ("", 1));
}
