//! The engine under load, as anyone sees it: its `/status` over HTTP. Reads it and tells how far its clock is from
//! ours; it changes nothing there.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::blocking::{Client, ClientBuilder};
use reqwest::{StatusCode, Url};
use tickline_config::report::{CLOCK_HEADER, Report};
use tickline_feeds::clock::Clock;

/// Where an engine serves when nothing else is configured.
pub const DEFAULT_URL: &str = "http://127.0.0.1:9600";

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests of which the fastest tells the difference of the clocks.
const CLOCK_TRIES: usize = 9;

/// An engine that is measured.
#[derive(Clone, Debug)]
pub struct Target {
    url: Url,
    client: Client,
}

/// Why a target tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The address is none.
    #[error("target: must be an http:// address or none, found {0:?}")]
    Address(String),
    /// It does not answer.
    #[error("target {url}: cannot be read: {error}")]
    Unreachable {
        /// Its address.
        url: String,
        /// What went wrong.
        error: String,
    },
    /// It answers something else.
    #[error("target {url}: must answer /status with a report, found {found}")]
    Foreign {
        /// Its address.
        url: String,
        /// What came.
        found: String,
    },
}

impl Target {
    /// The engine at an address such as [`DEFAULT_URL`]; nothing is sent yet.
    pub fn new(url: &str) -> Result<Self, TargetError> {
        Self::with(url, Client::builder().timeout(PATIENCE))
    }

    /// One that may be stopped or slow: with another longest wait for an answer, and a connection of its own for
    /// each request, because a kept one may have been closed over there.
    #[cfg(feature = "drill")]
    pub(crate) fn patient(url: &str, patience: Duration) -> Result<Self, TargetError> {
        Self::with(url, Client::builder().timeout(patience).pool_max_idle_per_host(0))
    }

    fn with(url: &str, client: ClientBuilder) -> Result<Self, TargetError> {
        let address = || TargetError::Address(url.to_owned());
        let parsed = Url::parse(url).ok().filter(|url| url.scheme() == "http" && url.host().is_some());
        let client = client.no_proxy().build().map_err(|_| address())?;
        Ok(Self { url: parsed.ok_or_else(address)?, client })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Its report with histograms.
    pub fn status(&self) -> Result<Report, TargetError> {
        let answer = self.get("/status?hdr=1")?;
        self.read(&answer.text)
    }

    /// Its report without histograms, and its clock, ns since 1970.
    pub fn glance(&self) -> Result<(Report, i64), TargetError> {
        let answer = self.get("/status")?;
        Ok((self.read(&answer.text)?, answer.clock_ns.unwrap_or(0)))
    }

    /// What it says of the last quarter of an hour.
    pub fn history(&self) -> Result<serde_json::Value, TargetError> {
        let answer = self.get("/history")?;
        self.read(&answer.text)
    }

    fn read<T: serde::de::DeserializeOwned>(&self, text: &str) -> Result<T, TargetError> {
        serde_json::from_str(text)
            .map_err(|error| TargetError::Foreign { url: self.url.to_string(), found: error.to_string() })
    }

    /// Its configuration, secrets masked, as TOML.
    pub fn config(&self) -> Result<String, TargetError> {
        Ok(self.get("/config")?.text)
    }

    /// What the database at `url` says of its version; none if it says nothing.
    pub fn database_version(url: &str) -> Option<String> {
        let client = Client::builder().timeout(PATIENCE).no_proxy().build().ok()?;
        let answer = client.get(Url::parse(url).ok()?.join("/ping").ok()?).send().ok()?;
        Some(answer.headers().get("x-influxdb-version")?.to_str().ok()?.to_owned())
    }

    /// How far a time of the target may be from ours, ns: the difference of the clocks and half the way there and
    /// back. None on this host, where both are one clock.
    pub fn clock_error_ns(&self, clock: &impl Clock) -> Result<Option<u64>, TargetError> {
        let host = self.url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let loopback = host.parse::<IpAddr>().map_or(host == "localhost", |ip| ip.is_loopback());
        if loopback { Ok(None) } else { self.measure_clock(clock).map(Some) }
    }

    fn measure_clock(&self, clock: &impl Clock) -> Result<u64, TargetError> {
        let mut best: Option<(i64, u64)> = None;
        for _ in 0..CLOCK_TRIES {
            let before = clock.wall().0;
            let answer = self.get("/status")?;
            let after = clock.wall().0;
            let there = answer.clock_ns.ok_or_else(|| TargetError::Foreign {
                url: self.url.to_string(),
                found: format!("no header {CLOCK_HEADER}"),
            })?;
            let way_ns = after - before;
            let offset_ns = there.abs_diff(before + way_ns / 2);
            if best.is_none_or(|(least, _)| way_ns < least) {
                best = Some((way_ns, offset_ns));
            }
        }
        let (way_ns, offset_ns) = best.unwrap_or_default();
        Ok(offset_ns + way_ns.max(0).unsigned_abs() / 2)
    }

    /// Status and body of one page.
    #[cfg(feature = "drill")]
    pub(crate) fn page(&self, path: &str) -> Result<(u16, String), TargetError> {
        self.ask(path).map(|answer| (answer.status.as_u16(), answer.text))
    }

    fn get(&self, path: &str) -> Result<Answer, TargetError> {
        let answer = self.ask(path)?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(TargetError::Foreign { url: self.url.to_string(), found: answer.status.to_string() })
    }

    fn ask(&self, path: &str) -> Result<Answer, TargetError> {
        let failed = |error: reqwest::Error| TargetError::Unreachable {
            url: self.url.to_string(),
            error: cause(&error),
        };
        let url = self.url.join(path).map_err(|_| TargetError::Address(self.url.to_string()))?;
        let answer = self.client.get(url).send().map_err(failed)?;
        let status = answer.status();
        let clock = answer.headers().get(CLOCK_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Answer { status, clock_ns: clock, text: answer.text().map_err(failed)? })
    }
}

struct Answer {
    status: StatusCode,
    clock_ns: Option<i64>,
    text: String,
}

/// The innermost cause: what the system says.
fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::clock::OsClock;
    use crate::spawn::spawn;

    /// Answers `times` requests with these bytes.
    pub(crate) fn serve(times: usize, mut answer: impl FnMut() -> String + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let body = move || {
            for _ in 0..times {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4_096];
                let _ = stream.read(&mut request).unwrap();
                stream.write_all(answer().as_bytes()).unwrap();
            }
        };
        drop(spawn("http".to_owned(), Arc::new(AtomicBool::new(false)), body).unwrap());
        format!("http://{address}")
    }

    #[test]
    fn an_address_is_http_and_has_a_host() {
        for bad in ["", "127.0.0.1:9600", "https://a", "http://", "tcp://127.0.0.1:1"] {
            assert!(matches!(Target::new(bad), Err(TargetError::Address(_))), "{bad}");
        }
        assert_eq!(Target::new(DEFAULT_URL).unwrap().url(), "http://127.0.0.1:9600/");
    }

    #[test]
    fn who_does_not_answer_and_who_answers_something_else_are_told_apart() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = Target::new(&format!("http://{free}")).unwrap().status().unwrap_err();
        assert!(matches!(error, TargetError::Unreachable { .. }), "{error}");
        let foreign = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        let error = Target::new(&serve(1, || foreign.to_owned())).unwrap().status().unwrap_err();
        assert!(matches!(error, TargetError::Foreign { .. }), "{error}");
        let missing = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let error = Target::new(&serve(1, || missing.to_owned())).unwrap().status().unwrap_err().to_string();
        assert!(error.ends_with("found 404 Not Found"), "{error}");
    }

    #[test]
    fn another_hosts_clock_is_known_as_far_as_the_way_there_allows() {
        let ahead = || {
            let now = OsClock::start().wall().0 + 3_600_000_000_000;
            format!(
                "HTTP/1.1 200 OK\r\n{CLOCK_HEADER}: {now}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
        };
        let target = Target::new(&serve(CLOCK_TRIES, ahead)).unwrap();
        let error_ns = target.measure_clock(&OsClock::start()).unwrap();
        // An hour, and at most the longest answer that there was patience for.
        assert!((3_600_000_000_000..3_610_000_000_000).contains(&(error_ns + 1_000_000_000)), "{error_ns}");
        assert_eq!(target.clock_error_ns(&OsClock::start()).unwrap(), None);
    }
}
