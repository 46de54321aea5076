//! Any bytes through the msgpack cursor.
#![no_main]

use tickline_feeds::counts::Undecodable;
use tickline_feeds::cursor::Cursor;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut cursor = Cursor::new(data);
    while cursor.left() > 0 {
        let before = cursor.left();
        match cursor.skip(0) {
            Ok(()) => assert!(cursor.left() < before, "a value has at least a byte"),
            Err(Undecodable::Truncated | Undecodable::Malformed | Undecodable::TooDeep) => break,
            Err(other) => panic!("the cursor knows nothing of {other:?}"),
        }
    }
    // Value by value it must not end earlier than walked over as a whole.
    let mut steps = Cursor::new(data);
    while steps.left() > 0 && steps.value().is_ok() {}
    assert!(steps.left() <= cursor.left() || cursor.left() == 0, "{} {}", steps.left(), cursor.left());
});
