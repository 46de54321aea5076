//! Promise: the queries of docs/QUERIES.md answer what they say, on InfluxDB and on Parquet files alike. The expected
//! answers are computed in Python from the raw data.

use std::path::Path;
use std::process::Command;

use crate::influxd::{self, Options};

#[test]
fn every_query_of_the_page_answers_as_the_raw_data_say() {
    let Ok(python) = std::env::var("TICKLINE_PYTHON") else {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "TICKLINE_PYTHON is not set");
        println!("skipped: TICKLINE_PYTHON not set");
        return;
    };
    let Some(server) = influxd::start(Options::default()) else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let run = |script: &str, further: &[&str]| {
        let mut command = Command::new(&python);
        command.current_dir(folder.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(root.join("tests/queries").join(script)).args([
            "--influx",
            &server.url,
            "--parquet",
            "points",
        ]);
        let output = command.args(further).output().unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{script}: {said}");
        println!("{said}");
    };
    run("dataset.py", &["--tickline", env!("CARGO_BIN_EXE_tickline")]);
    let page = root.join("../docs/QUERIES.md");
    run("run_queries.py", &["--page", page.to_str().unwrap()]);
}
