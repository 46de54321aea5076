//! Field values between payload and line: read from the cursor as the schema's type, borrowed, and written once.

use tickline_config::model::FieldChoice;

use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::line::{Line, NAME_BYTES};
use crate::number::{self, Decimal, Wide};
use crate::schema::{Field, FieldType, Measurement};

/// One field of the point being made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Slot<'a> {
    /// Not in the payload, or left out.
    #[default]
    Empty,
    /// Decimal text, already checked: copied.
    Decimal(&'a [u8]),
    /// A plain decimal ([`Wide::is_plain_decimal`]) and its bytes: stored at fixed width.
    Wide(Wide, u8),
    /// A finite float.
    Float(f64),
    /// A whole number in a float field.
    Whole(i64),
    /// An integer field.
    Int(i64),
    /// A boolean field.
    Bool(bool),
    /// A text field, not yet escaped.
    Text(&'a [u8]),
    /// A computed decimal: units of 10^-scale.
    Scaled(i64, u32),
}

impl<'a> Slot<'a> {
    /// The next value if it is a decimal as nearly all are.
    #[inline]
    pub fn plain(cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut after = *cursor;
        let (wide, bytes) = after.wide_text()?;
        if !wide.is_plain_decimal(bytes) {
            return None;
        }
        *cursor = after;
        Some(Self::Wide(wide, bytes as u8))
    }

    /// The number in decimal text, as units and scale, if it fits.
    pub fn scaled(&self) -> Option<(i64, u32)> {
        match self {
            Slot::Decimal(text) => number::scaled(text),
            Slot::Wide(wide, bytes) => number::scaled(wide.bytes().get(..usize::from(*bytes))?),
            _ => None,
        }
    }

    /// The number in it, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        let parse = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
        match self {
            Slot::Decimal(text) => parse(text),
            Slot::Wide(wide, bytes) => parse(wide.bytes().get(..usize::from(*bytes))?),
            Slot::Float(number) => Some(*number),
            Slot::Whole(number) | Slot::Int(number) => Some(*number as f64),
            Slot::Scaled(units, scale) => Some(*units as f64 / 10_f64.powi(*scale as i32)),
            _ => None,
        }
    }
}

/// Counters of the fields of one frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct FieldCounts {
    /// Not of the field's type, or not finite.
    pub bad: u64,
    /// Decimals with more digits than a float64 keeps.
    pub rounded: u64,
    /// Control characters that became a space.
    pub control_chars: u64,
}

impl FieldCounts {
    #[cold]
    #[inline(never)]
    fn bad<'a>(&mut self) -> Slot<'a> {
        self.bad += 1;
        Slot::Empty
    }

    /// A decimal given as text.
    #[inline]
    pub fn decimal<'a>(&mut self, text: &'a [u8]) -> Slot<'a> {
        match number::check_decimal(text) {
            Decimal::Good { rounded } => {
                self.rounded += u64::from(rounded);
                Slot::Decimal(text)
            }
            Decimal::Bad => self.bad(),
        }
    }

    /// A value as a float field: text, float or integer.
    #[inline]
    pub fn float<'a>(&mut self, value: Value<'a>) -> Slot<'a> {
        match value {
            Value::Text(text) => self.decimal(text),
            Value::Int(number) => Slot::Whole(number),
            Value::Float(number) if number.is_finite() => Slot::Float(number),
            Value::Nil => Slot::Empty,
            Value::Big(number) => Slot::Float(number as f64),
            _ => self.bad(),
        }
    }

    /// A value as an integer field: an integer or its digits.
    #[inline]
    pub fn integer<'a>(&mut self, value: Value<'a>) -> Slot<'a> {
        match value {
            Value::Int(number) => Slot::Int(number),
            Value::Text(text) => number::parse_i64(text).map_or_else(|| self.bad(), Slot::Int),
            Value::Nil => Slot::Empty,
            _ => self.bad(),
        }
    }

    /// A value as a boolean field.
    #[inline]
    pub fn boolean<'a>(&mut self, value: Value<'a>) -> Slot<'a> {
        match value {
            Value::Bool(flag) => Slot::Bool(flag),
            Value::Nil => Slot::Empty,
            _ => self.bad(),
        }
    }

    /// A value as a text field.
    #[inline]
    pub fn text<'a>(&mut self, value: Value<'a>) -> Slot<'a> {
        match value {
            Value::Text(text) if std::str::from_utf8(text).is_ok() => Slot::Text(text),
            Value::Nil => Slot::Empty,
            _ => self.bad(),
        }
    }

    /// The next value, read as the field's type; a container where none belongs is walked over and counted.
    #[inline(always)]
    pub fn read<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        kind: FieldType,
        depth: usize,
    ) -> Result<Slot<'a>, Undecodable> {
        let mut slot = Slot::Empty;
        self.read_into(&mut slot, cursor, kind, depth)?;
        Ok(slot)
    }

    /// The same into its place, where a decimal is stored with four moves.
    #[inline(always)]
    pub fn read_into<'a>(
        &mut self,
        to: &mut Slot<'a>,
        cursor: &mut Cursor<'a>,
        kind: FieldType,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let mut after = *cursor;
        if kind == FieldType::Float
            && let Some((wide, bytes)) = after.wide_text()
            && wide.is_plain_decimal(bytes)
        {
            *cursor = after;
            *to = Slot::Wide(wide, bytes as u8);
            return Ok(());
        }
        if kind == FieldType::Integer
            && let Some(number) = cursor.int()
        {
            *to = Slot::Int(number);
            return Ok(());
        }
        if kind == FieldType::Boolean
            && let Some(flag) = cursor.boolean()
        {
            *to = Slot::Bool(flag);
            return Ok(());
        }
        let mut after = *cursor;
        *to = self.read_any(&mut after, kind, depth)?;
        *cursor = after;
        Ok(())
    }

    #[inline(never)]
    fn read_any<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        kind: FieldType,
        depth: usize,
    ) -> Result<Slot<'a>, Undecodable> {
        let value = cursor.value()?;
        match value {
            Value::Array(entries) => cursor.skip_container(u64::from(entries), depth)?,
            Value::Map(entries) => cursor.skip_container(2 * u64::from(entries), depth)?,
            _ => {}
        }
        Ok(match kind {
            FieldType::Float => self.float(value),
            FieldType::Integer => self.integer(value),
            FieldType::Boolean => self.boolean(value),
            FieldType::String => self.text(value),
        })
    }
}

/// A field's name as `,name=`, ready to be stored.
#[derive(Clone, Debug)]
enum Name {
    /// Less than [`NAME_BYTES`].
    Short([u8; NAME_BYTES], u8),
    /// Longer, from a custom feed.
    Long(Box<[u8]>),
}

impl Name {
    fn new(name: &str) -> Self {
        let mut text = vec![b','];
        crate::series::append_name(&mut text, name);
        text.push(b'=');
        let mut wide = [0; NAME_BYTES];
        match wide.get_mut(..text.len()) {
            Some(front) if text.len() < NAME_BYTES => {
                front.copy_from_slice(&text);
                Name::Short(wide, text.len() as u8)
            }
            _ => Name::Long(text.into_boxed_slice()),
        }
    }
}

/// A field that is written.
#[derive(Clone, Debug)]
struct Planned {
    slot: usize,
    name: Name,
}

/// The fields of one measurement that a feed writes: names made ready once.
#[derive(Clone, Debug)]
pub struct FieldPlan {
    fields: Vec<Planned>,
    /// Position of the measurement among those of the decoder.
    pub(crate) measurement: u8,
}

/// Room for one name and one number.
const FIELD_BYTES_MAX: usize = NAME_BYTES + number::DECIMAL_BYTES_MAX;

impl FieldPlan {
    /// Every field of `measurement` that `choice` selects.
    pub fn new(measurement: &Measurement, choice: &FieldChoice) -> Self {
        let wanted = |field: &Field| match choice {
            FieldChoice::Core => field.core,
            FieldChoice::All => true,
            FieldChoice::List(names) => names.iter().any(|name| name == field.name),
        };
        let all = measurement.fields.iter().enumerate();
        let planned = |(slot, field): (usize, &Field)| {
            wanted(field).then(|| Planned { slot, name: Name::new(field.name) })
        };
        Self { fields: all.filter_map(planned).collect(), measurement: 0 }
    }

    /// The same for the measurement at position `measurement` of its decoder.
    pub fn at(self, measurement: u8) -> Self {
        Self { measurement, ..self }
    }

    /// Fields with these names, all written.
    pub fn of_names<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let planned = names.enumerate().map(|(slot, name)| Planned { slot, name: Name::new(name) });
        Self { fields: planned.collect(), measurement: 0 }
    }

    /// Whether the field at `slot` is written at all; what is not need not be read.
    pub fn wants(&self, slot: usize) -> bool {
        self.fields.iter().any(|field| field.slot == slot)
    }

    /// Writes the fields that are there as `,name=value` each. Returns whether there was any.
    #[inline]
    pub fn put(&self, line: &mut Line, slots: &[Slot<'_>], counts: &mut FieldCounts) -> bool {
        let start = line.position();
        line.reserve(self.fields.len() * FIELD_BYTES_MAX);
        let mut fields = self.fields.as_slice();
        // Plain decimals one after the other; what is none leaves the loop for its own writer.
        loop {
            let mut room = line.room();
            let other = loop {
                let Some((field, behind)) = fields.split_first() else { break None };
                fields = behind;
                match (slots.get(field.slot), &field.name) {
                    (None | Some(Slot::Empty), _) => {}
                    (Some(Slot::Wide(value, bytes)), Name::Short(name, name_bytes))
                        if room.field(name, *name_bytes, *value, *bytes) => {}
                    (Some(slot @ Slot::Int(number)), name @ Name::Short(text, text_bytes)) => {
                        match short_int(*number) {
                            Some((value, bytes)) if room.field(text, *text_bytes, value, bytes) => {}
                            _ => break Some((name, slot)),
                        }
                    }
                    (Some(Slot::Bool(true)), Name::Short(name, name_bytes))
                        if room.field(name, *name_bytes, Wide::new(*b"true............"), 4) => {}
                    (Some(Slot::Bool(false)), Name::Short(name, name_bytes))
                        if room.field(name, *name_bytes, Wide::new(*b"false..........."), 5) => {}
                    (Some(slot), name) => break Some((name, slot)),
                }
            };
            let left = room.left();
            line.extend_to(left);
            let Some((name, slot)) = other else { return line.position() > start };
            put_other(line, name, slot, counts);
        }
    }
}

/// An integer of up to eight digits without sign, as most counts are, as it is written.
#[inline]
fn short_int(number: i64) -> Option<(Wide, u8)> {
    let (text, bytes) = number::scaled_text(number, 0)?;
    let text = text | u128::from(b'i') << (8 * bytes);
    Some((Wide::new(text.to_le_bytes()), bytes as u8 + 1))
}

#[inline(never)]
fn put_other(line: &mut Line, name: &Name, slot: &Slot<'_>, counts: &mut FieldCounts) {
    match name {
        Name::Short(name, bytes) => line.name(name, usize::from(*bytes)),
        Name::Long(text) => line.put(text),
    }
    put_value(line, slot, counts);
}

fn put_value(line: &mut Line, slot: &Slot<'_>, counts: &mut FieldCounts) {
    match *slot {
        Slot::Empty => {}
        Slot::Wide(wide, bytes) => line.put_wide(wide, usize::from(bytes)),
        Slot::Decimal(text) => line.put(text),
        Slot::Float(number) => line.put(zmij::Buffer::new().format_finite(number).as_bytes()),
        Slot::Whole(number) => line.scaled(number, 0),
        Slot::Int(number) => {
            line.scaled(number, 0);
            line.push(b'i');
        }
        Slot::Bool(flag) => line.put(if flag { b"true" } else { b"false" }),
        Slot::Text(text) => put_text(line, text, counts),
        Slot::Scaled(units, scale) => line.scaled(units, scale),
    }
}

/// Quoted text: quote and backslash escaped, control characters become a space.
fn put_text(line: &mut Line, text: &[u8], counts: &mut FieldCounts) {
    line.reserve(2 * text.len() + 2);
    line.push(b'"');
    if !text.iter().any(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x7f)) {
        line.put(text);
        return line.push(b'"');
    }
    for &byte in text {
        match byte {
            b'"' | b'\\' => {
                line.push(b'\\');
                line.push(byte);
            }
            0..=0x1f | 0x7f => {
                line.push(b' ');
                counts.control_chars += 1;
            }
            _ => line.push(byte),
        }
    }
    line.push(b'"');
}
