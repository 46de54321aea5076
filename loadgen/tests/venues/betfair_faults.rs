//! Betfair: what is refused and how, resumption after a lost connection, and the other faults.

use std::time::Duration;

use serde_json::{Value, json};
use tickline_loadgen::venue::Simulator;
use tickline_loadgen::venue::betfair::{Credentials, start};

use crate::betfair::{Cache, Client, image, plan};
use crate::client::LIMIT;

/// What an authentication or another first message is answered, and whether the connection ends.
fn said(venue: &Simulator, request: &Value) -> (Value, bool) {
    let mut client = Client::open(venue);
    client.say(request);
    let status = client.next().unwrap();
    assert_eq!(status["op"], "status");
    let closed = status["connectionClosed"] == true;
    assert!(!closed || client.line().is_none());
    (status["errorCode"].clone(), closed)
}

#[test]
fn every_error_has_its_code_and_ends_the_connection() {
    let venue = start(plan(0, &["expired-token 1", "rate-limit 1 of stream"])).unwrap();
    let Credentials { app_key, session, .. } = Credentials::default();
    let ours = json!({"op": "authentication", "id": 1, "appKey": app_key, "session": session});
    for (request, code) in [
        (json!({"op": "authentication", "id": 1, "session": session}), "NO_APP_KEY"),
        (json!({"op": "authentication", "id": 1, "appKey": "x", "session": session}), "INVALID_APP_KEY"),
        (json!({"op": "authentication", "id": 1, "appKey": app_key}), "NO_SESSION"),
        (
            json!({"op": "authentication", "id": 1, "appKey": app_key, "session": "x"}),
            "INVALID_SESSION_INFORMATION",
        ),
        (json!({"op": "marketSubscription", "id": 1}), "NOT_AUTHORIZED"),
        (json!({"op": "nonsense", "id": 1}), "INVALID_REQUEST"),
        (json!([1]), "INVALID_INPUT"),
        (ours.clone(), "TOO_MANY_REQUESTS"),
        (ours.clone(), "INVALID_SESSION_INFORMATION"),
    ] {
        assert_eq!(said(&venue, &request), (code.into(), true), "{request}");
    }
    assert_eq!(said(&venue, &ours), (Value::Null, false));
    let journal = venue.stop().journal;
    assert!(journal.iter().all(|entry| entry.count == 1 && entry.to_ns.is_some()), "{journal:?}");
}

#[test]
fn who_says_nothing_is_timed_out() {
    let mut plan = plan(0, &[]);
    plan.patience = Duration::from_millis(50);
    let venue = start(plan).unwrap();
    let mut client = Client::open(&venue);
    assert_eq!(client.next().unwrap()["errorCode"], "TIMEOUT");
    assert_eq!(client.line(), None);
}

#[test]
fn too_many_markets_are_refused_and_the_connection_stays() {
    let mut plan = plan(10, &["refuse 1 of market 1.230000007"]);
    plan.markets_max = 2;
    let venue = start(plan).unwrap();
    let mut client = Client::authenticated(&venue);
    let some = json!({"marketFilter": {"marketIds": ["1.230000000", "1.230000007"]}});
    for (asked, code) in [
        (&json!({}), Value::from("SUBSCRIPTION_LIMIT_EXCEEDED")),
        (&json!({}), "SUBSCRIPTION_LIMIT_EXCEEDED".into()),
        (&some, Value::Null),
    ] {
        let status = client.subscribe(asked);
        assert_eq!((&status["errorCode"], &status["connectionClosed"]), (&code, &false.into()));
    }
    assert_eq!(client.data().unwrap()["ct"], "SUB_IMAGE");
}

/// Takes all data up to the end of the connection; the last tokens.
fn drain(client: &mut Client, cache: &mut Cache) -> Value {
    let mut tokens = json!({});
    while let Some(message) = client.data() {
        cache.take(&message);
        for key in ["initialClk", "clk"] {
            if let Some(value) = message.get(key) {
                tokens[key] = value.clone();
            }
        }
    }
    tokens
}

#[test]
fn who_resumes_gets_what_has_changed_meanwhile() {
    let venue = start(plan(300, &["disconnect 40 after 100 of market 1.230000007"])).unwrap();
    let mut client = Client::authenticated(&venue);
    client.subscribe(&json!({}));
    let mut cache = Cache::default();
    let tokens = drain(&mut client, &mut cache);
    let mut again = Client::authenticated(&venue);
    assert_eq!(again.subscribe(&tokens)["statusCode"], "SUCCESS");
    let resumed = again.data().unwrap();
    assert_eq!((&resumed["ct"], &resumed["initialClk"]), (&"RESUB_DELTA".into(), &tokens["initialClk"]));
    assert!(resumed["mc"].as_array().unwrap().iter().any(|market| market["id"] == "1.230000007"));
    cache.take(&resumed);
    let made: u64 = venue.record().made.values().sum();
    assert!(venue.wait(LIMIT, |record| record.ended), "{made}");
    let left = venue.record().sent.iter().filter(|sent| sent.connection == 2).count() - 1;
    // The resumption is put down once, though it is of three markets.
    (0..left).for_each(|_| cache.take(&again.data().unwrap()));
    assert_eq!(cache, image(&venue));
    let journal = venue.stop().journal;
    let hole = journal[0].holes.iter().find(|hole| hole.stream == "market 1.230000007").unwrap();
    assert_eq!((hole.messages, journal[0].to_ns.is_some()), (40, true));
}

#[test]
fn tokens_that_are_not_of_the_same_subscription_are_an_invalid_clock() {
    let venue = start(plan(20, &["invalid-clock 1", "disconnect after 10 of market 1.230000000"])).unwrap();
    let mut client = Client::authenticated(&venue);
    client.subscribe(&json!({}));
    let tokens = drain(&mut client, &mut Cache::default());
    let (mut other, mut unknown) = (tokens.clone(), tokens.clone());
    other["marketDataFilter"] = json!({"fields": ["EX_LTP"]});
    unknown["clk"] = "nonsense".into();
    // The first one is refused on request.
    for (asked, code) in [
        (&tokens, Value::from("INVALID_CLOCK")),
        (&other, "INVALID_CLOCK".into()),
        (&unknown, "INVALID_CLOCK".into()),
        (&tokens, Value::Null),
    ] {
        let mut again = Client::authenticated(&venue);
        let status = again.subscribe(asked);
        assert_eq!(
            (&status["errorCode"], &status["connectionClosed"]),
            (&code, &(code != Value::Null).into()),
            "{asked}"
        );
        assert_eq!(again.line().is_none(), code != Value::Null);
    }
}

#[test]
fn unreliable_data_says_so_and_is_data_all_the_same() {
    let venue = start(plan(60, &["unreliable 5 after 20 of market 1.230000000"])).unwrap();
    let mut client = Client::authenticated(&venue);
    client.subscribe(&json!({"marketFilter": {"marketIds": ["1.230000000"]}}));
    let messages: Vec<Value> = (0..61).map(|_| client.data().unwrap()).collect();
    let marked: Vec<usize> = (0..61).filter(|n| messages[*n]["status"] == 503).collect();
    assert_eq!(marked, [21, 22, 23, 24, 25]);
    assert!(messages.iter().all(|message| message["mc"][0]["id"] == "1.230000000"));
    assert_eq!(venue.stop().journal[0].count, 5);
}

#[test]
fn half_a_line_skipped_malformed_and_dripping_lines_come_where_they_were_asked_for() {
    let faults = [
        "malformed 1 after 5 of market 1.230000000",
        "drip 1 after 8 of market 1.230000000",
        "skip 2 after 10 of market 1.230000000",
        "half-message after 20 of market 1.230000000",
    ];
    let venue = start(plan(60, &faults)).unwrap();
    let mut client = Client::authenticated(&venue);
    client.subscribe(&json!({"marketFilter": {"marketIds": ["1.230000000"]}}));
    let lines: Vec<String> =
        std::iter::from_fn(|| client.line()).filter(|line| !line.contains("HEARTBEAT")).collect();
    let broken: Vec<usize> =
        (0..lines.len()).filter(|n| serde_json::from_str::<Value>(&lines[*n]).is_err()).collect();
    // The image, 20 messages less two that were skipped; of the half line nothing counts.
    assert_eq!((lines.len(), broken), (19, vec![6]));
    let journal = venue.stop().journal;
    assert_eq!(journal.iter().map(|entry| entry.count).collect::<Vec<u64>>(), [1, 1, 2, 1]);
    assert_eq!(journal[2].holes[0].messages, 2);
}
