//! Promise: the examples run, alone and with each other, and a publisher and a subscriber of thirty lines of Python that
//! know every reserved key talk with ours, both ways.

use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::foreign_publisher::python;
use crate::program::{Engine, feed};

/// A running example or script; its input is held open.
struct Running {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let said = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { child, said }
    }

    fn line(&mut self) -> String {
        self.said.next().expect("it says more").expect("text")
    }

    /// What it says until it ends, which it must do well.
    fn ends(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        let said = self.said.by_ref().map(|line| line.expect("text")).collect();
        assert!(self.child.wait().expect("its end").success());
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Examples are built beside the tests.
fn example(name: &str, arguments: &[&str]) -> Running {
    let mut path = std::env::current_exe().expect("the test");
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples").join(name));
    command.args(arguments);
    Running::start(command)
}

fn script(python: &str, name: &str, arguments: &[&str]) -> Running {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(name);
    let mut command = Command::new(python);
    command.arg(path).args(arguments);
    Running::start(command)
}

fn endpoint(publisher: &mut Running) -> String {
    publisher.line().strip_prefix("bound to ").expect("where it is bound").to_owned()
}

#[test]
fn examples_that_need_nobody_run_to_their_end() {
    for (name, said) in [
        ("several_topics", "USD_JPY message Some(2)"),
        ("port_registry", "kr_depth: port 5560, topic kr_depth"),
        ("codec", r#"{"symbol":"BTC/USD","bid":"63388.70","bid_qty":"0.25761908","trade_id":100320028}"#),
        ("kraken_publisher", "state ready 1 symbols"),
    ] {
        let lines = example(name, &[]).ends();
        assert!(lines.iter().any(|line| line == said), "{name}: {lines:#?}");
    }
}

#[test]
fn the_basic_publisher_and_subscriber_lose_nothing_between_them() {
    let mut publisher = example("basic_publisher", &["tcp://127.0.0.1:*", "100"]);
    let subscriber = example("basic_subscriber", &[&endpoint(&mut publisher)]);
    let said = subscriber.ends();
    assert_eq!(said.len(), 102, "100 messages, the end, and what is missing");
    assert_eq!(said.last().map(String::as_str), Some("the publisher has ended, 0 messages are missing"));
    assert!(said[99].contains(r#""symbol":"EXAMPLE","price":"100.099","qty":"5""#), "{}", said[99]);
    publisher.ends();
}

#[test]
fn a_feed_of_ones_own_is_line_protocol_without_a_line_of_decoder() {
    let mut publisher = example("custom_publisher", &["tcp://127.0.0.1:*"]);
    let said = example("custom_subscriber", &[&endpoint(&mut publisher)]).ends();
    let values: Vec<&str> =
        said.iter().filter_map(|line| line.strip_prefix("weather,city=Riga celsius=")).collect();
    let values: Vec<&str> = values.iter().filter_map(|line| line.split(',').next()).collect();
    assert_eq!(values, ["21.50", "21.75", "22.00"], "{said:#?}");
    publisher.ends();
}

#[test]
fn a_python_subscriber_reads_our_publisher_and_counts_the_same() {
    let Some(python) = python() else { return };
    let mut publisher = example("basic_publisher", &["tcp://127.0.0.1:*", "50"]);
    let said = script(&python, "subscriber.py", &[&endpoint(&mut publisher), "my_topic"]).ends();
    assert_eq!(said.len(), 52);
    assert_eq!(said.last().map(String::as_str), Some(r#"{"lost": 0}"#));
    let first: serde_json::Value = serde_json::from_str(&said[0]).unwrap();
    assert_eq!((&first["_seq"], &first["_v"], &first["price"]), (&1.into(), &1.into(), &"100.000".into()));
    publisher.ends();
}

#[test]
fn a_python_publisher_with_every_reserved_key_is_accounted_for() {
    let Some(python) = python() else { return };
    let mut publisher = script(&python, "publisher.py", &["tcp://127.0.0.1:*", "40"]);
    let endpoint = publisher.line();
    let dir = tempfile::tempdir().unwrap();
    let mut sets = feed("kraken_tick", &endpoint);
    sets.extend(["sinks.kept.kind=\"file\"".to_owned(), "sinks.kept.path=\"kept.lp\"".to_owned()]);
    let engine = Engine::start(dir.path(), &sets);
    engine.wait("all written", |report| report.feeds["kraken_tick"].ledger.points_made == 40);
    let report =
        engine.wait("the event and the end", |report| report.feeds["kraken_tick"].ledger.control == 3);
    let ledger = &report.feeds["kraken_tick"].ledger;
    assert_eq!(
        (ledger.published, ledger.sequenced, ledger.lost_before_receive),
        (Some(41), Some(41), Some(0))
    );
    engine.stop().assert_clean();
    publisher.ends();
    let kept = std::fs::read_to_string(dir.path().join("kept.lp")).unwrap();
    let times: std::collections::BTreeSet<&str> = kept
        .lines()
        .filter(|line| line.starts_with("kraken_tick,"))
        .filter_map(|line| line.rsplit(' ').next())
        .collect();
    assert_eq!(times.len(), 40, "two ticks of one time keep apart");
    assert!(times.iter().any(|time| time.ends_with("001")), "by one ns each: {times:?}");
    let gap = kept.lines().find(|line| line.starts_with("feed_gap,")).expect("the hole is a row");
    assert!(gap.contains("cause=venue") && gap.contains("lost=3i"), "{gap}");
}
