//! The binary's promises to scripts: exit codes, and nothing but the report on stdout.

use std::io::{Read, Write};
use std::process::{Command, Output};

use tickline_config::report::{Report, Verdict};
use tickline_loadgen::plan::{FeedLoad, LoadPlan, Rate};
use tickline_loadgen::run::write_capture;

fn loadgen(line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tickline-loadgen")).args(line.split(' ')).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_wrong_command_line_ends_with_2_and_the_rule() {
    for (line, rule) in [
        ("run --feeds nonsense", "feed: must be one of kraken_trades,"),
        ("run --feeds kraken_tick --rate 5000", "rate: must be a number above 0 with /s"),
        (
            "run --feeds kraken_tick --endpoint oanda_tick=tcp://127.0.0.1:*",
            "endpoint: must be of a feed that is published",
        ),
        ("run --scenario nonsense", "scenario: must be a file or one of steady,"),
        ("run --feeds kraken_tick --arrivals sometimes", "must be even, venue, or a burst such as burst=60"),
        ("run --feeds kraken_tick --rate 0/s", "rate: must be a number above 0 with /s"),
        ("run --feeds kraken_tick --fail-if p95>1ms", "condition: metric must be one of sent, rate,"),
        (
            "run --feeds kraken_tick --no-wait --target none --fail-if p99>1ms",
            "p99>1ms: must have a target, found --target none",
        ),
        (
            "run --feeds kraken_tick --rate max --no-wait --target none --fail-if send.p99>1ms",
            "send.p99>1ms: must have a schedule, found the rate max: nothing is due",
        ),
        ("run --feeds kraken_tick --target ftp://x", "target: must be an http:// address or none"),
        ("replay x --feed oanda_tick --time yesterday", "must be original, now or a shift"),
    ] {
        let output = loadgen(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(stderr(&output).contains(rule), "{}", stderr(&output));
    }
}

#[test]
fn nobody_subscribing_ends_with_1_and_names_the_endpoint() {
    let output = loadgen(
        "run --feeds kraken_tick --target none --endpoint kraken_tick=tcp://127.0.0.1:* --wait-timeout 10ms",
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("nobody has subscribed within 0 s: kraken_tick at tcp://127.0.0.1:"),
        "{}",
        stderr(&output)
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn the_report_stands_alone_on_stdout_and_its_verdict_is_the_exit_code() {
    let output = loadgen(
        "run --feeds kraken_tick,oanda_tick --rate 1000/s --duration 100ms --no-wait --target none --json --endpoint \
         kraken_tick=tcp://127.0.0.1:* --endpoint oanda_tick=tcp://127.0.0.1:*",
    );
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report.command.as_str(), report.schema.as_str()), ("loadgen run", "tickline.report/1"));
    assert_eq!((report.load.planned, report.load.sent, report.ledger.published), (200, 200, Some(200)));
    assert_eq!(report.feeds.keys().collect::<Vec<_>>(), ["kraken_tick", "oanda_tick"]);
    let code = if report.verdict == Verdict::Pass { 0 } else { 3 };
    assert_eq!(output.status.code(), Some(code), "{:?}", report.reasons);
}

#[test]
fn a_named_target_that_does_not_answer_ends_with_1_before_anything_is_sent() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = loadgen(&format!("run --feeds kraken_tick --no-wait --target http://{free} --json"));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains(&format!("target http://{free}/: cannot be read: ")),
        "{}",
        stderr(&output)
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn a_named_target_that_goes_away_ends_with_1_and_the_report_says_that_its_figures_are_missing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let json = serde_json::to_string(&Report::default()).unwrap();
    let one_answer = move || {
        let (mut client, _) = listener.accept().unwrap();
        let _ = client.read(&mut [0; 4_096]).unwrap();
        let length = json.len();
        write!(client, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{json}")
            .unwrap();
    };
    let line = format!(
        "run --feeds kraken_tick --rate 1000/s --duration 100ms --no-wait --endpoint tcp://127.0.0.1:* --json \
         --target http://{address}"
    );
    let output = std::thread::scope(|threads| {
        threads.spawn(one_answer);
        loadgen(&line)
    });
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report.load.sent, report.verdict, report.target), (100, Verdict::Fail, None));
    let last = report.reasons.last().unwrap();
    assert!(last.starts_with("the engine's figures are missing: target http://"), "{last}");
}

#[test]
fn a_crossed_threshold_ends_with_99_and_stands_in_the_report() {
    let run = "run --feeds kraken_tick --rate 1000/s --duration 100ms --no-wait --target none --json --endpoint \
               tcp://127.0.0.1:* --fail-if sent>99 --fail-if sent>1000 --fail-if rate<1/s";
    let output = loadgen(run);
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    let crossed: Vec<(&str, bool)> =
        report.thresholds.iter().map(|threshold| (threshold.condition.as_str(), threshold.crossed)).collect();
    assert_eq!(crossed, [("sent>99", true), ("sent>1000", false), ("rate<1/s", false)]);
    // An invalid run is no result: that outranks its thresholds.
    let code = if report.verdict == Verdict::Pass { 99 } else { 3 };
    assert_eq!(output.status.code(), Some(code), "{:?}", report.reasons);
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_the_run_and_folders_are_made_for_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("file"), "").unwrap();
    for option in ["html", "csv", "hdr", "report"] {
        let path = at("file/below");
        let output = loadgen(&format!("run --feeds kraken_tick --target none --{option} {path}"));
        assert_eq!(output.status.code(), Some(1), "{option}");
        assert!(stderr(&output).contains(&path) && output.stdout.is_empty(), "{}", stderr(&output));
    }
    let (report, page) = (at("new/report.json"), at("new/deep/page.html"));
    let output = loadgen(&format!(
        "run --feeds kraken_tick --rate 1000/s --duration 100ms --no-wait --target none --endpoint tcp://127.0.0.1:* \
         --report {report} --html {page}"
    ));
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", stderr(&output));
    let written: Report = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(written.load.sent, 100);
    assert!(std::fs::read_to_string(page).unwrap().starts_with("<!doctype html>"));
}

#[test]
fn a_disk_that_is_full_takes_neither_the_report_nor_the_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("seconds.csv");
    let output = loadgen(&format!(
        "run --feeds kraken_tick --rate 1000/s --duration 100ms --no-wait --target none --endpoint tcp://127.0.0.1:* \
         --report /dev/full --html /dev/full --csv {}",
        csv.display()
    ));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/dev/full: No space left on device"), "{}", stderr(&output));
    assert!(String::from_utf8(output.stdout).unwrap().contains("planned 100, sent 100"));
    assert!(std::fs::read_to_string(csv).unwrap().starts_with("at_s,sent_per_s,"));
}

#[test]
fn a_torn_capture_is_replayed_up_to_the_tear_and_ends_with_1_and_how_much_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made");
    let feed = FeedLoad::new("kraken_tick", "", Rate::PerSecond(1_000.0)).unwrap();
    write_capture(&LoadPlan { feeds: vec![feed], ..LoadPlan::default() }, &[10], &path).unwrap();
    let line =
        format!("replay {} --no-wait --target none --json --endpoint tcp://127.0.0.1:*", path.display());
    let replayed = |code: &[i32]| {
        let output = loadgen(&line);
        assert!(code.contains(&output.status.code().unwrap()), "{}", stderr(&output));
        serde_json::from_slice::<Report>(&output.stdout).unwrap()
    };
    assert_eq!(replayed(&[0, 3]).load.sent, 10);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    let report = replayed(&[1]);
    assert_eq!((report.load.sent, report.verdict), (9, Verdict::Fail));
    let said = report.reasons.last().unwrap();
    assert!(said.ends_with(" bytes behind the last whole record of torn captures were not sent"), "{said}");
}

#[test]
fn a_metric_that_the_head_does_not_have_ends_a_comparison_with_1_and_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, run: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, run.repeat(3)).unwrap();
        path.display().to_string()
    };
    let base = file("base", r#"{"benches":{"a":1,"b":2}}"#);
    let head = file("head", r#"{"benches":{"a":1}}"#);
    let compared = loadgen(&format!("compare {base} {head}"));
    let said = String::from_utf8(compared.stdout).unwrap();
    assert_eq!(compared.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("b: MISSING, 3 runs of {base} have it, 0 of {head}")), "{said}");
    let turned = loadgen(&format!("compare {head} {base}"));
    let said = String::from_utf8(turned.stdout).unwrap();
    assert_eq!(
        (turned.status.code(), said.contains(&format!("b: only in {base}"))),
        (Some(0), true),
        "{said}"
    );
}

#[test]
fn a_missing_recording_ends_with_1_and_its_name() {
    let output = loadgen("replay /nowhere/a.json --feed oanda_tick --no-wait --endpoint tcp://127.0.0.1:*");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("tickline-loadgen: /nowhere/a.json: "), "{}", stderr(&output));
}
