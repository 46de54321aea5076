//! The cursor: the id below which every record is done with, in a file of its own. It spares a restart what was
//! already stored. It may lag, since what is sent twice is absorbed or was never promised, and is only believed if its sum fits.

use std::io;

use super::Spool;
use super::store::{Store, StoreFile};

const NAME: &str = "cursor";
const BYTES: usize = 12;

/// The file, and what was last written to it.
#[derive(Debug)]
pub(super) struct Cursor {
    file: Option<Box<dyn StoreFile>>,
    pub(super) id: u64,
}

fn to_bytes(id: u64, fingerprint: &[u8; 16]) -> [u8; BYTES] {
    let id = id.to_le_bytes();
    let sum = crc32c::crc32c_append(crc32c::crc32c(fingerprint), &id).to_le_bytes();
    let mut bytes = [0; BYTES];
    bytes.iter_mut().zip(id.into_iter().chain(sum)).for_each(|(to, from)| *to = from);
    bytes
}

impl Cursor {
    /// What an earlier process wrote; its file is replaced at the first change.
    pub(super) fn at(id: u64) -> Self {
        Self { file: None, id }
    }

    /// Reads what an earlier process wrote; 0 if that cannot be believed.
    pub(super) fn read(store: &dyn Store, fingerprint: &[u8; 16]) -> u64 {
        let mut bytes = [0; BYTES];
        let read = store.open(NAME).and_then(|file| file.read_at(0, &mut bytes)).unwrap_or(0);
        let id = bytes.first_chunk().map_or(0, |id| u64::from_le_bytes(*id));
        if read == BYTES && bytes == to_bytes(id, fingerprint) { id } else { 0 }
    }

    fn write(&mut self, store: &dyn Store, id: u64, fingerprint: &[u8; 16]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                // One of an earlier process is replaced: without one everything is sent again.
                if store.names()?.iter().any(|name| name == NAME) {
                    store.remove(NAME)?;
                }
                self.file.insert(store.create(NAME)?)
            }
        };
        file.truncate(0)?;
        file.append(&to_bytes(id, fingerprint))?;
        self.id = id;
        Ok(())
    }
}

impl Spool {
    /// Writes the cursor if it has moved. One that cannot be written lags.
    pub fn save_cursor(&mut self) {
        let first_left = self.segments.values_mut().filter_map(|segment| segment.first_left());
        let id = first_left.min().unwrap_or(self.next_id);
        if id > self.cursor.id && self.cursor.write(self.store.as_ref(), id, &self.fingerprint).is_err() {
            self.cursor.file = None;
        }
    }
}
