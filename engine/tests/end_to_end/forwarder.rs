//! `tickline forward` as its user starts it, and what the tests of it send: Kraken's quotes, whose bid counts them.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::{ControlKey, PayloadWriter};

use crate::program::{Engine, page, wait_for};
use crate::publisher::{Publisher, SRC};

/// A running `tickline forward`.
pub(crate) struct Forward {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Forward {
    /// Starts it in `dir`; its subscribers' and workers' ports are free ones.
    pub(crate) fn start(dir: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickline"));
        command.current_dir(dir).args(["forward", "--json"]).args(args);
        // Who does not read at the end is not waited for.
        command.args(["--set", "engine.shutdown_timeout=\"1s\""]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let stderr = BufReader::new(child.stderr.take().expect("its log"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        let lines = move || {
            stderr.lines().map_while(Result::ok).for_each(|line| kept.lock().expect("the log").push(line));
        };
        std::thread::Builder::new().name("forward-log".into()).spawn(lines).expect("a thread");
        Self { child, log }
    }

    /// The endpoints that it has bound for a key, once there are `count`.
    pub(crate) fn bound(&mut self, key: &str, count: usize) -> Vec<String> {
        let start = format!("{key}: bound to ");
        wait_for(&start, || {
            let log = self.log.lock().expect("the log");
            let ended = self.child.try_wait().expect("its state").is_some();
            assert!(!ended, "it has ended: {log:#?}");
            let found = log.iter().filter_map(|line| Some(line.split_once(&start)?.1.to_owned()));
            let found: Vec<String> = found.collect();
            (found.len() == count).then_some(found)
        })
    }

    /// The body of one page.
    pub(crate) fn get(&self, path: &str) -> String {
        let log = self.log.lock().expect("the log");
        let address =
            log.iter().find_map(|line| line.split_once("listening on http://").map(|(_, at)| at.to_owned()));
        drop(log);
        page(address.expect("it serves").trim(), path)
    }

    /// Where subscribers connect to.
    pub(crate) fn output(&mut self) -> String {
        self.bound("forward.out", 1).remove(0)
    }

    /// Ends it with SIGTERM; its report.
    pub(crate) fn stop(mut self) -> Value {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
        let mut json = String::new();
        self.child.stdout.take().expect("its output").read_to_string(&mut json).expect("its report");
        let code = self.child.wait().expect("its end").code();
        assert_eq!(code, Some(0), "{:#?}", self.log.lock());
        let report: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json:?}"));
        assert_eq!((&report["balanced"], &report["schema"]), (&true.into(), &"tickline.forward/1".into()));
        report
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // Only a failed test leaves it running.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// Time of the first quote, ns.
const BEGIN_NS: i64 = 1_785_641_762_000_000_000;

/// Sends the next quote of a pair; its bid is its number, and the quantity there `bid_qty`.
pub(crate) fn send_quote(publisher: &mut Publisher, pair: &str, bid_qty: u64) {
    let n = publisher.seq + 1;
    let at = BEGIN_NS + n as i64 * 1_000_000;
    let time = tickline_feeds::payload::rfc3339(tickline_feeds::clock::WallNanos(at), 6);
    let quote =
        format!(r#"{{"symbol":"{pair}","bid":{n},"bid_qty":{bid_qty},"ask":100000,"timestamp":"{time}"}}"#);
    publisher.send_numbered(&quote, at, 0);
}

/// Sends a heartbeat.
pub(crate) fn send_heartbeat(publisher: &mut Publisher) {
    let mut out = PayloadWriter::default();
    out.control(ControlKey::Heartbeat, SRC, publisher.seq, WallNanos(1));
    publisher.send(out.bytes().to_vec());
}

/// Waits until the source of an engine's only feed has said its end, and everything of it is written.
pub(crate) fn wait_end(engine: &Engine) {
    engine.wait("the end", |report| {
        let mut sources = report.feeds.values().flat_map(|feed| &feed.sources);
        sources.any(|source| source.ended) && report.ledger.in_flight == 0
    });
}

/// The keys of a feed of such quotes into a file.
pub(crate) fn quotes(name: &str, endpoint: &str) -> Vec<String> {
    let keys = [
        format!("feeds.{name}.endpoint={endpoint:?}"),
        format!("feeds.{name}.topic={name:?}"),
        format!("feeds.{name}.decoder=\"kraken_tick\""),
        "sinks.kept.kind=\"file\"".to_owned(),
        "sinks.kept.path=\"kept.lp\"".to_owned(),
    ];
    keys.to_vec()
}

/// Pair and number of each quote in the file, in order.
pub(crate) fn kept(dir: &Path) -> Vec<(String, u64)> {
    let text = std::fs::read_to_string(dir.join("kept.lp")).unwrap_or_default();
    let part = |line: &str, key: &str| {
        let rest = line.split_once(key).map(|(_, rest)| rest.to_owned())?;
        rest.split([',', ' ']).next().map(str::to_owned)
    };
    let quote = |line: &str| Some((part(line, "pair=")?, part(line, " bid=")?.parse().ok()?));
    text.lines().filter_map(quote).collect()
}
