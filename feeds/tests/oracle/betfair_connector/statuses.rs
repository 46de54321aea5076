//! Connections: greeting, requests and their answers, error codes, deadlines.

use tickline_feeds::connect::{Event, Link};
use tickline_feeds::connect::{OnRefused, betfair::Settings};

use super::play::{Play, order_settings, settings};

const SECOND: u64 = 1_000;

/// Opened and greeted; the authentication is sent.
fn greeted(settings: Settings) -> Play {
    let mut play = Play::started(settings);
    play.on(Event::Opened(Link(0)));
    play.line(r#"{"op":"connection","connectionId":"1"}"#);
    play
}

/// Authenticated; the subscription is sent.
fn authenticated(settings: Settings) -> Play {
    let mut play = greeted(settings);
    play.grant();
    play
}

#[test]
fn a_connection_is_greeted_authenticated_and_subscribed_in_this_order() {
    let mut play = Play::started(settings());
    play.said();
    play.on(Event::Opened(Link(0)));
    assert_eq!(play.said(), [""; 0], "the venue speaks first");
    play.line(r#"{"op":"connection","connectionId":"002-230915140112-174"}"#);
    assert_eq!(play.said(), [r#"send {"op":"authentication","id":1,"appKey":"KEY","session":"TOKEN"}"#]);
    play.line(
        r#"{"op":"status","id":1,"statusCode":"SUCCESS","connectionClosed":false,"connectionsAvailable":9}"#,
    );
    assert_eq!(
        play.said(),
        [concat!(
            r#"send {"op":"marketSubscription","id":2,"segmentationEnabled":true,"conflateMs":0,"heartbeatMs":5000,"#,
            r#""marketFilter":{"eventTypeIds":["7"],"countryCodes":["GB"],"marketTypes":["WIN"]},"#,
            r#""marketDataFilter":{"fields":["EX_ALL_OFFERS","EX_MARKET_DEF"],"ladderLevels":3}}"#
        )]
    );
    play.line(r#"{"op":"status","id":2,"statusCode":"SUCCESS","connectionClosed":false}"#);
    assert_eq!(play.said(), [""; 0], "ready is said with the first change");
    assert_eq!(play.stream.met().connections, 1);
}

#[test]
fn orders_are_subscribed_without_a_filter() {
    let mut play = authenticated(order_settings());
    assert_eq!(
        play.said().last().map(String::as_str),
        Some(
            r#"send {"op":"orderSubscription","id":2,"segmentationEnabled":true,"conflateMs":0,"heartbeatMs":5000}"#
        )
    );
}

#[test]
fn what_is_not_answered_within_ten_seconds_is_given_up() {
    let opening = || Play::started(settings());
    let opened = || {
        let mut play = opening();
        play.on(Event::Opened(Link(0)));
        play
    };
    let plays = [
        (opening(), "no connection in 10 s"),
        (opened(), "no connection in 10 s"),
        (greeted(settings()), "authentication: no answer in 10 s"),
        (authenticated(settings()), "subscription: no answer in 10 s"),
    ];
    for (mut play, why) in plays {
        play.said();
        play.until(10 * SECOND - 1);
        // An answer to another request is none.
        play.line(r#"{"op":"status","id":77,"statusCode":"SUCCESS","connectionClosed":false}"#);
        assert_eq!(play.said(), [""; 0], "{why}");
        play.until(10 * SECOND);
        assert_eq!(play.said(), ["close 0".to_owned(), format!("state degraded {why}")]);
        let due = play.due_ms().unwrap();
        assert!((10_500..=11_000).contains(&due), "{due}");
        play.until(due);
        assert_eq!(play.said(), ["open 0 stream.test:443"]);
    }
}

#[test]
fn errors_that_pass_are_tried_again_after_a_wait_that_fits_them() {
    for (code, from, to) in [
        ("UNEXPECTED_ERROR", 500, SECOND),
        ("TIMEOUT", 500, SECOND),
        ("CONNECTION_FAILED", 500, SECOND),
        ("SOMETHING_NEW", 500, SECOND),
        ("TOO_MANY_REQUESTS", 30 * SECOND, 60 * SECOND),
        ("MAX_CONNECTION_LIMIT_EXCEEDED", 30 * SECOND, 60 * SECOND),
    ] {
        let mut play = greeted(settings());
        play.commands.retain(|command| matches!(command, tickline_feeds::connect::Command::Send(..)));
        play.refuse(code, true);
        let said = play.said();
        assert_eq!(said[1..], ["close 0".to_owned(), format!("state degraded {code}: no")]);
        let due = play.due_ms().unwrap();
        assert!((from..=to).contains(&due), "{code}: {due}");
        assert_eq!(play.stream.met().errors, 1);
    }
}

#[test]
fn waits_grow_to_half_a_minute_and_long_ones_to_five() {
    for (code, longest) in [("TIMEOUT", 30 * SECOND), ("TOO_MANY_REQUESTS", 300 * SECOND)] {
        let mut play = Play::started(settings());
        let mut waits = Vec::new();
        for _ in 0..12 {
            play.on(Event::Opened(Link(0)));
            // Without an id: the venue answers nothing in particular.
            play.line(&format!(
                r#"{{"op":"status","statusCode":"FAILURE","errorCode":"{code}","connectionClosed":true}}"#
            ));
            let due = play.due_ms().unwrap();
            waits.push(due - play.ms);
            play.until(due);
        }
        assert!(waits.iter().all(|wait| (500..=longest).contains(wait)), "{code}: {waits:?}");
        assert!(waits[8..].iter().all(|wait| *wait >= longest / 2), "{code}: {waits:?}");
    }
}

#[test]
fn errors_that_do_not_pass_are_refusals() {
    for code in ["NO_APP_KEY", "INVALID_APP_KEY", "NOT_AUTHORIZED", "INVALID_INPUT", "INVALID_REQUEST"] {
        let mut play = greeted(settings());
        play.refuse(code, true);
        let said = play.said();
        assert_eq!(said[0], format!("refused: {code}: no"));
        assert_eq!(said[said.len() - 2..], ["close 0".to_owned(), format!("fail {code}: no")]);
        assert_eq!(play.due_ms(), None, "nothing is tried any more");

        let mut play = authenticated(Settings { on_refused: OnRefused::Degrade, ..settings() });
        play.refuse(code, true);
        assert_eq!(play.due_ms(), Some(300 * SECOND), "{code}");
        play.said();
        play.until(300 * SECOND);
        assert_eq!(play.said(), ["open 0 stream.test:443"]);
    }
}

#[test]
fn too_many_markets_leave_the_connection_open_and_are_asked_for_again() {
    let mut play = authenticated(settings());
    play.said();
    play.commands.clear();
    play.line(
        r#"{"op":"status","id":2,"statusCode":"FAILURE","errorCode":"SUBSCRIPTION_LIMIT_EXCEEDED","errorMessage":"trying to subscribe to 250 markets","connectionClosed":false}"#,
    );
    let why = "SUBSCRIPTION_LIMIT_EXCEEDED: trying to subscribe to 250 markets";
    assert_eq!(play.said(), [format!("refused: {why}"), format!("state degraded {why}")]);
    play.until(300 * SECOND - 1);
    assert_eq!(play.said(), [""; 0], "no heartbeats are awaited without a subscription");
    play.until(300 * SECOND);
    assert!(play.sent()["op"] == "marketSubscription" && play.sent()["id"] == 3);
    play.grant();
    play.line(r#"{"op":"mcm","id":3,"clk":"A","pt":1785760500000,"ct":"SUB_IMAGE","mc":[]}"#);
    assert!(play.said().contains(&"state ready".to_owned()));
}

#[test]
fn too_many_markets_with_a_closed_connection_wait_as_long() {
    let mut play = authenticated(settings());
    play.refuse("SUBSCRIPTION_LIMIT_EXCEEDED", true);
    assert_eq!(play.due_ms(), Some(300 * SECOND));
    assert_eq!(play.said()[0], "refused: SUBSCRIPTION_LIMIT_EXCEEDED: no");
}

#[test]
fn a_clock_that_is_not_taken_is_left_out_on_the_same_connection_or_on_a_new_one() {
    let resumed = || {
        let mut play = Play::subscribed(settings());
        play.line(
            r#"{"op":"mcm","id":2,"initialClk":"I","clk":"C","pt":1785760200000,"ct":"SUB_IMAGE","mc":[]}"#,
        );
        play.closed("reset");
        play.until(play.due_ms().unwrap());
        play.on(Event::Opened(Link(0)));
        play.line(r#"{"op":"connection","connectionId":"1"}"#);
        play.grant();
        assert!(play.sent()["initialClk"] == "I" && play.sent()["clk"] == "C", "{}", play.sent());
        play
    };
    let mut play = resumed();
    play.said();
    play.line(r#"{"op":"status","id":4,"statusCode":"FAILURE","errorCode":"INVALID_CLOCK","connectionClosed":false}"#);
    let sent = play.sent();
    assert!(sent["id"] == 5 && sent.get("clk").is_none() && sent.get("initialClk").is_none(), "{sent}");

    let mut play = resumed();
    play.refuse("INVALID_CLOCK", true);
    let due = play.due_ms().unwrap();
    assert!((500..=2 * SECOND).contains(&(due - play.ms)), "{due}");
    play.until(due);
    play.connect();
    let sent = play.sent();
    assert!(sent["op"] == "marketSubscription" && sent.get("clk").is_none(), "{sent}");
}

#[test]
fn a_clock_that_was_never_sent_cannot_be_asked_for_again_at_once() {
    let mut play = authenticated(settings());
    play.refuse("INVALID_CLOCK", false);
    assert_eq!(play.said().last().map(String::as_str), Some("state degraded INVALID_CLOCK: no"));
    assert!(play.due_ms().unwrap() >= 500);
}

#[test]
fn a_connection_that_cannot_be_made_is_tried_again() {
    let mut play = Play::started(settings());
    play.said();
    play.closed("connection refused");
    assert_eq!(play.said(), ["state degraded connection refused"], "nothing went: no event");
    play.until(play.due_ms().unwrap());
    assert_eq!(play.said(), ["open 0 stream.test:443"]);
}

#[test]
fn answers_to_nothing_and_lines_of_another_op_are_counted() {
    let mut play = Play::subscribed(settings());
    for line in [
        r#"{"op":"status","id":99,"statusCode":"SUCCESS","connectionClosed":false}"#,
        r#"{"op":"status","id":99,"statusCode":"FAILURE","errorCode":"TIMEOUT","connectionClosed":false}"#,
        r#"{"op":"ocm","id":2,"clk":"A","pt":1,"oc":[]}"#,
        r#"{"op":"connection","connectionId":"1"}"#,
        r#"{"op":"weather"}"#,
        r#"{}"#,
        "",
        "  ",
    ] {
        play.line(line);
    }
    assert_eq!(play.said(), [""; 0]);
    let met = play.stream.met();
    assert_eq!((met.stray, met.unknown, met.malformed), (2, 4, 0));
    let mut early = greeted(settings());
    early.line(r#"{"op":"mcm","id":2,"clk":"A","pt":1,"mc":[]}"#);
    assert_eq!((early.stream.met().unknown, early.messages.len()), (1, 0), "nothing was asked for yet");
}

#[test]
fn the_end_closes_the_connection_and_says_so() {
    let mut play = Play::subscribed(settings());
    play.on(Event::Stop);
    assert_eq!(play.said(), ["close 0", "state stopped"]);
    play.line(r#"{"op":"mcm","id":2,"clk":"A","pt":1,"mc":[]}"#);
    assert_eq!((play.said(), play.due_ms()), (vec![], None));
}
