//! Promise: the status page says what `/status` says, draws it, and shows within five seconds that a feed has stopped.

use std::time::Duration;

use serde_json::Value;
use tickline_config::report::Report;
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;

use crate::browser::Browser;
use crate::program::{Engine, feed, influx, report};
use crate::publisher::Publisher;
use crate::trouble_is_told::answering;

const SECOND_NS: i64 = 1_785_700_000_000_000_000;

fn ticker(n: u64) -> String {
    let element = format!(r#"{{"symbol":"BTC/USD","bid":{n},"timestamp":"2026-08-03T12:30:00.{n:06}Z"}}"#);
    format!(r#"{{"channel":"ticker","type":"update","data":[{element}]}}"#)
}

fn settings(kraken: &Publisher, oanda: &Publisher) -> Vec<String> {
    let mut sets = feed("kraken_tick", &kraken.endpoint);
    sets.extend(feed("oanda_tick", &oanda.endpoint));
    // Nothing is sent for longer than that.
    sets.extend(["kraken_tick", "oanda_tick"].map(|feed| format!("feeds.{feed}.silence_max=\"inf\"")));
    sets.extend(["sinks.kept.kind=\"file\"".to_owned(), "sinks.kept.path=\"kept.lp\"".to_owned()]);
    sets
}

/// Text of the cells of a row of a table.
fn cells(browser: &mut Browser, table: &str, row: usize) -> Vec<String> {
    let rows = format!("document.querySelectorAll('#{table} tbody tr')[{row}].children");
    let cells = browser.value(&format!("[...{rows}].map(cell => cell.textContent)"));
    cells.as_array().unwrap().iter().map(|cell| cell.as_str().unwrap().to_owned()).collect()
}

fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap()).collect();
    groups.join(",")
}

#[test]
fn the_page_shows_what_status_says_and_what_has_stopped() {
    let context = zmq::Context::new();
    let (mut kraken, oanda) =
        (Publisher::bind(&context, "kraken_tick"), Publisher::bind(&context, "oanda_tick"));
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::start(dir.path(), &settings(&kraken, &oanda));
    kraken.wait_subscriber();
    oanda.wait_subscriber();
    for n in 0..1_234 {
        kraken.send_numbered(&ticker(n), SECOND_NS, 0);
    }
    let Some(mut browser) = Browser::open(1_200, 900, false) else { return };
    let status = engine.wait("all is written", |report| report.ledger.written == 1_234);
    browser.goto(&format!("http://{}/", engine.address()));
    browser.wait("document.querySelectorAll('#feeds tbody tr').length === 2");

    // What the tables say is what /status says.
    let row =
        (0..2).map(|row| cells(&mut browser, "feeds", row)).find(|row| row[0].contains("kraken")).unwrap();
    assert_eq!(row[0], "● kraken_tick");
    assert_eq!(row[4..], ["0", "0", "0", &thousands(status.feeds["kraken_tick"].frames), "1,234"]);
    let sink = cells(&mut browser, "sinks", 0);
    assert_eq!((sink[0].as_str(), sink[2].as_str(), sink[3].as_str()), ("● kept", "1,234", "0"));
    assert_eq!(browser.value("document.querySelector('#verdict').textContent"), "● all is well");
    let ledger = browser.value("document.querySelector('#ledger').textContent");
    assert!(ledger.as_str().unwrap().contains("● it balances"), "{ledger}");

    // The charts have lines.
    browser.wait("document.querySelectorAll('#charts svg path').length >= 4");
    browser
        .wait("[...document.querySelectorAll('#charts svg path')].every(path => path.getTotalLength() > 0)");
    browser.picture("light");

    // A feed whose publisher is gone is red within 5 s.
    let clock = OsClock::start();
    drop(kraken);
    browser.wait("document.querySelector('#verdict').className === 'failed'");
    let took = Duration::from_nanos(clock.mono().0);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let wrong = browser.value("document.querySelector('#wrong').textContent");
    assert!(wrong.as_str().unwrap().contains("feeds.kraken_tick its publisher is gone"), "{wrong}");
    assert_eq!(browser.complaints, Vec::<String>::new());

    browser.picture("stopped");

    // Without an engine the page says so.
    engine.stop();
    browser.wait("document.querySelector('#verdict').textContent.includes('no answer')");
}

#[test]
fn the_page_fits_a_phone_and_has_dark_colours() {
    let context = zmq::Context::new();
    let (kraken, oanda) = (Publisher::bind(&context, "kraken_tick"), Publisher::bind(&context, "oanda_tick"));
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::start(dir.path(), &settings(&kraken, &oanda));
    let Some(mut browser) = Browser::open(390, 844, true) else { return };
    browser.goto(&format!("http://{}/", engine.address()));
    browser.wait("document.querySelectorAll('#charts svg path').length >= 1");
    browser.picture("phone");
    let width = browser.value("document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(width <= 390, "{width}");
    let back = browser.value("getComputedStyle(document.body).backgroundColor");
    assert_eq!(back, "rgb(20, 23, 28)");
    let paint = browser.value("performance.getEntriesByName('first-contentful-paint')[0].startTime");
    println!("first paint after {paint} ms");
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[test]
fn words_of_strangers_are_shown_as_text() {
    let context = zmq::Context::new();
    let (mut kraken, oanda) =
        (Publisher::bind(&context, "kraken_tick"), Publisher::bind(&context, "oanda_tick"));
    let dir = tempfile::tempdir().unwrap();
    let mut sets = settings(&kraken, &oanda);
    let markup = r#"{"error":"<img src=x onerror=alert(1)>"}"#;
    sets.extend(influx(&answering("401 Unauthorized", markup), "tick"));
    let engine = Engine::start(dir.path(), &sets);
    kraken.wait_subscriber();
    kraken.send_numbered(&ticker(1), SECOND_NS, 0);
    let Some(mut browser) = Browser::open(1_200, 900, true) else { return };
    browser.goto(&format!("http://{}/", engine.address()));
    browser.wait("document.querySelector('#wrong').textContent.includes('<img src=x onerror=alert(1)>')");
    assert_eq!(browser.value("document.querySelectorAll('img').length"), 0);
    let next = browser.value("document.querySelector('#wrong .next').textContent");
    assert!(next.as_str().unwrap().starts_with("mend the sink's login"), "{next}");
    browser.picture("wrong");
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[test]
fn history_and_status_agree_and_a_reader_gets_only_what_is_new() {
    let context = zmq::Context::new();
    let (mut kraken, oanda) =
        (Publisher::bind(&context, "kraken_tick"), Publisher::bind(&context, "oanda_tick"));
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::start(dir.path(), &settings(&kraken, &oanda));
    kraken.wait_subscriber();
    for n in 0..500 {
        kraken.send_numbered(&ticker(n), SECOND_NS, 0);
    }
    let history = |since: i64| -> Value {
        serde_json::from_str(&engine.get(&format!("/history?since={since}"))).unwrap()
    };
    let rates = |history: &Value| -> Vec<f64> {
        let column =
            history["series"]["feeds.kraken_tick.frames_per_s"].as_array().cloned().unwrap_or_default();
        column.iter().filter_map(Value::as_f64).collect()
    };
    let seen = crate::program::wait_for("a sample with all messages", || {
        let seen = history(i64::MIN);
        let frames: f64 = rates(&seen).iter().sum::<f64>() * seen["every_s"].as_f64().unwrap();
        // Samples are 5 s apart to the looks of the control plane.
        (frames > 500.0 * 0.9).then_some(seen)
    });
    let status: Report = report(engine.get("/status").as_bytes());
    assert_eq!(status.feeds["kraken_tick"].frames, 500);
    let last = seen["at_ms"].as_array().unwrap().last().unwrap().as_i64().unwrap();
    let new = history(last);
    assert!(new["at_ms"].as_array().unwrap().iter().all(|at| at.as_i64().unwrap() > last), "{new}");
}
