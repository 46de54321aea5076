//! The two changes that a forwarder makes to a payload: a last value is marked as sent again, and a message that is handed on
//! by choice gets a number of the one who chooses, since the numbers between went elsewhere. Everything else stays byte for
//! byte; what is no map, or has no number, is not changed.

use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::envelope::Envelope;
use crate::payload::{RESERVED_BYTES, set_source};

/// The key that marks a message as sent again.
const RESEND: &[u8] = b"\xa7_resend\xc3";

/// The first map of a payload, whose reserved keys hold for the message.
struct FirstMap<'a> {
    /// In front of it: nothing, or the header of a bundle.
    before: &'a [u8],
    entries: u32,
    /// Behind its header.
    body: Cursor<'a>,
    /// The reserved keys stand in front, in the order and width of our publishers.
    ours: bool,
}

fn first_map(payload: &[u8]) -> Option<FirstMap<'_>> {
    let start = Cursor::new(payload);
    let mut body = start;
    let mut before: &[u8] = &[];
    let mut first = body.value().ok()?;
    if let Value::Array(1..) = first {
        before = start.passed(&body);
        first = body.value().ok()?;
    }
    let Value::Map(entries) = first else { return None };
    let left = Envelope::default().read_ours(&mut body.clone(), entries);
    // Ours begin with a map of 16 bits' length, whose places are known.
    let wide = payload.get(before.len()) == Some(&0xde);
    Some(FirstMap { before, entries, body, ours: left < entries && wide })
}

impl FirstMap<'_> {
    /// The payload up to the body, with another number of entries.
    fn with_entries(&self, entries: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.before.len() + 5 + self.body.left() + 32);
        out.extend_from_slice(self.before);
        match u16::try_from(entries) {
            Ok(entries) => {
                out.push(0xde);
                out.extend_from_slice(&entries.to_be_bytes());
            }
            Err(_) => {
                out.push(0xdf);
                out.extend_from_slice(&entries.to_be_bytes());
            }
        }
        out
    }

    fn rest(&self) -> &[u8] {
        let mut end = self.body;
        end.pass(end.left());
        self.body.passed(&end)
    }
}

/// The payload, marked as sent again.
pub fn resent(payload: &[u8]) -> Option<Vec<u8>> {
    let map = first_map(payload)?;
    let mut out = map.with_entries(map.entries.checked_add(1)?);
    let rest = map.rest();
    // Behind the reserved keys of ours, which are read at once.
    let front = if map.ours { RESERVED_BYTES - 3 } else { 0 };
    let (front, rest) = rest.split_at_checked(front)?;
    out.extend_from_slice(front);
    out.extend_from_slice(RESEND);
    out.extend_from_slice(rest);
    Some(out)
}

/// A numbered payload, as number `seq` of source `src`.
pub fn renumbered(payload: &[u8], src: u32, seq: u64) -> Option<Vec<u8>> {
    let map = first_map(payload)?;
    if map.ours {
        let mut out = payload.to_vec();
        set_source(out.get_mut(map.before.len()..)?, src, seq);
        return Some(out);
    }
    let (kept, dropped, numbered) = without_source(&map).ok()?;
    if !numbered {
        return None;
    }
    let mut out = map.with_entries(map.entries.checked_sub(dropped)?.checked_add(2)?);
    out.extend_from_slice(b"\xa4_src\xce");
    out.extend_from_slice(&src.to_be_bytes());
    out.extend_from_slice(b"\xa4_seq\xcf");
    out.extend_from_slice(&seq.to_be_bytes());
    kept.iter().for_each(|part| out.extend_from_slice(part));
    Some(out)
}

/// The body in the parts that are left when source and number are taken out, how many entries that were, and whether there
/// was a number.
fn without_source<'a>(map: &FirstMap<'a>) -> Result<(Vec<&'a [u8]>, u32, bool), Undecodable> {
    let depth = if map.before.is_empty() { 1 } else { 2 };
    let (mut cursor, mut from) = (map.body, map.body);
    let (mut kept, mut dropped, mut numbered) = (Vec::new(), 0, false);
    for _ in 0..map.entries {
        let entry = cursor;
        let key = cursor.key()?.text;
        let number = matches!(cursor.clone().value()?, Value::Int(0..));
        cursor.skip(depth)?;
        if key == b"_src" || key == b"_seq" {
            numbered |= key == b"_seq" && number;
            kept.push(from.passed(&entry));
            (from, dropped) = (cursor, dropped + 1);
        }
    }
    let mut end = from;
    end.pass(end.left());
    kept.push(from.passed(&end));
    Ok((kept, dropped, numbered))
}

#[cfg(test)]
mod tests;
