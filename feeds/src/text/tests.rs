use super::*;

const FORMATS: [Format; 3] = [Format::Msgpack, Format::X01, Format::Json];

#[test]
fn a_decoder_has_layouts_if_the_configuration_says_that_it_reads_x01() {
    for (name, kind) in DecoderKind::ALL {
        let made = FORMATS.map(|format| Text::new(format, kind).map(|text| text.is_some()).ok());
        let fields = kind.reads_x01().then_some(true);
        assert_eq!(made, [Some(false), fields, Some(true)], "{name}");
    }
}

#[test]
fn every_layout_is_one_whole_map_and_reads_each_field_once_at_most() {
    for layout in DecoderKind::ALL.iter().filter_map(|(_, kind)| layout::of(*kind)).flatten() {
        let fields: Vec<String> = (0..layout.fields).map(|at| format!("f{at}")).collect();
        let mut text = Text { layouts: Some(std::slice::from_ref(layout)), ..empty() };
        let payload = text.to_msgpack(b"topic", fields.join("\u{1}").as_bytes()).unwrap().to_vec();
        assert_eq!(Cursor::check(&payload), Ok(()), "{fields:?}");
        assert!(matches!(Cursor::new(&payload).value(), Ok(Value::Map(_))));
        let at = |part: &Part| if let Part::Field(at) = part { Some(*at) } else { None };
        let mut read: Vec<usize> = layout.parts.iter().filter_map(at).collect();
        let count = read.len();
        read.sort_unstable();
        read.dedup();
        assert_eq!(read.len(), count, "{layout:?}");
        assert!(read.iter().all(|at| *at < layout.fields) && layout.fields <= FIELDS_MAX, "{layout:?}");
    }
}

fn empty() -> Text {
    Text {
        layouts: None,
        out: PayloadWriter::default(),
        inner: PayloadWriter::default(),
        scratch: String::new(),
    }
}

#[test]
fn a_payload_that_is_refused_leaves_nothing_of_the_one_before_it() {
    let mut text = empty();
    assert_eq!(text.to_msgpack(b"", b"[1]"), Ok(&b"\x91\xa11"[..]));
    assert_eq!(text.to_msgpack(b"", b"[1"), Err(Undecodable::Malformed));
    assert_eq!(text.msgpack(), b"");
    assert_eq!(text.to_msgpack(b"", br#""{\"_seq\":1}""#), Ok(&b"\x81\xa4_seq\x01"[..]));
    assert_eq!(text.msgpack(), b"\x81\xa4_seq\x01");
    assert_eq!(text.to_msgpack(b"", br#""\"{}\"""#), Ok(&b"\xa2{}"[..]), "one string around it, not two");
    assert_eq!(text.to_msgpack(b"", b"\xff"), Err(Undecodable::Malformed));
}

#[test]
fn the_same_payload_again_takes_no_more_memory() {
    let mut text = empty();
    let json = br#""{\"result\":{\"XXBTZUSD\":{\"a\":[\"1\",\"\\u00e9\"],\"t\":[1,2]}}}""#;
    let room =
        |text: &Text| (text.out.bytes().as_ptr(), text.inner.bytes().as_ptr(), text.scratch.capacity());
    let again = |text: &mut Text, times| (0..times).all(|_| text.to_msgpack(b"", json).is_ok());
    assert!(again(&mut text, 3));
    let before = room(&text);
    // The two buffers take turns.
    assert!(again(&mut text, 2));
    assert_eq!(room(&text), before);
}
