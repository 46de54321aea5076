//! Recorded Betfair files through the decoder and through the plain ladders. They lie outside the project:
//! `TICKLINE_RECORDINGS` names their folder.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::betfair_ladders::Pair;

fn recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("TICKLINE_RECORDINGS").map(PathBuf::from);
    if folder.is_none() {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "TICKLINE_RECORDINGS is not set");
        println!("skipped: TICKLINE_RECORDINGS not set");
    }
    folder
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

/// Gives every message of a file to both implementations; the first of each market that has no image is marked.
fn compare(path: &Path) -> Pair {
    let mut pair = Pair::new();
    let mut seen: Vec<String> = Vec::new();
    for line in read(path).lines().filter(|line| !line.trim().is_empty()) {
        let message: Value = serde_json::from_str(line).unwrap();
        if message["op"] != "mcm" {
            continue;
        }
        let changes = message["mc"].as_array().map_or(&[][..], Vec::as_slice);
        let of_image = message["ct"] == "SUB_IMAGE";
        let is_new = |change: &&Value| !seen.iter().any(|id| change["id"] == id.as_str());
        let new: Vec<&Value> = changes.iter().filter(is_new).collect();
        let first = !new.is_empty() && !of_image && new.iter().all(|change| change["img"] != true);
        seen.extend(new.iter().map(|change| change["id"].as_str().unwrap().to_owned()));
        pair.message(line, first);
    }
    pair
}

#[test]
fn every_message_of_the_flumine_files_leaves_both_ladders_alike() {
    let Some(folder) = recordings() else { return };
    for (name, messages) in [("1.200806927", 18_529), ("1.197931750", 166), ("BASIC-1.132153978", 480)] {
        let pair = compare(&folder.join(format!("betfair/flumine_{name}.jsonl.gz")));
        let counts = pair.rig.counts();
        assert_eq!((counts.frames, counts.undecodable_total()), (messages, 0), "{name}");
        assert_eq!((counts.timestamp_overflow, counts.bad_points), (0, 0), "{name}");
        assert!(pair.compared > 400, "{name}: {} points", pair.compared);
        println!("{name}: {messages} messages, {} runner points compared", pair.compared);
    }
}

#[test]
fn every_market_message_of_the_bflw_files_leaves_both_ladders_alike() {
    let Some(folder) = recordings() else { return };
    let entries = std::fs::read_dir(folder.join("betfair/bflw")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("streaming_mcm"));
    paths.sort();
    let compared: Vec<usize> = paths.iter().map(|path| compare(path).compared).collect();
    println!("{} files, runner points compared: {compared:?}", paths.len());
    assert!(paths.len() >= 7 && compared.iter().sum::<usize>() > 500, "{compared:?}");
}
