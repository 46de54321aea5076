//! The msgpack cursor: borrows from the payload, believes no length that is larger than the bytes left,
//! never recurses and never allocates. It reads the types that payloads are made of and walks over the rest.
//! Format: <https://github.com/msgpack/msgpack/blob/master/spec.md>.

use crate::counts::Undecodable;
use crate::key::Key;
use crate::number::{WIDE_BYTES, Wide};

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

    /// The next `N` bytes, where there are as many; the cursor stays where it is.
    #[inline]
    pub fn ahead<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.rest.first_chunk()
    }

    /// Moves over `bytes`, or to the end.
    #[inline]
    pub fn pass(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
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
        let bytes = usize::from(self.rest.first()?.wrapping_sub(0xa0));
        if bytes > 31 {
            return None;
        }
        let (text, rest) = self.rest.get(1..)?.split_at_checked(bytes)?;
        self.rest = rest;
        Some(text)
    }

    /// The next value if it is text of up to 16 bytes, as decimals are, and how many they are. Else the cursor stays
    /// where it is.
    #[inline]
    pub fn wide_text(&mut self) -> Option<(Wide, usize)> {
        let (wide, bytes) = match self.rest.first_chunk::<{ 1 + WIDE_BYTES }>() {
            Some([marker, wide @ ..]) => (Wide::new(*wide), usize::from(marker.wrapping_sub(0xa0))),
            None => self.last_wide_text()?,
        };
        if bytes > WIDE_BYTES {
            return None;
        }
        self.rest = self.rest.get(1 + bytes..)?;
        Some((wide, bytes))
    }

    /// The same where the payload ends within the 16 bytes; the cursor stays where it is.
    #[cold]
    #[inline(never)]
    fn last_wide_text(mut self) -> Option<(Wide, usize)> {
        let text = self.short_text()?;
        Some((Wide::of(text)?, text.len()))
    }

    /// The next key if it is one letter; else the cursor stays where it is.
    #[inline]
    pub fn letter(&mut self) -> Option<u8> {
        let ([0xa1, letter], rest) = self.rest.split_first_chunk::<2>()? else { return None };
        self.rest = rest;
        Some(*letter)
    }

    /// The next value if it is an integer; else, or at the payload's very end, the cursor stays where it is.
    #[inline]
    pub fn int(&mut self) -> Option<i64> {
        let [marker, next @ ..] = self.rest.first_chunk::<9>()?;
        let wide = i64::from_be_bytes(*next);
        // Widths of 1, 2, 4 and 8 bytes stand in the marker's low bits.
        let bytes = 1 << (marker & 3);
        let (number, bytes) = match marker {
            0x00..=0x7f => (i64::from(*marker), 0),
            0xcc..=0xce => ((wide.cast_unsigned() >> (64 - 8 * bytes)).cast_signed(), bytes),
            0xcf if wide >= 0 => (wide, 8),
            0xd0..=0xd3 => (wide >> (64 - 8 * bytes), bytes),
            0xe0..=0xff => (i64::from(*marker as i8), 0),
            _ => return None,
        };
        self.rest = self.rest.get(1 + bytes..)?;
        Some(number)
    }

    /// The next value if it is a boolean; else the cursor stays where it is.
    #[inline]
    pub fn boolean(&mut self) -> Option<bool> {
        let (marker @ 0xc2..=0xc3, rest) = self.rest.split_first()? else { return None };
        self.rest = rest;
        Some(*marker == 0xc3)
    }

    /// The number of entries if the next value is an array of up to 15, as most are.
    #[inline]
    pub fn short_array(&mut self) -> Option<u32> {
        self.short_container(0x90, 1)
    }

    /// The number of entries if the next value is a map of up to 15, as most are.
    #[inline]
    pub fn short_map(&mut self) -> Option<u32> {
        self.short_container(0x80, 2)
    }

    /// The number of entries if the next value is a map of 16 bits' length, as our publishers begin theirs.
    #[inline]
    pub fn wide_map(&mut self) -> Option<u32> {
        let ([0xde, high, low], rest) = self.rest.split_first_chunk::<3>()? else { return None };
        let entries = u16::from_be_bytes([*high, *low]);
        if 2 * usize::from(entries) > rest.len() {
            return None;
        }
        self.rest = rest;
        Some(u32::from(entries))
    }

    #[inline]
    fn short_container(&mut self, marker: u8, entry_bytes: usize) -> Option<u32> {
        let (first, rest) = self.rest.split_first()?;
        let entries = first.wrapping_sub(marker);
        if entries > 15 || usize::from(entries) * entry_bytes > rest.len() {
            return None;
        }
        self.rest = rest;
        Some(u32::from(entries))
    }

    /// A map key. Keys that are no text read as none, which no decoder knows, so that their value is skipped.
    #[inline]
    pub fn key(&mut self) -> Result<Key<'a>, Undecodable> {
        if let Some(eight) = self.rest.first_chunk::<8>()
            && let Some(text) = self.short_text()
        {
            return Ok(Key::at_front(*eight, text));
        }
        let mut after = *self;
        let key = after.long_key()?;
        *self = after;
        Ok(key)
    }

    #[cold]
    #[inline(never)]
    fn long_key(&mut self) -> Result<Key<'a>, Undecodable> {
        match self.value()? {
            Value::Text(text) => Ok(Key::of(text)),
            Value::Array(entries) => self.skip_container(u64::from(entries), 1).map(|()| Key::NONE),
            Value::Map(entries) => self.skip_container(2 * u64::from(entries), 1).map(|()| Key::NONE),
            _ => Ok(Key::NONE),
        }
    }

    /// Walks over one value that stands inside `depth` open containers.
    #[inline]
    pub fn skip(&mut self, depth: usize) -> Result<(), Undecodable> {
        if self.short_text().is_some() || self.int().is_some() {
            return Ok(());
        }
        let mut after = *self;
        after.skip_any(depth)?;
        *self = after;
        Ok(())
    }

    #[inline(never)]
    fn skip_any(&mut self, depth: usize) -> Result<(), Undecodable> {
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
                if self.short_text().is_some() {
                    continue;
                }
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
        cursor.skip_any(0)?;
        if cursor.left() > 0 { fault(Undecodable::Malformed) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
