//! Administration of an InfluxDB for `tickline db apply`, `check --live` and `replay`: what is stored, how long
//! it is kept, and the statements that make it what the configuration says. Versions 2 and 3 are asked only
//! what their HTTP interface documents; the rest is [`AdminError::Unsupported`].

pub mod audit;
pub mod bars;
mod buckets;
pub mod contents;
mod points;
mod retention;
pub mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use tickline_config::model::{Influx, InfluxTarget, Retention};

pub use points::{Span, StoredKind, StoredPoint};
pub use retention::{Change, Policy, changes, refuse_losses, spoken};

use crate::influx::http::{Http, Reply};
use crate::influx::status::message;
use crate::open::OpenError;
use crate::sink::{Outcome, Request};

/// Why the server could not be asked or did not do it.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The configuration of the sink cannot work.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No answer.
    #[error("{url}: must be reachable: {detail}")]
    Unreachable {
        /// Address of the server.
        url: String,
        /// What happened.
        detail: String,
    },
    /// The login is refused or may not do this.
    #[error("{url}: login refused, {detail}")]
    Login {
        /// Address of the server.
        url: String,
        /// The server's words.
        detail: String,
    },
    /// Database or bucket is missing.
    #[error("{url}: {detail}")]
    Missing {
        /// Address of the server.
        url: String,
        /// The server's words.
        detail: String,
    },
    /// Any other answer.
    #[error("{url}: status {status}, {detail}")]
    Answer {
        /// Address of the server.
        url: String,
        /// HTTP status.
        status: u16,
        /// The server's words.
        detail: String,
    },
    /// This generation of InfluxDB has no documented way.
    #[error("{what}: not offered by version {version} of the http interface")]
    Unsupported {
        /// What was asked.
        what: &'static str,
        /// Generation of InfluxDB.
        version: u8,
    },
    /// Applying a policy would delete stored points.
    #[error(
        "retention.{policy}.duration: must not be shorter than what is stored, found \"{wanted}\" where the \
         database keeps {stored} (tickline db apply --allow-data-loss)"
    )]
    Shorter {
        /// Name of the policy.
        policy: String,
        /// What the configuration says.
        wanted: String,
        /// What the database has.
        stored: String,
    },
    /// Another policy that holds points is the default.
    #[error(
        "retention.{policy}.default: {stored} is the database's default and holds points, which queries that name \
         no policy would not find any more (tickline db apply --allow-data-loss)"
    )]
    OtherDefault {
        /// Name of the policy.
        policy: String,
        /// The one that is the default.
        stored: String,
    },
}

/// A field or tag as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredKey {
    /// Measurement.
    pub measurement: String,
    /// Name of the field or tag.
    pub key: String,
    /// `float`, `integer`, `unsigned`, `string`, `boolean`; empty for a tag.
    pub kind: String,
}

/// A server, its login and its database.
#[derive(Debug)]
pub struct Admin {
    http: Http,
    target: InfluxTarget,
    url: String,
}

impl Admin {
    /// Builds the client; `sink` names the sink in errors.
    pub fn new(sink: &str, influx: &Influx) -> Result<Self, AdminError> {
        let http = Http::new(sink, influx)?;
        Ok(Self { http, target: influx.target.clone(), url: influx.url.clone() })
    }

    /// Whether another one asks the same database of the same server.
    pub fn is_same(&self, other: &Self) -> bool {
        self.url == other.url && self.name() == other.name()
    }

    /// The database, or the bucket.
    pub fn name(&self) -> &str {
        match &self.target {
            InfluxTarget::V1 { database, .. } | InfluxTarget::V3 { database, .. } => database,
            InfluxTarget::V2 { bucket, .. } => bucket,
        }
    }

    /// The server's version, where it names it. Versions 1 and 2 answer without a login.
    pub fn ping(&self) -> Result<Option<String>, AdminError> {
        #[derive(Deserialize)]
        struct Body {
            version: Option<String>,
        }
        let reply = self.ask(self.http.get(self.http.url("/ping", &[])))?;
        let body = serde_json::from_slice::<Body>(&reply.body).ok();
        Ok(reply.version.or_else(|| body.and_then(|b| b.version)))
    }

    /// The policies of the database; for version 2 the bucket's own, for version 3 not known.
    pub fn policies(&self) -> Result<Vec<Policy>, AdminError> {
        match &self.target {
            InfluxTarget::V1 { database, .. } => {
                let statement = format!("SHOW RETENTION POLICIES ON {}", identifier(database));
                let rows = self.query(&statement)?;
                rows.iter().map(|row| Policy::of_row(row).ok_or_else(|| self.unreadable(row))).collect()
            }
            InfluxTarget::V2 { org, bucket, .. } => self.bucket(org, bucket).map(|policy| vec![policy]),
            InfluxTarget::V3 { .. } => Err(AdminError::Unsupported { what: "retention", version: 3 }),
        }
    }

    /// The policy that writes go to: the sink's own, else the database's default.
    pub fn write_policy(&self) -> Result<Policy, AdminError> {
        let named = match &self.target {
            InfluxTarget::V1 { retention_policy, .. } => retention_policy.as_deref(),
            _ => None,
        };
        let found = self.policies()?.into_iter().find(|p| named.map_or(p.default, |name| p.name == name));
        found.ok_or_else(|| AdminError::Missing {
            url: self.url.clone(),
            detail: format!("retention policy not found: \"{}\"", named.unwrap_or("default")),
        })
    }

    /// Every stored field with its type. A field with two types (in different shards) stands there twice.
    pub fn field_keys(&self) -> Result<Vec<StoredKey>, AdminError> {
        self.keys("SHOW FIELD KEYS ON", "field keys")
    }

    /// Every stored tag.
    pub fn tag_keys(&self) -> Result<Vec<StoredKey>, AdminError> {
        self.keys("SHOW TAG KEYS ON", "tag keys")
    }

    /// What is to be done so that the database has the wanted policies, and those that it has beside them.
    pub fn plan(
        &self,
        wanted: &BTreeMap<String, Retention>,
    ) -> Result<(Vec<Change>, Vec<Policy>), AdminError> {
        if !matches!(self.target, InfluxTarget::V1 { .. }) {
            return Ok((self.plan_bucket(wanted)?, Vec::new()));
        }
        let existing = match self.policies() {
            Ok(policies) => Some(policies),
            Err(AdminError::Missing { .. }) => None,
            Err(error) => return Err(error),
        };
        let mut changes = changes(existing.as_deref(), wanted);
        for change in &mut changes {
            if let Change::MakeDefault { from, holds, .. } = change {
                *holds = self.holds_points(from)?;
            }
        }
        let mut beside = existing.unwrap_or_default();
        beside.retain(|policy| !wanted.contains_key(&policy.name));
        Ok((changes, beside))
    }

    /// Does that. Changes with which stored points go are refused, all of them, unless `data_loss` allows them.
    pub fn apply(&self, changes: &[Change], data_loss: bool) -> Result<(), AdminError> {
        if !data_loss {
            retention::refuse_losses(changes)?;
        }
        let InfluxTarget::V1 { database, .. } = &self.target else {
            return self.apply_bucket(changes);
        };
        changes.iter().try_for_each(|change| self.query(&change.statement(database)).map(drop))
    }

    fn keys(&self, statement: &str, what: &'static str) -> Result<Vec<StoredKey>, AdminError> {
        let InfluxTarget::V1 { database, .. } = &self.target else { return Err(self.unsupported(what)) };
        let rows = self.query(&format!("{statement} {}", identifier(database)))?;
        let text = |row: &Row, column| row.get(column).and_then(|v| v.as_str()).unwrap_or("").to_owned();
        let key = |row: &Row| StoredKey {
            measurement: row.head.series.clone(),
            key: text(row, 0),
            kind: text(row, 1),
        };
        Ok(rows.iter().map(key).collect())
    }

    /// Runs one InfluxQL statement and returns the rows of all series.
    fn query(&self, statement: &str) -> Result<Vec<Row>, AdminError> {
        self.query_in(None, statement)
    }

    /// The same where a statement cannot name its database.
    fn query_in(&self, database: Option<&str>, statement: &str) -> Result<Vec<Row>, AdminError> {
        #[derive(Deserialize)]
        struct Body {
            results: Vec<QueryResult>,
        }
        #[derive(Deserialize)]
        struct QueryResult {
            #[serde(default)]
            series: Vec<Series>,
            error: Option<String>,
        }
        #[derive(Deserialize)]
        struct Series {
            #[serde(default)]
            name: String,
            #[serde(default)]
            tags: BTreeMap<String, String>,
            #[serde(default)]
            columns: Vec<String>,
            #[serde(default)]
            values: Vec<Vec<serde_json::Value>>,
        }
        let mut parameters = vec![("q", statement), ("epoch", "ns")];
        parameters.extend(database.map(|database| ("db", database)));
        let reply = self.ask(self.http.post(self.http.url("/query", &parameters)))?;
        let body: Body = serde_json::from_slice(&reply.body).map_err(|_| self.answer_error(&reply))?;
        let mut rows = Vec::new();
        for result in body.results {
            if let Some(detail) = result.error {
                let (url, status) = (self.url.clone(), reply.status);
                return Err(if detail.contains("not found") {
                    AdminError::Missing { url, detail }
                } else if detail.contains("authoriz") {
                    AdminError::Login { url, detail }
                } else {
                    AdminError::Answer { url, status, detail }
                });
            }
            for Series { name, tags, columns, values } in result.series {
                let head = Arc::new(Head { series: name, tags, columns });
                rows.extend(values.into_iter().map(|values| Row { head: Arc::clone(&head), values }));
            }
        }
        Ok(rows)
    }

    fn ask(&self, request: reqwest::blocking::RequestBuilder) -> Result<Reply, AdminError> {
        match Reply::of(request) {
            Ok(reply) if (200..300).contains(&reply.status) => Ok(reply),
            Ok(reply) => Err(self.answer_error(&reply)),
            Err(Outcome::NotSent(fault) | Outcome::InDoubt(fault)) => {
                Err(AdminError::Unreachable { url: self.url.clone(), detail: fault.detail })
            }
            Err(_) => Err(AdminError::Unreachable { url: self.url.clone(), detail: String::new() }),
        }
    }

    fn answer_error(&self, reply: &Reply) -> AdminError {
        let (url, detail, status) = (self.url.clone(), message(&reply.body), reply.status);
        match status {
            401 | 403 => AdminError::Login { url, detail },
            404 => AdminError::Missing { url, detail },
            _ => AdminError::Answer { url, status, detail },
        }
    }

    fn unreadable(&self, row: &Row) -> AdminError {
        AdminError::Answer { url: self.url.clone(), status: 200, detail: format!("unreadable row {row:?}") }
    }

    fn unsupported(&self, what: &'static str) -> AdminError {
        let version = match self.target {
            InfluxTarget::V1 { .. } => 1,
            InfluxTarget::V2 { .. } => 2,
            InfluxTarget::V3 { .. } => 3,
        };
        AdminError::Unsupported { what, version }
    }
}

/// One row of an answer.
#[derive(Debug)]
struct Row {
    head: Arc<Head>,
    values: Vec<serde_json::Value>,
}

/// What the rows of a series share.
#[derive(Debug)]
struct Head {
    series: String,
    tags: BTreeMap<String, String>,
    columns: Vec<String>,
}

impl Row {
    fn get(&self, column: usize) -> Option<&serde_json::Value> {
        self.values.get(column)
    }
}

/// Measurement of a probe.
pub const PROBE: &str = "_tickline_probe";

/// One point of `_tickline_probe`, written through the sink itself: only a write that was stored proves that
/// login, database and policy take writes. An empty body would prove less (it names no policy) and leaves
/// versions 2 and 3 out.
pub fn probe(instance: &str, now_ns: i64) -> Request {
    let mut tag = String::with_capacity(instance.len());
    for c in instance.chars().filter(|c| !c.is_control() && *c != '\\') {
        if matches!(c, ',' | '=' | ' ') {
            tag.push('\\');
        }
        tag.push(c);
    }
    let tag = if tag.is_empty() { tag } else { format!(",instance={tag}") };
    Request { lines: Bytes::from(format!("{PROBE}{tag} ok=true {now_ns}\n")), points: 1 }
}

/// An InfluxQL identifier.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests;
