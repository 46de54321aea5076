//! Buckets of InfluxDB 2 and databases of InfluxDB 3: each has one retention, that of the configuration's default policy.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::blocking::RequestBuilder;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};
use tickline_config::model::{InfluxTarget, Retention};

use super::retention::{changes, spoken};
use super::{Admin, AdminError, Change, Policy};

#[derive(Deserialize)]
struct Buckets {
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bucket {
    #[serde(default)]
    id: String,
    retention_rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    every_seconds: u64,
    shard_group_duration_seconds: Option<u64>,
}

impl Admin {
    /// A bucket as a policy; version 2.
    pub(super) fn bucket(&self, org: &str, bucket: &str) -> Result<Policy, AdminError> {
        self.find_bucket(org, bucket).map(|(policy, _)| policy)
    }

    /// `GET /api/v2/buckets`: the bucket and its id.
    fn find_bucket(&self, org: &str, bucket: &str) -> Result<(Policy, String), AdminError> {
        let url = self.http.url("/api/v2/buckets", &[("org", org), ("name", bucket)]);
        let reply = self.ask(self.http.get(url))?;
        let body: Buckets = serde_json::from_slice(&reply.body).map_err(|_| self.answer_error(&reply))?;
        let Some(found) = body.buckets.into_iter().next() else {
            let detail = format!("bucket not found: \"{bucket}\"");
            return Err(AdminError::Missing { url: self.url.clone(), detail });
        };
        let rule = found.retention_rules.first();
        let keeps = rule.map(|r| r.every_seconds).filter(|s| *s > 0).map(Duration::from_secs);
        let shard = rule.and_then(|r| r.shard_group_duration_seconds).map(Duration::from_secs);
        let name = bucket.to_owned();
        let policy =
            Policy { name, duration: keeps, shard_duration: shard.unwrap_or_default(), default: true };
        Ok((policy, found.id))
    }

    /// What is to be done so that the bucket or database is there.
    pub(super) fn plan_bucket(
        &self,
        wanted: &BTreeMap<String, Retention>,
    ) -> Result<Vec<Change>, AdminError> {
        let retention = wanted.values().find(|retention| retention.default);
        match &self.target {
            InfluxTarget::V2 { org, bucket, .. } => {
                let existing = match self.bucket(org, bucket) {
                    Ok(policy) => vec![policy],
                    Err(AdminError::Missing { .. }) => Vec::new(),
                    Err(error) => return Err(error),
                };
                Ok(changes(Some(&existing), retention.map(|retention| (bucket, retention))))
            }
            InfluxTarget::V3 { database, .. } => {
                let url = self.http.url("/api/v3/configure/database", &[("format", "json")]);
                let reply = self.ask(self.http.get(url))?;
                let known: Vec<BTreeMap<String, Value>> =
                    serde_json::from_slice(&reply.body).map_err(|_| self.answer_error(&reply))?;
                let is_there = known.iter().flat_map(BTreeMap::values).any(|name| name == database.as_str());
                let none = Retention { duration: None, shard_duration: Duration::ZERO, default: true };
                let missing = (!is_there).then_some((database, retention.unwrap_or(&none)));
                Ok(changes(Some(&[]), missing))
            }
            InfluxTarget::V1 { .. } => Err(self.unsupported("buckets")),
        }
    }

    /// Does that.
    pub(super) fn apply_bucket(&self, changes: &[Change]) -> Result<(), AdminError> {
        for change in changes {
            match (&self.target, change) {
                (InfluxTarget::V2 { org, .. }, Change::Create(policy)) => self.create_bucket(org, policy)?,
                (InfluxTarget::V2 { org, .. }, Change::Alter { to, .. }) => {
                    let (_, id) = self.find_bucket(org, &to.name)?;
                    let url = self.http.url(&format!("/api/v2/buckets/{id}"), &[]);
                    self.tell(self.http.patch(url), &json!({ "retentionRules": rules(to) }))?;
                }
                (InfluxTarget::V3 { .. }, Change::Create(policy)) => {
                    let body = match policy.duration {
                        Some(keeps) => json!({ "db": policy.name, "retention_period": spoken(Some(keeps)) }),
                        None => json!({ "db": policy.name }),
                    };
                    self.tell(self.http.post(self.http.url("/api/v3/configure/database", &[])), &body)?;
                }
                _ => return Err(self.unsupported("this change")),
            }
        }
        Ok(())
    }

    fn create_bucket(&self, org: &str, policy: &Policy) -> Result<(), AdminError> {
        #[derive(Deserialize)]
        struct Body {
            orgs: Vec<Org>,
        }
        #[derive(Deserialize)]
        struct Org {
            id: String,
        }
        let reply = self.ask(self.http.get(self.http.url("/api/v2/orgs", &[("org", org)])))?;
        let body: Body = serde_json::from_slice(&reply.body).map_err(|_| self.answer_error(&reply))?;
        let Some(found) = body.orgs.first() else {
            let detail = format!("organisation not found: \"{org}\"");
            return Err(AdminError::Missing { url: self.url.clone(), detail });
        };
        let body = json!({ "orgID": found.id, "name": policy.name, "retentionRules": rules(policy) });
        self.tell(self.http.post(self.http.url("/api/v2/buckets", &[])), &body)
    }

    fn tell(&self, request: RequestBuilder, body: &Value) -> Result<(), AdminError> {
        self.ask(request.header(CONTENT_TYPE, "application/json").body(body.to_string())).map(drop)
    }
}

/// 0 s is for ever.
fn rules(policy: &Policy) -> Value {
    json!([{ "type": "expire", "everySeconds": policy.duration.map_or(0, |keeps| keeps.as_secs()),
        "shardGroupDurationSeconds": policy.shard_duration.as_secs() }])
}
