//! The shape of a measurement's lines: which columns there are, and of what type. It only grows; a line whose
//! types contradict it belongs to another shape.

use influxdb_line_protocol::{FieldValue, ParsedLine};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tag,
    Float,
    Int,
    Uint,
    Bool,
    Text,
}

impl Kind {
    fn of(value: &FieldValue<'_>) -> Self {
        match value {
            FieldValue::I64(_) => Kind::Int,
            FieldValue::U64(_) => Kind::Uint,
            FieldValue::F64(_) => Kind::Float,
            FieldValue::Boolean(_) => Kind::Bool,
            FieldValue::String(_) => Kind::Text,
        }
    }
}

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Name of the tag or field.
    name: String,
    /// Name in the file: the same, unless a column before it has it.
    pub(super) label: String,
    pub(super) kind: Kind,
}

/// The columns beside `time`, in the order in which they were first seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    pub(super) columns: Vec<Column>,
}

/// How a line fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Every value has a column.
    Same,
    /// Columns were added for it.
    Wider,
    /// A field has another type here.
    Clash,
}

impl Shape {
    /// Finds the column of each value, tags before fields, adding columns where there are none. A line that
    /// clashes or names a column twice changes nothing.
    pub(super) fn fit(&mut self, line: &ParsedLine<'_>, slots: &mut Vec<usize>) -> Result<Fit, String> {
        slots.clear();
        let known = self.columns.len();
        let tags = line.series.tag_set.iter().flatten().map(|(name, _)| (name.as_str(), Kind::Tag));
        let fields = line.field_set.iter().map(|(name, value)| (name.as_str(), Kind::of(value)));
        for (name, kind) in tags.chain(fields) {
            let hint = slots.last().map_or(0, |last| last + 1);
            let slot = match self.find(name, kind == Kind::Tag, hint) {
                Some((_, found)) if found != kind => {
                    self.columns.truncate(known);
                    return Ok(Fit::Clash);
                }
                Some((slot, _)) if slots.contains(&slot) => {
                    self.columns.truncate(known);
                    return Err(format!("\"{name}\" stands twice"));
                }
                Some((slot, _)) => slot,
                None => {
                    let label = self.free_label(name, kind == Kind::Tag);
                    self.columns.push(Column { name: name.to_owned(), label, kind });
                    self.columns.len() - 1
                }
            };
            slots.push(slot);
        }
        Ok(if self.columns.len() > known { Fit::Wider } else { Fit::Same })
    }

    /// Lines of a measurement mostly name the same columns in the same order: looks at `hint` first.
    fn find(&self, name: &str, is_tag: bool, hint: usize) -> Option<(usize, Kind)> {
        let is = |column: &Column| (column.kind == Kind::Tag) == is_tag && column.name == name;
        if let Some(column) = self.columns.get(hint)
            && is(column)
        {
            return Some((hint, column.kind));
        }
        let slot = self.columns.iter().position(is)?;
        self.columns.get(slot).map(|column| (slot, column.kind))
    }

    /// InfluxDB lets a tag and a field share a name, and either be called `time`; a table cannot.
    fn free_label(&self, name: &str, is_tag: bool) -> String {
        let mut label = name.to_owned();
        while label == "time" || self.columns.iter().any(|column| column.label == label) {
            label.push_str(if is_tag { ".tag" } else { ".field" });
        }
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use influxdb_line_protocol::parse_lines;

    fn fit(shape: &mut Shape, line: &str) -> (Result<Fit, String>, Vec<usize>) {
        let mut slots = Vec::new();
        let parsed = parse_lines(line).next().unwrap().unwrap();
        (shape.fit(&parsed, &mut slots), slots)
    }

    #[test]
    fn a_shape_grows_with_new_columns_and_refuses_other_types() {
        let mut shape = Shape::default();
        assert_eq!(fit(&mut shape, "m,a=x v=1,w=2i 1"), (Ok(Fit::Wider), vec![0, 1, 2]));
        assert_eq!(fit(&mut shape, "m,a=x v=1,w=2i 1"), (Ok(Fit::Same), vec![0, 1, 2]));
        assert_eq!(fit(&mut shape, "m w=2i 1"), (Ok(Fit::Same), vec![2]));
        assert_eq!(fit(&mut shape, "m,b=x w=2i,s=\"t\" 1"), (Ok(Fit::Wider), vec![3, 2, 4]));
        assert_eq!(fit(&mut shape, "m,c=x n=1,v=2i 1").0, Ok(Fit::Clash));
        assert_eq!(shape.columns.len(), 5);
    }

    #[test]
    fn a_name_that_is_taken_gets_its_kind_appended() {
        let mut shape = Shape::default();
        fit(&mut shape, "m,pair=x,time=y pair=1,time=2,pair.field=3 1").0.unwrap();
        let labels: Vec<_> = shape.columns.iter().map(|c| c.label.as_str()).collect();
        assert_eq!(labels, ["pair", "time.tag", "pair.field", "time.field", "pair.field.field"]);
    }

    #[test]
    fn a_column_named_twice_is_refused_without_a_trace() {
        let mut shape = Shape::default();
        assert!(fit(&mut shape, "m new=2,v=1,v=2 1").0.is_err());
        assert!(shape.columns.is_empty());
    }
}
