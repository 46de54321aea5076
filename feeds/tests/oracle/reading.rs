//! Line protocol read back as points.

use std::collections::BTreeMap;

use influxdb_line_protocol::{FieldValue, parse_lines};

/// A field as the parser sees it. Floats compare by their bits.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    Float(f64),
    Int(i64),
    Bool(bool),
    Text(String),
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Field::Float(a), Field::Float(b)) => a.to_bits() == b.to_bits(),
            (Field::Int(a), Field::Int(b)) => a == b,
            (Field::Bool(a), Field::Bool(b)) => a == b,
            (Field::Text(a), Field::Text(b)) => a == b,
            _ => false,
        }
    }
}

/// One line, read back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) measurement: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) fields: BTreeMap<String, Field>,
    pub(crate) time: i64,
}

impl Point {
    /// What a database tells two points apart by.
    pub(crate) fn identity(&self) -> (String, Vec<(String, String)>, i64) {
        (self.measurement.clone(), self.tags.clone().into_iter().collect(), self.time)
    }
}

/// Reads finished lines. As many points as newlines come out, or the lines are broken.
pub(crate) fn read(lines: &[u8]) -> Vec<Point> {
    let text = std::str::from_utf8(lines).expect("lines are UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'), "the last line ends: {text:?}");
    let points: Vec<Point> = parse_lines(text)
        .map(|line| {
            let line = line.unwrap_or_else(|error| panic!("{error} in {text:?}"));
            let tags = line.series.tag_set.iter().flatten();
            let mut point = Point {
                measurement: line.series.measurement.to_string(),
                tags: tags.clone().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
                fields: BTreeMap::new(),
                time: line.timestamp.expect("every line has a time"),
            };
            assert_eq!(point.tags.len(), tags.count(), "a tag stands twice in {text:?}");
            for (name, value) in &line.field_set {
                let field = match value {
                    FieldValue::F64(number) => Field::Float(*number),
                    FieldValue::I64(number) => Field::Int(*number),
                    FieldValue::Boolean(value) => Field::Bool(*value),
                    FieldValue::String(text) => Field::Text(text.to_string()),
                    FieldValue::U64(number) => panic!("{name}: nothing of ours is unsigned, found {number}"),
                };
                assert!(point.fields.insert(name.to_string(), field).is_none(), "{name} stands twice");
            }
            point
        })
        .collect();
    let newlines = lines.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(points.len(), newlines, "a line each: {text:?}");
    points
}
