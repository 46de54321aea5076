//! The line writer: the caller's buffer, made long enough once a point, so that names and values of fixed width are
//! stored with whole registers instead of being appended with a call each. What stands behind the position is
//! overwritten or cut off; a line is finished only by [`Line::end`].

use crate::number::Digits;

/// Text in a fixed array, padded: names of fields, and decimals still inside their payload.
pub const WIDE_BYTES: usize = 16;

/// Room that [`Line::reserve`] makes beyond what was asked for, so that a wide store finds room for its padding.
const SLACK_BYTES: usize = 32;

/// A position in the caller's buffer.
#[derive(Debug)]
pub struct Line<'o> {
    buffer: &'o mut Vec<u8>,
    at: usize,
}

impl<'o> Line<'o> {
    /// Writes behind what `buffer` holds.
    pub fn new(buffer: &'o mut Vec<u8>) -> Self {
        let at = buffer.len();
        Self { buffer, at }
    }

    /// Bytes written so far, what was there before included.
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

    /// Zeroes a stretch at a time: the buffer keeps its length until [`Line::end`].
    #[inline(never)]
    fn grow(&mut self, needed: usize) {
        self.buffer.resize(needed + 1_024, 0);
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
    pub fn put_wide(&mut self, wide: &[u8; WIDE_BYTES], bytes: usize) {
        match self.buffer.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut::<WIDE_BYTES>()) {
            Some(to) => {
                *to = *wide;
                self.at += bytes;
            }
            None => self.put_slowly(wide.get(..bytes)),
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
        match self.buffer.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut::<32>()) {
            Some(to) => {
                *to = digits.text;
                self.at += digits.bytes();
            }
            None => self.put_slowly(Some(digits.as_bytes())),
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

    /// Cuts the buffer behind what was written.
    #[inline]
    pub fn end(self) {
        self.buffer.truncate(self.at);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_stands_behind_what_was_there_with_or_without_reserved_room(
            before in prop::collection::vec(any::<u8>(), 0..40),
            parts in prop::collection::vec((0_u8..4, prop::collection::vec(any::<u8>(), 0..2_000), any::<i64>()), 0..20),
        ) {
            let mut expected = before.clone();
            let mut buffer = before;
            let mut line = Line::new(&mut buffer);
            for (how, text, number) in &parts {
                let short = &text[..text.len().min(WIDE_BYTES)];
                let mut wide = [0; WIDE_BYTES];
                wide[..short.len()].copy_from_slice(short);
                match how {
                    0 => { line.put(text); expected.extend(text); }
                    1 => { line.put_wide(&wide, short.len()); expected.extend(short); }
                    2 => { line.number(&Digits::of(*number)); expected.extend(number.to_string().bytes()); }
                    _ => { line.push(b'x'); expected.push(b'x'); }
                }
            }
            line.end();
            prop_assert_eq!(buffer, expected);
        }
    }
}
