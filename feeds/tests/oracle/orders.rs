//! What decoders of orders and definitions keep from one message to the next, and what they do not.

use serde_json::{Value, json};
use tickline_config::model::{DecoderKind, Feed, FieldChoice, Format};
use tickline_feeds::counts::Undecodable;
use tickline_feeds::decoder::FrameClass;
use tickline_feeds::news::News;

use crate::reading::Field;
use crate::rig::{Rig, feed};
use crate::tree::pack;

const PT_MS: i64 = 1_785_641_762_621;

fn order(market: u32, closed: bool) -> Vec<u8> {
    let order = json!({"id": "9", "side": "B", "status": "EC", "p": "2"});
    pack(json!({"op": "ocm", "pt": PT_MS, "oc": [
        {"id": format!("1.{market}"), "closed": closed, "orc": [{"id": 7, "uo": [order]}]}]}))
}

fn small(series_max: usize) -> Rig {
    Rig::new(Feed { series_max, ..feed(DecoderKind::BetfairOrders, FieldChoice::All) })
}

#[test]
fn closed_markets_make_room_for_the_orders_of_others() {
    let mut rig = small(300);
    (0..2_000).for_each(|market| drop(rig.points(&order(market, true))));
    assert_eq!((rig.counts().points_made, rig.counts().bad_points), (2_000, 0));
    let mut rig = small(300);
    (0..2_000).for_each(|market| drop(rig.points(&order(market, false))));
    assert_eq!((rig.counts().points_made, rig.counts().bad_points), (300, 1_700));
}

#[test]
fn a_late_order_of_a_closed_market_takes_no_earlier_points_time() {
    let mut rig = small(1_000);
    let mut time = |market, closed| rig.points(&order(market, closed)).1[0].time - PT_MS * 1_000_000;
    assert_eq!([time(1, true), time(2, true), time(1, false), time(1, true), time(1, true)], [0, 0, 1, 2, 3]);
    for other in 10..200 {
        time(other, true);
    }
    assert_eq!((time(1, true), time(2, true)), (4, 1));
}

fn definition(status: &str) -> Value {
    json!({"exchange": "kraken", "instrument": "BTC/USD", "price_increment": "0.1", "status": status,
        "timestamp": PT_MS * 1_000_000})
}

#[test]
fn a_definition_of_a_frame_that_is_undecodable_was_not_said() {
    let mut rig = Rig::of(DecoderKind::Instruments);
    let statuses = |rig: &mut Rig, payload: Value| -> Vec<Field> {
        let (class, points) = rig.points(&pack(payload));
        assert_eq!(class, FrameClass::Points);
        points.iter().map(|point| point.fields["status"].clone()).collect()
    };
    let text = |status: &str| vec![Field::Text(status.to_owned())];
    assert_eq!(statuses(&mut rig, definition("online")), text("online"));
    let broken = pack(json!([definition("post_only"), 7]));
    assert_eq!(rig.points(&broken).0, FrameClass::Undecodable(Undecodable::NotAMap));
    assert_eq!(statuses(&mut rig, definition("post_only")), text("post_only"));
    assert_eq!(statuses(&mut rig, definition("post_only")), []);
    assert_eq!(statuses(&mut rig, json!([definition("online"), definition("online")])), text("online"));
    let counts = rig.counts();
    assert_eq!((counts.candidates, counts.points_made, counts.unchanged), (5, 3, 2));
}

#[test]
fn an_event_in_json_is_heard_and_its_numbers_are_followed() {
    let mut rig = Rig::new(Feed { format: Format::Json, ..feed(DecoderKind::KrakenTick, FieldChoice::All) });
    let now = crate::rig::RECEIVED_NS;
    for (seq, more) in
        [(1, json!({})), (4, json!({"_event": "down", "scope": "*", "from": now - 5, "to": now}))]
    {
        let mut payload = json!({"_v": 1, "_src": 7, "_seq": seq, "_ts": now, "symbol": "A/B", "bid": 1.5});
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rig.points(payload.to_string().as_bytes());
    }
    assert_eq!((rig.counts().sequenced, rig.counts().lost_before_receive, rig.counts().control), (2, 2, 1));
    let heard =
        rig.news().iter().find_map(|news| if let News::Event(event) = news { Some(event) } else { None });
    let event = heard.expect("the event is told");
    assert_eq!((event.kind.as_str(), event.at_ns), ("down", now));
}
