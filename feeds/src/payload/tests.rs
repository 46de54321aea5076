use proptest::prelude::*;

use super::*;

fn sample() -> Reserved {
    Reserved {
        src: 0x0102_0304,
        seq: 0x1112_1314_1516_1718,
        times: Times { sent: WallNanos(0x21), recv: WallNanos(0x31), due: WallNanos(0x51) },
        tie: 0x41,
    }
}

#[test]
fn the_reserved_keys_stand_first_in_their_fixed_order_and_width() {
    let mut payload = PayloadWriter::default();
    payload.begin(&sample(), 1);
    payload.text("a");
    payload.bool(true);
    let golden =
        b"\xde\x00\x08\xa2_v\xcc\x01\xa4_src\xce\x01\x02\x03\x04\xa4_seq\xcf\x11\x12\x13\x14\x15\x16\x17\x18\
        \xa3_ts\xd3\0\0\0\0\0\0\0\x21\xa5_recv\xd3\0\0\0\0\0\0\0\x31\xa4_tie\xce\0\0\0\x41\
        \xa4_due\xd3\0\0\0\0\0\0\0\x51\xa1a\xc3";
    assert_eq!(payload.bytes(), golden);
    assert_eq!(payload.bytes().len(), RESERVED_BYTES + 3);
}

#[test]
fn times_are_set_in_place_and_read_back() {
    let mut payload = PayloadWriter::default();
    payload.begin(&sample(), 0);
    let times = Times { sent: WallNanos(-1), recv: WallNanos(i64::MAX), due: WallNanos(0) };
    set_times(payload.bytes_mut(), &times);
    assert_eq!(reserved(payload.bytes()), Some((Reserved { times, ..sample() }, 0)));
}

#[test]
fn a_payload_of_others_has_no_reserved_keys_of_ours() {
    let mut payload = PayloadWriter::default();
    payload.begin(&sample(), 0);
    let ours = payload.bytes().to_vec();
    assert_eq!(reserved(&ours[..ours.len() - 1]), None);
    assert_eq!(reserved(&[&[0xdf], &ours[1..]].concat()), None);
    let mut other = ours.clone();
    other[4] = b'w';
    assert_eq!(reserved(&other), None);
    let fewer = [&[0xde, 0, 6], &ours[3..]].concat();
    assert_eq!(reserved(&fewer), None);
}

#[test]
fn heartbeat_and_end_carry_the_last_number() {
    let mut payload = PayloadWriter::default();
    payload.control(ControlKey::Heartbeat, 1, 2, WallNanos(3));
    let golden =
        b"\x84\xa3_hb\xc3\xa4_src\xce\0\0\0\x01\xa4_seq\xcf\0\0\0\0\0\0\0\x02\xa3_ts\xd3\0\0\0\0\0\0\0\x03";
    assert_eq!(payload.bytes(), golden);
    payload.clear();
    payload.control(ControlKey::End, 1, 2, WallNanos(3));
    assert!(payload.bytes().starts_with(b"\x84\xa4_end\xc3"));
}

#[test]
fn decimals_keep_their_digits_as_text_and_become_floats_on_request() {
    let table = [
        (6_338_870, 1, "633887.0"),
        (5, 8, "0.00000005"),
        (-5, 2, "-0.05"),
        (0, 0, "0"),
        (12, 0, "12"),
        (0, 1, "0.0"),
    ];
    for (scaled, digits, text) in table {
        let mut payload = PayloadWriter::new(Decimals::Text);
        payload.decimal(scaled, digits);
        assert_eq!(&payload.bytes()[1..], text.as_bytes());
        let mut payload = PayloadWriter::new(Decimals::Float64);
        payload.decimal(scaled, digits);
        let float = f64::from_be_bytes(payload.bytes()[1..].try_into().unwrap());
        assert_eq!((payload.bytes()[0], float), (0xcb, text.parse().unwrap()));
    }
}

#[test]
fn times_are_written_as_rfc_3339() {
    let table = [
        (0, 0, "1970-01-01T00:00:00Z"),
        (1_785_641_762_621_302_999, 6, "2026-08-02T03:36:02.621302Z"),
        (1_709_210_096_000_000_007, 9, "2024-02-29T12:34:56.000000007Z"),
        (-1, 3, "1969-12-31T23:59:59.999Z"),
        (951_868_799_500_000_000, 3, "2000-02-29T23:59:59.500Z"),
        (i64::MAX, 9, "2262-04-11T23:47:16.854775807Z"),
        (i64::MIN, 9, "1677-09-21T00:12:43.145224192Z"),
    ];
    for (nanos, digits, text) in table {
        assert_eq!(rfc3339(WallNanos(nanos), digits), text);
    }
}

proptest! {
    #[test]
    fn reserved_keys_are_read_back(
        src: u32, seq: u64, sent: i64, recv: i64, due: i64, tie: u32, keys in 0..=u16::MAX - RESERVED_KEYS
    ) {
        let times = Times { sent: WallNanos(sent), recv: WallNanos(recv), due: WallNanos(due) };
        let written = Reserved { src, seq, times, tie };
        let mut payload = PayloadWriter::default();
        payload.begin(&written, keys);
        prop_assert_eq!(reserved(payload.bytes()), Some((written, keys)));
    }
}
