//! The InfluxDB 1 that is measured against: an empty database before each run, and what was stored after it.

use anyhow::{Context, Result, ensure};
use reqwest::blocking::Client;

/// Database that is dropped and created for each run.
pub(crate) const DATABASE: &str = "tickline_bench";

/// A server of version 1.
#[derive(Debug)]
pub(crate) struct Server {
    client: Client,
    /// Base URL.
    pub(crate) url: String,
}

impl Server {
    /// A server that answers.
    pub(crate) fn new(url: &str) -> Result<Self> {
        let client = Client::builder().no_proxy().build()?;
        let server = Self { client, url: url.trim_end_matches('/').to_owned() };
        server.query("SHOW DATABASES").with_context(|| format!("{url} must be an InfluxDB 1"))?;
        Ok(server)
    }

    /// Writes lines as they are.
    pub(crate) fn write(&self, lines: String) -> Result<()> {
        let answer = self.client.post(format!("{}/write?db={DATABASE}", self.url)).body(lines).send()?;
        ensure!(answer.status().is_success(), "writing: {}", answer.text()?);
        Ok(())
    }

    /// Runs a statement on the database.
    pub(crate) fn query(&self, statement: &str) -> Result<serde_json::Value> {
        let mut url = reqwest::Url::parse(&format!("{}/query", self.url))?;
        url.query_pairs_mut().append_pair("db", DATABASE).append_pair("q", statement);
        let answer: serde_json::Value = serde_json::from_str(&self.client.post(url).send()?.text()?)?;
        let error = answer.get("error").or_else(|| answer.pointer("/results/0/error"));
        ensure!(error.is_none(), "{statement}: {error:?}");
        Ok(answer)
    }

    /// Empties the database.
    pub(crate) fn renew(&self) -> Result<()> {
        self.query(&format!("DROP DATABASE {DATABASE}"))?;
        self.query(&format!("CREATE DATABASE {DATABASE}")).map(drop)
    }

    /// Points stored in `measurement`.
    pub(crate) fn stored(&self, measurement: &str) -> Result<u64> {
        let answer = self.query(&format!("SELECT count(recv_ns) FROM {measurement}"))?;
        Ok(answer.pointer("/results/0/series/0/values/0/1").and_then(|n| n.as_u64()).unwrap_or(0))
    }

    /// The sink's configuration, as arguments of `--set`.
    pub(crate) fn sink(&self, connections: usize) -> Vec<String> {
        vec![
            "sinks.influx.kind=\"influxdb\"".to_owned(),
            "sinks.influx.durability=\"memory\"".to_owned(),
            "sinks.influx.version=1".to_owned(),
            format!("sinks.influx.url=\"{}\"", self.url),
            format!("sinks.influx.database=\"{DATABASE}\""),
            format!("sinks.influx.connections={connections}"),
        ]
    }
}
