//! Definitions are told at the start, on change and every ten minutes.

use serde_json::json;
use tickline_config::secret::Secret;
use tickline_feeds::connect::definitions::{Definitions, DefinitionsSettings};
use tickline_feeds::connect::oanda::Account;
use tickline_feeds::connect::{OnRefused, State};

use crate::rig::{Rig, SECOND_NS, START_NS};

fn pairs(status: &str) -> String {
    format!(
        r#"{{"error":[],"result":{{"XXBTZUSD":{{"altname":"XBTUSD","wsname":"XBT/USD","pair_decimals":1,"lot_decimals":8,"tick_size":"0.1","status":"{status}"}},
        "ADAUSDT":{{"altname":"ADAUSDT","wsname":"ADA/USDT","pair_decimals":6,"lot_decimals":8}}}}}}"#
    )
}

fn open() -> Rig<Definitions> {
    opened(OnRefused::Fail)
}

fn opened(on_refused: OnRefused) -> Rig<Definitions> {
    let oanda = Account {
        rest_url: "http://oanda".into(),
        id: "101".into(),
        token: Secret::new("t"),
        on_refused,
        ..Account::default()
    };
    let kraken = Some(("http://kraken".to_owned(), "ws://kraken".to_owned()));
    let settings = DefinitionsSettings { kraken, oanda: Some(oanda), seed: 1 };
    let (rig, done) = Rig::new(Definitions::new(settings));
    assert_eq!(
        done.asked(),
        ["http://kraken/0/public/AssetPairs", "http://oanda/v3/accounts/101/instruments"]
    );
    rig
}

#[test]
fn a_definition_is_told_when_it_is_new_or_changes_with_the_time_since_when_it_holds() {
    let mut rig = open();
    let first = rig.answer(0, &pairs("online"));
    let told: Vec<&str> =
        first.data().iter().map(|payload| payload["instrument"].as_str().unwrap()).collect();
    assert_eq!(told, ["ADA/USDT", "BTC/USD"]);
    let payload = first.data()[1];
    let texts = ["exchange", "base", "quote", "price_increment", "qty_increment", "status"]
        .map(|key| payload[key].clone());
    assert_eq!(texts, ["kraken", "BTC", "USD", "0.1", "0.00000001", "online"].map(|text| json!(text)));
    assert_eq!((&payload["price_precision"], &payload["timestamp"]), (&json!(1), &json!(START_NS)));
    assert!(rig.pass(61 * SECOND_NS).asked().len() >= 2, "asked again after a minute");
    assert!(rig.answer(0, &pairs("online")).data().is_empty(), "nothing has changed");
    let changed = rig.answer(0, &pairs("cancel_only"));
    let [payload] = changed.data()[..] else { panic!("{changed:?}") };
    assert_eq!(
        (&payload["status"], &payload["timestamp"]),
        (&json!("cancel_only"), &json!(START_NS + 61 * SECOND_NS as i64))
    );
}

#[test]
fn everything_is_told_again_every_ten_minutes_with_its_first_time() {
    let mut rig = open();
    rig.answer(0, &pairs("online"));
    rig.answer(1, r#"{"instruments":[{"name":"EUR_USD","type":"CURRENCY","displayPrecision":5,"tradeUnitsPrecision":0}]}"#);
    let again = rig.pass(600 * SECOND_NS);
    assert_eq!(again.data().len(), 3);
    assert!(again.data().iter().all(|payload| payload["timestamp"] == json!(START_NS)));
}

#[test]
fn a_refusal_is_named_and_the_other_venue_goes_on() {
    let mut rig = open();
    let refused = rig.answer(0, r#"{"error":["EAPI:Rate limit exceeded"]}"#);
    assert_eq!(refused.events(), [("refused".to_owned(), "kraken".to_owned(), None, None)]);
    let other =
        rig.answer(1, r#"{"instruments":[{"name":"EUR_USD","displayPrecision":5,"tradeUnitsPrecision":0}]}"#);
    assert_eq!(other.data()[0]["instrument"], json!("EUR_USD"));
    assert_eq!(rig.count("refusals"), 1);
}

#[test]
fn a_token_that_is_not_taken_ends_it_or_is_tried_every_five_minutes() {
    let mut ends = open();
    let done = ends.refuse(1, 401);
    assert_eq!(done.failed(), Some("token: must be accepted, found status 401"));
    let mut stays = opened(OnRefused::Degrade);
    stays.answer(0, &pairs("online"));
    assert_eq!(stays.refuse(1, 401).failed(), None);
    let asked: usize = (0..4).map(|_| stays.pass(61 * SECOND_NS).asked().len()).sum();
    assert_eq!(asked, 4, "Kraken each minute, OANDA not within five");
    assert_eq!(stays.pass(61 * SECOND_NS).asked().len(), 2);
}

#[test]
fn it_is_ready_only_when_every_venue_has_answered_well() {
    let mut rig = open();
    rig.answer(0, "<html>");
    let other = rig.answer(1, r#"{"instruments":[]}"#);
    assert_eq!(other.state(), Some(State::Degraded), "Kraken has told nothing yet");
    assert_eq!(rig.answer(0, &pairs("online")).state(), Some(State::Ready));
}

fn instrument(kind: &str, pairs: &[(&str, &str, &str)]) -> String {
    let pair = |(symbol, status, step): &(&str, &str, &str)| {
        format!(
            r#"{{"symbol":"{symbol}","base":"B","quote":"Q","status":"{status}","qty_precision":8,"qty_increment":1e-08,"price_precision":1,"price_increment":{step}}}"#
        )
    };
    let pairs: Vec<String> = pairs.iter().map(pair).collect();
    format!(
        r#"{{"channel":"instrument","type":"{kind}","data":{{"assets":[],"pairs":[{}]}}}}"#,
        pairs.join(",")
    )
}

#[test]
fn the_stream_tells_what_changes_at_once_and_rest_is_asked_only_while_it_is_away() {
    let mut rig = open();
    assert_eq!(rig.answer(0, &pairs("online")).data().len(), 2);
    let subscribed = rig.opened().requests();
    assert_eq!(subscribed[0]["params"], json!({"channel": "instrument", "snapshot": true}));
    rig.say(r#"{"method":"subscribe","result":{"channel":"instrument"},"success":true,"req_id":1}"#);
    let both = [("BTC/USD", "online", "0.1"), ("NEW/USD", "online", "1e-05")];
    let told = rig.say(&instrument("snapshot", &both));
    let [new] = told.data()[..] else { panic!("what REST has told is not told again: {told:?}") };
    assert_eq!((&new["instrument"], &new["price_increment"]), (&json!("NEW/USD"), &json!("0.00001")));
    assert_eq!(told.state(), Some(State::Ready));
    let changed = rig.say(&instrument("update", &[("BTC/USD", "cancel_only", "0.1")]));
    let [payload] = changed.data()[..] else { panic!("{changed:?}") };
    assert_eq!(payload["status"], "cancel_only");
    let same = rig.say(&instrument("update", &[("BTC/USD", "cancel_only", "0.1")]));
    assert!(same.data().is_empty(), "nothing has changed");
    assert!(rig.answer(0, &pairs("online")).data().is_empty(), "an answer of before is not believed");
    let mut asked = Vec::new();
    for _ in 0..16 {
        asked.extend(rig.pass(4 * SECOND_NS).asked());
        rig.say(r#"{"channel":"heartbeat"}"#);
    }
    assert_eq!(asked, ["http://oanda/v3/accounts/101/instruments"]);
    rig.closed();
    assert!(rig.pass(SECOND_NS).asked().contains(&"http://kraken/0/public/AssetPairs".to_owned()));
    let back = rig.answer(0, &pairs("online"));
    assert_eq!(back.data().len(), 2, "{back:?}");
}

#[test]
fn a_pair_that_cannot_be_read_takes_no_other_with_it() {
    let mut rig = open();
    rig.opened();
    let odd = r#"{"channel":"instrument","type":"snapshot","data":{"pairs":[7,{"symbol":"ODD/USD","status":"online"},{"symbol":"BTC/USD","status":"online","qty_precision":8,"price_precision":1}]}}"#;
    assert_eq!(rig.say(odd).data().len(), 1);
    assert_eq!(rig.count("pairs_malformed"), 2);
}
