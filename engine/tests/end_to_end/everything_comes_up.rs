//! Promise: `tickline up` starts everything in order, keeps it running, says what does not work and why, and ends it in
//! order; nothing of it outlives it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;

use crate::dashboards_show_something::grafana;
use crate::influxd::{self, Influxd, Options};
use crate::program::{tickline, wait_for, with_sets};

/// Posts of a file, published, received and stored, on ports of its own.
fn sets(url: &str) -> Vec<String> {
    let [port, http] = [free_port(), free_port()];
    [
        "publishers.twitter_sentiment.source=\"file\"".to_owned(),
        "publishers.twitter_sentiment.path=\"posts.jsonl\"".to_owned(),
        format!("publishers.twitter_sentiment.endpoint=\"tcp://127.0.0.1:{port}\""),
        format!("feeds.twitter_sentiment.endpoint=\"tcp://127.0.0.1:{port}\""),
        format!("http.listen=\"127.0.0.1:{http}\""),
        "sinks.influx.kind=\"influxdb\"".to_owned(),
        "sinks.influx.version=1".to_owned(),
        format!("sinks.influx.url={url:?}"),
        "sinks.influx.database=\"tick\"".to_owned(),
        "up.restart_wait=\"10ms\"".to_owned(),
    ]
    .into()
}

/// One that nobody else had a moment ago: the engine and its publishers must be told of one before either runs.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A folder with a fifo of posts that nobody writes: a source that is there and silent.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("posts.jsonl"), "").unwrap();
    dir
}

fn status(dir: &Path, sets: &[String]) -> (Option<i32>, Value) {
    let output = tickline(dir, &["status", "--json"], sets);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

/// Whatever runs of it ends with the test, also with one that fails.
pub(crate) struct Down<'a>(pub(crate) &'a Path, pub(crate) &'a [String]);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        tickline(self.0, &["down"], self.1);
    }
}

fn service(status: &Value, name: &str) -> Value {
    let services = status["up"]["services"].as_array().unwrap();
    services.iter().find(|service| service["name"] == name).unwrap().clone()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn is_alive(pid: &Value) -> bool {
    // One that has ended and that nobody has asked for is a zombie: it does nothing any more.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn signal(pid: &Value, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

fn server() -> Option<Influxd> {
    influxd::start(Options::default())
}

#[test]
fn up_validates_ticks_from_end_to_end_and_down_leaves_nothing_running() {
    let Some(server) = server() else { return };
    let (dir, (grafana, store)) = (folder(), grafana());
    std::fs::write(dir.path().join("env"), "# for Grafana\nGRAFANA_LOGIN=right\n").unwrap();
    let mut sets = sets(&server.url);
    sets.push(format!("up.grafana={grafana:?}"));
    let _down = Down(dir.path(), &sets);
    let clock = OsClock::start();
    let up = tickline(dir.path(), &["--env-file", "env", "up", "--detach"], &sets);
    println!("up and validated after {:.1} s", clock.mono().0 as f64 / 1e9);
    assert_eq!(up.status.code(), Some(0), "{}", text(&up));
    assert!(!store.lock().unwrap().is_empty(), "no dashboards");
    let (code, seen) = status(dir.path(), &sets);
    let phases = seen["up"]["phases"].as_array().unwrap().iter();
    let phases: Vec<String> =
        phases.map(|of| format!("{} {}", of["name"], of["state"]).replace('"', "")).collect();
    let expected =
        ["containers skipped", "database ok", "publishers ok", "engine ok", "dashboards ok", "validation ok"];
    assert_eq!(
        (phases.iter().map(String::as_str).collect::<Vec<_>>(), code),
        (expected.to_vec(), Some(0)),
        "{seen:#}"
    );
    let pids = [service(&seen, "publishers")["pid"].clone(), service(&seen, "engine")["pid"].clone()];
    assert!(pids.iter().all(is_alive));
    // A dashboard that somebody has deleted is missed.
    store.lock().unwrap().retain(|path, _| !path.ends_with("/tickline-engine"));
    let validated = tickline(dir.path(), &["--env-file", "env", "validate"], &sets);
    assert_eq!(validated.status.code(), Some(5), "{}", text(&validated));
    assert!(text(&validated).contains("lacks tickline-engine: tickline dashboards provision"));
    let twice = tickline(dir.path(), &["up", "--detach"], &sets);
    assert!(text(&twice).contains("it is up already, as process"), "{}", text(&twice));
    let clock = OsClock::start();
    let down = tickline(dir.path(), &["down"], &sets);
    println!("down after {:.1} s", clock.mono().0 as f64 / 1e9);
    assert_eq!(down.status.code(), Some(0), "{}", text(&down));
    assert!(text(&down).contains("engine        ended (exit code 0)"), "{}", text(&down));
    assert!(!pids.iter().any(is_alive), "it outlives down");
    let again = tickline(dir.path(), &["down"], &sets);
    assert!(text(&again).contains("nothing is up in"), "{}", text(&again));
    let logs = tickline(dir.path(), &["logs", "engine", "publishers"], &sets);
    assert!(text(&logs).contains("engine     | "), "{}", text(&logs));
}

#[test]
fn a_child_that_is_killed_is_started_again_and_restart_gives_it_another_process() {
    let Some(server) = server() else { return };
    let (dir, sets) = (folder(), sets(&server.url));
    let _down = Down(dir.path(), &sets);
    assert_eq!(tickline(dir.path(), &["up", "--detach"], &sets).status.code(), Some(0));
    let first = service(&status(dir.path(), &sets).1, "engine");
    signal(&first["pid"], "-KILL");
    let second = wait_for("another engine", || {
        let seen = service(&status(dir.path(), &sets).1, "engine");
        (seen["state"] == "running" && seen["pid"] != first["pid"]).then_some(seen)
    });
    assert_eq!(second["restarts"], 1);
    let restarted = tickline(dir.path(), &["restart", "engine"], &sets);
    assert_eq!(restarted.status.code(), Some(0), "{}", text(&restarted));
    let third = service(&status(dir.path(), &sets).1, "engine");
    assert_ne!(third["pid"], second["pid"]);
    assert_eq!(third["restarts"], 1, "one that was asked for does not count");
    let unknown = tickline(dir.path(), &["restart", "engin"], &sets);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        text(&unknown).contains("no service is called engin, there are publishers, engine"),
        "{}",
        text(&unknown)
    );
    assert_eq!(tickline(dir.path(), &["down"], &sets).status.code(), Some(0));
}

#[test]
fn services_do_not_outlive_a_supervisor_that_is_killed() {
    let Some(server) = server() else { return };
    let (dir, sets) = (folder(), sets(&server.url));
    let _down = Down(dir.path(), &sets);
    assert_eq!(tickline(dir.path(), &["up", "--detach"], &sets).status.code(), Some(0));
    let seen = status(dir.path(), &sets).1;
    let pids = [service(&seen, "publishers")["pid"].clone(), service(&seen, "engine")["pid"].clone()];
    signal(&seen["up"]["pid"], "-KILL");
    wait_for("the end of the services", || (!pids.iter().any(is_alive)).then_some(()));
    // What it has left is in nobody's way.
    assert_eq!(tickline(dir.path(), &["up", "--detach"], &sets).status.code(), Some(0));
    assert_eq!(tickline(dir.path(), &["down"], &sets).status.code(), Some(0));
}

#[test]
fn ctrl_c_ends_everything_in_order() {
    let Some(server) = server() else { return };
    let (dir, sets) = (folder(), sets(&server.url));
    let _down = Down(dir.path(), &sets);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickline"));
    command.current_dir(dir.path()).arg("up").stdout(Stdio::piped()).stderr(Stdio::piped());
    with_sets(&mut command, &sets);
    let child = command.spawn().unwrap();
    wait_for("it is up", || {
        let output = tickline(dir.path(), &["status", "--json"], &sets);
        let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
        (seen["up"]["phases"][5]["state"] == "ok").then_some(())
    });
    signal(&Value::from(child.id()), "-INT");
    let ended = child.wait_with_output().unwrap();
    let said = text(&ended);
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert!(said.contains("\nup after "), "{said}");
    assert!(said.contains("down  engine        ended (exit code 0)"), "{said}");
}

/// Fails, in that phase, with that cause; nothing of it stays.
fn refused(dir: &Path, sets: &[String], cause: &str) {
    let output = tickline(dir, &["up", "--detach"], sets);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains(cause), "{cause}: {}", text(&output));
    assert!(text(&output).contains("what was started has been ended again"), "{}", text(&output));
    assert!(text(&tickline(dir, &["down"], sets)).contains("nothing is up in"));
}

#[test]
fn a_phase_that_fails_says_why_and_takes_back_what_was_started() {
    let Some(server) = server() else { return };
    let dir = folder();
    let with = |url: &str, further: &[&str]| {
        [sets(url), further.iter().map(|set| (*set).to_owned()).collect()].concat()
    };
    let soon = "phases.database.deadline=\"1s\"";
    refused(
        dir.path(),
        &with("http://127.0.0.1:1", &[soon]),
        "database: sinks.influx: http://127.0.0.1:1: must be reachable",
    );
    let dies = "services.mine.command=[\"sh\", \"-c\", \"echo no luck; exit 3\"]";
    refused(
        dir.path(),
        &with(&server.url, &[dies]),
        "publishers: mine: given up, it ended again and again (exit code 3: no luck)",
    );
    let nowhere = "services.mine.command=[\"/nowhere\"]";
    refused(
        dir.path(),
        &with(&server.url, &[nowhere]),
        "publishers: mine: given up, it ended again and again (/nowhere: No such file",
    );
    let deaf = [
        "services.mine.command=[\"sleep\", \"1000\"]",
        "services.mine.ready=\"tcp://127.0.0.1:1\"",
        "phases.publishers.deadline=\"1s\"",
    ];
    refused(
        dir.path(),
        &with(&server.url, &deaf),
        "publishers: mine: tcp://127.0.0.1:1: nobody has shaken hands",
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("http.listen=\"{}\"", taken.local_addr().unwrap());
    refused(
        dir.path(),
        &with(&server.url, &[&listen]),
        "engine: given up (exit code 78: tickline: http.listen",
    );
}

#[test]
fn what_runs_stays_if_it_shall_and_status_says_what_does_not() {
    let Some(server) = server() else { return };
    let (dir, mut sets) = (folder(), sets(&server.url));
    sets.push("services.mine.command=[\"false\"]".into());
    sets.push("services.mine.phase=\"engine\"".into());
    let _down = Down(dir.path(), &sets);
    let up = tickline(dir.path(), &["up", "--detach", "--keep-on-failure"], &sets);
    assert_eq!(up.status.code(), Some(1), "{}", text(&up));
    assert!(text(&up).contains("what runs is left running: tickline down ends it"), "{}", text(&up));
    let (_, seen) = status(dir.path(), &sets);
    assert_eq!(service(&seen, "mine")["state"], "failed");
    assert_eq!(service(&seen, "engine")["state"], "running");
    let said = text(&tickline(dir.path(), &["status"], &sets));
    assert!(
        said.contains("given up, it ended again and again (exit code 1): see tickline logs mine"),
        "{said}"
    );
    let listen = sets.iter().find_map(|set| set.strip_prefix("http.listen=")).unwrap();
    let url = format!("http://{}", listen.trim_matches('"'));
    wait_for("the engine tells of it, too", || {
        let health = tickline(dir.path(), &["health", "--url", &url], &[]);
        let tells = ["services.mine", "given up", "tickline restart mine"];
        (health.status.code() == Some(1) && tells.iter().all(|part| text(&health).contains(part)))
            .then_some(())
    });
    assert_eq!(tickline(dir.path(), &["down"], &sets).status.code(), Some(0));
}

#[test]
fn one_that_does_not_end_is_killed_with_all_that_it_has_started() {
    let Some(server) = server() else { return };
    let (dir, mut sets) = (folder(), sets(&server.url));
    let stubborn = "trap '' TERM; sleep 1000 & echo $! >kid; while :; do wait; done";
    sets.push(format!("services.stubborn.command=[\"bash\", \"-c\", {stubborn:?}]"));
    sets.push("services.wrapper.command=[\"bash\", \"-c\", \"sleep 1000 & echo $! >kid2; wait\"]".into());
    sets.push("up.stop_timeout=\"4s\"".into());
    let _down = Down(dir.path(), &sets);
    assert_eq!(tickline(dir.path(), &["up", "--detach"], &sets).status.code(), Some(0));
    let kid = |name: &str| {
        let read = || std::fs::read_to_string(dir.path().join(name)).ok()?.trim().parse::<u32>().ok();
        Value::from(wait_for("its child", read))
    };
    let kids = [kid("kid"), kid("kid2")];
    assert!(kids.iter().all(is_alive));
    let restarted = tickline(dir.path(), &["restart"], &sets);
    assert_eq!(restarted.status.code(), Some(0), "{}", text(&restarted));
    wait_for("the end of their children", || (!kids.iter().any(is_alive)).then_some(()));
    let down = tickline(dir.path(), &["down"], &sets);
    // The engine has ended as it should; the other had to be killed.
    assert_eq!(down.status.code(), Some(1), "{}", text(&down));
    assert!(text(&down).contains("stubborn      ended (signal 9)"), "{}", text(&down));
    assert!(text(&down).contains("engine        ended (exit code 0)"), "{}", text(&down));
}

#[test]
fn an_engine_that_hangs_is_killed_and_started_again() {
    let Some(server) = server() else { return };
    let (dir, sets) = (folder(), sets(&server.url));
    let _down = Down(dir.path(), &sets);
    assert_eq!(tickline(dir.path(), &["up", "--detach"], &sets).status.code(), Some(0));
    let first = service(&status(dir.path(), &sets).1, "engine");
    signal(&first["pid"], "-STOP");
    let second = wait_for("another engine", || {
        let seen = service(&status(dir.path(), &sets).1, "engine");
        (seen["state"] == "running" && seen["pid"] != first["pid"]).then_some(seen)
    });
    assert_eq!(second["restarts"], 1);
    let logs = std::fs::read_to_string(dir.path().join("tickline-data/logs/up.log")).unwrap();
    assert!(logs.contains("engine: says nothing for 30 s and is killed"), "{logs}");
    assert_eq!(tickline(dir.path(), &["down"], &sets).status.code(), Some(0));
}

#[test]
fn a_venue_that_is_away_is_told_while_everything_runs() {
    let Some(server) = server() else { return };
    let (dir, mut sets) = (folder(), sets(&server.url));
    let bus = format!("endpoint=\"ipc://{}\"", dir.path().join("bus").display());
    sets.extend(["publishers", "feeds"].map(|of| format!("{of}.kraken_tick.{bus}")));
    sets.push("publishers.kraken_tick.symbols=[\"BTC/USD\"]".into());
    sets.extend(
        ["url=\"ws://127.0.0.1:1\"", "rest_url=\"http://127.0.0.1:1\""]
            .map(|key| format!("publishers.kraken_tick.{key}")),
    );
    let _down = Down(dir.path(), &sets);
    let up = tickline(dir.path(), &["up", "--detach"], &sets);
    assert_eq!(up.status.code(), Some(0), "{}", text(&up));
    wait_for("it is told", || {
        let health = text(&tickline(dir.path(), &["health"], &sets));
        let tells = [
            "services.publishers",
            "publishers.kraken_tick",
            "Connection refused",
            "tickline logs publishers",
        ];
        tells.iter().all(|part| health.contains(part)).then_some(())
    });
    let shown = text(&tickline(dir.path(), &["status"], &sets));
    assert!(shown.contains("degraded  publishers"), "{shown}");
}

#[test]
fn it_can_be_told_to_end_while_a_phase_waits() {
    let (dir, mut sets) = (folder(), sets("http://127.0.0.1:1"));
    sets.push("phases.database.deadline=\"10m\"".into());
    let _down = Down(dir.path(), &sets);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickline"));
    command.current_dir(dir.path()).args(["up", "--detach"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    with_sets(&mut command, &sets);
    let up = command.spawn().unwrap();
    wait_for("it tries", || {
        let seen = status(dir.path(), &sets).1;
        (seen["up"]["phases"][1]["state"] == "running").then_some(())
    });
    let down = tickline(dir.path(), &["down"], &sets);
    assert_eq!(down.status.code(), Some(0), "{}", text(&down));
    let said = up.wait_with_output().unwrap();
    assert!(text(&said).contains("told to end; what was started has been ended again"), "{}", text(&said));
}

#[test]
fn containers_start_first_and_end_last_and_only_those_of_this_run_are_taken_back() {
    let Some(server) = server() else { return };
    let dir = folder();
    // No Docker here: a program of this name that notes what it is asked, and says that what was started runs.
    let docker = dir.path().join("docker");
    std::fs::write(
        &docker,
        "#!/bin/sh\nshift 3\necho \"$*\" >>asked\ncase $1 in\nup) echo \"$3\" >>started ;;\nps) for name in $(cat started); do \
         echo \"{\\\"Service\\\":\\\"$name\\\",\\\"State\\\":\\\"running\\\",\\\"Health\\\":\\\"\\\"}\"; done ;;\nesac\n",
    )
    .unwrap();
    std::fs::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Grafana runs already.
    std::fs::write(dir.path().join("started"), "grafana\n").unwrap();
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let run = |args: &[&str], sets: &[String]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickline"));
        command.current_dir(dir.path()).env("PATH", &path).args(args);
        with_sets(&mut command, sets);
        command.output().unwrap()
    };
    let asked = || std::fs::read_to_string(dir.path().join("asked")).unwrap();
    let ps = "ps --all --format json\n";
    let unreachable = [sets("http://127.0.0.1:1"), vec!["phases.database.deadline=\"1s\"".into()]].concat();
    let failed = run(&["up", "--runtime", "docker"], &unreachable);
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
    assert!(asked().starts_with(&format!("{ps}up --detach influxdb\n{ps}stop --timeout ")), "{}", asked());
    assert_eq!(asked().lines().last().unwrap().rsplit(' ').next(), Some("influxdb"), "{}", asked());
    std::fs::write(dir.path().join("asked"), "").unwrap();
    let sets = sets(&server.url);
    let _down = Down(dir.path(), &sets);
    let up = run(&["up", "--detach", "--runtime", "docker"], &sets);
    assert_eq!(up.status.code(), Some(0), "{}", text(&up));
    let shown = run(&["status"], &[sets.clone(), vec!["up.runtime=\"docker\"".into()]].concat());
    assert!(text(&shown).contains("containers.influxdb"), "{}", text(&shown));
    assert_eq!(run(&["down"], &sets).status.code(), Some(0));
    let stopped: Vec<String> =
        asked().lines().filter(|line| line.starts_with("stop")).map(str::to_owned).collect();
    let names: Vec<&str> = stopped.iter().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(names, ["grafana", "influxdb"]);
}
