//! A folder in memory, which holds whatever a fuzzer thinks of.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tickline_sinks::spool::store::{Store, StoreFile};

type Content = Arc<Mutex<Vec<u8>>>;

/// A folder; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<BTreeMap<String, Content>>>);

#[derive(Debug)]
struct MemoryFile(Content);

impl MemoryStore {
    /// Puts a file there.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        self.files().insert(name.to_owned(), Arc::new(Mutex::new(bytes.to_vec())));
    }

    fn files(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Content>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.files().keys().cloned().collect())
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        let content = Content::default();
        self.files().insert(name.to_owned(), Arc::clone(&content));
        Ok(Box::new(MemoryFile(content)))
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        let content = self.files().get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(MemoryFile(content)))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.files().remove(name);
        Ok(())
    }
    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }
    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl MemoryFile {
    fn bytes_now(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoreFile for MemoryFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.bytes_now().len() as u64)
    }
    fn written_ns(&self) -> io::Result<i64> {
        Ok(0)
    }
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.bytes_now();
        let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes_now().extend_from_slice(bytes);
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.bytes_now().truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(())
    }
}
