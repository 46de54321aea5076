//! Promise: for every feed, what a query gives back is what was sent: as many points, the same values, tags and
//! times, and fields of the types that the schema names.

use std::collections::BTreeMap;

use tickline_feeds::schema::{FieldType, MEASUREMENTS, SYSTEM_FIELDS};

use crate::influxd::{self, Options};
use crate::points::{assert_same, stored, types};
use crate::program::{Engine, influx};
use crate::sent::every_publisher;

/// The types in which InfluxDB holds the fields of a measurement.
fn schema_types(measurement: &str) -> BTreeMap<String, String> {
    let known = MEASUREMENTS.iter().find(|known| known.name == measurement).expect("in the schema");
    let name = |kind| match kind {
        FieldType::Float => "float",
        FieldType::Integer => "integer",
        FieldType::Boolean => "boolean",
        FieldType::String => "string",
    };
    let fields = known.fields.iter().map(|field| (field.name, field.kind));
    let all = fields.chain(SYSTEM_FIELDS.iter().map(|field| (field.name, field.kind)));
    all.map(|(field, kind)| (field.to_owned(), name(kind).to_owned())).collect()
}

#[test]
fn every_feed_is_read_back_with_the_counts_values_and_times_that_were_sent() {
    let Some(server) = influxd::start(Options::default()) else { return };
    server.query(None, "", "CREATE DATABASE tick");
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut sets = influx(&server.url, "tick");
    let (keys, mut feeds) = every_publisher(&context);
    sets.extend(keys);
    let engine = Engine::start(dir.path(), &sets);
    for (_, case, publisher) in &mut feeds {
        publisher.wait_subscriber();
        case.messages.iter().for_each(|(json, recv)| publisher.send_numbered(json, *recv, 0));
    }
    let messages: u64 = feeds.iter().map(|(_, case, _)| case.messages.len() as u64).sum();
    let points: u64 =
        feeds.iter().flat_map(|(_, case, _)| case.points.values()).map(|p| p.len() as u64).sum();
    engine
        .wait("all written", |report| report.ledger.received == messages && report.ledger.written == points);
    let ended = engine.stop();
    ended.assert_clean();
    assert_eq!(ended.report.ledger.published, Some(messages));
    for (name, case, _) in feeds {
        let counters = &ended.report.feeds[name].counters;
        assert_eq!((counters["timestamp_collisions"], counters["bad_field"]), (0, 0), "{name}");
        for (measurement, expected) in case.points {
            assert_same(&stored(&server, "tick", measurement), expected, measurement);
            if name == "fills" {
                let kinds = ["price float", "qty integer", "live boolean", "note string", "recv_ns integer"];
                let kinds = kinds.iter().filter_map(|kind| kind.split_once(' '));
                let kinds: BTreeMap<_, _> = kinds.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
                assert_eq!(types(&server, "tick", measurement), kinds);
                continue;
            }
            let of_schema = schema_types(measurement);
            for (key, kind) in types(&server, "tick", measurement) {
                assert_eq!(of_schema.get(&key), Some(&kind), "{measurement}.{key}");
            }
        }
    }
}
