//! Promise: the demo commands that README.md shows do what it says, in an empty folder.

use std::path::Path;
use std::process::Command;

use crate::influxd::{self, Options};

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
