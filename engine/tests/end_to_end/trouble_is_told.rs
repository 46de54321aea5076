//! Promise: what is wrong with an installation is told by `status`, `health` and the page, each with its cause and what to do.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tickline_config::report::Report;

use crate::browser::Browser;
use crate::program::{Engine, feed, influx, tickline, with_sets};
use crate::publisher::Publisher;

/// A database that answers everything so: a status with further headers, and a body.
pub(crate) fn answering(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            // Whatever it wants; a client that has gone away is no matter.
            if stream.read(&mut head).is_err() {
                continue;
            }
            let head =
                format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).ok();
        }
    };
    std::thread::Builder::new().name("database".into()).spawn(answer).unwrap();
    format!("http://{address}")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The sink of an InfluxDB 1 of this name.
fn sink(name: &str, url: &str) -> Vec<String> {
    influx(url, "tick")
        .into_iter()
        .map(|set| set.replace("sinks.influx.", &format!("sinks.{name}.")))
        .collect()
}

#[test]
fn each_trouble_is_told_in_three_places_with_its_cause_and_what_to_do() {
    let mut publisher = Publisher::bind(&zmq::Context::new(), "kraken_tick");
    let dir = tempfile::tempdir().unwrap();
    let half_up = answering("503 Service Unavailable", r#"{"error":"engine: not open yet"}"#);
    let locked = answering("401 Unauthorized", r#"{"error":"authorization failed"}"#);
    // It takes points, in another century.
    let hours_off = answering("204 No Content\r\ndate: Tue, 01 Jan 2030 00:00:00 GMT", "");
    let mut sets = feed("kraken_tick", &publisher.endpoint);
    sets.extend([sink("half", &half_up), sink("locked", &locked), sink("off", &hours_off)].concat());
    sets.push("up.grafana=\"http://127.0.0.1:1\"".into());
    // No disk has as much left.
    sets.push("sinks.half.spool.min_free_bytes=\"64TiB\"".into());
    let engine = Engine::start(dir.path(), &sets);
    publisher.wait_subscriber();
    publisher.send_numbered(
        r#"{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":1,"timestamp":"2026-08-03T12:30:00Z"}]}"#,
        1_785_760_200_000_000_000,
        0,
    );
    // Its name, a part of its cause, and of what to do.
    let expected = [
        ("sinks.half", "503", "look at the database"),
        ("sinks.locked", "authorization failed", "mend the sink's login"),
        ("clock", "behind the database's", "synchronise both"),
        ("grafana", "http://127.0.0.1:1", "start it, or mend up.grafana"),
        ("disk", "spools keep 65536.0 GiB free", "make room"),
    ];
    let tells = |report: &Report, (name, cause, next): &(&str, &str, &str)| {
        let part = report.parts.iter().find(|part| part.name == *name);
        part.is_some_and(|part| part.cause.contains(cause) && part.next.starts_with(next))
    };
    engine.wait("all of it is told", |report| expected.iter().all(|of| tells(report, of)));

    let url = format!("http://{}", engine.address());
    let health = tickline(dir.path(), &["health", "--url", &url], &[]);
    assert_eq!(health.status.code(), Some(1));
    sets.push(format!("http.listen={:?}", engine.address()));
    let status = tickline(dir.path(), &["status"], &sets);
    for text in [said(&health), said(&status)] {
        for (name, cause, next) in expected {
            assert!([name, cause, next].iter().all(|part| text.contains(part)), "{name}: {text}");
        }
    }
    let ready = tickline(dir.path(), &["health", "--ready", "--url", &url], &[]);
    assert_eq!(ready.status.code(), Some(1), "a sink has failed: {}", said(&ready));

    let Some(mut browser) = Browser::open(1_200, 900, false) else { return };
    browser.goto(&format!("{url}/"));
    for (name, cause, next) in expected {
        for part in [name, cause, next] {
            browser.wait(&format!(
                "document.querySelector('#wrong').textContent.includes({})",
                Value::from(part)
            ));
        }
    }
    assert_eq!(browser.complaints, Vec::<String>::new());
    browser.picture("trouble");
}

#[test]
fn a_second_engine_in_one_state_folder_is_refused_and_the_first_goes_on() {
    let publisher = Publisher::bind(&zmq::Context::new(), "kraken_tick");
    let dir = tempfile::tempdir().unwrap();
    let mut sets = feed("kraken_tick", &publisher.endpoint);
    sets.extend(sink("half", &answering("503 Service Unavailable", "")));
    let engine = Engine::start(dir.path(), &sets);
    let second = second_engine(dir.path(), &sets);
    assert_eq!(second.status.code(), Some(78));
    let owner = format!("process {} uses it", engine.pid());
    assert!(
        said(&second).contains("engine.state_dir") && said(&second).contains(&owner),
        "{}",
        said(&second)
    );
    let doctor = tickline(dir.path(), &["doctor"], &sets);
    assert!(said(&doctor).contains(&owner), "{}", said(&doctor));
    assert!(engine.get("/health").starts_with("ok"));
}

fn second_engine(dir: &Path, sets: &[String]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tickline"));
    command.current_dir(dir).args(["run", "--set", "http.listen=\"127.0.0.1:0\""]);
    with_sets(&mut command, sets);
    command.output().unwrap()
}
