//! The program as its user starts it: `tickline run` with a log, `/status` and an end, and the commands that
//! end by themselves. Everything is waited for by looking at it, with one limit for all.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tickline_config::report::Report;
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;

/// Longest wait for anything; it is reached only when a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Time between two looks; nothing depends on it.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks again and again until there is something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let clock = OsClock::start();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock.mono().0 < PATIENCE.as_nanos() as u64, "not within {PATIENCE:?}: {what}");
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// The body of a page.
pub(crate) fn page(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it serves");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

/// `--set` for each key.
pub(crate) fn with_sets(command: &mut Command, sets: &[String]) {
    command.args(sets.iter().flat_map(|set| ["--set", set]));
}

/// The program with a command that ends by itself.
pub(crate) fn tickline(dir: &Path, args: &[&str], sets: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickline"));
    command.current_dir(dir).args(args);
    with_sets(&mut command, sets);
    command.output().expect("tickline starts")
}

/// A report on standard output.
pub(crate) fn report(stdout: &[u8]) -> Report {
    let text = String::from_utf8_lossy(stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

/// A running `tickline run`.
pub(crate) struct Engine {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    http: String,
}

/// How it ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) report: Report,
    pub(crate) log: Vec<String>,
}

impl Engine {
    /// Starts it in `dir`, where its state is kept too, with `engine.toml` if that is there.
    pub(crate) fn start(dir: &Path, sets: &[String]) -> Self {
        Self::start_with(dir, sets, &[])
    }

    /// The same with variables of the environment.
    pub(crate) fn start_with(dir: &Path, sets: &[String], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickline"));
        command.envs(variables.iter().copied());
        command.current_dir(dir).args(["run", "--json", "--set", "http.listen=\"127.0.0.1:0\""]);
        // What is counted are points of messages; who tests the engine's own rows sets it.
        command.args(["--set", "engine.ledger_every=\"inf\""]);
        with_sets(&mut command, sets);
        if dir.join("engine.toml").exists() {
            command.args(["--config", "engine.toml"]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let stderr = BufReader::new(child.stderr.take().expect("its log"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        let reader = std::thread::Builder::new().name("engine-log".into());
        // Reads to the end, so that the program never waits for a full pipe.
        let lines = move || {
            stderr.lines().map_while(Result::ok).for_each(|line| kept.lock().expect("the log").push(line));
        };
        reader.spawn(lines).expect("a thread");
        let mut engine = Self { child, log, http: String::new() };
        let line = engine.wait_log("listening on http://");
        engine.http = line.rsplit("http://").next().unwrap_or_default().trim().to_owned();
        engine
    }

    /// Waits until a line of the log has `text`.
    pub(crate) fn wait_log(&mut self, text: &str) -> String {
        wait_for(text, || {
            let log = self.log.lock().expect("the log");
            let found = log.iter().find(|line| line.contains(text)).cloned();
            let ended = self.child.try_wait().expect("its state").is_some();
            assert!(found.is_some() || !ended, "it has ended without {text:?}: {log:#?}");
            found
        })
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> &str {
        &self.http
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The body of one page.
    pub(crate) fn get(&self, path: &str) -> String {
        page(&self.http, path)
    }

    /// Looks at `/status` until it is as wanted.
    pub(crate) fn wait(&self, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
        let mut last = None;
        let clock = OsClock::start();
        while clock.mono().0 < PATIENCE.as_nanos() as u64 {
            let seen = report(self.get("/status").as_bytes());
            if wanted(&seen) {
                return seen;
            }
            last = Some((seen.ledger, seen.publishers, seen.parts));
            std::thread::park_timeout(LOOK_EVERY);
        }
        panic!("not within {PATIENCE:?}: {what}: {last:#?} {:#?}", self.log.lock());
    }

    /// Waits until a sample of `/metrics`, named with its labels, has a value.
    pub(crate) fn wait_metric(&self, name: &str, value: f64) {
        let start = format!("{name} ");
        wait_for(name, || {
            let page = self.get("/metrics");
            let sample = page.lines().find_map(|line| line.strip_prefix(&start)?.parse::<f64>().ok());
            sample.filter(|found| *found >= value)
        });
    }

    /// Sends it a signal, such as USR2.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().expect("kill").success());
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("its end");
    }

    /// Ends it with SIGTERM.
    pub(crate) fn stop(mut self) -> Ended {
        self.signal("TERM");
        let mut json = Vec::new();
        self.child.stdout.take().expect("its output").read_to_end(&mut json).expect("its report");
        let code = self.child.wait().expect("its end").code();
        let log = self.log.lock().expect("the log").clone();
        Ended { code, report: report(&json), log }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Only a failed test leaves it running.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

impl Ended {
    /// This exit code.
    pub(crate) fn assert_exit(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{:?} {:#?}", self.report.reasons, self.log);
    }

    /// Exit code 0, a ledger that balances, and nothing left over, dropped, refused or lost.
    pub(crate) fn assert_clean(&self) {
        let ledger = &self.report.ledger;
        assert_eq!(self.code, Some(0), "{:?} {:#?}", self.report.reasons, self.log);
        assert!(ledger.balanced, "{ledger:#?}");
        assert_eq!((ledger.queued, ledger.in_flight, ledger.bad_points), (0, 0, 0), "{ledger:#?}");
        assert_eq!(ledger.points, ledger.written, "{ledger:#?}");
        for lost in [ledger.lost_before_receive, ledger.lost_overload, ledger.duplicate] {
            assert_eq!(lost.unwrap_or(0), 0, "{ledger:#?}");
        }
    }
}

/// The keys of a sink into an InfluxDB 1 database.
pub(crate) fn influx(url: &str, database: &str) -> Vec<String> {
    let keys = [("kind", "influxdb"), ("url", url), ("database", database)];
    let mut sets: Vec<String> = keys.map(|(key, value)| format!("sinks.influx.{key}={value:?}")).into();
    sets.push("sinks.influx.version=1".to_owned());
    sets
}

/// The keys of a feed of the registry at `endpoint`.
pub(crate) fn feed(name: &str, endpoint: &str) -> Vec<String> {
    vec![format!("feeds.{name}.endpoint={endpoint:?}"), format!("feeds.{name}.fields=\"all\"")]
}
