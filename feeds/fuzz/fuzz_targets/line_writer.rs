//! Any names and values through the line writer, read back by the `influxdb-line-protocol` parser.
#![no_main]

use influxdb_line_protocol::{FieldValue, parse_lines};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use tickline_feeds::cursor::Value;
use tickline_feeds::field::{FieldCounts, FieldPlan};
use tickline_feeds::line::Line;
use tickline_feeds::series::{SeriesTable, is_writable};

#[derive(Arbitrary, Debug)]
struct Sent<'a> {
    tag: &'a str,
    field: &'a str,
    text: &'a str,
    decimal: &'a str,
    float: f64,
    int: i64,
}

libfuzzer_sys::fuzz_target!(|line: Sent<'_>| {
    // A configuration takes no other names.
    let nameable = !line.field.is_empty() && is_writable(line.field.as_bytes()) && !line.field.contains('"');
    if !nameable || ["text", "decimal", "float"].contains(&line.field) {
        return;
    }
    let mut table = SeriesTable::new(1);
    let Some(series) = table.intern("m", &[("t", line.tag.as_bytes())]) else {
        assert!(!is_writable(line.tag.as_bytes()), "{:?} can be stored", line.tag);
        return;
    };
    let mut counts = FieldCounts::default();
    let slots = [
        counts.integer(Value::Int(line.int)),
        counts.text(Value::Text(line.text.as_bytes())),
        counts.float(Value::Text(line.decimal.as_bytes())),
        counts.float(Value::Float(line.float)),
    ];
    let bad = counts.bad;
    let plan = FieldPlan::of_names([line.field, "text", "decimal", "float"].into_iter());
    let mut writer = Line::default();
    writer.put(table.key(series));
    let fields_at = writer.position();
    assert!(plan.put(&mut writer, &slots, &mut counts), "the integer is always there");
    writer.set(fields_at, b' ');
    writer.put(b" 1\n");
    let written = std::str::from_utf8(writer.text()).expect("UTF-8 in, UTF-8 out");
    let parsed: Vec<_> = parse_lines(written).collect();
    let [Ok(read)] = parsed.as_slice() else { panic!("must be one line: {written:?}") };
    let stored = read.tag_value("t").map_or("", |value| value.as_str());
    assert_eq!(stored, line.tag, "{written:?}");
    assert_eq!(read.field_value(line.field), Some(&FieldValue::I64(line.int)), "{written:?}");
    assert_eq!(read.field_set.len() as u64, 4 - bad, "{written:?}");
    let control_free: String =
        line.text.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect();
    let Some(FieldValue::String(text)) = read.field_value("text") else { panic!("no text in {written:?}") };
    assert_eq!(text.as_str(), control_free, "{written:?}");
    for (name, number) in [("float", Some(line.float)), ("decimal", line.decimal.parse().ok())] {
        if let Some(FieldValue::F64(read)) = read.field_value(name) {
            assert_eq!(Some(read.to_bits()), number.map(f64::to_bits), "{name} of {written:?}");
        }
    }
});
