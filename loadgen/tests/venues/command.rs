//! `tickline-loadgen venue`: says where it is on its first line, serves until it is told to stop, and says what its
//! faults were on its last.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::client::Socket;
use crate::kraken::subscribe;

fn loadgen(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickline-loadgen"));
    command.arg("venue").args(words);
    command
}

#[test]
fn a_venue_serves_until_it_is_told_to_stop() {
    let words = ["kraken", "--symbols", "BTC/USD", "--rate", "max", "--messages", "20"];
    let fault = ["--fault", "skip 2 after 5 of trade BTC/USD"];
    let mut child = loadgen(&[&words[..], &fault].concat()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let first = line();
    assert_eq!(first["venue"], "kraken");
    let mut socket = Socket::open_at(first["stream"].as_str().unwrap(), None);
    subscribe(&mut socket, "trade", &["BTC/USD"], "");
    (0..18).for_each(|_| drop(socket.of("trade")));
    let stopped = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    let last = line();
    assert_eq!((&last["made"]["trade BTC/USD"], &last["connections"]), (&20.into(), &1.into()));
    assert_eq!(
        (&last["journal"][0]["kind"], &last["journal"][0]["holes"][0]["messages"]),
        (&"skip".into(), &2.into())
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn certificates_are_written_where_a_client_finds_them_and_the_time_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let tls = folder.path().to_str().unwrap();
    let output =
        loadgen(&["betfair", "--symbols", "2", "--tls", tls, "--duration", "10ms"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let first: Value =
        serde_json::from_str(String::from_utf8(output.stdout).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!(first["ca"], folder.path().join("ca.pem").to_str().unwrap());
    for name in ["ca.pem", "client.pem", "client.key"] {
        assert!(
            std::fs::read_to_string(folder.path().join(name)).unwrap().starts_with("-----BEGIN "),
            "{name}"
        );
    }
}

#[test]
fn what_a_venue_cannot_do_ends_with_2_and_the_rule() {
    for (words, rule) in [
        (&["kraken", "--fault", "invalid-clock"][..], "fault: must be one of silence,"),
        (&["kraken", "--fault", "skip 3"], "fault: must name its stream"),
        (&["kraken", "--rate", "fast"], "rate: must be messages a second such as 50/s"),
        (&["kraken", "--rate", "10x"], "recording: must be given for a speed such as 1x"),
        (&["oanda", "--recording", "/nowhere"], "/nowhere"),
        (&["betfair"], "--tls <FOLDER>"),
        (&["betfair", "--tls", "x", "--symbols", "a,b"], "symbols: must be a number of markets for betfair"),
        (&["kraken", "--symbols", "0"], "symbols: must be 1..=10000"),
    ] {
        let output = loadgen(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(rule), "{said}");
    }
}
