//! `custom`: a feed in the user's own words. The configured paths are merged into one tree of keys, so that a
//! payload is still read in one pass.

use tickline_config::model::{Custom, CustomType, TimeUnit};

use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::emit::{Emit, VenueTime};
use crate::field::{FieldPlan, Slot};
use crate::number::Digits;
use crate::schema::FieldType;
use crate::series::{SeriesId, append_name};
use crate::venue::tags::TagSeries;
use crate::venue::{Shape, read_time};

/// Most fields, and most tags, of a custom feed.
pub const VALUES_MAX: usize = 64;

/// What is taken at the end of a path.
#[derive(Clone, Copy, Debug)]
enum Take {
    Time,
    Tag(usize),
    Field(usize, FieldType),
}

#[derive(Debug, Default)]
struct Node {
    /// A value may be wanted several times, as a tag and as fields of different types.
    take: Vec<Take>,
    keys: Vec<(Box<[u8]>, Node)>,
}

impl Node {
    fn insert(&mut self, path: &[String], take: Take) {
        let Some((first, rest)) = path.split_first() else {
            self.take.push(take);
            return;
        };
        if let Some((_, node)) = self.keys.iter_mut().find(|(key, _)| **key == *first.as_bytes()) {
            return node.insert(rest, take);
        }
        let mut node = Node::default();
        node.insert(rest, take);
        self.keys.push((Box::from(first.as_bytes()), node));
    }
}

/// The values of one payload.
struct Values<'a> {
    time: Option<i64>,
    tags: [Slot<'a>; VALUES_MAX],
    fields: [Slot<'a>; VALUES_MAX],
}

/// The decoder of a custom feed.
#[derive(Debug)]
pub struct CustomFeed {
    root: Node,
    measurement: String,
    tags: Vec<String>,
    plan: FieldPlan,
    unit_ns: i64,
    series: TagSeries,
}

impl CustomFeed {
    /// Reads what `custom` describes. Fields or tags beyond [`VALUES_MAX`] are refused by the configuration.
    pub fn new(custom: &Custom) -> Self {
        let mut root = Node::default();
        if let Some(time) = &custom.time {
            root.insert(&time.path, Take::Time);
        }
        for (at, (_, path)) in custom.tags.iter().enumerate() {
            root.insert(path, Take::Tag(at));
        }
        for (at, (_, path, kind)) in custom.fields.iter().enumerate() {
            let kind = match kind {
                CustomType::Float => FieldType::Float,
                CustomType::Int => FieldType::Integer,
                CustomType::Bool => FieldType::Boolean,
                CustomType::Str => FieldType::String,
            };
            root.insert(path, Take::Field(at, kind));
        }
        let mut measurement = Vec::new();
        append_name(&mut measurement, &custom.measurement);
        Self {
            root,
            measurement: String::from_utf8_lossy(&measurement).into_owned(),
            tags: custom.tags.iter().map(|(name, _)| name.clone()).collect(),
            plan: FieldPlan::of_names(custom.fields.iter().map(|(name, ..)| name.as_str())),
            unit_ns: custom.time.as_ref().map_or(TimeUnit::Nanos, |time| time.unit).nanos(),
            series: TagSeries::default(),
        }
    }

    /// One payload map of `entries` keys.
    pub fn map<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        entries: u32,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Shape, Undecodable> {
        let mut values =
            Values { time: None, tags: [Slot::Empty; VALUES_MAX], fields: [Slot::Empty; VALUES_MAX] };
        read(&self.root, self.unit_ns, cursor, entries, emit, &mut values, (depth, depth))?;
        if emit.envelope.is_control() {
            return Ok(Shape::Control);
        }
        let series = self.series(&values.tags, emit);
        emit.point(series, &self.plan, &values.fields, VenueTime::new(values.time, self.unit_ns), 0);
        Ok(Shape::Data)
    }

    fn series(&mut self, values: &[Slot<'_>], emit: &mut Emit<'_>) -> Option<SeriesId> {
        let Self { measurement, tags, series, .. } = self;
        series.begin();
        for value in values.iter().take(tags.len()) {
            series.push(|out| append_tag_text(out, *value));
        }
        series.get(|values| {
            let tags: Vec<(&str, &[u8])> = tags.iter().map(String::as_str).zip(values).collect();
            emit.series.intern(measurement, &tags)
        })
    }
}

/// Walks one map beside the tree of wanted keys. The tree is as deep as the longest configured path. Reserved
/// keys stand in the payload map alone, at `map_depth`.
fn read<'a>(
    node: &Node,
    unit_ns: i64,
    cursor: &mut Cursor<'a>,
    entries: u32,
    emit: &mut Emit<'_>,
    values: &mut Values<'a>,
    (depth, map_depth): (usize, usize),
) -> Result<(), Undecodable> {
    for _ in 0..entries {
        let key = cursor.key()?;
        let Some((_, wanted)) = node.keys.iter().find(|(name, _)| **name == *key.text) else {
            if depth == map_depth && key.is_reserved() {
                emit.envelope.read(key.text, cursor)?;
            } else {
                cursor.skip(depth)?;
            }
            continue;
        };
        let start = *cursor;
        if let Value::Map(inner) = cursor.value()?
            && !wanted.keys.is_empty()
            && depth < crate::cursor::DEPTH_MAX
        {
            read(wanted, unit_ns, cursor, inner, emit, values, (depth + 1, map_depth))?;
            continue;
        }
        *cursor = start;
        cursor.skip(depth)?;
        for take in &wanted.take {
            let mut value = start;
            take_value(*take, unit_ns, &mut value, emit, values, depth)?;
        }
    }
    Ok(())
}

fn take_value<'a>(
    take: Take,
    unit_ns: i64,
    cursor: &mut Cursor<'a>,
    emit: &mut Emit<'_>,
    values: &mut Values<'a>,
    depth: usize,
) -> Result<(), Undecodable> {
    match take {
        Take::Time => values.time = read_time(cursor, unit_ns, emit, depth)?,
        Take::Tag(at) => {
            let value = tag_value(cursor, emit, depth)?;
            values.tags.get_mut(at).into_iter().for_each(|to| *to = value);
        }
        Take::Field(at, kind) => {
            let value = emit.fields.read(cursor, kind, depth)?;
            values.fields.get_mut(at).into_iter().for_each(|to| *to = value);
        }
    }
    Ok(())
}

/// A tag takes text, an integer or a boolean; a float would make a series of every value.
fn tag_value<'a>(
    cursor: &mut Cursor<'a>,
    emit: &mut Emit<'_>,
    depth: usize,
) -> Result<Slot<'a>, Undecodable> {
    let start = *cursor;
    Ok(match cursor.value()? {
        Value::Int(number) => Slot::Int(number),
        Value::Bool(value) => Slot::Bool(value),
        _ => {
            *cursor = start;
            emit.fields.read(cursor, FieldType::String, depth)?
        }
    })
}

fn append_tag_text(out: &mut Vec<u8>, value: Slot<'_>) {
    match value {
        Slot::Text(text) => out.extend_from_slice(text),
        Slot::Int(number) => out.extend_from_slice(Digits::of(number).as_bytes()),
        Slot::Bool(true) => out.extend_from_slice(b"true"),
        Slot::Bool(false) => out.extend_from_slice(b"false"),
        _ => {}
    }
}
