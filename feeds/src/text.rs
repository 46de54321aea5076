//! Payloads that are text, as the predecessor sent them: JSON, or fields with `\x01` between them. Each becomes the
//! msgpack map that the feed's decoder reads, in memory that is used again. A text that does not fit whole is refused.

use tickline_config::model::{DecoderKind, Format};

use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::decoder::SpecError;
use crate::payload::PayloadWriter;
use crate::transcode::{RESERVED_INTEGERS, transcode_with};

mod layout;

use layout::{FIELDS_MAX, Layout, Part};

/// What stands between two fields.
const SEPARATOR: char = '\x01';

/// Makes msgpack of one feed's payloads.
#[derive(Debug)]
pub struct Text {
    /// The forms of payloads of fields; none: payloads are JSON.
    layouts: Option<&'static [Layout]>,
    out: PayloadWriter,
    /// JSON that stood inside a JSON string.
    inner: PayloadWriter,
    scratch: String,
}

impl Text {
    /// For a feed of this format; none if its payloads are msgpack already.
    pub fn new(format: Format, decoder: DecoderKind) -> Result<Option<Self>, SpecError> {
        let layouts = match format {
            Format::Msgpack => return Ok(None),
            Format::Json => None,
            Format::X01 => Some(layout::of(decoder).ok_or(SpecError::NoLayout)?),
        };
        let (out, inner) = (PayloadWriter::default(), PayloadWriter::default());
        Ok(Some(Self { layouts, out, inner, scratch: String::new() }))
    }

    /// The payload as msgpack.
    pub fn to_msgpack(&mut self, topic: &[u8], payload: &[u8]) -> Result<&[u8], Undecodable> {
        self.out.clear();
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Undecodable::Malformed);
        match self.layouts {
            Some(layouts) => self.write_fields(layouts, text(topic)?, text(payload)?)?,
            None => self.write_json(text(payload)?)?,
        }
        Ok(self.out.bytes())
    }

    /// The last payload as msgpack.
    pub fn msgpack(&self) -> &[u8] {
        self.out.bytes()
    }

    fn write_fields(&mut self, layouts: &[Layout], topic: &str, payload: &str) -> Result<(), Undecodable> {
        let mut fields = [""; FIELDS_MAX];
        let mut found = 0;
        for field in payload.split(SEPARATOR) {
            *fields.get_mut(found).ok_or(Undecodable::UnknownShape)? = field;
            found += 1;
        }
        let layout = layouts.iter().find(|layout| layout.fields == found);
        for part in layout.ok_or(Undecodable::UnknownShape)?.parts {
            match *part {
                Part::Map(keys) => self.out.map(keys),
                Part::Array(values) => self.out.array(values),
                Part::Key(key) => self.out.text(key),
                Part::Topic => self.out.text(topic),
                Part::Field(at) => self.out.text(fields.get(at).copied().unwrap_or_default()),
            }
        }
        Ok(())
    }

    fn write_json(&mut self, json: &str) -> Result<(), Undecodable> {
        let Self { out, inner, scratch, .. } = self;
        transcode_with(json, RESERVED_INTEGERS, scratch, out).map_err(|_| Undecodable::Malformed)?;
        let Ok(Value::Text(text)) = Cursor::new(out.bytes()).value() else { return Ok(()) };
        let json = std::str::from_utf8(text).map_err(|_| Undecodable::Malformed)?;
        inner.clear();
        transcode_with(json, RESERVED_INTEGERS, scratch, inner).map_err(|_| Undecodable::Malformed)?;
        std::mem::swap(out, inner);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
