//! Payloads as trees, written with `rmp`.

use rmp::encode;
use serde_json::Value;

/// A msgpack value.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bin(Vec<u8>),
    Array(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// As msgpack.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Tree::Nil => encode::write_nil(out).unwrap(),
            Tree::Bool(value) => encode::write_bool(out, *value).unwrap(),
            Tree::Int(number) => drop(encode::write_sint(out, *number).unwrap()),
            Tree::Float(number) => encode::write_f64(out, *number).unwrap(),
            Tree::Text(text) => encode::write_str(out, text).unwrap(),
            Tree::Bin(bytes) => encode::write_bin(out, bytes).unwrap(),
            Tree::Array(items) => {
                encode::write_array_len(out, items.len() as u32).unwrap();
                items.iter().for_each(|item| item.write(out));
            }
            Tree::Map(entries) => {
                encode::write_map_len(out, entries.len() as u32).unwrap();
                for (key, item) in entries {
                    encode::write_str(out, key).unwrap();
                    item.write(out);
                }
            }
        }
    }
}

impl From<Value> for Tree {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Tree::Nil,
            Value::Bool(value) => Tree::Bool(value),
            Value::Number(number) => {
                number.as_i64().map_or_else(|| Tree::Float(number.as_f64().unwrap()), Tree::Int)
            }
            Value::String(text) => Tree::Text(text),
            Value::Array(items) => Tree::Array(items.into_iter().map(Tree::from).collect()),
            Value::Object(entries) => {
                Tree::Map(entries.into_iter().map(|(key, item)| (key, Tree::from(item))).collect())
            }
        }
    }
}

/// A JSON tree as msgpack.
pub(crate) fn pack(value: Value) -> Vec<u8> {
    Tree::from(value).bytes()
}
