//! Posts become records: `{id, ts_ms, author, topic, source, location, lang, country, text_length, sentiment_score, pos,
//! neg, neu, followers}`, scored by VADER (Hutto and Gilbert, ICWSM-14, made for English). It promises that keys without
//! a value are left out. It refuses posts that no rule takes.

use vader_parity::SentimentIntensityAnalyzer;

use crate::clock::WallNanos;
use crate::connect::sentiment::rules::Rules;
use crate::connect::sentiment::seen::Seen;
use crate::connect::sentiment::{Counts, Settings};
use crate::connect::{Now, Outbox, Ties, TopicId};
use crate::payload::PayloadWriter;

/// Posts that are remembered, so that one that comes again is known.
const SEEN_MAX: usize = 65_536;

/// Longest value of a tag that a source may choose, bytes: languages and countries are short.
const TAG_BYTES_MAX: usize = 16;

const MILLI_NS: i64 = 1_000_000;

/// One post, as far as its source tells.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Post<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) time: Option<WallNanos>,
    pub(super) author: Option<&'a str>,
    /// From the source's own rules, which win over ours.
    pub(super) topic: Option<&'a str>,
    pub(super) source: &'a str,
    pub(super) location: Option<&'a str>,
    pub(super) lang: Option<&'a str>,
    pub(super) country: Option<&'a str>,
    pub(super) text: &'a str,
    pub(super) followers: Option<u64>,
}

/// What makes records.
pub(super) struct Records {
    settings: Settings,
    rules: Rules,
    analyzer: SentimentIntensityAnalyzer,
    topic: TopicId,
    seen: Seen,
    /// Of all records together: a bit more than `_tie` asks for, since a post's series are many.
    ties: Ties<64>,
    pub(super) counts: Counts,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Records {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            rules: Rules::new(&settings.rules),
            settings,
            analyzer: SentimentIntensityAnalyzer::new(),
            topic: TopicId(0),
            seen: Seen::new(SEEN_MAX),
            ties: Ties::default(),
            counts: Counts::default(),
        }
    }

    /// Makes the topic known; events go there, too.
    pub(super) fn start(&mut self, out: &mut Outbox) -> TopicId {
        self.topic = out.topic(&self.settings.topic);
        self.topic
    }

    /// Whether a post with this key came before.
    pub(super) fn has_seen(&self, key: &str) -> bool {
        self.seen.has(key)
    }

    /// Publishes a post unless its key was seen or no rule takes it.
    pub(super) fn take(&mut self, key: Option<&str>, post: &Post<'_>, now: Now, out: &mut Outbox) {
        if key.is_some_and(|key| !self.seen.insert(key)) {
            self.counts.repeated += 1;
            return;
        }
        let own_topic = post.topic.filter(|topic| !topic.is_empty());
        let Some(topic) = own_topic.or_else(|| self.rules.topic_of(post.text)) else {
            self.counts.unmatched += 1;
            return;
        };
        self.counts.untimed += u64::from(post.time.is_none());
        self.counts.published += 1;
        let ts_ms = post.time.unwrap_or(now.wall).0.div_euclid(MILLI_NS);
        let score = self.analyzer.polarity_scores(post.text);
        let tag = |text: &&str| text.len() <= TAG_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic());
        let texts = [
            ("id", post.id),
            ("author", post.author),
            ("topic", Some(topic)),
            ("source", Some(post.source)),
            ("location", post.location),
            ("lang", post.lang.filter(tag)),
            ("country", post.country.filter(tag)),
            ("text", Some(post.text).filter(|_| self.settings.with_text)),
        ];
        let told =
            || texts.iter().filter_map(|(key, text)| Some((*key, text.filter(|text| !text.is_empty())?)));
        let keys = told().count() as u16 + 6 + u16::from(post.followers.is_some());
        out.map(self.topic, now.wall, self.ties.next(ts_ms), keys, |writer| {
            writer.text("ts_ms");
            writer.int(ts_ms);
            for (key, text) in told() {
                writer.text(key);
                writer.text(text);
            }
            writer.text("text_length");
            writer.uint(post.text.chars().count() as u64);
            decimal("sentiment_score", score.compound, 4, writer);
            decimal("pos", score.pos, 3, writer);
            decimal("neg", score.neg, 3, writer);
            decimal("neu", score.neu, 3, writer);
            if let Some(followers) = post.followers {
                writer.text("followers");
                writer.uint(followers);
            }
        });
    }
}

/// A score, which VADER rounds to so many digits.
fn decimal(key: &str, score: f64, digits: u8, writer: &mut PayloadWriter) {
    writer.text(key);
    writer.decimal((score * 10_f64.powi(i32::from(digits))).round() as i64, digits);
}
