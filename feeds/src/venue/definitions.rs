//! `instruments`: definitions of instruments (WIRE.md). One point a definition that differs from the last one of its
//! instrument; a definition that is sent again makes none.

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::DefaultHashBuilder;
use tickline_config::model::FieldChoice;

use crate::counts::Undecodable;
use crate::cursor::Cursor;
use crate::emit::{Emit, Suppressed};
use crate::field::Slot;
use crate::schema;
use crate::series::SeriesId;
use crate::venue::Shape;
use crate::venue::record::{Form, Record, Values};
use crate::venue::tags::TagSeries;

const DEFINITION: Form = Form {
    measurement: &schema::INSTRUMENT,
    renamed: &[],
    // The time itself.
    apart: &["valid_from"],
    time: Some(("timestamp", 1)),
    unit_ns: 1,
};

const INSTRUMENT: usize = 1;

const VALID_FROM: usize = 7;

/// The decoder of instrument definitions.
#[derive(Debug)]
pub struct Definitions {
    record: Record,
    series: TagSeries,
    hasher: DefaultHashBuilder,
    /// What was last said of each series, by its position.
    said: Vec<Option<u64>>,
}

impl Definitions {
    /// Writes the fields of `choice`.
    pub fn new(choice: &FieldChoice) -> Self {
        Self {
            record: Record::new(DEFINITION, choice, &[]),
            series: TagSeries::default(),
            hasher: DefaultHashBuilder::default(),
            said: Vec::new(),
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
        let mut values = self.record.map(cursor, entries, emit, depth)?;
        if emit.envelope.is_control() {
            return Ok(Shape::Control);
        }
        if !values.has_field {
            return Err(Undecodable::UnknownShape);
        }
        let usable = !values.tags[INSTRUMENT].is_empty();
        let series = if usable { self.record.series(&values.tags, &mut self.series, emit) } else { None };
        values.fields[VALID_FROM] = values.time.map_or(Slot::Empty, Slot::Int);
        if series.is_some_and(|series| !self.is_news(series, &values)) {
            emit.suppress(series, Suppressed::Unchanged);
        } else {
            self.record.point(series, &values, self.record.time(&values), 0, emit);
        }
        Ok(Shape::Data)
    }

    /// The last frame's points are not written: what they said was not said.
    #[cold]
    pub fn forget(&mut self) {
        self.said.clear();
    }

    /// Whether anything but its time differs from what was last said of the instrument.
    fn is_news(&mut self, series: SeriesId, values: &Values<'_>) -> bool {
        let mut hasher = self.hasher.build_hasher();
        for slot in values.fields.iter().take(VALID_FROM) {
            hash(*slot, &mut hasher);
        }
        let says = Some(hasher.finish());
        if self.said.len() <= series.position() {
            self.said.resize(series.position() + 1, None);
        }
        let Some(said) = self.said.get_mut(series.position()) else { return true };
        std::mem::replace(said, says) != says
    }
}

/// What a slot holds, and in which form: bytes of a short decimal's room that are not its own say nothing.
fn hash(slot: Slot<'_>, hasher: &mut impl Hasher) {
    std::mem::discriminant(&slot).hash(hasher);
    match slot {
        Slot::Empty => {}
        Slot::Decimal(text) | Slot::Text(text) => text.hash(hasher),
        Slot::Wide(wide, bytes) => wide.bytes().get(..usize::from(bytes)).hash(hasher),
        Slot::Float(number) => number.to_bits().hash(hasher),
        Slot::Whole(number) | Slot::Int(number) => number.hash(hasher),
        Slot::Bool(flag) => flag.hash(hasher),
        Slot::Scaled(units, scale) => (units, scale).hash(hasher),
    }
}
