//! What a table of ours is like: `time` (µs, as PostgreSQL keeps times) and `ns` (the nanoseconds within it), the tags,
//! the fields, and a unique key over time, ns and tags. The catalog is believed, not the schema that made it:
//! somebody may have altered the table by hand.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};

use super::status::Failed;

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `timestamptz`
    Time,
    /// `smallint`
    Nanos,
    /// `double precision`
    Float,
    /// `bigint`
    Int,
    /// `boolean`
    Bool,
    /// `text`
    Text,
    /// One that we do not write, by its OID.
    Foreign(u32),
}

impl Kind {
    fn of(oid: u32) -> Self {
        let known = [Kind::Time, Kind::Nanos, Kind::Float, Kind::Int, Kind::Bool, Kind::Text];
        known.into_iter().find(|kind| kind.oid() == oid).unwrap_or(Kind::Foreign(oid))
    }

    fn oid(self) -> u32 {
        match self {
            Kind::Time => Type::TIMESTAMPTZ.oid(),
            Kind::Nanos => Type::INT2.oid(),
            Kind::Float => Type::FLOAT8.oid(),
            Kind::Int => Type::INT8.oid(),
            Kind::Bool => Type::BOOL.oid(),
            Kind::Text => Type::TEXT.oid(),
            Kind::Foreign(oid) => oid,
        }
    }

    /// The type in SQL.
    pub(crate) fn name(self) -> String {
        let name = match self {
            Kind::Time => "timestamptz",
            Kind::Nanos => "smallint",
            Kind::Float => "double precision",
            Kind::Int => "bigint",
            Kind::Bool => "boolean",
            Kind::Text => "text",
            Kind::Foreign(oid) => {
                return Type::from_oid(oid).map_or(format!("type {oid}"), |known| known.name().to_owned());
            }
        };
        name.to_owned()
    }
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Part of the unique key.
    pub(crate) key: bool,
}

/// One table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
}

/// Column of the time, µs.
pub(crate) const TIME: &str = "time";
/// Column of the nanoseconds within it.
pub(crate) const NANOS: &str = "ns";

/// Asks for the columns of the table `$1`, and which of them are in its unique key with `ns`.
pub(super) const DESCRIBE: &str = "\
WITH k AS (
  SELECT i.indkey::int2[] AS columns FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_attribute n ON n.attrelid = i.indrelid AND n.attname = 'ns' AND n.attnum = ANY(i.indkey::int2[])
  WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
  ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1)
SELECT a.attname::text, a.atttypid, EXISTS (SELECT FROM k WHERE a.attnum = ANY(k.columns))
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

impl Table {
    /// What the server says of it; an error if it is not there or is not one of ours.
    pub(super) async fn load(
        client: &Client,
        describe: &Statement,
        schema: &str,
        name: &str,
    ) -> Result<Self, Failed> {
        let mut table = Self { schema: schema.to_owned(), name: name.to_owned(), columns: Vec::new() };
        table.columns = table.describe(client, describe).await?;
        if table.columns.is_empty() {
            return Err(Failed::missing(format!("there is no table {}", table.quoted())));
        }
        for (column, kind) in [(TIME, Kind::Time), (NANOS, Kind::Nanos)] {
            let found = table.columns.iter().find(|known| known.name == column);
            if found.is_none_or(|found| found.kind != kind || !found.key) {
                let (table, kind) = (table.quoted(), kind.name());
                let rule =
                    format!("{table} must have a column {column} ({kind}) in a unique key with its tags");
                return Err(Failed::schema(rule));
            }
        }
        Ok(table)
    }

    pub(super) async fn describe(
        &self,
        client: &Client,
        describe: &Statement,
    ) -> Result<Vec<Column>, Failed> {
        let rows = client.query(describe, &[&self.quoted()]).await?;
        let column = |row: &tokio_postgres::Row| {
            Ok(Column { name: row.try_get(0)?, kind: Kind::of(row.try_get(1)?), key: row.try_get(2)? })
        };
        rows.iter().map(column).collect()
    }

    /// Fails unless the table is still the one that rows were made for. Inside a transaction that has written to it
    /// nobody can alter it any more: bytes of another type could else be taken for numbers.
    pub(super) async fn verify(&self, client: &Client, describe: &Statement) -> Result<(), Failed> {
        if self.describe(client, describe).await? == self.columns {
            return Ok(());
        }
        Err(Failed::altered(format!("{} was altered", self.quoted())))
    }

    /// The columns of its unique key in SQL, a comma between them.
    pub(crate) fn key(&self) -> String {
        let key = self.columns.iter().filter(|column| column.key).map(|column| quoted(&column.name));
        key.collect::<Vec<_>>().join(", ")
    }

    /// Its name in SQL.
    pub(crate) fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

/// A name in SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
