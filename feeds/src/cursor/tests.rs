use proptest::prelude::*;

use super::*;

fn check(bytes: &[u8]) -> Result<(), Undecodable> {
    Cursor::check(bytes)
}

#[test]
fn sixteen_open_containers_are_walked_and_seventeen_refused() {
    let nested = |depth: usize| {
        let mut bytes = vec![0x91; depth];
        bytes.push(0xc0);
        bytes
    };
    assert_eq!(check(&nested(16)), Ok(()));
    assert_eq!(check(&nested(17)), Err(Undecodable::TooDeep));
    assert_eq!(check(&nested(100_000)), Err(Undecodable::TooDeep));
}

#[test]
fn a_length_beyond_the_bytes_left_is_refused_at_once() {
    for lie in [
        &[0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0][..],
        &[0xdf, 0x7f, 0xff, 0xff, 0xff, 0xc0, 0xc0],
        &[0xdb, 0xff, 0xff, 0xff, 0xff, b'a'],
        &[0xc6, 0x00, 0x00, 0x00, 0x02, b'a'],
        &[0x8f, 0xc0],
        &[0xc9, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0xd8, 0x01, 0x00],
        &[],
    ] {
        assert_eq!(check(lie), Err(Undecodable::Truncated), "{lie:02x?}");
    }
}

#[test]
fn the_unused_marker_and_trailing_bytes_are_malformed() {
    assert_eq!(check(&[0xc1]), Err(Undecodable::Malformed));
    assert_eq!(check(&[0xc0, 0xc0]), Err(Undecodable::Malformed));
}

#[test]
fn integers_keep_their_value_at_every_width() {
    for (bytes, value) in [
        (&[0x7f][..], Value::Int(127)),
        (&[0xe0], Value::Int(-32)),
        (&[0xcc, 0xff], Value::Int(255)),
        (&[0xd0, 0x80], Value::Int(-128)),
        (&[0xcd, 0xff, 0xff], Value::Int(65_535)),
        (&[0xd1, 0x80, 0x00], Value::Int(-32_768)),
        (&[0xce, 0xff, 0xff, 0xff, 0xff], Value::Int(4_294_967_295)),
        (&[0xd2, 0x80, 0x00, 0x00, 0x00], Value::Int(-2_147_483_648)),
        (&[0xcf, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Value::Int(i64::MAX)),
        (&[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Value::Big(u64::MAX)),
        (&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], Value::Int(i64::MIN)),
    ] {
        assert_eq!(Cursor::new(bytes).value(), Ok(value), "{bytes:02x?}");
    }
}

/// Any msgpack tree, written with `rmp`, which the cursor does not know.
fn tree() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|n| {
            let mut b = vec![];
            rmp::encode::write_sint(&mut b, n).unwrap();
            b
        }),
        any::<f64>().prop_map(|n| {
            let mut b = vec![];
            rmp::encode::write_f64(&mut b, n).unwrap();
            b
        }),
        ".{0,40}".prop_map(|s| {
            let mut b = vec![];
            rmp::encode::write_str(&mut b, &s).unwrap();
            b
        }),
        Just(vec![0xc0]),
        any::<bool>().prop_map(|v| vec![if v { 0xc3 } else { 0xc2 }]),
    ];
    leaf.prop_recursive(8, 64, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(|items| {
                let mut b = vec![];
                rmp::encode::write_array_len(&mut b, items.len() as u32).unwrap();
                items.into_iter().for_each(|i| b.extend(i));
                b
            }),
            prop::collection::vec((".{0,40}", inner), 0..20).prop_map(|items| {
                let mut b = vec![];
                rmp::encode::write_map_len(&mut b, items.len() as u32).unwrap();
                for (key, item) in items {
                    rmp::encode::write_str(&mut b, &key).unwrap();
                    b.extend(item);
                }
                b
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_rmp_writes_is_walked_to_its_last_byte(bytes in tree()) {
        prop_assert_eq!(check(&bytes), Ok(()));
    }

    #[test]
    fn a_cut_tree_is_truncated(bytes in tree(), part in 0.0..1.0_f64) {
        let cut = (bytes.len() as f64 * part) as usize;
        prop_assert_eq!(check(&bytes[..cut]), Err(Undecodable::Truncated));
    }

    #[test]
    fn any_bytes_are_walked_or_refused_without_reading_past_the_end(
        bytes in prop::collection::vec(any::<u8>(), 0..600)
    ) {
        let mut cursor = Cursor::new(&bytes);
        while cursor.left() > 0 {
            let before = cursor.left();
            if cursor.skip(0).is_err() {
                break;
            }
            prop_assert!(cursor.left() < before);
        }
    }
}
