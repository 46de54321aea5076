//! Promise: the demo commands that README.md shows do what it says, in an empty folder, and so do those of the quick start.

use std::path::Path;
use std::process::Command;

use tickline_loadgen::venue::kraken::{self, KrakenVenue};
use tickline_loadgen::venue::{Feed, Pace};

use crate::everything_comes_up::Down;
use crate::first_start_is_guided::at_terminal;
use crate::influxd::{self, Options};
use crate::program::{tickline, wait_for};

/// Command lines in the fenced blocks of a page, without prompts and comments.
fn commands(page: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in page.lines().map(str::trim) {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            let line = line.trim_start_matches("$ ").split(" #").next().unwrap_or_default();
            found.push(line.trim().to_owned());
        }
    }
    found
}

/// The arguments of a command line that starts a demo.
fn demo(command: &str) -> Option<Vec<String>> {
    let arguments =
        ["tickline ", "cargo run --release -- "].iter().find_map(|start| command.strip_prefix(start))?;
    let words: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
    (words.first()? == "demo").then_some(words)
}

/// Gives an option another value, or adds it.
fn set(words: &mut Vec<String>, option: &str, value: &str) {
    if let Some(at) = words.iter().position(|word| word == option) {
        words.drain(at..(at + 2).min(words.len()));
    }
    words.extend([option.to_owned(), value.to_owned()]);
}

fn files_below(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            names.extend(files_below(&entry.path()));
        } else {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names
}

#[test]
fn every_demo_of_the_readme_runs_in_an_empty_folder_and_leaves_what_it_says() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let page = std::fs::read_to_string(readme).expect("README.md");
    let demos: Vec<Vec<String>> = commands(&page).iter().filter_map(|line| demo(line)).collect();
    assert!(!demos.is_empty(), "README.md must show a demo in a fenced block");
    for mut words in demos {
        set(&mut words, "--duration", "1s");
        let to_influx = words.iter().any(|word| word == "influx");
        let server = if to_influx { influxd::start(Options::default()) } else { None };
        match &server {
            Some(server) => {
                server.query(None, "", "CREATE DATABASE tick");
                set(&mut words, "--influx", &format!("{}/tick", server.url));
            }
            None if to_influx => continue,
            None => {}
        }
        let dir = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_tickline"))
            .current_dir(dir.path())
            .args(&words)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        // 3 is a machine too busy to keep the schedule, which decides no test.
        assert!(
            matches!(output.status.code(), Some(0 | 3)),
            "{words:?}: {} {said} {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(said.contains("balance"), "{words:?}: {said}");
        let has = |end: &str| files_below(dir.path()).iter().any(|name| name.ends_with(end));
        let sink = words.iter().position(|word| word == "--sink").and_then(|at| words.get(at + 1));
        match sink.map_or("parquet", String::as_str) {
            "parquet" => assert!(has(".parquet"), "{words:?}"),
            "file" => assert!(has(".lp"), "{words:?}"),
            "influx" => assert!(server.unwrap().count("tick", "kraken_tick", "recv_ns") > 0, "{words:?}"),
            _ => {}
        }
    }
}

#[test]
fn demos_are_found_in_fenced_blocks_only() {
    let page = "tickline demo no\n```sh\n$ tickline demo --rate 5/s  # shows\ncargo run --release -- demo\nls\n```\n";
    let found: Vec<_> = commands(page).iter().filter_map(|line| demo(line)).collect();
    assert_eq!(found, [vec!["demo", "--rate", "5/s"], vec!["demo"]]);
}

#[test]
fn the_quick_start_runs_line_by_line() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/QUICKSTART.md");
    let page = std::fs::read_to_string(page).expect("QUICKSTART.md");
    let venue = kraken::start(KrakenVenue {
        feed: Feed { pace: Pace::Rate(50.0), ..Feed::default() },
        symbols: ["BTC/USD", "ETH/USD"].map(str::to_owned).into(),
        ..KrakenVenue::default()
    })
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let toml = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    std::fs::write(dir.path().join("fills.toml"), toml).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // Here Kraken is a simulator, and no port is one's own.
    let mut kraken = Vec::new();
    for kind in ["kraken_tick", "kraken_depth", "kraken_trades"] {
        let bus = format!("endpoint=\"ipc://{}\"", dir.path().join(kind).display());
        kraken.extend([format!("publishers.{kind}.{bus}"), format!("feeds.{kind}.{bus}")]);
        kraken.push(format!("publishers.{kind}.url={:?}", venue.stream));
        kraken.push(format!("publishers.{kind}.rest_url={:?}", venue.rest));
    }
    let _down = Down(dir.path(), &kraken);
    let here = [format!("http.listen=\"127.0.0.1:{port}\""), format!("sinks.influx.url={:?}", server.url)];
    let mut ran = Vec::new();
    for line in commands(&page).iter().filter(|line| demo(line).is_none()) {
        let Some(arguments) = line.strip_prefix("tickline ") else { continue };
        let args: Vec<&str> = arguments.split(' ').collect();
        let what = *args.iter().find(|word| !word.starts_with("--") && **word != ".env").unwrap();
        let listen = port.to_string();
        let (more, sets): (Vec<&str>, &[String]) = match what {
            "init" => (vec!["--url", &server.url, "--port", &listen], &[]),
            "up" | "down" => (vec![], &kraken),
            "health" => (vec![], &[]),
            "top" => {
                let shown = at_terminal(dir.path(), &args, "kraken_trades=>q\n");
                assert!(shown.is_none_or(|output| output.status.success()), "top");
                ran.push(what.to_owned());
                continue;
            }
            "run" => (vec!["--duration", "1s"], &here),
            _ => (vec![], &here),
        };
        let run = || tickline(dir.path(), &[&args[..], &more].concat(), sets);
        let mut output = run();
        if what == "health" {
            // It says so until the first message of each feed is there.
            output = wait_for("good health", || Some(run()).filter(|output| output.status.success()));
        }
        let said = [output.stdout, output.stderr].concat();
        // Doctor looks at the ports of Kraken's feeds, which somebody else may have on this machine.
        let is_fine =
            output.status.success() || what == "init" && said.starts_with(b"written: tickline.toml");
        assert!(is_fine, "{line}: {}", String::from_utf8_lossy(&said));
        ran.push(what.to_owned());
    }
    assert_eq!(ran, ["init", "up", "health", "top", "down", "check", "run"]);
    assert!(server.count("tick", "kraken_trades", "recv_ns") > 0, "nothing is stored");
}
