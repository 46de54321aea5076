//! Promise: an alert reaches whoever is to be told, also when his door was shut for a while; and Prometheus takes the rules.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;
use tickline_config::model::Config;

use crate::program::{Engine, PATIENCE, feed, tickline};
use crate::publisher::Publisher;

/// Takes what is posted; the first time it answers 503.
fn receiver() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook/secret-token", listener.local_addr().unwrap());
    let (send, posted) = channel();
    let answer = move || {
        let mut statuses = ["503 Service Unavailable"].into_iter().chain(std::iter::repeat("200 OK"));
        for stream in listener.incoming() {
            let (mut stream, mut text) = (stream.unwrap(), Vec::new());
            let mut piece = [0; 4096];
            let body = loop {
                let bytes = stream.read(&mut piece).unwrap();
                text.extend_from_slice(&piece[..bytes]);
                let so_far = String::from_utf8_lossy(&text).into_owned();
                let Some((head, body)) = so_far.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.unwrap().parse::<usize>().unwrap() {
                    break body.to_owned();
                }
            };
            let status = statuses.next().unwrap();
            write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap();
            if status.starts_with("200") {
                send.send(serde_json::from_str(&body).unwrap()).unwrap();
            }
        }
    };
    std::thread::Builder::new().name("receiver".into()).spawn(answer).unwrap();
    (url, posted)
}

#[test]
fn a_feed_that_is_gone_is_posted_and_posted_again_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let context = zmq::Context::new();
    let publisher = Publisher::bind(&context, "kraken_tick");
    let endpoint = publisher.endpoint.clone();
    let (url, posted) = receiver();
    let mut sets = feed("kraken_tick", &endpoint);
    sets.extend(["kind=\"file\"", "path=\"kept.lp\""].map(|key| format!("sinks.kept.{key}")));
    sets.extend(["for=\"0s\"", "keep=\"0s\""].map(|key| format!("alerts.feed_failed.{key}")));
    // Nobody sends anything.
    sets.push("feeds.kraken_tick.silence_max=\"inf\"".to_owned());
    sets.push("alerting.webhook=\"env:TEST_WEBHOOK\"".to_owned());
    let engine = Engine::start_with(dir.path(), &sets, &[("TEST_WEBHOOK", &url)]);
    publisher.wait_subscriber();
    drop(publisher);
    let fired = posted.recv_timeout(PATIENCE).unwrap();
    assert_eq!((&fired["alert"], &fired["state"]), (&"feed_failed".into(), &"firing".into()), "{fired}");
    assert_eq!(fired["summary"], "feeds.kraken_tick brings nothing");
    assert_eq!(fired["labels"], "part=feeds.kraken_tick");
    let status = engine.wait("it is shown", |report| !report.alerts.is_empty());
    assert_eq!((status.alerts[0].name.as_str(), status.alerts[0].severity.as_str()), ("feed_failed", "page"));
    engine.wait_metric("tickline_alerts_sent_total", 1.0);

    let again = tickline_feeds::socket::publisher(&context, 1_000, 0).unwrap();
    again.bind(&endpoint).unwrap();
    let ended = posted.recv_timeout(PATIENCE).unwrap();
    assert_eq!((&ended["alert"], &ended["state"]), (&"feed_failed".into(), &"resolved".into()), "{ended}");
    let ended = engine.stop();
    ended.assert_exit(0);
    let log = ended.log.join("\n");
    assert!(log.contains("alert feed_failed (page): feeds.kraken_tick brings nothing"), "{log}");
    assert!(log.contains("alerting.webhook: tried again: status 503"), "{log}");
    assert!(!log.contains("secret-token"), "{log}");
}

#[test]
fn prometheus_takes_the_rules_and_each_has_its_page_in_the_runbook() {
    let dir = tempfile::tempdir().unwrap();
    let rules = tickline(dir.path(), &["alerts", "prometheus"], &[]).stdout;
    let file = dir.path().join("rules.yml");
    std::fs::write(&file, rules).unwrap();
    let names: Vec<String> = Config::load(&[], &[], &|_| None).unwrap().config.alerts.into_keys().collect();
    let runbook =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/RUNBOOK.md")).unwrap();
    for name in names.iter().map(String::as_str).chain(["engine_absent"]) {
        assert!(runbook.contains(&format!("\n## {name}\n")), "docs/RUNBOOK.md says nothing of {name}");
    }
    let checked = Command::new("promtool").arg("check").arg("rules").arg(&file).output();
    let Ok(checked) = checked else {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "promtool is not installed");
        return println!("skipped: promtool is not installed");
    };
    let said =
        String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}");
    assert!(said.contains(&format!("SUCCESS: {} rules found", names.len() + 1)), "{said}");
}
