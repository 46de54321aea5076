//! RSS and Atom feeds, asked for at an interval. It promises that an article is published once as long as it is
//! remembered, and that a hole is told where a feed shows nothing that was there before. It refuses to follow links.

use crate::clock::{MonoNanos, WallNanos};
use crate::connect::sentiment::articles::{self, Articles};
use crate::connect::sentiment::records::{Post, Records};
use crate::connect::sentiment::{Counts, Settings};
use crate::connect::upstream::{REFUSED_WAIT_NS, front, long_waits, waits};
use crate::connect::{Backoff, Connector, Event, Note, Now, OnRefused, Outbox, Request, State, TopicId};

/// Feeds begin one after the other, so that no host sees more than two connections a second.
const STAGGER_NS: u64 = 500_000_000;

/// Nobody is asked more often.
const EVERY_MIN_NS: u64 = 1_000_000_000;

/// Settings of [`Rss`].
#[derive(Clone, Debug, Default)]
pub struct RssSettings {
    /// Addresses of the documents.
    pub feeds: Vec<String>,
    /// How often each is asked for, ns; at least a second.
    pub every_ns: u64,
    /// What is made of the articles.
    pub records: Settings,
    /// What happens when a feed is refused.
    pub on_refused: OnRefused,
    /// Tells the waits of processes apart: random.
    pub seed: u64,
}

#[derive(Debug)]
struct Feed {
    url: String,
    next: MonoNanos,
    asked: bool,
    /// Why the last request brought nothing.
    down: Option<String>,
    /// When the last answer with articles came.
    polled: Option<WallNanos>,
    waits: Backoff,
    long_waits: Backoff,
}

/// The connector of feeds.
#[derive(Debug)]
pub struct Rss {
    feeds: Vec<Feed>,
    every_ns: u64,
    on_refused: OnRefused,
    records: Records,
    topics: Vec<TopicId>,
    state: (State, String),
}

impl Rss {
    /// A connector that has not begun.
    pub fn new(settings: RssSettings) -> Self {
        let feed = |url| Feed {
            url,
            next: MonoNanos(0),
            asked: false,
            down: None,
            polled: None,
            waits: waits(settings.seed),
            long_waits: long_waits(settings.seed),
        };
        Self {
            feeds: settings.feeds.into_iter().map(feed).collect(),
            every_ns: settings.every_ns.max(EVERY_MIN_NS),
            on_refused: settings.on_refused,
            records: Records::new(settings.records),
            topics: Vec::new(),
            state: (State::Starting, String::new()),
        }
    }

    /// What was met so far.
    pub fn counts(&self) -> Counts {
        self.records.counts
    }

    fn ask(&mut self, now: Now, out: &mut Outbox) {
        for (id, feed) in self.feeds.iter_mut().enumerate() {
            if !feed.asked && now.mono >= feed.next {
                feed.asked = true;
                out.ask(id as u32, Request { url: feed.url.to_owned(), ..Request::default() });
            }
        }
    }

    fn answer(&mut self, id: u32, status: Option<u16>, body: &[u8], now: Now, out: &mut Outbox) {
        let text = String::from_utf8_lossy(body);
        let read = if status == Some(200) {
            articles::read(&text).map_err(|why| {
                self.records.counts.malformed += 1;
                format!("malformed: {why}")
            })
        } else {
            Err(status
                .map_or_else(|| front(&text).to_owned(), |status| format!("{status}: {}", front(&text))))
        };
        let Some(feed) = self.feeds.get_mut(id as usize).filter(|feed| feed.asked) else { return };
        feed.asked = false;
        match read {
            Ok(articles) => self.articles(id, &articles, now, out),
            Err(why) => self.failed(id, status, why, now, out),
        }
        self.say_state(out);
    }

    fn articles(&mut self, id: u32, document: &Articles, now: Now, out: &mut Outbox) {
        let Some(feed) = self.feeds.get_mut(id as usize) else { return };
        self.records.counts.connections += 1;
        feed.next = now.after(self.every_ns);
        feed.waits.reset();
        feed.long_waits.reset();
        let scope = &shown(&feed.url);
        if feed.down.take().is_some() {
            let note = Note { kind: "up", scope, detail: "answers again", ..Note::default() };
            out.tell(&self.topics, now.wall, &note);
        }
        if document.articles.is_empty() {
            return;
        }
        let key = |article: &articles::Article| format!("{id} {}", article.id);
        let overlaps = document.articles.iter().any(|article| self.records.has_seen(&key(article)));
        if let Some(from) = feed.polled.replace(now.wall).filter(|_| !overlaps) {
            let detail = "every article is new, so some may have gone unseen";
            let note = Note { kind: "gap", scope, span: Some((from, now.wall)), detail, ..Note::default() };
            out.tell(&self.topics, now.wall, &note);
        }
        // Feeds show the newest first.
        let mut in_order: Vec<_> = document.articles.iter().rev().collect();
        in_order.sort_by_key(|article| article.time);
        for article in in_order {
            if article.id.is_empty() {
                self.records.counts.malformed += 1;
                continue;
            }
            let text = [article.title.as_str(), &article.summary].join("\n");
            let post = Post {
                id: Some(&article.id),
                time: article.time,
                author: Some(&article.author),
                source: "rss",
                lang: Some(&document.lang),
                text: text.trim(),
                ..Post::default()
            };
            self.records.take(Some(&key(article)), &post, now, out);
        }
    }

    fn failed(&mut self, id: u32, status: Option<u16>, why: String, now: Now, out: &mut Outbox) {
        let Some(feed) = self.feeds.get_mut(id as usize) else { return };
        let refused = matches!(status, Some(400..=407 | 409..=428 | 430..=499));
        let wait_ns = match status {
            Some(200) => self.every_ns,
            Some(429) => feed.long_waits.next_ns().max(self.every_ns),
            _ if refused => REFUSED_WAIT_NS.max(self.every_ns),
            _ => feed.waits.next_ns(),
        };
        feed.next = now.after(wait_ns);
        let kind = if refused { "refused" } else { "down" };
        let note = Note { kind, scope: &shown(&feed.url), detail: &why, ..Note::default() };
        if feed.down.as_ref() != Some(&why) {
            out.tell(&self.topics, now.wall, &note);
        }
        if refused && self.on_refused == OnRefused::Fail {
            out.fail(format!("{}: must be accepted, found {why}", shown(&feed.url)));
        }
        feed.down = Some(why);
    }

    /// What a feed has shown since it last answered was not seen.
    fn stop(&mut self, now: Now, out: &mut Outbox) {
        for feed in self.feeds.iter().filter(|feed| feed.down.is_some()) {
            let Some(from) = feed.polled else { continue };
            let (span, detail) = (Some((from, now.wall)), "it did not answer when the run ended");
            let note = Note { kind: "gap", scope: &shown(&feed.url), span, detail, ..Note::default() };
            out.tell(&self.topics, now.wall, &note);
        }
        out.state(State::Stopped, "");
    }

    /// How it fares, where that has changed.
    fn say_state(&mut self, out: &mut Outbox) {
        let down = || self.feeds.iter().filter_map(|feed| Some((feed, feed.down.as_ref()?)));
        let state = down().next().map_or((State::Ready, String::new()), |(feed, why)| {
            let (count, all) = (down().count(), self.feeds.len());
            (State::Degraded, format!("{count} of {all}: {}: {why}", shown(&feed.url)))
        });
        if self.state != state {
            out.state(state.0, state.1.as_str());
            self.state = state;
        }
    }
}

/// An address as it may be shown: without the login and the query, which can hold a key.
fn shown(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

impl Connector for Rss {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        match event {
            Event::Start => {
                self.topics = vec![self.records.start(out)];
                out.state(State::Starting, "");
                for (at, feed) in self.feeds.iter_mut().enumerate() {
                    feed.next = now.after(at as u64 * STAGGER_NS);
                }
                self.ask(now, out);
            }
            Event::Due => self.ask(now, out),
            Event::Answer { id, status, body } => self.answer(id, status, body, now, out),
            Event::Stop => self.stop(now, out),
            _ => {}
        }
    }

    fn due(&self) -> Option<MonoNanos> {
        self.feeds.iter().filter(|feed| !feed.asked).map(|feed| feed.next).min()
    }

    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.counts().tell(tell);
    }
}
