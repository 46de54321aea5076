//! The msgpack cursor: borrows from the payload, believes no length that is larger than the bytes left,
//! never recurses and never allocates. It reads the types that payloads are made of and walks over the rest.
//! Format: <https://github.com/msgpack/msgpack/blob/master/spec.md>.

use crate::counts::Undecodable;

/// Containers that may be open at once.
pub const DEPTH_MAX: usize = 16;

/// One msgpack value; containers by their number of entries, which follow at the cursor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// nil
    Nil,
    /// true, false
    Bool(bool),
    /// Any integer that fits.
    Int(i64),
    /// A uint64 above `i64::MAX`.
    Big(u64),
    /// float32 or float64
    Float(f64),
    /// str or bin
    Text(&'a [u8]),
    /// array header
    Array(u32),
    /// map header
    Map(u32),
    /// ext, already passed over
    Ext,
}

/// Reads one payload from front to back.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

#[cold]
#[inline(never)]
fn truncated<T>() -> Result<T, Undecodable> {
    Err(Undecodable::Truncated)
}

#[cold]
#[inline(never)]
fn fault<T>(why: Undecodable) -> Result<T, Undecodable> {
    Err(why)
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `payload`.
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// Bytes not yet read.
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// The bytes between this cursor and `end`, a later position of the same payload.
    pub fn passed(&self, end: &Cursor<'_>) -> &'a [u8] {
        self.rest.get(..self.rest.len().saturating_sub(end.rest.len())).unwrap_or_default()
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Undecodable> {
        let Some((&first, rest)) = self.rest.split_first() else { return truncated() };
        self.rest = rest;
        Ok(first)
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Undecodable> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else { return truncated() };
        self.rest = rest;
        Ok(*head)
    }

    #[inline]
    fn slice(&mut self, bytes: usize) -> Result<&'a [u8], Undecodable> {
        let Some((head, rest)) = self.rest.split_at_checked(bytes) else { return truncated() };
        self.rest = rest;
        Ok(head)
    }

    #[inline]
    fn length(&mut self, width: u8) -> Result<usize, Undecodable> {
        Ok(match width {
            1 => usize::from(self.byte()?),
            2 => usize::from(u16::from_be_bytes(self.take()?)),
            _ => u32::from_be_bytes(self.take()?) as usize,
        })
    }

    /// A container's length, refused if its entries cannot be there: each takes at least `entry_bytes`.
    #[inline]
    fn entries(&self, length: usize, entry_bytes: usize) -> Result<u32, Undecodable> {
        if length > self.rest.len() / entry_bytes {
            return truncated();
        }
        Ok(length as u32)
    }

    /// The next value; a container's entries follow.
    #[inline]
    pub fn value(&mut self) -> Result<Value<'a>, Undecodable> {
        let marker = self.byte()?;
        match marker {
            0x00..=0x7f => Ok(Value::Int(i64::from(marker))),
            0x80..=0x8f => Ok(Value::Map(self.entries(usize::from(marker & 0x0f), 2)?)),
            0x90..=0x9f => Ok(Value::Array(self.entries(usize::from(marker & 0x0f), 1)?)),
            0xa0..=0xbf => Ok(Value::Text(self.slice(usize::from(marker & 0x1f))?)),
            0xe0..=0xff => Ok(Value::Int(i64::from(marker as i8))),
            _ => self.long_value(marker),
        }
    }

    #[inline]
    fn long_value(&mut self, marker: u8) -> Result<Value<'a>, Undecodable> {
        Ok(match marker {
            0xc0 => Value::Nil,
            0xc2 => Value::Bool(false),
            0xc3 => Value::Bool(true),
            0xc4 | 0xd9 => self.text(1)?,
            0xc5 | 0xda => self.text(2)?,
            0xc6 | 0xdb => self.text(4)?,
            0xca => Value::Float(f64::from(f32::from_be_bytes(self.take()?))),
            0xcb => Value::Float(f64::from_be_bytes(self.take()?)),
            0xcc => Value::Int(i64::from(self.byte()?)),
            0xcd => Value::Int(i64::from(u16::from_be_bytes(self.take()?))),
            0xce => Value::Int(i64::from(u32::from_be_bytes(self.take()?))),
            0xcf => {
                let number = u64::from_be_bytes(self.take()?);
                i64::try_from(number).map_or(Value::Big(number), Value::Int)
            }
            0xd0 => Value::Int(i64::from(self.byte()? as i8)),
            0xd1 => Value::Int(i64::from(i16::from_be_bytes(self.take()?))),
            0xd2 => Value::Int(i64::from(i32::from_be_bytes(self.take()?))),
            0xd3 => Value::Int(i64::from_be_bytes(self.take()?)),
            0xdc => Value::Array(self.array(2)?),
            0xdd => Value::Array(self.array(4)?),
            0xde => Value::Map(self.map(2)?),
            0xdf => Value::Map(self.map(4)?),
            0xc7..=0xc9 | 0xd4..=0xd8 => self.ext(marker)?,
            _ => return fault(Undecodable::Malformed),
        })
    }

    fn text(&mut self, width: u8) -> Result<Value<'a>, Undecodable> {
        let length = self.length(width)?;
        Ok(Value::Text(self.slice(length)?))
    }

    fn array(&mut self, width: u8) -> Result<u32, Undecodable> {
        let length = self.length(width)?;
        self.entries(length, 1)
    }

    fn map(&mut self, width: u8) -> Result<u32, Undecodable> {
        let length = self.length(width)?;
        self.entries(length, 2)
    }

    #[cold]
    fn ext(&mut self, marker: u8) -> Result<Value<'a>, Undecodable> {
        let length = match marker {
            0xc7 => self.length(1)?,
            0xc8 => self.length(2)?,
            0xc9 => self.length(4)?,
            fixed => 1 << (fixed - 0xd4),
        };
        self.byte()?;
        self.slice(length)?;
        Ok(Value::Ext)
    }

    /// The next value if it is text of up to 31 bytes, as most are; else the cursor stays where it is.
    #[inline]
    pub fn short_text(&mut self) -> Option<&'a [u8]> {
        let (&marker, rest) = self.rest.split_first()?;
        let (text, rest) = rest.split_at_checked(usize::from(marker.wrapping_sub(0xa0)))?;
        if !matches!(marker, 0xa0..=0xbf) {
            return None;
        }
        self.rest = rest;
        Some(text)
    }

    /// The next value if it is text of up to 16 bytes with 16 bytes from its start left in the payload, as decimals
    /// are unless they stand last: those 16 bytes and its length. Else the cursor stays where it is.
    #[inline]
    pub fn wide_text(&mut self) -> Option<(&'a [u8; 16], usize)> {
        let (&marker, rest) = self.rest.split_first()?;
        let bytes = usize::from(marker.wrapping_sub(0xa0));
        let wide = rest.first_chunk::<16>().filter(|_| bytes <= 16)?;
        self.rest = rest.get(bytes..)?;
        Some((wide, bytes))
    }

    /// The number of entries if the next value is an array of up to 15, as most are.
    #[inline]
    pub fn short_array(&mut self) -> Option<u32> {
        let (&marker @ 0x90..=0x9f, rest) = self.rest.split_first()? else { return None };
        let entries = u32::from(marker & 0x0f);
        if entries as usize > rest.len() {
            return None;
        }
        self.rest = rest;
        Some(entries)
    }

    /// The number of entries if the next value is a map of up to 15, as most are.
    #[inline]
    pub fn short_map(&mut self) -> Option<u32> {
        let (&marker @ 0x80..=0x8f, rest) = self.rest.split_first()? else { return None };
        let entries = u32::from(marker & 0x0f);
        if 2 * entries as usize > rest.len() {
            return None;
        }
        self.rest = rest;
        Some(entries)
    }

    /// A map key. Keys that are no text read as empty, which no decoder knows, so that their value is skipped.
    #[inline]
    pub fn key(&mut self) -> Result<&'a [u8], Undecodable> {
        match self.short_text() {
            Some(key) => Ok(key),
            None => self.long_key(),
        }
    }

    #[cold]
    fn long_key(&mut self) -> Result<&'a [u8], Undecodable> {
        match self.value()? {
            Value::Text(text) => Ok(text),
            Value::Array(entries) => self.skip_container(u64::from(entries), 1).map(|()| &[][..]),
            Value::Map(entries) => self.skip_container(2 * u64::from(entries), 1).map(|()| &[][..]),
            _ => Ok(&[]),
        }
    }

    /// Walks over one value that stands inside `depth` open containers.
    #[inline]
    pub fn skip(&mut self, depth: usize) -> Result<(), Undecodable> {
        if self.short_text().is_some() {
            return Ok(());
        }
        match self.value()? {
            Value::Array(entries) => self.skip_container(u64::from(entries), depth),
            Value::Map(entries) => self.skip_container(2 * u64::from(entries), depth),
            _ => Ok(()),
        }
    }

    /// Walks over the `values` values of a container that stands inside `depth` open containers.
    pub fn skip_container(&mut self, mut values: u64, depth: usize) -> Result<(), Undecodable> {
        let mut above = [0_u64; DEPTH_MAX];
        let mut open = depth + 1;
        if open > DEPTH_MAX {
            return fault(Undecodable::TooDeep);
        }
        loop {
            while values > 0 {
                values -= 1;
                let inner = match self.value()? {
                    Value::Array(entries) => u64::from(entries),
                    Value::Map(entries) => 2 * u64::from(entries),
                    _ => continue,
                };
                let Some(slot) = above.get_mut(open) else { return fault(Undecodable::TooDeep) };
                *slot = values;
                open += 1;
                values = inner;
            }
            open -= 1;
            if open <= depth {
                return Ok(());
            }
            values = above.get(open).copied().unwrap_or(0);
        }
    }

    /// Checks a whole payload: one value, nothing behind it.
    pub fn check(payload: &'a [u8]) -> Result<(), Undecodable> {
        let mut cursor = Cursor::new(payload);
        cursor.skip(0)?;
        if cursor.left() > 0 { fault(Undecodable::Malformed) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
