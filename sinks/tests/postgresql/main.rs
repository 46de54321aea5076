//! The PostgreSQL sink against a real server; psql is the oracle.

mod server;
mod wire;

use bytes::Bytes;
use server::{PORT, Server};
use tickline_config::model::{Config, Sink as Settings, SinkKind};
use tickline_sinks::admin::tables::{FieldType, TableAdmin, Wanted, open as open_admin};
use tickline_sinks::open::open;
use tickline_sinks::sink::{Fault, FaultKind, Outcome, RejectReason, Request, Sink};

fn settings(server: &Server, more: &str) -> Settings {
    let socket = server.socket().display();
    let own = format!(
        "kind=\"postgresql\" database=\"tick\" username=\"tickline\" password=\"env:P\" servers=[\"{socket}:{PORT}\"] {more}"
    );
    let sets: Vec<String> = own.split_whitespace().map(|key| format!("sinks.pg.{key}")).collect();
    let config =
        Config::load(&[], &sets, &|_| Some("tick's secret".to_owned())).expect("a configuration").config;
    config.sinks["pg"].clone()
}

fn sink(settings: &Settings) -> Box<dyn Sink> {
    open("pg", "test", 0, settings).expect("a sink")
}

fn admin(settings: &Settings) -> Box<dyn TableAdmin> {
    open_admin("pg", &settings.kind, None).expect("tables").expect("an administrator")
}

/// A table with every type.
fn all_types() -> Wanted {
    let fields =
        [("f", FieldType::Float), ("i", FieldType::Int), ("b", FieldType::Bool), ("s", FieldType::Text)];
    Wanted {
        name: "all types".to_owned(),
        tags: vec!["pair".to_owned(), "the side".to_owned()],
        fields: fields.map(|(name, kind)| (name.to_owned(), kind)).to_vec(),
    }
}

fn trades() -> Wanted {
    Wanted {
        name: "trades".to_owned(),
        tags: vec!["pair".to_owned()],
        fields: vec![("p".to_owned(), FieldType::Float)],
    }
}

fn request(lines: &str) -> Request {
    Request { lines: Bytes::from(lines.to_owned()), points: lines.matches('\n').count() as u64 }
}

fn trade(time_ns: i64) -> String {
    format!("trades,pair=BTC/USD p={} {time_ns}\n", time_ns % 1_000)
}

/// What the caller must wait for.
fn not_sent(outcome: Outcome) -> Fault {
    match outcome {
        Outcome::NotSent(fault) => fault,
        other => panic!("{other:?}"),
    }
}

/// A server with the table `trades`, and a sink for it.
fn with_trades(more: &str) -> Option<(Server, Settings, Box<dyn Sink>)> {
    let server = server::start(&["log_statement=all"])?;
    let settings = settings(&server, more);
    admin(&settings).apply(&[trades()]).expect("tables");
    let sink = sink(&settings);
    Some((server, settings, sink))
}

#[test]
fn every_type_arrives_with_its_nanoseconds_and_what_a_line_lacks_is_null_or_the_empty_tag() {
    let Some(server) = server::start(&[]) else { return };
    let settings = settings(&server, "");
    admin(&settings).apply(&[all_types()]).expect("tables");
    let lines = concat!(
        "all\\ types,pair=BTC/USD,the\\ side=buy f=0.1,i=-9223372036854775808i,b=true,s=\"a \\\"b\\\" \\\\ ü,=\" 1700000000123456789\n",
        "all\\ types,pair=a\\,b\\=c\\ d f=1e-308 -1\n",
        "all\\ types s=\"\",b=false 0\n",
        "all\\ types,the\\ side=x,pair=y i=9223372036854775807i 1700000000123456788\n",
        "all\\ types,pair=y f=-0,s=\"null\" 9223372036854775807\n",
    );
    assert_eq!(sink(&settings).write(&request(lines)), Outcome::accepted());
    let rows = server.sql(
        "tick",
        "SET timezone='UTC'; SELECT time, ns, pair, \"the side\", coalesce(f::text,'-'), coalesce(i::text,'-'), \
         coalesce(b::text,'-'), coalesce(s,'-') FROM \"all types\" ORDER BY time, ns",
    );
    let expected = [
        "1969-12-31 23:59:59.999999+00|999|a,b=c d||1e-308|-|-|-",
        "1970-01-01 00:00:00+00|0|||-|-|false|",
        "2023-11-14 22:13:20.123456+00|788|y|x|-|9223372036854775807|-|-",
        "2023-11-14 22:13:20.123456+00|789|BTC/USD|buy|0.1|-9223372036854775808|true|a \"b\" \\ ü,=",
        "2262-04-11 23:47:16.854775+00|807|y||-0|-|-|null",
    ];
    assert_eq!(rows.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_sent_twice_is_stored_once_and_only_then_by_way_of_a_staging_table() {
    let Some((server, settings, mut sink)) = with_trades("") else { return };
    let log = server.dir.path().join("server.log");
    let staged = || std::fs::read_to_string(&log).expect("its log").matches("CREATE TEMPORARY TABLE").count();
    let first: String = (0..100).map(trade).collect();
    let second: String = (50..150).map(trade).collect();
    let third: String = (150..200).map(trade).collect();
    assert_eq!(sink.write(&request(&first)), Outcome::accepted());
    assert_eq!(staged(), 0);
    // Half of it is there; the next one meets nothing and ends the staging.
    for (lines, tables) in [(&second, 1), (&second, 2), (&third, 3)] {
        assert_eq!(sink.write(&request(lines)), Outcome::accepted());
        assert_eq!(staged(), tables);
    }
    let fourth: String = (200..250).map(trade).collect();
    assert_eq!(sink.write(&request(&fourth)), Outcome::accepted());
    assert_eq!(staged(), 3);
    // The same point twice in one request, and all of it from another connection.
    let twice = format!("{}{}", trade(300), trade(300));
    assert_eq!(sink.write(&request(&twice)), Outcome::accepted());
    assert_eq!(self::sink(&settings).write(&request(&format!("{first}{fourth}"))), Outcome::accepted());
    assert_eq!(
        server.sql("tick", "SELECT count(*), count(DISTINCT (time, ns)), sum(p) FROM trades"),
        format!("251|251|{}", (0..250).sum::<i64>() + 300)
    );
}

#[test]
fn lines_that_are_no_rows_are_named_and_the_others_stored() {
    let Some((server, _, mut sink)) = with_trades("") else { return };
    let lines = format!(
        "{}not a line\n{}trades,pair=x p=1\ntrades,pair=x p=1,p=2 7\n{}trades,pair=\0 p=1 8\n{}",
        trade(1),
        trade(2),
        trade(3),
        trade(4)
    );
    let outcome = sink.write(&request(&lines));
    let Outcome::Stored { rejected, detail, lines } = outcome else { panic!("{outcome:?}") };
    assert_eq!(rejected, [(RejectReason::BadLine, 4)]);
    assert_eq!(lines, [1, 3, 4, 6]);
    assert!(detail.as_ref().is_some_and(|detail| detail.contains("not a line")), "{detail:?}");
    assert_eq!(
        server.sql("tick", "SELECT string_agg(p::text, ' ' ORDER BY time, ns) FROM trades"),
        "1 2 3 4"
    );
}

#[test]
fn large_requests_of_several_tables_arrive_whole_whatever_columns_come_late() {
    let Some(server) = server::start(&[]) else { return };
    let settings = settings(&server, "");
    let mut quotes = Wanted { name: "quotes".to_owned(), ..trades() };
    quotes.fields.extend(["late", "never"].map(|name| (name.to_owned(), FieldType::Text)));
    admin(&settings)
        .apply(&[trades(), quotes, Wanted { name: "rare".to_owned(), ..trades() }])
        .expect("tables");
    let mut sink = sink(&settings);
    // Far more than the server is sent at once, twice the same, and the second half of it again with what follows.
    for (from, to) in [(0, 9_000), (0, 9_000), (4_500, 13_500)] {
        let mut lines = String::new();
        for at in from..to {
            lines.push_str(&trade(at));
            let late = if at % 7_000 == 6_999 { format!(",late=\"{at}\"") } else { String::new() };
            lines.push_str(&format!("quotes,pair=ETH/USD p={at}{late} {at}\n"));
            if at % 1_000 == 0 {
                lines.push_str(&format!("no line\nrare p={at} {at}\n"));
            }
        }
        let outcome = sink.write(&request(&lines));
        let Outcome::Stored { rejected, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(rejected, [(RejectReason::BadLine, 9)]);
    }
    let sums = "SELECT count(*), sum(p) FROM quotes UNION ALL SELECT count(*), sum(p) FROM trades \
                UNION ALL SELECT count(*), sum(p) FROM rare UNION ALL SELECT count(late), sum(late::int) FROM quotes";
    let all = (0..13_500).sum::<i64>();
    let trades: i64 = (0..13_500).map(|at| at % 1_000).sum();
    let rare = (0..14).map(|at| at * 1_000).sum::<i64>();
    assert_eq!(server.sql("tick", sums), format!("13500|{all}\n13500|{trades}\n14|{rare}\n1|6999"));
}

#[test]
fn a_table_that_is_not_there_is_waited_for_and_apply_makes_it_once() {
    let Some(server) = server::start(&[]) else { return };
    let settings = settings(&server, "schema=\"desk\"");
    let (mut sink, mut admin) = (sink(&settings), admin(&settings));
    let fault = not_sent(sink.write(&request(&trade(1))));
    assert_eq!(fault.kind, FaultKind::Missing);
    assert!(
        fault.detail.contains("\"desk\".\"trades\"") && fault.detail.contains("tickline db apply"),
        "{fault:?}"
    );
    let wanted = [trades()];
    let plan = admin.plan(&wanted).expect("a plan");
    assert_eq!(plan.statements.len(), 2);
    assert_eq!(admin.apply(&wanted).expect("made"), plan);
    assert_eq!(admin.apply(&wanted).expect("nothing"), Default::default());
    assert_eq!(sink.write(&request(&trade(1))), Outcome::accepted());
    // A field more is a column more.
    let mut wider = trades();
    wider.fields.push(("qty".to_owned(), FieldType::Float));
    let more = "trades,pair=x p=1,qty=2 5\n";
    let fault = not_sent(sink.write(&request(more)));
    assert!(fault.detail.contains("must have a column qty (double precision)"), "{fault:?}");
    assert_eq!(admin.apply(&[wider]).expect("added").statements.len(), 1);
    assert_eq!(sink.write(&request(more)), Outcome::accepted());
    let written =
        server.sql("tick", "SELECT count(*), count(DISTINCT version) FROM desk.tickline_migrations");
    assert_eq!(written, "3|1");
    assert_eq!(server.sql("tick", "SELECT count(*), sum(qty) FROM desk.trades"), "2|2");
}

#[test]
fn a_table_that_was_altered_by_hand_holds_points_back_until_it_is_right_again() {
    let Some((server, settings, mut sink)) = with_trades("") else { return };
    assert_eq!(sink.write(&request(&trade(1))), Outcome::accepted());
    let table = [
        // Eight bytes each: without a second look numbers would be stored that nobody sent.
        (
            "ALTER COLUMN p TYPE bigint",
            "ALTER COLUMN p TYPE double precision",
            "must be double precision, found bigint",
        ),
        ("DROP COLUMN p", "ADD COLUMN p double precision", "must have a column p"),
        ("RENAME pair TO symbol", "RENAME symbol TO pair", "must have a column pair"),
        ("DROP CONSTRAINT trades_pkey", "ADD PRIMARY KEY (time, ns, pair)", "in a unique key"),
        ("ADD COLUMN trader text NOT NULL", "DROP COLUMN trader", "trader"),
        ("ALTER COLUMN ns TYPE integer", "ALTER COLUMN ns TYPE smallint", "must have a column ns (smallint)"),
    ];
    let mut stored = 1;
    for (number, (alter, repair, named)) in (2..).zip(table) {
        if alter.contains("NOT NULL") {
            server.sql("tick", "TRUNCATE trades");
            stored = 0;
        }
        server.sql("tick", &format!("ALTER TABLE trades {alter}"));
        // The first try may only learn that the table is another one; no try stores anything.
        let mut tries = (0..3).map(|_| not_sent(sink.write(&request(&trade(number)))));
        assert!(
            tries.any(|fault| fault.kind == FaultKind::Config && fault.detail.contains(named)),
            "{alter}: {named}"
        );
        let live = admin(&settings).plan(&[trades()]).expect("a plan");
        assert!(alter.contains("NOT NULL") || live != Default::default(), "{alter}");
        server.sql("tick", &format!("ALTER TABLE trades {repair}"));
        let again = (0..2)
            .map(|_| sink.write(&request(&trade(number))))
            .find(|outcome| *outcome == Outcome::accepted());
        assert!(again.is_some(), "{repair}");
        stored += 1;
        assert_eq!(server.sql("tick", "SELECT count(*) FROM trades"), stored.to_string(), "{alter}");
    }
}

#[test]
fn a_wrong_password_a_missing_database_and_a_server_that_is_away_are_told_apart_and_hold() {
    let Some((server, settings, mut sink)) = with_trades("") else { return };
    assert_eq!(sink.write(&request(&trade(1))), Outcome::accepted());
    server.sql("postgres", "ALTER ROLE tickline PASSWORD 'another'");
    assert_eq!(not_sent(self::sink(&settings).write(&request(&trade(2)))).kind, FaultKind::Auth);
    server.sql("postgres", "ALTER ROLE tickline PASSWORD 'tick''s secret'");
    let elsewhere = self::settings(&server, "database=\"nowhere\"");
    assert_eq!(not_sent(self::sink(&elsewhere).write(&request(&trade(2)))).kind, FaultKind::Missing);
    server.sql("tick", "ALTER TABLE trades OWNER TO owner");
    assert_eq!(not_sent(sink.write(&request(&trade(2)))).kind, FaultKind::Auth);
    server.sql("tick", "GRANT INSERT, SELECT (time, ns, pair) ON trades TO tickline");
    assert_eq!(sink.write(&request(&trade(2))), Outcome::accepted());
    for how in ["kill", "stop"] {
        server.control(how);
        for _ in 0..2 {
            assert_eq!(not_sent(sink.write(&request(&trade(3)))).kind, FaultKind::Transient);
        }
        server.control("start");
        assert_eq!(sink.write(&request(&trade(3))), Outcome::accepted());
    }
    assert_eq!(server.sql("tick", "SELECT count(*) FROM trades"), "3");
}

#[test]
fn a_row_that_a_unique_constraint_of_somebody_elses_refuses_is_told_and_not_taken_for_one_that_is_there() {
    let Some((server, _, mut sink)) = with_trades("") else { return };
    assert_eq!(sink.write(&request(&trade(1))), Outcome::accepted());
    server.sql("tick", "CREATE UNIQUE INDEX ON trades (pair)");
    for lines in [trade(2), format!("{}{}", trade(1), trade(3))] {
        assert!(matches!(sink.write(&request(&lines)), Outcome::Split(_)), "{lines}");
    }
    assert_eq!(sink.write(&request(&trade(1))), Outcome::accepted());
    assert_eq!(server.sql("tick", "SELECT count(*) FROM trades"), "1");
}

#[test]
fn a_server_that_does_not_answer_is_left_after_the_time_out_and_nothing_is_stored() {
    let Some((server, _, mut sink)) = with_trades("timeout=\"1s\"") else { return };
    assert_eq!(sink.write(&request(&trade(1))), Outcome::accepted());
    let socket = server.socket().display().to_string();
    let (locked, lock) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let mut config = tokio_postgres::Config::new();
                config.host(&socket).port(PORT).user("owner").password("geheim").dbname("tick");
                let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a session");
                tokio::spawn(connection);
                client
                    .batch_execute("BEGIN; LOCK TABLE trades IN ACCESS EXCLUSIVE MODE")
                    .await
                    .expect("a lock");
                locked.send(()).expect("told");
                released.recv().expect("released");
            });
        });
        lock.recv().expect("locked");
        let fault = not_sent(sink.write(&request(&trade(2))));
        assert_eq!(fault.kind, FaultKind::Transient, "{fault:?}");
        release.send(()).expect("told");
    });
    assert_eq!(sink.write(&request(&trade(2))), Outcome::accepted());
    assert_eq!(server.sql("tick", "SELECT count(*) FROM trades"), "2");
}

#[test]
fn of_several_servers_the_one_that_takes_writes_is_written_to() {
    let Some((server, settings, _)) = with_trades("") else { return };
    let Some(standby) = server::start(&[]) else { return };
    standby.sql("postgres", "ALTER SYSTEM SET default_transaction_read_only = on");
    standby.control("restart");
    let mut several = settings.clone();
    let SinkKind::Postgres(postgres) = &mut several.kind else { panic!("{several:?}") };
    postgres.servers.insert(0, ("127.0.0.1".to_owned(), 1));
    postgres.servers.insert(1, (standby.socket().display().to_string(), PORT));
    assert_eq!(sink(&several).write(&request(&trade(1))), Outcome::accepted());
    assert_eq!(server.sql("tick", "SELECT count(*) FROM trades"), "1");
}

#[test]
fn tables_are_hypertables_where_the_extension_is_there() {
    let Some(server) = server::start(&[]) else { return };
    // The extension itself is not to be had here: a function that only writes down what it is called with.
    server.sql(
        "tick",
        "CREATE TABLE calls (name regclass, by_column name); GRANT ALL ON calls TO tickline; \
         CREATE FUNCTION create_hypertable(regclass, name) RETURNS void LANGUAGE sql AS 'INSERT INTO calls VALUES ($1, $2)'; \
         GRANT CREATE ON SCHEMA public TO tickline",
    );
    let settings = settings(&server, "");
    admin(&settings).apply(&[trades(), all_types()]).expect("tables");
    assert_eq!(server.sql("tick", "SELECT * FROM calls ORDER BY 1"), "trades|time\n\"all types\"|time");
    assert_eq!(sink(&settings).write(&request(&trade(1))), Outcome::accepted());
}

#[test]
fn the_owner_makes_tables_and_the_engines_user_may_only_insert() {
    let Some(server) = server::start(&[]) else { return };
    let settings = settings(&server, "schema=\"desk\"");
    let owner = Some(("owner", tickline_config::secret::Secret::new("geheim")));
    let mut admin = open_admin("pg", &settings.kind, owner).expect("tables").expect("an administrator");
    admin.apply(&[trades()]).expect("tables");
    let mut sink = sink(&settings);
    for _ in 0..2 {
        assert_eq!(sink.write(&request(&trade(1))), Outcome::accepted());
    }
    assert_eq!(server.sql("tick", "SELECT tableowner FROM pg_tables WHERE tablename = 'trades'"), "owner");
    assert_eq!(server.sql("tick", "SELECT has_table_privilege('tickline', 'desk.trades', 'SELECT')"), "f");
    assert_eq!(self::admin(&settings).server(&[trades()]).expect("it answers").unfit, Vec::<String>::new());
}

#[test]
fn names_that_no_table_can_have_and_servers_that_may_lose_points_are_told() {
    let Some(server) = server::start(&["synchronous_commit=off"]) else { return };
    let settings = settings(&server, "");
    let mut admin = admin(&settings);
    let long = Wanted { name: "m".repeat(64), ..trades() };
    let twice = Wanted { fields: vec![("pair".to_owned(), FieldType::Text)], ..trades() };
    let time = Wanted { tags: vec!["time".to_owned()], ..trades() };
    let plan = admin.plan(&[long, twice, time]).expect("a plan");
    assert_eq!(plan.statements, Vec::<String>::new());
    let told = ["at most 63 bytes", "found pair twice", "found time twice"];
    assert!(
        plan.conflicts.len() == 3 && plan.conflicts.iter().zip(told).all(|(is, must)| is.contains(must)),
        "{plan:?}"
    );
    let about = admin.server(&[]).expect("it answers");
    assert!(about.version.starts_with("PostgreSQL 1"), "{about:?}");
    assert_eq!(about.notes.len(), 2, "{about:?}");
    // Clocks of one machine: psql's is the same.
    let now: i64 = server.sql("tick", "SELECT extract(epoch FROM now())::bigint").parse().expect("a number");
    assert!((0..60).contains(&(now - about.time_s)), "{now} {about:?}");
}
