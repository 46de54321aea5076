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
use crate::sink::{Outcome, RejectReason, Request, Sink};
use http::{Http, Reply};
use status::{Decision, Generation};

/// One connection to an InfluxDB.
#[derive(Debug)]
pub struct InfluxSink {
    http: Http,
    url: Url,
    generation: Generation,
    gzip: bool,
}

impl InfluxSink {
    /// Builds the client; sends nothing yet.
    pub fn open(name: &str, influx: &Influx) -> Result<Self, OpenError> {
        let http = Http::new(name, influx)?;
        let (path, generation) = match &influx.target {
            InfluxTarget::V1 { .. } => ("/write", Generation::V1),
            InfluxTarget::V2 { .. } => ("/api/v2/write", Generation::V2),
            InfluxTarget::V3 { .. } => ("/api/v3/write_lp", Generation::V3),
        };
        let url = http.url(path, &write_parameters(&influx.target));
        Ok(Self { http, url, generation, gzip: influx.gzip })
    }

    fn post(&self, lines: Bytes, points: u64) -> Decision {
        let request = self.http.post(self.url.clone()).header("Content-Type", "text/plain; charset=utf-8");
        let request = match self.gzip.then(|| gzip(&lines)) {
            Some(Ok(body)) => request.header("Content-Encoding", "gzip").body(body),
            Some(Err(_)) | None => request.body(lines),
        };
        match Reply::of(request) {
            Ok(reply) => status::decide(self.generation, &reply.answer(), points),
            Err(outcome) => Decision::Final(outcome),
        }
    }

    /// Finds out whether the refusals that the server named are all there were; where it cannot be told, the
    /// request is sent again in halves, which is harmless, down to answers that name everything.
    fn settle_partial(
        &self,
        request: &Request,
        reason: RejectReason,
        dropped: u64,
        detail: String,
    ) -> Outcome {
        let split = |detail| Outcome::Split(http::content_fault(detail));
        let Some(seen) = hidden::look(&request.lines) else { return split(detail) };
        if reason != RejectReason::BeyondRetention {
            if !seen.in_one_hour {
                return split(detail);
            }
            // Points beyond retention are not named beside others: if the oldest point is stored, all are
            // young enough. It has been sent already, so sending it again changes nothing.
            match self.post(request.lines.slice(seen.oldest), 1) {
                Decision::Final(Outcome::Stored { rejected, .. })
                    if rejected.iter().all(|(r, _)| *r != RejectReason::BeyondRetention) => {}
                Decision::Final(trouble @ (Outcome::NotSent(_) | Outcome::InDoubt(_))) => return trouble,
                _ => return split(detail),
            }
        }
        status::refused(reason, dropped, detail)
    }
}

impl Sink for InfluxSink {
    fn write(&mut self, request: &Request) -> Outcome {
        match self.post(request.lines.clone(), request.points) {
            Decision::Final(outcome) => outcome,
            Decision::Partial { reason, dropped, detail } => {
                self.settle_partial(request, reason, dropped, detail)
            }
        }
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
