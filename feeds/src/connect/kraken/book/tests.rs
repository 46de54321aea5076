use super::*;

fn levels(json: &str) -> Vec<RawLevel<'_>> {
    serde_json::from_str(json).unwrap()
}

/// Applies and says what the sum would have had to be.
fn apply(book: &mut Book, bids: &str, asks: &str) -> Result<bool, BookError> {
    let mut plain = book.clone();
    let expected = match plain.apply(&levels(bids), &levels(asks), 0, 10) {
        Err(BookError::Checksum { found, .. }) => found,
        Ok(_) => 0,
        Err(error) => return Err(error),
    };
    book.apply(&levels(bids), &levels(asks), expected, 1)
}

fn prices(side: &[Level]) -> Vec<i64> {
    side.iter().map(|level| level.price.digits).collect()
}

#[test]
fn levels_come_in_any_order_and_stand_best_first_cut_to_the_depth() {
    let mut book = Book::new(2);
    let bids = r#"[{"price":9.5,"qty":1},{"price":10.0,"qty":2.50},{"price":9.7,"qty":1}]"#;
    assert_eq!(apply(&mut book, bids, r#"[{"price":11.0,"qty":1},{"price":10.5,"qty":1}]"#), Ok(true));
    assert_eq!((prices(book.bids()), prices(book.asks())), (vec![100, 97], vec![105, 110]));
    assert_eq!(
        apply(&mut book, r#"[{"price":9.7,"qty":3}]"#, "[]"),
        Ok(false),
        "the best level is as it was"
    );
    assert_eq!(apply(&mut book, r#"[{"price":10.0,"qty":0.00},{"price":8,"qty":0}]"#, "[]"), Ok(true));
    assert_eq!(prices(book.bids()), [97]);
    assert_eq!(apply(&mut book, r#"[{"price":1e3,"qty":1}]"#, "[]"), Err(BookError::Number));
}

#[test]
fn the_checksum_reads_digits_without_point_and_leading_zeros() {
    let mut book = Book::new(10);
    let (bids, asks) = (r#"[{"price":0.05005,"qty":0.50000000}]"#, r#"[{"price":45285.2,"qty":0.00100000}]"#);
    let sum = crc32fast::hash(b"452852100000500550000000");
    assert_eq!(book.apply(&levels(bids), &levels(asks), sum, 10), Ok(true));
    let refused = book.apply(&[], &[], sum + 1, 10);
    assert_eq!(refused, Err(BookError::Checksum { expected: sum + 1, found: sum }));
}

#[test]
fn prices_of_different_scales_are_compared_as_numbers() {
    let amount = |text| Amount::parse(text).unwrap();
    assert!(amount("10.5") > amount("10.49") && amount("10") < amount("10.1"));
    assert_eq!(amount("10").partial_cmp(&amount("10.00")), Some(Ordering::Equal));
    for wrong in ["", ".", "1.", ".5", "-1", "1e3", "1.2.3", "1234567890123456789.1", "NaN"] {
        assert_eq!(Amount::parse(wrong), None, "{wrong}");
    }
}
