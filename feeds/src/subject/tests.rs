use proptest::prelude::*;

use super::*;
use crate::clock::WallNanos;
use crate::payload::{PayloadWriter, Reserved, Times};
use crate::transcode::{KRAKEN_INTEGERS, transcode};

fn plain(json: &str) -> Vec<u8> {
    let mut out = PayloadWriter::default();
    transcode(json, KRAKEN_INTEGERS, &mut out).unwrap();
    out.bytes().to_vec()
}

/// With the reserved keys of our publishers in front.
fn ours(json: &str) -> Vec<u8> {
    let map = plain(json);
    let times = Times { sent: WallNanos(5), ..Times::default() };
    let mut out = PayloadWriter::default();
    out.begin(&Reserved { src: 7, seq: 9, times, tie: 0 }, u16::from(map[0] & 0x0f));
    out.raw(&map[1..]);
    out.bytes().to_vec()
}

#[test]
fn a_symbol_is_found_where_each_venue_puts_it() {
    let table = [
        (
            r#"{"channel":"ticker","type":"update","data":[{"bid":1,"symbol":"BTC/USD"},{"symbol":"X"}]}"#,
            Some("BTC/USD"),
        ),
        (r#"{"bids":[["1","2"]],"symbol":"ETH/USD"}"#, Some("ETH/USD")),
        (r#"{"type":"PRICE","instrument":"EUR_USD","bids":[]}"#, Some("EUR_USD")),
        (r#"{"op":"mcm","mc":[{"rc":[{"id":7}],"id":"1.23"}],"id":4}"#, Some("1.23")),
        (r#"{"data":[],"symbol":""}"#, None),
        (r#"{"data":[7],"mc":{}}"#, None),
        (r#"{"other":{"symbol":"A"}}"#, None),
        (r#"{"symbol":["A"]}"#, None),
    ];
    for (json, symbol) in table {
        for payload in [plain(json), ours(json), [b"\x91", &*ours(json)].concat()] {
            let subject = Subject::read(&payload).unwrap();
            assert_eq!(subject.symbol(), symbol, "{json}");
            assert_eq!(subject.envelope.seq, if payload == plain(json) { 0 } else { 9 });
        }
    }
}

#[test]
fn reserved_keys_are_found_wherever_another_publisher_puts_them() {
    let payload = plain(r#"{"symbol":"A","x":1,"_seq":"1","_hb":true}"#);
    let subject = Subject::read(&payload).unwrap();
    assert!(subject.envelope.is_control() && !subject.envelope.numbered);
    assert_eq!(Subject::read(b"\xa1x").map(|_| ()), Err(Undecodable::NotAMap));
    assert_eq!(Subject::read(b"\x90").map(|_| ()), Err(Undecodable::NotAMap));
}

#[test]
fn a_condition_looks_at_the_map_in_which_the_symbol_stands() {
    let json =
        r#"{"bid":"1","data":[{"symbol":"A","bid":"10.5","open":true,"n":3,"side":"buy","bids":[1]}]}"#;
    let table = [
        ("bid > 10", true),
        ("bid > 10.5", false),
        ("open == true", true),
        ("side == 'buy'", true),
        ("side > 1", false),
        ("bids != 1", false),
        ("missing != 1", false),
    ];
    for payload in [plain(json), ours(json)] {
        let subject = Subject::read(&payload).unwrap();
        for (text, holds) in table {
            assert_eq!(subject.fulfils(&Condition::parse(text).unwrap()), holds, "{text}");
        }
    }
    let top = ours(r#"{"instrument":"A","bid":"2"}"#);
    assert!(Subject::read(&top).unwrap().fulfils(&Condition::parse("bid >= 2").unwrap()));
}

#[test]
fn shares_are_the_same_in_every_version() {
    let shares = ["BTC/USD", "ETH/USD", "EUR_USD", ""].map(|symbol| share_of(symbol.as_bytes(), 3));
    assert_eq!(shares, [0, 2, 1, 0]);
    let mut sizes = [0_u32; 5];
    (0..10_000).for_each(|n| sizes[share_of(format!("C{n}/USD").as_bytes(), 5)] += 1);
    assert!(sizes.iter().all(|size| (1_800..2_200).contains(size)), "{sizes:?}");
}

proptest! {
    #[test]
    fn any_bytes_have_a_subject_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(subject) = Subject::read(&bytes) {
            subject.fulfils(&Condition::parse("a > 1").unwrap());
        }
    }
}
