//! The effective configuration as TOML: every value with its default, secrets only by where they stand.

use crate::keys::publisher::PUBLISHER_FORMS;
use crate::keys::{Kind, SINK_FORMS};
use crate::tree::{Node, Table, Value, key};

/// All sections, keys in alphabetical order, so that equal configurations have equal text.
pub(crate) fn effective(tree: &Table) -> String {
    let mut out = String::new();
    for (name, node) in tree {
        match (name.as_str(), &node.value) {
            (
                "routes" | "feeds" | "sinks" | "publishers" | "alerts" | "retention" | "phases" | "services",
                Value::Table(members),
            ) => {
                for (member, node) in members {
                    section(&mut out, &format!("{name}.{}", key(member)), node);
                }
            }
            _ => section(&mut out, &key(name), node),
        }
    }
    out
}

fn section(out: &mut String, path: &str, node: &Node) {
    let Value::Table(table) = &node.value else { return };
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(&format!("[{path}]\n"));
    for (name, node) in table {
        let value = if is_secret(path, name) { masked(node) } else { node.value.show().replace("${", "$${") };
        out.push_str(&format!("{} = {value}\n", key(name)));
    }
}

fn is_secret(path: &str, name: &str) -> bool {
    let sinks = SINK_FORMS.iter().flat_map(|f| f.sections);
    let publishers = PUBLISHER_FORMS.iter().flat_map(|f| f.sections);
    let mut keys = sinks.chain(publishers).flat_map(|s| s.keys);
    let holds = path.starts_with("sinks.") || path.starts_with("publishers.");
    holds && keys.any(|k| k.name == name && matches!(k.kind, Kind::Secret))
}

/// `env:NAME` and `file:PATH` say where the secret is, not what it is; anything else may be the secret.
fn masked(node: &Node) -> String {
    match node.as_text() {
        Some(text) if text.starts_with("env:") || text.starts_with("file:") => node.value.show(),
        _ => "\"***\"".to_owned(),
    }
}
