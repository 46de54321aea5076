//! The request as it goes over the wire and the ways an answer can fail to come, against a socket double.

use super::*;
use crate::sink::FaultKind;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use tickline_config::secret::Secret;

fn influx(url: String, target: InfluxTarget) -> Influx {
    let timeout = Duration::from_secs(20);
    Influx {
        url,
        target,
        connections: 1,
        timeout,
        gzip: false,
        request_bytes_max: 1 << 20,
        proxy: None,
        tls_ca: None,
        tls_client: None,
    }
}

fn v1(login: Option<(String, Secret)>) -> InfluxTarget {
    InfluxTarget::V1 { database: "my db".into(), retention_policy: Some("30d&".into()), login }
}

fn request() -> Request {
    Request { lines: Bytes::from_static(b"m v=1 1\nm v=2 2\n"), points: 2 }
}

/// Head and body of one request.
fn receive(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap().to_lowercase();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    (head, body)
}

/// Writes [`request`] to a double that sends `reply` and closes; returns what it received and the outcome.
fn exchange(
    configure: impl FnOnce(&mut Influx),
    target: InfluxTarget,
    reply: &str,
) -> (String, Vec<u8>, Outcome) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut settings = influx(url, target);
    configure(&mut settings);
    let mut sink = InfluxSink::open("db", &settings).unwrap();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let received = receive(&mut stream);
            stream.write_all(reply.as_bytes()).unwrap();
            received
        });
        let outcome = sink.write(&request());
        let (head, body) = server.join().unwrap();
        (head, body, outcome)
    })
}

const STORED: &str = "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n";

#[test]
fn each_generation_has_its_own_path_parameters_and_login() {
    let secret = || Some(Secret::new("t0ken"));
    let login = Some(("bob".to_owned(), Secret::new("pw")));
    let v2 = InfluxTarget::V2 { org: "o".into(), bucket: "b/autogen".into(), token: secret() };
    let v3 = InfluxTarget::V3 { database: "d".into(), token: secret() };
    let table = [
        (
            v1(login),
            "post /write?db=my+db&precision=ns&rp=30d%26 http/1.1",
            "authorization: basic ym9ionb3\r",
        ),
        (
            v2,
            "post /api/v2/write?org=o&bucket=b%2fautogen&precision=ns http/1.1",
            "authorization: token t0ken\r",
        ),
        (v3, "post /api/v3/write_lp?db=d&precision=nanosecond http/1.1", "authorization: bearer t0ken\r"),
    ];
    for (target, first_line, authorization) in table {
        let (head, body, outcome) = exchange(|_| {}, target, STORED);
        assert_eq!(outcome, Outcome::accepted());
        assert_eq!(head.lines().next(), Some(first_line));
        assert!(head.contains(authorization), "{head}");
        assert_eq!(body, b"m v=1 1\nm v=2 2\n");
    }
}

#[test]
fn a_gzipped_body_unpacks_to_the_same_lines() {
    let (head, body, outcome) = exchange(|settings| settings.gzip = true, v1(None), STORED);
    assert_eq!(outcome, Outcome::accepted());
    assert!(head.contains("content-encoding: gzip\r") && !head.contains("authorization"), "{head}");
    let mut lines = Vec::new();
    flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut lines).unwrap();
    assert_eq!(lines, b"m v=1 1\nm v=2 2\n");
}

#[test]
fn a_redirect_is_not_followed() {
    let reply = "HTTP/1.1 307 T\r\nlocation: http://127.0.0.1:1/write\r\ncontent-length: 0\r\n\r\n";
    let Outcome::NotSent(fault) = exchange(|_| {}, v1(None), reply).2 else { panic!("followed") };
    assert_eq!((fault.kind, fault.code), (FaultKind::Config, 307));
}

#[test]
fn success_without_204_is_in_doubt_and_keeps_its_body() {
    let reply = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    let Outcome::InDoubt(fault) = exchange(|_| {}, v1(None), reply).2 else { panic!("not in doubt") };
    assert!(fault.detail.contains("hello"), "{}", fault.detail);
}

#[test]
fn an_answer_that_never_comes_or_breaks_off_is_in_doubt() {
    for reply in ["", "HTTP/1.1 20", "HTTP/1.1 400 Bad\r\ncontent-length: 99\r\n\r\n{\"error\":"] {
        let outcome = exchange(|_| {}, v1(None), reply).2;
        assert!(matches!(outcome, Outcome::InDoubt(ref f) if f.kind == FaultKind::Transient), "{outcome:?}");
    }
}

#[test]
fn a_server_that_answers_too_late_leaves_the_request_in_doubt() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = influx(format!("http://{}", listener.local_addr().unwrap()), v1(None));
    settings.timeout = Duration::from_millis(50);
    let outcome = InfluxSink::open("db", &settings).unwrap().write(&request());
    assert!(matches!(outcome, Outcome::InDoubt(_)), "{outcome:?}");
}

#[test]
fn a_refused_connection_means_not_sent() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(); // closed again
    let outcome =
        InfluxSink::open("db", &influx(format!("http://{address}"), v1(None))).unwrap().write(&request());
    assert!(matches!(outcome, Outcome::NotSent(ref f) if f.kind == FaultKind::Transient), "{outcome:?}");
}

#[test]
fn a_wrong_address_is_refused_without_printing_its_login() {
    for url in ["127.0.0.1:8086", "ftp://host", "http://host?db=x", "", "http://bob:pw@host"] {
        let error = InfluxSink::open("db", &influx(url.to_owned(), v1(None))).unwrap_err().to_string();
        assert!(error.starts_with("sinks.db.url: must be an"), "{error}");
        assert!(!error.contains("pw"), "{error}");
    }
    let token = Some(Secret::new("two\nlines"));
    let v3 = InfluxTarget::V3 { database: "d".into(), token };
    let error = InfluxSink::open("db", &influx("http://host".into(), v3)).unwrap_err().to_string();
    assert!(error.starts_with("sinks.db.token: must be") && !error.contains("lines"), "{error}");
}
