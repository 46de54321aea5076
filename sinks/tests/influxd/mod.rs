//! A private influxd of version 1 on free ports in a temporary folder, stopped when it is dropped. Tests of
//! other crates include this file by path.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

const PROGRAM: &str = "/usr/bin/influxd";
/// A cold start takes 0.1 s; this is for a machine that is busy building.
const START_MAX: Duration = Duration::from_secs(60);

/// What differs between tests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Ask for logins; the first statement must create an administrator.
    pub(crate) auth: bool,
    /// `max-body-size`
    pub(crate) body_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { auth: false, body_bytes_max: 25_000_000 }
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Influxd {
    pub(crate) child: Child,
    /// Base URL.
    pub(crate) url: String,
    pub(crate) dir: TempDir,
}

/// Starts a server, or says that there is none; where `CI` is set there must be one.
pub(crate) fn start(options: Options) -> Option<Influxd> {
    if !Path::new(PROGRAM).exists() {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "influxd is not installed");
        println!("skipped: influxd is not installed");
        return None;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let config = dir.path().join("influxd.conf");
    std::fs::write(&config, configuration(dir.path(), options)).expect("a configuration file");
    let (child, address) = spawn(&config);
    Some(Influxd { child, url: format!("http://{address}"), dir })
}

/// Starts the program and waits until it listens; returns where.
pub(crate) fn spawn(config: &Path) -> (Child, String) {
    let mut child = Command::new(PROGRAM)
        .arg("-config")
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("influxd starts");
    let log = BufReader::new(child.stderr.take().expect("its log"));
    let (ready, address) = mpsc::channel();
    let reader = std::thread::Builder::new().name("influxd-log".into());
    // Reads to the end, so that the server never waits for a full pipe.
    reader
        .spawn(move || {
            let mut seen = Vec::new();
            for line in log.lines().map_while(Result::ok) {
                if line.contains("Listening on HTTP") {
                    let found = line.split_whitespace().find_map(|word| word.strip_prefix("addr="));
                    ready.send(Ok(found.unwrap_or_default().to_owned())).ok();
                }
                seen.push(line);
            }
            ready.send(Err(seen.join("\n"))).ok();
        })
        .expect("a thread");
    let address = match address.recv_timeout(START_MAX) {
        Ok(Ok(address)) => address,
        Ok(Err(log)) => panic!("influxd ended: {log}"),
        Err(_) => panic!("influxd was not ready within {START_MAX:?}"),
    };
    (child, address)
}

/// Port 0 is any free port; the log names the one that was taken.
fn configuration(dir: &Path, options: Options) -> String {
    let dir = dir.display();
    format!(
        r#"
reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
dir = "{dir}/meta"
logging-enabled = false
[data]
dir = "{dir}/data"
wal-dir = "{dir}/wal"
index-version = "tsi1"
query-log-enabled = false
[http]
bind-address = "127.0.0.1:0"
auth-enabled = {}
max-body-size = {}
log-enabled = false
[monitor]
store-enabled = false
[subscriber]
enabled = false
[continuous_queries]
enabled = false
"#,
        options.auth, options.body_bytes_max
    )
}

impl Influxd {
    /// Runs one InfluxQL statement, as `user` if there is one, and returns the JSON of the answer.
    pub(crate) fn query(
        &self,
        login: Option<(&str, &str)>,
        database: &str,
        statement: &str,
    ) -> serde_json::Value {
        let mut url = reqwest::Url::parse(&self.url).expect("its address");
        url.set_path("/query");
        url.query_pairs_mut().extend_pairs([("db", database), ("epoch", "ns"), ("q", statement)]);
        let client = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
        let request = match login {
            Some((user, password)) => client.post(url).basic_auth(user, Some(password)),
            None => client.post(url),
        };
        let text = request.send().expect("an answer").text().expect("its body");
        let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(
            answer["error"].is_null() && answer["results"][0]["error"].is_null(),
            "{statement}: {answer}, in {}",
            self.dir.path().display()
        );
        answer
    }

    /// `SELECT count(FIELD) FROM SOURCE`
    pub(crate) fn count(&self, database: &str, source: &str, field: &str) -> u64 {
        let answer = self.query(None, database, &format!("SELECT count(\"{field}\") FROM {source}"));
        answer["results"][0]["series"][0]["values"][0][1].as_u64().unwrap_or(0)
    }
}

impl Drop for Influxd {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
