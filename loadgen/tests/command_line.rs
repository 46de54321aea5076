//! The binary's promises to scripts: exit codes, and nothing but the report on stdout.

use std::process::{Command, Output};

use tickline_config::report::{Report, Verdict};

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
            "endpoint: must be of a feed of --feeds",
        ),
        ("replay x --feed oanda_tick --time yesterday", "must be original, now or a shift"),
    ] {
        let output = loadgen(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(stderr(&output).contains(rule), "{}", stderr(&output));
    }
}

#[test]
fn nobody_subscribing_ends_with_1_and_names_the_endpoint() {
    let output =
        loadgen("run --feeds kraken_tick --endpoint kraken_tick=tcp://127.0.0.1:* --wait-timeout 10ms");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("kraken_tick: nobody has subscribed at tcp://127.0.0.1:"),
        "{}",
        stderr(&output)
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn the_report_stands_alone_on_stdout_and_its_verdict_is_the_exit_code() {
    let output = loadgen(
        "run --feeds kraken_tick,oanda_tick --rate 1000/s --duration 100ms --no-wait --json --endpoint \
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
fn a_missing_recording_ends_with_1_and_its_name() {
    let output = loadgen("replay /nowhere/a.json --feed oanda_tick --no-wait --endpoint tcp://127.0.0.1:*");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("tickline-loadgen: /nowhere/a.json: "), "{}", stderr(&output));
}
