//! What is in one archive file: frames a topic, the span of each source's numbers, and a sum over its bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tickline_feeds::capture::Record;
use tickline_feeds::envelope::Envelope;

/// Name and version of the form.
pub const SCHEMA: &str = "tickline.archive/1";

/// Sources that are told one by one; a flood of hostile ones must not make the manifest endless.
const SOURCES_MAX: usize = 10_000;

/// The manifest of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The file, in the same folder.
    pub file: String,
    /// The engine that wrote it.
    pub instance: String,
    /// Its version.
    pub version: String,
    /// Frames.
    pub frames: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Receive time of the first frame, ns since 1970.
    pub from_ns: i64,
    /// Receive time of the last one.
    pub to_ns: i64,
    /// The file was found unfinished after a kill and closed at the next start.
    pub repaired: bool,
    /// By topic.
    pub topics: BTreeMap<String, Topic>,
}

/// One topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Frames.
    pub frames: u64,
    /// Numbers of each source, by `_src`.
    pub sources: BTreeMap<u32, Span>,
}

/// Numbers of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Lowest `_seq`.
    pub first: u64,
    /// Highest `_seq`.
    pub last: u64,
}

impl Manifest {
    /// An empty one.
    pub(super) fn new(instance: &str) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            instance: instance.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Self::default()
        }
    }

    /// Counts one frame.
    pub(super) fn add(&mut self, record: &Record<'_>) {
        let at = record.recv.0;
        (self.from_ns, self.to_ns) =
            if self.frames == 0 { (at, at) } else { (self.from_ns.min(at), self.to_ns.max(at)) };
        self.frames += 1;
        let mut envelope = Envelope::default();
        envelope.read_front(record.payload);
        let name = String::from_utf8_lossy(record.topic);
        let topic = match self.topics.get_mut(&*name) {
            Some(topic) => topic,
            None => self.topics.entry(name.into_owned()).or_default(),
        };
        topic.frames += 1;
        let Envelope { numbered: true, seq: seq @ 1.., src, .. } = envelope else { return };
        let known = topic.sources.len();
        match topic.sources.get_mut(&src) {
            Some(span) => (span.first, span.last) = (span.first.min(seq), span.last.max(seq)),
            None if known < SOURCES_MAX => {
                topic.sources.insert(src, Span { first: seq, last: seq });
            }
            None => {}
        }
    }

    /// The manifest of a file.
    pub fn path(file: &Path) -> PathBuf {
        let mut name = file.as_os_str().to_owned();
        name.push(".json");
        name.into()
    }

    /// Reads the manifest of a file; none if there is none that can be read.
    pub fn of(file: &Path) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(&std::fs::read(Self::path(file)).ok()?).ok()?;
        (manifest.schema == SCHEMA).then_some(manifest)
    }
}
