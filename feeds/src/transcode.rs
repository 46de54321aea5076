//! Venue JSON to msgpack in one pass: same keys, same order, same nesting, strings stay strings, and a number
//! becomes a string holding its source text, except where its key is listed as an integer. So the type of a key
//! never depends on its value. It refuses what RFC 8259 refuses, and nesting deeper than the wire allows.

use crate::payload::PayloadWriter;

/// Deepest nesting of containers, as on the wire.
const DEPTH_MAX: usize = 16;

/// A key whose numbers are integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegerKey {
    /// Name of the key, at any depth.
    pub key: &'static str,
    /// Which of the numbers under it.
    pub place: Place,
}

/// Which numbers under a key are integers; keys further inside speak for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The value itself, and all elements if it is an array.
    Any,
    /// The element at this position of an array, and of arrays inside it.
    Element(u32),
}

const fn integer(key: &'static str) -> IntegerKey {
    IntegerKey { key, place: Place::Any }
}

const fn element(key: &'static str, position: u32) -> IntegerKey {
    IntegerKey { key, place: Place::Element(position) }
}

/// Kraken WebSocket v2 and REST: checksums, ids, counters, and the stamps of REST levels.
pub const KRAKEN_INTEGERS: &[IntegerKey] = &[
    integer("checksum"),
    integer("trade_id"),
    integer("connection_id"),
    integer("req_id"),
    integer("sequence"),
    integer("t"),
    element("asks", 2),
    element("bids", 2),
];

/// OANDA v20.
pub const OANDA_INTEGERS: &[IntegerKey] = &[integer("liquidity")];

/// Betfair mcm: ids, times, counters, states as numbers, and the level in front of a ladder's triples.
pub const BETFAIR_INTEGERS: &[IntegerKey] = &[
    integer("id"),
    integer("pt"),
    integer("status"),
    integer("conflateMs"),
    integer("heartbeatMs"),
    integer("version"),
    integer("numberOfWinners"),
    integer("numberOfActiveRunners"),
    integer("betDelay"),
    integer("sortPriority"),
    element("batb", 0),
    element("batl", 0),
    element("bdatb", 0),
    element("bdatl", 0),
];

/// Why a text is no JSON that can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("json: {rule} at byte {at}")]
pub struct TranscodeError {
    /// What is wrong.
    pub rule: &'static str,
    /// Where, counted from 0.
    pub at: usize,
}

/// The reserved keys that are numbers, for publishers that send ours as JSON.
pub const RESERVED_INTEGERS: &[IntegerKey] = &[
    integer("_v"),
    integer("_src"),
    integer("_seq"),
    integer("_ts"),
    integer("_recv"),
    integer("_tie"),
    integer("_due"),
    integer("from"),
    integer("to"),
    integer("lost"),
];

/// Appends one JSON value to the payload; on an error the payload is as it was.
pub fn transcode(json: &str, integers: &[IntegerKey], out: &mut PayloadWriter) -> Result<(), TranscodeError> {
    transcode_with(json, integers, &mut String::new(), out)
}

/// The same with the memory of earlier calls.
pub fn transcode_with(
    json: &str,
    integers: &[IntegerKey],
    scratch: &mut String,
    out: &mut PayloadWriter,
) -> Result<(), TranscodeError> {
    let before = out.bytes().len();
    let mut scanner = Scanner { json, at: 0, integers, out, scratch };
    let done = scanner.value(Spot { place: None, position: None }, 0).and_then(|()| {
        scanner.space();
        if scanner.at == json.len() { Ok(()) } else { Err(scanner.error("must end")) }
    });
    done.inspect_err(|_| out.bytes_mut().truncate(before))
}

/// Appends the members of one JSON object, without a map's marker, and returns how many; on an error the payload is as
/// it was. So a venue's object becomes a payload behind the reserved keys in the same pass.
pub fn transcode_members(
    json: &str,
    integers: &[IntegerKey],
    out: &mut PayloadWriter,
) -> Result<u16, TranscodeError> {
    let before = out.bytes().len();
    let mut scanner = Scanner { json, at: 0, integers, out, scratch: &mut String::new() };
    scanner.whole_object().inspect_err(|_| out.bytes_mut().truncate(before))
}

/// Where a value stands: what its key says, and its position if it is an array's element.
#[derive(Clone, Copy)]
struct Spot {
    place: Option<Place>,
    position: Option<u32>,
}

struct Scanner<'a> {
    json: &'a str,
    at: usize,
    integers: &'a [IntegerKey],
    out: &'a mut PayloadWriter,
    scratch: &'a mut String,
}

impl<'a> Scanner<'a> {
    fn error(&self, rule: &'static str) -> TranscodeError {
        TranscodeError { rule, at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Steps over `byte` if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, spot: Spot, depth: usize) -> Result<(), TranscodeError> {
        self.space();
        match self.peek() {
            Some(b'{') => self.container(depth, b'}', spot),
            Some(b'[') => self.container(depth, b']', spot),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(spot),
            Some(b't') => self.word("true").map(|()| self.out.bool(true)),
            Some(b'f') => self.word("false").map(|()| self.out.bool(false)),
            Some(b'n') => self.word("null").map(|()| self.out.nil()),
            _ => Err(self.error("a value must stand")),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), TranscodeError> {
        if !self.json.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.error("a value must stand"));
        }
        self.at += word.len();
        Ok(())
    }

    fn whole_object(&mut self) -> Result<u16, TranscodeError> {
        self.space();
        if !self.take(b'{') {
            return Err(self.error("an object must stand"));
        }
        let members = self.elements(0, b'}', Spot { place: None, position: None })?;
        self.space();
        if self.at != self.json.len() {
            return Err(self.error("must end"));
        }
        u16::try_from(members).map_err(|_| self.error("an object must not have so many members"))
    }

    /// An object or array: one byte is kept for the marker and widened at the end if the count asks for it.
    fn container(&mut self, depth: usize, close: u8, spot: Spot) -> Result<(), TranscodeError> {
        if depth == DEPTH_MAX {
            return Err(self.error("nesting must not be deeper than 16"));
        }
        self.at += 1;
        let marker_at = self.out.bytes().len();
        self.out.nil();
        let count = self.elements(depth, close, spot)?;
        self.mark(marker_at, count, close == b'}');
        Ok(())
    }

    /// What stands between the brackets, and the closing one.
    fn elements(&mut self, depth: usize, close: u8, spot: Spot) -> Result<u32, TranscodeError> {
        let mut count = 0_u32;
        self.space();
        while !self.take(close) {
            if count > 0 && !self.take(b',') {
                return Err(self.error("a comma or the end of the container must stand"));
            }
            if close == b'}' {
                self.member(depth)?;
            } else {
                self.value(Spot { place: spot.place, position: Some(count) }, depth + 1)?;
            }
            count += 1;
            self.space();
        }
        Ok(count)
    }

    fn mark(&mut self, at: usize, count: u32, is_map: bool) {
        let bytes = self.out.bytes_mut();
        let (fix, wide) = if is_map { (0x80, 0xde) } else { (0x90, 0xdc) };
        match u16::try_from(count) {
            Ok(few @ 0..16) => drop(bytes.splice(at..=at, [fix | few as u8])),
            Ok(some) => drop(bytes.splice(at..=at, [wide].into_iter().chain(some.to_be_bytes()))),
            Err(_) => drop(bytes.splice(at..=at, [wide + 1].into_iter().chain(count.to_be_bytes()))),
        }
    }

    fn member(&mut self, depth: usize) -> Result<(), TranscodeError> {
        self.space();
        if self.peek() != Some(b'"') {
            return Err(self.error("a key must stand"));
        }
        let listed = self.string()?;
        self.space();
        if !self.take(b':') {
            return Err(self.error("a colon must stand"));
        }
        self.value(Spot { place: listed, position: None }, depth + 1)
    }

    /// Copies a string and says what the list has for it as a key.
    fn string(&mut self) -> Result<Option<Place>, TranscodeError> {
        self.at += 1;
        self.scratch.clear();
        loop {
            let from = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..0x20)) {
                self.at += 1;
            }
            let run = self.json.get(from..self.at).unwrap_or_default();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    let text = if self.scratch.is_empty() {
                        run
                    } else {
                        self.scratch.push_str(run);
                        &*self.scratch
                    };
                    self.out.text(text);
                    return Ok(self.integers.iter().find(|i| i.key == text).map(|i| i.place));
                }
                Some(b'\\') => {
                    self.scratch.push_str(run);
                    self.at += 1;
                    let unescaped = self.escape()?;
                    self.scratch.push(unescaped);
                }
                Some(_) => return Err(self.error("control characters must be escaped")),
                None => return Err(self.error("a string must end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, TranscodeError> {
        let escaped = self.peek().ok_or_else(|| self.error("a string must end"))?;
        self.at += 1;
        Ok(match escaped {
            b'"' | b'\\' | b'/' => char::from(escaped),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(self.error("an escape must be known")),
        })
    }

    fn unicode(&mut self) -> Result<char, TranscodeError> {
        let first = self.hex4()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.take(b'\\') && self.take(b'u') {
            let second = self.hex4()?;
            let low = second.wrapping_sub(0xdc00);
            if low >= 0x400 { first } else { 0x1_0000 + ((first - 0xd800) << 10) + low }
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.error("surrogates must come in pairs"))
    }

    fn hex4(&mut self) -> Result<u32, TranscodeError> {
        let digits = self.json.get(self.at..self.at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|d| u32::from_str_radix(d, 16).ok());
        let code = code.ok_or_else(|| self.error("four hexadecimal digits must stand"))?;
        self.at += 4;
        Ok(code)
    }

    fn digits(&mut self) -> usize {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - from
    }

    fn number(&mut self, spot: Spot) -> Result<(), TranscodeError> {
        let from = self.at;
        self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            return Err(self.error("a digit must stand"));
        }
        let whole = !self.take(b'.');
        if !whole && self.digits() == 0 {
            return Err(self.error("a digit must stand"));
        }
        let plain = !(self.take(b'e') || self.take(b'E'));
        if !plain {
            let _signed = self.take(b'+') || self.take(b'-');
            if self.digits() == 0 {
                return Err(self.error("a digit must stand"));
            }
        }
        let text = self.json.get(from..self.at).unwrap_or_default();
        let listed = match spot.place {
            Some(Place::Any) => true,
            Some(Place::Element(position)) => spot.position == Some(position),
            None => false,
        };
        match (listed && whole && plain, text.parse::<u64>(), text.parse::<i64>()) {
            (true, Ok(value), _) => self.out.uint(value),
            (true, _, Ok(value)) => self.out.int(value),
            _ => self.out.decimal_text(text),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
