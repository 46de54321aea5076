//! Dead letters: lines that a database has refused for good, with its words, in a file a sink. Bounded; what does
//! not fit is only counted.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::rfc3339;
use tickline_sinks::sink::{Outcome, Request};

/// Ending of the files.
pub const ENDING: &str = "lp";

/// The dead letters of one sink.
#[derive(Debug)]
pub struct Rejects {
    path: PathBuf,
    bytes_max: u64,
}

/// The folder in a state folder.
pub fn rejects_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("rejects")
}

impl Rejects {
    /// Those of a sink; nothing is made until there is one.
    pub fn new(state_dir: &Path, sink: &str, bytes_max: u64) -> Self {
        let path = rejects_dir(state_dir).join(format!("{sink}.{ENDING}"));
        Self { path, bytes_max }
    }

    /// Keeps lines with the reason and the server's words; false if there is no room. The file is opened each time, under
    /// a lock: another process may take it away to send what is in it.
    pub fn keep(&self, now: WallNanos, reason: &str, words: &str, lines: &[u8]) -> io::Result<bool> {
        let words = words.replace(['\n', '\r'], " ");
        let mut text = format!("# {} {reason}: {words}\n", rfc3339(now, 0)).into_bytes();
        text.extend_from_slice(lines);
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let _lock = lock(dir)?;
        let mut file = File::options().create(true).append(true).open(&self.path)?;
        let length = file.metadata()?.len();
        if length + text.len() as u64 > self.bytes_max {
            return Ok(false);
        }
        // Half a line must not be taken for one.
        file.write_all(&text).inspect_err(|_| file.set_len(length).unwrap_or_default())?;
        Ok(true)
    }
}

/// Takes the folder of dead letters, made if it is not there, until the file is dropped.
pub fn lock(dir: &Path) -> io::Result<File> {
    fs::create_dir_all(dir)?;
    let file = File::options().create(true).append(true).open(dir.join("LOCK"))?;
    file.lock()?;
    Ok(file)
}

/// The lines of a file of dead letters, without the words between them.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

/// The lines of a request that the server names as refused, or all of them.
pub fn refused_lines(request: &Request, outcome: &Outcome) -> Vec<u8> {
    let named = if let Outcome::Stored { lines, .. } = outcome { lines.as_slice() } else { &[] };
    if named.is_empty() {
        return request.lines.to_vec();
    }
    let lines = request.lines.split_inclusive(|byte| *byte == b'\n').zip(0_u32..);
    lines.filter(|(_, at)| named.contains(at)).flat_map(|(line, _)| line.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_that_were_taken_away_to_be_sent_are_followed_by_others_in_a_new_file() {
        let dir = tempfile::tempdir().unwrap();
        let rejects = Rejects::new(dir.path(), "db", 100);
        let now = WallNanos(1_785_600_000_000_000_000);
        let (path, taken) = (dir.path().join("rejects/db.lp"), dir.path().join("rejects/db.replaying"));
        assert!(rejects.keep(now, "bad_line", "no", b"m v=1 1\n").unwrap());
        fs::rename(&path, &taken).unwrap();
        assert!(rejects.keep(now, "bad_line", "no", b"m v=2 2\n").unwrap());
        let lines_of =
            |path| lines(&fs::read_to_string(path).unwrap()).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!((lines_of(&taken), lines_of(&path)), (vec!["m v=1 1".into()], vec!["m v=2 2".into()]));
    }

    #[test]
    fn only_the_lines_that_the_server_names_are_kept_if_it_names_any() {
        let request = Request { lines: "a\nb\nc\n".into(), points: 3 };
        let stored = |lines| Outcome::Stored { rejected: vec![], detail: None, lines };
        assert_eq!(refused_lines(&request, &stored(vec![0, 2])), b"a\nc\n");
        assert_eq!(refused_lines(&request, &stored(vec![])), b"a\nb\nc\n");
    }

    #[test]
    fn a_dead_letter_has_the_words_before_it_and_what_does_not_fit_is_left_out_whole() {
        let dir = tempfile::tempdir().unwrap();
        let rejects = Rejects::new(dir.path(), "db", 100);
        let now = WallNanos(1_785_600_000_000_000_000);
        assert!(rejects.keep(now, "bad_line", "status 400:\nno", b"m v=1 1\nm v=2 2\n").unwrap());
        assert!(!rejects.keep(now, "bad_line", &"x".repeat(60), b"m v=3 3\n").unwrap());
        let text = fs::read_to_string(dir.path().join("rejects/db.lp")).unwrap();
        assert_eq!(text, "# 2026-08-01T16:00:00Z bad_line: status 400: no\nm v=1 1\nm v=2 2\n");
        assert_eq!(lines(&text).collect::<Vec<_>>(), ["m v=1 1", "m v=2 2"]);
    }
}
