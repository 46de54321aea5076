//! Names, the probe, and the answers of versions 2 and 3 from a socket double.

use super::*;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;
use tickline_config::secret::Secret;

#[test]
fn names_are_quoted_for_influxql() {
    assert_eq!(identifier(r#"a"b\c"#), r#""a\"b\\c""#);
}

#[test]
fn the_probe_is_one_readable_point_whatever_the_instance_is_called() {
    for instance in ["host-1", "a b,c=d", "", "x\\", "é\n"] {
        let request = probe(instance, 17);
        let text = std::str::from_utf8(&request.lines).unwrap();
        let mut lines = influxdb_line_protocol::parse_lines(text);
        let line = lines.next().unwrap().unwrap();
        assert_eq!((line.series.measurement.as_str(), line.timestamp), ("_tickline_probe", Some(17)));
        assert!(lines.next().is_none(), "{instance:?}");
    }
}

/// What `ask` gets from a server that answers one request with `status` and `body`, and that request's head.
fn asked<T>(target: InfluxTarget, status: &str, body: &str, ask: impl FnOnce(&Admin) -> T) -> (T, String) {
    let (got, mut requests) = served(target, &[(status, body)], ask);
    (got, requests.remove(0))
}

/// The same of several requests, each with its body.
fn served<T>(
    target: InfluxTarget,
    answers: &[(&str, &str)],
    ask: impl FnOnce(&Admin) -> T,
) -> (T, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = Influx {
        url: format!("http://{}", listener.local_addr().unwrap()),
        target,
        connections: 1,
        timeout: Duration::from_secs(20),
        gzip: false,
        request_bytes_max: 1 << 20,
        proxy: None,
        tls_ca: None,
        tls_client: None,
    };
    let admin = Admin::new("db", &settings).unwrap();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
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
                let length = body.len();
                let close = "connection: close";
                let head_back = format!("HTTP/1.1 {status}\r\n{close}\r\ncontent-length: {length}\r\n\r\n");
                stream.write_all(format!("{head_back}{body}").as_bytes()).unwrap();
                head + &String::from_utf8(sent).unwrap()
            };
            answers.iter().map(answer).collect()
        });
        (ask(&admin), server.join().unwrap())
    })
}

fn v2() -> InfluxTarget {
    InfluxTarget::V2 { org: "o".into(), bucket: "ticks".into(), token: Some(Secret::new("t")) }
}

fn v3() -> InfluxTarget {
    InfluxTarget::V3 { database: "d".into(), token: Some(Secret::new("t")) }
}

#[test]
fn a_bucket_of_version_2_is_a_policy() {
    let body = r#"{"buckets":[{"name":"ticks","retentionRules":[{"type":"expire","everySeconds":3600,"shardGroupDurationSeconds":7200}]}]}"#;
    let (policy, head) = asked(v2(), "200 OK", body, Admin::write_policy);
    assert!(head.starts_with("GET /api/v2/buckets?org=o&name=ticks HTTP/1.1"), "{head}");
    let (hour, name) = (Duration::from_secs(3600), "ticks".to_owned());
    let expected = Policy { name, duration: Some(hour), shard_duration: hour * 2, default: true };
    assert_eq!(policy.unwrap(), expected);
    let forever = r#"{"buckets":[{"name":"ticks","retentionRules":[]}]}"#;
    assert_eq!(asked(v2(), "200 OK", forever, Admin::write_policy).0.unwrap().duration, None);
    let none = asked(v2(), "200 OK", r#"{"buckets":[]}"#, Admin::policies).0.unwrap_err();
    assert!(matches!(&none, AdminError::Missing { detail, .. } if detail.contains("ticks")), "{none}");
}

#[test]
fn the_version_is_read_from_the_answer_and_a_refused_login_is_named() {
    let body = r#"{"version":"3.1.0","revision":"x","process_id":"y"}"#;
    let (version, head) = asked(v3(), "200 OK", body, Admin::ping);
    assert_eq!(version.unwrap().as_deref(), Some("3.1.0"));
    assert!(head.contains("authorization: Bearer t\r"), "{head}");
    let refused = asked(v3(), "401 Unauthorized", "", Admin::ping).0.unwrap_err();
    assert!(matches!(refused, AdminError::Login { .. }), "{refused}");
}

#[test]
fn what_a_generation_does_not_offer_is_said_so() {
    let settings = |target| Influx {
        url: "http://127.0.0.1:1".into(),
        target,
        connections: 1,
        timeout: Duration::from_secs(1),
        gzip: false,
        request_bytes_max: 1 << 20,
        proxy: None,
        tls_ca: None,
        tls_client: None,
    };
    for (target, version) in [(v2(), 2), (v3(), 3)] {
        let admin = Admin::new("db", &settings(target)).unwrap();
        let error = admin.field_keys().unwrap_err();
        assert!(matches!(error, AdminError::Unsupported { version: v, .. } if v == version), "{error}");
    }
}

/// 30 days in shards of a day, the default.
fn month() -> BTreeMap<String, Retention> {
    let day = Duration::from_secs(86_400);
    let retention =
        |days: u32, default| Retention { duration: Some(day * days), shard_duration: day, default };
    BTreeMap::from([("long".to_owned(), retention(365, false)), ("usual".to_owned(), retention(30, true))])
}

#[test]
fn a_bucket_that_is_missing_is_made_and_one_that_keeps_less_is_changed() {
    let make = |admin: &Admin| {
        let (changes, _) = admin.plan(&month())?;
        admin.apply(&changes, false)
    };
    let ok = "200 OK";
    let none = (ok, r#"{"buckets":[]}"#);
    let (made, requests) =
        served(v2(), &[none, (ok, r#"{"orgs":[{"id":"17"}]}"#), ("201 Created", "{}")], make);
    made.unwrap();
    assert!(requests[1].starts_with("GET /api/v2/orgs?org=o "), "{}", requests[1]);
    let rules =
        r#""retentionRules":[{"everySeconds":2592000,"shardGroupDurationSeconds":86400,"type":"expire"}]"#;
    assert!(requests[2].starts_with("POST /api/v2/buckets "), "{}", requests[2]);
    assert!(requests[2].ends_with(&format!(r#"{{"name":"ticks","orgID":"17",{rules}}}"#)), "{}", requests[2]);
    let short = (
        ok,
        r#"{"buckets":[{"id":"9","retentionRules":[{"everySeconds":3600,"shardGroupDurationSeconds":3600}]}]}"#,
    );
    let (changed, requests) = served(v2(), &[short, short, (ok, "{}")], make);
    changed.unwrap();
    assert!(requests[2].starts_with("PATCH /api/v2/buckets/9 "), "{}", requests[2]);
    assert!(requests[2].ends_with(&format!("{{{rules}}}")), "{}", requests[2]);
    // One that keeps more is left alone.
    let long = (ok, r#"{"buckets":[{"id":"9","retentionRules":[]}]}"#);
    let (refused, _) = served(v2(), &[long], make);
    assert!(matches!(refused, Err(AdminError::Shorter { .. })));
}

#[test]
fn a_database_of_version_3_is_made_where_it_is_missing() {
    let make = |admin: &Admin| {
        let (changes, _) = admin.plan(&month())?;
        admin.apply(&changes, false)?;
        Ok::<_, AdminError>(changes.len())
    };
    let known = |name: &str| format!(r#"[{{"iox::database":"_internal"}},{{"iox::database":"{name}"}}]"#);
    let (count, requests) = served(v3(), &[("200 OK", &known("other")), ("200 OK", "")], make);
    assert_eq!(count.unwrap(), 1);
    assert!(requests[0].starts_with("GET /api/v3/configure/database?format=json "), "{}", requests[0]);
    assert!(requests[1].starts_with("POST /api/v3/configure/database "), "{}", requests[1]);
    assert!(requests[1].ends_with(r#"{"db":"d","retention_period":"30d"}"#), "{}", requests[1]);
    assert_eq!(served(v3(), &[("200 OK", &known("d"))], make).0.unwrap(), 0);
}
