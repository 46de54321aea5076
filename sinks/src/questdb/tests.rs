//! Against a double of the server that is written from its documentation: no QuestDB is to be had as a package here.

use super::*;
use crate::admin::tables::{FieldType, TableAdmin, Wanted};
use crate::sink::FaultKind;
use bytes::Bytes;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;
use tickline_config::model::InfluxTarget;

/// Answers requests in turn; returns what `ask` got and the requests, query and body.
fn served<T>(answers: &[(&str, &str)], ask: impl FnOnce(Influx) -> T) -> (T, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = Influx {
        url: format!("http://{}", listener.local_addr().unwrap()),
        target: InfluxTarget::V1 { database: String::new(), retention_policy: None, login: None },
        connections: 1,
        timeout: Duration::from_secs(20),
        gzip: false,
        request_bytes_max: 1 << 20,
        proxy: None,
        tls_ca: None,
        tls_client: None,
    };
    std::thread::scope(|scope| {
        let server = scope.spawn(move || {
            let answer = |(status, body): &(&str, &str)| {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut request, mut byte) = (Vec::new(), [0]);
                while !request.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).unwrap();
                    request.push(byte[0]);
                }
                let head = String::from_utf8(request).unwrap();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let mut sent = vec![0; length.map_or(0, |length| length.parse().unwrap())];
                stream.read_exact(&mut sent).unwrap();
                let head_back =
                    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}", body.len());
                stream.write_all(format!("{head_back}\r\n\r\n{body}").as_bytes()).unwrap();
                let path = head.split_whitespace().nth(1).unwrap().replace('+', " ").replace("%22", "\"");
                path + " " + &String::from_utf8(sent).unwrap()
            };
            answers.iter().map(answer).collect::<Vec<String>>()
        });
        let got = ask(settings);
        (got, server.join().unwrap())
    })
}

/// What `SHOW COLUMNS` says of columns `NAME TYPE KEY`.
fn shown(columns: &[(&str, &str, bool)]) -> String {
    let rows: Vec<serde_json::Value> =
        columns.iter().map(|(name, kind, key)| serde_json::json!([name, kind, false, key])).collect();
    let columns =
        ["column", "type", "designated", "upsertKey"].map(|name| serde_json::json!({ "name": name }));
    serde_json::json!({ "columns": columns, "dataset": rows, "count": rows.len() }).to_string()
}

const GONE: (&str, &str) =
    ("400 Bad Request", r#"{"query":"q","error":"table does not exist [table=trades]","position":0}"#);

fn trades() -> Wanted {
    let fields =
        [("p", FieldType::Float), ("n", FieldType::Int), ("up", FieldType::Bool), ("s", FieldType::Text)];
    Wanted {
        name: "trades".to_owned(),
        tags: vec!["pair".to_owned()],
        fields: fields.map(|(name, kind)| (name.to_owned(), kind)).to_vec(),
    }
}

fn write(settings: &Influx, times: usize) -> Vec<Outcome> {
    let lines = "trades,pair=x p=1 1700000000000000001\ntrades,pair=x p=2 1700000000000000002\n";
    let request = Request { lines: Bytes::from_static(lines.as_bytes()), points: 2 };
    let mut sink = QuestSink::open("q", settings).unwrap();
    (0..times).map(|_| sink.write(&request)).collect()
}

#[test]
fn a_table_is_looked_at_once_and_then_written_to_in_ns() {
    let right =
        shown(&[("timestamp", "TIMESTAMP_NS", true), ("pair", "SYMBOL", true), ("p", "DOUBLE", false)]);
    let answers = [("200 OK", right.as_str()), ("204 No Content", ""), ("204 No Content", "")];
    let (outcomes, requests) = served(&answers, |settings| write(&settings, 2));
    assert_eq!(outcomes, [Outcome::accepted(), Outcome::accepted()]);
    assert_eq!(requests[0], "/exec?query=SHOW COLUMNS FROM \"trades\" ");
    assert!(requests[1].starts_with("/write?precision=n trades,pair=x p=1 17"), "{requests:?}");
}

#[test]
fn a_table_that_would_lose_a_tie_or_keep_a_line_twice_gets_nothing() {
    let micros = shown(&[("timestamp", "TIMESTAMP", true), ("pair", "SYMBOL", true)]);
    let without = shown(&[("timestamp", "TIMESTAMP_NS", true), ("pair", "SYMBOL", false)]);
    let table = [
        (GONE, FaultKind::Missing, "tickline db apply creates it"),
        (("200 OK", micros.as_str()), FaultKind::Config, "timestamp must be TIMESTAMP_NS, found TIMESTAMP"),
        (("200 OK", without.as_str()), FaultKind::Config, "pair must be in the deduplication keys"),
        (("401 Unauthorized", "Unauthorized"), FaultKind::Auth, "401"),
        (("500 Internal Server Error", ""), FaultKind::Transient, "500"),
    ];
    for (answer, kind, says) in table {
        let (outcomes, requests) = served(&[answer], |settings| write(&settings, 1));
        let [Outcome::NotSent(fault)] = &outcomes[..] else { panic!("{outcomes:?}") };
        assert!(fault.kind == kind && fault.detail.contains(says), "{fault:?}");
        assert_eq!(requests.len(), 1);
    }
}

#[test]
fn a_line_that_the_server_cannot_take_is_found_by_halves_and_tables_are_looked_at_anew() {
    let right = shown(&[("timestamp", "TIMESTAMP_NS", true), ("pair", "SYMBOL", true)]);
    let refused = r#"{"code":"invalid","message":"failed to parse line protocol:errors encountered on line(s):\nerror in line 1: table: trades, column: p; cast error","line":1,"errorId":"x-1"}"#;
    let answers = [
        ("200 OK", right.as_str()),
        ("400 Bad Request", refused),
        ("200 OK", &right),
        ("204 No Content", ""),
    ];
    let (outcomes, _) = served(&answers, |settings| write(&settings, 2));
    assert!(
        matches!(&outcomes[0], Outcome::Split(fault) if fault.detail.contains("error in line 1")),
        "{outcomes:?}"
    );
    assert_eq!(outcomes[1], Outcome::accepted());
}

#[test]
fn tables_are_made_with_ns_and_keys_and_only_added_to() {
    let (done, requests) = served(&[GONE, ("200 OK", r#"{"ddl":"OK"}"#)], |settings| {
        Server::new("q", &settings).unwrap().apply(&[trades()])
    });
    let create = "CREATE TABLE IF NOT EXISTS \"trades\" (\"timestamp\" TIMESTAMP_NS, \"pair\" SYMBOL, \"p\" DOUBLE, \"n\" LONG, \
                  \"up\" BOOLEAN, \"s\" VARCHAR) TIMESTAMP(timestamp) PARTITION BY DAY WAL DEDUP UPSERT KEYS(\"timestamp\", \"pair\")";
    assert_eq!(done.unwrap().statements, [create]);
    assert!(requests[1].starts_with("/exec?query=CREATE TABLE"), "{requests:?}");
    let other = shown(&[
        ("timestamp", "TIMESTAMP_NS", true),
        ("pair", "VARCHAR", false),
        ("p", "FLOAT", false),
        ("n", "LONG", true),
        ("up", "BOOLEAN", false),
    ]);
    let (plan, _) =
        served(&[("200 OK", &other)], |settings| Server::new("q", &settings).unwrap().plan(&[trades()]));
    let plan = plan.unwrap();
    assert_eq!(plan.statements, ["ALTER TABLE \"trades\" ADD COLUMN \"s\" VARCHAR"]);
    let conflicts = [
        "\"trades\".\"pair\": must be SYMBOL, found VARCHAR",
        "\"trades\".\"p\": must be DOUBLE, found FLOAT",
        "\"trades\".\"n\": must not be in the deduplication keys",
    ];
    assert_eq!(plan.conflicts, conflicts);
}
