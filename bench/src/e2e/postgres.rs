//! `tickline-bench postgres`: rows a second into PostgreSQL by the sink, beside a bare binary COPY of the same rows. All
//! ways take turns on one table of one server, a transaction a request.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::SinkExt;
use serde_json::{Value, json};
use tickline_bench::shapes::Shape;
use tickline_config::model::{Config, SinkKind};
use tickline_feeds::clock::Clock;
use tickline_feeds::schema::{FieldType as Kind, KRAKEN_TICK, SYSTEM_FIELDS};
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::host::{build, host};
use tickline_sinks::admin::tables::{FieldType, Wanted, open as open_admin};
use tickline_sinks::open::open;
use tickline_sinks::sink::{Outcome, Request, Sink};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use super::Code;

/// Bytes of the header and of the trailer of a binary COPY.
const HEADER_BYTES: usize = 19;

/// Arguments of `postgres`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder of the server's socket; its database tick is written to by user tickline, without a password.
    #[arg(long, value_name = "DIR")]
    socket: String,
    /// Points of a round.
    #[arg(long, default_value_t = 500_000)]
    points: usize,
    /// Points of a request.
    #[arg(long, default_value_t = 5_000)]
    request: usize,
    /// Connections, each on a thread of its own.
    #[arg(long, default_value_t = 2)]
    connections: usize,
    /// Rounds, of which the median is told.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// Ways to store rows.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// COPY into a table without a key.
    BareWithoutKey,
    /// COPY into the table with its key.
    Bare,
    /// COPY into a staging table, then INSERT … ON CONFLICT DO NOTHING.
    BareStaged,
    /// The sink.
    Sink,
    /// The sink, when all of it is there already.
    SinkAgain,
}

const WAYS: [(&str, Way); 5] = [
    ("bare_copy_without_key", Way::BareWithoutKey),
    ("bare_copy", Way::Bare),
    ("bare_staged", Way::BareStaged),
    ("sink", Way::Sink),
    ("sink_again", Way::SinkAgain),
];

/// One connection of each kind.
struct Lane {
    bare: Bare,
    sink: Box<dyn Sink>,
}

struct Bare {
    runtime: Runtime,
    client: Client,
    columns: String,
}

struct Bench {
    lanes: Vec<Lane>,
    requests: Vec<Request>,
    /// The same rows as the server gives them, a COPY a request.
    copies: Vec<Bytes>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Code> {
    let mut bench = Bench::new(arguments)?;
    let clock = OsClock::start();
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); WAYS.len()];
    for _ in 0..arguments.rounds {
        for ((_, way), seconds) in WAYS.iter().zip(&mut seconds) {
            if !matches!(way, Way::SinkAgain) {
                bench.lanes[0].bare.sql("TRUNCATE kraken_tick, plain; CHECKPOINT")?;
            }
            let before = clock.mono();
            bench.store(*way)?;
            seconds.push(Duration::from_nanos(clock.mono().since(before)).as_secs_f64());
            bench.lanes[0].bare.check(*way, arguments.points)?;
        }
    }
    let rate = |mut of: Vec<f64>| {
        of.sort_by(f64::total_cmp);
        arguments.points as f64 / of[of.len() / 2]
    };
    let rates: Vec<f64> = seconds.into_iter().map(rate).collect();
    let told: serde_json::Map<String, Value> =
        WAYS.iter().zip(&rates).map(|((name, _), rate)| ((*name).to_owned(), json!(rate))).collect();
    let object = json!({
        "command": "postgres", "points": arguments.points, "request_points": arguments.request,
        "connections": arguments.connections, "rounds": arguments.rounds, "points_per_s": told,
        "ratio": rates[3] / rates[1], "key_costs": 1.0 - rates[1] / rates[0],
        "build": build(env!("CARGO_PKG_VERSION"), option_env!("TICKLINE_COMMIT")), "host": host(),
    });
    println!("{object:#}");
    Ok(Code::Ok)
}

impl Bench {
    fn new(arguments: &Arguments) -> Result<Self> {
        let keys = ["kind=\"postgresql\"", "database=\"tick\"", "username=\"tickline\"", "timeout=\"60s\""];
        let servers = format!("sinks.pg.servers=[\"{}:5432\"]", arguments.socket);
        let sets: Vec<String> = keys.iter().map(|key| format!("sinks.pg.{key}")).chain([servers]).collect();
        let config = Config::load(&[], &sets, &|_| None)?.config;
        let settings = &config.sinks["pg"];
        ensure!(matches!(settings.kind, SinkKind::Postgres(_)));
        let mut admin = open_admin("pg", &settings.kind, None).context("tables")??;
        admin.apply(&[wanted()]).map_err(anyhow::Error::msg)?;

        let requests = requests(arguments.points, arguments.request);
        let columns = columns(&requests[0].lines)?;
        let lane = |_| {
            let sink = open("pg", "bench", 0, settings)?;
            Ok(Lane { bare: Bare::connect(&arguments.socket, &columns)?, sink })
        };
        let lanes = (0..arguments.connections).map(lane).collect::<Result<Vec<_>>>()?;
        let mut bench = Self { lanes, requests, copies: Vec::new() };
        bench.lanes[0].bare.sql("DROP TABLE IF EXISTS plain; TRUNCATE kraken_tick")?;
        bench.lanes[0].bare.sql("CREATE TABLE plain (LIKE kraken_tick)")?;
        bench.store(Way::Sink)?;
        bench.copies = bench.lanes[0].bare.read_back(arguments.request)?;
        Ok(bench)
    }

    /// Stores everything, each lane its share.
    fn store(&mut self, way: Way) -> Result<()> {
        let Self { lanes, requests, copies } = self;
        let step = lanes.len();
        std::thread::scope(|scope| {
            let store = |(at, lane): (usize, &'_ mut Lane)| {
                let requests = requests.iter().skip(at).step_by(step);
                let copies = copies.iter().skip(at).step_by(step);
                lane.store(way, requests, copies)
            };
            let started: Vec<_> =
                lanes.iter_mut().enumerate().map(|lane| scope.spawn(move || store(lane))).collect();
            started.into_iter().try_for_each(|thread| thread.join().expect("a thread that panics is a bug"))
        })
    }
}

impl Lane {
    fn store<'a>(
        &mut self,
        way: Way,
        requests: impl Iterator<Item = &'a Request>,
        copies: impl Iterator<Item = &'a Bytes>,
    ) -> Result<()> {
        match way {
            Way::Sink | Way::SinkAgain => {
                for request in requests {
                    let outcome = self.sink.write(request);
                    ensure!(outcome == Outcome::accepted(), "{outcome:?}");
                }
                Ok(())
            }
            Way::BareWithoutKey => self.bare.copy("plain", copies),
            Way::Bare => self.bare.copy("kraken_tick", copies),
            Way::BareStaged => self.bare.staged(copies),
        }
    }
}

impl Bare {
    fn connect(socket: &str, columns: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(async {
            let mut session = tokio_postgres::Config::new();
            session.host(socket).port(5432).user("tickline").dbname("tick");
            let (client, connection) = session.connect(NoTls).await?;
            tokio::spawn(connection);
            anyhow::Ok(client)
        })?;
        Ok(Self { runtime, client, columns: columns.to_owned() })
    }

    fn sql(&self, statements: &str) -> Result<()> {
        Ok(self.runtime.block_on(self.client.batch_execute(statements))?)
    }

    /// Every row arrived, and once.
    fn check(&self, way: Way, points: usize) -> Result<()> {
        let table = if matches!(way, Way::BareWithoutKey) { "plain" } else { "kraken_tick" };
        let count = format!("SELECT count(*) FROM {table}");
        let row = self.runtime.block_on(self.client.query_one(&count, &[]))?;
        ensure!(row.get::<_, i64>(0) == points as i64, "{way:?}: {} rows of {points}", row.get::<_, i64>(0));
        Ok(())
    }

    fn copy<'a>(&self, table: &str, copies: impl Iterator<Item = &'a Bytes>) -> Result<()> {
        let copy = format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", self.columns);
        self.runtime.block_on(async {
            let statement = self.client.prepare(&copy).await?;
            for rows in copies {
                send(&self.client, &statement, rows.clone()).await?;
            }
            Ok(())
        })
    }

    fn staged<'a>(&self, copies: impl Iterator<Item = &'a Bytes>) -> Result<()> {
        let columns = &self.columns;
        let stage = "CREATE TEMPORARY TABLE IF NOT EXISTS stage ON COMMIT DELETE ROWS AS TABLE kraken_tick WITH NO DATA";
        let copy = format!("COPY stage ({columns}) FROM STDIN (FORMAT binary)");
        let insert = format!(
            "INSERT INTO kraken_tick ({columns}) SELECT {columns} FROM stage ON CONFLICT DO NOTHING; COMMIT"
        );
        self.runtime.block_on(async {
            self.client.batch_execute(stage).await?;
            let copy = self.client.prepare(&copy).await?;
            for rows in copies {
                self.client.batch_execute("BEGIN").await?;
                send(&self.client, &copy, rows.clone()).await?;
                self.client.batch_execute(&insert).await?;
            }
            Ok(())
        })
    }

    /// The rows that are stored, in binary COPY format, so many a piece.
    fn read_back(&self, rows: usize) -> Result<Vec<Bytes>> {
        use futures_util::TryStreamExt;
        let copy = format!(
            "COPY (SELECT {} FROM kraken_tick ORDER BY time, ns) TO STDOUT (FORMAT binary)",
            self.columns
        );
        let all = self.runtime.block_on(async {
            let stream = self.client.copy_out(&copy).await?;
            stream
                .try_fold(Vec::new(), async |mut all, piece: Bytes| {
                    all.extend_from_slice(&piece);
                    Ok(all)
                })
                .await
        })?;
        let (header, mut rest) = all.split_at(HEADER_BYTES);
        let mut pieces = Vec::new();
        while rest.len() > 2 {
            let mut end = 0;
            for _ in 0..rows {
                end += row_bytes(&rest[end..]);
            }
            pieces.push(Bytes::from([header, &rest[..end], &[0xff, 0xff]].concat()));
            rest = &rest[end..];
        }
        Ok(pieces)
    }
}

/// Length of the row at the beginning; 0 for the trailer.
fn row_bytes(rows: &[u8]) -> usize {
    let number = |at: usize| i32::from_be_bytes(rows[at..at + 4].try_into().expect("four bytes"));
    let fields = i16::from_be_bytes([rows[0], rows[1]]);
    let field = |end: usize, _| end + 4 + usize::try_from(number(end)).unwrap_or(0);
    if fields < 0 { 0 } else { (0..fields).fold(2, field) }
}

async fn send(client: &Client, copy: &tokio_postgres::Statement, rows: Bytes) -> Result<()> {
    let sink = client.copy_in(copy).await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(rows).await?;
    sink.finish().await?;
    Ok(())
}

fn requests(points: usize, of: usize) -> Vec<Request> {
    let shape = Shape::named("kraken_tick").expect("a shape");
    let (mut decoder, mut run) = (shape.decoder(), shape.run(7, 1_000));
    let mut at = 0;
    let mut request = |_| {
        let mut lines = Vec::new();
        for _ in 0..of {
            decoder.decode(&shape.frame(run.next(), at), &mut lines);
            at += 1;
        }
        Request { lines: Bytes::from(lines), points: of as u64 }
    };
    (0..points / of).map(&mut request).collect()
}

/// Time, tags and fields of the first line: every line has the same, and none of them is escaped.
fn columns(lines: &[u8]) -> Result<String> {
    let first = std::str::from_utf8(lines)?.lines().next().context("a line")?;
    let (series, rest) = first.split_once(' ').context("a series")?;
    let fields = rest.split_once(' ').context("fields")?.0;
    let names = series.split(',').skip(1).chain(fields.split(','));
    let names = names.filter_map(|pair| Some(format!("\"{}\"", pair.split_once('=')?.0)));
    Ok(["time".to_owned(), "ns".to_owned()].into_iter().chain(names).collect::<Vec<_>>().join(", "))
}

fn wanted() -> Wanted {
    let kind = |kind| match kind {
        Kind::Float => FieldType::Float,
        Kind::Integer => FieldType::Int,
        Kind::Boolean => FieldType::Bool,
        Kind::String => FieldType::Text,
    };
    let fields = KRAKEN_TICK.fields.iter().map(|field| (field.name.to_owned(), kind(field.kind)));
    let system = SYSTEM_FIELDS.iter().map(|field| (field.name.to_owned(), kind(field.kind)));
    Wanted {
        name: KRAKEN_TICK.name.to_owned(),
        tags: KRAKEN_TICK.tags.iter().map(|tag| (*tag).to_owned()).collect(),
        fields: fields.chain(system).collect(),
    }
}
