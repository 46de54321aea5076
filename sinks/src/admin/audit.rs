//! What the engine has written down about itself, and how much is stored: the two sides of `tickline audit`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Admin, AdminError, Row, identifier};
use crate::admin::InfluxTarget;

/// A row of `tickline_ledger`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LedgerRow {
    /// Feed.
    pub feed: String,
    /// Engine.
    pub instance: String,
    /// Topic as sent.
    pub topic: String,
    /// `_src`
    pub src: u64,
    /// First number of the span.
    pub seq_first: u64,
    /// Last one.
    pub seq_last: u64,
    /// Numbers received.
    pub messages: u64,
    /// Numbers missing; less than 0 where late ones filled holes told before.
    pub lost: i64,
}

const MINUTE_NS: i64 = 60_000_000_000;

/// Points by the beginning of their minute, ns since 1970.
pub type Minutes = BTreeMap<i64, u64>;

impl Admin {
    /// The rows of `tickline_ledger` from `from_ns` up to but not including `to_ns`, in order of their spans.
    pub fn ledger_rows(&self, from_ns: i64, to_ns: i64) -> Result<Vec<LedgerRow>, AdminError> {
        let columns = r#""feed", "instance", "topic", "src", "seq_first", "seq_last", "messages", "lost""#;
        let rows = self.rows_between(columns, "tickline_ledger", from_ns, to_ns, "")?;
        let parse = |row: &Row| {
            let text = |at| row.get(at).and_then(Value::as_str).map(str::to_owned);
            let number = |at| row.get(at).and_then(Value::as_u64);
            Some(LedgerRow {
                feed: text(1)?,
                instance: text(2)?,
                topic: text(3)?,
                src: number(4)?,
                seq_first: number(5)?,
                seq_last: number(6)?,
                messages: number(7)?,
                lost: row.get(8)?.as_i64()?,
            })
        };
        let parsed: Result<Vec<_>, _> =
            rows.iter().map(|row| parse(row).ok_or_else(|| self.unreadable(row))).collect();
        let mut parsed = parsed?;
        parsed.sort();
        Ok(parsed)
    }

    /// The points that each engine says it has made, by instance and measurement; feeds that write to one
    /// measurement are added up.
    pub fn made(&self, from_ns: i64, to_ns: i64) -> Result<BTreeMap<(String, String), Minutes>, AdminError> {
        let columns = r#""instance", "measurement", "points""#;
        let mut made: BTreeMap<(String, String), Minutes> = BTreeMap::new();
        for row in self.rows_between(columns, "tickline_points", from_ns, to_ns, "")? {
            let text = |at| row.get(at).and_then(Value::as_str).map(str::to_owned);
            let numbers = row.get(0).and_then(Value::as_i64).zip(row.get(3).and_then(Value::as_u64));
            let (Some(key), Some((minute, points))) = (text(1).zip(text(2)), numbers) else {
                return Err(self.unreadable(&row));
            };
            // What is added to the minute tells the rows of one run from another's.
            *made.entry(key).or_default().entry(minute - minute.rem_euclid(MINUTE_NS)).or_default() += points;
        }
        Ok(made)
    }

    /// Time of an engine's newest ledger row of the last hour, ns since 1970; none: there is none.
    pub fn newest_ledger_ns(&self, instance: &str) -> Result<Option<i64>, AdminError> {
        let source = self.source(&self.write_policy()?.name, "tickline_ledger")?;
        let instance = instance.replace('\\', "\\\\").replace('\'', "\\'");
        let rows = self.query(&format!(
            "SELECT last(messages) FROM {source} WHERE time > now() - 1h AND \"instance\" = '{instance}'"
        ))?;
        Ok(rows.first().and_then(|row| row.get(0)?.as_i64()))
    }

    /// The points of a measurement that are stored; those without `recv_ns` are not seen.
    pub fn stored(&self, measurement: &str, from_ns: i64, to_ns: i64) -> Result<Minutes, AdminError> {
        let group = "GROUP BY time(1m) fill(none)";
        let rows = self.rows_between(r#"count("recv_ns")"#, measurement, from_ns, to_ns, group)?;
        let pair = |row: &Row| Some((row.get(0)?.as_i64()?, row.get(1)?.as_u64()?));
        rows.iter().map(|row| pair(row).ok_or_else(|| self.unreadable(row))).collect()
    }

    /// The time and `columns` of what the sink has written to a measurement.
    fn rows_between(
        &self,
        columns: &str,
        measurement: &str,
        from_ns: i64,
        to_ns: i64,
        group: &str,
    ) -> Result<Vec<Row>, AdminError> {
        let InfluxTarget::V1 { database, .. } = &self.target else { return Err(self.unsupported("audit")) };
        let policy = identifier(&self.write_policy()?.name);
        let source = format!("{}.{policy}.{}", identifier(database), identifier(measurement));
        self.query(&format!(
            "SELECT {columns} FROM {source} WHERE time >= {from_ns}ns AND time < {to_ns}ns {group}"
        ))
    }
}
