//! Kraken's trades: numbers that are missing come from REST, or are told as lost to the trade.

use tickline_feeds::connect::Event;
use tickline_feeds::connect::kraken::{TradeSettings, Trades};

use crate::rig::{Done, Rig, SECOND_NS, START_NS};

const PAIRS: &str = r#"{"error":[],"result":{"XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","pair_decimals":1,"lot_decimals":8}}}"#;

fn trades(kind: &str, ids: &[u64]) -> String {
    let trade = |id: &u64| {
        format!(
            r#"{{"symbol":"BTC/USD","side":"buy","price":63395.0,"qty":0.00027625,"ord_type":"limit","trade_id":{id},"timestamp":"2026-08-02T03:36:05.{id:06}Z"}}"#
        )
    };
    let all: Vec<String> = ids.iter().map(trade).collect();
    format!(r#"{{"channel":"trade","type":"{kind}","data":[{}]}}"#, all.join(","))
}

fn rows(ids: &[u64]) -> String {
    let row = |id: &u64| format!(r#"["63395.00000","0.00027625",1785641765.000{id:03}9,"s","m","",{id}]"#);
    let all: Vec<String> = ids.iter().map(row).collect();
    format!(r#"{{"error":[],"result":{{"XXBTZUSD":[{}],"last":"1785641765000000000"}}}}"#, all.join(","))
}

fn ids(done: &Done) -> Vec<u64> {
    done.data().iter().map(|payload| payload["trade_id"].as_u64().unwrap()).collect()
}

fn settings() -> TradeSettings {
    TradeSettings {
        url: "ws://venue".to_owned(),
        rest_url: "http://rest".to_owned(),
        symbols: vec!["BTC/USD".to_owned()],
        seed: 1,
    }
}

fn open() -> Rig<Trades> {
    let (mut rig, _) = Rig::new(Trades::new(settings()));
    rig.answer(1, PAIRS);
    rig.opened();
    assert!(
        ids(&rig.say(&trades("snapshot", &[1, 2, 3]))).is_empty(),
        "what was traded before the start is not news"
    );
    assert_eq!(ids(&rig.say(&trades("update", &[4, 5]))), [4, 5]);
    rig
}

#[test]
fn a_hole_in_trade_ids_is_filled_from_rest_and_each_trade_is_published_once() {
    let mut rig = open();
    rig.pass(SECOND_NS);
    let done = rig.say(&trades("update", &[9]));
    assert_eq!(ids(&done), [9], "what has come does not wait");
    assert_eq!(done.asked(), ["http://rest/0/public/Trades?pair=XBTUSD&since=1785641765000004999"]);
    let done = rig.answer(2, &rows(&[4, 5, 6, 7, 8, 9, 10]));
    assert_eq!(ids(&done), [6, 7, 8]);
    let payload = done.data()[0];
    let texts = ["side", "ord_type", "price", "qty", "timestamp"]
        .map(|key| payload[key].as_str().unwrap().to_owned());
    assert_eq!(texts, ["sell", "market", "63395.00000", "0.00027625", "2026-08-02T03:36:05.000006Z"]);
    assert!(done.events().is_empty(), "nothing is missing any more");
    assert_eq!(ids(&rig.say(&trades("update", &[9, 10]))), [10], "a trade that was published is not news");
    assert_eq!((rig.count("trades_filled"), rig.count("trades_lost")), (3, 0));
}

#[test]
fn what_rest_does_not_have_is_told_as_lost_with_its_number_and_span() {
    let mut rig = open();
    rig.pass(2 * SECOND_NS);
    rig.say(&trades("update", &[9]));
    let done = rig.answer(2, &rows(&[7]));
    assert_eq!(ids(&done), [7]);
    let span = Some((START_NS, START_NS + 2 * SECOND_NS as i64));
    let gap = |lost| ("gap".to_owned(), "BTC/USD".to_owned(), span, Some(lost));
    assert_eq!(done.events(), [gap(1)], "6 is not there, though 7 is");
    let done = rig.pass(SECOND_NS);
    assert_eq!(done.asked().len(), 1, "8 may come with the next answer");
    assert!(rig.answer(2, &rows(&[])).events().is_empty(), "REST may be behind the stream");
    rig.pass(SECOND_NS);
    assert_eq!(rig.answer(2, &rows(&[9])).events(), [gap(1)], "REST is beyond it");
    assert_eq!((rig.count("trades_filled"), rig.count("trades_lost")), (1, 2));
}

#[test]
fn a_rate_limit_is_waited_out_and_after_eight_refusals_the_hole_is_told() {
    let mut rig = open();
    rig.pass(SECOND_NS);
    let mut asked = rig.say(&trades("update", &[8])).asked().len();
    let mut events = Vec::new();
    for _ in 0..400 {
        let limit = r#"{"error":["EAPI:Rate limit exceeded"]}"#;
        events.extend(rig.answer(2, limit).events());
        for _ in 0..40 {
            let done = rig.pass(SECOND_NS);
            events.extend(done.events());
            rig.say(r#"{"channel":"heartbeat"}"#);
            if !done.asked().is_empty() {
                asked += done.asked().len();
                break;
            }
        }
        if !events.is_empty() {
            break;
        }
    }
    assert_eq!((asked, events.len()), (8, 1), "{events:?}");
    assert_eq!(events[0].3, Some(2));
}

#[test]
fn pairs_that_rest_did_not_tell_at_the_start_are_asked_for_when_a_hole_needs_them() {
    let (mut rig, done) = Rig::new(Trades::new(settings()));
    assert_eq!(done.asked(), ["http://rest/0/public/AssetPairs"]);
    rig.refuse(1, 503);
    rig.opened();
    rig.say(&trades("update", &[4, 6]));
    assert_eq!(rig.pass(3 * SECOND_NS).asked(), ["http://rest/0/public/AssetPairs"]);
    assert_eq!(rig.answer(1, PAIRS).asked().len(), 1);
    assert_eq!(ids(&rig.answer(2, &rows(&[4, 5, 6]))), [5]);
}

#[test]
fn an_answer_that_comes_when_the_stream_has_told_the_trades_itself_fills_no_other_hole() {
    let mut rig = open();
    rig.pass(SECOND_NS);
    rig.say(&trades("update", &[7]));
    rig.say(&trades("update", &[10]));
    assert_eq!(ids(&rig.say(&trades("update", &[6]))), [6], "late, and not asked for in vain");
    assert!(ids(&rig.answer(2, &rows(&[6, 7, 8, 9]))).is_empty(), "the answer is about the first hole");
    rig.pass(SECOND_NS);
    assert_eq!(ids(&rig.answer(2, &rows(&[8, 9]))), [8, 9]);
    assert_eq!((rig.count("trades_filled"), rig.count("trades_lost")), (3, 0));
}

#[test]
fn what_is_missing_when_the_run_ends_is_told_whatever_was_asked() {
    let mut rig = open();
    rig.pass(SECOND_NS);
    rig.say(&trades("update", &[7]));
    rig.say(&trades("update", &[10]));
    let lost: Vec<Option<u64>> = rig.tell(Event::Stop).events().iter().map(|event| event.3).collect();
    assert_eq!(lost, [Some(1), Some(2)]);
}

#[test]
fn trades_missed_in_an_outage_are_the_hole_between_the_numbers() {
    let mut rig = open();
    rig.closed();
    assert!(rig.pass(SECOND_NS).opens());
    rig.opened();
    let done = rig.say(&trades("snapshot", &[5, 8, 9]));
    assert_eq!(ids(&done), [8, 9], "the snapshot after an outage brings what is new in it");
    assert_eq!(done.asked().len(), 1);
    assert_eq!(ids(&rig.answer(2, &rows(&[6, 7, 8]))), [6, 7]);
}

#[test]
fn a_trade_without_number_or_with_broken_json_is_counted() {
    let mut rig = open();
    rig.say(r#"{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","price":1,"qty":1}]}"#);
    rig.say(
        r#"{"channel":"trade","type":"update","data":[{"symbol":"NO/PAIR","trade_id":1,"timestamp":"x"}]}"#,
    );
    rig.say("not json");
    assert_eq!(rig.count("trades_malformed") + rig.count("malformed"), 4, "broken JSON counts in both");
    assert_eq!(ids(&rig.say(&trades("update", &[6]))), [6]);
    assert_eq!(rig.say(&trades("update", &[6])).sent, []);
}
