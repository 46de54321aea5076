//! OANDA's pricing stream.

use tickline_config::secret::Secret;
use tickline_feeds::connect::oanda::{Account, Counts, Prices, PricesSettings};
use tickline_feeds::connect::{Event, OnRefused};

use crate::rig::{BASE_NS, MILLI_NS, Rig};
use crate::venue::{heartbeat, price, time};

const OPEN: &str = "open https://stream.test/v3/accounts/101-004-1234567-001/pricing/stream?\
    instruments=EUR_USD%2CUSD_JPY&snapshot=true [(\"Authorization\", \"Bearer secret-token\")]";

fn settings() -> PricesSettings {
    PricesSettings {
        account: Account {
            stream_url: "https://stream.test".to_owned(),
            rest_url: "https://api.test".to_owned(),
            id: "101-004-1234567-001".to_owned(),
            token: Secret::new("secret-token"),
            on_refused: OnRefused::Fail,
        },
        instruments: vec!["EUR_USD".to_owned(), "USD_JPY".to_owned()],
        topics: vec!["oanda_tick".to_owned()],
        instrument_topics: false,
        seed: 1,
    }
}

fn started(settings: PricesSettings) -> Rig<Prices> {
    Rig::started(Prices::new(settings))
}

/// One that has a connection and has said so.
fn connected(settings: PricesSettings) -> Rig<Prices> {
    let mut rig = started(settings);
    rig.opened();
    rig.line(&price("EUR_USD", 0, "1.08512"));
    rig.said();
    rig
}

#[test]
fn a_price_is_published_as_the_venue_wrote_it_under_every_topic() {
    let mut settings = settings();
    settings.topics.push("oandav20_tick".to_owned());
    settings.instrument_topics = true;
    let mut rig = started(settings);
    assert_eq!(rig.said(), ["starting", OPEN]);
    rig.ms = 40;
    rig.opened();
    rig.ms = 50;
    rig.line(
        r#"{"type":"PRICE","time":"2026-08-03T12:30:00.023456789Z","bids":[{"price":"1.08510","liquidity":10000000}],
        "asks":[{"price":"1.08525","liquidity":"500000"}],"closeoutBid":"1.08507","closeoutAsk":"1.08530",
        "status":"tradeable","tradeable":true,"instrument":"EUR_USD","odd":1.50}"#,
    );
    let payload = r#"{"asks":[{"liquidity":"500000","price":"1.08525"}],"bids":[{"liquidity":10000000,"price":"1.08510"}],"closeoutAsk":"1.08530","closeoutBid":"1.08507","instrument":"EUR_USD","odd":"1.50","status":"tradeable","time":"2026-08-03T12:30:00.023456789Z","tradeable":true,"type":"PRICE"}"#;
    let recv: Vec<i64> = rig.messages.iter().map(|message| message.recv_ns).collect();
    assert_eq!(recv, [BASE_NS + 50 * MILLI_NS; 7]);
    let mut expected: Vec<String> = ["oanda_tick", "oandav20_tick", "EUR_USD", "USD_JPY"]
        .map(|topic| format!("{topic} up *: connected"))
        .into();
    expected.extend(["oanda_tick", "oandav20_tick", "EUR_USD"].map(|topic| format!("{topic}+0 {payload}")));
    expected.push("ready".to_owned());
    assert_eq!(rig.said(), expected);
}

#[test]
fn prices_of_one_instrument_and_time_get_ordinals_and_a_time_that_goes_back_is_published_and_counted() {
    let mut rig = connected(settings());
    for (instrument, ms) in
        [("EUR_USD", 7), ("EUR_USD", 7), ("USD_JPY", 7), ("EUR_USD", 8), ("EUR_USD", 7), ("USD_JPY", 6)]
    {
        rig.line(&price(instrument, ms, "1"));
    }
    let ties: Vec<u32> = rig.messages.iter().map(|message| message.tie).collect();
    assert_eq!(ties, [0, 1, 0, 0, 2, 0]);
    let expected = Counts { connections: 1, published: 7, time_back: 2, ..Counts::default() };
    assert_eq!(rig.connector.counts(), expected);
}

#[test]
fn a_closed_market_is_published_without_an_alarm() {
    let mut rig = connected(settings());
    let closed = format!(
        r#"{{"type":"PRICE","time":"{}","bids":[],"asks":[],"tradeable":false,"instrument":"EUR_USD"}}"#,
        time(1)
    );
    rig.line(&closed);
    assert_eq!(rig.messages.len(), 1);
    assert_eq!(rig.messages[0].body["tradeable"], false);
    assert!(rig.commands.is_empty());
}

#[test]
fn a_silent_venue_is_told_from_a_dead_one_by_its_heartbeats() {
    let mut rig = connected(settings());
    for beat in 1..=720 {
        rig.until(beat * 5_000);
        rig.line(&heartbeat(beat * 5_000, ""));
    }
    assert_eq!(rig.said(), [""; 0], "an hour without prices is nothing to tell");
    assert_eq!(rig.connector.counts().heartbeats, 720);
    assert_eq!(rig.due_ms(), Some(3_610_000));
    rig.until(3_609_999);
    assert_eq!(rig.said(), [""; 0]);
    rig.until(3_610_000);
    let dead = ["oanda_tick down *: no line for 10 s", "close", "degraded no line for 10 s"];
    assert_eq!(rig.said(), dead);
    let wait_ms = rig.due_ms().unwrap() - 3_610_000;
    assert!((500..=1_000).contains(&wait_ms), "{wait_ms}");
    rig.until(3_612_000);
    assert_eq!(rig.said(), [OPEN]);
    assert_eq!(rig.due_ms(), Some(3_610_000 + wait_ms + 10_000), "an attempt without an answer is dead, too");
}

#[test]
fn after_a_reconnect_the_hole_is_told_before_the_first_price_that_follows_it() {
    let mut rig = connected(settings());
    rig.ms = 1_030;
    rig.line(&price("USD_JPY", 1_000, "110"));
    rig.said();
    rig.ms = 1_200;
    rig.closed(None, "reset by peer");
    assert_eq!(rig.said(), ["oanda_tick down *: reset by peer", "degraded reset by peer"]);
    rig.until(2_400);
    rig.opened();
    rig.ms = 2_450;
    rig.line(&heartbeat(2_440, ""));
    rig.ms = 2_500;
    rig.line(&price("EUR_USD", -200_000_000, "1.1"));
    rig.line(&price("USD_JPY", 2_470, "110.1"));
    let said = rig.said();
    let events: Vec<&String> = said.iter().filter(|text| !text.contains('{')).collect();
    // From the venue's time of the last line: what it said later may have been on its way.
    assert_eq!(events, ["oanda_tick up *: connected again [1000..2500]", OPEN, "ready"]);
    assert!(said[1].contains("\"1.1\"") && said[2].contains("\"110.1\""), "{said:?}");
}

#[test]
fn a_hole_that_no_price_closes_ends_with_the_run() {
    let mut rig = connected(settings());
    rig.ms = 500;
    rig.closed(Some(503), "Service Unavailable");
    rig.until(3_000);
    rig.opened();
    rig.said();
    rig.ms = 9_000;
    rig.on(Event::Stop);
    assert_eq!(
        rig.said(),
        ["oanda_tick gap *: no price came before the run ended [0..9000]", "close", "stopped"]
    );
    assert_eq!(rig.due_ms(), None);
    let mut whole = connected(settings());
    whole.on(Event::Stop);
    assert_eq!(whole.said(), ["close", "stopped"], "nothing was missing");
}

#[test]
fn the_hole_of_a_venue_whose_clock_is_out_of_the_blue_is_told_by_ours() {
    let mut rig = connected(settings());
    rig.ms = 1_000;
    rig.line(&price("EUR_USD", 10_000_000, "1"));
    rig.ms = 2_000;
    rig.closed(None, "gone");
    rig.until(4_000);
    rig.opened();
    rig.said();
    rig.line(&price("EUR_USD", 4_100, "1"));
    assert_eq!(rig.said()[0], "oanda_tick up *: connected again [1000..4100]");
}

#[test]
fn bad_lines_are_told_together_as_a_hole_after_a_second_and_the_connection_stays() {
    let mut rig = connected(settings());
    let bad = [
        "",
        "\r",
        "{\"type\":\"PRICE\",\"time\"",
        "not json",
        "[1]",
        "{\"type\":5}",
        "{\"type\":\"NEWS\"}",
        "{}",
        r#"{"type":"PRICE","instrument":"EUR_USD","type":"PRICE"}"#,
    ];
    for line in bad {
        rig.line(line);
    }
    rig.on(Event::Message(crate::rig::LINK, b"{\"type\":\"\xff\"}"));
    let deep =
        format!(r#"{{"type":"PRICE","instrument":"EUR_USD","x":{}{}}}"#, "[".repeat(20), "]".repeat(20));
    rig.line(&deep);
    assert_eq!(rig.said(), [""; 0]);
    rig.until(999);
    assert_eq!(rig.said(), [""; 0], "they are gathered");
    rig.line("x");
    rig.until(1_000);
    let said = rig.said();
    let [told] = said.as_slice() else { panic!("{said:?}") };
    assert!(
        told.starts_with("oanda_tick gap *: messages that could not be read: EOF while parsing"),
        "{told}"
    );
    assert!(told.ends_with(" [0..1000] lost=8"), "{told}");
    let counts = rig.connector.counts();
    assert_eq!((counts.malformed, counts.unknown, counts.published, counts.untimed), (8, 2, 1, 1));
    rig.line(&price("EUR_USD", 60_000, "1.2"));
    assert_eq!(rig.messages.len(), 1, "good lines pass");
}

#[test]
fn prices_without_a_time_or_of_an_instrument_not_asked_for_are_published_and_counted() {
    let mut rig = connected(PricesSettings { instrument_topics: true, ..settings() });
    rig.line(r#"{"type":"PRICE","instrument":"EUR_USD","time":"yesterday"}"#);
    rig.line(&price("XAU_USD", 5, "1900"));
    let topics: Vec<&str> = rig.messages.iter().map(|message| message.topic.as_str()).collect();
    assert_eq!(topics, ["oanda_tick", "EUR_USD", "oanda_tick"]);
    assert_eq!((rig.connector.counts().untimed, rig.connector.counts().unlisted), (1, 1));
}

#[test]
fn what_the_venue_refuses_is_named_and_ends_the_run_or_is_tried_every_five_minutes() {
    for (status, why, scope, detail) in [
        (
            401,
            "Insufficient authorization",
            "*",
            "token: must be accepted, found 401: Insufficient authorization",
        ),
        (403, "Forbidden", "*", "token: must be accepted, found 403: Forbidden"),
        (400, "Invalid Instrument USD_JPY", "USD_JPY", "400: Invalid Instrument USD_JPY"),
        (404, "no such account", "*", "404: no such account"),
    ] {
        let mut rig = started(settings());
        rig.said();
        rig.closed(Some(status), why);
        assert_eq!(rig.said(), [format!("oanda_tick refused {scope}: {detail}"), format!("fail {detail}")]);
        assert_eq!(rig.due_ms(), None, "nothing more is tried");

        let mut degraded = settings();
        degraded.account.on_refused = OnRefused::Degrade;
        let mut rig = started(degraded);
        rig.said();
        for attempt in 0..3 {
            rig.closed(Some(status), why);
            let told = [format!("oanda_tick refused {scope}: {detail}"), format!("degraded {detail}")];
            assert_eq!(rig.said(), told);
            rig.until(attempt * 300_000 + 299_999);
            assert_eq!(rig.said(), [""; 0]);
            rig.until(attempt * 300_000 + 300_000);
            assert_eq!(rig.said(), [OPEN]);
        }
    }
}

#[test]
fn a_token_that_was_rotated_in_its_file_is_read_again_when_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "old\n").unwrap();
    let mut settings = settings();
    settings.account.token = Secret::from_file(&path).unwrap();
    let mut rig = started(settings);
    std::fs::write(&path, "new\n").unwrap();
    rig.said();
    rig.closed(Some(401), "expired");
    assert_eq!(rig.said(), ["degraded 401: expired"]);
    rig.until(1_000);
    assert!(rig.said()[0].ends_with(r#"[("Authorization", "Bearer new")]"#));
    rig.closed(Some(401), "expired");
    let said = rig.said();
    assert!(said[1].starts_with("fail token: must be accepted"), "{said:?}");
}

#[test]
fn waits_grow_to_half_a_minute_are_long_when_asked_too_often_and_begin_anew_after_a_good_connection() {
    let mut rig = started(settings());
    let wait = |rig: &mut Rig<Prices>, status: Option<u16>| {
        let from = rig.ms;
        rig.closed(status, "x");
        let due = rig.due_ms().unwrap();
        rig.until(due);
        due - from
    };
    for whole in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        let ms = wait(&mut rig, Some(502));
        assert!((whole / 2..=whole).contains(&ms), "{ms} of {whole}");
    }
    for whole in [60_000, 120_000, 240_000, 300_000, 300_000] {
        let ms = wait(&mut rig, Some(429));
        assert!((whole / 2..=whole).contains(&ms), "{ms} of {whole}");
    }
    rig.opened();
    rig.ms += 1_000;
    rig.line(&heartbeat(0, ""));
    assert!(wait(&mut rig, None) >= 15_000, "a second is no good connection");
    rig.opened();
    for _ in 0..6 {
        rig.ms += 5_000;
        rig.line(&heartbeat(0, ""));
    }
    assert!(wait(&mut rig, None) <= 1_000);
}

#[test]
fn secrets_stay_out_of_what_is_printed_and_told() {
    let settings = settings();
    assert!(!format!("{settings:?}").contains("secret-token"));
    let mut rig = started(settings);
    assert!(!format!("{:?}{:?}", rig.connector, rig.commands).contains("secret-token"));
    rig.closed(Some(401), "no");
    let told: String = rig.messages.iter().map(ToString::to_string).collect();
    assert!(!told.contains("secret-token"));
}

#[test]
fn what_comes_from_a_connection_that_was_closed_is_not_taken() {
    let mut rig = connected(settings());
    rig.until(10_000);
    rig.said();
    let due = rig.due_ms();
    rig.line(&price("EUR_USD", 10_000, "1"));
    rig.closed(Some(503), "late");
    rig.opened();
    assert_eq!((rig.said(), rig.due_ms()), (vec![], due));
}
