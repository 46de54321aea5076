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
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;
use tickline_config::model::Postgres;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, CopyInSink, SimpleQueryMessage, Statement};

use crate::lines::Line;
use crate::open::OpenError;
use crate::sink::{Outcome, RejectReason, Request, Sink};
use connect::Connector;
use rows::{Rows, Stop};
use status::Failed;
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

/// Why an attempt to store a request ended before its time.
enum Stopped {
    Failed(Failed),
    /// A table that nothing is known of yet.
    Unknown(String),
    /// A column came that the rows sent so far lack.
    Wider,
}

impl From<Failed> for Stopped {
    fn from(failed: Failed) -> Self {
        Stopped::Failed(failed)
    }
}

impl Session {
    /// One request in one transaction. It begins anew with what a first attempt has taught.
    async fn store(&mut self, request: &Request) -> Result<BadLines, Failed> {
        if self.client.as_ref().is_none_or(|(client, _)| client.is_closed()) {
            self.tables.clear();
            let client = self.connector.connect().await?;
            let describe = client.prepare(DESCRIBE).await?;
            self.client = Some((client, describe));
        }
        loop {
            let stopped = match self.attempt(request).await {
                Ok((bad, absorbed)) => {
                    self.staged = absorbed > 0;
                    return Ok(bad);
                }
                Err(stopped) => stopped,
            };
            let (client, describe) = self.client.as_ref().ok_or_else(Failed::closed)?;
            match stopped {
                Stopped::Failed(failed) if !failed.is_conflict() || self.staged || self.committing => {
                    return Err(failed);
                }
                Stopped::Failed(_) => self.staged = true,
                Stopped::Wider => {}
                Stopped::Unknown(measurement) => {
                    let table = Table::load(client, describe, &self.connector.schema, &measurement).await?;
                    self.tables.insert(measurement, Target { table, rows: Rows::default(), copy: None });
                }
            }
            client.batch_execute("ROLLBACK").await?;
        }
    }

    /// Begins a transaction, stores the rows of every table and commits; returns how many were there already.
    async fn attempt(&mut self, request: &Request) -> Result<(BadLines, u64), Stopped> {
        let Self { client, tables, staged, .. } = self;
        let Some((client, describe)) = client else { return Err(Failed::closed().into()) };
        // A server that does not hear of our leaving must not go on for ever.
        let begin = format!("BEGIN; SET LOCAL statement_timeout = {}", self.timeout.as_millis());
        client.batch_execute(&begin).await.map_err(Failed::from)?;
        tables.values_mut().for_each(|target| target.rows.clear());
        let (bad, stream) = encode(client, tables, request, !*staged).await?;
        if let Some(stream) = stream {
            stream.finish(tables).await?;
        }
        let mut absorbed = 0;
        for (number, target) in tables.values_mut().filter(|target| target.rows.len() > 0).enumerate() {
            if *staged {
                absorbed += target.stage(client, number).await?;
            } else if target.rows.are_waiting() {
                let copy = target.copy(client).await?;
                target.rows.send(client, &copy).await?;
            }
            target.table.verify(client, describe).await?;
        }
        self.committing = true;
        let answers = client.simple_query(CLOCK_AND_COMMIT).await.map_err(Failed::from)?;
        self.committing = false;
        self.server_time_s = answers.iter().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        Ok((bad, absorbed))
    }
}

/// A COPY that is open while lines are still being read: the server stores the first rows meanwhile. There is one on a
/// connection at a time, for the table that first has rows enough.
struct Stream {
    measurement: String,
    copy: Pin<Box<CopyInSink<Bytes>>>,
}

impl Stream {
    /// Sends what waits, and ends it.
    async fn finish(mut self, tables: &mut HashMap<String, Target>) -> Result<(), Failed> {
        if let Some(target) = tables.get_mut(&self.measurement) {
            self.copy.send(target.rows.take_last()).await?;
        }
        self.copy.as_mut().finish().await?;
        Ok(())
    }
}

/// Makes rows of the lines.
async fn encode(
    client: &Client,
    tables: &mut HashMap<String, Target>,
    request: &Request,
    straight: bool,
) -> Result<(BadLines, Option<Stream>), Stopped> {
    let (mut bad, mut parsed, mut stream) = (BadLines::default(), Line::default(), None::<Stream>);
    for (line, number) in request.lines.split_inclusive(|b| *b == b'\n').zip(0..) {
        if let Err(why) = parsed.read(line) {
            bad.add(number, line, why);
            continue;
        }
        let measurement = parsed.measurement.as_ref();
        let Some(target) = tables.get_mut(measurement) else {
            return Err(Stopped::Unknown(measurement.to_owned()));
        };
        match target.rows.append(&target.table, &parsed) {
            Ok(()) => {}
            Err(Stop::Bad(why)) => bad.add(number, line, why),
            Err(Stop::Contradicts(detail)) => return Err(Failed::schema(detail).into()),
            Err(Stop::Wider) => return Err(Stopped::Wider),
        }
        if straight && target.rows.are_a_piece() {
            match &mut stream {
                Some(stream) if stream.measurement != measurement => {}
                Some(stream) => stream.copy.send(target.rows.take()).await.map_err(Failed::from)?,
                None => {
                    let copy = target.copy(client).await?;
                    let copy = client.copy_in(&copy).await.map_err(Failed::from)?;
                    let mut copy = Box::pin(copy);
                    copy.send(target.rows.take()).await.map_err(Failed::from)?;
                    stream = Some(Stream { measurement: measurement.to_owned(), copy });
                }
            }
            // Sent by the task of the connection, before the next lines are read.
            tokio::task::yield_now().await;
        }
    }
    Ok((bad, stream))
}

impl Target {
    /// The statement that stores rows straight in the table; a row that is there already fails.
    async fn copy(&mut self, client: &Client) -> Result<Statement, Failed> {
        let width = self.rows.width();
        Ok(match &self.copy {
            Some((prepared, statement)) if *prepared == width => statement.clone(),
            _ => {
                let (name, columns) = (self.table.quoted(), self.rows.columns(&self.table));
                let copy = format!("COPY {name} ({columns}) FROM STDIN (FORMAT binary)");
                self.copy.insert((width, client.prepare(&copy).await?)).1.clone()
            }
        })
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
        // The key is named, so that a constraint of somebody else's takes no point for one that is there.
        let key = self.table.key();
        let insert = format!(
            "INSERT INTO {name} ({columns}) SELECT {columns} FROM {stage} ON CONFLICT ({key}) DO NOTHING"
        );
        let inserted = client.execute(&insert, &[]).await?;
        Ok(self.rows.len().saturating_sub(inserted))
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
