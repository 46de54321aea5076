//! Promise: the commands that look at the bus show what is on it: `codec` loses no digit, `kraken pairs` lists what the venue
//! lists, `publish` of a file says each post once with its score, and `tap` shows points or messages.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::program::tickline;

/// The program with a text on its standard input.
fn with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickline"));
    let mut child =
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("its input").write_all(input).expect("it reads");
    child.wait_with_output().expect("its end")
}

#[test]
fn json_becomes_msgpack_and_comes_back_digit_by_digit() {
    let json = br#"{"symbol":"BTC/USD","bid":63388.70,"levels":[[1,2.50],null],"halted":false}"#;
    let packed = with_input(&["codec", "json2mp"], json);
    assert!(packed.status.success() && packed.stdout.len() < json.len());
    let back = with_input(&["codec", "mp2json"], &packed.stdout);
    let expected = r#"{"symbol":"BTC/USD","bid":"63388.70","levels":[["1","2.50"],null],"halted":false}"#;
    assert_eq!(String::from_utf8_lossy(&back.stdout).trim(), expected);
    let floats = with_input(&["codec", "json2mp", "--float64"], br#"{"bid":1.5}"#);
    let back = with_input(&["codec", "mp2json"], &floats.stdout);
    assert_eq!(String::from_utf8_lossy(&back.stdout).trim(), r#"{"bid":1.5}"#);
    for (command, broken) in [("json2mp", &b"{\"a\":}"[..]), ("mp2json", b"\xc1")] {
        assert_eq!(with_input(&["codec", command], broken).status.code(), Some(1), "{command}");
    }
}

const SINK: &str = "sinks.f={kind=\"file\",path=\"x.lp\"}";

#[test]
fn kraken_pairs_lists_names_of_an_answer_and_unknown_names() {
    let dir = tempfile::tempdir().unwrap();
    let answer = r#"{"error":[],"result":{"XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","pair_decimals":1,"lot_decimals":8}}}"#;
    std::fs::write(dir.path().join("pairs.json"), answer).unwrap();
    let listed = tickline(dir.path(), &["kraken", "pairs", "--file", "pairs.json", "--csv"], &[]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert_eq!(text, "rest_name,altname,wsname,base,quote\nXXBTZUSD,XBTUSD,XBT/USD,BTC,USD\n");
    let unknown = tickline(dir.path(), &["kraken", "pairs", "--unknown", "XXBTZUSD", "NOSUCHPAIR"], &[]);
    assert_eq!(String::from_utf8_lossy(&unknown.stdout), "NOSUCHPAIR\n");
    std::fs::write(dir.path().join("kraken.csv"), text).unwrap();
    std::fs::write(
        dir.path().join("odd.csv"),
        "rest_name,altname,wsname,base,quote\nNEWUSD,NEWUSD,NEW/USD\n",
    )
    .unwrap();
    let check = |file: &str| {
        let sets = [format!("engine.kraken_pairs={file:?}"), "feeds.kraken_tick={}".into(), SINK.to_owned()];
        let done =
            tickline(dir.path(), &["check", "--set", &sets[0], "--set", &sets[1], "--set", &sets[2]], &[]);
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    assert_eq!(check("kraken.csv").0, Some(0), "{:?}", check("kraken.csv"));
    let (code, said) = check("odd.csv");
    assert_eq!(code, Some(78));
    assert!(said.contains("engine.kraken_pairs: odd.csv: line 2: must be rest_name"), "{said}");
    std::fs::write(dir.path().join("refused.json"), r#"{"error":["EAPI:Rate limit exceeded"]}"#).unwrap();
    let refused = tickline(dir.path(), &["kraken", "pairs", "--file", "refused.json"], &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("AssetPairs: EAPI:Rate limit exceeded"));
}

#[test]
fn a_file_of_posts_is_scored_and_a_tap_shows_points_and_messages() {
    let dir = tempfile::tempdir().unwrap();
    let bus = format!("ipc://{}", dir.path().join("bus").display());
    let posts = "{\"id\":\"1\",\"text\":\"Bitcoin is GREAT today!!!\"}\n{\"id\":\"2\",\"text\":\"nothing of it\"}\nbroken\n";
    std::fs::write(dir.path().join("posts.jsonl"), posts).unwrap();
    let tap = |json: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickline"));
        command.args(["tap", "twitter_sentiment", "--endpoint", &bus, "--count", "1", "--duration", "60s"]);
        command.args((!json.is_empty()).then_some(json));
        command.stdout(Stdio::piped()).spawn().expect("it starts")
    };
    let (points, messages) = (tap(""), tap("--json"));
    let sets = [
        "source=\"file\"".to_owned(),
        "path=\"posts.jsonl\"".to_owned(),
        format!("endpoint={bus:?}"),
        "rules={ bitcoin = \"bitcoin, btc\" }".to_owned(),
    ];
    let sets: Vec<String> = sets.iter().map(|set| format!("publishers.twitter_sentiment.{set}")).collect();
    // Two subscribers come within their first attempts to connect; heartbeats show the last number to who is later.
    let published = tickline(dir.path(), &["publish", "sentiment", "--json", "--duration", "4s"], &sets);
    let report: serde_json::Value = serde_json::from_slice(&published.stdout).unwrap();
    let counts = &report["twitter_sentiment"]["counts"];
    let of = |name: &str| counts[name].as_u64().unwrap();
    assert_eq!((of("published"), of("unmatched"), of("malformed")), (1, 1, 1), "{report}");
    let points = String::from_utf8(points.wait_with_output().unwrap().stdout).unwrap();
    let messages = String::from_utf8(messages.wait_with_output().unwrap().stdout).unwrap();
    assert!(points.contains("twitter_sentiment"), "{points}");
    assert!(messages.starts_with("twitter_sentiment {"), "{messages}");
}
