//! Lines into rows of the binary COPY format: a count of fields, then each with its length, all big-endian
//! (PostgreSQL documentation, COPY, Binary Format). A row has the columns that lines have named so far, not all
//! those of the table.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use influxdb_line_protocol::{FieldValue, ParsedLine};
use tokio_postgres::{Client, Statement};

use super::status::Failed;
use super::table::{Kind, NANOS, TIME, Table, quoted};

/// Signature, flags and length of the header's extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Takes the place of a field count after the last row.
const TRAILER: i16 = -1;
/// Length of a field that is null.
const NULL: i32 = -1;
/// 1970 to 2000, where PostgreSQL's time begins, µs.
const EPOCH_US: i64 = 946_684_800_000_000;
/// Rows go to the server in pieces of this size, so that it reads the first while the next are on their way.
const PIECE_BYTES: usize = 128 * 1024;

/// Rows for one table.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Columns of the table, by their place in it: time, ns, then as lines name them.
    columns: Vec<usize>,
    /// For each of them the value of the line: 0 for none, else its place from 1, tags before fields.
    values: Vec<usize>,
    buffer: BytesMut,
    count: u64,
}

/// Why a line is not a row.
pub(super) enum Stop {
    /// Only this line is wrong.
    Bad(String),
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

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn len(&self) -> u64 {
        self.count
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
    pub(super) fn append(&mut self, table: &Table, line: &ParsedLine<'_>) -> Result<(), Stop> {
        let Some(time_ns) = line.timestamp else { return Err(Stop::Bad("no time".to_owned())) };
        let Some(time_us) = time_ns.div_euclid(1_000).checked_sub(EPOCH_US) else {
            return Err(Stop::Bad("its time lies outside of what PostgreSQL keeps".to_owned()));
        };
        self.fit(table, line)?;
        if self.buffer.is_empty() {
            self.buffer.put_slice(HEADER);
        }
        let before = self.buffer.len();
        self.buffer.put_i16(i16::try_from(self.columns.len()).unwrap_or(i16::MAX));
        self.put(&time_us.to_be_bytes());
        self.put(&i16::try_from(time_ns.rem_euclid(1_000)).unwrap_or(0).to_be_bytes());
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
    fn fit(&mut self, table: &Table, line: &ParsedLine<'_>) -> Result<(), Stop> {
        if self.columns.is_empty() {
            let of = |name| table.columns.iter().position(|column| column.name == name);
            self.columns.extend([TIME, NANOS].into_iter().filter_map(of));
        }
        self.values.clear();
        self.values.resize(self.columns.len(), 0);
        let known = self.columns.len();
        let tags = line.series.tag_set.iter().flatten().map(|(name, _)| (name.as_str(), None));
        let fields = line.field_set.iter().map(|(name, value)| (name.as_str(), Some(kind(value))));
        let mut hint = 2;
        for ((name, field), value) in tags.chain(fields).zip(1..) {
            let place = match self.place(table, name, field.is_none(), hint) {
                Some(place) => place,
                None => {
                    self.columns.push(column(table, name, field).map_err(Stop::Contradicts)?);
                    self.values.push(0);
                    self.columns.len() - 1
                }
            };
            match self.values.get_mut(place) {
                Some(slot @ 0) => *slot = value,
                _ => return Err(Stop::Bad(format!("\"{name}\" stands twice"))),
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

    fn put_value(&mut self, table: &Table, line: &ParsedLine<'_>, place: usize) -> Result<(), String> {
        let Some(at) = self.values.get(place).and_then(|value| value.checked_sub(1)) else {
            // A tag that a line does not have is the empty one: a key has no nulls.
            let key = self.columns.get(place).and_then(|at| table.columns.get(*at)).is_some_and(|of| of.key);
            self.buffer.put_i32(if key { 0 } else { NULL });
            return Ok(());
        };
        let tags = line.series.tag_set.as_deref().unwrap_or_default();
        if let Some((_, tag)) = tags.get(at) {
            return self.put_text(tag);
        }
        match line.field_set.get(at - tags.len()).map(|(_, value)| value) {
            Some(FieldValue::F64(value)) => self.put(&value.to_be_bytes()),
            Some(FieldValue::I64(value)) => self.put(&value.to_be_bytes()),
            Some(FieldValue::U64(value)) => {
                let value = i64::try_from(*value).map_err(|_| format!("{value} is larger than a bigint"))?;
                self.put(&value.to_be_bytes());
            }
            Some(FieldValue::Boolean(value)) => self.put(&[u8::from(*value)]),
            Some(FieldValue::String(value)) => return self.put_text(value),
            None => self.buffer.put_i32(NULL),
        }
        Ok(())
    }

    fn put_text(&mut self, text: &str) -> Result<(), String> {
        if text.contains('\0') {
            return Err("text with a zero byte, which PostgreSQL does not keep".to_owned());
        }
        self.put(text.as_bytes());
        Ok(())
    }

    fn put(&mut self, value: &[u8]) {
        // A line is far shorter than 2 GiB.
        self.buffer.put_i32(i32::try_from(value.len()).unwrap_or(NULL));
        self.buffer.put_slice(value);
    }

    /// Sends the rows; they stay, to be sent another way.
    pub(super) async fn send(&mut self, client: &Client, copy: &Statement) -> Result<(), Failed> {
        let ends = self.buffer.len();
        self.buffer.put_i16(TRAILER);
        let whole = std::mem::take(&mut self.buffer).freeze();
        let sent = send(client, copy, whole.clone()).await;
        // The last piece may not be let go of yet; then the buffer is a new one.
        self.buffer = whole.try_into_mut().unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        self.buffer.truncate(ends);
        sent
    }
}

async fn send(client: &Client, copy: &Statement, mut rows: Bytes) -> Result<(), Failed> {
    let sink = client.copy_in::<_, Bytes>(copy).await?;
    let mut sink = std::pin::pin!(sink);
    while !rows.is_empty() {
        let piece = rows.split_to(PIECE_BYTES.min(rows.len()));
        sink.feed(piece).await?;
    }
    sink.finish().await?;
    Ok(())
}

fn kind(value: &FieldValue<'_>) -> Kind {
    match value {
        FieldValue::F64(_) => Kind::Float,
        FieldValue::I64(_) | FieldValue::U64(_) => Kind::Int,
        FieldValue::Boolean(_) => Kind::Bool,
        FieldValue::String(_) => Kind::Text,
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
