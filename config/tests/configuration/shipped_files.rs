//! The files that come with the crate load, and the generated ones are what the code makes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tickline_config::model::{Config, InfluxTarget, SinkKind};
use tickline_config::{KRAKEN_CSV, report, schema};

fn path(inside: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(inside)
}

#[test]
fn every_example_loads_and_can_run() {
    let token = |name: &str| ["INFLUX_TOKEN", "POSTGRES_PASSWORD"].contains(&name).then(|| "t".to_owned());
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(path("examples")).unwrap() {
        let file = entry.unwrap().path();
        let loaded = Config::load(std::slice::from_ref(&file), &[], &token).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(loaded.config.require_runnable(), Ok(()), "{}", file.display());
        seen.extend(loaded.config.sinks.into_values().map(|sink| match sink.kind {
            SinkKind::Influx(influx) => match influx.target {
                InfluxTarget::V1 { .. } => "v1",
                InfluxTarget::V2 { .. } => "v2",
                InfluxTarget::V3 { .. } => "v3",
            },
            SinkKind::Quest(_) => "questdb",
            SinkKind::Victoria(_) => "victoriametrics",
            SinkKind::Postgres(_) => "postgresql",
            SinkKind::Parquet(_) => "parquet",
            SinkKind::File(_) => "file",
            SinkKind::Null => "null",
        }));
    }
    assert_eq!(seen, BTreeSet::from(["v1", "v2", "v3", "parquet", "postgresql"]));
}

/// `UPDATE=1 cargo test -p tickline-config` writes the files again.
pub(crate) fn is_up_to_date(name: &str, made: &str) {
    let file = path("../docs").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, made).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(stored == made, "docs/{name} is old, run UPDATE=1 cargo test -p tickline-config");
}

#[test]
fn the_schema_of_the_configuration_is_up_to_date() {
    is_up_to_date("config.schema.json", &schema::config_schema_json());
}

#[test]
fn the_schema_of_the_report_is_up_to_date() {
    is_up_to_date("report.schema.json", &report::schema_json());
}

#[test]
fn the_schema_refuses_a_bare_number_where_a_unit_belongs() {
    let schema: serde_json::Value = serde_json::from_str(&schema::config_schema_json()).unwrap();
    let linger = &schema["properties"]["engine"]["properties"]["batch_linger"];
    assert_eq!(linger["type"], "string");
    assert_eq!(linger["default"], "5ms");
    assert_eq!(
        linger["description"],
        "A batch is closed this long after its first line if some sink is idle."
    );
    let sinks = schema["properties"]["sinks"]["additionalProperties"]["oneOf"].as_array().unwrap();
    assert_eq!(sinks.len(), 9);
    assert_eq!(sinks[2]["properties"]["connections"]["minimum"], 8);
}

#[test]
fn each_kraken_pair_is_named_once_and_in_the_names_of_version_2() {
    let rows = || KRAKEN_CSV.lines().filter(|l| !l.starts_with('#')).skip(1);
    assert_eq!(KRAKEN_CSV.lines().find(|l| !l.starts_with('#')), Some("rest_name,altname,wsname,base,quote"));
    let names: BTreeSet<&str> = rows().filter_map(|row| row.split(',').next()).collect();
    assert_eq!((names.len(), rows().count()), (298, 298));
    for row in rows() {
        let columns: Vec<&str> = row.split(',').collect();
        let [_, _, wsname, base, quote] = columns[..] else { panic!("{row}") };
        let renamed = wsname.replace("XBT", "BTC").replace("XDG", "DOGE");
        assert_eq!(renamed, format!("{base}/{quote}"), "{row}");
    }
    assert!(rows().any(|row| row == "XXBTZUSD,XBTUSD,XBT/USD,BTC,USD"));
}
