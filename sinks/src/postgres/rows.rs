//! Lines into rows of the binary COPY format: a count of fields, then each with its length, all big-endian
//! (PostgreSQL documentation, COPY, Binary Format). A row has the columns that lines have named so far, not all
//! those of the table.

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::{Client, Statement};

use super::status::Failed;
use super::table::{Kind, NANOS, TIME, Table, quoted};
use crate::lines::{Line, Value};

/// Signature, flags and length of the header's extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Takes the place of a field count after the last row.
const TRAILER: i16 = -1;
/// Length of a field that is null.
const NULL: i32 = -1;
/// 1970 to 2000, where PostgreSQL's time begins, µs.
const EPOCH_US: i64 = 946_684_800_000_000;
/// Rows go to the server in pieces of this size, so that it stores the first while the next are made.
const PIECE_BYTES: usize = 64 * 1024;

/// Rows for one table.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Columns of the table, by their place in it: time, ns, then as lines name them.
    columns: Vec<usize>,
    /// For each of them the value of the line: 0 for none, else its place from 1, tags before fields.
    values: Vec<usize>,
    buffer: Vec<u8>,
    count: u64,
}

/// Why a line is not a row.
pub(super) enum Stop {
    /// Only this line is wrong.
    Bad(&'static str),
    /// The rows so far lack a column.
    Wider,
    /// Table and line contradict each other.
    Contradicts(String),
}

impl Rows {
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.count = 0;
    }

    /// Rows since the last [`clear`](Self::clear).
    pub(super) fn len(&self) -> u64 {
        self.count
    }

    /// Whether some of them have not been taken.
    pub(super) fn are_waiting(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Whether those are enough to be sent while further ones are made.
    pub(super) fn are_a_piece(&self) -> bool {
        self.buffer.len() >= PIECE_BYTES
    }

    /// Count of its columns, which only grows.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Its columns in SQL.
    pub(super) fn columns(&self, table: &Table) -> String {
        let columns = self.columns.iter().filter_map(|at| table.columns.get(*at));
        columns.map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
    }

    /// The same with their types.
    pub(super) fn typed_columns(&self, table: &Table) -> String {
        let columns = self.columns.iter().filter_map(|at| table.columns.get(*at));
        let typed = columns.map(|column| format!("{} {}", quoted(&column.name), column.kind.name()));
        typed.collect::<Vec<_>>().join(", ")
    }

    /// Appends one line. After an error the rows are as they were before it.
    pub(super) fn append(&mut self, table: &Table, line: &Line<'_>) -> Result<(), Stop> {
        // No 64-bit time in ns is older than PostgreSQL's oldest.
        let time_us = line.time_ns.div_euclid(1_000).saturating_sub(EPOCH_US);
        self.fit(table, line)?;
        let before = self.buffer.len();
        if self.count == 0 {
            self.buffer.extend_from_slice(HEADER);
        }
        self.buffer.extend_from_slice(&i16::try_from(self.columns.len()).unwrap_or(i16::MAX).to_be_bytes());
        self.put(&time_us.to_be_bytes());
        self.put(&i16::try_from(line.time_ns.rem_euclid(1_000)).unwrap_or(0).to_be_bytes());
        for place in 2..self.columns.len() {
            if let Err(why) = self.put_value(table, line, place) {
                self.buffer.truncate(before);
                return Err(Stop::Bad(why));
            }
        }
        self.count += 1;
        Ok(())
    }

    /// Finds the column of each value; lines of a measurement mostly name the same ones in the same order.
    fn fit(&mut self, table: &Table, line: &Line<'_>) -> Result<(), Stop> {
        if self.columns.is_empty() {
            let of = |name| table.columns.iter().position(|column| column.name == name);
            self.columns.extend([TIME, NANOS].into_iter().filter_map(of));
        }
        self.values.clear();
        self.values.resize(self.columns.len(), 0);
        let known = self.columns.len();
        let mut hint = 2;
        for ((name, value), number) in line.values.iter().zip(1..) {
            let field = kind(value);
            let place = match self.place(table, name, field.is_none(), hint) {
                Some(place) => place,
                None => {
                    self.columns.push(column(table, name, field).map_err(Stop::Contradicts)?);
                    self.values.push(0);
                    self.columns.len() - 1
                }
            };
            match self.values.get_mut(place) {
                Some(slot @ 0) => *slot = number,
                _ => return Err(Stop::Bad("a name stands twice")),
            }
            if let (Some(field), Some(column)) =
                (field, self.columns.get(place).and_then(|at| table.columns.get(*at)))
                && column.kind != field
            {
                return Err(Stop::Contradicts(contradiction(table, name, field, column.kind)));
            }
            hint = place + 1;
        }
        if self.columns.len() > known && self.count > 0 { Err(Stop::Wider) } else { Ok(()) }
    }

    /// The place of a column that lines have named before.
    fn place(&self, table: &Table, name: &str, key: bool, hint: usize) -> Option<usize> {
        let is =
            |at: &usize| table.columns.get(*at).is_some_and(|known| known.key == key && known.name == name);
        if self.columns.get(hint).is_some_and(is) {
            return Some(hint);
        }
        self.columns.iter().position(is)
    }

    fn put_value(&mut self, table: &Table, line: &Line<'_>, place: usize) -> Result<(), &'static str> {
        let value = self.values.get(place).and_then(|number| line.values.get(number.checked_sub(1)?));
        match value.map(|(_, value)| value) {
            Some(Value::Float(value)) => self.put(&value.to_be_bytes()),
            Some(Value::Int(value)) => self.put(&value.to_be_bytes()),
            Some(Value::Bool(value)) => self.put(&[u8::from(*value)]),
            Some(Value::Tag(text) | Value::Text(text)) if text.contains('\0') => {
                return Err("text with a zero byte, which PostgreSQL does not keep");
            }
            Some(Value::Tag(text) | Value::Text(text)) => self.put(text.as_bytes()),
            None => {
                // A tag that a line does not have is the empty one: a key has no nulls.
                let key =
                    self.columns.get(place).and_then(|at| table.columns.get(*at)).is_some_and(|of| of.key);
                self.buffer.extend_from_slice(&if key { 0 } else { NULL }.to_be_bytes());
            }
        }
        Ok(())
    }

    fn put(&mut self, value: &[u8]) {
        // A line is far shorter than 2 GiB.
        self.buffer.extend_from_slice(&i32::try_from(value.len()).unwrap_or(NULL).to_be_bytes());
        self.buffer.extend_from_slice(value);
    }

    /// The rows that wait, and what ends a COPY.
    pub(super) fn take_last(&mut self) -> Bytes {
        self.buffer.extend_from_slice(&TRAILER.to_be_bytes());
        self.take()
    }

    /// The rows that wait.
    pub(super) fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 8)))
    }

    /// Sends them in a COPY of their own.
    pub(super) async fn send(&mut self, client: &Client, copy: &Statement) -> Result<(), Failed> {
        let sink = client.copy_in::<_, Bytes>(copy).await?;
        let mut sink = std::pin::pin!(sink);
        sink.send(self.take_last()).await?;
        sink.finish().await?;
        Ok(())
    }
}

/// The type of a field; none for a tag.
fn kind(value: &Value<'_>) -> Option<Kind> {
    match value {
        Value::Tag(_) => None,
        Value::Float(_) => Some(Kind::Float),
        Value::Int(_) => Some(Kind::Int),
        Value::Bool(_) => Some(Kind::Bool),
        Value::Text(_) => Some(Kind::Text),
    }
}

/// The place in the table of a tag, or of a field of this kind; else what must be done about the table.
fn column(table: &Table, name: &str, field: Option<Kind>) -> Result<usize, String> {
    let wanted = field.unwrap_or(Kind::Text);
    let Some((at, found)) = table.columns.iter().enumerate().find(|(_, column)| column.name == name) else {
        let (table, kind) = (table.quoted(), wanted.name());
        return Err(format!("{table} must have a column {name} ({kind}), found none"));
    };
    if found.key != field.is_none() || [TIME, NANOS].contains(&name) {
        let (tag, key) =
            (if field.is_none() { "tag" } else { "field" }, if found.key { "in" } else { "not in" });
        return Err(format!(
            "{}: {tag} {name} must have a column of its own, found one {key} the key",
            table.quoted()
        ));
    }
    if found.kind != wanted {
        return Err(contradiction(table, name, wanted, found.kind));
    }
    Ok(at)
}

fn contradiction(table: &Table, name: &str, wanted: Kind, found: Kind) -> String {
    format!("{}.{name}: must be {}, found {}", table.quoted(), wanted.name(), found.name())
}
