//! Log files of services: `logs/NAME.log`, and the ones before it as `NAME.log.1`, `.2`, …, oldest last.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Folder of the logs below a state folder.
pub fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("logs")
}

/// The log file that is written, `back` of 0, or one of those before it.
pub fn file(dir: &Path, name: &str, back: usize) -> PathBuf {
    let ending = if back == 0 { String::new() } else { format!(".{back}") };
    dir.join(format!("{name}.log{ending}"))
}

/// The log of one service.
#[derive(Debug)]
pub struct Log {
    dir: PathBuf,
    name: String,
    bytes_max: u64,
    files_max: usize,
    open: File,
    bytes: u64,
}

impl Log {
    /// Goes on where the last one ended.
    pub fn open(dir: &Path, name: &str, bytes_max: u64, files_max: usize) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let open = append(&file(dir, name, 0))?;
        let bytes = open.metadata()?.len();
        Ok(Self { dir: dir.to_owned(), name: name.to_owned(), bytes_max, files_max, open, bytes })
    }

    /// Writes a line, its end included; begins a new file before one that does not fit.
    pub fn line(&mut self, line: &[u8]) -> io::Result<()> {
        let bytes = line.len() as u64;
        if self.bytes > 0 && self.bytes + bytes > self.bytes_max {
            self.rotate()?;
        }
        self.bytes += bytes;
        self.open.write_all(line)
    }

    /// For another process to append to; begins a new file if this one is full.
    pub fn into_file(mut self) -> io::Result<File> {
        if self.bytes > self.bytes_max {
            self.rotate()?;
        }
        Ok(self.open)
    }

    fn rotate(&mut self) -> io::Result<()> {
        let path = |back| file(&self.dir, &self.name, back);
        for back in (0..self.files_max).rev() {
            let moved = if back + 1 < self.files_max {
                std::fs::rename(path(back), path(back + 1))
            } else {
                std::fs::remove_file(path(back))
            };
            match moved {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.open = append(&path(0))?;
        self.bytes = 0;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_its_last_files_whole_lines_each_and_goes_on_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..10 {
            // A restart after each line.
            Log::open(dir.path(), "engine", 20, 3)
                .unwrap()
                .line(format!("line {n:04}\n").as_bytes())
                .unwrap();
        }
        let text = |back| std::fs::read_to_string(file(dir.path(), "engine", back)).unwrap_or_default();
        assert_eq!(text(0), "line 0008\nline 0009\n");
        assert_eq!(text(1), "line 0006\nline 0007\n");
        assert_eq!(text(2), "line 0004\nline 0005\n");
        assert_eq!(text(3), "", "a fourth file");
    }

    #[test]
    fn a_line_longer_than_a_file_has_one_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), "x", 4, 1).unwrap();
        log.line(b"longer than that\n").unwrap();
        log.line(b"b\n").unwrap();
        assert_eq!(std::fs::read_to_string(file(dir.path(), "x", 0)).unwrap(), "b\n");
    }
}
