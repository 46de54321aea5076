//! Msgpack as JSON text, for people and for tools that read nothing else: same keys, same order, same nesting. What JSON
//! cannot say, a float that is not finite or an extension, becomes null. It is the way back of [`crate::transcode`],
//! except that decimals stay the texts that they were sent as.

use crate::counts::Undecodable;
use crate::cursor::{Cursor, DEPTH_MAX, Value};

/// Appends one payload as JSON text, without a line end; on an error `out` is as it was.
pub fn append_json(payload: &[u8], out: &mut String) -> Result<(), Undecodable> {
    let before = out.len();
    let mut cursor = Cursor::new(payload);
    let done = value(&mut cursor, 0, out).and_then(|()| match cursor.left() {
        0 => Ok(()),
        _ => Err(Undecodable::Malformed),
    });
    done.inspect_err(|_| out.truncate(before))
}

fn value(cursor: &mut Cursor<'_>, depth: usize, out: &mut String) -> Result<(), Undecodable> {
    match cursor.value()? {
        Value::Nil | Value::Ext => out.push_str("null"),
        Value::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Big(number) => out.push_str(&number.to_string()),
        Value::Float(number) if number.is_finite() => out.push_str(zmij::Buffer::new().format_finite(number)),
        Value::Float(_) => out.push_str("null"),
        Value::Text(bytes) => text(bytes, out),
        Value::Array(items) => {
            deeper(depth)?;
            out.push('[');
            for at in 0..items {
                if at > 0 {
                    out.push(',');
                }
                value(cursor, depth + 1, out)?;
            }
            out.push(']');
        }
        Value::Map(entries) => {
            deeper(depth)?;
            out.push('{');
            for at in 0..entries {
                if at > 0 {
                    out.push(',');
                }
                text(cursor.key()?.text, out);
                out.push(':');
                value(cursor, depth + 1, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

const fn deeper(depth: usize) -> Result<(), Undecodable> {
    if depth < DEPTH_MAX { Ok(()) } else { Err(Undecodable::TooDeep) }
}

/// A string; bytes that are no UTF-8 become the replacement character.
fn text(bytes: &[u8], out: &mut String) {
    out.push('"');
    for character in String::from_utf8_lossy(bytes).chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            plain => out.push(plain),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;
    use crate::payload::{Decimals, PayloadWriter};
    use crate::transcode::transcode;

    fn there_and_back(json: &str) -> Json {
        let mut writer = PayloadWriter::new(Decimals::Text);
        transcode(json, &[], &mut writer).unwrap();
        let mut text = String::new();
        append_json(writer.bytes(), &mut text).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    proptest! {
        #[test]
        fn any_json_without_numbers_comes_back_the_same(texts in prop::collection::vec(any::<String>(), 0..6), flag: bool) {
            let json = serde_json::json!({"a": texts, "b": [flag, null], "ü\"\\\n": {"c": {}}});
            prop_assert_eq!(there_and_back(&json.to_string()), json);
        }

        #[test]
        fn any_bytes_are_json_or_refused(bytes: Vec<u8>) {
            let mut text = "before".to_owned();
            if append_json(&bytes, &mut text).is_ok() {
                prop_assert!(serde_json::from_str::<Json>(&text["before".len()..]).is_ok(), "{}", text);
            } else {
                prop_assert_eq!(text, "before");
            }
        }
    }

    #[test]
    fn numbers_come_back_as_the_text_they_were_sent_as() {
        assert_eq!(there_and_back(r#"{"price":63388.70}"#), serde_json::json!({"price": "63388.70"}));
    }
}
