//! The few things that file sinks ask of a file system, behind a trait so that tests can fail each of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::sink::{Fault, FaultKind};

/// A file that is being written.
pub(crate) trait DiskFile: Write + Send {
    /// Makes everything written durable. A failure is final: the kernel forgets what it could not write.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to `bytes`.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
}

/// A file system.
pub(crate) trait Disk: Send {
    /// Makes a folder and those above it.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes a new file; fails if there is one.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file its name; replaces what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// The machine's own file system.
#[derive(Debug)]
pub(crate) struct LocalDisk;

impl Disk for LocalDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

impl DiskFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }
}

/// The fault of an operation on the disk: full disks are emptied and folders repaired, so it is tried again.
pub(crate) fn fault(what: &str, error: &io::Error) -> Fault {
    let held = matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem);
    Fault {
        kind: if held { FaultKind::Config } else { FaultKind::Transient },
        code: error.raw_os_error().and_then(|code| u16::try_from(code).ok()).unwrap_or(0),
        detail: format!("{what}: {error}"),
        retry_after_ms: None,
    }
}

#[cfg(test)]
pub(crate) mod faulty {
    //! A disk that fails at its n-th operation, and counts them.

    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Clone, Debug)]
    pub(crate) struct FaultyDisk {
        count: Arc<AtomicU64>,
        fails_at: u64,
    }

    impl FaultyDisk {
        /// Fails at operation `fails_at`, from 1; 0 never fails.
        pub(crate) fn new(fails_at: u64) -> Self {
            Self { count: Arc::default(), fails_at }
        }

        pub(crate) fn operations(&self) -> u64 {
            self.count.load(Ordering::Relaxed)
        }

        pub(crate) fn step(&self) -> io::Result<()> {
            if self.count.fetch_add(1, Ordering::Relaxed) + 1 == self.fails_at {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            Ok(())
        }
    }

    impl Disk for FaultyDisk {
        fn create_dir(&self, dir: &Path) -> io::Result<()> {
            self.step()?;
            LocalDisk.create_dir(dir)
        }
        fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
            self.step()?;
            Ok(Box::new(FaultyFile { file: LocalDisk.create(path)?, disk: self.clone() }))
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.step()?;
            LocalDisk.rename(from, to)
        }
        fn remove(&self, path: &Path) -> io::Result<()> {
            LocalDisk.remove(path) // cleaning up after a fault is not itself a case
        }
        fn sync_dir(&self, dir: &Path) -> io::Result<()> {
            self.step()?;
            LocalDisk.sync_dir(dir)
        }
    }

    /// Writes half of what it is given, then fails.
    pub(crate) struct FaultyFile {
        pub(crate) file: Box<dyn DiskFile>,
        pub(crate) disk: FaultyDisk,
    }

    impl Write for FaultyFile {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Err(full) = self.disk.step() {
                self.file.write_all(&bytes[..bytes.len() / 2])?;
                return Err(full);
            }
            self.file.write_all(bytes)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            self.file.flush()
        }
    }

    impl DiskFile for FaultyFile {
        fn sync(&mut self) -> io::Result<()> {
            self.disk.step()?;
            self.file.sync()
        }
        fn truncate(&mut self, bytes: u64) -> io::Result<()> {
            self.disk.step()?;
            self.file.truncate(bytes)
        }
    }
}
