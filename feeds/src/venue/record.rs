//! Records: maps of which each makes one point, its keys standing for tags, fields and the time. A [`Form`] says how
//! the payload calls what the schema has; the keys are looked up in a table that is made once. What a payload is, and
//! whether its record can be used, is for the decoder to say.

use tickline_config::model::FieldChoice;

use crate::counts::Undecodable;
use crate::cursor::Cursor;
use crate::emit::{Emit, VenueTime};
use crate::field::{FieldPlan, Slot};
use crate::key::{Key, word};
use crate::schema::{FIELDS_MAX, FieldType, Measurement};
use crate::series::SeriesId;
use crate::venue::tags::TagSeries;
use crate::venue::{read_text, read_time};

/// Most tags of a record's measurement.
const TAGS_MAX: usize = 8;

/// Values of the tags, in the order of the schema; empty where there is none.
pub type Tags<'a> = [&'a [u8]; TAGS_MAX];

/// How a payload calls what the schema has.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// What is written.
    pub measurement: &'static Measurement,
    /// Keys that are called otherwise than their tag or field: the key, and what it stands for.
    pub renamed: &'static [(&'static str, &'static str)],
    /// Tags and fields that no key of the record stands for.
    pub apart: &'static [&'static str],
    /// Key of the time, and what a number counts that stands there, ns; none: the time stands elsewhere.
    pub time: Option<(&'static str, i64)>,
    /// The venue's precision, ns.
    pub unit_ns: i64,
}

/// What a key stands for.
#[derive(Clone, Copy, Debug)]
enum Take {
    Time(i64),
    Tag(usize),
    Field(usize, FieldType),
}

#[derive(Clone, Copy, Debug)]
struct Known {
    word: u64,
    key: &'static str,
    take: Take,
}

/// Reads records of one form and writes their points.
#[derive(Debug)]
pub struct Record {
    form: Form,
    keys: Vec<Known>,
    plan: FieldPlan,
    /// Tags that are the same for all points, by position.
    given: Vec<(usize, Box<str>)>,
}

/// One record as far as it has been read.
#[derive(Debug, Default)]
pub struct Values<'a> {
    /// By position in the schema.
    pub tags: Tags<'a>,
    /// By position in the schema.
    pub fields: [Slot<'a>; FIELDS_MAX],
    /// When it happened, ns.
    pub time: Option<i64>,
    /// Whether the key of any field was there.
    pub has_field: bool,
}

impl Record {
    /// Writes the fields of `choice`; `given` are tags of `form.apart` that all points share.
    pub fn new(form: Form, choice: &FieldChoice, given: &[(&str, &str)]) -> Self {
        let Measurement { tags, fields, .. } = form.measurement;
        let known = |(name, take): (&'static str, Take)| {
            let renamed = form.renamed.iter().find(|(_, stands_for)| *stands_for == name);
            let key = renamed.map_or(name, |(key, _)| *key);
            Known { word: word(key), key, take }
        };
        let time = form.time.map(|(key, number_ns)| (key, Take::Time(number_ns)));
        let read = tags.iter().enumerate().map(|(at, tag)| (*tag, Take::Tag(at)));
        let fields = fields.iter().enumerate().map(|(at, field)| (field.name, Take::Field(at, field.kind)));
        let all = time.into_iter().chain(read).chain(fields).filter(|(name, _)| !form.apart.contains(name));
        let place = |name: &str| tags.iter().position(|tag| *tag == name);
        let given = given.iter().filter_map(|(name, value)| Some((place(name)?, Box::from(*value))));
        Self {
            form,
            keys: all.map(known).collect(),
            plan: FieldPlan::new(form.measurement, choice),
            given: given.collect(),
        }
    }

    /// One payload map of `entries` keys.
    pub fn map<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        entries: u32,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Values<'a>, Undecodable> {
        let mut values = Values::default();
        for _ in 0..entries {
            let key = cursor.key()?;
            if key.is_reserved() {
                emit.envelope.read(key.text, cursor)?;
            } else {
                self.read(key, cursor, &mut values, emit, depth)?;
            }
        }
        Ok(values)
    }

    /// The value of one key.
    pub fn read<'a>(
        &self,
        key: Key<'a>,
        cursor: &mut Cursor<'a>,
        values: &mut Values<'a>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let is_it = |known: &&Known| known.word == key.word && known.key.as_bytes() == key.text;
        match self.keys.iter().find(is_it).map(|known| known.take) {
            None => cursor.skip(depth)?,
            Some(Take::Time(number_ns)) => values.time = read_time(cursor, number_ns, emit, depth)?,
            Some(Take::Tag(at)) => {
                let text = read_text(cursor, depth)?;
                values.tags.get_mut(at).into_iter().for_each(|to| *to = text);
            }
            Some(Take::Field(at, kind)) => {
                let value = emit.fields.read(cursor, kind, depth)?;
                values.fields.get_mut(at).into_iter().for_each(|to| *to = value);
                values.has_field = true;
            }
        }
        Ok(())
    }

    /// The series of these tags.
    pub fn series(&self, tags: &Tags<'_>, known: &mut TagSeries, emit: &mut Emit<'_>) -> Option<SeriesId> {
        self.series_by(tags, known, |tags| emit.series.intern(self.form.measurement.name, tags))
    }

    /// The same; `intern` makes the series of all tags with their names the first time.
    pub fn series_by(
        &self,
        tags: &Tags<'_>,
        known: &mut TagSeries,
        intern: impl FnOnce(&[(&'static str, &[u8])]) -> Option<SeriesId>,
    ) -> Option<SeriesId> {
        known.begin();
        let names = self.form.measurement.tags;
        tags.iter().take(names.len()).for_each(|value| known.push(|out| out.extend_from_slice(value)));
        known.get(|values| {
            let mut tags: Vec<(&'static str, &[u8])> = names.iter().copied().zip(values).collect();
            for (at, value) in &self.given {
                tags.get_mut(*at).into_iter().for_each(|(_, to)| *to = value.as_bytes());
            }
            intern(&tags)
        })
    }

    /// When the record happened.
    pub fn time(&self, values: &Values<'_>) -> VenueTime {
        VenueTime::new(values.time, self.form.unit_ns)
    }

    /// The record's point, a bad one without a series.
    pub fn point(
        &self,
        series: Option<SeriesId>,
        values: &Values<'_>,
        at: VenueTime,
        flags: u8,
        emit: &mut Emit<'_>,
    ) {
        emit.point(series, &self.plan, &values.fields, at, flags);
    }
}
