//! Times that cannot collide: as many points as ticks, however they are packed and whoever counts them, and
//! nothing changes when messages come again.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tickline_config::model::DecoderKind;

use crate::reading::{Field, Point};
use crate::rig::Rig;
use crate::tree::pack;

const PT_MS: i64 = 1_785_700_000_123;
const AT: &str = "2026-08-02T03:36:02.621302Z";
const AT_NS: i64 = 1_785_641_762_621_302_000;

/// How ticks are packed into messages.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Packing {
    OneMessage,
    Bundle,
    Many,
}

/// Who tells the ordinals apart.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Publisher {
    /// Ours: `_v`, `_seq` and `_tie`.
    Tie,
    /// One that numbers its messages and knows nothing of ties.
    Numbered,
    /// The predecessor: no reserved key at all.
    Bare,
}

const PACKINGS: [Packing; 3] = [Packing::OneMessage, Packing::Bundle, Packing::Many];

fn betfair_tick(n: u32) -> Value {
    json!({"id": 7, "ltp": format!("{}.{:02}", 2 + n % 2, n % 100)})
}

fn betfair(ticks: Vec<Value>) -> Value {
    json!({"op": "mcm", "pt": PT_MS, "mc": [{"id": "1.2", "rc": ticks}]})
}

fn kraken_tick(n: u32) -> Value {
    json!({"symbol": "BTC/USD", "bid": format!("{n}.5"), "ask": "9999", "timestamp": AT})
}

fn kraken(ticks: Vec<Value>) -> Value {
    json!({"channel": "ticker", "type": "update", "data": ticks})
}

fn report(n: u32) -> Value {
    json!({"symbol": "BTC/USD", "side": "buy", "order_status": "new", "order_id": format!("O{n}"), "timestamp": AT})
}

fn executions(reports: Vec<Value>) -> Value {
    json!({"channel": "executions", "type": "update", "data": reports})
}

fn order(n: u32) -> Value {
    json!({"id": n.to_string(), "side": "B", "status": "E", "p": "2", "s": "1"})
}

fn orders(orders: Vec<Value>) -> Value {
    json!({"op": "ocm", "pt": PT_MS, "oc": [{"id": "1.2", "orc": [{"id": 7, "uo": orders}]}]})
}

/// How a venue writes the n-th tick, and a message of some.
type Shape = (fn(u32) -> Value, fn(Vec<Value>) -> Value);

/// `count` ticks as payloads.
fn payloads(count: u32, packing: Packing, publisher: Publisher, (tick, message): Shape) -> Vec<Vec<u8>> {
    let signed = |mut map: Value, seq: u32, tie: u32| {
        if publisher != Publisher::Bare {
            map["_src"] = json!(5);
            map["_seq"] = json!(seq);
        }
        if publisher == Publisher::Tie {
            map["_v"] = json!(1);
            map["_tie"] = json!(tie);
        }
        map
    };
    match packing {
        Packing::OneMessage => vec![pack(signed(message((0..count).map(tick).collect()), 1, 0))],
        Packing::Bundle => {
            let map = |n| signed(message(vec![tick(n)]), 1, n);
            vec![pack(Value::Array((0..count).map(map).collect()))]
        }
        Packing::Many => (0..count).map(|n| pack(signed(message(vec![tick(n)]), n + 1, n))).collect(),
    }
}

type Stored = BTreeMap<(String, Vec<(String, String)>, i64), BTreeMap<String, Field>>;

/// What a database holds after the payloads: the last point of each series and time.
fn store(rig: &mut Rig, payloads: &[Vec<u8>], stored: &mut Stored) -> Vec<Point> {
    let points: Vec<Point> = payloads.iter().flat_map(|payload| rig.points(payload).1).collect();
    stored.extend(points.iter().map(|point| (point.identity(), point.fields.clone())));
    points
}

fn check(kind: DecoderKind, payloads: &[Vec<u8>], count: u32, base: i64, unit_ns: i64, repeats: bool) {
    let (mut rig, mut stored) = (Rig::of(kind), Stored::new());
    let points = store(&mut rig, payloads, &mut stored);
    assert_eq!(stored.len(), count as usize, "as many points as ticks");
    let times: Vec<i64> = points.iter().map(|point| point.time).collect();
    assert!(times.is_sorted(), "in order");
    assert!(times.iter().all(|time| (base..base + unit_ns).contains(time)), "at the venue's time");
    assert_eq!((rig.counts().timestamp_collisions, rig.counts().timestamp_overflow), (0, 0));
    if repeats {
        let before = stored.clone();
        store(&mut rig, payloads, &mut stored);
        assert_eq!(stored, before, "duplicates change nothing");
        assert_eq!(rig.counts().timestamp_collisions, 0);
    }
}

#[test]
fn ten_thousand_ticks_of_one_runner_at_one_pt_are_as_many_points_however_packed() {
    for packing in PACKINGS {
        for publisher in [Publisher::Tie, Publisher::Numbered, Publisher::Bare] {
            let payloads = payloads(10_000, packing, publisher, (betfair_tick, betfair));
            let repeats = publisher != Publisher::Bare;
            check(DecoderKind::BetfairStream, &payloads, 10_000, PT_MS * 1_000_000, 1_000_000, repeats);
        }
    }
}

#[test]
fn a_thousand_ticks_of_one_pair_in_one_microsecond_are_as_many_points_however_packed() {
    for packing in PACKINGS {
        for publisher in [Publisher::Tie, Publisher::Numbered, Publisher::Bare] {
            let payloads = payloads(1_000, packing, publisher, (kraken_tick, kraken));
            let repeats = publisher != Publisher::Bare;
            check(DecoderKind::KrakenTick, &payloads, 1_000, AT_NS, 1_000, repeats);
        }
    }
}

#[test]
fn orders_of_one_moment_are_as_many_points_however_packed() {
    for packing in PACKINGS {
        for publisher in [Publisher::Tie, Publisher::Numbered, Publisher::Bare] {
            let repeats = publisher != Publisher::Bare;
            let payloads_of = |shape| payloads(1_000, packing, publisher, shape);
            let of_kraken = payloads_of((report, executions));
            check(DecoderKind::KrakenOrders, &of_kraken, 1_000, AT_NS, 1_000, repeats);
            let of_betfair = payloads_of((order, orders));
            check(DecoderKind::BetfairOrders, &of_betfair, 1_000, PT_MS * 1_000_000, 1_000_000, repeats);
        }
    }
}

#[test]
fn transactions_of_a_batch_stand_in_the_order_of_their_ids_whoever_sends_them() {
    let transaction =
        |id: u32| json!({"type": "ORDER_FILL", "id": id.to_string(), "batchID": "6355", "time": AT});
    let (mut first, mut second) = (Stored::new(), Stored::new());
    let bundle = [pack(json!([transaction(6_355), transaction(6_356), transaction(6_358)]))];
    let parts = [6_358, 6_355, 6_356].map(|id| {
        let mut signed = transaction(id);
        (signed["_v"], signed["_tie"], signed["_seq"]) = (json!(1), json!(40), json!(id));
        pack(signed)
    });
    for (payloads, stored) in [(&bundle[..], &mut first), (&parts, &mut second)] {
        let mut rig = Rig::of(DecoderKind::OandaOrders);
        store(&mut rig, payloads, stored);
        assert_eq!((rig.counts().timestamp_collisions, rig.counts().tiebreak_local), (0, 0));
    }
    assert_eq!(first, second);
    let times: Vec<i64> = first.keys().map(|(.., time)| *time).collect();
    assert_eq!(times, [AT_NS, AT_NS + 1, AT_NS + 3]);
}

#[test]
fn with_ties_given_every_packing_stores_the_same_points() {
    let stored = PACKINGS.map(|packing| {
        let mut stored = Stored::new();
        let payloads = payloads(1_000, packing, Publisher::Tie, (kraken_tick, kraken));
        store(&mut Rig::of(DecoderKind::KrakenTick), &payloads, &mut stored);
        stored
    });
    assert_eq!(stored[0], stored[1]);
    assert_eq!(stored[0], stored[2]);
}

#[test]
fn past_the_last_slot_a_point_is_moved_marked_and_counted_but_not_lost() {
    let mut rig = Rig::of(DecoderKind::KrakenTick);
    let mut stored = Stored::new();
    let payloads = payloads(1_003, Packing::Many, Publisher::Bare, (kraken_tick, kraken));
    let points = store(&mut rig, &payloads, &mut stored);
    assert_eq!((stored.len(), rig.counts().timestamp_overflow), (1_003, 3));
    let marked = |point: &&Point| point.fields.get("flags") == Some(&Field::Int(16));
    let times: Vec<i64> = points.iter().filter(marked).map(|point| point.time).collect();
    assert_eq!(times, [AT_NS + 1_000, AT_NS + 1_001, AT_NS + 1_002]);
}

#[test]
fn a_given_tie_that_another_message_used_is_counted_as_a_collision() {
    let mut rig = Rig::of(DecoderKind::KrakenTick);
    let tick = |seq: u32, bid: &str| json!({"_v": 1, "_src": 5, "_seq": seq, "symbol": "BTC/USD", "bid": bid, "timestamp": AT});
    for (seq, bid, collisions) in [(1, "1", 0), (2, "2", 1), (1, "1", 1)] {
        rig.points(&pack(tick(seq, bid)));
        assert_eq!(rig.counts().timestamp_collisions, collisions, "after {seq}");
    }
}

#[test]
fn trades_of_one_microsecond_stand_in_the_order_of_their_ids_whoever_sends_them() {
    let trade = |id: i64| json!({"symbol": "BTC/USD", "side": "buy", "price": "1", "qty": "1", "trade_id": id, "timestamp": AT});
    let (mut first, mut second) = (Stored::new(), Stored::new());
    let whole = [pack(json!({"channel": "trade", "data": [trade(1_999), trade(2_000), trade(2_007)]}))];
    let parts = [2_007, 1_999, 2_000].map(|id| pack(trade(id)));
    for (payloads, stored) in [(&whole[..], &mut first), (&parts, &mut second)] {
        let mut rig = Rig::of(DecoderKind::KrakenTrades);
        store(&mut rig, payloads, stored);
        assert_eq!(rig.counts().timestamp_collisions, 0);
    }
    assert_eq!(first, second);
    let times: Vec<i64> = first.keys().map(|(.., time)| *time).collect();
    assert_eq!(times, [AT_NS, AT_NS + 7, AT_NS + 999]);
}
