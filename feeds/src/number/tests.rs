use proptest::prelude::*;

use super::*;

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn decimals_are_judged_by_the_wire_grammar() {
    let good = Decimal::Good { rounded: false };
    for (input, verdict) in [
        ("0", good),
        ("-0.00000001", good),
        ("63401.30000", good),
        ("1e-08", good),
        ("1.5E+10", good),
        ("123456789012345", good),
        ("0.000000000000000000123", good),
        ("100000000000000000000", good),
        ("1234567890123456", Decimal::Good { rounded: true }),
        ("0.1234567890123456e5", Decimal::Good { rounded: true }),
        ("1e400", Decimal::Bad),
        ("1e0000", Decimal::Bad),
        ("", Decimal::Bad),
        ("-", Decimal::Bad),
        (".5", Decimal::Bad),
        ("5.", Decimal::Bad),
        ("+1", Decimal::Bad),
        ("1,0", Decimal::Bad),
        ("NaN", Decimal::Bad),
        ("Infinity", Decimal::Bad),
        ("0x10", Decimal::Bad),
        ("1 ", Decimal::Bad),
        ("1\n", Decimal::Bad),
        ("11111111111111111111111111111111111111111", Decimal::Bad),
    ] {
        assert_eq!(check_decimal(input.as_bytes()), verdict, "{input:?}");
    }
}

#[test]
fn scaled_numbers_keep_their_places() {
    assert_eq!(scaled(b"-1.0850"), Some((-10850, 4)));
    assert_eq!(scaled(b"7"), Some((7, 0)));
    assert_eq!(scaled(b"1e5"), None);
    assert_eq!(text(|o| o.extend(Digits::scaled(-13, 5).as_bytes())), "-0.00013");
    assert_eq!(text(|o| o.extend(Digits::scaled(1_300, 2).as_bytes())), "13.00");
    assert_eq!(text(|o| o.extend(Digits::scaled(13, 0).as_bytes())), "13");
}

proptest! {
    #[test]
    fn integers_are_written_as_the_standard_library_does(n in any::<i64>()) {
        prop_assert_eq!(text(|o| o.extend(Digits::of(n).as_bytes())), n.to_string());
    }

    #[test]
    fn short_integers_too(n in 0_u64..200_000_000) {
        prop_assert_eq!(text(|o| o.extend(Digits::of_unsigned(n).as_bytes())), n.to_string());
    }

    #[test]
    fn the_last_number_is_written_whatever_came_before_it(
        numbers in prop::collection::vec(
            prop_oneof![any::<i64>(), -3_000_000_000_i64..3_000_000_000, 1_785_641_762_000_000_000_i64..1_785_641_765_000_000_000], 1..20)
    ) {
        let mut last = LastNumber::new(b",n=", b'i');
        for n in numbers {
            let (text, bytes) = last.text(n);
            prop_assert_eq!(std::str::from_utf8(&text[..bytes]).unwrap(), format!(",n={n}i"));
        }
    }

    #[test]
    fn a_text_in_two_words_is_the_text_and_then_zeros(text in prop::collection::vec(any::<u8>(), 0..20)) {
        let mut padded = [0; 16];
        let fits = padded.get_mut(..text.len()).map(|front| front.copy_from_slice(&text));
        prop_assert_eq!(Wide::of(&text), fits.map(|()| Wide::new(padded)));
    }

    #[test]
    fn plain_decimals_compare_as_their_numbers(
        digits in "[0-9]{5}", other in "[0-9]{5}", point in 1_usize..5, other_point in 1_usize..5, behind in any::<[u8; 16]>()
    ) {
        let decimals = [(digits, point), (other, other_point)].map(|(digits, at)| {
            if at == 4 { format!("{digits}0") } else { format!("{}.{}", &digits[..at], &digits[at..]) }
        });
        let [one, other] = decimals.clone().map(|decimal| {
            let mut wide = behind;
            wide[..6].copy_from_slice(decimal.as_bytes());
            Wide::new(wide)
        });
        let [first, second] = decimals.map(|decimal| decimal.parse::<f64>().unwrap());
        prop_assert_eq!(one.is_below(other, 6), (point == other_point).then_some(first < second));
    }

    #[test]
    fn a_plain_decimal_is_positive_unless_its_digits_are_zeros(text in "0{0,3}[0-9]\\.[01]{1,4}|0{0,3}[0-9]") {
        let mut wide = [b'9'; 16];
        wide[..text.len()].copy_from_slice(text.as_bytes());
        prop_assert_eq!(Wide::new(wide).is_positive(text.len()), text.parse::<f64>().unwrap() > 0.0);
    }

    #[test]
    fn unsigned_integers_too(n in any::<u64>()) {
        prop_assert_eq!(text(|o| o.extend(Digits::of_unsigned(n).as_bytes())), n.to_string());
    }

    #[test]
    fn finite_floats_read_back_as_the_same_bits(n in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
        let written = text(|o| append_f64(o, n));
        prop_assert_eq!(written.parse::<f64>().unwrap().to_bits(), n.to_bits());
    }

    #[test]
    fn what_is_good_is_a_finite_float_to_the_standard_library(input in "-?[0-9]{0,20}(\\.[0-9]{0,20})?([eE][+-]?[0-9]{0,3})?") {
        let parsed = input.parse::<f64>().ok().filter(|n| n.is_finite());
        if let Decimal::Good { .. } = check_decimal(input.as_bytes()) {
            prop_assert!(parsed.is_some());
        }
    }

    #[test]
    fn what_the_fast_check_takes_is_good_and_it_takes_every_short_plain_decimal(
        input in prop_oneof!["[-]?[0-9.e/:]{0,16}", "[0-9]{1,9}[.][0-9]{1,9}", "[0-9.é-]{0,8}"],
        tail in any::<[u8; 16]>()
    ) {
        let mut wide = tail;
        wide[..input.len().min(16)].copy_from_slice(&input.as_bytes()[..input.len().min(16)]);
        let text = &wide[..input.len().min(16)];
        let good = check_decimal(text) == Decimal::Good { rounded: false };
        let plain = text.iter().all(|b| b.is_ascii_digit() || *b == b'.') && text.len() < 16;
        let fast = Wide::new(wide).is_plain_decimal(text.len());
        prop_assert!(!fast || good, "{:?}", input);
        prop_assert!(fast || !(good && plain), "{:?}", input);
    }

    #[test]
    fn the_fast_reading_of_a_decimal_says_the_same_as_the_slow_one(
        input in "[-]?[0-9]{0,5}[.e/:]?[0-9]{0,5}", tail in any::<[u8; 16]>()
    ) {
        let mut wide = tail;
        wide[..input.len()].copy_from_slice(input.as_bytes());
        let good = matches!(check_decimal(input.as_bytes()), Decimal::Good { .. });
        let plain = good && input.len() <= 8 && input.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let expected = if plain { scaled(input.as_bytes()) } else { None };
        prop_assert_eq!(Wide::new(wide).scaled(input.len()), expected, "{:?}", input);
    }

    #[test]
    fn short_decimals_are_read_as_wide_ones(
        input in prop_oneof!["[0-9]{1,8}", "[0-9]{1,5}[.][0-9]{1,2}", "[0-9.e/é-]{0,4}"], behind in any::<[u8; 8]>(), more in 9_usize..300
    ) {
        let mut wide = [0; 16];
        wide[..8].copy_from_slice(&behind);
        wide[..input.len()].copy_from_slice(input.as_bytes());
        let text = u64::from_le_bytes(*wide.first_chunk().unwrap());
        let short = short_decimal(text, input.len());
        prop_assert_eq!(short.map(|(_, places)| places), Wide::new(wide).places(input.len()));
        if let Some((text, places)) = short {
            prop_assert_eq!(Wide::of(input.as_bytes()), Some(Wide::of_words([text, 0])));
            let units = short_units(text, input.len() as u32, places);
            prop_assert_eq!(Some((units, places)), Wide::new(wide).scaled(input.len()));
        }
        prop_assert_eq!(short_decimal(text, more), None);
    }

    #[test]
    fn short_texts_that_are_not_rounded_read_back_exactly(units in prop_oneof![0_i64..1_000_000_000_000_000, 0_i64..200_000_000, 0_i64..10_000], scale in 0_u32..12) {
        let written = text(|o| o.extend(Digits::scaled(units, scale).as_bytes()));
        prop_assert_eq!(scaled(written.as_bytes()), Some((units, scale)));
        prop_assert_eq!(check_decimal(written.as_bytes()), Decimal::Good { rounded: false });
    }
}
