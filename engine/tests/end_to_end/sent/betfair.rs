//! Betfair: an image with definitions, then changes that move the best back price of its two runners in turn.

use serde_json::{Value, json};

use super::{Case, MESSAGES, SECOND_NS, decimal, float};

const IMAGE: &str = r#"{"op":"mcm","id":1,"clk":"A","ct":"SUB_IMAGE","pt":PT,"mc":[{"id":"1.2345","img":true,
    "tv":99.5,"marketDefinition":{"eventId":"2701","eventTypeId":"7","marketType":"WIN","status":"OPEN",
    "inPlay":false,"betDelay":0,"complete":true,"bspReconciled":false,"numberOfWinners":1,
    "numberOfActiveRunners":2,"marketTime":"2026-08-03T13:00:00.000Z","suspendTime":"2026-08-03T13:00:01.000Z",
    "countryCode":"GB","venue":"Ascot","version":6123,"bettingType":"ODDS",
    "priceLadderDefinition":{"type":"CLASSIC"},"runners":[
    {"id":7,"hc":0,"status":"ACTIVE","sortPriority":1,"adjustmentFactor":12.5},
    {"id":8,"hc":-1.5,"status":"ACTIVE","sortPriority":2,"adjustmentFactor":40.25}]},
    "rc":[{"id":7,"atb":[[2.66,1]],"atl":[[2.7,5]]},
    {"id":8,"hc":-1.5,"atb":[[3.1,2]],"atl":[[3.2,4]],"ltp":3.15}]}]}"#;

/// `base` with the keys of `more`.
fn with(base: &Value, more: &Value) -> Value {
    let mut all = base.clone();
    more.as_object().unwrap().iter().for_each(|(key, value)| all[key] = value.clone());
    all
}

/// Time and market of every point of one message.
fn place(ms: i64, recv: i64) -> Value {
    json!({"time": SECOND_NS + ms * 1_000_000, "recv_ns": recv, "exchange": "betfair", "market_id": "1.2345"})
}

fn expect_definitions(case: &mut Case, image: &Value) {
    let market = json!({"event_id": "2701", "event_type": "7", "market_type": "WIN", "status": "OPEN",
        "bet_delay": 0, "in_play": false, "complete": true, "bsp_reconciled": false, "number_of_winners": 1,
        "number_of_active_runners": 2, "market_time": SECOND_NS + 1_800_000_000_000_i64,
        "suspend_time": SECOND_NS + 1_801_000_000_000_i64, "country": "GB", "venue": "Ascot", "version": 6123,
        "betting_type": "ODDS", "total_matched": 99.5, "ladder": "CLASSIC"});
    case.expect("betfair_market", &with(image, &market));
    let seven =
        json!({"selection_id": "7", "status": "ACTIVE", "sort_priority": 1, "adjustment_factor": 12.5});
    let eight = json!({"selection_id": "8", "handicap": "-1.5", "status": "ACTIVE", "sort_priority": 2,
        "adjustment_factor": 40.25});
    [seven, eight].iter().for_each(|runner| case.expect("betfair_runner", &with(image, runner)));
}

pub(super) fn stream() -> Case {
    let mut case = Case::default();
    let recv = SECOND_NS + 3_000_000;
    case.messages.push((IMAGE.replace("PT", &(SECOND_NS / 1_000_000).to_string()), recv));
    let image = with(&place(0, recv), &json!({"flags": 1}));
    expect_definitions(&mut case, &image);
    let mut known = [
        json!({"selection_id": "7", "back_price": 2.66, "back_size": 1, "lay_price": 2.7, "lay_size": 5,
            "in_play": false, "status": "OPEN"}),
        json!({"selection_id": "8", "handicap": "-1.5", "back_price": 3.1, "back_size": 2, "lay_price": 3.2,
            "lay_size": 4, "last_price": 3.15, "in_play": false, "status": "OPEN"}),
    ];
    known.iter().for_each(|runner| case.expect("betfair_stream", &with(&image, runner)));
    let mut best = [266, 310];
    for n in 1..MESSAGES {
        let (at, recv) = (n as usize % 2, SECOND_NS + n * 1_000_000 + 4_000_000);
        let (gone, back, volume) = (best[at], best[at] - 1, 1_000 + n);
        best[at] = back;
        let change = format!(
            r#"{{{},"ltp":{},"tv":{},"atb":[[{},0],[{},{n}]]}}"#,
            ["\"id\":7", "\"id\":8,\"hc\":-1.5"][at],
            decimal(back, 2),
            decimal(volume, 2),
            decimal(gone, 2),
            decimal(back, 2)
        );
        let (pt, market) = (SECOND_NS / 1_000_000 + n, format!(r#"{{"id":"1.2345","rc":[{change}]}}"#));
        case.messages.push((format!(r#"{{"op":"mcm","id":1,"clk":"B","pt":{pt},"mc":[{market}]}}"#), recv));
        let moved = json!({"back_price": float(back, 2), "back_size": n, "last_price": float(back, 2),
            "matched_amount": float(volume, 2)});
        known[at] = with(&known[at], &moved);
        case.expect("betfair_stream", &with(&place(n, recv), &known[at]));
    }
    case
}
