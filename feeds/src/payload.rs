//! Writing payloads as our publishers send them: the reserved keys first and in full width, so that a size does
//! not depend on a value and times can be set just before sending; decimals as text from scaled integers. It
//! promises msgpack that any reader takes. It refuses floats that are not asked for: see [`Decimals`].

use rmp::encode::{self, ByteBuf};

use crate::clock::WallNanos;
use crate::number::Digits;

/// Wire version in `_v`.
pub const WIRE_VERSION: u8 = 1;

/// Bytes of the map marker and the reserved keys in front of the first key of the venue.
pub const RESERVED_BYTES: usize = 84;

/// Reserved keys in each payload of ours: `_v _src _seq _ts _recv _tie _due`.
pub const RESERVED_KEYS: u16 = 7;

/// The map of so many keys and the reserved keys, before their values are put in.
const FRONT: &[u8; RESERVED_BYTES] =
    b"\xde\0\0\xa2_v\xcc\x01\xa4_src\xce\0\0\0\0\xa4_seq\xcf\0\0\0\0\0\0\0\0\
    \xa3_ts\xd3\0\0\0\0\0\0\0\0\xa5_recv\xd3\0\0\0\0\0\0\0\0\xa4_tie\xce\0\0\0\0\xa4_due\xd3\0\0\0\0\0\0\0\0";
const _: () = assert!(FRONT[7] == WIRE_VERSION);
const SRC_AT: usize = 14;
const SEQ_AT: usize = 24;
const TIE_AT: usize = 66;
const TS_AT: usize = 37;
const RECV_AT: usize = 52;
const DUE_AT: usize = 76;

/// Marker of a text of less than [`SHORT_TEXT_BYTES`], its length in the low bits.
const FIXSTR: u8 = 0xa0;
const SHORT_TEXT_BYTES: usize = 32;

/// How decimals travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decimals {
    /// As text, digit by digit as the venue wrote them.
    #[default]
    Text,
    /// As float64, for consumers who want it.
    Float64,
}

/// Values of the reserved keys of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// `_src`: this start of this publisher.
    pub src: u32,
    /// `_seq`: number of the message in this source and topic, from 1.
    pub seq: u64,
    /// `_ts`, `_recv` and `_due`.
    pub times: Times,
    /// `_tie`: one more than the highest ordinal used at the map's venue time.
    pub tie: u32,
}

/// The times among the reserved keys, ns; 0 counts as absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// `_ts`: when the message is handed to ZeroMQ.
    pub sent: WallNanos,
    /// `_recv`: when the venue's bytes were read.
    pub recv: WallNanos,
    /// `_due`: when the load generator should have sent it.
    pub due: WallNanos,
}

/// Sets the times of a finished payload that starts with the reserved keys.
pub fn set_times(payload: &mut [u8], times: &Times) {
    for (at, time) in [(TS_AT, times.sent), (RECV_AT, times.recv), (DUE_AT, times.due)] {
        if let Some(place) = payload.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<8>) {
            *place = time.0.to_be_bytes();
        }
    }
}

/// Sets who sends a finished payload that starts with the reserved keys, as which number, and when.
pub fn seal(payload: &mut [u8], src: u32, seq: u64, sent: WallNanos) {
    set_source(payload, src, seq);
    if let Some(place) = payload.get_mut(TS_AT..).and_then(<[u8]>::first_chunk_mut) {
        *place = sent.0.to_be_bytes();
    }
}

/// Appends a payload that starts with the reserved keys to a bundle, where of these only `_tie` may stand.
pub fn append_to_bundle(payload: &[u8], bundle: &mut Vec<u8>) {
    let keys = payload.get(1..).and_then(<[u8]>::first_chunk).map_or(0, |keys| u16::from_be_bytes(*keys));
    bundle.push(0xde);
    bundle.extend_from_slice(&(keys - RESERVED_KEYS + 1).to_be_bytes());
    bundle.extend_from_slice(payload.get(TIE_AT - 6..TIE_AT + 4).unwrap_or_default());
    bundle.extend_from_slice(payload.get(RESERVED_BYTES..).unwrap_or_default());
}

/// Sets source and number of a map that starts with the reserved keys.
pub fn set_source(map: &mut [u8], src: u32, seq: u64) {
    if let Some(place) = map.get_mut(SRC_AT..).and_then(<[u8]>::first_chunk_mut) {
        *place = src.to_be_bytes();
    }
    if let Some(place) = map.get_mut(SEQ_AT..).and_then(<[u8]>::first_chunk_mut) {
        *place = seq.to_be_bytes();
    }
}

/// Reads the reserved keys of a payload that starts with them in the order and width of ours.
pub fn reserved(payload: &[u8]) -> Option<(Reserved, u16)> {
    let keys = u16::from_be_bytes(*payload.get(1..)?.first_chunk()?);
    let long = |at: usize| Some(i64::from_be_bytes(*payload.get(at..)?.first_chunk()?));
    let int = |at: usize| Some(u32::from_be_bytes(*payload.get(at..)?.first_chunk()?));
    let found = Reserved {
        src: int(SRC_AT)?,
        seq: long(SEQ_AT)? as u64,
        times: Times {
            sent: WallNanos(long(TS_AT)?),
            recv: WallNanos(long(RECV_AT)?),
            due: WallNanos(long(DUE_AT)?),
        },
        tie: int(TIE_AT)?,
    };
    let mut again = PayloadWriter::default();
    again.begin(&found, keys.checked_sub(RESERVED_KEYS)?);
    payload.starts_with(again.bytes()).then_some((found, keys - RESERVED_KEYS))
}

/// One payload in a buffer that is used again and again.
#[derive(Debug, Default)]
pub struct PayloadWriter {
    buffer: ByteBuf,
    decimals: Decimals,
    /// The last second that was written, s since 1970, and its text: times of a feed share it.
    second: (i64, Ascii),
}

impl PayloadWriter {
    /// An empty payload.
    pub fn new(decimals: Decimals) -> Self {
        Self { decimals, ..Self::default() }
    }

    /// What was written so far.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.as_slice()
    }

    /// What was written so far, for [`set_times`].
    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        self.buffer.as_mut_vec()
    }

    /// Empties the buffer and keeps its memory.
    pub fn clear(&mut self) {
        self.buffer.as_mut_vec().clear();
    }

    /// Starts the outer map with the reserved keys; `keys` further ones must follow.
    pub fn begin(&mut self, reserved: &Reserved, keys: u16) {
        let mut front = *FRONT;
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(place) = front.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        put(1, &RESERVED_KEYS.saturating_add(keys).to_be_bytes());
        put(SRC_AT, &reserved.src.to_be_bytes());
        put(SEQ_AT, &reserved.seq.to_be_bytes());
        put(TIE_AT, &reserved.tie.to_be_bytes());
        set_times(&mut front, &reserved.times);
        self.raw(&front);
    }

    /// Says how many keys a map really has whose reserved keys were written at `at` by [`PayloadWriter::begin`].
    pub fn set_keys(&mut self, at: usize, keys: u16) {
        if let Some(place) = self.buffer.as_mut_vec().get_mut(at + 1..at + 3) {
            place.copy_from_slice(&RESERVED_KEYS.saturating_add(keys).to_be_bytes());
        }
    }

    /// A whole heartbeat (`_hb`) or end (`_end`): `last` is the number of the last message sent.
    pub fn control(&mut self, key: ControlKey, src: u32, last: u64, sent: WallNanos) {
        self.map(4);
        self.text(match key {
            ControlKey::Heartbeat => "_hb",
            ControlKey::End => "_end",
        });
        self.bool(true);
        self.text("_src");
        let Ok(()) = encode::write_u32(&mut self.buffer, src);
        self.text("_seq");
        let Ok(()) = encode::write_u64(&mut self.buffer, last);
        self.time_key("_ts", sent);
    }

    fn time_key(&mut self, key: &str, time: WallNanos) {
        self.text(key);
        let Ok(()) = encode::write_i64(&mut self.buffer, time.0);
    }

    /// A map of `keys` keys.
    pub fn map(&mut self, keys: u32) {
        let Ok(_) = encode::write_map_len(&mut self.buffer, keys);
    }

    /// An array of `len` values.
    pub fn array(&mut self, len: u32) {
        let Ok(_) = encode::write_array_len(&mut self.buffer, len);
    }

    /// A string, as key or value.
    pub fn text(&mut self, text: &str) {
        if text.len() >= SHORT_TEXT_BYTES {
            let Ok(()) = encode::write_str(&mut self.buffer, text);
            return;
        }
        let out = self.buffer.as_mut_vec();
        out.push(FIXSTR | text.len() as u8);
        out.extend_from_slice(text.as_bytes());
    }

    /// A string of ASCII bytes.
    fn ascii(&mut self, bytes: &[u8]) {
        let Ok(_) = encode::write_str_len(&mut self.buffer, bytes.len() as u32);
        self.raw(bytes);
    }

    /// An integer in its shortest form.
    pub fn int(&mut self, value: i64) {
        let Ok(_) = encode::write_sint(&mut self.buffer, value);
    }

    /// An unsigned integer in its shortest form.
    pub fn uint(&mut self, value: u64) {
        let Ok(_) = encode::write_uint(&mut self.buffer, value);
    }

    /// A boolean.
    pub fn bool(&mut self, value: bool) {
        let Ok(()) = encode::write_bool(&mut self.buffer, value);
    }

    /// Nothing.
    pub fn nil(&mut self) {
        let Ok(()) = encode::write_nil(&mut self.buffer);
    }

    /// Finished msgpack.
    pub fn raw(&mut self, msgpack: &[u8]) {
        self.buffer.as_mut_vec().extend_from_slice(msgpack);
    }

    /// The decimal `scaled / 10^digits` with exactly `digits` (at most 18) digits behind the point.
    pub fn decimal(&mut self, scaled: i64, digits: u8) {
        match self.decimals {
            Decimals::Text => {
                let text = Digits::scaled(scaled, u32::from(digits.min(18)));
                // Header and text are one copy, of the text's fixed room.
                let mut value = [FIXSTR | text.bytes() as u8; 1 + SHORT_TEXT_BYTES];
                if let Some(room) = value.last_chunk_mut() {
                    *room = text.text;
                }
                self.raw(value.get(..=text.bytes()).unwrap_or_default());
            }
            Decimals::Float64 => {
                let value = scaled as f64 / 10_f64.powi(i32::from(digits));
                let Ok(()) = encode::write_f64(&mut self.buffer, value);
            }
        }
    }

    /// A decimal in the venue's own text.
    pub fn decimal_text(&mut self, text: &str) {
        match (self.decimals, text.parse()) {
            (Decimals::Float64, Ok(value)) => {
                let Ok(()) = encode::write_f64(&mut self.buffer, value);
            }
            _ => self.text(text),
        }
    }

    /// `time` as RFC 3339 text in UTC with `digits` (0 to 9) digits of a second, cut.
    pub fn rfc3339(&mut self, time: WallNanos, digits: u8) {
        let second = time.0.div_euclid(1_000_000_000);
        if self.second.0 != second || self.second.1.len == 0 {
            self.second = (second, Ascii::default());
            self.second.1.seconds(second);
        }
        let mut text = self.second.1;
        text.fraction(time, digits);
        self.ascii(text.bytes());
    }
}

/// The two messages without number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlKey {
    /// The publisher lives, the venue is silent.
    Heartbeat,
    /// The publisher stops.
    End,
}

/// `time` as RFC 3339 text in UTC with `digits` (0 to 9) digits of a second, cut.
pub fn rfc3339(time: WallNanos, digits: u8) -> String {
    let mut text = Ascii::default();
    text.seconds(time.0.div_euclid(1_000_000_000));
    text.fraction(time, digits);
    String::from_utf8_lossy(text.bytes()).into_owned()
}

/// Appends the decimal digits of `value`.
pub fn append_digits(value: u64, out: &mut Vec<u8>) {
    let mut text = Ascii::default();
    text.number(value, 1);
    out.extend_from_slice(text.bytes());
}

/// Digits on the stack; a time needs fewer.
#[derive(Clone, Copy, Debug, Default)]
struct Ascii {
    bytes: [u8; 32],
    len: usize,
}

impl Ascii {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    /// `value` in at least `width` digits.
    fn number(&mut self, mut value: u64, width: usize) {
        let from = self.len;
        while value > 0 || self.len < from + width {
            self.push(b'0' + (value % 10) as u8);
            value /= 10;
        }
        if let Some(digits) = self.bytes.get_mut(from..self.len) {
            digits.reverse();
        }
    }

    /// Date and time up to the second.
    fn seconds(&mut self, seconds: i64) {
        let (year, month, day) = civil(seconds.div_euclid(86_400));
        let of_day = seconds.rem_euclid(86_400) as u64;
        let fields = [(year, 4, b'-'), (month, 2, b'-'), (day, 2, b'T'), (of_day / 3_600, 2, b':')];
        for (value, width, after) in fields {
            self.number(value, width);
            self.push(after);
        }
        self.number(of_day / 60 % 60, 2);
        self.push(b':');
        self.number(of_day % 60, 2);
    }

    /// The places behind the second, and the zone.
    fn fraction(&mut self, time: WallNanos, digits: u8) {
        let digits = digits.min(9);
        if digits > 0 {
            self.push(b'.');
            let nanos = time.0.rem_euclid(1_000_000_000) as u64;
            self.number(nanos / 10_u64.pow(u32::from(9 - digits)), usize::from(digits));
        }
        self.push(b'Z');
    }
}

/// Year, month and day of a day number counted from 1970-01-01, in the proleptic Gregorian calendar
/// (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>); years of i64 ns are 1677 to 2262.
fn civil(days: i64) -> (u64, u64, u64) {
    let shifted = (days + 719_468) as u64;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests;
