//! Keys of what stands between publishers and engines: the forwarder and its routes.

use super::{Key, Kind, Section, has, may, needs};

/// `[forward]`
pub(crate) static FORWARD: Section = Section { name: "forward", keys: FORWARD_KEYS };

const FORWARD_KEYS: &[Key] = &[
    may("in", Kind::Bind),
    may("from", Kind::Endpoints),
    may("out", Kind::Bind),
    may("push", Kind::Binds),
    has("queue_messages_max", Kind::Integer(1, 100_000_000)),
    has("cache", Kind::Flag),
    has("cache_entries_max", Kind::Integer(1, 100_000_000)),
    has("cache_bytes_max", Kind::Bytes("64KiB", "64GiB")),
];

/// `[routes.NAME]`
pub(crate) static ROUTE: Section = Section {
    name: "defaults.route",
    keys: &[
        needs("topics", Kind::Texts),
        may("include", Kind::Texts),
        may("exclude", Kind::Texts),
        may("where", Kind::Condition),
        needs("to", Kind::Text),
    ],
};
