//! Changes are published as they are; what is wrong with them is counted, and told where it matters.

use serde_json::json;
use tickline_config::model::DecoderKind;
use tickline_feeds::connect::Connector;
use tickline_feeds::connect::betfair::{Counts, Settings};

use super::play::{BASE_MS, Play, order_settings, settings};
use crate::rig::Rig;

fn image() -> String {
    json!({"op": "mcm", "id": 2, "initialClk": "I", "clk": "A", "conflateMs": 0, "heartbeatMs": 5000, "pt": BASE_MS,
        "ct": "SUB_IMAGE", "mc": [{"id": "1.1", "img": true, "marketDefinition": {"status": "OPEN", "inPlay": false,
        "priceLadderDefinition": {"type": "CLASSIC"}, "runners": [{"id": 7}]},
        "rc": [{"id": 7, "atb": [[2.66, 13.2]], "ltp": 2.68}]}]})
    .to_string()
}

fn delta(pt: i64, clk: &str) -> String {
    json!({"op": "mcm", "id": 2, "clk": clk, "pt": pt, "mc": [{"id": "1.1", "rc": [{"id": 7, "atb": [[2.64, 5]]}]}]})
        .to_string()
}

fn fed() -> Play {
    let mut play = Play::subscribed(settings());
    play.line(&image());
    assert_eq!(play.said()[0], "up: connected");
    play
}

#[test]
fn a_change_is_published_with_its_own_keys_and_decimals_as_text() {
    let mut play = Play::subscribed(settings());
    play.ms = 3;
    play.line(r#"{"op":"mcm","id":2,"clk":"AK/4","pt":1785760200001,"mc":[{"id":"1.1","con":true,"rc":[{"id":7,"atb":[[2.60,0]],"batb":[[0,2.68,20.40]],"spn":"NaN","new":null}]}]}"#);
    let [up, change] = play.messages.as_slice() else { panic!("{:?}", play.messages) };
    assert!(up.is_event() && up.to_string() == "up: connected");
    assert_eq!(
        change.body,
        json!({"op": "mcm", "id": 2, "clk": "AK/4", "pt": 1_785_760_200_001_i64, "mc": [{"id": "1.1", "con": true,
            "rc": [{"id": 7, "atb": [["2.60", "0"]], "batb": [[0, "2.68", "20.40"]], "spn": "NaN", "new": null}]}]})
    );
    assert_eq!((change.topic.as_str(), change.tie), ("betfair_stream", 0));
    assert_eq!(change.recv_ns, (BASE_MS + 3) * 1_000_000);
    assert_eq!(play.said().last().map(String::as_str), Some("state ready"));
}

#[test]
fn orders_are_published_as_they_are() {
    let mut play = Play::subscribed(order_settings());
    let line = r#"{"op":"ocm","id":2,"initialClk":"I","clk":"C","pt":1785760200000,"ct":"SUB_IMAGE","oc":[{"id":"1.1","fullImage":true,"closed":false,"orc":[{"id":7,"hc":8.5,"fullImage":true,"uo":[{"id":"175706685825","p":1.02,"s":2,"side":"L","status":"E","pt":"L","pd":1785760199000}],"mb":[[12,4.75]]}]}]}"#;
    play.line(line);
    assert_eq!(
        play.messages[1].body,
        json!({"op": "ocm", "id": 2, "initialClk": "I", "clk": "C", "pt": BASE_MS, "ct": "SUB_IMAGE", "oc": [{"id": "1.1",
            "fullImage": true, "closed": false, "orc": [{"id": 7, "hc": "8.5", "fullImage": true, "uo": [{
            "id": "175706685825", "p": "1.02", "s": "2", "side": "L", "status": "E", "pt": "L", "pd": "1785760199000"}],
            "mb": [["12", "4.75"]]}]}]})
    );
    assert_eq!(play.messages[1].topic, "betfair_orders");
    play.until(30_000);
    play.messages.clear();
    let topic = tickline_feeds::connect::TopicId(0);
    play.on(tickline_feeds::connect::Event::Joined(topic));
    assert_eq!(play.messages.len(), 0, "orders have no repeated images");
    play.closed("reset");
    play.until(play.due_ms().unwrap());
    play.connect();
    let sent = play.sent();
    assert!(sent["op"] == "orderSubscription" && sent["clk"] == "C" && sent["initialClk"] == "I", "{sent}");
}

#[test]
fn ordinals_of_one_publish_time_go_on_from_message_to_message() {
    let mut play = Play::subscribed(settings());
    let mut rig = Rig::of(DecoderKind::BetfairStream);
    // Several entries of one runner, a change of status, the same time again and again, and one that goes back.
    let entry = |price: f64| json!({"id": 7, "ltp": price});
    let suspended = json!({"status": "SUSPENDED", "runners": [{"id": 7}, {"id": 8}]});
    let at = |pt: i64, market: serde_json::Value| json!({"op": "mcm", "clk": "A", "pt": pt, "mc": [market]});
    play.line(&image());
    for message in [
        at(BASE_MS, json!({"id": "1.1", "rc": [entry(2.0), entry(2.1), entry(2.2)]})),
        at(BASE_MS, json!({"id": "1.1", "rc": [entry(2.3)]})),
        at(BASE_MS + 1, json!({"id": "1.1", "marketDefinition": suspended, "rc": [entry(2.4)]})),
        at(BASE_MS, json!({"id": "1.1", "rc": [entry(2.5), entry(2.6)]})),
        at(BASE_MS + 1, json!({"id": "1.1", "rc": [entry(2.7)]})),
    ] {
        play.line(&message.to_string());
    }
    let mut seen = std::collections::HashSet::new();
    let mut points = 0;
    for message in &play.messages {
        for point in rig.points(&message.payload).1 {
            assert!(seen.insert(point.identity()), "two points at one time: {point:?}");
            points += 1;
        }
    }
    assert!(points > 10, "{points}");
    assert_eq!((rig.counts().timestamp_collisions, play.stream.met().time_back), (0, 1));
}

#[test]
fn a_line_that_cannot_be_read_makes_the_stream_go_on_from_the_last_clock() {
    let deep = format!("{{\"op\":\"mcm\",\"clk\":\"X\",\"x\":{}{}}}", "[".repeat(40), "]".repeat(40));
    for bad in ["{\"op\":\"mcm\",\"clk\":\"X\"", "nonsense", "\u{1}", "[1]", r#"{"op":"mcm","clk":7}"#, &deep]
    {
        let mut play = fed();
        play.ms = 2_000;
        play.line(&delta(BASE_MS + 1_000, "B"));
        play.said();
        play.line(bad);
        let said = play.said();
        let [down, close, state] = said.as_slice() else { panic!("{bad}: {said:?}") };
        assert!(down.starts_with("down: malformed: "), "{said:?}");
        assert!(close == "close 0" && state.starts_with("state degraded malformed: "), "{said:?}");
        play.until(play.due_ms().unwrap());
        play.connect();
        assert_eq!(play.sent()["clk"], "B", "the clock of the bad line is not taken");
        play.line(&json!({"op": "mcm", "clk": "C", "pt": BASE_MS + 4_000, "ct": "RESUB_DELTA"}).to_string());
        assert_eq!(play.events(), ["gap: resumed: what happened meanwhile comes conflated [1000..4000]"]);
        assert_eq!(play.stream.met().malformed, 1);
    }
    let mut play = Play::subscribed(settings());
    play.on(tickline_feeds::connect::Event::Message(tickline_feeds::connect::Link(0), b"{\"op\":\"\xff\"}"));
    assert_eq!(play.stream.met().malformed, 1);
}

#[test]
fn a_clock_that_brings_nothing_but_a_line_that_cannot_be_read_is_left_out() {
    let mut play = fed();
    for clk in [json!("A"), json!(null)] {
        play.line("nonsense");
        play.until(play.due_ms().unwrap());
        play.connect();
        assert_eq!(play.sent().get("clk").cloned().unwrap_or_default(), clk);
    }
}

#[test]
fn status_503_is_told_once_and_its_end_once() {
    let mut play = fed();
    let late = r#"{"id":2,"op":"mcm","status":503}"#;
    play.line(late);
    assert_eq!(
        play.said(),
        [
            "suspect: status 503: the venue's data are late",
            r#"{"id":2,"op":"mcm","status":503}"#,
            "state degraded status 503"
        ]
    );
    play.line(&delta(BASE_MS + 1, "B").replacen('{', "{\"status\":503,", 1));
    assert_eq!(play.events(), [""; 0], "messages are passed on");
    play.line(&delta(BASE_MS + 2, "C"));
    assert_eq!(play.events(), ["clean: status 503 is over"]);
    assert_eq!(play.said(), ["state ready"]);
    assert_eq!(play.stream.met().suspect, 2);
}

#[test]
fn what_the_venue_does_not_grant_is_told_once() {
    let mut play = Play::subscribed(settings());
    let slow = image().replace(r#""conflateMs":0"#, r#""conflateMs":180000"#);
    let slow = slow.replace(r#""heartbeatMs":5000"#, r#""heartbeatMs":30000"#);
    play.line(&slow);
    assert_eq!(
        play.events(),
        [
            "up: connected",
            "refused: conflateMs: must be 0, found 180000",
            "refused: heartbeatMs: must be 5000, found 30000"
        ]
    );
    play.line(&slow);
    assert!(!play.events().concat().contains("refused"));
    play.commands.clear();
    play.until(59_999);
    assert_eq!(play.commands.len(), 0, "two of the heartbeats that it sends");
    play.until(60_000);
    assert_eq!(play.said().last().map(String::as_str), Some("state degraded no line for 60000 ms"));
}

#[test]
fn a_heartbeat_that_cannot_be_is_not_believed() {
    for ms in ["0", "1", "86400000"] {
        let mut play = Play::subscribed(Settings { heartbeat_ms: 2_000, ..settings() });
        play.line(&image().replace(r#""heartbeatMs":5000"#, &format!(r#""heartbeatMs":{ms}"#)));
        play.until(3_999);
        assert!(!play.said().contains(&"close 0".to_owned()), "{ms}");
        play.until(4_000);
        assert!(play.said().contains(&"close 0".to_owned()), "{ms}");
    }
}

#[test]
fn odd_changes_are_counted_and_published() {
    let mut play = fed();
    let change = |market: serde_json::Value, pt: i64| {
        json!({"op": "mcm", "clk": "B", "pt": pt, "mc": [market]}).to_string()
    };
    for line in [
        change(json!({"id": "1.1", "con": true, "rc": []}), BASE_MS + 5),
        // Off the ladder: one that is offered, and one that goes.
        change(json!({"id": "1.1", "rc": [{"id": 7, "atb": [[2.67, 4], [2.69, 0]]}]}), BASE_MS + 6),
        change(json!({"id": "1.1", "rc": [{"id": 7, "batb": [[0, 2.01, 4], [1, 0, 0]]}]}), BASE_MS + 6),
        change(json!({"id": "1.9", "con": true, "rc": [{"id": 7, "atb": [[2.67, 4]]}]}), BASE_MS + 4),
        r#"{"op":"mcm","clk":"C","pt":1785760200009,"ct":"HEARTBEAT"}"#.to_owned(),
    ] {
        play.line(&line);
    }
    assert_eq!(play.messages.len(), 5);
    let counts = Counts {
        connections: 1,
        published: 5,
        heartbeats: 1,
        conflated: 2,
        instruments: 1,
        off_ladder: 2,
        time_back: 1,
        ..Counts::default()
    };
    assert_eq!(play.stream.met(), counts);
    let mut told = Vec::new();
    play.stream.counts(&mut |name, count| told.push((name, count)));
    assert_eq!(told.iter().map(|(_, count)| count).sum::<u64>(), 13, "every counter has a name: {told:?}");
}

#[test]
fn an_image_of_186_kb_passes_whole() {
    let markets: Vec<_> = (0..137)
        .map(|market| {
            let rc: Vec<_> = (0..18)
                .map(|id| json!({"id": id, "batb": [[0, 2.62, 20.4], [1, 2.6, 3]], "batl": [[0, 2.64, 8.8]], "tv": 321.5}))
                .collect();
            json!({"id": format!("1.{market}"), "img": true, "rc": rc})
        })
        .collect();
    let line = json!({"op": "mcm", "id": 2, "clk": "A", "pt": BASE_MS, "ct": "SUB_IMAGE", "mc": markets})
        .to_string();
    assert!(line.len() > 186_000, "{}", line.len());
    let mut play = Play::subscribed(settings());
    play.line(&line);
    let (class, points) = Rig::of(DecoderKind::BetfairStream).points(&play.messages[1].payload);
    assert_eq!((class, points.len()), (tickline_feeds::decoder::FrameClass::Points, 137 * 18));
}
