//! OANDA's instrument definitions.

use serde_json::json;
use tickline_feeds::clock::{MonoNanos, WallNanos};
use tickline_feeds::connect::oanda::instruments::{Definitions, publish};
use tickline_feeds::connect::{Connector, Event, Now, Outbox};

use crate::rig::{BASE_NS, Rig};

/// Gives every answer that it gets to the function.
struct Asked(Result<Definitions, String>);

impl Connector for Asked {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        if let Event::Answer { body, .. } = event {
            let topic = out.topic("instruments");
            self.0 = publish(body, topic, now, out);
        }
    }

    fn due(&self) -> Option<MonoNanos> {
        None
    }

    fn counts(&self, _tell: &mut dyn FnMut(&'static str, u64)) {}
}

fn asked(body: &str) -> Rig<Asked> {
    let mut rig = Rig::started(Asked(Ok(Definitions::default())));
    rig.on(Event::Answer { id: 1, status: Some(200), body: body.as_bytes() });
    rig
}

#[test]
fn each_instrument_of_an_answer_is_one_definition() {
    let rig = asked(
        r#"{"instruments":[
        {"name":"EUR_USD","type":"CURRENCY","displayName":"EUR/USD","pipLocation":-4,"displayPrecision":5,
         "tradeUnitsPrecision":0,"minimumTradeSize":"1","marginRate":"0.02"},
        {"name":"BTC_USD","type":"CFD","displayPrecision":1,"tradeUnitsPrecision":2},
        {"name":"BASKET","displayPrecision":0,"tradeUnitsPrecision":1}],"lastTransactionID":"6360"}"#,
    );
    assert_eq!(rig.connector.0, Ok(Definitions { published: 3, malformed: 0 }));
    let bodies: Vec<_> = rig.messages.iter().map(|message| message.body.to_owned()).collect();
    let definition = |name: &str, prices: (&str, u8), qtys: (&str, u8)| {
        json!({"exchange": "oanda", "instrument": name, "status": "tradeable", "timestamp": BASE_NS,
            "price_increment": prices.0, "price_precision": prices.1,
            "qty_increment": qtys.0, "qty_precision": qtys.1})
    };
    let mut euro = definition("EUR_USD", ("0.00001", 5), ("1", 0));
    (euro["base"], euro["quote"]) = (json!("EUR"), json!("USD"));
    let mut bitcoin = definition("BTC_USD", ("0.1", 1), ("0.01", 2));
    (bitcoin["base"], bitcoin["quote"]) = (json!("BTC"), json!("USD"));
    assert_eq!(bodies, [euro, bitcoin, definition("BASKET", ("1", 0), ("0.1", 1))]);
    assert_eq!(rig.messages[0].recv_ns, WallNanos(BASE_NS).0);
}

#[test]
fn an_entry_that_is_no_instrument_is_counted_and_its_neighbours_are_published() {
    let rig = asked(
        r#"{"instruments":[{"name":"EUR_USD"},{"name":"","displayPrecision":5,"tradeUnitsPrecision":0},7,
        {"name":"A_B","displayPrecision":19,"tradeUnitsPrecision":0},
        {"name":"A_B","displayPrecision":-1,"tradeUnitsPrecision":0},
        {"name":"USD_JPY","displayPrecision":3,"tradeUnitsPrecision":0}]}"#,
    );
    assert_eq!(rig.connector.0, Ok(Definitions { published: 1, malformed: 5 }));
    assert_eq!(rig.messages.len(), 1);
    for body in ["", "{}", r#"{"errorMessage":"Insufficient authorization"}"#, "[]"] {
        let rig = asked(body);
        let error = rig.connector.0.unwrap_err();
        assert!(!error.is_empty() && rig.messages.is_empty(), "{body}: {error}");
    }
}
