//! Logins, sessions that are kept alive, and what happens when they are not taken.

use tickline_config::secret::Secret;
use tickline_feeds::connect::betfair::{Credentials, Settings};
use tickline_feeds::connect::{Command, Event, OnRefused};

use super::play::{Play, certificate_settings, settings};

const LOGGED_IN: &str = r#"{"sessionToken":"FRESH","loginStatus":"SUCCESS"}"#;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

fn refused(status: &str) -> String {
    format!(r#"{{"loginStatus":"{status}"}}"#)
}

fn asked(play: &Play) -> Vec<&Command> {
    play.commands.iter().filter(|command| matches!(command, Command::Ask(..))).collect()
}

#[test]
fn a_login_shows_the_certificate_and_its_token_authenticates() {
    let mut play = Play::started(certificate_settings());
    let [Command::State(..), Command::Ask(1, request)] = play.commands.as_slice() else {
        panic!("{:?}", play.commands)
    };
    assert_eq!(request.url, "https://cert.test/api/certlogin");
    assert_eq!(
        request.headers,
        [
            ("X-Application", "KEY".to_owned()),
            ("Accept", "application/json".to_owned()),
            ("Content-Type", "application/x-www-form-urlencoded".to_owned())
        ]
    );
    assert_eq!(request.body.as_deref(), Some("username=me%40x.test&password=p%26ss%20w%C3%B6rd"));
    play.said();
    play.answer(1, Some(200), LOGGED_IN);
    assert_eq!(play.said(), ["open 0 stream.test:443"]);
    play.on(Event::Opened(tickline_feeds::connect::Link(0)));
    play.line(r#"{"op":"connection","connectionId":"1"}"#);
    assert_eq!(play.said(), [r#"send {"op":"authentication","id":1,"appKey":"KEY","session":"FRESH"}"#]);
}

#[test]
fn a_given_session_connects_at_once() {
    let mut play = Play::started(settings());
    assert_eq!(play.said(), ["state starting", "open 0 stream.test:443"]);
}

#[test]
fn secrets_are_never_printed() {
    let mut play = Play::started(certificate_settings());
    play.answer(1, Some(200), LOGGED_IN);
    play.connect();
    let printed = format!("{:?} {:?}", play.commands, play.stream);
    assert!(printed.contains("send 0"), "{printed}");
    for secret in ["FRESH", "KEY", "p&ss", "p%26ss"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

#[test]
fn a_refused_login_is_named_and_ends_the_run_or_waits_five_minutes() {
    for status in ["INVALID_USERNAME_OR_PASSWORD", "CERT_AUTH_REQUIRED", "SELF_EXCLUDED"] {
        let why = format!("login: must be accepted, found {status}");
        let mut play = Play::started(certificate_settings());
        play.said();
        play.answer(1, Some(200), &refused(status));
        assert_eq!(play.said(), [format!("refused: {why}"), format!("fail {why}")]);
        assert_eq!(play.due_ms(), None);

        let mut play = Play::started(Settings { on_refused: OnRefused::Degrade, ..certificate_settings() });
        play.said();
        play.answer(1, Some(200), &refused(status));
        assert_eq!(play.said(), [format!("refused: {why}"), format!("state degraded {why}")]);
        play.until(5 * MINUTE - 1);
        assert_eq!(play.said(), [""; 0]);
        play.until(5 * MINUTE);
        assert_eq!(play.said(), ["ask 2 https://cert.test/api/certlogin"]);
    }
}

#[test]
fn a_login_that_is_not_answered_is_made_again_after_a_wait() {
    let body = "<html>bad gateway</html>";
    for (status, body, from, to) in [
        (None, "timed out", 500, SECOND),
        (Some(502), body, 500, SECOND),
        (Some(408), "", 500, SECOND),
        (Some(200), body, 500, SECOND),
        (Some(200), r#"{"loginStatus":"INTERNAL_ERROR"}"#, 500, SECOND),
        (Some(200), r#"{"loginStatus":"TEMPORARY_BAN_TOO_MANY_REQUESTS"}"#, 21 * MINUTE, 21 * MINUTE),
        (Some(429), "", 30 * SECOND, MINUTE),
    ] {
        let mut play = Play::started(certificate_settings());
        play.said();
        play.answer(1, status, body);
        let due = play.due_ms().unwrap();
        assert!((from..=to).contains(&due), "{status:?} {body}: {due}");
        let said = play.said();
        assert!(
            matches!(said.as_slice(), [state] if state.starts_with("state degraded login: ")),
            "{said:?}"
        );
        play.until(due);
        assert_eq!(play.said(), ["ask 2 https://cert.test/api/certlogin"]);
    }
    let mut play = Play::started(certificate_settings());
    play.said();
    play.answer(1, Some(403), "");
    assert_eq!(play.said(), ["refused: login: 403", "fail login: 403"]);
}

#[test]
fn an_answer_to_nothing_changes_nothing() {
    let mut play = Play::started(certificate_settings());
    play.said();
    play.answer(7, Some(200), LOGGED_IN);
    assert_eq!(play.said(), [""; 0]);
    play.answer(1, Some(200), LOGGED_IN);
    play.answer(1, Some(200), LOGGED_IN);
    assert_eq!(play.said(), ["open 0 stream.test:443"]);
}

#[test]
fn a_session_that_is_not_taken_is_had_anew_once() {
    for code in ["NO_SESSION", "INVALID_SESSION_INFORMATION"] {
        let mut play = Play::started(certificate_settings());
        play.answer(1, Some(200), LOGGED_IN);
        play.on(Event::Opened(tickline_feeds::connect::Link(0)));
        play.line(r#"{"op":"connection","connectionId":"1"}"#);
        play.refuse(code, true);
        play.said();
        let due = play.due_ms().unwrap();
        assert!((500..=SECOND).contains(&due), "a login is asked for after a wait: {due}");
        play.until(due);
        assert_eq!(play.said(), ["ask 2 https://cert.test/api/certlogin"]);
        play.answer(2, Some(200), LOGGED_IN);
        play.on(Event::Opened(tickline_feeds::connect::Link(0)));
        play.line(r#"{"op":"connection","connectionId":"1"}"#);
        play.said();
        play.commands.clear();
        play.line(r#"{"op":"status","id":2,"statusCode":"FAILURE","errorCode":"NO_SESSION","connectionClosed":true}"#);
        assert_eq!(play.said(), ["refused: NO_SESSION", "close 0", "fail NO_SESSION"]);
    }
}

#[test]
fn a_given_session_is_read_again_from_its_file_and_else_refused() {
    let folder = std::env::temp_dir().join(format!("tickline-betfair-{}", std::process::id()));
    std::fs::write(&folder, "OLD").unwrap();
    let from_file = Credentials::Session(Secret::from_file(&folder).unwrap());
    let mut play = Play::started(Settings { credentials: from_file, ..settings() });
    for (written, expected) in [("NEW", None), ("NEWER", Some("fail NO_SESSION: no"))] {
        std::fs::write(&folder, written).unwrap();
        play.on(Event::Opened(tickline_feeds::connect::Link(0)));
        play.line(r#"{"op":"connection","connectionId":"1"}"#);
        play.refuse("NO_SESSION", true);
        if let Some(expected) = expected {
            assert_eq!(play.said().last().map(String::as_str), Some(expected));
            continue;
        }
        let due = play.due_ms().unwrap();
        play.until(due);
        assert_eq!(play.said().last().map(String::as_str), Some("open 0 stream.test:443"));
    }
    std::fs::remove_file(folder).unwrap();

    let mut play = Play::started(settings());
    play.on(Event::Opened(tickline_feeds::connect::Link(0)));
    play.line(r#"{"op":"connection","connectionId":"1"}"#);
    play.refuse("INVALID_SESSION_INFORMATION", true);
    assert_eq!(play.said().last().map(String::as_str), Some("fail INVALID_SESSION_INFORMATION: no"));
}

/// A connector whose stream stands, at the time when it keeps its session alive.
fn at_keep_alive() -> Play {
    let mut play = Play::subscribed(settings());
    let every = 3 * 60 * MINUTE;
    while play.ms < every {
        play.line(r#"{"op":"mcm","id":2,"clk":"A","ct":"HEARTBEAT"}"#);
        play.until((play.ms + 5 * SECOND).min(every));
    }
    play
}

#[test]
fn a_session_is_kept_alive_every_three_hours() {
    let mut play = at_keep_alive();
    let [Command::Ask(1, request)] = asked(&play)[..] else { panic!("{:?}", play.commands) };
    assert_eq!(request.url, "https://sso.test/api/keepAlive");
    assert_eq!(
        request.headers,
        [
            ("X-Application", "KEY".to_owned()),
            ("X-Authentication", "TOKEN".to_owned()),
            ("Accept", "application/json".to_owned())
        ]
    );
    assert_eq!(request.body.as_deref(), Some(""));
    play.said();
    play.answer(1, Some(200), r#"{"token":"TOKEN","product":"KEY","status":"SUCCESS","error":""}"#);
    assert_eq!((play.said(), play.stream.met().not_kept_alive), (vec![], 0));
}

#[test]
fn a_session_that_is_not_kept_alive_is_told_and_asked_again_or_replaced_at_the_next_connection() {
    for (status, body, told, again) in [
        (None, "timed out", "timed out", true),
        (Some(500), "", "500", true),
        (Some(200), r#"{"status":"FAIL","error":"INTERNAL_ERROR"}"#, "INTERNAL_ERROR", true),
        (Some(200), r#"{"token":"","product":"","status":"FAIL","error":"NO_SESSION"}"#, "NO_SESSION", false),
    ] {
        let mut play = at_keep_alive();
        play.said();
        play.answer(1, status, body);
        assert_eq!(play.said(), [format!("suspect: keep-alive: {told}")], "the stream goes on");
        let asked_at = play.ms;
        while play.ms < asked_at + 5 * MINUTE {
            play.line(r#"{"op":"mcm","id":2,"clk":"A","ct":"HEARTBEAT"}"#);
            play.until((play.ms + 5 * SECOND).min(asked_at + 5 * MINUTE));
        }
        assert_eq!(asked(&play).len(), usize::from(again), "{told}");
        assert_eq!(play.stream.met().not_kept_alive, 1);
    }
}
