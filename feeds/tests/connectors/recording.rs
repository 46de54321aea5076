//! Recorded connections: text frames and when they came.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use flate2::read::GzDecoder;

/// Time in ns and text of each frame of one of Kraken's recordings; none where there are no recordings.
pub(crate) fn recording(name: &str) -> Option<Vec<(i64, String)>> {
    let folder = std::env::var_os("TICKLINE_RECORDINGS")?;
    let file = std::fs::File::open(PathBuf::from(folder).join("kraken").join(name)).unwrap();
    let mut reader = BufReader::new(GzDecoder::new(file));
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut frames = Vec::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).unwrap() == 0 {
            return Some(frames);
        }
        let (time_ns, bytes) = line.trim().split_once(' ').unwrap();
        let mut frame = vec![0; bytes.parse::<usize>().unwrap() + 1];
        reader.read_exact(&mut frame).unwrap();
        frame.pop();
        frames.push((time_ns.parse().unwrap(), String::from_utf8(frame).unwrap()));
    }
}
