//! OANDA's transaction stream.

use tickline_config::secret::Secret;
use tickline_feeds::connect::oanda::{Account, Counts, Transactions, TransactionsSettings};
use tickline_feeds::connect::{Command, Event, OnRefused};

use crate::rig::Rig;
use crate::venue::{heartbeat, transaction};

const OPEN: &str = "open https://stream.test/v3/accounts/101/transactions/stream \
    [(\"Authorization\", \"Bearer secret-token\")]";

pub(crate) fn settings() -> TransactionsSettings {
    TransactionsSettings {
        account: Account {
            stream_url: "https://stream.test".to_owned(),
            rest_url: "https://api.test".to_owned(),
            id: "101".to_owned(),
            token: Secret::new("secret-token"),
            on_refused: OnRefused::Degrade,
        },
        topic: "oanda_orders".to_owned(),
        seed: 1,
    }
}

/// A connection whose last transaction is 10.
fn connected() -> Rig<Transactions> {
    let mut rig = Rig::started(Transactions::new(settings()));
    assert_eq!(rig.said(), ["starting", OPEN]);
    rig.opened();
    rig.line(&heartbeat(0, "10"));
    assert_eq!(
        rig.said(),
        ["oanda_orders up *: connected", "ready"],
        "nothing is fetched at the first start"
    );
    rig
}

fn ask(request: u32, since: u64) -> String {
    format!("ask {request} https://api.test/v3/accounts/101/transactions/sinceid?id={since}")
}

fn answer(rig: &mut Rig<Transactions>, request: u32, ids: &[u64], last: u64) {
    let transactions: Vec<String> = ids.iter().map(|id| transaction(*id, *id, 1)).collect();
    let body = format!(
        "{{\n \"transactions\": [{}],\n \"lastTransactionID\": \"{last}\"}}",
        transactions.join(",\n ")
    );
    rig.on(Event::Answer { id: request, status: Some(200), body: body.as_bytes() });
}

fn failed(rig: &mut Rig<Transactions>, request: u32, status: Option<u16>, why: &str) {
    rig.on(Event::Answer { id: request, status, body: why.as_bytes() });
}

/// What was said, with the id instead of the body of each transaction.
fn said(rig: &mut Rig<Transactions>) -> Vec<String> {
    let id = |text: &str| text.split("\"id\":\"").nth(1)?.split('"').next().map(str::to_owned);
    rig.said().into_iter().map(|text| id(&text).unwrap_or(text)).collect()
}

#[test]
fn a_transaction_is_published_as_the_venue_wrote_it_with_its_place_in_the_batch() {
    let mut rig = connected();
    rig.ms = 5;
    rig.line(r#"{"type":"MARKET_ORDER","id":"11","batchID":"11","userID":1234567,"time":"2026-08-03T12:30:00.5Z","price":"1.08525"}"#);
    rig.line(r#"{"type":"SOMETHING_NEW","id":"12","batchID":"11","time":"2026-08-03T12:30:00.5Z","pl":"0.0000","tradeOpened":{"tradeID":"12"}}"#);
    assert_eq!(
        rig.said(),
        [
            r#"oanda_orders+0 {"batchID":"11","id":"11","price":"1.08525","time":"2026-08-03T12:30:00.5Z","type":"MARKET_ORDER","userID":"1234567"}"#,
            r#"oanda_orders+1 {"batchID":"11","id":"12","pl":"0.0000","time":"2026-08-03T12:30:00.5Z","tradeOpened":{"tradeID":"12"},"type":"SOMETHING_NEW"}"#,
        ]
    );
}

#[test]
fn what_a_jump_or_a_heartbeat_shows_to_be_missing_is_fetched_and_comes_first() {
    let mut rig = connected();
    rig.ms = 1_000;
    rig.line(&transaction(11, 11, 990));
    assert_eq!(said(&mut rig), ["11"]);
    rig.line(&transaction(14, 14, 995));
    rig.line(&transaction(15, 15, 996));
    assert_eq!(said(&mut rig), [ask(1, 11)], "they wait");
    answer(&mut rig, 1, &[12, 13, 14], 15);
    assert_eq!(said(&mut rig), ["12", "13", "14", "15"]);
    rig.line(&heartbeat(2_000, "15"));
    assert_eq!(said(&mut rig), [""; 0]);
    rig.line(&heartbeat(7_000, "17"));
    assert_eq!(said(&mut rig), [ask(2, 15)]);
    rig.line(&transaction(18, 18, 8_000));
    answer(&mut rig, 2, &[16, 17, 18], 18);
    rig.line(&transaction(19, 19, 9_000));
    assert_eq!(said(&mut rig), ["16", "17", "18", "19"]);
    let counts = Counts { connections: 1, published: 9, heartbeats: 3, fetched: 6, ..Counts::default() };
    assert_eq!(rig.connector.counts(), counts);
}

#[test]
fn after_a_reconnect_what_came_meanwhile_is_fetched_and_there_is_no_hole() {
    let mut rig = connected();
    rig.ms = 1_000;
    rig.closed(None, "reset by peer");
    rig.until(3_000);
    rig.opened();
    assert_eq!(said(&mut rig)[2..], [OPEN.to_owned(), ask(1, 10)]);
    rig.line(&transaction(13, 13, 3_000));
    rig.line(&heartbeat(3_100, "13"));
    answer(&mut rig, 1, &[11, 12], 12);
    // The ids say what is missing, so the time without a connection is no hole.
    assert_eq!(said(&mut rig), ["oanda_orders up *: connected", "11", "12", "13", "ready"]);
    rig.ms = 4_000;
    rig.on(Event::Stop);
    assert_eq!(said(&mut rig), ["close", "stopped"]);
}

#[test]
fn an_answer_in_parts_is_asked_for_until_it_is_whole() {
    let mut rig = connected();
    rig.line(&heartbeat(5_000, "16"));
    assert_eq!(said(&mut rig), [ask(1, 10)]);
    answer(&mut rig, 1, &[12, 11, 12], 16);
    assert_eq!(said(&mut rig), ["11", "12", ask(2, 12).as_str()], "sorted, each once");
    answer(&mut rig, 1, &[11, 12, 13, 14, 15, 16], 16);
    assert_eq!(said(&mut rig), [""; 0], "the answer to another question");
    answer(&mut rig, 2, &[13, 14, 15, 16], 16);
    assert_eq!(said(&mut rig), ["13", "14", "15", "16"]);
}

#[test]
fn what_cannot_be_fetched_is_a_gap_with_its_exact_number_and_the_rest_follows() {
    let mut rig = connected();
    rig.ms = 4_000;
    rig.line(&heartbeat(4_000, "10"));
    rig.ms = 5_000;
    rig.line(&transaction(13, 13, 4_990));
    rig.line(&transaction(15, 15, 4_991));
    rig.line(&heartbeat(5_000, "17"));
    assert_eq!(said(&mut rig), [ask(1, 10)]);
    for request in 1..=9 {
        failed(&mut rig, request, [None, Some(500), Some(503)][request as usize % 3], "no");
        rig.line(&heartbeat(rig.ms, "17"));
        while rig.commands.is_empty() {
            rig.until(rig.ms + 1_000);
            rig.line(&heartbeat(rig.ms, "17"));
        }
        assert_eq!(said(&mut rig), [ask(request + 1, 10)]);
    }
    failed(&mut rig, 10, Some(502), "Bad Gateway");
    let at = rig.ms;
    assert!((75_000..160_000).contains(&at), "{at} ms of attempts");
    let gap = |ids: &str, lost: u64| {
        format!("oanda_orders gap *: transactions {ids}: 502: Bad Gateway [4000..{at}] lost={lost}")
    };
    assert_eq!(said(&mut rig), [&gap("11 to 12", 2), "13", &gap("14 to 14", 1), "15", &gap("16 to 17", 2)]);
    assert_eq!(rig.connector.counts().lost, 5);
    rig.line(&transaction(18, 18, 1));
    assert_eq!(said(&mut rig), ["18"]);
}

#[test]
fn ids_that_the_venue_itself_does_not_have_are_a_gap_and_not_asked_for_again() {
    let mut rig = connected();
    rig.ms = 100;
    rig.line(&transaction(14, 14, 90));
    answer(&mut rig, 1, &[11, 14], 14);
    let gap =
        "oanda_orders gap *: transactions 12 to 13: the venue's answer does not have it [0..100] lost=2";
    assert_eq!(said(&mut rig), ["11", gap, "14", ask(1, 10).as_str()]);
}

#[test]
fn what_the_stream_brought_fills_the_holes_of_an_answer() {
    let mut rig = connected();
    rig.line(&transaction(12, 12, 1));
    rig.line(&transaction(14, 14, 1));
    answer(&mut rig, 1, &[11, 13, 15], 15);
    assert_eq!(said(&mut rig), ["11", "12", "13", "14", "15", ask(1, 10).as_str()]);
}

#[test]
fn a_refusal_is_told_and_ends_the_attempt_and_too_many_requests_wait_long() {
    for status in [400, 401, 404, 416] {
        let mut rig = connected();
        rig.line(&heartbeat(0, "12"));
        rig.said();
        failed(&mut rig, 1, Some(status), r#"{"errorMessage":"no"}"#);
        let why = format!("{status}: {{\"errorMessage\":\"no\"}}");
        assert_eq!(
            rig.said(),
            [
                format!("oanda_orders refused *: {why}"),
                format!("oanda_orders gap *: transactions 11 to 12: {why} [0..0] lost=2"),
            ]
        );
    }
    let mut rig = connected();
    rig.line(&heartbeat(0, "12"));
    rig.said();
    failed(&mut rig, 1, Some(429), "slow down");
    for beat in 1..=5 {
        rig.until(beat * 5_000);
        rig.line(&heartbeat(0, "12"));
    }
    rig.until(29_999);
    assert_eq!(rig.said(), [""; 0]);
    rig.line(&heartbeat(0, "12"));
    for beat in 6..=12 {
        rig.until(beat * 5_000);
        rig.line(&heartbeat(0, "12"));
    }
    assert_eq!(rig.said(), [ask(2, 10)]);
}

#[test]
fn bad_answers_and_bad_lines_are_counted_and_what_they_held_is_fetched() {
    let mut rig = connected();
    for line in [
        "{\"id\":\"11\"",
        r#"{"type":"ORDER_FILL","id":11}"#,
        r#"{"type":"ORDER_FILL","id":"eleven"}"#,
        r#"{"type":"ORDER_FILL","id":"-1"}"#,
        r#"{"type":"ORDER_FILL","id":"18446744073709551615"}"#,
        r#"{"type":"ORDER_FILL","id":"9000000"}"#,
        r#"{"type":"HEARTBEAT"}"#,
        r#"{"type":"HEARTBEAT","lastTransactionID":"9000000"}"#,
    ] {
        rig.line(line);
    }
    rig.line("{}");
    let said_now = said(&mut rig);
    assert_eq!(said_now.len(), 1, "{said_now:?}");
    assert!(said_now[0].contains("suspect *: malformed line"), "{said_now:?}");
    let counts = rig.connector.counts();
    assert_eq!((counts.malformed, counts.unknown, counts.published), (8, 1, 0));
    rig.line(&transaction(12, 12, 1));
    assert_eq!(said(&mut rig), [ask(1, 10)], "the line that could not be read was 11");
    for (request, body) in
        ["", "{}", "{\"transactions\":[{}],\"lastTransactionID\":\"12\"}"].iter().enumerate()
    {
        failed(&mut rig, request as u32 + 1, Some(200), body);
        let due = rig.due_ms().unwrap();
        rig.until(due);
        assert_eq!(said(&mut rig), [ask(request as u32 + 2, 10)]);
    }
    answer(&mut rig, 4, &[11], 11);
    assert_eq!(said(&mut rig), ["11", "12"]);
    assert_eq!(rig.connector.counts().malformed, 11);
}

#[test]
fn a_transaction_that_comes_again_is_published_once() {
    let mut rig = connected();
    for id in [11, 11, 10, 9, 12, 11] {
        rig.line(&transaction(id, id, 1));
    }
    rig.line(&transaction(14, 14, 1));
    rig.line(&transaction(14, 14, 1));
    answer(&mut rig, 1, &[11, 12, 13, 14], 14);
    assert_eq!(said(&mut rig), ["11", "12", "13", "14", ask(1, 10 + 2).as_str()]);
    assert_eq!(rig.connector.counts().repeated, 5);
}

#[test]
fn what_waits_is_bounded_and_what_does_not_fit_is_fetched() {
    let mut rig = connected();
    let long = "x".repeat(1 << 20);
    for id in 12..=20 {
        rig.line(&format!(r#"{{"type":"A","id":"{id}","batchID":"{id}","more":"{long}"}}"#));
    }
    answer(&mut rig, 1, &[11], 20);
    assert_eq!(said(&mut rig), ["11", "12", "13", "14", ask(1, 10).as_str(), ask(2, 14).as_str()]);
    answer(&mut rig, 2, &[15, 16, 17, 18, 19, 20], 20);
    assert_eq!(said(&mut rig), ["15", "16", "17", "18", "19", "20"]);
}

#[test]
fn the_end_of_the_run_says_what_was_still_missing() {
    let mut rig = connected();
    rig.ms = 1_000;
    rig.line(&transaction(13, 13, 900));
    rig.said();
    rig.ms = 2_000;
    rig.on(Event::Stop);
    assert_eq!(
        said(&mut rig),
        [
            "oanda_orders gap *: transactions 11 to 12: the run ended before it came [0..2000] lost=2",
            "13",
            "close",
            "stopped",
        ]
    );
    let mut rig = connected();
    rig.ms = 3_000;
    rig.closed(None, "gone");
    rig.said();
    rig.ms = 8_000;
    rig.on(Event::Stop);
    assert_eq!(
        said(&mut rig),
        ["oanda_orders gap *: not connected when the run ended [0..8000]", "stopped"],
        "how many were made since is not known"
    );
}

#[test]
fn a_connection_lost_before_the_first_id_is_a_hole_of_unknown_size() {
    let mut rig = Rig::started(Transactions::new(settings()));
    rig.ms = 100;
    rig.opened();
    rig.ms = 200;
    rig.closed(None, "gone");
    rig.until(2_000);
    rig.opened();
    rig.line(&heartbeat(2_000, "10"));
    let asked = rig.commands.iter().any(|command| matches!(command, Command::Ask(..)));
    assert!(!asked);
    assert!(rig.said().contains(&"oanda_orders up *: connected again [100..2000]".to_owned()));
}
