//! Line protocol read back, for a sink that needs columns: what our own writer makes and what anybody may have put into a
//! spool. Nothing is allocated for a line without escapes.

use std::borrow::Cow;

/// The value of a tag or field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Tag(Cow<'a, str>),
    Float(f64),
    Int(i64),
    Bool(bool),
    Text(Cow<'a, str>),
}

/// One point. It is filled again and again, so that its lists are allocated once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Line<'a> {
    pub(crate) measurement: Cow<'a, str>,
    /// Tags, then fields, in the order of the line.
    pub(crate) values: Vec<(Cow<'a, str>, Value<'a>)>,
    pub(crate) time_ns: i64,
}

impl<'a> Line<'a> {
    /// Takes one line, with or without its newline.
    pub(crate) fn read(&mut self, line: &'a [u8]) -> Result<(), &'static str> {
        self.values.clear();
        let line = std::str::from_utf8(line).map_err(|_| "not UTF-8")?;
        let mut rest = Rest { text: line.strip_suffix('\n').unwrap_or(line) };
        self.measurement = rest.word(COMMA | SPACE, b", ")?;
        while rest.take(b',') {
            let name = rest.word(COMMA | SPACE | EQUALS, b",= ")?;
            rest.must(b'=')?;
            self.values.push((name, Value::Tag(rest.word(COMMA | SPACE, b",= ")?)));
        }
        rest.must(b' ')?;
        loop {
            let name = rest.word(COMMA | SPACE | EQUALS, b",= ")?;
            rest.must(b'=')?;
            let value = rest.value()?;
            self.values.push((name, value));
            if !rest.take(b',') {
                break;
            }
        }
        rest.must(b' ')?;
        self.time_ns = rest.text.parse().map_err(|_| "its time is no 64-bit number of ns")?;
        Ok(())
    }
}

const COMMA: u8 = 1;
const SPACE: u8 = 2;
const EQUALS: u8 = 4;
const BACKSLASH: u8 = 8;

/// The class of a byte that may end a word.
const fn class(byte: u8) -> u8 {
    match byte {
        b',' => COMMA,
        b' ' => SPACE,
        b'=' => EQUALS,
        b'\\' => BACKSLASH,
        _ => 0,
    }
}

/// What of a line is still to be read.
struct Rest<'a> {
    text: &'a str,
}

impl<'a> Rest<'a> {
    fn take(&mut self, byte: u8) -> bool {
        let found = self.text.as_bytes().first() == Some(&byte);
        if found {
            self.text = self.text.get(1..).unwrap_or_default();
        }
        found
    }

    fn must(&mut self, byte: u8) -> Result<(), &'static str> {
        match (self.take(byte), byte) {
            (true, _) => Ok(()),
            (false, b'=') => Err("a name without a value"),
            (false, _) => {
                Err("measurement and tags, fields and time must stand there, with one space between")
            }
        }
    }

    /// Cuts off the text before `at`, an ASCII byte's place.
    fn cut(&mut self, at: usize) -> &'a str {
        let (before, after) = self.text.split_at_checked(at).unwrap_or((self.text, ""));
        self.text = after;
        before
    }

    /// Text up to a byte of the classes `ends`, not empty; a backslash before one of `escaped` is left out.
    #[inline]
    fn word(&mut self, ends: u8, escaped: &[u8]) -> Result<Cow<'a, str>, &'static str> {
        let stops = ends | BACKSLASH;
        let end = self.text.bytes().position(|byte| class(byte) & stops != 0);
        match end {
            Some(0) if !self.text.starts_with('\\') => Err("a name or tag is empty"),
            Some(end) if self.text.as_bytes().get(end) != Some(&b'\\') => Ok(Cow::Borrowed(self.cut(end))),
            None if self.text.is_empty() => Err("a name or tag is empty"),
            _ => {
                let mut before = 0;
                let end = self.text.bytes().position(|byte| {
                    let ends = before != b'\\' && class(byte) & ends != 0;
                    before = byte;
                    ends
                });
                Ok(unescaped(self.cut(end.unwrap_or(self.text.len())), escaped))
            }
        }
    }

    fn value(&mut self) -> Result<Value<'a>, &'static str> {
        if self.take(b'"') {
            return self.quoted().map(Value::Text);
        }
        let end = self.text.bytes().position(|byte| byte == b',' || byte == b' ').unwrap_or(self.text.len());
        let text = self.cut(end);
        let wrong = "a field is no number, text or truth";
        match text.as_bytes().last() {
            Some(b'0'..=b'9' | b'.') => text.parse().map(Value::Float).map_err(|_| wrong),
            Some(b'i' | b'u') => {
                let digits = text.get(..text.len() - 1).unwrap_or_default();
                digits.parse().map(Value::Int).map_err(|_| "a field is no 64-bit integer")
            }
            _ => match text {
                "t" | "T" | "true" | "True" | "TRUE" => Ok(Value::Bool(true)),
                "f" | "F" | "false" | "False" | "FALSE" => Ok(Value::Bool(false)),
                _ => Err(wrong),
            },
        }
    }

    /// The rest of a text behind its first quote.
    fn quoted(&mut self) -> Result<Cow<'a, str>, &'static str> {
        let (mut is_escaped, mut escapes) = (false, false);
        let end = self.text.bytes().position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            escapes |= is_escaped;
            ends
        });
        let text = self.cut(end.ok_or("a text without its second quote")?);
        self.take(b'"');
        Ok(if escapes { unescaped(text, b"\"\\") } else { Cow::Borrowed(text) })
    }
}

/// Without the backslashes before bytes of `escaped`.
fn unescaped<'a>(text: &str, escaped: &[u8]) -> Cow<'a, str> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        let escapes = |next: &char| u8::try_from(*next).is_ok_and(|next| escaped.contains(&next));
        let next = if letter == '\\' { rest.next_if(escapes) } else { None };
        out.push(next.unwrap_or(letter));
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use influxdb_line_protocol::{FieldValue, parse_lines};
    use proptest::prelude::*;

    /// What the independent reader makes of a line that it understands.
    fn oracle(line: &str) -> Option<Line<'static>> {
        let mut lines = parse_lines(line);
        let parsed = lines.next()?.ok().filter(|_| lines.next().is_none())?;
        let text = |text: &str| Cow::Owned::<'static, str>(text.to_owned());
        let tags = parsed.series.tag_set.iter().flatten();
        let tags = tags.map(|(name, value)| (text(name), Value::Tag(text(value))));
        let fields = parsed.field_set.iter().map(|(name, value)| {
            let value = match value {
                FieldValue::F64(value) => Value::Float(*value),
                FieldValue::I64(value) => Value::Int(*value),
                FieldValue::U64(value) => Value::Int(i64::try_from(*value).unwrap()),
                FieldValue::Boolean(value) => Value::Bool(*value),
                FieldValue::String(value) => Value::Text(text(value)),
            };
            (text(name), value)
        });
        let values = tags.chain(fields).collect();
        Some(Line { measurement: text(&parsed.series.measurement), values, time_ns: parsed.timestamp? })
    }

    fn own(line: &str) -> Result<Line<'static>, &'static str> {
        let mut parsed = Line::default();
        parsed.read(line.as_bytes())?;
        let text = |text: &str| Cow::Owned::<'static, str>(text.to_owned());
        let owned = |value: &Value<'_>| match value {
            Value::Tag(of) => Value::Tag(text(of)),
            Value::Text(of) => Value::Text(text(of)),
            Value::Float(value) => Value::Float(*value),
            Value::Int(value) => Value::Int(*value),
            Value::Bool(value) => Value::Bool(*value),
        };
        let values = parsed.values.iter().map(|(name, value)| (text(name), owned(value))).collect();
        Ok(Line { measurement: text(&parsed.measurement), values, time_ns: parsed.time_ns })
    }

    /// A name or tag as a writer escapes it.
    fn word(ends: &'static str) -> impl Strategy<Value = String> {
        "[a-zü0-9 ,=/._-]{1,9}".prop_map(move |text| {
            text.chars().map(|c| if ends.contains(c) { format!("\\{c}") } else { c.to_string() }).collect()
        })
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<f64>()
                .prop_filter("finite", |value| value.is_finite())
                .prop_map(|value| format!("{value}")),
            (0.0..1e6).prop_map(|value: f64| format!("{value:e}")),
            any::<i64>().prop_map(|value| format!("{value}i")),
            any::<bool>().prop_map(|value| value.to_string()),
            prop_oneof![Just("t"), Just("F"), Just("True")].prop_map(str::to_owned),
            "[a-z \\\\\",=ü]{0,9}"
                .prop_map(|text| { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }),
        ]
    }

    proptest! {
        #[test]
        fn every_line_that_a_writer_makes_reads_as_another_reader_reads_it(
            measurement in word(", "),
            tags in prop::collection::vec((word(",= "), word(",= ")), 0..5),
            fields in prop::collection::vec((word(",= "), value()), 1..5),
            time: i64,
        ) {
            let mut line = measurement;
            for (name, value) in &tags {
                line.push_str(&format!(",{name}={value}"));
            }
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            line.push_str(&format!(" {} {time}\n", fields.join(",")));
            // That other reader takes a line that begins so for a comment.
            prop_assume!(!line.starts_with('#') && !line.starts_with(' '));
            if let Some(known) = oracle(&line) {
                prop_assert_eq!(own(&line), Ok(known), "{}", line);
            }
        }

        #[test]
        fn what_both_readers_take_reads_alike_whatever_stands_there(
            line in "(m|m\\\\?[ ,])(,[a\\\\,= \"]{1,6}=[b\\\\,= \"]{1,6}){0,2} ?[f\\\\,= \"]{1,5}=[0-9\"itx.\\\\ -]{1,6} -?[0-9]{1,3}"
        ) {
            // Two backslashes are one to that reader and two to InfluxDB 1; our writers make none.
            let line = line.replace("\\\\", "");
            if let (Some(known), Ok(read)) = (oracle(&line), own(&line)) {
                prop_assert_eq!(read, known, "{}", line);
            }
        }
    }

    #[test]
    fn what_is_no_point_is_refused_with_a_reason() {
        let table = [
            ("", "empty"),
            ("m", "one space"),
            ("m v=1", "one space"),
            ("m v=1 x", "64-bit number of ns"),
            ("m v=1 99999999999999999999", "64-bit number of ns"),
            ("m v= 1", "no number"),
            ("m v=nan 1", "no number"),
            ("m v=inf 1", "no number"),
            ("m v=0x10 1", "no number"),
            ("m v=1e 1", "no number"),
            ("m v=99999999999999999999i 1", "64-bit integer"),
            ("m v=\"a 1", "second quote"),
            ("m,t= v=1 1", "empty"),
            ("m,=t v=1 1", "empty"),
            ("m,t v=1 1", "without a value"),
            ("m v w=1 1", "without a value"),
            ("m  v=1 1", "empty"),
            ("m =1 1", "empty"),
            ("m v=1, 1", "empty"),
        ];
        for (line, why) in table {
            let refused = own(line).expect_err(line);
            assert!(refused.contains(why), "{line:?}: {refused}");
        }
        assert!(Line::default().read(b"m v=\"\xff\" 1").is_err());
    }
}
