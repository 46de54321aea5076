use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

type Owned = (i64, Vec<u8>, Vec<u8>);

fn written(frames: &[Owned]) -> Vec<u8> {
    let mut out = Vec::new();
    begin(&mut out);
    for (recv, topic, payload) in frames {
        append(&mut out, &Record { recv: WallNanos(*recv), topic, payload }).unwrap();
    }
    out
}

fn read_back(bytes: &[u8]) -> (Vec<Owned>, u64) {
    let mut reader = Reader::new(bytes).unwrap();
    let mut frames = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        frames.push((record.recv.0, record.topic.to_vec(), record.payload.to_vec()));
    }
    (frames, reader.left())
}

#[test]
fn a_record_has_the_documented_bytes() {
    let bytes = written(&[(0x0102_0304_0506_0708, b"t".to_vec(), b"\x81\xa1a\x01".to_vec())]);
    let head = b"\x04\0\0\0\x01\0\x08\x07\x06\x05\x04\x03\x02\x01";
    assert_eq!(bytes[..8], MAGIC);
    assert_eq!(bytes[8..12], [0x49, 0x44, 0x9a, 0xe5]);
    assert_eq!(bytes[12..26], *head);
    assert_eq!(bytes[26..], *b"t\x81\xa1a\x01");
}

#[test]
fn another_file_is_refused() {
    let refused = Reader::new(b"TICKCAP\x02".as_slice()).unwrap_err();
    assert!(refused.to_string().starts_with("capture: must start with TICKCAP version 1, found [54,"));
    assert!(Reader::new(b"TICK".as_slice()).is_err());
}

#[test]
fn a_topic_that_is_too_long_leaves_the_buffer_as_it_was() {
    let mut out = vec![7];
    let refused = append(&mut out, &Record { recv: WallNanos(0), topic: &[0; 65_536], payload: b"" });
    assert!(matches!(refused, Err(CaptureError::TooLong { topic: 65_536, payload: 0 })));
    assert_eq!(out, [7]);
}

fn frames() -> impl Strategy<Value = Vec<Owned>> {
    vec((any::<i64>(), vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..300)), 0..20)
}

proptest! {
    #[test]
    fn what_was_written_is_read_back(frames in frames()) {
        prop_assert_eq!(read_back(&written(&frames)), (frames, 0));
    }

    #[test]
    fn a_torn_tail_costs_the_last_record_and_is_measured(frames in frames(), cut in any::<prop::sample::Index>()) {
        let bytes = written(&frames);
        let kept = MAGIC.len() + cut.index(bytes.len() - MAGIC.len() + 1);
        let (read, left) = read_back(&bytes[..kept]);
        let whole = written(&frames[..read.len()]);
        prop_assert_eq!(&read[..], &frames[..read.len()]);
        prop_assert_eq!(whole.len() as u64 + left, kept as u64);
        let next = frames.get(read.len()).map(|next| written(std::slice::from_ref(next)).len() - MAGIC.len());
        prop_assert!(left < next.unwrap_or(1) as u64);
    }

    #[test]
    fn a_flipped_bit_never_gives_a_record_that_was_not_written(
        frames in frames().prop_filter("not empty", |f| !f.is_empty()), at in any::<prop::sample::Index>(), bit in 0..8_u32
    ) {
        let mut bytes = written(&frames);
        let at = MAGIC.len() + at.index(bytes.len() - MAGIC.len());
        bytes[at] ^= 1_u8 << bit;
        let (read, left) = read_back(&bytes);
        prop_assert!(read.len() < frames.len() && left > 0);
        prop_assert_eq!(&read[..], &frames[..read.len()]);
    }
}
