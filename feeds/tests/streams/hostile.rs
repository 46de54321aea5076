//! Whatever comes over a connection, a connector goes on.

use proptest::collection::vec;
use proptest::prelude::*;
use tickline_feeds::connect::oanda::{Prices, PricesSettings, Transactions};
use tickline_feeds::connect::sentiment::{Lines, LinesSettings, Rss, RssSettings, X, X_URL, XSettings};
use tickline_feeds::connect::{Connector, Event};

use crate::rig::{LINK, Rig};
use crate::sentiment::{POST, records};
use crate::sentiment_rss::{ATOM, RSS};
use crate::venue::{heartbeat, price, transaction};

/// Good lines and documents with a piece of them put elsewhere, cut out, doubled or overwritten.
fn spoiled() -> impl Strategy<Value = Vec<u8>> {
    let page = format!(r#"{{"transactions":[{}],"lastTransactionID":"12"}}"#, transaction(12, 11, 0));
    let good = vec![
        price("EUR_USD", 5, "1.085"),
        heartbeat(5, "11"),
        transaction(12, 12, 5),
        page,
        POST.to_owned(),
        r#"{"text":"eth","created_at":"2026-08-03T12:29:55.250Z"}"#.to_owned(),
        RSS.to_owned(),
        ATOM.to_owned(),
    ];
    let change = (any::<prop::sample::Index>(), 0..12_usize, vec(any::<u8>(), 0..4));
    (prop::sample::select(good), vec(change, 0..6)).prop_map(|(good, changes)| {
        let mut bytes = good.into_bytes();
        for (at, cut, put) in changes {
            let at = at.index(bytes.len() + 1);
            let end = bytes.len().min(at + cut);
            bytes.splice(at..end, put);
        }
        bytes
    })
}

/// What a connector has taken is published, or counted in some other way; it still takes a good line behind.
fn endures<C: Connector>(connector: C, inputs: &[Vec<u8>], good: &str) -> usize {
    let mut rig = Rig::started(connector);
    rig.opened();
    for input in inputs {
        rig.on(Event::Message(LINK, input));
        rig.on(Event::Answer { id: 0, status: Some(200), body: input });
        rig.on(Event::Answer { id: 1, status: Some(200), body: input });
    }
    rig.messages.clear();
    rig.line(good);
    rig.messages.iter().filter(|message| !message.is_event()).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_input_stops_a_connector(
        inputs in vec(prop_oneof![4 => spoiled(), 1 => vec(any::<u8>(), 0..40)], 1..6),
    ) {
        let settings = PricesSettings {
            instruments: vec!["EUR_USD".to_owned()],
            topics: vec!["oanda_tick".to_owned()],
            ..PricesSettings::default()
        };
        prop_assert_eq!(endures(Prices::new(settings), &inputs, &price("EUR_USD", 9, "2")), 1);
        // Whether the next id comes at once depends on the ids before it.
        endures(Transactions::new(crate::transactions::settings()), &inputs, &transaction(13, 13, 9));
        let x = X::new(XSettings {
            url: X_URL.to_owned(),
            token: Default::default(),
            records: records(),
            on_refused: Default::default(),
            seed: 1,
        });
        prop_assert_eq!(endures(x, &inputs, r#"{"data":{"id":"last","text":"eth"}}"#), 1);
        let lines = Lines::new(LinesSettings { path: "-".to_owned(), records: records() });
        prop_assert_eq!(endures(lines, &inputs, r#"{"id":"last","text":"eth"}"#), 1);
        let feeds = vec!["https://a.test/".to_owned()];
        endures(Rss::new(RssSettings { feeds, records: records(), ..RssSettings::default() }), &inputs, "");
    }
}
