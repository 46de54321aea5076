//! A process that is killed while it writes Parquet leaves only whole files and hidden ones: whatever was
//! committed can be read, and the next start removes the rest.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use tickline_config::model;
use tickline_sinks::parquet::ParquetSink;
use tickline_sinks::sink::{Outcome, Request, Sink};

const ROWS: u64 = 500;
/// `time pair v s`
const COLUMNS: u64 = 4;
const VICTIM_DIR: &str = "TICKLINE_TEST_VICTIM_DIR";

fn sink(dir: &Path, started_ns: i64) -> ParquetSink {
    let settings = model::Parquet {
        dir: dir.to_owned(),
        file_bytes_max: 4096,
        file_age_max: Duration::from_secs(60),
        held_bytes_max: 1 << 20,
        open_files_max: 8,
    };
    ParquetSink::open("files", "victim", started_ns, &settings).unwrap()
}

fn request(batch: u64) -> Request {
    let line = |n: u64| {
        let time = batch * ROWS + n;
        format!(
            "m{},pair=P{} v={n},s=\"{:x}\" {time}\n",
            n % 4,
            n % 7,
            time.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        )
    };
    Request { lines: Bytes::from((0..ROWS).map(line).collect::<String>()), points: ROWS }
}

/// What the killed process does: writes for ever, commits every third request and says so.
fn be_the_victim(dir: &Path) {
    let mut sink = sink(dir, 1);
    for batch in 0.. {
        assert_eq!(sink.write(&request(batch)), Outcome::Held);
        if batch % 3 == 2 {
            assert_eq!(sink.commit(), Outcome::accepted());
            println!("committed {}", (batch + 1) * ROWS);
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let below = |dir: &Path| std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    let folders = |dir: &Path| below(dir).into_iter().filter(|p| p.is_dir()).collect::<Vec<_>>();
    folders(dir).iter().flat_map(|m| folders(m)).flat_map(|day| below(&day)).collect()
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn rows_of_named_files(dir: &Path) -> u64 {
    let rows = |path: &PathBuf| {
        let reader = SerializedFileReader::new(File::open(path).unwrap()).expect("a whole file");
        reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.expect("a whole row").len() as u64 / COLUMNS)
            .sum::<u64>()
    };
    files(dir).iter().filter(|path| !hidden(path)).map(rows).sum()
}

#[test]
fn after_a_kill_only_whole_files_have_names() {
    if let Some(dir) = std::env::var_os(VICTIM_DIR) {
        be_the_victim(Path::new(&dir));
    }
    // Killed after different amounts of work, so at different points of writing and committing.
    for commits in [1, 2, 5, 9] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["after_a_kill_only_whole_files_have_names", "--exact", "--nocapture"])
            .env(VICTIM_DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let last = said.filter(|line| line.contains("committed")).nth(commits - 1).unwrap();
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        let committed: u64 = last.split_whitespace().last().unwrap().parse().unwrap();
        let stored = rows_of_named_files(dir.path());
        assert!(stored >= committed, "{stored} rows in files, {committed} committed");
        drop(sink(dir.path(), 2));
        assert!(
            !files(dir.path()).iter().any(|path| hidden(path)),
            "hidden files are removed at the next start"
        );
        assert_eq!(rows_of_named_files(dir.path()), stored);
    }
}
