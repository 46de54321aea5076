//! What a database of InfluxDB 1 holds: points and bytes, by measurement and policy, and the statement that
//! removes what is old.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Admin, AdminError, PROBE, Row, identifier};
use crate::admin::InfluxTarget;

/// What one policy holds of one measurement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Retention policy.
    pub policy: String,
    /// Measurement.
    pub measurement: String,
    /// Points: the count of the field that most of them have.
    pub points: u64,
    /// Values: the counts of all fields.
    pub values: u64,
    /// Time of the first point, ns since 1970.
    pub first_ns: i64,
    /// Time of the last one.
    pub last_ns: i64,
    /// Its share of the policy's files, by values, bytes: the server does not tell it.
    pub bytes: u64,
}

/// The whole of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// By policy and measurement; empty ones are left out.
    pub contents: Vec<Contents>,
    /// Bytes of the files of each policy, as the server counts them.
    pub policy_bytes: BTreeMap<String, u64>,
}

impl Admin {
    /// Counts everything: the server reads all of it.
    pub fn inventory(&self) -> Result<Inventory, AdminError> {
        let database = self.database("stats")?;
        let mut inventory = Inventory { policy_bytes: self.policy_bytes(database)?, ..Inventory::default() };
        let measurements = self.measurements()?;
        for policy in self.policies()? {
            let mut held = Vec::new();
            for measurement in &measurements {
                held.extend(self.contents(&policy.name, measurement)?);
            }
            let bytes = inventory.policy_bytes.get(&policy.name).copied().unwrap_or(0);
            let values: u64 = held.iter().map(|of| of.values).sum();
            for of in &mut held {
                of.bytes = (bytes as f64 * of.values as f64 / values.max(1) as f64) as u64;
            }
            inventory.contents.extend(held);
        }
        Ok(inventory)
    }

    /// Measurements, in order.
    pub fn measurements(&self) -> Result<Vec<String>, AdminError> {
        let database = self.database("measurements")?;
        let rows = self.query(&format!("SHOW MEASUREMENTS ON {}", identifier(database)))?;
        let mut names: Vec<String> =
            rows.iter().filter_map(|row| Some(row.get(0)?.as_str()?.to_owned())).collect();
        names.sort();
        Ok(names)
    }

    /// What a policy holds of a measurement; none: nothing.
    pub fn contents(&self, policy: &str, measurement: &str) -> Result<Option<Contents>, AdminError> {
        self.contents_before(policy, measurement, i64::MAX)
    }

    /// The same of the points before a time.
    pub fn contents_before(
        &self,
        policy: &str,
        measurement: &str,
        before_ns: i64,
    ) -> Result<Option<Contents>, AdminError> {
        let source = self.source(policy, measurement)?;
        let limit =
            if before_ns == i64::MAX { String::new() } else { format!(" WHERE time < {before_ns}ns") };
        let counts = self.query(&format!("SELECT count(*) FROM {source}{limit}"))?;
        let Some((points, values)) = counts.first().and_then(most_counted) else { return Ok(None) };
        // Of any field: the first point need not have the one that most have.
        let time = |order: &str| -> Result<i64, AdminError> {
            let rows = self.query(&format!("SELECT * FROM {source}{limit} ORDER BY time {order} LIMIT 1"))?;
            Ok(rows.first().and_then(|row| row.get(0)?.as_i64()).unwrap_or(0))
        };
        let (first_ns, last_ns) = (time("ASC")?, time("DESC")?);
        let (policy, measurement) = (policy.to_owned(), measurement.to_owned());
        Ok(Some(Contents { policy, measurement, points, values, first_ns, last_ns, bytes: 0 }))
    }

    /// Whether a policy holds any point but that of a probe.
    pub(super) fn holds_points(&self, policy: &str) -> Result<bool, AdminError> {
        let database = identifier(self.database("reading")?);
        let rows = self.query(&format!("SELECT * FROM {database}.{}./.*/ LIMIT 1", identifier(policy)))?;
        Ok(rows.iter().any(|row| row.head.series != PROBE))
    }

    /// Removes the points of a measurement before a time, in every policy: InfluxDB 1 knows no other way.
    pub fn delete_before(&self, measurement: &str, before_ns: i64) -> Result<(), AdminError> {
        let database = self.database("cleanup")?;
        let statement = format!("DELETE FROM {} WHERE time < {before_ns}", identifier(measurement));
        self.query_in(Some(database), &statement).map(drop)
    }

    /// Removes the points of a measurement that have this tag, in every policy.
    pub fn delete_where(&self, measurement: &str, tag: &str, value: &str) -> Result<(), AdminError> {
        let database = self.database("deleting")?;
        let value = value.replace('\\', "\\\\").replace('\'', "\\'");
        let statement =
            format!("DELETE FROM {} WHERE {} = '{value}'", identifier(measurement), identifier(tag));
        self.query_in(Some(database), &statement).map(drop)
    }

    pub(super) fn database(&self, what: &'static str) -> Result<&str, AdminError> {
        match &self.target {
            InfluxTarget::V1 { database, .. } => Ok(database),
            _ => Err(self.unsupported(what)),
        }
    }

    /// A measurement of a policy, for FROM.
    pub(super) fn source(&self, policy: &str, measurement: &str) -> Result<String, AdminError> {
        let database = identifier(self.database("reading")?);
        Ok(format!("{database}.{}.{}", identifier(policy), identifier(measurement)))
    }

    fn policy_bytes(&self, database: &str) -> Result<BTreeMap<String, u64>, AdminError> {
        let mut bytes: BTreeMap<String, u64> = BTreeMap::new();
        for row in self.query("SHOW STATS FOR 'shard'")? {
            let of = |tag: &str| row.head.tags.get(tag).map(String::as_str);
            if of("database") != Some(database) {
                continue;
            }
            let at = row.head.columns.iter().position(|name| name == "diskBytes");
            let count = at.and_then(|at| row.get(at)?.as_u64()).unwrap_or(0);
            *bytes.entry(of("retentionPolicy").unwrap_or_default().to_owned()).or_default() += count;
        }
        Ok(bytes)
    }
}

/// Of a row of counts: the largest and the sum.
fn most_counted(row: &Row) -> Option<(u64, u64)> {
    let counts: Vec<u64> = row.values.iter().skip(1).filter_map(serde_json::Value::as_u64).collect();
    Some((counts.iter().copied().max()?, counts.iter().sum()))
}

/// The policies that keep points longer than `older_than` and hold some of a measurement from before then: what a
/// cleanup would take from them was meant to be kept.
pub fn keeps_longer<'a>(
    policies: &'a [super::Policy],
    contents: &'a [Contents],
    older_than: Duration,
) -> impl Iterator<Item = &'a Contents> {
    contents.iter().filter(move |of| {
        let policy = policies.iter().find(|policy| policy.name == of.policy);
        of.points > 0 && policy.is_some_and(|policy| policy.duration.is_none_or(|keeps| keeps > older_than))
    })
}
