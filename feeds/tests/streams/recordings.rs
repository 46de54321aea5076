//! OANDA's messages as others recorded them. They lie outside the project: `TICKLINE_RECORDINGS` names their folder.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use tickline_feeds::clock::WallNanos;
use tickline_feeds::connect::oanda::{Prices, PricesSettings, Transactions, TransactionsSettings};
use tickline_feeds::payload::rfc3339;

use crate::rig::{MILLI_NS, Rig};

fn recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("TICKLINE_RECORDINGS").map(PathBuf::from);
    if folder.is_none() {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "TICKLINE_RECORDINGS is not set");
        println!("skipped: TICKLINE_RECORDINGS not set");
    }
    folder.map(|folder| folder.join("oanda"))
}

/// Numbers as the text that the venue wrote, except liquidity.
fn as_sent(value: Json, key: &str) -> Json {
    match value {
        Json::Number(number) if key != "liquidity" => number.to_string().into(),
        Json::Array(items) => items.into_iter().map(|item| as_sent(item, key)).collect(),
        Json::Object(map) => {
            map.into_iter().map(|(key, value)| (key.to_owned(), as_sent(value, &key))).collect()
        }
        other => other,
    }
}

fn prices(instruments: &[&str]) -> Rig<Prices> {
    let mut rig = Rig::started(Prices::new(PricesSettings {
        instruments: instruments.iter().map(|&name| name.to_owned()).collect(),
        topics: vec!["oanda_tick".to_owned()],
        ..PricesSettings::default()
    }));
    rig.opened();
    rig
}

fn lean(path: &Path, instrument: &str, midnight_ns: i64) -> Vec<(i64, String, String, String)> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut csv = String::new();
    archive.by_index(0).unwrap().read_to_string(&mut csv).unwrap();
    let read = |line: &str| {
        let columns: Vec<&str> = line.trim_end().split(',').collect();
        let [ms, bid, ask] = columns.try_into().expect("three columns");
        let time_ns = midnight_ns + ms.parse::<i64>().unwrap() * MILLI_NS;
        let time = rfc3339(WallNanos(time_ns), 9);
        let price = format!(
            r#"{{"type":"PRICE","time":"{time}","bids":[{{"price":"{bid}"}}],"asks":[{{"price":"{ask}"}}],"instrument":"{instrument}"}}"#
        );
        (time_ns, bid.to_owned(), ask.to_owned(), price)
    };
    csv.lines().map(read).collect()
}

#[test]
fn every_recorded_tick_comes_through_in_order_and_no_two_share_time_and_ordinal() {
    let Some(folder) = recordings() else { return };
    for (name, instrument, midnight_s, ticks) in [
        ("lean_eurusd_tick_20140502_quote.zip", "EUR_USD", 1_398_988_800, 49_341),
        ("lean_eurusd_tick_20140505_quote.zip", "EUR_USD", 1_399_248_000, 25_177),
        ("lean_eurusd_tick_20140506_quote.zip", "EUR_USD", 1_399_334_400, 44_864),
        ("lean_nzdusd_tick_20140507_quote.zip", "NZD_USD", 1_399_420_800, 41_960),
    ] {
        let lines = lean(&folder.join(name), instrument, midnight_s * 1_000_000_000);
        assert_eq!(lines.len(), ticks, "{name}");
        let mut rig = prices(&[instrument]);
        lines.iter().for_each(|(_, _, _, line)| rig.line(line));
        let sent: Vec<_> = rig.messages.iter().filter(|message| !message.is_event()).collect();
        assert_eq!(sent.len(), ticks, "{name}");
        let mut places = Vec::with_capacity(ticks);
        for (message, (time_ns, bid, ask, _)) in sent.into_iter().zip(&lines) {
            let price = |side: &str| message.body[side][0]["price"].as_str().unwrap().to_owned();
            assert_eq!((price("bids"), price("asks")), (bid.to_owned(), ask.to_owned()), "{name}");
            places.push(time_ns + i64::from(message.tie));
        }
        assert!(places.is_sorted_by(|a, b| a < b), "{name}: a point for each tick, in order");
        let counts = rig.connector.counts();
        assert_eq!((counts.malformed, counts.time_back, counts.unlisted), (0, 0, 0), "{name}");
    }
}

#[test]
fn recorded_prices_and_transactions_are_published_as_they_are() {
    let Some(folder) = recordings() else { return };
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let bodies = |sample: &str| -> Vec<Json> {
        let lines = sample.lines().filter(|line| !line.trim().is_empty() && !line.contains("HEARTBEAT"));
        lines.map(|line| as_sent(serde_json::from_str(line).unwrap(), "")).collect()
    };

    let sample = read("oandapyV20_pricing_stream_sample.jsonl");
    let mut rig = prices(&["EUR_USD", "EUR_JPY"]);
    sample.lines().for_each(|line| rig.line(line));
    let sent = rig.messages.iter().filter(|message| !message.is_event());
    assert_eq!(sent.map(|message| message.body.to_owned()).collect::<Vec<_>>(), bodies(&sample));
    let counts = rig.connector.counts();
    assert_eq!((counts.published, counts.heartbeats, counts.malformed, counts.unknown), (3, 1, 0, 0));

    // Its transactions are older than its heartbeats, which tell the account's last one: they stand first here.
    let sample = read("oandapyV20_transactions_stream_sample.jsonl");
    let settings =
        TransactionsSettings { topic: "oanda_orders".to_owned(), ..TransactionsSettings::default() };
    let mut rig = Rig::started(Transactions::new(settings));
    rig.opened();
    sample.lines().filter(|line| !line.contains("HEARTBEAT")).for_each(|line| rig.line(line));
    let sent = rig.messages.iter().filter(|message| !message.is_event());
    assert_eq!(sent.map(|message| message.body.to_owned()).collect::<Vec<_>>(), bodies(&sample));
    sample.lines().filter(|line| line.contains("HEARTBEAT")).for_each(|line| rig.line(line));
    let said = rig.said();
    let asked = said.last().map(String::as_str);
    assert!(asked.is_some_and(|text| text.ends_with("transactions/sinceid?id=2306")), "{asked:?}");
    let counts = rig.connector.counts();
    assert_eq!((counts.published, counts.heartbeats, counts.malformed), (3, 5, 0));
}
