//! Market definitions as instruments.

use serde_json::{Value, json};

use super::play::{BASE_MS, Play, settings};

const MINUTE: u64 = 60_000;

fn defined(id: &str, pt: i64, definition: &Value) -> String {
    json!({"op": "mcm", "clk": "A", "pt": pt, "mc": [{"id": id, "img": true, "marketDefinition": definition}]})
        .to_string()
}

/// The instruments that were told since the last time.
fn told(play: &mut Play) -> Vec<Value> {
    std::mem::take(&mut play.instruments)
}

#[test]
fn a_definition_has_a_step_of_prices_only_where_all_steps_are_alike() {
    for (ladder, increment) in [
        (json!({"priceLadderDefinition": {"type": "CLASSIC"}}), None),
        (json!({}), None),
        (json!({"priceLadderDefinition": {"type": "FINEST"}}), Some("0.01")),
        (json!({"priceLadderDefinition": {"type": "LINE_RANGE"}, "lineInterval": 0.5}), Some("0.5")),
        (json!({"priceLadderDefinition": {"type": "LINE_RANGE"}}), None),
        (json!({"priceLadderDefinition": {"type": "LINE_RANGE"}, "lineInterval": "x"}), None),
    ] {
        let mut definition = json!({"status": "SUSPENDED", "runners": [{"id": 7}]});
        definition.as_object_mut().unwrap().extend(ladder.as_object().unwrap().to_owned());
        let mut expected = json!({"exchange": "betfair", "instrument": "1.200000001", "status": "SUSPENDED",
            "timestamp": (BASE_MS + 5) * 1_000_000});
        if let Some(increment) = increment {
            expected["price_increment"] = json!(increment);
        }
        let mut play = Play::subscribed(settings());
        play.line(&defined("1.200000001", BASE_MS + 5, &definition));
        assert_eq!(told(&mut play), [expected]);
    }
}

#[test]
fn an_instrument_is_told_when_it_changes_and_all_of_them_every_ten_minutes() {
    let mut play = Play::subscribed(settings());
    let of = |status: &str, version: u64| json!({"status": status, "version": version});
    for (id, status, version, expected) in [
        ("1.1", "OPEN", 1, 1),
        ("1.2", "OPEN", 1, 1),
        ("1.1", "OPEN", 2, 0),
        ("1.1", "SUSPENDED", 3, 1),
        ("1.3", "CLOSED", 1, 1),
    ] {
        play.line(&defined(id, BASE_MS, &of(status, version)));
        assert_eq!(told(&mut play).len(), expected, "{id} {status} {version}");
    }
    play.until(10 * MINUTE - 1);
    assert_eq!(told(&mut play), [json!(null); 0]);
    play.until(10 * MINUTE);
    let all: Vec<(String, String)> = told(&mut play)
        .iter()
        .map(|told| ["instrument", "status"].map(|key| told[key].as_str().unwrap().to_owned()).into())
        .collect();
    let expected =
        [("1.1", "SUSPENDED"), ("1.2", "OPEN")].map(|(id, status)| (id.to_owned(), status.to_owned()));
    assert_eq!(all, expected, "closed markets are told once");
    play.until(20 * MINUTE);
    assert_eq!(told(&mut play).len(), 2);
}
