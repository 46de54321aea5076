//! Promise: every query of every dashboard is answered by a real influxd with something, and Grafana is left as it was
//! found however often it is provisioned.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tickline::dashboard::{Dashboard, all, queries};
use tickline_feeds::clock::Clock;
use tickline_feeds::schema::{FieldType, MEASUREMENTS};
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::plan::{FeedLoad, LoadPlan, Rate};

use crate::influxd::{self, Influxd, Options};
use crate::program::{Engine, PATIENCE, feed, influx, tickline, wait_for};

/// Feeds that the load generator knows.
const LOADED: [&str; 4] = ["kraken_tick", "kraken_depth", "oanda_tick", "betfair_stream"];

/// A point of each measurement with every tag and field that the schema names: no load generator makes them all.
fn others(now_ns: i64) -> String {
    let mut text = String::new();
    for of in MEASUREMENTS {
        text.push_str(of.name);
        of.tags.iter().for_each(|tag| text.push_str(&format!(",{tag}=x")));
        let fields = of.fields.iter().map(|field| match field.kind {
            FieldType::Float => format!("{}=1.5", field.name),
            FieldType::Integer => format!("{}=2i", field.name),
            FieldType::Boolean => format!("{}=true", field.name),
            FieldType::String => format!("{}=\"s\"", field.name),
        });
        text.push_str(&format!(" {} {now_ns}\n", fields.collect::<Vec<_>>().join(",")));
    }
    for own in ["feed_gap,cause=zmq", "feed_event,kind=silent"] {
        let feeds = MEASUREMENTS.iter().map(|of| of.from.split(' ').next().unwrap());
        for feed in feeds.collect::<BTreeSet<_>>() {
            text.push_str(&format!(
                "{own},feed={feed},instance=x detail=\"d\",scope=\"s\",lost=1i,from_seq=1i,to_seq=2i,to_ns={now_ns}i {now_ns}\n"
            ));
        }
    }
    text
}

/// The generator's load through the engine, and the rest written as it is.
fn fill(server: &Influxd) {
    let dir = tempfile::tempdir().unwrap();
    let load = |name| {
        let load = FeedLoad::new(name, "127.0.0.1", Rate::PerSecond(200.0)).unwrap();
        FeedLoad { endpoint: "tcp://127.0.0.1:*".to_owned(), ..load }
    };
    let plan = LoadPlan {
        feeds: LOADED.map(load).into(),
        duration: Some(Duration::from_secs(3)),
        wait_timeout: Some(PATIENCE),
        ..LoadPlan::default()
    };
    let running = tickline_loadgen::run::start(plan, OsClock::start()).unwrap();
    let mut sets: Vec<String> =
        running.endpoints().flat_map(|(name, endpoint)| feed(name, endpoint)).collect();
    sets.extend(influx(&server.url, "tick"));
    assert_eq!(tickline(dir.path(), &["db", "apply"], &sets).status.code(), Some(0));
    sets.push("engine.ledger_every=\"1s\"".to_owned());
    let engine = Engine::start(dir.path(), &sets);
    wait_for("the load is sent", || running.is_finished().then_some(()));
    running.finish().unwrap();
    engine.stop().assert_exit(0);
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(format!("{}/write?db=tick", server.url)).body(others(OsClock::start().wall().0));
    let answer = answer.send().unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().unwrap());
}

/// A query as Grafana sends it, every variable at "all" and the last hour in spans of 10 s.
fn sent(query: &str) -> String {
    // The engine's rows of this minute stand anywhere in it, and without an end a query ends now.
    let hour = "time > now() - 1h AND time < now() + 2m";
    let mut query = query.replace("$timeFilter", hour).replace("$__interval", "10s");
    for tag in
        ["pair", "instrument", "market_id", "topic", "level", "selection_id", "side", "handicap", "feed"]
    {
        query = query.replace(&format!("${tag}$/"), ".*$/").replace(&format!("${tag}/"), ".*/");
    }
    assert!(!query.contains('$') || query.matches('$').count() == query.matches("$/").count(), "{query}");
    query
}

fn is_empty(answer: &Value) -> bool {
    answer["results"][0]["series"].as_array().is_none_or(Vec::is_empty)
}

#[test]
fn every_query_of_every_dashboard_is_answered_with_something() {
    let Some(server) = influxd::start(Options::default()) else { return };
    fill(&server);
    let mut asked = 0;
    for dashboard in all(&|_| None) {
        for (title, query) in queries(&dashboard) {
            let query = sent(&query);
            let answer = server.query(None, "tick", &query);
            assert!(!is_empty(&answer), "{}: {title}: {query}: {answer}", dashboard.uid);
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked}");
}

/// What a Grafana has, by path, behind an API like Grafana's.
pub(crate) type Store = Arc<Mutex<BTreeMap<String, Value>>>;

/// Answers one request; only who has the token gets anything.
fn answer(store: &Store, head: &str, body: &str) -> &'static str {
    let mut words = head.split_whitespace();
    let (method, path) = (words.next().unwrap(), words.next().unwrap().to_owned());
    if !head.to_lowercase().contains("authorization: bearer right") {
        return "401 Unauthorized";
    }
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let mut store = store.lock().unwrap();
    match (method, path.as_str()) {
        ("POST", "/api/datasources") => {
            let key = format!("/api/datasources/uid/{}", body["uid"].as_str().unwrap());
            assert!(
                store.insert(key, body).is_none(),
                "Grafana says 409 to a second data source of one name"
            );
        }
        ("POST", "/api/folders") => {
            let key = format!("/api/folders/{}", body["uid"].as_str().unwrap());
            assert!(store.insert(key, body).is_none(), "and to a second folder");
        }
        ("POST", "/api/dashboards/db") => {
            assert_eq!(body["overwrite"], true);
            let key = format!("/api/dashboards/uid/{}", body["dashboard"]["uid"].as_str().unwrap());
            store.insert(key, body["dashboard"].clone());
        }
        ("PUT", path) => {
            assert!(store.insert(path.to_owned(), body).is_some(), "there is something to renew")
        }
        ("GET", path) if store.contains_key(path) => {}
        ("DELETE", path) if store.remove(path).is_some() => {}
        _ => return "404 Not Found",
    }
    "200 OK"
}

pub(crate) fn grafana() -> (String, Store) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let store = Store::default();
    let kept = Arc::clone(&store);
    let serve = move || {
        for stream in listener.incoming() {
            let (mut stream, mut text, mut piece) = (stream.unwrap(), Vec::new(), [0; 65_536]);
            let (head, body) = loop {
                let bytes = stream.read(&mut piece).unwrap();
                text.extend_from_slice(&piece[..bytes]);
                let so_far = String::from_utf8_lossy(&text).into_owned();
                let Some((head, body)) = so_far.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    break (head.to_owned(), body.to_owned());
                }
            };
            let status = answer(&kept, &head, &body);
            write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}")
                .unwrap();
        }
    };
    std::thread::Builder::new().name("grafana".into()).spawn(serve).unwrap();
    (url, store)
}

#[test]
fn a_grafana_is_provisioned_twice_as_once_and_deleted_without_a_trace() {
    let (dir, (url, store)) = (tempfile::tempdir().unwrap(), grafana());
    let sets = influx("http://127.0.0.1:8086", "tick");
    let with = |login: &str, what: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tickline"));
        command.args(["dashboards", what, "--grafana", &url]).env("GRAFANA_LOGIN", login);
        if what == "provision" {
            crate::program::with_sets(&mut command, &sets);
        }
        command.current_dir(dir.path()).output().unwrap()
    };
    let refused = with("wrong", "provision");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("status 401") && !said.contains("wrong"), "{said}");
    assert_eq!(with("right", "provision").status.code(), Some(0));
    let once = store.lock().unwrap().clone();
    assert_eq!(once.len(), all(&|_| None).len() + 2);
    assert_eq!(once["/api/datasources/uid/tickline-influxdb"]["jsonData"]["dbName"], "tick");
    assert_eq!(with("right", "provision").status.code(), Some(0));
    assert_eq!(*store.lock().unwrap(), once);
    assert_eq!(with("right", "delete").status.code(), Some(0));
    assert!(store.lock().unwrap().is_empty());
}

#[test]
fn rendered_files_are_the_same_dashboards_and_hold_no_password() {
    let dir = tempfile::tempdir().unwrap();
    let mut sets = influx("http://127.0.0.1:8086", "tick");
    sets.push("sinks.influx.username=\"u\"".to_owned());
    sets.push("sinks.influx.password=\"file:secret\"".to_owned());
    std::fs::write(dir.path().join("secret"), "do-not-print").unwrap();
    let rendered = tickline(dir.path(), &["dashboards", "render", "out"], &sets);
    assert_eq!(rendered.status.code(), Some(0), "{}", String::from_utf8_lossy(&rendered.stderr));
    for Dashboard { uid, model } in all(&|_| None) {
        let text = std::fs::read_to_string(dir.path().join(format!("out/dashboards/{uid}.json"))).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), model);
    }
    let source =
        std::fs::read_to_string(dir.path().join("out/provisioning/datasources/tickline.yaml")).unwrap();
    assert!(source.contains("$INFLUX_PASSWORD") && !source.contains("do-not-print"), "{source}");
}
