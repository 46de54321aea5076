//! Promise: the commands do what README and `--help` say, with the exit codes of `tickline --help`.

use std::path::Path;
use std::process::{Command, Output};

use tickline_config::report::{Report, Verdict};

fn tickline(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tickline")).args(arguments).current_dir(dir).output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8(output.stderr.clone()).unwrap())
}

#[test]
fn the_demo_carries_every_message_of_four_feeds_into_parquet_files() {
    let dir = tempfile::tempdir().unwrap();
    let output = tickline(dir.path(), &["demo", "--duration", "1s", "--rate", "300/s", "--json"]);
    let report: Report = serde_json::from_slice(&output.stdout).expect("the report alone is on stdout");
    let ledger = &report.ledger;
    assert!(ledger.balanced, "{ledger:#?}");
    assert_ne!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
    assert_eq!((ledger.published, ledger.sequenced), (Some(1_200), Some(1_200)));
    assert_eq!((ledger.points, ledger.written), (ledger.points_made, ledger.points_made));
    // A slow machine may be late; that is code 3 and no failure of the engine.
    let expected = if report.verdict == Verdict::Invalid { 3 } else { 0 };
    assert_eq!(output.status.code(), Some(expected));
    for feed in ["kraken_tick", "kraken_depth", "oanda_tick", "betfair_stream"] {
        assert_eq!(report.feeds[feed].frames, 301, "{feed}: 300 messages and the end");
        let days = std::fs::read_dir(dir.path().join("tickline-data").join(feed)).unwrap();
        let files = days.flat_map(|day| std::fs::read_dir(day.unwrap().path()).unwrap());
        let names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert!(!names.is_empty() && names.iter().all(|name| name.ends_with(".parquet")), "{names:?}");
    }
}

#[test]
fn a_wrong_configuration_ends_with_78_and_lists_every_violation() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[engine]\nburst_max = \"many\"\nencoder = 2\n[sinks.n]\nkind = \"nul\"\n";
    std::fs::write(dir.path().join("t.toml"), config).unwrap();
    for command in ["run", "check", "plan"] {
        let (code, error) = said(&tickline(dir.path(), &[command, "-c", "t.toml"]));
        assert_eq!(code, Some(78), "{command}: {error}");
        for place in ["t.toml:2:", "t.toml:3:", "t.toml:5:"] {
            assert!(error.contains(place), "{command}: {place} in {error}");
        }
    }
    let (code, error) = said(&tickline(dir.path(), &["run"]));
    assert_eq!(code, Some(2), "{error}");
}

#[test]
fn a_taken_port_names_the_service_and_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listen = format!("http.listen=\"{address}\"");
    let sets = ["--set", "feeds.kraken_tick={}", "--set", "sinks.n.kind=\"null\"", "--set", &listen];
    let (code, error) = said(&tickline(dir.path(), &[&["run"], sets.as_slice()].concat()));
    assert_eq!(code, Some(78), "{error}");
    assert!(error.contains(&format!("http.listen: port must be free, found {address} taken by ")), "{error}");
    assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
}

#[test]
fn the_printing_commands_print_what_programs_can_read() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [&["ports", "--json"][..], &["schema", "--json"], &["config", "schema"]] {
        let output = tickline(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(json.is_array() || json.is_object(), "{arguments:?}");
    }
    let defaults = tickline(dir.path(), &["config", "defaults"]).stdout;
    std::fs::write(dir.path().join("feed.toml"), "feeds.kraken_tick = {}\nsinks.n = { kind = \"null\" }\n")
        .unwrap();
    assert!(String::from_utf8(defaults).unwrap().contains("batch_linger = \"5ms\""));
    let plan = String::from_utf8(tickline(dir.path(), &["plan", "-c", "feed.toml"]).stdout).unwrap();
    for part in ["rx-kraken_tick", "enc-0", "wr-n-0", "libzmq may hold", "sequences.json"] {
        assert!(plan.contains(part), "{part} in {plan}");
    }
}
