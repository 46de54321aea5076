//! What a feed with a deadband leaves out, judged on whole numbers by the rule in the configuration's words.

use proptest::prelude::*;
use serde_json::{Value, json};
use tickline_config::model::{DecoderKind, Feed, FieldChoice};
use tickline_feeds::decoder::FrameClass;

use crate::rig::{RECEIVED_NS, Rig, feed};
use crate::tree::pack;

const SECOND_NS: i64 = 1_000_000_000;
const PAIRS: [&str; 2] = ["BTC/USD", "ETH/USD"];

/// One quote: which pair, bid and ask in hundredths (none: the side is not there), seconds after the one before.
#[derive(Clone, Debug)]
struct Quote {
    pair: usize,
    sides: [Option<i64>; 2],
    after_s: i64,
}

fn quote() -> impl Strategy<Value = Quote> {
    let price = |from: i64| prop_oneof![9 => (from..from + 40).prop_map(Some), 1 => Just(None)];
    let after_s = prop_oneof![8 => 0..3_i64, 1 => 30..80_i64];
    (0..PAIRS.len(), price(100_000), price(100_020), after_s).prop_map(|(pair, bid, ask, after_s)| Quote {
        pair,
        sides: [bid, ask],
        after_s,
    })
}

fn payload(quote: &Quote, recv_ns: i64) -> Value {
    let [bid, ask] = quote.sides.map(|side| side.map(|p| format!("{}.{:02}", p / 100, p % 100)));
    let tick = json!({"symbol": PAIRS[quote.pair], "bid": bid, "ask": ask, "last": "1000.5"});
    json!({"_v": 1, "_recv": recv_ns, "channel": "ticker", "type": "update", "data": [tick]})
}

fn with_deadband(ppm: u32) -> Feed {
    Feed { deadband_ppm: Some(ppm), ..feed(DecoderKind::KrakenTick, FieldChoice::All) }
}

/// Written or not; none where both are right: a move of just the deadband.
fn expected(last: Option<(&Quote, i64)>, now: &Quote, at_s: i64, ppm: i64) -> Option<bool> {
    let Some((last, last_s)) = last else { return Some(true) };
    let crossed = |q: &Quote| matches!(q.sides, [Some(bid), Some(ask)] if bid >= ask);
    if at_s - last_s >= 60 || crossed(last) != crossed(now) {
        return Some(true);
    }
    let mut edge = false;
    for (last, now) in last.sides.iter().zip(now.sides) {
        match (last, now) {
            (Some(last), Some(now)) if (now - last).abs() * 1_000_000 > ppm * last => return Some(true),
            (Some(last), Some(now)) => edge |= now != *last && (now - last).abs() * 1_000_000 == ppm * last,
            (None, None) => {}
            _ => return Some(true),
        }
    }
    if edge { None } else { Some(false) }
}

proptest! {
    #[test]
    fn a_quote_is_left_out_only_while_it_stays_within_the_deadband_of_the_last_one_written(
        quotes in prop::collection::vec(quote(), 1..60),
        ppm in prop_oneof![Just(0_u32), 1..400_u32],
    ) {
        let mut rig = Rig::new(with_deadband(ppm));
        let mut written: [Option<(&Quote, i64)>; 2] = [None; 2];
        let (mut at_s, mut made) = (0, 0);
        for quote in &quotes {
            at_s += quote.after_s;
            let (class, points) = rig.points(&pack(payload(quote, RECEIVED_NS + at_s * SECOND_NS)));
            prop_assert_eq!(class, FrameClass::Points);
            if let Some(expected) = expected(written[quote.pair], quote, at_s, i64::from(ppm)) {
                prop_assert_eq!(points.len() == 1, expected, "{:?} after {:?}", quote, written[quote.pair]);
            }
            if !points.is_empty() {
                written[quote.pair] = Some((quote, at_s));
                made += 1;
            }
        }
        let counts = rig.counts();
        prop_assert_eq!((counts.points_made, counts.candidates), (made, quotes.len() as u64));
        prop_assert_eq!(counts.unchanged, quotes.len() as u64 - made);
    }
}

#[test]
fn quotes_of_a_frame_that_is_not_written_hold_nothing_back() {
    let mut rig = Rig::new(with_deadband(0));
    let tick = |bid: i64| payload(&Quote { pair: 0, sides: [Some(bid), Some(200)], after_s: 0 }, RECEIVED_NS);
    assert_eq!(rig.points(&pack(tick(100))).1.len(), 1);
    let broken = pack(json!([tick(101), 7]));
    assert_eq!(rig.points(&broken).1.len(), 0, "the bundle's second element is no map");
    assert_eq!(rig.points(&pack(tick(101))).1.len(), 1, "101 has not been written yet");
    assert_eq!(rig.points(&pack(tick(101))).1.len(), 0);
}

#[test]
fn each_side_of_an_oanda_price_is_watched_and_the_predecessors_row_goes_the_same_way() {
    let mut oanda =
        Rig::new(Feed { deadband_ppm: Some(100), ..feed(DecoderKind::OandaTick, FieldChoice::Core) });
    let price = |bid: &str, ask: &str| {
        pack(
            json!({"type": "PRICE", "instrument": "EUR_USD", "bids": [{"price": bid}], "asks": [{"price": ask}]}),
        )
    };
    let made =
        [("1.10000", "1.10010"), ("1.10010", "1.10020"), ("1.10012", "1.10010"), ("1.10011", "1.10022")]
            .map(|(bid, ask)| oanda.points(&price(bid, ask)).1.len());
    assert_eq!(made, [1, 0, 1, 1], "within 100 millionths; crossed; no longer crossed");
    let halted = pack(json!({
        "type": "PRICE", "instrument": "EUR_USD", "tradeable": false,
        "bids": [{"price": "1.10011"}], "asks": [{"price": "1.10022"}],
    }));
    assert_eq!([(); 2].map(|()| oanda.points(&halted).1.len()), [1, 0], "a halt is told once");
    let mut legacy = Rig::with_legacy(with_deadband(0), true);
    let tick = pack(payload(&Quote { pair: 0, sides: [Some(100), Some(200)], after_s: 0 }, RECEIVED_NS));
    assert_eq!([(); 2].map(|()| legacy.points(&tick).1.len()), [2, 0]);
}
