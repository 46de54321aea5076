//! What a message is about, for who hands it on without decoding it: its reserved keys, its symbol, and the values that stand
//! beside the symbol. It knows where our publishers and the venues put a symbol, and nothing else of a payload.

use tickline_config::model::{Comparand, Condition};

use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::envelope::Envelope;

/// What a payload is about. Of a bundle, its first map.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Reserved keys.
    pub envelope: Envelope,
    /// The text under `symbol` or `instrument`, in the map itself or in the first element of `data`; or the `id` of the
    /// first market under `mc`.
    pub symbol: Option<&'a [u8]>,
    /// The map in which the symbol stands, behind its header, and its entries.
    beside: (Cursor<'a>, u32),
    depth: usize,
}

impl<'a> Subject<'a> {
    /// Reads a payload; one that is no map, or no bundle of maps, has no subject.
    pub fn read(payload: &'a [u8]) -> Result<Self, Undecodable> {
        let mut cursor = Cursor::new(payload);
        let mut depth = 1;
        let mut first = cursor.value()?;
        if let Value::Array(maps) = first
            && maps > 0
        {
            (first, depth) = (cursor.value()?, 2);
        }
        let Value::Map(entries) = first else { return Err(Undecodable::NotAMap) };
        let mut envelope = Envelope::default();
        let left = envelope.read_ours(&mut cursor, entries);
        let ours = left < entries;
        let mut subject = Self { envelope, symbol: None, beside: (cursor, left), depth };
        for _ in 0..left {
            let key = cursor.key()?;
            match key.text {
                b"symbol" | b"instrument" => subject.symbol = text(&mut cursor, depth)?,
                b"data" if subject.symbol.is_none() => {
                    subject.look_into(&mut cursor, &[b"symbol", b"instrument"])?
                }
                b"mc" if subject.symbol.is_none() => subject.look_into(&mut cursor, &[b"id"])?,
                _ if key.is_reserved() => subject.envelope.read(key.text, &mut cursor)?,
                _ => cursor.skip(depth)?,
            }
            // Other publishers may write reserved keys behind the rest.
            if ours && subject.symbol.is_some() {
                break;
            }
        }
        Ok(subject)
    }

    /// Looks for the symbol in the first element of an array, and walks over the array.
    fn look_into(&mut self, cursor: &mut Cursor<'a>, keys: &[&[u8]]) -> Result<(), Undecodable> {
        let mut inside = *cursor;
        cursor.skip(self.depth)?;
        let Value::Array(1..) = inside.value()? else { return Ok(()) };
        let Value::Map(entries) = inside.value()? else { return Ok(()) };
        let beside = (inside, entries);
        for _ in 0..entries {
            let key = inside.key()?;
            if keys.contains(&key.text) {
                self.symbol = text(&mut inside, self.depth + 2)?;
                (self.beside, self.depth) = (beside, self.depth + 2);
                return Ok(());
            }
            inside.skip(self.depth + 2)?;
        }
        Ok(())
    }

    /// The symbol as text.
    pub fn symbol(&self) -> Option<&'a str> {
        self.symbol.and_then(|symbol| std::str::from_utf8(symbol).ok())
    }

    /// Whether a condition holds of the value beside the symbol; without such a value it does not.
    pub fn fulfils(&self, condition: &Condition) -> bool {
        self.find(condition).unwrap_or(false)
    }

    fn find(&self, condition: &Condition) -> Result<bool, Undecodable> {
        let (mut cursor, entries) = self.beside;
        for _ in 0..entries {
            if cursor.key()?.text == condition.field.as_bytes() {
                return Ok(holds(condition, cursor.value()?));
            }
            cursor.skip(self.depth)?;
        }
        Ok(false)
    }
}

fn text<'a>(cursor: &mut Cursor<'a>, depth: usize) -> Result<Option<&'a [u8]>, Undecodable> {
    let mut at = *cursor;
    cursor.skip(depth)?;
    Ok(match at.value()? {
        Value::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    })
}

/// Decimals travel as text: compared with a number, text is read as one.
fn holds(condition: &Condition, value: Value<'_>) -> bool {
    match value {
        Value::Bool(flag) => condition.holds_flag(flag),
        Value::Int(number) => condition.holds_number(number as f64),
        Value::Big(number) => condition.holds_number(number as f64),
        Value::Float(number) => number.is_finite() && condition.holds_number(number),
        Value::Text(text) if matches!(condition.value, Comparand::Number(_)) => {
            let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
            number.is_some_and(|number| number.is_finite() && condition.holds_number(number))
        }
        Value::Text(text) => condition.holds_text(text),
        _ => false,
    }
}

/// Whose share a symbol is, of so many: always the same one, in every process and version.
pub fn share_of(symbol: &[u8], workers: usize) -> usize {
    crc32c::crc32c(symbol) as usize % workers.max(1)
}

#[cfg(test)]
mod tests;
