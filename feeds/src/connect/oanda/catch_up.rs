//! What of the transaction stream is missing: how far it must be fetched, what came meanwhile and waits for it, and when
//! the next attempt is due. It promises a bound on what waits and on the attempts. It refuses to publish.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::clock::{MonoNanos, WallNanos};
use crate::connect::oanda::Head;
use crate::connect::upstream::{long_waits, waits};
use crate::connect::{Backoff, Now};

/// Fruitless attempts before what is missing counts as lost: with the waits between them one to two and a half minutes.
const ATTEMPTS_MAX: u32 = 10;

/// Text of transactions that may wait; what comes beyond is fetched, too.
const HELD_BYTES_MAX: usize = 4 << 20;

/// A transaction that came over the stream and waits for those before it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: u64,
    pub(super) recv: WallNanos,
    pub(super) json: String,
}

/// One hole that is being filled.
#[derive(Debug)]
pub(super) struct CatchUp {
    /// Everything up to this transaction is wanted.
    target: u64,
    held: VecDeque<Held>,
    held_bytes: usize,
    /// Number of the request that is under way.
    pub(super) asked: Option<u32>,
    /// When it is asked again.
    pub(super) again_at: Option<MonoNanos>,
    attempts: u32,
    waits: Backoff,
    long_waits: Backoff,
}

impl CatchUp {
    pub(super) fn new(target: u64, seed: u64) -> Self {
        Self {
            target,
            held: VecDeque::new(),
            held_bytes: 0,
            asked: None,
            again_at: None,
            attempts: 0,
            waits: waits(seed),
            long_waits: long_waits(seed),
        }
    }

    pub(super) fn target(&self) -> u64 {
        self.target
    }

    pub(super) fn want(&mut self, id: u64) {
        self.target = self.target.max(id);
    }

    /// Keeps a transaction until those before it are there; false: it came before.
    pub(super) fn hold(&mut self, id: u64, recv: WallNanos, json: &str) -> bool {
        if self.held.back().is_some_and(|last| id <= last.id) {
            return false;
        }
        self.want(id);
        if self.held_bytes + json.len() <= HELD_BYTES_MAX {
            self.held_bytes += json.len();
            self.held.push_back(Held { id, recv, json: json.to_owned() });
        }
        true
    }

    /// The first that waits, if its id is at most `id`.
    pub(super) fn release(&mut self, id: u64) -> Option<Held> {
        let held = self.held.pop_front_if(|held| held.id <= id)?;
        self.held_bytes -= held.json.len();
        Some(held)
    }

    /// A request has brought something.
    pub(super) fn progressed(&mut self) {
        self.attempts = 0;
        self.waits.reset();
    }

    /// A request has brought nothing: whether it is asked again.
    pub(super) fn failed(&mut self, status: Option<u16>, now: Now) -> bool {
        self.attempts += 1;
        let wait_ns = if status == Some(429) { self.long_waits.next_ns() } else { self.waits.next_ns() };
        self.again_at = Some(now.after(wait_ns));
        self.attempts < ATTEMPTS_MAX
    }
}

/// One answer to `transactions/sinceid`.
#[derive(Debug)]
pub(super) struct Page<'a> {
    /// By id, each once.
    pub(super) transactions: Vec<(u64, &'a str)>,
    /// The account's last one.
    pub(super) last: u64,
}

#[derive(Deserialize)]
struct RawPage<'a> {
    #[serde(borrow)]
    transactions: Vec<&'a RawValue>,
    #[serde(borrow, rename = "lastTransactionID")]
    last: Cow<'a, str>,
}

impl<'a> Page<'a> {
    /// Reads an answer; the error is for people.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
        let page: RawPage<'a> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut transactions = Vec::with_capacity(page.transactions.len());
        for transaction in page.transactions {
            let (head, json) = Head::read(transaction.get().as_bytes())?;
            transactions.push((id(&head)?, json));
        }
        transactions.sort_unstable_by_key(|(id, _)| *id);
        transactions.dedup_by_key(|(id, _)| *id);
        Ok(Self { transactions, last: number("lastTransactionID", &page.last)? })
    }
}

/// The id of a transaction.
pub(super) fn id(head: &Head<'_>) -> Result<u64, String> {
    number("id", &head.id)
}

/// A number of the venue's in text, small enough to be counted on from.
pub(super) fn number(key: &str, text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number <= u64::MAX / 2);
    number.ok_or_else(|| format!("{key}: must be a whole number, found {text:?}"))
}
