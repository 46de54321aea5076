//! The reserved keys of a payload: who sent it, as which number, when, and what it is if it is no data.

use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::key::Key;

/// The reserved keys of one message, 0 or false where absent. `tie` belongs to the map being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// `_v` is there, so that an absent `_tie` means 0.
    pub versioned: bool,
    /// `_src`
    pub src: u32,
    /// `_seq`; the first message has 1, a heartbeat before it 0.
    pub seq: u64,
    /// `_seq` is there.
    pub numbered: bool,
    /// `_ts`, ns.
    pub sent: i64,
    /// `_recv`, ns.
    pub received: i64,
    /// `_due`, ns.
    pub due: i64,
    /// `_tie` of the current map.
    pub tie: Option<u32>,
    /// `_hb` or `_end`
    pub silence: bool,
    /// `_end`
    pub end: bool,
    /// `_event`
    pub event: bool,
    /// `_image`
    pub image: bool,
    /// `_first`
    pub first: bool,
}

impl Envelope {
    /// Reads the value of reserved key `key`. Unknown ones are walked over; a wrong type counts as absent.
    #[inline(never)]
    pub fn read(&mut self, key: Key<'_>, cursor: &mut Cursor<'_>) -> Result<(), Undecodable> {
        let key = key.text;
        let number = match cursor.value()? {
            Value::Int(number) => number,
            Value::Bool(true) => {
                self.set(key);
                return Ok(());
            }
            Value::Array(entries) => return cursor.skip_container(u64::from(entries), 1),
            Value::Map(entries) => return cursor.skip_container(2 * u64::from(entries), 1),
            Value::Text(_) if key == b"_event" => {
                self.event = true;
                return Ok(());
            }
            _ => return Ok(()),
        };
        if number < 0 {
            return Ok(());
        }
        match key {
            b"_v" => self.versioned = true,
            b"_src" => self.src = u32::try_from(number).unwrap_or_default(),
            b"_seq" => (self.seq, self.numbered) = (number.unsigned_abs(), true),
            b"_ts" => self.sent = number,
            b"_recv" => self.received = number,
            b"_due" => self.due = number,
            b"_tie" => self.tie = u32::try_from(number).ok(),
            _ => {}
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8]) {
        match key {
            b"_hb" => self.silence = true,
            b"_end" => (self.silence, self.end) = (true, true),
            b"_image" => self.image = true,
            b"_first" => self.first = true,
            _ => {}
        }
    }

    /// Whether the message makes no point, whatever else it holds.
    #[inline]
    pub fn is_control(&self) -> bool {
        self.silence || self.event
    }

    /// Reads the reserved keys at the front of a payload that is cut or broken, as far as they go.
    pub fn read_front(&mut self, payload: &[u8]) {
        let mut cursor = Cursor::new(payload);
        let mut read = || -> Result<(), Undecodable> {
            let mut entries = map_header(&mut cursor)?;
            if entries.is_none() {
                entries = map_header(&mut cursor)?;
            }
            for _ in 0..entries.unwrap_or(0) {
                let key = cursor.key()?;
                if !key.is_reserved() {
                    break;
                }
                self.read(key, &mut cursor)?;
            }
            Ok(())
        };
        // A payload that ends here has shown what it could.
        if read().is_err() {}
    }
}

/// A map's entries; `None` for an array header, whose first map follows.
fn map_header(cursor: &mut Cursor<'_>) -> Result<Option<u32>, Undecodable> {
    match cursor.value()? {
        Value::Map(entries) => Ok(Some(entries)),
        Value::Array(_) => Ok(None),
        _ => Err(Undecodable::NotAMap),
    }
}
