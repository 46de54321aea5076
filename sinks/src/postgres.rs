//! PostgreSQL: lines read back into rows, one transaction a request.
//!
//! Rows go straight into their table by a binary COPY, which the table's unique key lets through once. A COPY has no
//! clause for conflicts: one that meets a row that is there already is rolled back, and the request goes through a
//! staging table from which `INSERT … ON CONFLICT DO NOTHING` takes what is new. The requests after it go the same
//! way until one of them meets nothing that is there. So what is sent twice is stored once, and who sends nothing
//! twice pays for no staging table.

pub mod admin;

mod connect;
mod rows;
mod status;
mod table;

use std::collections::HashMap;
use std::time::Duration;

use tickline_config::model::Postgres;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, SimpleQueryMessage, Statement};

use crate::lines::read_line;
use crate::open::OpenError;
use crate::sink::{Outcome, RejectReason, Request, Sink};
use connect::Connector;
use rows::{Rows, Stop};
use status::{Failed, absorbed};
use table::{DESCRIBE, Table};

/// One connection to a PostgreSQL.
pub struct PostgresSink {
    runtime: Runtime,
    session: Session,
}

impl std::fmt::Debug for PostgresSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresSink").field("connector", &self.session.connector).finish_non_exhaustive()
    }
}

/// What lasts from one request to the next.
struct Session {
    connector: Connector,
    timeout: Duration,
    /// With the statement that asks for a table's columns.
    client: Option<(Client, Statement)>,
    tables: HashMap<String, Target>,
    /// What was sent may be there already.
    staged: bool,
    /// The transaction is being ended: from now on it may be stored.
    committing: bool,
    server_time_s: Option<i64>,
}

/// Ends a transaction; the server's clock comes with the answer for nothing.
const CLOCK_AND_COMMIT: &str = "SELECT extract(epoch FROM clock_timestamp())::bigint; COMMIT";

/// A table, the rows for it and how they are sent.
struct Target {
    table: Table,
    rows: Rows,
    /// Prepared for that many columns.
    copy: Option<(usize, Statement)>,
}

impl PostgresSink {
    /// Reads certificates; connects at the first request.
    pub fn open(name: &str, settings: &Postgres) -> Result<Self, OpenError> {
        let connector = Connector::new(name, settings)?;
        let runtime =
            connect::runtime().map_err(|source| OpenError::Runtime { sink: name.to_owned(), source })?;
        let session = Session {
            connector,
            timeout: settings.timeout,
            client: None,
            tables: HashMap::new(),
            staged: false,
            committing: false,
            server_time_s: None,
        };
        Ok(Self { runtime, session })
    }
}

impl Sink for PostgresSink {
    fn write(&mut self, request: &Request) -> Outcome {
        let Self { runtime, session } = self;
        let timeout = session.timeout;
        let ended = runtime.block_on(async { tokio::time::timeout(timeout, session.store(request)).await });
        let failed = match ended {
            Ok(Ok(bad)) => return bad.outcome(),
            Ok(Err(failed)) => failed,
            Err(_) => Failed::timed_out(timeout),
        };
        let committing = std::mem::take(&mut session.committing);
        // The server rolls back what its client leaves behind.
        session.client = None;
        session.tables.clear();
        failed.outcome(committing)
    }

    fn take_server_time_s(&mut self) -> Option<i64> {
        self.session.server_time_s.take()
    }
}

impl Session {
    /// One request in one transaction; a second one if the first has met rows that are there.
    async fn store(&mut self, request: &Request) -> Result<BadLines, Failed> {
        if self.client.as_ref().is_none_or(|(client, _)| client.is_closed()) {
            self.tables.clear();
            let client = self.connector.connect().await?;
            let describe = client.prepare(DESCRIBE).await?;
            self.client = Some((client, describe));
        }
        let bad = self.read(request).await?;
        if !self.staged {
            match self.transaction().await {
                Err(failed) if failed.is_conflict() && !self.committing => {
                    self.client()?.0.batch_execute("ROLLBACK").await?;
                    self.staged = true;
                }
                ended => return ended.map(|_| bad),
            }
        }
        let absorbed = self.transaction().await?;
        self.staged = absorbed > 0;
        Ok(bad)
    }

    fn client(&self) -> Result<&(Client, Statement), Failed> {
        self.client.as_ref().ok_or_else(Failed::closed)
    }

    /// Makes rows of the lines; asks the server for tables that are not known yet.
    async fn read(&mut self, request: &Request) -> Result<BadLines, Failed> {
        'again: loop {
            self.tables.values_mut().for_each(|target| target.rows.clear());
            let mut bad = BadLines::default();
            for (line, number) in request.lines.split_inclusive(|b| *b == b'\n').zip(0..) {
                let parsed = match read_line(line) {
                    Ok(parsed) => parsed,
                    Err(why) => {
                        bad.add(number, line, &why);
                        continue;
                    }
                };
                let measurement = parsed.series.measurement.as_str();
                let Some(target) = self.tables.get_mut(measurement) else {
                    let (client, describe) = self.client()?;
                    let table = Table::load(client, describe, &self.connector.schema, measurement).await?;
                    self.tables
                        .insert(measurement.to_owned(), Target { table, rows: Rows::default(), copy: None });
                    continue 'again;
                };
                match target.rows.append(&target.table, &parsed) {
                    Ok(()) => {}
                    Err(Stop::Bad(why)) => bad.add(number, line, &why),
                    Err(Stop::Contradicts(detail)) => return Err(Failed::schema(detail)),
                    Err(Stop::Wider) => continue 'again,
                }
            }
            return Ok(bad);
        }
    }

    /// Stores the rows of every table; returns how many were there already.
    async fn transaction(&mut self) -> Result<u64, Failed> {
        let (staged, timeout_ms) = (self.staged, self.timeout.as_millis());
        let Some((client, describe)) = &self.client else { return Err(Failed::closed()) };
        // A server that does not hear of our leaving must not go on for ever.
        client.batch_execute(&format!("BEGIN; SET LOCAL statement_timeout = {timeout_ms}")).await?;
        let mut absorbed = 0;
        for (number, target) in self.tables.values_mut().filter(|target| !target.rows.is_empty()).enumerate()
        {
            absorbed +=
                if staged { target.stage(client, number).await? } else { target.copy(client).await? };
            target.table.verify(client, describe).await?;
        }
        self.committing = true;
        let answers = client.simple_query(CLOCK_AND_COMMIT).await?;
        self.committing = false;
        self.server_time_s = answers.iter().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        Ok(absorbed)
    }
}

impl Target {
    /// Straight into the table; a row that is there already fails.
    async fn copy(&mut self, client: &Client) -> Result<u64, Failed> {
        let width = self.rows.width();
        let statement = match &self.copy {
            Some((prepared, statement)) if *prepared == width => statement.clone(),
            _ => {
                let (name, columns) = (self.table.quoted(), self.rows.columns(&self.table));
                let copy = format!("COPY {name} ({columns}) FROM STDIN (FORMAT binary)");
                self.copy.insert((width, client.prepare(&copy).await?)).1.clone()
            }
        };
        self.rows.send(client, &statement).await?;
        Ok(0)
    }

    /// By way of a staging table; returns how many rows were there already.
    async fn stage(&mut self, client: &Client, number: usize) -> Result<u64, Failed> {
        let (name, columns) = (self.table.quoted(), self.rows.columns(&self.table));
        let stage = format!("pg_temp.tickline_stage_{number}");
        let typed = self.rows.typed_columns(&self.table);
        let create = format!("CREATE TEMPORARY TABLE tickline_stage_{number} ({typed}) ON COMMIT DROP");
        client.batch_execute(&create).await?;
        let copy = client.prepare(&format!("COPY {stage} ({columns}) FROM STDIN (FORMAT binary)")).await?;
        self.rows.send(client, &copy).await?;
        let insert =
            format!("INSERT INTO {name} ({columns}) SELECT {columns} FROM {stage} ON CONFLICT DO NOTHING");
        let inserted = client.execute(&insert, &[]).await?;
        Ok(absorbed(self.rows.len(), inserted))
    }
}

/// Lines that are no rows.
#[derive(Debug, Default)]
struct BadLines {
    /// Their places in the request.
    places: Vec<u32>,
    /// What is wrong with the first.
    first: Option<String>,
}

impl BadLines {
    fn add(&mut self, place: u32, line: &[u8], why: &str) {
        self.places.push(place);
        self.first.get_or_insert_with(|| {
            let start = String::from_utf8_lossy(line.get(..200).unwrap_or(line)).trim().to_owned();
            format!("{why}: {start}")
        });
    }

    fn outcome(self) -> Outcome {
        if self.places.is_empty() {
            return Outcome::accepted();
        }
        let rejected = vec![(RejectReason::BadLine, self.places.len() as u64)];
        Outcome::Stored { rejected, detail: self.first, lines: self.places }
    }
}
