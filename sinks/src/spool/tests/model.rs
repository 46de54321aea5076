//! A folder that can fail at any operation and lose power: what was not made durable may be gone, cut, or zeros.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use crate::spool::store::{Store, StoreFile};

#[derive(Clone, Debug, Default)]
struct Content {
    written: Vec<u8>,
    durable: Vec<u8>,
    /// A sync has failed: the kernel has forgotten what it could not write, and later syncs say nothing of it.
    poisoned: bool,
}

#[derive(Debug, Default)]
struct Disk {
    /// As the running system sees it; several names of one content do not exist.
    files: BTreeMap<String, Arc<Mutex<Content>>>,
    /// Names that survive a power loss, with the content that they had.
    durable: BTreeMap<String, Arc<Mutex<Content>>>,
    free_bytes: u64,
    operations: u64,
    /// The operations that fail: the first, and the one behind the last.
    fails: (u64, u64),
}

/// A folder in memory; clones are the same folder.
#[derive(Clone, Debug)]
pub(super) struct ModelStore(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct ModelFile {
    disk: Arc<Mutex<Disk>>,
    content: Arc<Mutex<Content>>,
}

impl Disk {
    /// Counts an operation that changes something, and fails the one that is to fail.
    fn step(&mut self) -> io::Result<()> {
        self.operations += 1;
        if (self.fails.0..self.fails.1).contains(&self.operations) {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    }
}

impl ModelStore {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Disk { free_bytes: u64::MAX, ..Disk::default() })))
    }

    /// The next operations but `after` fail, `times` of them.
    pub(super) fn fail(&self, after: u64, times: u64) {
        let mut disk = self.0.lock().unwrap();
        let first = disk.operations + after + 1;
        disk.fails = (first, first + times);
    }

    pub(super) fn set_free_bytes(&self, bytes: u64) {
        self.0.lock().unwrap().free_bytes = bytes;
    }

    /// The machine loses power. `dice` decides what becomes of everything that was not durable.
    pub(super) fn lose_power(&self, mut dice: impl FnMut(usize) -> usize) {
        let mut disk = self.0.lock().unwrap();
        disk.fails = (0, 0);
        let mut after = BTreeMap::new();
        let names: Vec<String> = disk.files.keys().chain(disk.durable.keys()).cloned().collect();
        for name in names {
            let (now, before) = (disk.files.get(&name), disk.durable.get(&name));
            // A name that was made or removed without a sync may be there or not.
            let kept = match (now, before) {
                (Some(now), Some(_)) => Some(now),
                (Some(other), None) | (None, Some(other)) => (dice(2) == 0).then_some(other),
                (None, None) => None,
            };
            let Some(content) = kept else { continue };
            let Content { written, durable, .. } = content.lock().unwrap().clone();
            let mut bytes = durable.clone();
            if written.len() > bytes.len() {
                // Some of the tail may have reached the disk, and the length may have before the bytes.
                let tail = dice(written.len() - bytes.len() + 1);
                let zeros = dice(tail + 1);
                let from = bytes.len();
                bytes.extend_from_slice(&written[from..from + tail]);
                let end = bytes.len();
                bytes[end - zeros..].fill(0);
            }
            after.insert(
                name,
                Arc::new(Mutex::new(Content { written: bytes.clone(), durable: bytes, poisoned: false })),
            );
        }
        disk.files.clone_from(&after);
        disk.durable = after;
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().files.keys().cloned().collect()
    }

    /// The bytes of a file, to be damaged.
    pub(super) fn edit(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let disk = self.0.lock().unwrap();
        let mut content = disk.files[name].lock().unwrap();
        change(&mut content.written);
        content.durable = content.written.clone();
    }
}

impl Store for ModelStore {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(ModelStore::names(self))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        let mut disk = self.0.lock().unwrap();
        disk.step()?;
        if disk.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let content = Arc::<Mutex<Content>>::default();
        disk.files.insert(name.to_owned(), Arc::clone(&content));
        Ok(Box::new(ModelFile { disk: Arc::clone(&self.0), content }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        let disk = self.0.lock().unwrap();
        let content = disk.files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(ModelFile { disk: Arc::clone(&self.0), content: Arc::clone(content) }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.step()?;
        disk.files.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.step()?;
        disk.durable = disk.files.clone();
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().free_bytes)
    }
}

impl StoreFile for ModelFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.content.lock().unwrap().written.len() as u64)
    }

    fn written_ns(&self) -> io::Result<i64> {
        Ok(5)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let content = self.content.lock().unwrap();
        let rest = content.written.get(at as usize..).unwrap_or_default();
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let failed = self.disk.lock().unwrap().step();
        // A write that fails may have written a part.
        let written = if failed.is_err() { bytes.len() / 2 } else { bytes.len() };
        self.content.lock().unwrap().written.extend_from_slice(&bytes[..written]);
        failed
    }

    fn sync(&mut self) -> io::Result<()> {
        let failed = self.disk.lock().unwrap().step();
        let mut content = self.content.lock().unwrap();
        content.poisoned |= failed.is_err();
        if !content.poisoned {
            content.durable = content.written.clone();
        }
        failed
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.disk.lock().unwrap().step()?;
        self.content.lock().unwrap().written.truncate(bytes as usize);
        Ok(())
    }
}
