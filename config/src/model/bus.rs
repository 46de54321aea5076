//! What stands between publishers and engines, typed.

use crate::filter::Filter;

/// `socket = "sub" | "pull"`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// Subscribes: every engine has every message.
    Sub,
    /// Takes its share of what `tickline forward --push` hands out: each message is one engine's.
    Pull,
}

/// Tags by which a point's symbol is known, the first that a series has.
pub const SYMBOL_TAGS: [&str; 4] = ["symbol", "pair", "instrument", "market_id"];

/// `[forward]`: what `tickline forward` binds, connects to and keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forward {
    /// Where publishers connect to.
    pub input: Option<String>,
    /// Publishers to connect to.
    pub from: Vec<String>,
    /// Where subscribers connect to.
    pub output: Option<String>,
    /// One endpoint a worker, which gets the symbols that are its share.
    pub push: Vec<String>,
    /// Messages that may wait for each subscriber and each worker.
    pub queue_messages_max: i32,
    /// Bounds of the last-value cache; none: there is none.
    pub cache: Option<CacheLimits>,
}

/// Bounds of the last-value cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Messages kept.
    pub entries_max: usize,
    /// Bytes of them and of what they are found by.
    pub bytes_max: usize,
}

/// `[routes.NAME]`: messages that are also passed on under another topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Globs of the topics looked at.
    pub topics: Vec<String>,
    /// Which of their messages are passed on.
    pub filter: Filter,
    /// The other topic.
    pub to: String,
}
