//! The JSON Schema of the configuration file, made from the key table and from `default.toml`: types and ranges
//! from the one, descriptions and defaults from the other. An editor checks with it while one types.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::DEFAULTS;
use crate::keys::publisher::{PUBLISHER_FORMS, PublisherForm};
use crate::keys::{
    ALERT, ALERTING, ARCHIVE, CANARY, COMPAT, ENGINE, FEED, FORWARD, HTTP, Key, Kind, Need, PHASE, RETENTION,
    ROLLUPS, ROUTE, SERVICE, SINK_FORMS, Section, SinkForm, UP,
};
use crate::tree::{Node, Table, Value, parse};
use crate::units::{bytes_pattern, duration_pattern};
use crate::violation::Violations;

/// The schema, indented, with a newline at the end.
pub fn config_schema_json() -> String {
    let maker =
        Maker { described: descriptions(DEFAULTS), defaults: parse(DEFAULTS, 0, &mut Violations::default()) };
    let named = |schema: Json| json!({ "type": "object", "additionalProperties": schema });
    let sinks: Vec<Json> = SINK_FORMS.iter().map(|form| maker.sink(form)).collect();
    let publishers: Vec<Json> = PUBLISHER_FORMS.iter().map(|form| maker.publisher(form)).collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tickline configuration",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "engine": maker.section(&[&ENGINE]),
            "http": maker.section(&[&HTTP]),
            "compat": maker.section(&[&COMPAT]),
            "archive": maker.section(&[&ARCHIVE]),
            "forward": maker.section(&[&FORWARD]),
            "routes": named(maker.section(&[&ROUTE])),
            // What a feed needs depends on the registry, so nothing is required here.
            "feeds": named(maker.object(&[&FEED], |_| false)),
            "sinks": named(json!({ "oneOf": sinks })),
            // What a publisher needs depends on its name, so only what no default has is required.
            "publishers": named(json!({ "anyOf": publishers })),
            "alerting": maker.section(&[&ALERTING]),
            "alerts": named(maker.section(&[&ALERT])),
            "retention": named(maker.section(&[&RETENTION])),
            "up": maker.section(&[&UP]),
            "phases": named(maker.section(&[&PHASE])),
            "services": named(maker.section(&[&SERVICE])),
            "canary": maker.section(&[&CANARY]),
            "rollups": maker.section(&[&ROLLUPS]),
        },
    });
    format!("{schema:#}\n")
}

struct Maker {
    described: BTreeMap<String, String>,
    defaults: Table,
}

impl Maker {
    fn section(&self, sections: &[&'static Section]) -> Json {
        self.object(sections, |key| key.need == Need::Required)
    }

    fn object(&self, sections: &[&'static Section], required: impl Fn(&Key) -> bool) -> Json {
        let mut properties = Map::new();
        let mut needed = Vec::new();
        for section in sections {
            for key in section.keys {
                properties.insert(key.name.to_owned(), self.key(section, key));
                if required(key) {
                    needed.push(key.name);
                }
            }
        }
        let mut object = json!({ "type": "object", "additionalProperties": false, "properties": properties });
        if !needed.is_empty() {
            object["required"] = json!(needed);
        }
        object
    }

    /// One kind of sink: its `kind` and `version` are constants.
    fn sink(&self, form: &SinkForm) -> Json {
        let mut schema = self.section(form.sections);
        schema["title"] = json!(form.name());
        schema["properties"]["kind"]["const"] = json!(form.kind);
        if let Some(version) = form.version {
            schema["properties"]["version"]["const"] = json!(version);
        }
        schema
    }

    /// One kind of publisher.
    fn publisher(&self, form: &PublisherForm) -> Json {
        let known = ["kind", "endpoint"];
        let mut schema =
            self.object(form.sections, |key| key.need == Need::Required && !known.contains(&key.name));
        schema["title"] = json!(format!("kind {:?}", form.kind));
        schema["properties"]["kind"]["const"] = json!(form.kind);
        schema
    }

    fn key(&self, section: &Section, key: &Key) -> Json {
        let mut schema = match key.kind {
            Kind::Table(inner) => self.section(&[inner]),
            kind => shape(kind),
        };
        let path = format!("{}.{}", section.name, key.name);
        if let Some(text) = self.described.get(&path) {
            schema["description"] = json!(text);
        }
        if let Some(default) = self.default(section.name, key.name) {
            schema["default"] = default;
        }
        schema
    }

    fn default(&self, section: &str, key: &str) -> Option<Json> {
        let table = section.split('.').try_fold(&self.defaults, |table, name| table.get(name)?.as_table());
        Some(json(&table?.get(key)?.value))
    }
}

const ENDPOINT: &str = "^(tcp|ipc)://.";

/// What values of the kind look like. A text with a variable in it passes: its value is checked when loaded.
fn shape(kind: Kind) -> Json {
    let text = |pattern: &str| json!({ "type": "string", "pattern": format!("({pattern})|\\$\\{{") });
    let texts = || json!({ "type": "array", "items": { "type": "string", "minLength": 1 } });
    let options = |options: &[&str]| text(&format!("^({})$", options.join("|")));
    match kind {
        Kind::Duration(..) => text(&duration_pattern()),
        Kind::Retention(..) => text(&format!("^inf$|{}", duration_pattern())),
        Kind::Bytes(..) => text(&bytes_pattern()),
        Kind::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Text | Kind::Listen | Kind::Document => json!({ "type": "string", "minLength": 1 }),
        Kind::HostName => text("^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$"),
        Kind::Choice(names) => options(names),
        Kind::Pinning => json!({ "anyOf": [
            options(&["off", "auto"]),
            { "type": "array", "items": { "type": "integer", "minimum": 0 }, "minItems": 1, "uniqueItems": true },
        ] }),
        Kind::Fields => json!({ "anyOf": [options(&["core", "all"]), texts()] }),
        Kind::Endpoint | Kind::Bind => text(ENDPOINT),
        Kind::Endpoints | Kind::Binds => {
            json!({ "type": "array", "items": text(ENDPOINT), "uniqueItems": true })
        }
        Kind::Condition | Kind::MetricCondition => text("[<>=!]"),
        Kind::WebSocket => text("^wss?://."),
        Kind::Url => text("^https?://."),
        Kind::Secret => text("^(env|file):."),
        Kind::Session => json!({ "anyOf": [options(&["always", "fx"]), texts()] }),
        Kind::PublicKey => text("."),
        Kind::Texts => texts(),
        Kind::Subset(names) => json!({ "type": "array", "items": options(names) }),
        Kind::Names => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Table(_) => json!({ "type": "object" }),
    }
}

fn json(value: &Value) -> Json {
    match value {
        Value::Text(text) | Value::Number(text) | Value::Time(text) => json!(text),
        Value::Integer(number) => json!(number),
        Value::Flag(flag) => json!(flag),
        Value::List(items) => items.iter().map(|n: &Node| json(&n.value)).collect(),
        Value::Table(table) => table.iter().map(|(k, n)| (k.clone(), json(&n.value))).collect(),
    }
}

/// The comment above each key, by `section.key`. A key without default stands as `#key = value`.
fn descriptions(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let (mut section, mut comment) = (String::new(), Vec::new());
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("# ") {
            comment.push(words);
        } else if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name.to_owned();
            comment.clear();
        } else if let Some((key, _)) = line.trim_start_matches('#').split_once(" = ") {
            found.insert(format!("{section}.{key}"), comment.join(" "));
            comment.clear();
        } else {
            comment.clear();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{CUSTOM, CUSTOM_TIME, SPOOL};

    fn sections() -> Vec<&'static Section> {
        let once = [
            &ENGINE,
            &HTTP,
            &COMPAT,
            &ARCHIVE,
            &FORWARD,
            &ROUTE,
            &RETENTION,
            &ALERTING,
            &ALERT,
            &FEED,
            &CUSTOM,
            &CUSTOM_TIME,
            &SPOOL,
            &UP,
            &PHASE,
            &SERVICE,
            &CANARY,
            &ROLLUPS,
        ];
        let sinks = SINK_FORMS.iter().flat_map(|f| f.sections);
        let publishers = PUBLISHER_FORMS.iter().flat_map(|f| f.sections);
        once.into_iter().chain(sinks.chain(publishers).copied()).collect()
    }

    #[test]
    fn default_toml_describes_every_key_and_has_a_default_for_each_that_may_be_left_out() {
        let mut violations = Violations::default();
        let maker =
            Maker { described: descriptions(DEFAULTS), defaults: parse(DEFAULTS, 0, &mut violations) };
        assert!(violations.is_empty());
        let computed = ["engine.instance", "defaults.feed.aliases", "defaults.feed.decoder"];
        for section in sections() {
            for key in section.keys {
                let path = format!("{}.{}", section.name, key.name);
                let nested = matches!(key.kind, Kind::Table(_));
                assert!(nested || maker.described.contains_key(&path), "{path} has no description");
                let default = maker.default(section.name, key.name).is_some();
                let wanted = key.need == Need::Default && !computed.contains(&path.as_str());
                assert_eq!(default, wanted, "{path}: default");
            }
        }
    }

    #[test]
    fn default_toml_has_no_key_that_the_key_table_lacks() {
        let known: Vec<String> =
            sections().iter().flat_map(|s| s.keys.iter().map(|k| format!("{}.{}", s.name, k.name))).collect();
        for key in descriptions(DEFAULTS)
            .into_keys()
            .filter(|k| !["retention.", "alerts.", "phases."].iter().any(|named| k.starts_with(named)))
        {
            assert!(known.contains(&key), "{key} is no key");
        }
    }
}
