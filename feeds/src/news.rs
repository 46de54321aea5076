//! What a feed has to tell beside its points: holes in its sequences and what a publisher says happened to its
//! source. The engine writes them as rows of `feed_gap` and `feed_event` and into the log.

use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};

/// How far back an event may lie.
const BACK_MAX_NS: i64 = 30 * 86_400 * 1_000_000_000;
/// How far ahead of us a publisher's clock may be.
const AHEAD_MAX_NS: i64 = 3_600 * 1_000_000_000;

/// Longest text of an event that is kept, bytes.
const TEXT_BYTES_MAX: usize = 256;

/// Why messages are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Between publisher and engine.
    Zmq,
    /// The publisher was started again.
    PublisherRestart,
    /// The engine was not there.
    EngineDown,
    /// The engine dropped them itself, its queue being full.
    Overload,
    /// Between the venue and its publisher.
    Venue,
    /// The publisher's book did not match the venue's checksum.
    Checksum,
    /// The publisher waited for an image.
    Image,
}

impl Cause {
    /// The value of the tag `cause`.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Zmq => "zmq",
            Cause::PublisherRestart => "publisher_restart",
            Cause::EngineDown => "engine_down",
            Cause::Overload => "overload",
            Cause::Venue => "venue",
            Cause::Checksum => "checksum",
            Cause::Image => "image",
        }
    }
}

/// A hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Why.
    pub cause: Cause,
    /// When what came before it was heard, ns since 1970.
    pub from_ns: i64,
    /// When it was seen.
    pub to_ns: i64,
    /// Messages missing; none: unknown.
    pub lost: Option<u64>,
    /// First and last number missing, where there are numbers.
    pub seqs: Option<(u64, u64)>,
    /// Topic, or what of the source is concerned.
    pub scope: String,
    /// Whatever else is known.
    pub detail: String,
}

/// Something that happened to a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, ns since 1970.
    pub at_ns: i64,
    /// One of `up down resync refused suspect clean maintenance gap`, or the engine's own.
    pub kind: String,
    /// Symbol, topic or `*`.
    pub scope: String,
    /// In the publisher's words.
    pub detail: String,
}

/// One or the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A hole.
    Gap(Gap),
    /// An event.
    Event(Event),
}

/// What a payload with `_event` says, received at `recv_ns`: the event and, if it names a span, the hole.
pub(crate) fn read(payload: &[u8], recv_ns: i64) -> Result<(Event, Option<Gap>), Undecodable> {
    let mut cursor = Cursor::new(payload);
    let mut entries = cursor.value()?;
    if let Value::Array(_) = entries {
        entries = cursor.value()?;
    }
    let Value::Map(entries) = entries else { return Err(Undecodable::NotAMap) };
    let (mut kind, mut scope, mut detail) = (String::new(), String::new(), String::new());
    let (mut from, mut to, mut lost) = (None, None, None);
    for _ in 0..entries {
        let key = cursor.key()?.text;
        match (key, cursor.value()?) {
            (_, Value::Array(items)) => cursor.skip_container(u64::from(items), 1)?,
            (_, Value::Map(items)) => cursor.skip_container(2 * u64::from(items), 1)?,
            (b"_event", Value::Text(text)) => kind = readable(text),
            (b"scope", Value::Text(text)) => scope = readable(text),
            (b"detail", Value::Text(text)) => detail = readable(text),
            (b"from", Value::Int(ns)) => from = Some(ns),
            (b"to", Value::Int(ns)) => to = Some(ns),
            (b"lost", Value::Int(count)) => lost = u64::try_from(count).ok(),
            _ => {}
        }
    }
    // What lies far from now was not meant, and a database would refuse it.
    let near =
        |ns: &i64| (recv_ns.saturating_sub(BACK_MAX_NS)..=recv_ns.saturating_add(AHEAD_MAX_NS)).contains(ns);
    let (from, to) = (from.filter(near), to.filter(near));
    let cause = match detail.split([' ', ':', ',']).next() {
        Some("checksum") => Cause::Checksum,
        Some("image") => Cause::Image,
        _ => Cause::Venue,
    };
    let gap = from.filter(|_| to.is_some() || lost.is_some() || kind == "gap").map(|from_ns| Gap {
        cause,
        from_ns,
        to_ns: to.unwrap_or(recv_ns),
        lost,
        seqs: None,
        scope: scope.clone(),
        detail: detail.clone(),
    });
    Ok((Event { at_ns: recv_ns, kind, scope, detail }, gap))
}

/// Text for a tag, a field or the log: no control characters, no backslash, not endless.
fn readable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let plain = text.chars().map(|c| if c.is_control() || c == '\\' { ' ' } else { c });
    let mut bytes = 0;
    let short = plain.take_while(|c| {
        bytes += c.len_utf8();
        bytes <= TEXT_BYTES_MAX
    });
    short.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::payload::{Decimals, PayloadWriter};

    fn put(writer: &mut PayloadWriter, value: &Json) {
        match value {
            Json::String(text) => writer.text(text),
            Json::Array(items) => {
                writer.array(items.len() as u32);
                items.iter().for_each(|item| put(writer, item));
            }
            Json::Object(entries) => {
                writer.map(entries.len() as u32);
                for (key, value) in entries {
                    writer.text(key);
                    put(writer, value);
                }
            }
            number => writer.int(number.as_i64().unwrap()),
        }
    }

    fn read_json(value: &Json) -> (Event, Option<Gap>) {
        let mut writer = PayloadWriter::new(Decimals::Text);
        put(&mut writer, value);
        read(writer.bytes(), 900).unwrap()
    }

    #[test]
    fn an_event_with_a_span_is_a_hole_whose_cause_is_the_first_word_of_its_detail() {
        for (detail, cause) in [
            ("checksum mismatch", Cause::Checksum),
            ("image: waiting", Cause::Image),
            ("checksums", Cause::Venue),
            ("", Cause::Venue),
        ] {
            let (event, gap) = read_json(&json!({"_v": 1, "_src": 5, "_seq": 2, "_event": "resync",
                "more": [1, {"a": 2}], "scope": "BTC/USD", "from": 100, "to": 200, "lost": 3, "detail": detail}));
            assert_eq!((event.kind.as_str(), event.scope.as_str(), event.at_ns), ("resync", "BTC/USD", 900));
            let gap = gap.unwrap();
            assert_eq!((gap.cause, gap.from_ns, gap.to_ns, gap.lost), (cause, 100, 200, Some(3)), "{detail}");
        }
    }

    #[test]
    fn an_event_without_a_span_happened_when_it_was_received() {
        let (event, gap) = read_json(&json!({"_event": "up", "scope": "a\n\"b\\", "lost": -4}));
        assert_eq!((event.at_ns, event.scope.as_str(), gap), (900, "a \"b", None));
        let (_, gap) = read_json(&json!({"_event": "gap", "from": 7}));
        assert_eq!(gap.map(|gap| (gap.from_ns, gap.to_ns, gap.lost)), Some((7, 900, None)));
        let (event, gap) = read_json(&json!({"_event": "gap", "from": i64::MAX, "to": i64::MIN}));
        assert_eq!((event.at_ns, gap), (900, None), "a time out of the blue is none");
    }

    #[test]
    fn an_endless_text_is_cut_between_characters() {
        assert_eq!(readable("é".repeat(1_000).as_bytes()), "é".repeat(128));
    }
}
