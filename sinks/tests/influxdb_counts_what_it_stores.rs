//! Against a real InfluxDB 1.x: what the sink calls written is stored, what it calls rejected is not, and
//! everything else is kept for later.

mod influxd;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use influxd::{Influxd, Options};
use tickline_config::model::{Influx, InfluxTarget, Retention};
use tickline_config::secret::Secret;
use tickline_sinks::admin::{Admin, AdminError, Change, StoredKey, probe};
use tickline_sinks::influx::InfluxSink;
use tickline_sinks::retry::{Step, next_step, refuse, split};
use tickline_sinks::sink::{FaultKind, Outcome, RejectReason, Request, Sink};

/// 2200-01-01T00:00:00Z: younger than any retention, whatever the clock says.
const YOUNG: i64 = 7_258_118_400_000_000_000;
const HOUR: i64 = 3_600_000_000_000;

fn settings(url: &str, database: &str, policy: Option<&str>, login: Option<(&str, &str)>) -> Influx {
    let login = login.map(|(user, password)| (user.to_owned(), Secret::new(password)));
    Influx {
        url: url.to_owned(),
        target: InfluxTarget::V1 {
            database: database.to_owned(),
            retention_policy: policy.map(str::to_owned),
            login,
        },
        connections: 2,
        timeout: Duration::from_secs(60),
        gzip: false,
        request_bytes_max: 4 << 20,
        proxy: None,
        tls_ca: None,
        tls_client: None,
    }
}

fn sink(url: &str, policy: Option<&str>) -> InfluxSink {
    InfluxSink::open("influx", &settings(url, "tick", policy, None)).unwrap()
}

fn server() -> Option<Influxd> {
    let server = influxd::start(Options::default())?;
    server.query(None, "", "CREATE DATABASE tick");
    server.query(
        None,
        "",
        "CREATE RETENTION POLICY short ON tick DURATION 1h REPLICATION 1 SHARD DURATION 1h",
    );
    Some(server)
}

fn request(lines: &[String]) -> Request {
    Request { lines: Bytes::from(lines.concat()), points: lines.len() as u64 }
}

/// Writes, splitting as often as told, and adds up what became of the points.
fn settle(sink: &mut InfluxSink, request: Request) -> (u64, BTreeMap<&'static str, u64>) {
    let (mut written, mut rejected) = (0, BTreeMap::new());
    let mut waiting = vec![request];
    while let Some(request) = waiting.pop() {
        let outcome = sink.write(&request);
        let step = match (next_step(&outcome, 0, request.points, 0), &outcome) {
            (Step::Split, Outcome::Split(fault)) => match split(&request) {
                Some((first, second)) => {
                    waiting.extend([second, first]);
                    continue;
                }
                None => refuse(fault, request.points),
            },
            (step, _) => step,
        };
        let Step::Settled { written: w, rejected: r } = step else { panic!("{outcome:?}") };
        written += w;
        for (reason, n) in r {
            *rejected.entry(reason.name()).or_insert(0) += n;
        }
    }
    (written, rejected)
}

#[test]
fn a_conflict_of_types_is_counted_exactly_wherever_the_points_lie() {
    let Some(server) = server() else { return };
    let mut sink = sink(&server.url, None);
    assert_eq!(sink.write(&request(&[format!("c v=1 {YOUNG}\n")])), Outcome::accepted());
    // The server does not name them: halves, down to the lines themselves.
    let one: Vec<_> =
        (1..=9).map(|n| format!("c v={n}{} {}\n", if n % 3 == 0 { "i" } else { "" }, YOUNG + n)).collect();
    assert_eq!(settle(&mut sink, request(&one)), (6, BTreeMap::from([("bad_line", 3)])));
    let alone = sink.write(&request(&one[2..3]));
    let Outcome::Stored { rejected, detail: Some(detail), .. } = &alone else { panic!("{alone:?}") };
    assert_eq!(rejected, &[(RejectReason::BadLine, 1)]);
    assert!(detail.contains("field type conflict"), "{detail}");
    assert_eq!(server.count("tick", "c", "v"), 7);
    // Many shards: each names its own refusals only, and one answer names one shard.
    server.query(
        None,
        "tick",
        "CREATE RETENTION POLICY days ON tick DURATION INF REPLICATION 1 SHARD DURATION 1d",
    );
    let mut sink = InfluxSink::open("influx", &settings(&server.url, "tick", Some("days"), None)).unwrap();
    let first: Vec<_> = (0..8).map(|day| format!("d v=1 {}\n", YOUNG + day * 24 * HOUR)).collect();
    assert_eq!(sink.write(&request(&first)), Outcome::accepted());
    let many: Vec<_> = (0..64)
        .map(|n| {
            format!("d v={n}{} {}\n", if n % 2 == 0 { "i" } else { "" }, YOUNG + n % 8 * 24 * HOUR + 1 + n)
        })
        .collect();
    assert_eq!(settle(&mut sink, request(&many)), (32, BTreeMap::from([("bad_line", 32)])));
    assert_eq!(server.count("tick", "days.d", "v"), 40);
}

#[test]
fn points_beyond_retention_are_counted_exactly_also_beside_other_trouble() {
    let Some(server) = server() else { return };
    let mut sink = sink(&server.url, Some("short"));
    let lines: Vec<_> = (0..10).map(|n| format!("r v={n} {}\n", if n < 4 { n } else { YOUNG + n })).collect();
    let outcome = sink.write(&request(&lines));
    let Outcome::Stored { rejected, .. } = &outcome else { panic!("{outcome:?}") };
    assert_eq!(rejected, &[(RejectReason::BeyondRetention, 4)]);
    assert_eq!(server.count("tick", "short.r", "v"), 6);
    // Too old, of another type and unreadable at once: the server names one of the three.
    let mut mixed = lines.clone();
    mixed.extend((20..25).map(|n| format!("r v={n}i {}\n", YOUNG + n)));
    mixed.extend((30..33).map(|n| format!("r v={n} {n}{n} x\n")));
    let counts = settle(&mut sink, request(&mixed));
    assert_eq!(counts, (6, BTreeMap::from([("bad_line", 8), ("beyond_retention", 4)])));
    assert_eq!(server.count("tick", "short.r", "v"), 6);
    let all_old: Vec<_> = (0..5).map(|n| format!("r v={n} {n}\n")).collect();
    assert_eq!(settle(&mut sink, request(&all_old)), (0, BTreeMap::from([("beyond_retention", 5)])));
}

#[test]
fn unreadable_lines_are_counted_exactly_and_their_neighbours_are_stored() {
    let Some(server) = server() else { return };
    let mut sink = sink(&server.url, None);
    let lines = ["u v=1 1\n", "u v=NaN 2\n", "u v=3 3\n", "u v=4u 4\n", "u v=5 5\n"].map(str::to_owned);
    assert_eq!(settle(&mut sink, request(&lines)), (3, BTreeMap::from([("bad_line", 2)])));
    assert_eq!(server.count("tick", "u", "v"), 3);
    // An open quote swallows the lines after it: halved until the quote stands alone.
    let swallowing = ["w v=1 1\n", "w v=\"2 2\n", "w v=3 3\n", "w v=4 4\n"].map(str::to_owned);
    assert_eq!(settle(&mut sink, request(&swallowing)), (3, BTreeMap::from([("bad_line", 1)])));
    assert_eq!(server.count("tick", "w", "v"), 3);
}

#[test]
fn a_request_that_is_too_large_is_halved_until_it_fits_and_a_line_that_never_fits_is_rejected() {
    let Some(server) = influxd::start(Options { body_bytes_max: 2000, ..Options::default() }) else { return };
    server.query(None, "", "CREATE DATABASE tick");
    let mut sink = sink(&server.url, None);
    let mut lines: Vec<_> = (0..200).map(|n| format!("big,symbol=S{} v={n} {}\n", n % 3, n + 1)).collect();
    lines.push(format!("big s=\"{}\" 7\n", "x".repeat(3000)));
    assert_eq!(settle(&mut sink, request(&lines)), (200, BTreeMap::from([("too_large", 1)])));
    assert_eq!(server.count("tick", "big", "v"), 200);
}

#[test]
fn missing_databases_policies_and_logins_are_held_and_the_same_bytes_are_stored_once_they_are_there() {
    let Some(server) = influxd::start(Options { auth: true, ..Options::default() }) else { return };
    let admin = Some(("root", "secret"));
    server.query(None, "", "CREATE USER root WITH PASSWORD 'secret' WITH ALL PRIVILEGES");
    server.query(admin, "", "CREATE USER bob WITH PASSWORD 'bob'");
    let lines = request(&["h v=1 1\n".to_owned()]);
    let write = |policy, login| {
        let settings = settings(&server.url, "tick", policy, login);
        InfluxSink::open("influx", &settings).unwrap().write(&lines)
    };
    let held = |outcome: Outcome, kind, code| {
        let Outcome::NotSent(fault) = &outcome else { panic!("{outcome:?}") };
        assert_eq!((fault.kind, fault.code), (kind, code), "{}", fault.detail);
        assert!(matches!(next_step(&outcome, 3, 1, 5), Step::Wait { hold: true, .. }));
    };
    held(write(None, admin), FaultKind::Missing, 404);
    server.query(admin, "", "CREATE DATABASE tick");
    held(write(None, None), FaultKind::Auth, 401);
    held(write(None, Some(("root", "wrong"))), FaultKind::Auth, 401);
    held(write(None, Some(("bob", "bob"))), FaultKind::Auth, 403);
    held(write(Some("none"), admin), FaultKind::Missing, 500);
    server.query(admin, "", "GRANT WRITE ON tick TO bob");
    assert_eq!(write(None, Some(("bob", "bob"))), Outcome::accepted());
    let refused = Admin::new("influx", &settings(&server.url, "tick", None, Some(("bob", "bob")))).unwrap();
    assert!(matches!(refused.policies(), Err(AdminError::Login { .. })));
}

#[test]
fn two_connections_with_gzip_store_every_point_at_its_own_nanosecond() {
    let Some(server) = server() else { return };
    let settings = Influx { gzip: true, ..settings(&server.url, "tick", None, None) };
    std::thread::scope(|scope| {
        for connection in 0..2i64 {
            let mut sink = InfluxSink::open("influx", &settings).unwrap();
            scope.spawn(move || {
                for batch in 0..5 {
                    let from = YOUNG + (connection * 5 + batch) * 1000;
                    let lines: Vec<_> =
                        (0..1000).map(|n| format!("g v={n},recv_ns={}i {}\n", from + n, from + n)).collect();
                    assert_eq!(sink.write(&request(&lines)), Outcome::accepted());
                    assert_eq!(sink.write(&request(&lines)), Outcome::accepted(), "twice is once");
                }
            });
        }
    });
    assert_eq!(server.count("tick", "g", "recv_ns"), 10_000);
    let last = server.query(None, "tick", "SELECT last(recv_ns) FROM g");
    let row = &last["results"][0]["series"][0]["values"][0];
    assert_eq!((row[0].as_i64(), row[1].as_i64()), (Some(YOUNG + 9999), Some(YOUNG + 9999)));
}

#[test]
fn a_server_that_is_gone_has_not_been_sent_anything() {
    let Some(server) = server() else { return };
    let mut sink = sink(&server.url, None);
    assert_eq!(sink.write(&request(&["m v=1 1\n".to_owned()])), Outcome::accepted());
    drop(server);
    let outcome = sink.write(&request(&["m v=2 2\n".to_owned()]));
    assert!(matches!(outcome, Outcome::NotSent(ref f) if f.kind == FaultKind::Transient), "{outcome:?}");
}

#[test]
fn apply_creates_what_is_missing_lengthens_what_is_short_and_never_shortens() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let settings = settings(&server.url, "tick", Some("ticks"), None);
    let admin = Admin::new("influx", &settings).unwrap();
    assert!(admin.ping().unwrap().unwrap().starts_with("1."));
    assert!(matches!(admin.policies(), Err(AdminError::Missing { .. })));
    let day = Duration::from_secs(86_400);
    let keep = |days: Option<u32>, default| Retention {
        duration: days.map(|d| day * d),
        shard_duration: day,
        default,
    };
    let mut wanted = BTreeMap::from([
        ("ticks".to_owned(), keep(Some(30), true)),
        ("archive".to_owned(), keep(None, false)),
    ]);
    let changes = |wanted: &BTreeMap<String, Retention>| admin.plan(wanted).unwrap().0;
    let done = changes(&wanted);
    admin.apply(&done, false).unwrap();
    assert!(
        matches!(done.as_slice(), [Change::CreateDatabase, Change::Create(_), Change::Create(_)]),
        "{done:?}"
    );
    assert_eq!(changes(&wanted), [], "nothing left to do");
    let policy = admin.write_policy().unwrap();
    assert_eq!((policy.name.as_str(), policy.duration, policy.default), ("ticks", Some(day * 30), true));
    wanted.insert("ticks".to_owned(), keep(Some(60), true));
    let longer = changes(&wanted);
    assert!(matches!(longer.as_slice(), [Change::Alter { .. }]));
    admin.apply(&longer, false).unwrap();
    assert_eq!(admin.write_policy().unwrap().duration, Some(day * 60));
    wanted.insert("ticks".to_owned(), keep(Some(7), true));
    wanted.insert("a_new_one".to_owned(), keep(None, false));
    let (shorter, beside) = admin.plan(&wanted).unwrap();
    assert_eq!(beside.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>(), ["autogen"]);
    let error = admin.apply(&shorter, false).unwrap_err();
    assert!(error.to_string().contains("\"7d\"") && error.to_string().contains("60d"), "{error}");
    assert!(
        admin.policies().unwrap().iter().all(|p| p.name != "a_new_one"),
        "refused before anything was done"
    );
    admin.apply(&shorter, true).unwrap();
    assert_eq!(admin.write_policy().unwrap().duration, Some(day * 7));
}

#[test]
fn stored_keys_are_listed_with_their_types_and_the_probe_is_a_real_write() {
    let Some(server) = server() else { return };
    let settings = settings(&server.url, "tick", None, None);
    let admin = Admin::new("influx", &settings).unwrap();
    let mut sink = InfluxSink::open("influx", &settings).unwrap();
    assert_eq!(
        sink.write(&request(&["k,pair=x bid=1,n=2i,s=\"t\",b=true 1\n".to_owned()])),
        Outcome::accepted()
    );
    assert_eq!(sink.write(&probe("host 1", YOUNG)), Outcome::accepted());
    let key = |measurement: &str, key: &str, kind: &str| StoredKey {
        measurement: measurement.to_owned(),
        key: key.to_owned(),
        kind: kind.to_owned(),
    };
    let mut fields = admin.field_keys().unwrap();
    fields.sort();
    let expected = [
        key("_tickline_probe", "ok", "boolean"),
        key("k", "b", "boolean"),
        key("k", "bid", "float"),
        key("k", "n", "integer"),
        key("k", "s", "string"),
    ];
    assert_eq!(fields, expected);
    assert_eq!(admin.tag_keys().unwrap(), [key("_tickline_probe", "instance", ""), key("k", "pair", "")]);
}
