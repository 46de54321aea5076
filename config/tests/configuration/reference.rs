//! docs/CONFIGURATION.md, made from the JSON Schema.

use serde_json::{Map, Value};

use crate::shipped_files::is_up_to_date;

const HEAD: &str = "# Configuration

Every key, made from `docs/config.schema.json`; in alphabetical order; `tickline config defaults` prints the built-in file, by subject. A file names
only what differs; later files and `--set KEY=VALUE` win. A value carries its unit (`\"500ms\"`, `\"4MiB\"`); `${VAR}`,
`${VAR:-default}` and `${VAR:?message}` stand for variables in texts; secrets are `env:NAME` or `file:PATH`. Unknown keys are
errors. `tickline check` says everything that is wrong at once.
";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace('|', "\\|")
}

/// A key, its default, and what it means.
fn row(path: &str, key: &str, schema: &Value, required: bool) -> String {
    let default = match &schema["default"] {
        Value::Null if required => "needed".to_owned(),
        Value::Null => String::new(),
        default => format!("`{}`", default.to_string().replace('|', "\\|")),
    };
    let range = match (&schema["minimum"], &schema["maximum"]) {
        (Value::Null, _) | (_, Value::Null) => String::new(),
        (least, most) => format!(" {least}..={most}."),
    };
    let nested = schema["properties"].as_object();
    let inside =
        nested.map_or_else(String::new, |keys| rows(&format!("{path}{key}."), keys, &schema["required"]));
    if inside.is_empty() {
        format!("| `{path}{key}` | {default} | {}{range} |\n", text(&schema["description"]))
    } else {
        inside
    }
}

fn rows(path: &str, keys: &Map<String, Value>, required: &Value) -> String {
    let needed = |key: &String| required.as_array().is_some_and(|all| all.iter().any(|one| one == key));
    keys.iter().map(|(key, schema)| row(path, key, schema, needed(key))).collect()
}

fn table(keys: &Value) -> String {
    let none = Map::new();
    let rows = rows("", keys["properties"].as_object().unwrap_or(&none), &keys["required"]);
    if rows.is_empty() {
        String::new()
    } else {
        format!("\n| key | default | meaning |\n|---|---|---|\n{rows}")
    }
}

/// What tells one form of a section from the others.
fn form(schema: &Value) -> String {
    let fixed = ["kind", "version"].into_iter().filter_map(|key| {
        let value = &schema["properties"][key]["const"];
        (!value.is_null()).then(|| format!(", `{key} = {value}`"))
    });
    fixed.collect()
}

fn reference() -> String {
    let schema: Value = serde_json::from_str(&tickline_config::schema::config_schema_json()).unwrap();
    let mut out = HEAD.to_owned();
    for (name, section) in schema["properties"].as_object().unwrap() {
        let members = &section["additionalProperties"];
        if !members.is_object() {
            out.push_str(&format!("\n## `[{name}]`\n{}", table(section)));
            continue;
        }
        let forms = members["oneOf"].as_array().or_else(|| members["anyOf"].as_array());
        let own = vec![members.clone()];
        for schema in forms.unwrap_or(&own) {
            out.push_str(&format!("\n## `[{name}.NAME]`{}\n{}", form(schema), table(schema)));
        }
    }
    out
}

#[test]
fn the_reference_has_every_key() {
    let page = reference();
    let schema: Value = serde_json::from_str(&tickline_config::schema::config_schema_json()).unwrap();
    let engine = schema["properties"]["engine"]["properties"].as_object().unwrap();
    assert!(engine.keys().all(|key| page.contains(&format!("| `{key}` |"))));
    is_up_to_date("CONFIGURATION.md", &page);
}
