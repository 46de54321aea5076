//! The binary's promises where an engine belongs to it: a capacity is found, certified and checked, and a backlog is
//! built and worked off. The engine is the program tickline that is built beside this one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tickline_config::report::{Report, Verdict};
use tickline_loadgen::certificate::Certificate;

#[path = "../../sinks/tests/influxd/mod.rs"]
mod influxd;

fn engine() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_BIN_EXE_tickline-loadgen")).with_file_name("tickline");
    if !program.exists() {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "{} is missing", program.display());
        println!("skipped: {} is missing; cargo build -p tickline", program.display());
        return None;
    }
    Some(program)
}

fn loadgen(dir: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickline-loadgen"));
    command.current_dir(dir).args(line.split_whitespace()).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A configuration with one feed over a socket of the folder, and this sink.
fn configure(dir: &Path, sink: &str) -> String {
    let endpoint = format!("ipc://{}/load", dir.display());
    let config = format!("[feeds.kraken_tick]\nendpoint = {endpoint:?}\n[sinks.s]\n{sink}\n");
    std::fs::write(dir.join("t.toml"), config).unwrap();
    endpoint
}

#[test]
fn a_capacity_is_certified_and_the_certificate_is_held_against_a_new_one() {
    if engine().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let endpoint = configure(dir, "kind = \"null\"");
    let found = loadgen(
        dir,
        &format!(
            "find-max --slo lost=0,p99<30s --feeds kraken_tick --rate 500/s --endpoint {endpoint} --trial 300ms \
             --precision 50% --max-rate 2000/s --run t.toml --certificate old.json"
        ),
    );
    assert!(matches!(found.status.code(), Some(0 | 3)), "{}", stderr(&found));
    let old = Certificate::read(&dir.join("old.json")).unwrap();
    let held: Vec<f64> = old.trials.iter().filter(|trial| trial.held).map(|trial| trial.rate_per_s).collect();
    let highest = held.into_iter().reduce(f64::max).unwrap();
    assert!((old.capacity_per_s / highest - 1.0).abs() < 0.01, "{} {highest}", old.capacity_per_s);
    assert!(old.capacity_per_s <= 2_000.0 && old.config_sha256.is_some(), "{old:?}");
    assert!(
        !old.arguments.iter().any(|word| word.contains("t.toml") || word.contains("old.json")),
        "{old:?}"
    );

    // Nobody has a thousandth of what the tampered certificate promises.
    for (promised, code) in [(old.capacity_per_s / 1_000.0, [0, 3]), (old.capacity_per_s * 1_000.0, [99, 3])]
    {
        let certificate = Certificate { capacity_per_s: promised, ..old.clone() };
        std::fs::write(dir.join("promised.json"), serde_json::to_string(&certificate).unwrap()).unwrap();
        let checked = loadgen(dir, "certify --check promised.json --run t.toml --json");
        assert!(code.contains(&checked.status.code().unwrap()), "{:?} {}", checked.status, stderr(&checked));
        assert!(stderr(&checked).contains(&format!("was {promised:.0}/s")), "{}", stderr(&checked));
        let new: Certificate = serde_json::from_slice(&checked.stdout).unwrap();
        assert_eq!((new.slo, new.arguments), (old.slo.clone(), old.arguments.clone()));
    }
}

#[test]
fn a_backlog_behind_a_database_that_is_away_is_worked_off_without_loss() {
    let Some(server) = influxd::start(influxd::Options::default()) else { return };
    if engine().is_none() {
        return;
    }
    server.query(None, "", "CREATE DATABASE tick");
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let url = &server.url;
    let sink = format!("kind = \"influxdb\"\nversion = 1\nurl = {url:?}\ndatabase = \"tick\"");
    let endpoint = configure(dir, &sink);
    let drained = loadgen(
        dir,
        &format!(
            "drain --feeds kraken_tick --rate 2000/s --duration 2s --endpoint {endpoint} --away --run t.toml --json"
        ),
    );
    assert!(matches!(drained.status.code(), Some(0 | 3)), "{}", stderr(&drained));
    let report: Report = serde_json::from_slice(&drained.stdout).unwrap();
    assert_eq!((report.load.sent, report.ledger.written, report.ledger.spooled), (4_000, 4_000, 0));
    assert_eq!(server.count("tick", "kraken_tick", "recv_ns"), 4_000);
    assert!(stderr(&drained).contains("backlog 4000 points after"), "{}", stderr(&drained));
    // All of it waited until the load was over.
    assert!(report.sinks["s"].due_to_ack_ns.p90 > 100_000_000, "{:?}", report.sinks["s"].due_to_ack_ns);
}

#[test]
fn a_database_that_stays_away_is_no_backlog_of_nothing_and_the_report_is_not_lost() {
    if engine().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sink = format!("kind = \"influxdb\"\nversion = 1\nurl = \"http://{nobody}\"\ndatabase = \"tick\"");
    let endpoint = configure(dir, &sink);
    let drained = loadgen(
        dir,
        &format!(
            "drain --feeds kraken_tick --rate 1000/s --duration 1s --endpoint {endpoint} --away --run t.toml --json \
             --settle 2s"
        ),
    );
    assert_eq!(drained.status.code(), Some(1), "{}", stderr(&drained));
    let report: Report = serde_json::from_slice(&drained.stdout).unwrap();
    assert_eq!((report.verdict, report.ledger.written), (Verdict::Fail, 0), "{:?}", report.reasons);
    let said = stderr(&drained);
    assert!(said.contains("backlog 1000 points after"), "{said}");
    assert!(said.contains("NOT WORKED OFF: 1000 of them still wait"), "{said}");
}

#[test]
fn a_configuration_that_the_engine_refuses_ends_with_78_and_its_words() {
    if engine().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("bad.toml"), "[feeds.kraken_tick]\nendpint = \"tcp://127.0.0.1:1\"\n").unwrap();
    for line in [
        "find-max --slo lost=0 --feeds kraken_tick --run bad.toml",
        "drain --feeds kraken_tick --duration 1s --run bad.toml",
        "drain --feeds kraken_tick --duration 1s --away --run bad.toml",
    ] {
        let output = loadgen(dir, line);
        assert_eq!(output.status.code(), Some(78), "{line}: {}", stderr(&output));
        assert!(stderr(&output).contains("bad.toml:2:1: "), "{line}: {}", stderr(&output));
    }
}

#[test]
fn a_signal_right_after_our_engine_was_started_leaves_no_engine_behind() {
    if engine().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let endpoint = configure(dir, "kind = \"null\"");
    let line = format!("find-max --slo lost=0 --feeds kraken_tick --endpoint {endpoint} --run t.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickline-loadgen"));
    let mut search = command.current_dir(dir).args(line.split_whitespace()).spawn().unwrap();
    let id = search.id();
    let engine = loop {
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        if let Some(engine) = children.split_whitespace().next() {
            break engine.to_owned();
        }
        std::thread::yield_now();
    };
    assert!(Command::new("kill").args(["-TERM", &id.to_string()]).status().unwrap().success());
    assert_eq!(search.wait().unwrap().code(), Some(1));
    assert!(!Path::new(&format!("/proc/{engine}")).exists(), "{engine} still runs");
}

#[test]
fn a_search_in_a_scenario_keeps_its_conditions_and_says_how_much_of_it_is_tried() {
    if engine().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let endpoint = configure(dir, "kind = \"null\"");
    let scenario = |fail_if: &str| {
        let feed = format!("[feeds.kraken_tick]\nrate = \"2/s\"\nendpoint = {endpoint:?}\n");
        std::fs::write(dir.join("s.toml"), format!("duration = \"3s\"\nfail_if = [{fail_if:?}]\n{feed}"))
            .unwrap();
    };
    let line = "find-max --slo lost=0 --scenario s.toml --max-rate 2/s --run t.toml --json";
    // Nothing is acknowledged within 1 µs: the scenario's condition breaks each trial.
    scenario("p50>1us");
    let found = loadgen(dir, &format!("{line} --trial 1s"));
    assert!(matches!(found.status.code(), Some(3 | 99)), "{}", stderr(&found));
    let certificate: Certificate = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!((certificate.slo.as_str(), certificate.capacity_per_s), ("lost=0,p50<=1us", 0.0));
    assert_eq!((certificate.trial_s, certificate.whole_s), (Some(1.0), Some(3.0)));
    assert!(stderr(&found).contains("a trial lasts 1s of the 3s of this load"), "{}", stderr(&found));
    scenario("lost=7");
    let refused = loadgen(dir, line);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("fail_if: must be an inequality"), "{}", stderr(&refused));
}

#[test]
fn what_cannot_be_searched_or_drained_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    configure(dir, "kind = \"null\"");
    for (line, code, said) in [
        (
            "find-max --slo lost=0 --feeds kraken_tick --rate max",
            2,
            "every feed must have a rate that can be scaled",
        ),
        ("find-max --slo p95<1ms --feeds kraken_tick", 2, "condition: metric must be one of"),
        ("find-max --slo lost=0 --feeds kraken_tick --precision 5", 2, "must be a share such as 5%"),
        ("find-max --slo lost=0 --feeds kraken_tick --target http://127.0.0.1:1", 1, "cannot be read"),
        ("certify --check none.json", 1, "none.json: "),
        ("drain --feeds kraken_tick", 2, "duration: must be given"),
        ("drain --feeds kraken_tick --duration 1s --away", 2, "away: must go with --run"),
        (
            "drain --feeds kraken_tick --duration 1s --away --run t.toml",
            2,
            "away: must have an InfluxDB sink",
        ),
        ("compare none.json t.toml", 1, "none.json: "),
        ("compare t.toml t.toml", 2, "t.toml: must be JSON"),
    ] {
        let output = loadgen(dir, line);
        assert_eq!(output.status.code(), Some(code), "{line}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{line}: {}", stderr(&output));
    }
}
