//! Statistics and bars of recorded books, held against a plain recomputation from the books and against a golden file.
//! `UPDATE=1 cargo test -p tickline-feeds --test connectors derived_books` writes the file again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use tickline_feeds::connect::kraken::{Depth, DepthSettings, Mode};
use tickline_feeds::derive::{Bars, BarsSettings, Price, Statistics, StatisticsSettings};
use tickline_feeds::time::parse_rfc3339;

use crate::derived::{hear, plain};
use crate::recording::recording;
use crate::rig::{Rig, SECOND_NS};
use crate::statistics::check;

const EVERY_NS: i64 = 10 * SECOND_NS as i64;

fn books() -> Rig<Depth> {
    let settings = DepthSettings {
        url: "ws://venue".to_owned(),
        rest_url: String::new(),
        symbols: vec!["BTC/USD".to_owned()],
        depth: 25,
        levels: 10,
        mode: Mode::All,
        seed: 3,
    };
    let (mut rig, _) = Rig::new(Depth::new(settings));
    rig.opened();
    rig
}

fn statistics() -> Rig<Statistics> {
    let (endpoint, from) = ("tcp://bus".to_owned(), "kr_depth".to_owned());
    let (window_ns, every_ns) = (60 * SECOND_NS, EVERY_NS as u64);
    let topic = "statistics".to_owned();
    let settings = StatisticsSettings { endpoint, from, topic, window_ns, every_ns, price: Price::Mid };
    Rig::new(Statistics::new(settings)).0
}

fn bars() -> Rig<Bars> {
    let (endpoint, from, topic) = ("tcp://bus".to_owned(), "kr_depth".to_owned(), "bars".to_owned());
    let (every_ns, late_ns) = (EVERY_NS as u64, 2 * SECOND_NS);
    Rig::new(Bars::new(BarsSettings { endpoint, from, topic, every_ns, late_ns, price: Price::Mid })).0
}

/// Time and twentieths of a dollar in the middle of a published book, whose prices have one place.
fn middle(book: &Value) -> (i64, i64) {
    let tenths = |side: &str| book[side][0][0].as_str().unwrap().replace('.', "").parse::<i64>().unwrap();
    let time_ns = parse_rfc3339(book["timestamp"].as_str().unwrap().as_bytes()).unwrap();
    (time_ns, tenths("bids") + tenths("asks"))
}

fn golden(lines: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/connectors/derived_books.golden");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, lines).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), lines);
}

fn check_bars(found: &[Value], ticks: &[(i64, i64)]) {
    let mut plain: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (time_ns, twentieths) in ticks {
        plain.entry(time_ns / EVERY_NS * EVERY_NS).or_default().push(*twentieths);
    }
    assert_eq!(found.len(), plain.len());
    for (bar, (begin_ns, prices)) in found.iter().zip(&plain) {
        let (low, high) = (prices.iter().min().unwrap(), prices.iter().max().unwrap());
        let text = |twentieths: &i64| format!("{}.{:02}", twentieths / 20, twentieths % 20 * 5);
        assert_eq!(parse_rfc3339(bar["timestamp"].as_str().unwrap().as_bytes()), Some(*begin_ns));
        assert_eq!(bar["ticks"].as_u64(), Some(prices.len() as u64));
        let expected =
            [("open", &prices[0]), ("high", high), ("low", low), ("close", &prices[prices.len() - 1])];
        for (key, price) in expected {
            assert_eq!(bar[key].as_str(), Some(text(price).as_str()), "{key} of {bar}");
        }
        // Told by the clock or a later tick: all but the first, and the last, which the end of the run cuts.
        let is_inside = begin_ns != plain.keys().next().unwrap() && begin_ns != plain.keys().last().unwrap();
        assert_eq!(bar["complete"].as_bool(), Some(is_inside), "{bar}");
    }
}

#[test]
fn recorded_books_make_the_bars_and_statistics_that_a_plain_recomputation_makes() {
    let Some(frames) = recording("ws_v2_book_btcusd_d25_20260802.cbcap.gz") else {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "TICKLINE_RECORDINGS is not set");
        return println!("skipped: TICKLINE_RECORDINGS not set");
    };
    let (mut books, mut statistics, mut bars) = (books(), statistics(), bars());
    // As they came, and with the times that a window takes.
    let mut ticks: Vec<(i64, i64)> = Vec::new();
    let mut clamped: Vec<(i64, i64)> = Vec::new();
    let (mut told, mut closed) = (Vec::new(), Vec::new());
    for (time_ns, frame) in &frames {
        let passed = u64::try_from(time_ns - books.now.wall.0).unwrap();
        books.pass(passed);
        closed.extend(plain(&bars.pass(passed)));
        for payload in plain(&statistics.pass(passed)) {
            check(&payload, &clamped, 60 * SECOND_NS as i64, 20.0);
            told.push(payload);
        }
        let done = books.say(frame);
        for bytes in &done.bytes {
            hear(&mut statistics, bytes);
            closed.extend(plain(&hear(&mut bars, bytes)));
        }
        for book in done.data() {
            let (time_ns, price) = middle(book);
            ticks.push((time_ns, price));
            clamped.push((clamped.last().map_or(time_ns, |(last, _)| time_ns.max(*last)), price));
        }
    }
    closed.extend(plain(&bars.tell(tickline_feeds::connect::Event::Stop)));
    for payload in plain(&statistics.tell(tickline_feeds::connect::Event::Stop)) {
        check(&payload, &clamped, 60 * SECOND_NS as i64, 20.0);
        told.push(payload);
    }
    assert!(ticks.len() > 1_000 && told.len() >= 5, "{} {}", ticks.len(), told.len());
    assert_eq!((bars.count("late"), statistics.count("ticks")), (0, ticks.len() as u64));
    check_bars(&closed, &ticks);
    let lines: Vec<String> = closed.iter().chain(&told).map(Value::to_string).collect();
    golden(&(lines.join("\n") + "\n"));
}
