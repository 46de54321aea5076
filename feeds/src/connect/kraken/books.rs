//! The books of a session: each from a snapshot on, checked after every message. A book that is not the venue's is
//! forgotten and asked for again, and the time until the new snapshot is a hole of cause `checksum`.

use super::book::{Book, BookError};
use super::session::Session;
use super::wire::{BookData, Frame};
use crate::clock::{MonoNanos, WallNanos};
use crate::connect::Ties;
use crate::connect::{Backoff, Note, Now, Outbox};
use crate::time::parse_rfc3339;

/// Waits before a book is asked for again, ns: a book that never fits must not become a storm of subscriptions.
const WAIT_NS: (u64, u64) = (200_000_000, 30_000_000_000);

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BookCounts {
    pub(super) updates: u64,
    pub(super) resyncs: u64,
    pub(super) malformed: u64,
    pub(super) time_back: u64,
    pub(super) unknown_symbols: u64,
}

/// Where a book stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// No snapshot yet.
    Empty,
    Good,
    /// Wrong since the last good update; asked for again at that time.
    Suspect {
        since: WallNanos,
        again: Option<MonoNanos>,
    },
}

/// One book.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) book: Book,
    pub(super) ordinals: Ties,
    /// The venue's time of the last message, as text and in ns.
    pub(super) timestamp: String,
    pub(super) time_ns: i64,
    pub(super) checksum: u32,
    standing: Standing,
    heard: WallNanos,
    backoff: Backoff,
}

impl Kept {
    /// Whether it is the venue's.
    pub(super) fn is_good(&self) -> bool {
        self.standing == Standing::Good
    }
}

/// All books of a session, at the positions of its symbols.
#[derive(Debug)]
pub(super) struct Books {
    depth: usize,
    /// Levels whose changes are told.
    watched: usize,
    seed: u64,
    kept: Vec<Kept>,
    /// Whether some book waits to be asked for again.
    pub(super) due: Option<MonoNanos>,
    pub(super) counts: BookCounts,
}

impl Books {
    pub(super) fn new(depth: usize, watched: usize, seed: u64) -> Self {
        Self { depth, watched, seed, kept: Vec::new(), due: None, counts: BookCounts::default() }
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Kept> {
        self.kept.get_mut(at)
    }

    /// The connection is gone, and with it what the books said; one that was wrong is missing for longer.
    pub(super) fn forget(&mut self, session: &mut Session) {
        self.due = None;
        for (at, kept) in self.kept.iter_mut().enumerate() {
            if let Standing::Suspect { since, .. } = kept.standing {
                session.missing_since(at, since);
            }
            kept.book.clear();
            kept.standing = Standing::Empty;
        }
    }

    /// Applies a message of channel `book`; `told` hears of each book in it whose watched levels have changed.
    pub(super) fn apply(
        &mut self,
        frame: &Frame<'_>,
        session: &mut Session,
        now: Now,
        out: &mut Outbox,
        mut told: impl FnMut(&str, &mut Kept, &mut Outbox),
    ) {
        let data = frame.data.map(|data| serde_json::from_str::<Vec<BookData<'_>>>(data.get()));
        let Some(Ok(data)) = data else { return self.counts.malformed += 1 };
        let is_snapshot = frame.kind.as_ref().is_some_and(|kind| kind.0 == "snapshot");
        for update in &data {
            let Some(at) = session.position(&update.symbol.0) else {
                self.counts.unknown_symbols += 1;
                continue;
            };
            while self.kept.len() <= at {
                self.kept.push(self.empty());
            }
            let Some(kept) = self.kept.get_mut(at) else { continue };
            self.counts.updates += 1;
            match kept.take(update, is_snapshot, self.watched, now, &mut self.counts) {
                Ok(changed) => {
                    kept.close_hole(session, at, now, out, is_snapshot);
                    if changed {
                        told(&update.symbol.0, kept, out);
                    }
                }
                Err(error) => {
                    let again = kept.suspect(session, at, error, now, out);
                    self.counts.resyncs += 1;
                    self.due = Some(self.due.map_or(again, |due| due.min(again)));
                }
            }
        }
    }

    fn empty(&self) -> Kept {
        Kept {
            book: Book::new(self.depth),
            ordinals: Ties::default(),
            timestamp: String::new(),
            time_ns: i64::MIN,
            checksum: 0,
            standing: Standing::Empty,
            heard: WallNanos(0),
            backoff: Backoff::new(WAIT_NS.0, WAIT_NS.1, self.seed ^ self.kept.len() as u64),
        }
    }

    /// Tells what it has counted.
    pub(super) fn tell(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        tell("book_updates", self.counts.updates);
        tell("book_resyncs", self.counts.resyncs);
        tell("book_malformed", self.counts.malformed);
        tell("time_back", self.counts.time_back);
        tell("unknown_symbols", self.counts.unknown_symbols);
    }

    /// Asks again for the books whose time has come.
    pub(super) fn ask_again(&mut self, session: &mut Session, now: Now, out: &mut Outbox) {
        self.due = None;
        for (at, kept) in self.kept.iter_mut().enumerate() {
            let Standing::Suspect { again: Some(time), since } = kept.standing else { continue };
            if now.mono >= time {
                kept.standing = Standing::Suspect { since, again: None };
                session.resubscribe(at, now, out);
            } else {
                self.due = Some(self.due.map_or(time, |due| due.min(time)));
            }
        }
    }
}

impl Kept {
    /// Whether a watched level has changed.
    fn take(
        &mut self,
        update: &BookData<'_>,
        is_snapshot: bool,
        watched: usize,
        now: Now,
        counts: &mut BookCounts,
    ) -> Result<bool, BookError> {
        if is_snapshot {
            self.book.clear();
        } else if self.standing != Standing::Good {
            // Until the snapshot comes there is no book to change.
            return Ok(false);
        }
        let changed = self.book.apply(&update.bids, &update.asks, update.checksum, watched)?;
        self.checksum = update.checksum;
        self.heard = now.wall;
        self.timestamp.clear();
        if let Some(timestamp) = &update.timestamp {
            self.timestamp.push_str(&timestamp.0);
            let time_ns = parse_rfc3339(timestamp.0.as_bytes()).unwrap_or(self.time_ns);
            counts.time_back += u64::from(time_ns < self.time_ns);
            self.time_ns = time_ns;
        }
        Ok(changed || is_snapshot)
    }

    fn suspect(
        &mut self,
        session: &Session,
        at: usize,
        error: BookError,
        now: Now,
        out: &mut Outbox,
    ) -> MonoNanos {
        let since = match self.standing {
            Standing::Suspect { since, .. } => since,
            Standing::Good => self.heard,
            Standing::Empty => now.wall,
        };
        let again = now.after(self.backoff.next_ns());
        self.standing = Standing::Suspect { since, again: Some(again) };
        self.book.clear();
        let detail = error.to_string();
        let note = Note { kind: "suspect", scope: session.name(at), detail: &detail, ..Note::default() };
        out.event(session.topic, now.wall, &note);
        again
    }

    fn close_hole(
        &mut self,
        session: &mut Session,
        at: usize,
        now: Now,
        out: &mut Outbox,
        is_snapshot: bool,
    ) {
        if !is_snapshot {
            if self.standing == Standing::Good {
                self.backoff.reset();
            }
            return;
        }
        if let Standing::Suspect { since, .. } = self.standing {
            let (scope, span) = (session.name(at), Some((since, now.wall)));
            let note = Note { kind: "resync", scope, span, detail: "checksum mismatch", ..Note::default() };
            out.event(session.topic, now.wall, &note);
        }
        self.standing = Standing::Good;
        session.fresh(at, now, out);
    }
}
