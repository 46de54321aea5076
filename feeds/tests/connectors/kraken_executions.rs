//! Our own orders at Kraken: tokens, the numbered sequence, and what happens when the key is refused.

use tickline_config::secret::Secret;
use tickline_feeds::connect::Command;
use tickline_feeds::connect::kraken::{Orders, OrdersSettings};

use crate::rig::{Done, Rig, SECOND_NS};

pub(crate) const TOKEN: &str = r#"{"error":[],"result":{"token":"WW91ciBhdXRo","expires":900}}"#;

pub(crate) fn start(fail_when_refused: bool) -> (Rig<Orders>, Done) {
    Rig::new(Orders::new(OrdersSettings {
        url: "ws://venue".to_owned(),
        rest_url: "http://rest".to_owned(),
        api_key: Secret::new("key"),
        api_secret: Secret::new("c2VjcmV0"),
        fail_when_refused,
        seed: 1,
    }))
}

pub(crate) fn execution(sequence: u64) -> String {
    format!(
        r#"{{"channel":"executions","type":"update","data":[{{"order_id":"O-1","exec_id":"T-{sequence}","symbol":"BTC/USD","last_price":63377.2,"trade_id":5,"timestamp":"2026-08-02T03:36:05.243302Z"}}],"sequence":{sequence}}}"#
    )
}

#[test]
fn each_connection_has_a_token_of_its_own_and_messages_are_published_as_they_are() {
    let (mut rig, done) = start(true);
    assert_eq!(done.asked(), ["http://rest/0/private/GetWebSocketsToken"]);
    let Some(Command::Ask(_, request)) = done.commands.iter().find(|c| matches!(c, Command::Ask(..))) else {
        panic!()
    };
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["API-Key", "API-Sign", "Content-Type"]);
    assert!(!format!("{request:?}").contains("key"), "a log must not show the key");
    assert!(rig.answer(1, TOKEN).opens());
    assert_eq!(rig.opened().requests()[0]["params"]["token"], "WW91ciBhdXRo");
    rig.say(r#"{"method":"subscribe","result":{"channel":"executions"},"success":true,"req_id":1}"#);
    let done = rig.say(&execution(1));
    assert_eq!(done.data()[0]["data"][0]["last_price"], "63377.2");
    assert_eq!(done.data()[0]["sequence"], 1, "the venue's number is an integer");
    rig.closed();
    assert_eq!(rig.pass(SECOND_NS).asked().len(), 1, "the next connection asks for the next token");
}

#[test]
fn executions_of_one_time_keep_apart_in_a_message_and_behind_it() {
    let (mut rig, _) = start(true);
    rig.answer(1, TOKEN);
    rig.opened();
    let two = |sequence: u64| {
        let one = execution(sequence);
        let element = one[one.find("[{").unwrap() + 1..one.find("}]").unwrap() + 1].to_owned();
        one.replace(&element, &format!("{element},{element}"))
    };
    let ties = [1, 2].map(|sequence| rig.say(&two(sequence)).data()[0]["_tie"].clone());
    assert_eq!(ties, [0, 2]);
}

#[test]
fn a_number_that_is_missing_is_a_hole_of_exactly_so_many_and_the_orders_are_asked_for_again() {
    let (mut rig, _) = start(true);
    let granted = |rig: &mut Rig<Orders>| {
        rig.answer(1, TOKEN);
        let id = rig.opened().requests()[0]["req_id"].clone();
        rig.say(&format!(
            r#"{{"method":"subscribe","success":true,"req_id":{id},"result":{{"channel":"executions"}}}}"#
        ))
    };
    granted(&mut rig);
    rig.say(&execution(1));
    let done = rig.say(&execution(5));
    let (kind, scope, span, lost) = done.events().remove(0);
    assert_eq!((kind.as_str(), scope.as_str(), span.is_some(), lost), ("gap", "*", true, Some(3)));
    assert_eq!(done.data().len(), 1, "what has come is published");
    assert_eq!(rig.pass(SECOND_NS).asked().len(), 1, "a new connection begins with what is open");
    let events = granted(&mut rig).events();
    assert!(
        matches!(&events[..], [(kind, _, Some(_), None)] if kind == "gap"),
        "what was missed meanwhile: {events:?}"
    );
}

#[test]
fn a_refused_key_is_named_and_never_tried_in_a_hot_loop() {
    let refusal = r#"{"error":["EAPI:Invalid key"]}"#;
    let (mut rig, _) = start(true);
    let done = rig.answer(1, refusal);
    let failed =
        done.commands.iter().find_map(|c| if let Command::Fail(why) = c { Some(why.as_str()) } else { None });
    assert_eq!(failed, Some("api_key: refused by Kraken: EAPI:Invalid key"));
    let (mut rig, _) = start(false);
    assert_eq!(rig.answer(1, refusal).events()[0].0, "refused");
    assert!(rig.pass(299 * SECOND_NS).asked().is_empty());
    assert_eq!(rig.pass(2 * SECOND_NS).asked().len(), 1);
}

#[test]
fn a_rate_limit_is_no_refusal() {
    let (mut rig, _) = start(true);
    let done = rig.answer(1, r#"{"error":["EAPI:Rate limit exceeded"]}"#);
    assert!(!done.commands.iter().any(|command| matches!(command, Command::Fail(_))));
    assert_eq!(rig.pass(SECOND_NS).asked().len(), 1);
}
