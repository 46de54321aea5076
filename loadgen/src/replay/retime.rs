//! Moves the venue's times inside a msgpack payload: the values of `pt` and `ts_ms` (ms), `time` and `timestamp`
//! (RFC 3339 text, or ns) in any map of it. All other bytes are copied.

use jiff::Timestamp;
use rmp::Marker;
use rmp::decode::RmpRead;
use rmp::decode::bytes::Bytes;
use rmp::decode::read_marker;
use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::PayloadWriter;

const DEPTH_MAX: usize = 16;

const MILLI_NS: i64 = 1_000_000;

/// A shifted text keeps milliseconds at least, because shifts are whole milliseconds.
const DIGITS_MIN: usize = 3;

/// Appends `payload` with its times moved by `shift_ns` and gives the first of them as it was; none if the bytes
/// are no msgpack value, in which case `out` is as it was.
pub(super) fn retime(payload: &[u8], shift_ns: i64, out: &mut PayloadWriter) -> Option<Option<WallNanos>> {
    let before = out.bytes().len();
    let mut walk = Walk { rest: Bytes::new(payload), payload, shift_ns, out, first: None };
    let done = walk.value(0).filter(|()| walk.rest.remaining_slice().is_empty());
    let first = walk.first;
    if done.is_none() {
        out.bytes_mut().truncate(before);
    }
    done.map(|()| first)
}

struct Walk<'a> {
    rest: Bytes<'a>,
    payload: &'a [u8],
    shift_ns: i64,
    out: &'a mut PayloadWriter,
    first: Option<WallNanos>,
}

impl<'a> Walk<'a> {
    fn at(&self) -> usize {
        self.payload.len() - self.rest.remaining_slice().len()
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = Bytes::new(self.rest.remaining_slice().get(bytes..)?);
        Some(())
    }

    /// Copies one value.
    fn value(&mut self, depth: usize) -> Option<()> {
        let from = self.at();
        match self.head()? {
            Head::Leaf => {
                self.out.raw(self.payload.get(from..self.at())?);
            }
            Head::Array(len) if depth < DEPTH_MAX => {
                self.out.raw(self.payload.get(from..self.at())?);
                (0..len).try_for_each(|_| self.value(depth + 1))?;
            }
            Head::Map(len) if depth < DEPTH_MAX => {
                self.out.raw(self.payload.get(from..self.at())?);
                (0..len).try_for_each(|_| self.entry(depth + 1))?;
            }
            Head::Array(_) | Head::Map(_) => return None,
        }
        Some(())
    }

    fn entry(&mut self, depth: usize) -> Option<()> {
        let from = self.at();
        self.value(depth)?;
        let unit_ns = match self.payload.get(from..self.at())? {
            b"\xa2pt" | b"\xa5ts_ms" => MILLI_NS,
            b"\xa4time" | b"\xa9timestamp" => 1,
            _ => return self.value(depth),
        };
        let value = self.at();
        if self.time(unit_ns).is_none() {
            self.rest = Bytes::new(self.payload.get(value..)?);
            self.value(depth)?;
        }
        Some(())
    }

    /// Writes a moved time; none if the value is no time, with nothing written.
    fn time(&mut self, unit_ns: i64) -> Option<()> {
        let from = self.at();
        if !matches!(self.head()?, Head::Leaf) {
            return None;
        }
        let value = self.payload.get(from..self.at())?;
        let mut read = Bytes::new(value);
        if let Ok(number) = rmp::decode::read_int::<i64, _>(&mut read) {
            let time = number.checked_mul(unit_ns)?;
            self.first.get_or_insert(WallNanos(time));
            self.out.int(time.checked_add(self.shift_ns)?.div_euclid(unit_ns));
            return Some(());
        }
        let (text, _) = rmp::decode::read_str_from_slice(value).ok()?;
        let time = i64::try_from(text.parse::<Timestamp>().ok()?.as_nanosecond()).ok()?;
        self.first.get_or_insert(WallNanos(time));
        if self.shift_ns == 0 {
            self.out.raw(value);
        } else {
            let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.trim_end_matches('Z').len());
            let moved = WallNanos(time.checked_add(self.shift_ns)?);
            self.out.rfc3339(moved, digits.clamp(DIGITS_MIN, 9) as u8);
        }
        Some(())
    }

    /// Reads a marker and, if it is no container, what belongs to it.
    fn head(&mut self) -> Option<Head> {
        let bytes = match read_marker(&mut self.rest).ok()? {
            Marker::FixMap(len) => return Some(Head::Map(u32::from(len))),
            Marker::Map16 => return Some(Head::Map(u32::from(self.rest.read_data_u16().ok()?))),
            Marker::Map32 => return Some(Head::Map(self.rest.read_data_u32().ok()?)),
            Marker::FixArray(len) => return Some(Head::Array(u32::from(len))),
            Marker::Array16 => return Some(Head::Array(u32::from(self.rest.read_data_u16().ok()?))),
            Marker::Array32 => return Some(Head::Array(self.rest.read_data_u32().ok()?)),
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => 0,
            Marker::U8 | Marker::I8 => 1,
            Marker::U16 | Marker::I16 | Marker::FixExt1 => 2,
            Marker::FixExt2 => 3,
            Marker::U32 | Marker::I32 | Marker::F32 => 4,
            Marker::FixExt4 => 5,
            Marker::U64 | Marker::I64 | Marker::F64 => 8,
            Marker::FixExt8 => 9,
            Marker::FixExt16 => 17,
            Marker::FixStr(len) => usize::from(len),
            Marker::Str8 | Marker::Bin8 => usize::from(self.rest.read_data_u8().ok()?),
            Marker::Str16 | Marker::Bin16 => usize::from(self.rest.read_data_u16().ok()?),
            Marker::Str32 | Marker::Bin32 => self.rest.read_data_u32().ok()? as usize,
            Marker::Ext8 => usize::from(self.rest.read_data_u8().ok()?) + 1,
            Marker::Ext16 => usize::from(self.rest.read_data_u16().ok()?) + 1,
            Marker::Ext32 => self.rest.read_data_u32().ok()? as usize + 1,
            Marker::Reserved => return None,
        };
        self.skip(bytes).map(|()| Head::Leaf)
    }
}

enum Head {
    Leaf,
    Array(u32),
    Map(u32),
}

#[cfg(test)]
mod tests {
    use tickline_feeds::payload::rfc3339;
    use tickline_feeds::transcode::{BETFAIR_INTEGERS, transcode};

    use super::*;

    fn sent(json: &str) -> Vec<u8> {
        let mut out = PayloadWriter::default();
        transcode(json, BETFAIR_INTEGERS, &mut out).unwrap();
        out.bytes().to_vec()
    }

    #[test]
    fn times_move_and_everything_else_stays() {
        let before = r#"{"pt":1785700001123,"time":"2026-08-03T12:30:00.123456789Z","data":[{"timestamp":
            "2026-08-02T03:35:50.9Z","pt":"L","x":[1.5,null,"2026-08-02T03:35:50Z"]}],"timestamp":[1]}"#;
        let after = r#"{"pt":1785700001122,"time":"2026-08-03T12:30:00.122456789Z","data":[{"timestamp":
            "2026-08-02T03:35:50.899Z","pt":"L","x":[1.5,null,"2026-08-02T03:35:50Z"]}],"timestamp":[1]}"#;
        let mut out = PayloadWriter::default();
        let first = retime(&sent(before), -MILLI_NS, &mut out).unwrap().unwrap();
        assert_eq!(out.bytes(), sent(after));
        assert_eq!(rfc3339(first, 3), "2026-08-02T19:46:41.123Z");
        out.clear();
        retime(&sent(before), 0, &mut out).unwrap();
        assert_eq!(out.bytes(), sent(before));
    }

    #[test]
    fn the_time_of_a_post_moves_by_milliseconds() {
        let post = |ms| {
            let mut out = PayloadWriter::default();
            out.map(1);
            out.text("ts_ms");
            out.int(ms);
            out.bytes().to_vec()
        };
        let mut out = PayloadWriter::default();
        let first = retime(&post(1_785_700_001_123), 5 * MILLI_NS, &mut out);
        assert_eq!(first, Some(Some(WallNanos(1_785_700_001_123 * MILLI_NS))));
        assert_eq!(out.bytes(), post(1_785_700_001_128));
    }

    #[test]
    fn what_is_no_msgpack_is_not_touched() {
        for bad in [b"\x82\xa1a\x01".as_slice(), b"", b"\xc1", b"\x01\x02", b"\xdb\xff\xff\xff\xffx"] {
            let mut out = PayloadWriter::default();
            assert_eq!((retime(bad, 5, &mut out), out.bytes()), (None, b"".as_slice()));
        }
        let deep = [vec![0x91; 40], vec![1]].concat();
        assert_eq!(retime(&deep, 5, &mut PayloadWriter::default()), None);
    }
}
