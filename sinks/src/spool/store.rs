//! What the spool asks of a folder, behind a trait so that tests can fail each operation and lose power between
//! any two.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Folder inside a store for copies of damaged bytes.
pub const QUARANTINE: &str = "quarantine";

/// The file that says whose folder it is.
const LOCK: &str = "LOCK";

/// One file of a store.
pub trait StoreFile: Send + Debug {
    /// Bytes in it.
    fn bytes(&self) -> io::Result<u64>;
    /// When it was last written, wall time.
    fn written_ns(&self) -> io::Result<i64>;
    /// Reads at `at` until `into` is full or the file ends; returns the bytes read.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Writes behind what is there. After an error part of it may stand there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything written durable. A failure is final: the kernel forgets what it could not write.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to `bytes`.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
}

/// A folder.
pub trait Store: Send + Debug {
    /// Names of the files in it.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Makes a new file; fails if there is one.
    fn create(&self, name: &str) -> io::Result<Box<dyn StoreFile>>;
    /// Opens a file for reading.
    fn open(&self, name: &str) -> io::Result<Box<dyn StoreFile>>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names in the folder durable.
    fn sync_names(&self) -> io::Result<()>;
    /// Bytes that may still be written there.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// A folder of the local disk.
#[derive(Clone, Debug)]
pub struct LocalStore {
    dir: PathBuf,
    /// Device and inode of the folder when it was opened to be written; none where nothing is kept between two calls.
    identity: Option<(u64, u64)>,
}

impl LocalStore {
    /// Makes the folder, readable by its owner only, if it is not there.
    pub fn new(dir: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let folder = fs::metadata(dir)?;
        Ok(Self { dir: dir.to_owned(), identity: Some((folder.dev(), folder.ino())) })
    }

    /// A folder that is made when the first file is.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), identity: None }
    }

    /// The folder, unless it is another one than when it was opened: a disk that was taken away leaves the empty folder
    /// on which it was mounted, and what is written there would be out of sight once it is back.
    fn here(&self) -> io::Result<&Path> {
        let Some(opened) = self.identity else { return Ok(&self.dir) };
        match fs::metadata(&self.dir) {
            Ok(folder) if (folder.dev(), folder.ino()) == opened => Ok(&self.dir),
            _ => Err(io::Error::other(format!(
                "{} is not the folder that it was: its disk is gone; what is on it is kept, mount it again",
                self.dir.display()
            ))),
        }
    }

    /// The process that has the folder, as the kernel lists it: looking takes nothing. None: nobody has it.
    pub fn owner(&self) -> io::Result<Option<String>> {
        let path = self.dir.join(LOCK);
        let inode = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?.ino(),
        };
        let of_ours = |line: &&str| {
            let mut words = line.split_whitespace();
            words.any(|word| word == "FLOCK") && words.any(|word| word.ends_with(&format!(":{inode}")))
        };
        let locks = fs::read_to_string("/proc/locks")?;
        if locks.lines().any(|line| of_ours(&line)) {
            return Ok(Some(fs::read_to_string(path)?.trim().to_owned()));
        }
        Ok(None)
    }

    /// Takes the folder for this process; it is free again when the file is dropped.
    pub fn lock(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = file.open(self.dir.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                file.read_to_string(&mut owner)?;
                return Err(io::Error::other(format!(
                    "process {} uses it, and a folder serves one process",
                    owner.trim()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Only for whoever comes second: a full disk must not keep us from starting.
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).ok();
        Ok(file)
    }
}

impl Store for LocalStore {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.here()?)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.extend(entry.file_name().into_string());
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true).mode(0o600);
        let file = match options.open(self.here()?.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.identity.is_none() => {
                Self::new(&self.dir)?;
                options.open(self.dir.join(name))?
            }
            opened => opened?,
        };
        Ok(Box::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        Ok(Box::new(File::open(self.here()?.join(name))?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.here()?.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(self.here()?)?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let space = rustix::fs::statvfs(self.here()?)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

impl StoreFile for File {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn written_ns(&self) -> io::Result<i64> {
        let age = self.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX))
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while let Some(rest) = into.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match FileExt::read_at(self, rest, at + read as u64) {
                Ok(0) => break,
                Ok(bytes) => read += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }
}
