//! Promise: SIGTERM drains everything that was received and ends with a balanced ledger; a second SIGINT does
//! not wait; SIGUSR1 writes the histograms; SIGHUP adds, removes
//! and changes feeds while those that stay the same lose nothing, and keeps the old configuration if the new one
//! is wrong.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::rig::{Publisher, assert_all_in_order, feed};
use tickline_config::report::Report;
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;

/// The program, running with one configuration file.
struct Program {
    child: Child,
    log: std::io::Lines<BufReader<std::process::ChildStderr>>,
    http: String,
}

impl Program {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tickline"))
            .args(["run", "--json", "-c"])
            .arg(dir.join("engine.toml"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut program = Self { child, log, http: String::new() };
        let line = program.wait_log("listening on http://");
        program.http = line.rsplit("http://").next().unwrap().trim().to_owned();
        program
    }

    /// Reads the log until a line has `text`.
    fn wait_log(&mut self, text: &str) -> String {
        let line = self.log.by_ref().map(Result::unwrap).find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("the log ended without {text:?}"))
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    /// Looks at `/status` until a feed has received that many frames.
    fn wait_frames(&self, feed: &str, frames: u64) {
        self.wait(|report| report.feeds.get(feed).is_some_and(|feed| feed.frames == frames));
    }

    /// Looks at `/status` until it is as wanted.
    fn wait(&self, wanted: impl Fn(&Report) -> bool) {
        let clock = OsClock::start();
        while clock.mono().0 < crate::rig::PATIENCE.as_nanos() as u64 {
            let report: Report = serde_json::from_str(&self.get("/status").1).unwrap();
            if wanted(&report) {
                return;
            }
        }
        panic!("/status does not become as wanted");
    }

    /// Waits for the end: exit code and report.
    fn end(mut self) -> (Option<i32>, Report) {
        let mut json = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut json).unwrap();
        let code = self.child.wait().unwrap().code();
        (code, serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json:?}")))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Only a failed test leaves it running.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.child.kill().unwrap();
        }
    }
}

fn write_config(dir: &Path, feeds: &[(&str, &Publisher)]) {
    let mut text = format!(
        "engine.state_dir = {:?}\nhttp.listen = \"127.0.0.1:0\"\nengine.ledger_every = \"inf\"\n",
        dir.join("state")
    );
    text.push_str(&format!("sinks.kept = {{ kind = \"file\", path = {:?} }}\n", dir.join("kept.lp")));
    for (name, publisher) in feeds {
        text.push_str(&feed(name, &publisher.endpoint).join("\n"));
        text.push('\n');
    }
    std::fs::write(dir.join("engine.toml"), text).unwrap();
}

fn lines_of(dir: &Path, feed: &str) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join("kept.lp")).unwrap();
    let start = format!("{feed} ");
    text.lines().filter(|line| line.starts_with(&start)).map(str::to_owned).collect()
}

#[test]
fn sigterm_drains_what_was_received_and_a_restart_goes_on_where_it_stood() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut alpha = Publisher::bind(&context, "alpha");
    write_config(dir.path(), &[("alpha", &alpha)]);
    let program = Program::start(dir.path());
    alpha.wait_subscription(true);
    alpha.send(5_000);
    program.wait_frames("alpha", 5_000);
    assert_eq!(program.get("/health"), (200, "ok\n".to_owned()));
    assert_eq!(program.get("/ready"), (200, "ready\n".to_owned()));
    let metrics = program.get("/metrics").1;
    assert!(metrics.contains("\ntickline_frames_received_total{feed=\"alpha\"} 5000\n"), "{metrics}");
    program.signal("-TERM");
    let (code, report) = program.end();
    assert_eq!((code, report.ledger.balanced), (Some(0), true), "{:#?}", report.reasons);
    assert_eq!((report.ledger.written, report.ledger.published), (5_000, Some(5_000)));
    assert_all_in_order(&lines_of(dir.path(), "alpha"), "alpha", 5_000, "first run");

    alpha.wait_subscription(false);
    // Nobody is there: ZeroMQ throws these away.
    alpha.send(70);
    let program = Program::start(dir.path());
    alpha.wait_subscription(true);
    alpha.send(10);
    program.wait_frames("alpha", 10);
    program.signal("-TERM");
    let (code, report) = program.end();
    assert_eq!((code, report.ledger.balanced), (Some(0), true), "{:#?}", report.reasons);
    assert_eq!((report.ledger.sequenced, report.ledger.lost_before_receive), (Some(10), Some(70)));
}

#[test]
fn a_second_sigint_ends_at_once_and_counts_what_is_left_as_dropped() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut alpha = Publisher::bind(&context, "alpha");
    write_config(dir.path(), &[("alpha", &alpha)]);
    // Takes connections and never answers, as a database does that has stopped.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let sink = format!(
        "sinks.db = {{ kind = \"influxdb\", version = 1, url = \"http://{}\", database = \"tick\", timeout = \"1s\", \
         durability = \"memory\" }}\n\
         engine.shutdown_timeout = \"1h\"\n",
        silent.local_addr().unwrap()
    );
    let file = dir.path().join("engine.toml");
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + &sink).unwrap();
    let mut program = Program::start(dir.path());
    alpha.wait_subscription(true);
    alpha.send(100);
    program.wait(|report| report.sinks["kept"].ledger.written == 100);
    program.signal("-INT");
    program.wait_log("stopping: draining within 3600s");
    program.signal("-INT");
    program.wait_log("stopping at once");
    let (code, report) = program.end();
    assert_eq!((code, report.ledger.balanced), (Some(4), true), "{:#?}", report.reasons);
    assert_eq!(report.sinks["db"].ledger.dropped["shutdown"], 100);
    assert_eq!(report.sinks["kept"].ledger.written, 100);
}

#[test]
fn sigusr1_writes_the_histograms_of_a_run_that_goes_on() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut alpha = Publisher::bind(&context, "alpha");
    write_config(dir.path(), &[("alpha", &alpha)]);
    let mut program = Program::start(dir.path());
    alpha.wait_subscription(true);
    alpha.send(100);
    program.wait_frames("alpha", 100);
    program.signal("-USR1");
    program.wait_log("SIGUSR1: histograms written to ");
    let text = std::fs::read_to_string(dir.path().join("state").join("histograms.json")).unwrap();
    let report: Report = serde_json::from_str(&text).unwrap();
    assert!(report.latency_ns["receive_to_encode"].hdr.is_some(), "{text}");
    assert_eq!(program.get("/health").0, 200);
    program.signal("-TERM");
    assert_eq!(program.end().0, Some(0));
}

#[test]
fn sighup_changes_feeds_and_those_that_stay_lose_nothing() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let [mut alpha, mut beta, mut gamma] = ["alpha", "beta", "gamma"].map(|t| Publisher::bind(&context, t));
    write_config(dir.path(), &[("alpha", &alpha), ("beta", &beta)]);
    let mut program = Program::start(dir.path());
    alpha.wait_subscription(true);
    beta.wait_subscription(true);
    beta.send(500);
    program.wait_frames("beta", 500);
    alpha.send(1_000);

    write_config(dir.path(), &[("alpha", &alpha), ("gamma", &gamma)]);
    program.signal("-HUP");
    alpha.send(1_000);
    let line = program.wait_log("SIGHUP");
    assert!(line.contains("applied: feed beta removed, feed gamma added"), "{line}");
    beta.wait_subscription(false);
    gamma.wait_subscription(true);
    gamma.send(300);
    alpha.send(1_000);
    program.wait_frames("gamma", 300);

    std::fs::write(dir.path().join("engine.toml"), "[engine]\nburst_max = \"many\"\n").unwrap();
    program.signal("-HUP");
    let line = program.wait_log("SIGHUP");
    assert!(line.contains("the old configuration is kept: ") && line.contains("burst_max"), "{line}");

    alpha.send(1_000);
    program.wait_frames("alpha", 4_000);
    program.signal("-TERM");
    let (code, report) = program.end();
    assert_eq!((code, report.ledger.balanced), (Some(0), true), "{:#?}", report.reasons);
    let lost = report.feeds.values().map(|feed| feed.ledger.lost_before_receive).collect::<Vec<_>>();
    assert_eq!(lost, [Some(0); 3]);
    for (feed, messages) in [("alpha", 4_000), ("beta", 500), ("gamma", 300)] {
        assert_all_in_order(&lines_of(dir.path(), feed), feed, messages, feed);
    }
}

#[test]
fn a_changed_feed_goes_on_with_its_sequence_in_every_way_to_receive() {
    for receive in ["blocking", "multiplexed"] {
        for encode in ["thread", "inline"] {
            let context = zmq::Context::new();
            let mut alpha = Publisher::bind(&context, "alpha");
            let sets = [
                feed("alpha", &alpha.endpoint),
                vec![format!("engine.receive=\"{receive}\""), format!("engine.encode=\"{encode}\"")],
                crate::rig::keys(&["sinks.kept.kind=\"null\""]),
            ];
            let sink = crate::rig::Gated::open();
            let mut run = crate::rig::start(&crate::rig::config(&sets), &|_| Ok(Box::new(sink.clone())));
            alpha.wait_subscription(true);
            alpha.send(200);
            crate::rig::wait_until(&run, "first", |report| report.ledger.received == 200);
            let mut changed = crate::rig::config(&sets);
            changed.feeds.get_mut("alpha").unwrap().series_max = 77;
            let done = run.apply(&changed, (String::new(), None)).unwrap();
            assert_eq!(done, ["feed alpha changed"]);
            alpha.send(200);
            crate::rig::wait_until(&run, "second", |report| report.ledger.received == 400);
            let report = crate::rig::end(run);
            let ledger = &report.feeds["alpha"].ledger;
            assert!(ledger.balanced, "{receive} {encode}: {ledger:#?}");
            assert_eq!(ledger.lost_before_receive, Some(0), "{receive} {encode}");
            assert_all_in_order(&sink.lines(), "alpha", 400, encode);
        }
    }
}
