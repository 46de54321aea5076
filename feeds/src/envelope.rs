//! The reserved keys of a payload: who sent it, as which number, when, and what it is if it is no data.

use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::payload::{RESERVED_BYTES, RESERVED_KEYS};

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
    /// `_resend`: sent before, to whoever was there.
    pub resend: bool,
}

/// Bytes of the reserved keys behind the map's marker.
const RESERVED_KEYS_BYTES: usize = RESERVED_BYTES - 3;

/// The numbers of the reserved keys as our publishers write them.
struct Front {
    src: u32,
    seq: u64,
    sent: i64,
    received: i64,
    tie: u32,
    due: i64,
}

impl Front {
    /// `None` unless every key and marker stands where it should.
    #[inline]
    fn read(bytes: &[u8; RESERVED_KEYS_BYTES]) -> Option<Self> {
        let mut rest = bytes.as_slice();
        expect(&mut rest, b"\xa2_v\xcc")?;
        take::<1>(&mut rest)?;
        expect(&mut rest, b"\xa4_src\xce")?;
        let src = u32::from_be_bytes(take(&mut rest)?);
        expect(&mut rest, b"\xa4_seq\xcf")?;
        let seq = u64::from_be_bytes(take(&mut rest)?);
        expect(&mut rest, b"\xa3_ts\xd3")?;
        let sent = i64::from_be_bytes(take(&mut rest)?);
        expect(&mut rest, b"\xa5_recv\xd3")?;
        let received = i64::from_be_bytes(take(&mut rest)?);
        expect(&mut rest, b"\xa4_tie\xce")?;
        let tie = u32::from_be_bytes(take(&mut rest)?);
        expect(&mut rest, b"\xa4_due\xd3")?;
        let due = i64::from_be_bytes(take(&mut rest)?);
        Some(Self { src, seq, sent, received, tie, due })
    }
}

#[inline]
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*taken)
}

#[inline]
fn expect<const N: usize>(rest: &mut &[u8], key: &[u8; N]) -> Option<()> {
    (take::<N>(rest)? == *key).then_some(())
}

impl Envelope {
    /// Reads the reserved keys at once if they stand at `cursor` in the order and width in which our publishers write
    /// them ([`crate::payload`]), as they do in nearly every message; a tenth of what one by one costs. Returns how many
    /// of the map's `entries` are left; where it reads none the cursor stays where it is.
    #[inline]
    pub fn read_ours(&mut self, cursor: &mut Cursor<'_>, entries: u32) -> u32 {
        let Some(left) = entries.checked_sub(u32::from(RESERVED_KEYS)) else { return entries };
        let Some(front) = cursor.ahead::<RESERVED_KEYS_BYTES>().and_then(Front::read) else { return entries };
        // A number above i64, or a negative one, counts as absent: that is for the slow way to say.
        if (front.seq.cast_signed() | front.sent | front.received | front.due) < 0 {
            return entries;
        }
        (self.versioned, self.src) = (true, front.src);
        (self.seq, self.numbered) = (front.seq, true);
        (self.sent, self.received, self.due) = (front.sent, front.received, front.due);
        self.tie = Some(front.tie);
        cursor.pass(RESERVED_KEYS_BYTES);
        left
    }

    /// Reads the value of reserved key `key`. Unknown ones are walked over; a wrong type counts as absent.
    #[inline(never)]
    pub fn read(&mut self, key: &[u8], cursor: &mut Cursor<'_>) -> Result<(), Undecodable> {
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
            b"_resend" => self.resend = true,
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
                self.read(key.text, &mut cursor)?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::WallNanos;
    use crate::payload::{PayloadWriter, Reserved, Times};

    fn read(payload: &[u8], at_once: bool) -> Result<(Envelope, usize), Undecodable> {
        let mut cursor = Cursor::new(payload);
        let mut envelope = Envelope::default();
        let Value::Map(entries) = cursor.value()? else { return Err(Undecodable::NotAMap) };
        let left = if at_once { envelope.read_ours(&mut cursor, entries) } else { entries };
        for _ in 0..left {
            let key = cursor.key()?;
            envelope.read(key.text, &mut cursor)?;
        }
        Ok((envelope, cursor.left()))
    }

    proptest! {
        #[test]
        fn our_reserved_keys_read_at_once_say_what_they_say_one_by_one(
            src in any::<u32>(), seq in any::<u64>(), sent in any::<i64>(), recv in any::<i64>(), due in any::<i64>(),
            tie in any::<u32>(), keys in 0_u16..3, changed in proptest::option::of((0_usize..90, any::<u8>())),
            cut in 0_usize..100,
        ) {
            let mut writer = PayloadWriter::default();
            let times = Times { sent: WallNanos(sent), recv: WallNanos(recv), due: WallNanos(due) };
            writer.begin(&Reserved { src, seq, times, tie }, keys);
            (0..keys).for_each(|_| writer.text("_x"));
            (0..keys).for_each(|_| writer.int(-1));
            let mut payload = writer.bytes().to_vec();
            if let Some((at, byte)) = changed
                && let Some(place) = payload.get_mut(at)
            {
                *place = byte;
            }
            payload.truncate(cut.max(3));
            prop_assert_eq!(read(&payload, true), read(&payload, false));
        }
    }
}
