//! Turns the predecessor's `integration_config.json` into a configuration of ours: feeds for its enabled
//! publishers, one InfluxDB sink, its retention policies. Passwords are never copied, and whatever has no
//! meaning here is said.

use serde_json::{Map, Value as Json};

use crate::registry;
use crate::tree::{key, quoted};
use crate::units::parse_duration;

/// What an import makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The configuration, TOML.
    pub toml: String,
    /// What was left out, changed or must be done by hand, a sentence each.
    pub warnings: Vec<String>,
}

/// Why nothing could be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The text is no JSON.
    #[error("must be JSON, found {0}")]
    Json(#[from] serde_json::Error),
    /// The text is JSON, but no object.
    #[error("must be a JSON object, found another value")]
    NotAnObject,
}

/// Sections of the predecessor that are done otherwise here, and how.
const ELSEWHERE: [(&str, &str); 7] = [
    ("system", "logs go to standard error and state_dir is set in [engine]"),
    ("docker", "containers are described by docker-compose.yml"),
    ("subscribers", "one engine takes every feed and writes to every sink"),
    ("startup_sequence", "feeds and sinks wait for each other, there are no phases"),
    ("validation", "tickline check --live validates"),
    ("urls", "the sink has its own url"),
    ("graceful_shutdown", "shutdown_timeout is set in [engine]"),
];

/// Imports the text of an `integration_config.json`.
pub fn import(text: &str) -> Result<Imported, ImportError> {
    let json: Json = serde_json::from_str(text)?;
    let root = json.as_object().ok_or(ImportError::NotAnObject)?;
    let mut import = Import::default();
    for name in root.keys() {
        match ELSEWHERE.iter().find(|(n, _)| n == name) {
            Some((_, instead)) => import.warn(format!("{name}: left out, {instead}")),
            None if ["version", "publishers", "influxdb"].contains(&name.as_str()) => {}
            None => import.warn(format!("{name}: unknown, left out")),
        }
    }
    import.publishers(root.get("publishers").and_then(Json::as_array).map_or(&[], Vec::as_slice));
    match root.get("influxdb").and_then(Json::as_object) {
        Some(influxdb) => import.influxdb(influxdb),
        None => import.warn("influxdb: missing, add a section [sinks.NAME]".to_owned()),
    }
    Ok(Imported { toml: import.toml, warnings: import.warnings })
}

#[derive(Default)]
struct Import {
    toml: String,
    warnings: Vec<String>,
}

impl Import {
    fn warn(&mut self, text: String) {
        self.warnings.push(text);
    }

    fn section(&mut self, name: &str) {
        if !self.toml.is_empty() {
            self.toml.push('\n');
        }
        self.toml.push_str(&format!("[{name}]\n"));
    }

    fn line(&mut self, name: &str, value: &str) {
        self.toml.push_str(&format!("{name} = {value}\n"));
    }

    fn warn_unknown(&mut self, path: &str, object: &Map<String, Json>, known: &[&str]) {
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            self.warn(format!("{path}.{name}: unknown, left out"));
        }
    }

    fn publishers(&mut self, publishers: &[Json]) {
        let mut done = Vec::new();
        for (i, publisher) in publishers.iter().enumerate() {
            let path = format!("publishers[{i}]");
            let Some(publisher) = publisher.as_object() else {
                self.warn(format!("{path}: no object, left out"));
                continue;
            };
            let known = ["name", "module", "class", "port", "topic", "enabled", "description"];
            self.warn_unknown(&path, publisher, &known);
            let name = publisher.get("name").and_then(Json::as_str).unwrap_or_default();
            let topic = publisher.get("topic").and_then(Json::as_str).filter(|t| !t.is_empty());
            let port = publisher
                .get("port")
                .and_then(Json::as_u64)
                .and_then(|p| u16::try_from(p).ok())
                .filter(|p| *p > 0);
            if publisher.get("enabled").and_then(Json::as_bool) == Some(false) {
                self.warn(format!("{path} {name:?}: not enabled, left out"));
                continue;
            }
            let row = registry::find(name).or_else(|| registry::find(topic?));
            let Some(row) = row.filter(|r| !r.decoder.is_empty()) else {
                self.warn(format!("{path} {name:?}: no feed that this version decodes, left out"));
                continue;
            };
            if done.contains(&row.feed()) {
                self.warn(format!("{path} {name:?}: feed {} is there already, left out", row.feed()));
                continue;
            }
            done.push(row.feed());
            self.section(&format!("feeds.{}", row.feed()));
            if let Some(port) = port.filter(|p| *p != row.port) {
                self.line("endpoint", &quoted(&format!("tcp://127.0.0.1:{port}")));
            }
            // The registry subscribes to a feed's topic and to its aliases.
            if let Some(topic) = topic.filter(|t| *t != row.topic && !row.aliases.contains(t)) {
                self.line("topic", &quoted(&escaped(topic)));
            }
        }
    }

    fn influxdb(&mut self, influxdb: &Map<String, Json>) {
        let known = [
            "host",
            "port",
            "database",
            "username",
            "password",
            "admin_username",
            "admin_password",
            "retention_policies",
            "measurements",
        ];
        self.warn_unknown("influxdb", influxdb, &known);
        let text = |name: &str| influxdb.get(name).and_then(Json::as_str).filter(|t| !t.is_empty());
        let port = influxdb.get("port").and_then(Json::as_u64).unwrap_or(8086);
        self.section("sinks.influx");
        self.line("kind", "\"influxdb\"");
        self.line("version", "1");
        self.line(
            "url",
            &quoted(&escaped(&format!("http://{}:{port}", text("host").unwrap_or("127.0.0.1")))),
        );
        self.line("database", &quoted(&escaped(text("database").unwrap_or("tick"))));
        if let Some(username) = text("username") {
            self.line("username", &quoted(&escaped(username)));
            self.line("password", "\"env:INFLUX_PASSWORD\"");
            self.warn("influxdb.password: not copied, set environment variable INFLUX_PASSWORD".to_owned());
        }
        for name in ["admin_username", "admin_password"].into_iter().filter(|n| influxdb.contains_key(*n)) {
            self.warn(format!("influxdb.{name}: left out, the engine needs no administrator"));
        }
        if influxdb.contains_key("measurements") {
            self.warn(
                "influxdb.measurements: left out, each feed has its schema, see tickline schema".to_owned(),
            );
        }
        for (name, policy) in
            influxdb.get("retention_policies").and_then(Json::as_object).into_iter().flatten()
        {
            self.policy(name, policy);
        }
    }

    fn policy(&mut self, name: &str, policy: &Json) {
        let path = format!("influxdb.retention_policies.{name}");
        if key(name) != name || name.starts_with('_') {
            return self.warn(format!("{path}: name must be letters, digits, - and _, left out"));
        }
        if policy.get("replication").is_some_and(|r| *r != 1) {
            self.warn(format!("{path}.replication: left out, one server has one copy"));
        }
        if let Some(policy) = policy.as_object() {
            self.warn_unknown(&path, policy, &["duration", "replication", "shard_duration", "default"]);
        }
        let duration = policy.get("duration").and_then(Json::as_str).map(|d| d.to_ascii_lowercase());
        let shard = policy.get("shard_duration").and_then(Json::as_str).map(str::to_ascii_lowercase);
        let (Some(duration), Some(shard)) = (duration, shard) else {
            return self.warn(format!("{path}: must have duration and shard_duration, left out"));
        };
        if (duration != "inf" && parse_duration(&duration).is_none()) || parse_duration(&shard).is_none() {
            return self.warn(format!(
                "{path}: must be durations such as 30d, found {duration:?} and {shard:?}, left out"
            ));
        }
        self.section(&format!("retention.{name}"));
        self.line("duration", &quoted(&duration));
        self.line("shard_duration", &quoted(&shard));
        let default = policy.get("default").and_then(Json::as_bool).unwrap_or(false);
        self.line("default", &default.to_string());
    }
}

/// A text in which no variable is meant.
fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}
