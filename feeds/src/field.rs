//! Field values between payload and line: read from the cursor as the schema's type, borrowed, and written once.

use tickline_config::model::FieldChoice;

use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::number::{self, Decimal};
use crate::schema::{Field, FieldType, Measurement};

/// One field of the point being made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Slot<'a> {
    /// Not in the payload, or left out.
    #[default]
    Empty,
    /// Decimal text, already checked: copied.
    Decimal(&'a [u8]),
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

impl Slot<'_> {
    /// The number in it, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Slot::Decimal(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            Slot::Float(number) => Some(number),
            Slot::Whole(number) | Slot::Int(number) => Some(number as f64),
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
    #[inline]
    pub fn read<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        kind: FieldType,
        depth: usize,
    ) -> Result<Slot<'a>, Undecodable> {
        if kind == FieldType::Float
            && let Some(text) = cursor.short_text()
        {
            return Ok(self.decimal(text));
        }
        self.read_any(cursor, kind, depth)
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

/// The fields of one measurement that a feed writes: names made ready once.
#[derive(Clone, Debug)]
pub struct FieldPlan {
    names: Vec<Option<Box<[u8]>>>,
}

impl FieldPlan {
    /// Every field of `measurement` that `choice` selects.
    pub fn new(measurement: &Measurement, choice: &FieldChoice) -> Self {
        let wanted = |field: &Field| match choice {
            FieldChoice::Core => field.core,
            FieldChoice::All => true,
            FieldChoice::List(names) => names.iter().any(|name| name == field.name),
        };
        let name = |field: &Field| wanted(field).then(|| ready_name(field.name));
        Self { names: measurement.fields.iter().map(name).collect() }
    }

    /// Fields with these names, all written.
    pub fn of_names<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        Self { names: names.map(|name| Some(ready_name(name))).collect() }
    }

    /// Whether the field at `slot` is written at all; what is not need not be read.
    #[inline]
    pub fn wants(&self, slot: usize) -> bool {
        matches!(self.names.get(slot), Some(Some(_)))
    }

    /// Appends the fields that are there as `,name=value` each. Returns whether there was any.
    #[inline]
    pub fn append(&self, out: &mut Vec<u8>, slots: &[Slot<'_>], counts: &mut FieldCounts) -> bool {
        let start = out.len();
        for (name, slot) in self.names.iter().zip(slots) {
            let Some(name) = name else { continue };
            if *slot == Slot::Empty {
                continue;
            }
            out.extend_from_slice(name);
            append_slot(out, *slot, counts);
        }
        out.len() > start
    }
}

fn ready_name(name: &str) -> Box<[u8]> {
    let mut ready = vec![b','];
    crate::series::append_name(&mut ready, name);
    ready.push(b'=');
    ready.into_boxed_slice()
}

#[inline]
fn append_slot(out: &mut Vec<u8>, slot: Slot<'_>, counts: &mut FieldCounts) {
    match slot {
        Slot::Decimal(text) => out.extend_from_slice(text),
        Slot::Float(number) => number::append_f64(out, number),
        Slot::Whole(number) => number::append_i64(out, number),
        Slot::Int(number) => {
            number::append_i64(out, number);
            out.push(b'i');
        }
        Slot::Bool(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
        Slot::Text(text) => append_text(out, text, counts),
        Slot::Scaled(units, scale) => number::append_scaled(out, units, scale),
        Slot::Empty => {}
    }
}

/// Quoted text: quote and backslash escaped, control characters become a space.
fn append_text(out: &mut Vec<u8>, text: &[u8], counts: &mut FieldCounts) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f | 0x7f => {
                out.push(b' ');
                counts.control_chars += 1;
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
