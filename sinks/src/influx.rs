//! InfluxDB 1, 2 and 3 over HTTP: one client, one request at a time, every time-stamp in ns. It decides
//! nothing itself: [`status`] reads the answer, and the caller waits and retries.

pub mod status;

mod hidden;
pub(crate) mod http;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use reqwest::Url;
use std::io::Write;

use tickline_config::model::{Influx, InfluxTarget};

use crate::open::OpenError;
use crate::sink::{FaultKind, Outcome, RejectReason, Request, Sink};
pub use http::spoken;
use http::{Http, Reply};
use status::{Decision, Generation};

/// One connection to an InfluxDB.
#[derive(Debug)]
pub struct InfluxSink {
    http: Http,
    url: Url,
    generation: Generation,
    gzip: bool,
    server_time_s: Option<i64>,
}

impl InfluxSink {
    /// Builds the client; sends nothing yet.
    pub fn open(name: &str, influx: &Influx) -> Result<Self, OpenError> {
        let path = match &influx.target {
            InfluxTarget::V1 { .. } => "/write",
            InfluxTarget::V2 { .. } => "/api/v2/write",
            InfluxTarget::V3 { .. } => "/api/v3/write_lp",
        };
        Self::with(name, influx, path, &write_parameters(&influx.target))
    }

    /// The same for whatever else takes lines over HTTP.
    pub(crate) fn with(
        name: &str,
        influx: &Influx,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Self, OpenError> {
        let generation = match &influx.target {
            InfluxTarget::V1 { .. } => Generation::V1,
            InfluxTarget::V2 { .. } => Generation::V2,
            InfluxTarget::V3 { .. } => Generation::V3,
        };
        let http = Http::new(name, influx)?;
        let url = http.url(path, parameters);
        Ok(Self { http, url, generation, gzip: influx.gzip, server_time_s: None })
    }

    fn post(&mut self, lines: Bytes, points: u64) -> Decision {
        let request = self.http.post(self.url.clone()).header("Content-Type", "text/plain; charset=utf-8");
        let request = match self.gzip.then(|| gzip(&lines)) {
            Some(Ok(body)) => request.header("Content-Encoding", "gzip").body(body),
            Some(Err(_)) | None => request.body(lines),
        };
        match Reply::of(request) {
            Ok(reply) => {
                let answer = reply.answer();
                self.server_time_s = answer.date.and_then(status::http_date_seconds);
                status::decide(self.generation, &answer, points)
            }
            Err(outcome) => Decision::Final(outcome),
        }
    }
}

impl Sink for InfluxSink {
    fn write(&mut self, request: &Request) -> Outcome {
        let mut decision = self.post(request.lines.clone(), request.points);
        let refused =
            matches!(&decision, Decision::Final(Outcome::NotSent(fault)) if fault.kind == FaultKind::Auth);
        if refused && self.http.renew_login() {
            decision = self.post(request.lines.clone(), request.points);
        }
        match decision {
            Decision::Final(outcome) => outcome,
            // Only if every line can be read is nothing hidden behind those that the server names.
            Decision::BeyondRetention { dropped, detail } if hidden::all_can_be_read(&request.lines) => {
                status::refused(RejectReason::BeyondRetention, dropped, detail)
            }
            Decision::BeyondRetention { detail, .. } => Outcome::Split(http::content_fault(detail)),
        }
    }

    fn take_server_time_s(&mut self) -> Option<i64> {
        self.server_time_s.take()
    }
}

fn write_parameters(target: &InfluxTarget) -> Vec<(&'static str, &str)> {
    match target {
        InfluxTarget::V1 { database, retention_policy, .. } => {
            let mut pairs = vec![("db", database.as_str()), ("precision", "ns")];
            pairs.extend(retention_policy.iter().map(|policy| ("rp", policy.as_str())));
            pairs
        }
        InfluxTarget::V2 { org, bucket, .. } => {
            vec![("org", org.as_str()), ("bucket", bucket.as_str()), ("precision", "ns")]
        }
        InfluxTarget::V3 { database, .. } => vec![("db", database.as_str()), ("precision", "nanosecond")],
    }
}

fn gzip(lines: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(lines.len() / 4), Compression::fast());
    encoder.write_all(lines)?;
    encoder.finish()
}

#[cfg(test)]
mod tests;
