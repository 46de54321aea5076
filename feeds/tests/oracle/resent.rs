//! Messages that are sent again (`_resend`), as a last-value cache does for who comes late: what they make, and what they do to
//! the ledger. The rig sees that its equations hold after every message.

use serde_json::{Value, json};
use tickline_config::model::{DecoderKind, Feed, FieldChoice};
use tickline_feeds::decoder::FrameClass;

use crate::rig::{RECEIVED_NS, Rig, feed};
use crate::tree::pack;

fn tick(src: u32, seq: u64, pair: &str) -> Value {
    json!({
        "_v": 1, "_src": src, "_seq": seq, "_recv": RECEIVED_NS, "symbol": pair, "bid": format!("{seq}.5"),
        "ask": "100000", "timestamp": "2026-08-02T03:36:02.5Z",
    })
}

fn again(mut message: Value) -> Value {
    message["_resend"] = json!(true);
    message
}

fn rig() -> Rig {
    Rig::new(feed(DecoderKind::KrakenTick, FieldChoice::Core))
}

/// Sent, sequenced, duplicate, lost.
fn ledger(rig: &Rig) -> [u64; 4] {
    let counts = rig.counts();
    [counts.published, counts.sequenced, counts.duplicate, counts.lost_before_receive]
}

#[test]
fn who_comes_late_stores_the_last_values_and_joins_at_the_first_message_that_is_its_own() {
    let mut rig = rig();
    for (seq, pair) in [(42, "A/B"), (5, "C/D"), (97, "E/F")] {
        assert_eq!(rig.points(&pack(again(tick(7, seq, pair)))).1.len(), 1);
    }
    assert_eq!(ledger(&rig), [0, 3, 3, 0], "what lies between them is no loss");
    assert_eq!(rig.points(&pack(tick(7, 98, "A/B"))).1.len(), 1);
    rig.points(&pack(tick(7, 100, "A/B")));
    assert_eq!(ledger(&rig), [3, 5, 3, 1]);
    // Another source's last value is no restart of this one.
    assert_eq!(rig.points(&pack(again(tick(6, 1_000, "G/H")))).1.len(), 1);
    assert_eq!((ledger(&rig), rig.counts().publisher_restarts), ([3, 6, 4, 1], 0));
}

#[test]
fn who_was_there_makes_no_point_of_a_last_value_again() {
    let mut rig = rig();
    for seq in 1..=10 {
        rig.points(&pack(tick(7, seq, "A/B")));
    }
    for seq in [10, 3] {
        assert_eq!(rig.lines(&pack(again(tick(7, seq, "A/B")))), (FrameClass::Control, &b""[..]));
    }
    assert_eq!((ledger(&rig), rig.counts().points_made, rig.counts().candidates), ([10, 12, 2, 0], 10, 10));
}

#[test]
fn who_was_away_for_a_while_takes_a_last_value_for_the_message_that_it_missed() {
    let mut rig = rig();
    rig.points(&pack(tick(7, 90, "A/B")));
    assert_eq!(rig.points(&pack(again(tick(7, 97, "A/B")))).1.len(), 1);
    assert_eq!(ledger(&rig), [8, 2, 0, 6]);
    assert_eq!(rig.points(&pack(again(tick(7, 95, "C/D")))).1.len(), 1, "it fills its hole");
    assert_eq!(rig.points(&pack(again(tick(7, 95, "C/D")))).1.len(), 0);
    rig.points(&pack(tick(7, 98, "A/B")));
    assert_eq!(ledger(&rig), [9, 5, 1, 5]);
}

#[test]
fn a_last_value_has_no_latency_and_holds_no_quote_back() {
    let kraken = Feed { deadband_ppm: Some(1_000_000), ..feed(DecoderKind::KrakenTick, FieldChoice::Core) };
    let mut rig = Rig::new(kraken);
    assert_eq!(rig.points(&pack(tick(7, 1, "A/B"))).1.len(), 1);
    assert_eq!(rig.points(&pack(again(tick(7, 1, "A/B")))).0, FrameClass::Control);
    assert_eq!(rig.points(&pack(tick(7, 2, "A/B"))).1.len(), 1, "what was not written is forgotten");
    let unnumbered = again(json!({"symbol": "A/B", "bid": "1", "ask": "2"}));
    rig.points(&pack(unnumbered));
    assert_eq!(rig.counts().unsequenced, 1);
}

#[test]
fn a_change_of_a_ladder_is_not_applied_again() {
    let mut rig = Rig::of(DecoderKind::BetfairStream);
    let change = |seq: u64, image: bool, price: f64| {
        let change = json!({"id": 7, "atb": [[price, 5.0]]});
        let market = json!({"id": "1.1", "img": image, "rc": [change]});
        json!({"_v": 1, "_src": 7, "_seq": seq, "op": "mcm", "pt": 1_785_641_762_000_u64 + seq, "mc": [market]})
    };
    assert_eq!(rig.points(&pack(change(1, true, 2.0))).1.len(), 1);
    assert_eq!(rig.points(&pack(again(change(2, false, 3.0)))).0, FrameClass::Control);
    // With 3.0 in the ladder the best price would have stayed as it is.
    assert_eq!(rig.points(&pack(change(3, false, 2.5))).1.len(), 1);
}
