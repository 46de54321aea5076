//! Posts and articles, scored: X's filtered stream, RSS and Atom feeds, and files of JSON lines become records of one
//! shape. It promises that a post is published once as long as its id is remembered, and that what no rule takes is
//! counted. It refuses to carry texts unless it is told to: size, terms of use, and persons.

mod articles;
mod lines;
mod records;
mod rss;
mod rules;
mod seen;
mod x;

pub use lines::{Lines, LinesSettings};
pub use rss::{Rss, RssSettings};
pub use rules::Rule;
pub use x::{X, X_URL, XSettings};

/// What the records of any source are made by.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Topic on the bus: `twitter_sentiment`.
    pub topic: String,
    /// Which posts are taken, and what their `topic` is; the first rule that fits counts.
    pub rules: Vec<Rule>,
    /// Whether the text itself is published, as `text`.
    pub with_text: bool,
}

/// What a connector has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that stood, or answers that could be read.
    pub connections: u64,
    /// Records that were published.
    pub published: u64,
    /// Posts that no rule takes; not published.
    pub unmatched: u64,
    /// Posts that came again; not published.
    pub repeated: u64,
    /// Posts without a time that can be read; published with the time of receipt.
    pub untimed: u64,
    /// Lines, answers or articles that cannot be read.
    pub malformed: u64,
    /// Lines that are no post.
    pub unknown: u64,
}

impl Counts {
    /// Tells each by its name.
    pub(super) fn tell(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        let all = [
            ("connections", self.connections),
            ("published", self.published),
            ("unmatched", self.unmatched),
            ("repeated", self.repeated),
            ("untimed", self.untimed),
            ("malformed", self.malformed),
            ("unknown", self.unknown),
        ];
        all.into_iter().for_each(|(name, count)| tell(name, count));
    }
}
