//! Repeated images: when they come, what they hold, and that a decoder that begins with them goes on like one that has
//! read everything.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use tickline_config::model::DecoderKind;
use tickline_feeds::connect::{Event, TopicId};
use tickline_feeds::decoder::FrameClass;

use super::play::{BASE_MS, Play, settings};
use crate::betfair_ladders::{Plain, change};
use crate::reading::Point;
use crate::rig::Rig;

const TOPIC: TopicId = TopicId(0);

fn market(id: usize) -> Value {
    json!({"id": format!("1.{id:03}"), "img": true, "marketDefinition": {"status": "OPEN", "runners": [{"id": 7}]},
        "rc": [{"id": 7, "atb": [[2.5, 1]]}]})
}

fn whole(markets: Vec<Value>) -> String {
    json!({"op": "mcm", "clk": "A", "pt": BASE_MS, "ct": "SUB_IMAGE", "mc": markets}).to_string()
}

fn status(id: usize, status: &str) -> String {
    json!({"op": "mcm", "clk": "B", "pt": BASE_MS + 1, "mc": [{"id": format!("1.{id:03}"),
        "marketDefinition": {"status": status, "runners": [{"id": 7}]}}]})
    .to_string()
}

/// Lets time pass; the venue sends heartbeats.
fn live(play: &mut Play, until_ms: u64) {
    while play.ms < until_ms {
        play.until((play.ms + 4_000).min(until_ms));
        play.line(r#"{"op":"mcm","clk":"H","ct":"HEARTBEAT"}"#);
    }
}

/// The markets that were repeated since the last time, in order.
fn repeated(play: &mut Play) -> Vec<String> {
    let messages = std::mem::take(&mut play.messages);
    let images = messages.iter().filter(|message| message.is_image());
    images.map(|message| message.body["mc"][0]["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_image_holds_ladders_figures_and_the_definition() {
    let mut play = Play::subscribed(settings());
    let definition = json!({"status": "OPEN", "inPlay": false, "bettingType": "ODDS", "version": 3,
        "runners": [{"id": 7, "hc": 0}, {"id": 8, "hc": -1.5}]});
    for market in [
        json!({"id": "1.1", "img": true, "tv": 10.5, "marketDefinition": definition, "rc": [
            {"id": 7, "atb": [[2.5, 1], [2.48, 3]], "atl": [[2.52, 4.25]], "ltp": 2.5, "spn": "NaN", "trd": [[2.5, 9]]},
            {"id": 8, "hc": -1.5, "batb": [[0, 1.9, 20.40], [2, 1.8, 5]], "bdatl": [[0, 1.95, 2]]}]}),
        json!({"id": "1.1", "tv": 12, "rc": [{"id": 7, "atb": [[2.5, 0]], "atl": [], "spf": 2.61, "tv": 4.5},
            {"id": 9}, {"ltp": 1}]}),
    ] {
        play.line(&json!({"op": "mcm", "clk": "A", "pt": BASE_MS + 9, "mc": [market]}).to_string());
    }
    play.messages.clear();
    play.on(Event::Joined(TOPIC));
    let [image] = play.messages.as_slice() else { panic!("{:?}", play.messages) };
    assert_eq!(
        image.body,
        json!({"_image": true, "op": "mcm", "pt": BASE_MS + 9, "mc": [{"id": "1.1", "img": true, "tv": "12",
            "marketDefinition": {"status": "OPEN", "inPlay": false, "bettingType": "ODDS", "version": 3,
                "runners": [{"id": 7, "hc": "0"}, {"id": 8, "hc": "-1.5"}]},
            "rc": [
                {"id": 7, "ltp": "2.5", "tv": "4.5", "spf": "2.61", "atb": [["2.48", "3"]], "atl": []},
                {"id": 8, "hc": "-1.5", "atb": [], "atl": [], "bdatl": [[0, "1.95", "2"]],
                    "batb": [[0, "1.9", "20.4"], [2, "1.8", "5"]]},
                {"id": 9}]}]})
    );
    assert_eq!((image.topic.as_str(), image.tie), ("betfair_stream", 0));
    assert_eq!(Rig::of(DecoderKind::BetfairStream).points(&image.payload), (FrameClass::Control, vec![]));
}

#[test]
fn each_market_is_repeated_once_a_minute_and_never_many_at_once() {
    let mut play = Play::subscribed(settings());
    play.line(&whole((0..120).map(market).collect()));
    repeated(&mut play);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for second in 1..=180 {
        live(&mut play, second * 1_000);
        let ids = repeated(&mut play);
        assert!(ids.len() <= 3, "{ids:?} in one second");
        ids.into_iter().for_each(|id| *counts.entry(id).or_default() += 1);
    }
    assert_eq!(counts.len(), 120);
    assert!(counts.values().all(|count| *count == 3), "{counts:?}");
    assert_eq!(play.stream.met().images, 360);
}

#[test]
fn a_market_that_comes_later_does_not_wait_for_the_minute_of_those_before() {
    let mut play = Play::subscribed(settings());
    play.line(&whole(vec![market(0)]));
    live(&mut play, 59_000);
    assert_eq!(repeated(&mut play), [""; 0]);
    let new = json!({"op": "mcm", "clk": "B", "pt": BASE_MS, "mc": (1..60).map(market).collect::<Vec<_>>()});
    play.line(&new.to_string());
    live(&mut play, 120_000);
    assert_eq!(repeated(&mut play).into_iter().collect::<BTreeSet<_>>().len(), 60);
}

#[test]
fn a_subscriber_is_given_every_market_at_once_and_the_next_one_a_second_later() {
    let mut play = Play::subscribed(settings());
    play.line(&whole((0..5).map(market).collect()));
    repeated(&mut play);
    play.on(Event::Joined(TopicId(3)));
    assert_eq!(repeated(&mut play), [""; 0], "another topic");
    play.on(Event::Joined(TOPIC));
    let all = ["1.000", "1.001", "1.002", "1.003", "1.004"];
    assert_eq!(repeated(&mut play), all);
    play.until(400);
    (0..9).for_each(|_| play.on(Event::Joined(TOPIC)));
    play.until(999);
    assert_eq!(repeated(&mut play), [""; 0]);
    play.until(1_000);
    assert_eq!(repeated(&mut play), all);
    play.until(2_500);
    assert_eq!(repeated(&mut play), [""; 0], "nobody waits any more");
}

#[test]
fn markets_that_closed_or_left_the_subscription_or_never_had_an_image_are_not_repeated() {
    let mut play = Play::subscribed(settings());
    play.line(&whole((0..5).map(market).collect()));
    play.line(&status(1, "CLOSED"));
    play.line(&status(2, "SUSPENDED"));
    play.line(&status(9, "OPEN"));
    repeated(&mut play);
    play.on(Event::Joined(TOPIC));
    assert_eq!(repeated(&mut play), ["1.000", "1.002", "1.003", "1.004"]);
    play.line(&whole(vec![market(3), market(8)]));
    repeated(&mut play);
    play.until(1_000);
    play.on(Event::Joined(TOPIC));
    assert_eq!(repeated(&mut play), ["1.003", "1.008"]);
}

#[test]
fn images_in_parts_are_kept_as_one() {
    let part = |segment: &str, markets: Vec<Value>| {
        let whole = whole(markets).replacen('{', &format!("{{\"segmentType\":\"{segment}\","), 1);
        assert!(whole.contains(segment));
        whole
    };
    let mut play = Play::subscribed(settings());
    play.line(&whole(vec![market(7)]));
    play.line(&part("SEG_START", vec![market(1)]));
    play.line(&part("SEG", vec![market(2)]));
    play.line(&part("SEG_END", vec![market(3)]));
    repeated(&mut play);
    play.on(Event::Joined(TOPIC));
    assert_eq!(repeated(&mut play), ["1.001", "1.002", "1.003"]);
}

#[test]
fn markets_beyond_the_limit_are_counted_and_not_repeated() {
    let mut play = Play::subscribed(settings());
    play.line(&whole((0..2_003).map(market).collect()));
    repeated(&mut play);
    play.on(Event::Joined(TOPIC));
    assert_eq!((repeated(&mut play).len(), play.stream.met().not_kept), (2_000, 3));
}

/// Points without regard to the order in which runners stand in a message.
fn sorted(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by_key(Point::identity);
    points
}

/// What the plain model knows of: prices and figures of runners, without times.
fn plainly(points: &[Point]) -> Vec<Point> {
    let runners = points.iter().filter(|point| point.measurement == "betfair_stream");
    let mut plain: Vec<Point> = runners.map(Clone::clone).collect();
    for point in &mut plain {
        point.time = 0;
        point.fields.retain(|name, _| !matches!(name.as_str(), "recv_ns" | "flags" | "venue_ns"));
    }
    plain
}

proptest! {
    #[test]
    fn a_decoder_that_begins_with_repeated_images_makes_the_points_of_one_that_read_everything(
        messages in prop::collection::vec((prop::collection::vec(change(), 0..3), 0_u32..12), 2..30),
        joined in prop::collection::vec(0_usize..30, 1..4),
    ) {
        let mut play = Play::subscribed(settings());
        let mut first = Rig::of(DecoderKind::BetfairStream);
        let mut late: Vec<Rig> = Vec::new();
        let mut plain = Plain::default();
        let (mut open, mut seen) = (BTreeSet::new(), BTreeSet::new());
        for (at, (mut changes, kind)) in messages.into_iter().enumerate() {
            // One that joins is given every market.
            if joined.contains(&at) {
                late.push(Rig::of(DecoderKind::BetfairStream));
                play.until(play.ms + 1_000);
                play.messages.clear();
                play.on(Event::Joined(TOPIC));
                for image in &play.messages {
                    prop_assert!(image.is_image());
                    for rig in late.iter_mut().chain([&mut first]) {
                        prop_assert_eq!(rig.points(&image.payload), (FrameClass::Control, vec![]));
                    }
                }
            }
            // A message names a market once.
            let mut named = BTreeSet::new();
            changes.retain(|change| named.insert(change["id"].as_str().unwrap().to_owned()));
            // A market that is not in the venue's whole state has left, and with it what a late decoder could know.
            let of_image = kind < 4 && seen.is_subset(&named);
            if of_image {
                open.clear();
            }
            for change in &mut changes {
                // As the venue does: a market begins with an image and its definition, and keeps its kind of bets. Ladders
                // by price are not read of lines: one alone behind an image without ladders would be told twice.
                let id = change["id"].as_str().unwrap().to_owned();
                for entry in change["rc"].as_array_mut().into_iter().flatten().filter(|_| id != "1.1") {
                    entry.as_object_mut().unwrap().retain(|key, _| key != "atb" && key != "atl");
                }
                if !open.contains(&id) {
                    change["img"] = json!(true);
                    if seen.insert(id.to_owned()) && change.get("marketDefinition").is_none() {
                        change["marketDefinition"] = json!({"status": "OPEN"});
                    }
                }
                if let Some(definition) = change.get_mut("marketDefinition") {
                    definition["bettingType"] = json!(if id == "1.1" { "ODDS" } else { "LINE" });
                    if definition["status"] == "CLOSED" {
                        seen.remove(&id);
                        open.remove(&id);
                    } else {
                        open.insert(id);
                    }
                } else {
                    open.insert(id);
                }
            }
            let mut message = json!({"op": "mcm", "clk": "A", "pt": BASE_MS + at as i64 / 2, "mc": changes});
            if of_image {
                message["ct"] = json!("SUB_IMAGE");
            }
            play.messages.clear();
            play.line(&message.to_string());
            let payload = &play.messages.last().unwrap().payload;
            let (_, points) = first.points(payload);
            let expected = plain.message(&message, false);
            prop_assert_eq!(plainly(&points), expected);
            let points = sorted(points);
            for rig in &mut late {
                prop_assert_eq!(sorted(rig.points(payload).1), points.clone());
            }
        }
        prop_assert_eq!(first.counts().timestamp_collisions, 0);
    }
}
