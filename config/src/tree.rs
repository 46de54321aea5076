//! The configuration before it has types: values with the place where each stands, so that layers can be laid
//! over each other and a violation can still say `file:line:column`.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use crate::variables::{Env, expand};
use crate::violation::{Place, Violations};

/// A value and where its key stands (in a list: where it stands itself).
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What TOML can say.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    /// A float, or an integer that no `i64` holds.
    Number(String),
    Flag(bool),
    Time(String),
    List(Vec<Node>),
    Table(Table),
}

/// Keys in alphabetical order; the order of the file is in their places.
pub(crate) type Table = BTreeMap<String, Node>;

impl Node {
    pub(crate) fn text(place: Place, text: impl Into<String>) -> Self {
        Self { place, value: Value::Text(text.into()) }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    pub(crate) fn as_table(&self) -> Option<&Table> {
        if let Value::Table(table) = &self.value { Some(table) } else { None }
    }
}

impl Value {
    /// The value as a message or a file shows it, in TOML.
    pub(crate) fn show(&self) -> String {
        match self {
            Value::Text(text) => quoted(text),
            Value::Integer(number) => number.to_string(),
            Value::Number(text) | Value::Time(text) => text.clone(),
            Value::Flag(flag) => flag.to_string(),
            Value::List(nodes) => {
                let parts: Vec<String> = nodes.iter().map(|n| n.value.show()).collect();
                format!("[{}]", parts.join(", "))
            }
            Value::Table(table) => {
                let parts: Vec<String> = in_file_order(table)
                    .into_iter()
                    .map(|(k, n)| format!("{} = {}", key(k), n.value.show()))
                    .collect();
                format!("{{ {} }}", parts.join(", "))
            }
        }
    }

    /// [`Value::show`], cut for messages.
    pub(crate) fn found(&self) -> String {
        let text = self.show();
        if text.chars().count() <= 80 { text } else { text.chars().take(77).chain("...".chars()).collect() }
    }
}

/// The entries of a table as the file has them.
pub(crate) fn in_file_order(table: &Table) -> Vec<(&String, &Node)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(_, node)| node.place);
    entries
}

/// A text as a TOML basic string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A key, quoted only where TOML needs it.
pub(crate) fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { quoted(name) }
}

/// Reads one file. Violations of TOML itself are added; what could be read is returned.
pub(crate) fn parse(text: &str, source: usize, violations: &mut Violations) -> Table {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let byte = error.span().map_or(0, |s| s.start);
        violations.add(Place { source, byte }, "", error.message().to_owned());
    }
    convert_table(table.get_ref(), source)
}

/// The deepest key has 5 parts; files are bounded by the TOML parser.
const SET_DEPTH_MAX: usize = 16;

/// Reads `a.b=value` and returns `a.b` and its value; a value that is no TOML is a text. None if there is no such key.
pub(crate) fn parse_set(argument: &str, source: usize) -> Option<(&str, Table)> {
    let (path, text) = argument.split_once('=')?;
    let path = path.trim();
    if path.split('.').any(str::is_empty) || path.split('.').count() > SET_DEPTH_MAX {
        return None;
    }
    let place = Place { source, byte: 0 };
    let mut node = match DeValue::parse(text.trim()) {
        Ok(value) => convert(value.get_ref(), place, source),
        Err(_) => Node::text(place, text),
    };
    let mut parts = path.rsplit('.');
    let last = parts.next()?;
    let mut table = Table::from([(last.to_owned(), node)]);
    for part in parts {
        node = Node { place, value: Value::Table(table) };
        table = Table::from([(part.to_owned(), node)]);
    }
    Some((path, table))
}

fn convert_table(table: &DeTable<'_>, source: usize) -> Table {
    let entry = |(k, v): (&toml::Spanned<toml::de::DeString<'_>>, &toml::Spanned<DeValue<'_>>)| {
        let place = Place { source, byte: k.span().start };
        (k.get_ref().to_string(), convert(v.get_ref(), place, source))
    };
    table.iter().map(entry).collect()
}

fn convert(value: &DeValue<'_>, place: Place, source: usize) -> Node {
    let value = match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::Number(number.to_string()), Value::Integer),
        DeValue::Float(number) => Value::Number(number.to_string()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(time) => Value::Time(time.to_string()),
        DeValue::Array(items) => {
            let item = |v: &toml::Spanned<DeValue<'_>>| {
                convert(v.get_ref(), Place { source, byte: v.span().start }, source)
            };
            Value::List(items.iter().map(item).collect())
        }
        DeValue::Table(table) => Value::Table(convert_table(table, source)),
    };
    Node { place, value }
}

/// Lays `over` on `base`: tables are joined, anything else is replaced.
pub(crate) fn merge(base: &mut Table, over: Table) {
    for (name, node) in over {
        match (base.get_mut(&name), node) {
            (
                Some(Node { value: Value::Table(inner), place }),
                Node { value: Value::Table(table), place: p },
            ) => {
                *place = p;
                merge(inner, table);
            }
            (_, node) => {
                base.insert(name, node);
            }
        }
    }
}

/// Puts variables into every text below `table`, whose key is `path`.
pub(crate) fn expand_all(table: &mut Table, path: &str, env: Env<'_>, violations: &mut Violations) {
    for (name, node) in table {
        let path = join(path, name);
        expand_node(node, &path, env, violations);
    }
}

fn expand_node(node: &mut Node, path: &str, env: Env<'_>, violations: &mut Violations) {
    match &mut node.value {
        Value::Text(text) => match expand(text, env) {
            Ok(expanded) => *text = expanded,
            Err(rule) => violations.add(node.place, path, rule),
        },
        Value::List(items) => items.iter_mut().for_each(|n| expand_node(n, path, env, violations)),
        Value::Table(table) => expand_all(table, path, env, violations),
        _ => {}
    }
}

/// `path` and `name` as one key.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { key(name) } else { format!("{path}.{}", key(name)) }
}
