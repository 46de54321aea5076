//! What may be missing is told with its span: closures, silence, new images, messages in parts that are cut off.

use serde_json::{Value, json};
use tickline_feeds::connect::Event;

use super::play::{BASE_MS, Play, settings};

fn message(ct: Option<&str>, clk: &str, ms: i64, segment: Option<&str>, market: &str) -> String {
    let mut message = json!({"op": "mcm", "clk": clk, "pt": BASE_MS + ms,
        "mc": [{"id": market, "img": true, "rc": [{"id": 7, "atb": [[2.0, 1]]}]}]});
    for (key, value) in [("ct", ct), ("segmentType", segment)] {
        if let Some(value) = value {
            message[key] = json!(value);
        }
    }
    message.to_string()
}

fn image(clk: &str, ms: i64) -> String {
    message(Some("SUB_IMAGE"), clk, ms, None, "1.1")
}

/// A stream whose image came at 0 ms and whose last change at 400 ms, both heard 50 ms later.
fn fed() -> Play {
    let mut play = Play::subscribed(settings());
    play.ms = 50;
    play.line(&image("A", 0));
    play.ms = 450;
    play.line(&message(None, "B", 400, None, "1.1"));
    play.said();
    play
}

/// The next connection, up to where the first change comes.
fn again(play: &mut Play) -> Value {
    play.until(play.due_ms().unwrap());
    play.connect();
    let sent = play.sent();
    play.commands.clear();
    sent
}

#[test]
fn a_closed_connection_goes_on_from_its_clock_with_the_same_criteria_and_the_hole_is_told() {
    let mut play = Play::started(settings());
    play.connect();
    let first = play.sent();
    play.line(&message(Some("SUB_IMAGE"), "A", 0, None, "1.1").replacen('{', r#"{"initialClk":"I","#, 1));
    play.said();
    play.ms = 1_000;
    play.closed("connection reset by peer");
    assert_eq!(play.said(), ["down: connection reset by peer", "state degraded connection reset by peer"]);
    let due = play.due_ms().unwrap();
    assert!((1_500..=2_000).contains(&due), "{due}");
    let mut resumed = again(&mut play);
    assert_eq!((resumed["initialClk"].take(), resumed["clk"].take()), (json!("I"), json!("A")));
    let criteria = |sent: &Value| {
        let keys =
            ["op", "marketFilter", "marketDataFilter", "segmentationEnabled", "conflateMs", "heartbeatMs"];
        keys.map(|key| sent[key].to_owned())
    };
    assert_eq!(criteria(&resumed), criteria(&first));
    play.line(&message(Some("RESUB_DELTA"), "C", 2_500, None, "1.2"));
    let said = play.said();
    assert_eq!(said[0], "gap: resumed: what happened meanwhile comes conflated [0..2500]");
    assert!(said[1].contains("RESUB_DELTA") && said[2] == "state ready", "{said:?}");
    play.line(&message(None, "D", 2_600, None, "1.2"));
    assert_eq!(play.events(), [""; 0], "told once");
}

#[test]
fn a_heartbeat_ends_the_hole_of_a_stream_that_goes_on() {
    let mut play = fed();
    play.closed("reset");
    again(&mut play);
    play.line(&json!({"op": "mcm", "clk": "C", "pt": BASE_MS + 2_000, "ct": "HEARTBEAT"}).to_string());
    assert_eq!(
        play.events(),
        ["down: reset", "gap: resumed: what happened meanwhile comes conflated [400..2000]"]
    );
}

#[test]
fn a_stream_that_begins_anew_has_a_hole_up_to_its_image() {
    let mut play = fed();
    play.closed("reset");
    again(&mut play);
    play.line(r#"{"op":"status","id":4,"statusCode":"FAILURE","errorCode":"INVALID_CLOCK","connectionClosed":true}"#);
    play.until(play.due_ms().unwrap());
    play.connect();
    play.said();
    play.line(&json!({"op": "mcm", "clk": "H", "pt": BASE_MS + 4_000, "ct": "HEARTBEAT"}).to_string());
    assert_eq!(play.events(), [""; 0], "a heartbeat is no image");
    play.line(&image("C", 4_500));
    let said = play.said();
    assert_eq!(said[0], "resync: image: what happened before it is not told [400..4500]");
    assert_eq!(said.last().map(String::as_str), Some("state ready"));
}

#[test]
fn an_image_in_answer_to_a_clock_or_out_of_the_blue_is_a_hole_too() {
    let mut play = fed();
    play.closed("reset");
    again(&mut play);
    play.messages.clear();
    play.line(&image("C", 3_000));
    assert_eq!(play.events(), ["resync: image: what happened before it is not told [400..3000]"]);
    play.line(&image("D", 3_900));
    assert_eq!(play.events(), ["resync: image: what happened before it is not told [3000..3900]"]);
}

#[test]
fn two_heartbeats_of_silence_are_the_end_of_a_connection() {
    let mut play = fed();
    play.until(10_449);
    assert!(!play.said().contains(&"close 0".to_owned()));
    play.until(10_450);
    assert_eq!(play.said(), ["down: no line for 10000 ms", "close 0", "state degraded no line for 10000 ms"]);
    again(&mut play);
    play.line(&message(Some("RESUB_DELTA"), "C", 12_000, None, "1.1"));
    assert_eq!(play.events(), ["gap: resumed: what happened meanwhile comes conflated [400..12000]"]);
}

#[test]
fn any_line_shows_that_the_venue_lives() {
    let mut play = fed();
    for line in ["", r#"{"op":"weather"}"#, r#"{"op":"mcm","clk":"C","ct":"HEARTBEAT"}"#] {
        let ms = play.ms + 9_000;
        play.until(ms);
        play.line(line);
    }
    assert!(!play.said().contains(&"close 0".to_owned()));
}

#[test]
fn attempts_that_bring_nothing_leave_one_hole() {
    let mut play = fed();
    play.closed("reset");
    for _ in 0..3 {
        again(&mut play);
        play.closed("reset again");
    }
    play.ms = 40_000;
    again(&mut play);
    play.line(&message(Some("RESUB_DELTA"), "C", 41_000, None, "1.1"));
    assert_eq!(
        play.events(),
        ["down: reset", "gap: resumed: what happened meanwhile comes conflated [400..41000]"]
    );
}

#[test]
fn waits_begin_anew_behind_a_connection_that_was_good() {
    let mut play = fed();
    let wait = |play: &mut Play| {
        play.closed("reset");
        play.due_ms().unwrap() - play.ms
    };
    for longest in [1_000, 2_000, 4_000] {
        let wait = wait(&mut play);
        assert!((longest / 2..=longest).contains(&wait), "{wait}");
        again(&mut play);
        play.line(&message(Some("RESUB_DELTA"), "C", 500, None, "1.1"));
    }
    for _ in 0..6 {
        play.until(play.ms + 5_000);
        play.line(r#"{"op":"mcm","clk":"C","ct":"HEARTBEAT"}"#);
    }
    let wait = wait(&mut play);
    assert!((500..=1_000).contains(&wait), "{wait}");
}

#[test]
fn a_venue_time_out_of_the_blue_bounds_no_hole() {
    let mut play = Play::subscribed(settings());
    play.ms = 100;
    play.line(&image("A", -3_600_000));
    play.ms = 200;
    play.closed("reset");
    again(&mut play);
    let at = play.ms;
    play.line(&message(Some("RESUB_DELTA"), "C", 3_600_000, None, "1.1"));
    assert_eq!(
        play.events(),
        [
            "up: connected".to_owned(),
            "down: reset".to_owned(),
            format!("gap: resumed: what happened meanwhile comes conflated [100..{at}]")
        ]
    );
}

#[test]
fn the_end_tells_the_hole_that_is_still_open() {
    let mut play = fed();
    play.closed("reset");
    play.said();
    play.ms = 900;
    play.on(Event::Stop);
    assert_eq!(play.said(), ["gap: stopped before changes came again [400..900]", "state stopped"]);
}

#[test]
fn a_message_in_parts_is_published_when_its_last_part_is_there() {
    let mut play = Play::subscribed(settings());
    play.line(&message(Some("SUB_IMAGE"), "", 0, Some("SEG_START"), "1.1"));
    play.ms = 5;
    play.line(&message(Some("SUB_IMAGE"), "", 0, Some("SEG"), "1.2"));
    assert_eq!(play.messages.len(), 0);
    play.line(&json!({"op": "mcm", "clk": "H", "pt": BASE_MS, "ct": "HEARTBEAT"}).to_string());
    play.line(&message(Some("SUB_IMAGE"), "A", 0, Some("SEG_END"), "1.3"));
    let kinds: Vec<_> = play.messages.iter().map(|message| message.body["segmentType"].to_owned()).collect();
    assert_eq!(kinds, [json!(null), json!("SEG_START"), json!("SEG"), json!(null), json!("SEG_END")]);
    let received: Vec<_> =
        play.messages.iter().map(|message| message.recv_ns / 1_000_000 - BASE_MS).collect();
    assert_eq!(received, [5, 0, 5, 5, 5], "each part was received when it came");
    play.closed("reset");
    assert_eq!(again(&mut play)["clk"], "A");
}

#[test]
fn parts_that_are_cut_off_are_not_published_and_come_again() {
    let mut play = fed();
    for segment in ["SEG_START", "SEG"] {
        play.line(&message(None, "X", 600, Some(segment), "1.2"));
    }
    play.closed("reset");
    assert_eq!(play.events(), ["down: reset"]);
    assert_eq!(again(&mut play)["clk"], "B", "the clock of a part is none");
    play.line(&message(Some("RESUB_DELTA"), "C", 2_000, None, "1.2"));
    assert_eq!(play.events(), ["gap: resumed: what happened meanwhile comes conflated [400..2000]"]);
}

#[test]
fn parts_that_do_not_fit_together_or_do_not_end_come_again() {
    let parts: [(&[&str], &str); 4] = [
        (&["SEG"], "segments: must begin with SEG_START"),
        (&["SEG_END"], "segments: must begin with SEG_START"),
        (&["SEG_START", "SEG_START"], "segments: must end before others begin"),
        (&["SEG_START"], "segments: must end within 10 s"),
    ];
    for (segments, why) in parts {
        let mut play = fed();
        for segment in segments {
            play.line(&message(None, "X", 600, Some(segment), "1.2"));
        }
        // Heartbeats do not stand in for the last part.
        play.until(9_000);
        play.line(r#"{"op":"mcm","clk":"H","ct":"HEARTBEAT"}"#);
        play.until(10_450);
        let said = play.said();
        assert!(said.contains(&format!("down: {why}")) && said.contains(&"close 0".to_owned()), "{said:?}");
        assert_eq!(play.stream.met().torn, 1);
        if play.commands.is_empty() {
            assert!(!said.concat().contains("1.2"), "{said:?}");
        }
    }
}
