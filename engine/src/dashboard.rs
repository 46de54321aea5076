//! Dashboards for Grafana, made from the schema: one for each measurement and one for the engine. Everything is raw
//! InfluxQL against one data source, classic JSON of the model that every current Grafana reads; no panel is drawn by
//! hand, so none can name a field that is not written.

use serde_json::{Value, json};
use tickline_feeds::schema::{Field, FieldType, MEASUREMENTS, Measurement};

mod panel;

use panel::{Kind, Panel, lay_out};

/// Version of the JSON model; Grafana brings older ones up to date as it reads them.
const SCHEMA_VERSION: u32 = 39;

/// Folder in which they stand.
pub const FOLDER: &str = "tickline";

/// Fields in one chart.
const CHART_FIELDS: usize = 4;

/// Tags that tell series apart, the first of a measurement before the others; the others describe them.
const SERIES_TAGS: [&str; 8] =
    ["pair", "instrument", "market_id", "topic", "level", "selection_id", "side", "handicap"];

/// One dashboard.
#[derive(Clone, Debug, PartialEq)]
pub struct Dashboard {
    /// Its uid, and its file's name.
    pub uid: String,
    /// The JSON model.
    pub model: Value,
}

/// Every dashboard; `policy` says in which retention policy a measurement is, none: the database's default.
pub fn all(policy: &dyn Fn(&str) -> Option<String>) -> Vec<Dashboard> {
    let of = |measurement: &&Measurement| of_measurement(measurement, policy(measurement.name).as_deref());
    // The predecessor's measurement is written for those who have dashboards of it.
    let measured = MEASUREMENTS.iter().filter(|measurement| measurement.name != "tick");
    let mut all: Vec<Dashboard> = measured.collect::<Vec<_>>().iter().map(of).collect();
    all.push(engine());
    all
}

/// The queries of a dashboard: panels, annotations and variables.
pub fn queries(dashboard: &Dashboard) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let model = &dashboard.model;
    let rows = list(&model["panels"]);
    let inner = rows.iter().flat_map(|row| list(&row["panels"]));
    for panel in rows.iter().cloned().chain(inner) {
        let targets = list(&panel["targets"]);
        found.extend(targets.iter().map(|target| (text(&panel["title"]), text(&target["query"]))));
    }
    for annotation in list(&model["annotations"]["list"]) {
        found.push((text(&annotation["name"]), text(&annotation["query"])));
    }
    let variables = list(&model["templating"]["list"]);
    found.extend(
        variables.iter().filter(|of| of["type"] == "query").map(|of| (text(&of["name"]), text(&of["query"]))),
    );
    found
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn of_measurement(measurement: &Measurement, policy: Option<&str>) -> Dashboard {
    let Measurement { name, tags, fields, .. } = measurement;
    let policy = policy.map_or_else(String::new, |policy| format!("{}.", identifier(policy)));
    let source = format!("{policy}{}", identifier(name));
    let mut series: Vec<&str> = SERIES_TAGS.iter().copied().filter(|tag| tags.contains(tag)).collect();
    if series.is_empty() {
        series.extend(tags.first());
    }
    let tests: Vec<String> = series.iter().map(|tag| format!("{} =~ /^${tag}$/", identifier(tag))).collect();
    let condition = format!("$timeFilter AND {}", tests.join(" AND "));
    let groups: Vec<String> = series.iter().map(|tag| identifier(tag)).collect();
    let groups = groups.join(", ");
    let numbers = |core: bool| {
        let numeric = |field: &&Field| matches!(field.kind, FieldType::Float | FieldType::Integer);
        fields.iter().filter(numeric).filter(move |field| field.core == core).collect::<Vec<_>>()
    };
    let (core, more) = (numbers(true), numbers(false));
    let chart = |of: &[&Field]| {
        let selected: Vec<String> =
            of.iter().map(|field| format!("mean({0}) AS {0}", identifier(field.name))).collect();
        let selected = selected.join(", ");
        let query = format!(
            "SELECT {selected} FROM {source} WHERE {condition} GROUP BY time($__interval), {groups} fill(none)"
        );
        let names: Vec<&str> = of.iter().map(|field| field.name).collect();
        Panel::new(Kind::Chart, &names.join(", "), &query, 12)
    };
    let mut panels = Vec::new();
    for field in core.iter().take(2) {
        let query = format!(
            "SELECT last({}) FROM {source} WHERE {condition} GROUP BY {groups}",
            identifier(field.name)
        );
        panels.push(Panel::new(Kind::Stat, &format!("last {}", field.name), &query, 6));
    }
    let counted =
        fields.iter().find(|field| field.core).or(fields.first()).map_or("recv_ns", |field| field.name);
    let count = format!("count({})", identifier(counted));
    let total = format!("SELECT {count} FROM {source} WHERE {condition}");
    panels.push(Panel::new(Kind::Stat, &format!("points with {counted}"), &total, 6));
    let rate = format!(
        "SELECT {count} AS \"points\" FROM {source} WHERE {condition} GROUP BY time($__interval), {groups} fill(none)"
    );
    panels.extend(core.chunks(CHART_FIELDS).map(chart));
    panels.push(Panel::new(Kind::Bars, "points", &rate, 12));
    let shown: Vec<String> = tags
        .iter()
        .copied()
        .chain(fields.iter().filter(|field| field.core).map(|field| field.name))
        .map(identifier)
        .collect();
    let last =
        format!("SELECT {} FROM {source} WHERE {condition} ORDER BY time DESC LIMIT 100", shown.join(", "));
    panels.push(Panel::new(Kind::Table, "the last 100", &last, 24));
    let further: Vec<Panel> = more.chunks(CHART_FIELDS).map(chart).collect();
    let mut variables = vec![datasource()];
    for tag in &series {
        let query = format!("SHOW TAG VALUES FROM {source} WITH KEY = {}", identifier(tag));
        variables.push(variable(tag, &query));
    }
    // The feed of a measurement has its name, with few exceptions that share a feed.
    let feed = measurement.from.split(' ').next().unwrap_or(name);
    dashboard(name, &format!("{name} stream"), panels, further, variables, feed)
}

/// What the engine writes down of itself.
fn engine() -> Dashboard {
    let by_feed = "WHERE $timeFilter AND \"feed\" =~ /^$feed$/";
    let per_minute = |field: &str, name: &str| {
        format!(
            "SELECT sum(\"{field}\") AS \"{name}\" FROM \"tickline_ledger\" {by_feed} GROUP BY time(1m), \"feed\" fill(none)"
        )
    };
    let lost = format!("SELECT sum(\"lost\") FROM \"tickline_ledger\" {by_feed} GROUP BY \"feed\"");
    let received = format!("SELECT sum(\"messages\") FROM \"tickline_ledger\" {by_feed} GROUP BY \"feed\"");
    let points = format!(
        "SELECT sum(\"points\") AS \"points\" FROM \"tickline_points\" {by_feed} GROUP BY time(1m), \"measurement\" fill(none)"
    );
    let gaps = format!(
        "SELECT \"feed\", \"cause\", \"lost\", \"from_seq\", \"to_seq\", \"scope\", \"detail\" FROM \"feed_gap\" {by_feed} ORDER BY time DESC LIMIT 100"
    );
    let events = format!(
        "SELECT \"feed\", \"kind\", \"scope\", \"detail\" FROM \"feed_event\" {by_feed} ORDER BY time DESC LIMIT 100"
    );
    let panels = vec![
        Panel::new(Kind::Stat, "messages received", &received, 12),
        Panel::new(Kind::Stat, "messages lost", &lost, 12),
        Panel::new(Kind::Bars, "messages a minute", &per_minute("messages", "messages"), 12),
        Panel::new(Kind::Bars, "lost a minute", &per_minute("lost", "lost"), 12),
        Panel::new(Kind::Bars, "points made, by the minute of their time", &points, 24),
        Panel::new(Kind::Table, "holes", &gaps, 24),
        Panel::new(Kind::Table, "events", &events, 24),
    ];
    let feed = variable("feed", "SHOW TAG VALUES FROM \"tickline_ledger\" WITH KEY = \"feed\"");
    dashboard("engine", "tickline engine", panels, Vec::new(), vec![datasource(), feed], "$feed")
}

fn datasource() -> Value {
    json!({ "name": "datasource", "label": "data source", "type": "datasource", "query": "influxdb" })
}

/// A choice of tag values; the first is chosen, so that a dashboard opens fast however many there are.
fn variable(name: &str, query: &str) -> Value {
    json!({ "name": name, "type": "query", "datasource": panel::datasource(), "query": query, "definition": query,
        "refresh": 2, "sort": 7, "multi": true, "includeAll": true, "allValue": ".*" })
}

/// Spans that are missing are shaded, and what happened is a line.
fn annotations(feed: &str) -> Value {
    let known = format!("WHERE $timeFilter AND \"feed\" =~ /^{feed}/");
    let annotation = |name: &str, colour: &str, query: String, title: &str| {
        json!({ "name": name, "datasource": panel::datasource(), "enable": true, "iconColor": colour, "query": query,
            "titleColumn": title, "textColumn": "detail", "tagsColumn": "feed", "timeEndColumn": "to_ms" })
    };
    let gaps = format!(
        "SELECT \"cause\", \"detail\", \"feed\", \"lost\", \"to_ns\" / 1000000 AS \"to_ms\" FROM \"feed_gap\" {known}"
    );
    let events = format!("SELECT \"kind\", \"detail\", \"feed\", \"scope\" FROM \"feed_event\" {known}");
    json!({ "list": [annotation("holes", "red", gaps, "cause"), annotation("events", "orange", events, "kind")] })
}

fn dashboard(
    uid: &str,
    title: &str,
    panels: Vec<Panel>,
    further: Vec<Panel>,
    variables: Vec<Value>,
    feed: &str,
) -> Dashboard {
    let uid = format!("tickline-{}", uid.replace('_', "-"));
    let model = json!({
        "uid": uid, "title": title, "tags": ["tickline"], "schemaVersion": SCHEMA_VERSION, "version": 1,
        "editable": true, "graphTooltip": 1, "refresh": "5s", "time": { "from": "now-1h", "to": "now" },
        "timezone": "utc", "templating": { "list": variables }, "annotations": annotations(feed),
        "panels": lay_out(panels, further),
    });
    Dashboard { uid, model }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_measurement_has_a_dashboard_with_every_number_of_it_and_ids_are_its_own() {
        let all = all(&|name| (name == "betfair_stream").then(|| "high_frequency".to_owned()));
        assert_eq!(all.len(), MEASUREMENTS.len());
        let uids: BTreeSet<&str> = all.iter().map(|of| of.uid.as_str()).collect();
        assert_eq!(uids.len(), all.len());
        for (dashboard, measurement) in all.iter().zip(MEASUREMENTS.iter().filter(|of| of.name != "tick")) {
            let queries: String = queries(dashboard).into_iter().map(|(_, query)| query + "\n").collect();
            let numeric = |field: &&Field| matches!(field.kind, FieldType::Float | FieldType::Integer);
            for field in measurement.fields.iter().filter(numeric) {
                assert!(queries.contains(&format!("mean(\"{}\")", field.name)), "{}", field.name);
            }
            let policy = queries.contains(&format!("\"high_frequency\".\"{}\"", measurement.name));
            assert_eq!(policy, measurement.name == "betfair_stream");
        }
        for dashboard in &all {
            let panels = dashboard.model["panels"].as_array().unwrap();
            let inner = panels.iter().flat_map(|row| row["panels"].as_array().cloned().unwrap_or_default());
            let everything: Vec<Value> = panels.iter().cloned().chain(inner).collect();
            let ids: BTreeSet<u64> = everything.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
            assert_eq!(ids.len(), everything.len(), "{}", dashboard.uid);
            let kinds: BTreeSet<&str> =
                everything.iter().map(|panel| panel["type"].as_str().unwrap()).collect();
            assert!(kinds.is_subset(&["row", "stat", "table", "timeseries"].into()), "{kinds:?}");
        }
    }
}
