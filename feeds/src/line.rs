//! The line writer: a buffer of its own that only grows, so that names and values of fixed width are stored with
//! whole registers instead of being appended with a call each. What stands behind the position is left over from
//! earlier lines and is overwritten; [`Line::text`] is what was written.

use crate::number::{self, Digits, WIDE_BYTES, Wide};

/// A field's name as `,name=` in a fixed array, padded.
pub const NAME_BYTES: usize = 32;

/// Room that one field needs, its padding included.
const FIELD_BYTES: usize = 2 * NAME_BYTES;

/// The end of a line in a fixed array.
const TAIL_BYTES: usize = 64;

/// Room that [`Line::reserve`] makes beyond what was asked for, so that a wide store finds room for its padding.
const SLACK_BYTES: usize = TAIL_BYTES;

/// Memory kept however small the frames are.
const KEPT_BYTES: usize = 256 * 1024;

/// Small frames after which larger memory is given back: one large image must not stay for ever, and a feed of large
/// frames must not pay for each.
const PATIENCE: u32 = 1_024;

/// Lines being written.
#[derive(Debug, Default)]
pub struct Line {
    /// As long as the longest text so far that may be kept.
    buffer: Vec<u8>,
    at: usize,
    /// Frames since the memory was needed.
    idle: u32,
}

impl Line {
    /// Starts again at the front.
    #[inline]
    pub fn clear(&mut self) {
        if self.buffer.len() > KEPT_BYTES {
            self.shrink();
        }
        self.at = 0;
    }

    #[cold]
    #[inline(never)]
    fn shrink(&mut self) {
        self.idle = if self.at > KEPT_BYTES { 0 } else { self.idle + 1 };
        if self.idle == PATIENCE {
            self.idle = 0;
            self.buffer.truncate(KEPT_BYTES);
            self.buffer.shrink_to_fit();
        }
    }

    /// What was written.
    #[inline]
    pub fn text(&self) -> &[u8] {
        self.buffer.get(..self.at).unwrap_or_default()
    }

    /// Bytes written so far.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Takes back what was written behind `position`.
    #[inline]
    pub fn rewind(&mut self, position: usize) {
        self.at = position.min(self.at);
    }

    /// Makes room for `bytes` more, so that the writes that follow need not.
    #[inline]
    pub fn reserve(&mut self, bytes: usize) {
        let needed = self.at + bytes + SLACK_BYTES;
        if self.buffer.len() < needed {
            self.grow(needed);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, needed: usize) {
        self.buffer.resize(needed.next_power_of_two(), 0);
    }

    /// Writes any text.
    #[inline]
    pub fn put(&mut self, text: &[u8]) {
        self.reserve(text.len());
        if let Some(to) = self.buffer.get_mut(self.at..self.at + text.len()) {
            to.copy_from_slice(text);
            self.at += text.len();
        }
    }

    /// Writes the first `bytes` of `wide`.
    #[inline]
    pub fn put_wide(&mut self, wide: Wide, bytes: usize) {
        match self.buffer.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut::<WIDE_BYTES>()) {
            Some(to) => {
                *to = wide.bytes();
                self.at += bytes;
            }
            None => self.put_slowly(wide.bytes().get(..bytes)),
        }
    }

    /// What is reserved behind the position, to be written at once.
    #[inline]
    pub fn room(&mut self) -> Room<'_> {
        Room { rest: self.buffer.get_mut(self.at..).unwrap_or_default() }
    }

    /// Takes over what was written into its [`Room`], of which `left` bytes are left.
    #[inline]
    pub fn extend_to(&mut self, left: usize) {
        self.at = self.buffer.len().saturating_sub(left);
    }

    /// Writes the first `bytes` of a short text, such as a field's name.
    #[inline]
    pub fn name(&mut self, name: &[u8; NAME_BYTES], bytes: usize) {
        match self.buffer.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut::<NAME_BYTES>()) {
            Some(to) => {
                *to = *name;
                self.at += bytes;
            }
            None => self.put_slowly(name.get(..bytes)),
        }
    }

    /// Writes what stands between `from` and `to` once more, at most 64 bytes.
    #[inline]
    pub fn again(&mut self, from: usize, to: usize) {
        let text = self.buffer.get(from..).and_then(|rest| rest.first_chunk::<TAIL_BYTES>()).copied();
        let room = self.buffer.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut::<TAIL_BYTES>());
        if let (Some(text), Some(room)) = (text, room) {
            *room = text;
            self.at += to - from;
        }
    }

    /// Writes one byte.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        match self.buffer.get_mut(self.at) {
            Some(to) => {
                *to = byte;
                self.at += 1;
            }
            None => self.put_slowly(Some(&[byte])),
        }
    }

    /// Writes a number.
    #[inline]
    pub fn number(&mut self, digits: &Digits) {
        self.name(&digits.text, digits.bytes());
    }

    /// Writes `units` × 10^-`scale`.
    #[inline]
    pub fn scaled(&mut self, units: i64, scale: u32) {
        let Some((text, bytes)) = number::scaled_text(units, scale) else {
            return self.number(&Digits::scaled(units, scale));
        };
        match self.buffer.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut::<WIDE_BYTES>()) {
            Some(to) => {
                *to = text.to_le_bytes();
                self.at += bytes as usize;
            }
            None => self.put_slowly(text.to_le_bytes().get(..bytes as usize)),
        }
    }

    /// There was no room for a wide store.
    #[cold]
    #[inline(never)]
    fn put_slowly(&mut self, text: Option<&[u8]>) {
        self.put(text.unwrap_or_default());
    }

    /// Replaces the byte at `position`.
    #[inline]
    pub fn set(&mut self, position: usize, byte: u8) {
        if let Some(to) = self.buffer.get_mut(position) {
            *to = byte;
        }
    }
}

/// The reserved end of a [`Line`], so that its place and length stay in registers from field to field.
#[derive(Debug)]
pub struct Room<'l> {
    rest: &'l mut [u8],
}

impl Room<'_> {
    /// Writes the first `name_bytes` of `name`, then the first `bytes` of `value`; false where there is no room.
    #[inline]
    pub fn field(&mut self, name: &[u8; NAME_BYTES], name_bytes: u8, value: Wide, bytes: u8) -> bool {
        // What is masked away is never there; it shows that the field ends inside the room.
        let (name_bytes, bytes) = (usize::from(name_bytes) % NAME_BYTES, usize::from(bytes) % NAME_BYTES);
        let Some(room) = self.rest.first_chunk_mut::<FIELD_BYTES>() else { return false };
        if let Some(to) = room.first_chunk_mut::<NAME_BYTES>() {
            *to = *name;
        }
        if let Some(to) = room.get_mut(name_bytes..).and_then(|rest| rest.first_chunk_mut::<WIDE_BYTES>()) {
            *to = value.bytes();
        }
        self.rest = std::mem::take(&mut self.rest).get_mut(name_bytes + bytes..).unwrap_or_default();
        true
    }

    /// Bytes not written.
    #[inline]
    pub fn left(&self) -> usize {
        self.rest.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_stands_behind_what_was_put_before_with_or_without_reserved_room(
            parts in prop::collection::vec((0_u8..6, prop::collection::vec(any::<u8>(), 0..2_000), any::<i64>()), 0..20),
        ) {
            let mut line = Line::default();
            for _ in 0..2 {
                line.clear();
                let mut expected = Vec::new();
                for (how, text, number) in &parts {
                    let short = &text[..text.len().min(WIDE_BYTES)];
                    let mut wide = [0; WIDE_BYTES];
                    wide[..short.len()].copy_from_slice(short);
                    match how {
                        0 => { line.put(text); expected.extend(text); }
                        1 => { line.put_wide(Wide::new(wide), short.len()); expected.extend(short); }
                        2 => { line.number(&Digits::of(*number)); expected.extend(number.to_string().bytes()); }
                        3 => {
                            line.reserve(NAME_BYTES + WIDE_BYTES);
                            let mut room = line.room();
                            assert!(room.field(&[b'n'; NAME_BYTES], 7, Wide::new(wide), short.len() as u8));
                            let left = room.left();
                            line.extend_to(left);
                            expected.extend(b"nnnnnnn");
                            expected.extend(short);
                        }
                        4 => { line.scaled(*number, 0); expected.extend(number.to_string().bytes()); }
                        _ => { line.push(b'x'); expected.push(b'x'); }
                    }
                }
                prop_assert_eq!(line.text(), expected);
            }
        }
    }

    #[test]
    fn memory_of_a_large_frame_is_given_back_after_many_small_ones() {
        let mut line = Line::default();
        line.put(&[b'x'; 4 * KEPT_BYTES]);
        let large = line.buffer.len();
        for _ in 0..PATIENCE {
            assert_eq!(line.buffer.len(), large);
            line.clear();
            line.put(b"small");
        }
        line.clear();
        assert_eq!(line.buffer.len(), KEPT_BYTES);
    }

    #[test]
    fn a_piece_is_written_again_where_there_is_room() {
        let mut line = Line::default();
        line.put(b"one two");
        line.reserve(64);
        line.again(3, 7);
        assert_eq!(line.text(), b"one two two");
    }
}
