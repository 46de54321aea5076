//! X's filtered stream (<https://docs.x.com/x-api/posts/filtered-stream/introduction>): posts that fit the rules of the
//! account, whose tags are the topics. It promises that each time that it was not connected is told as a hole. It
//! refuses to set rules.

use std::borrow::Cow;

use serde::Deserialize;
use tickline_config::secret::Secret;

use crate::clock::{MonoNanos, WallNanos};
use crate::connect::sentiment::records::{Post, Records};
use crate::connect::sentiment::{Counts, Settings};
use crate::connect::upstream::{Plan, Upstream};
use crate::connect::{Connector, Event, Link, Note, Now, OnRefused, Outbox, TopicId};
use crate::time::parse_rfc3339;

/// Where the stream is.
pub const X_URL: &str = "https://api.x.com/2/tweets/search/stream";

/// What of a post is asked for.
const FIELDS: &str = "tweet.fields=author_id,created_at,geo,lang&expansions=author_id,geo.place_id\
    &user.fields=location,public_metrics,username&place.fields=country_code";

/// Two of the keep-alive lines, which come every 20 s
/// (<https://docs.x.com/x-api/fundamentals/handling-disconnections>).
const SILENCE_NS: u64 = 40_000_000_000;

/// X delivers 99 of 100 posts within 7 s: what it still held when the connection went is part of the hole.
const DELIVERY_NS: i64 = 10_000_000_000;

/// Settings of [`X`].
#[derive(Clone, Debug)]
pub struct XSettings {
    /// Address of the stream, with a query if it needs one; see [`X_URL`].
    pub url: String,
    /// Bearer token of the application.
    pub token: Secret,
    /// What is made of the posts.
    pub records: Settings,
    /// What happens when X takes the token no longer.
    pub on_refused: OnRefused,
    /// Tells the waits of processes apart: random.
    pub seed: u64,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
    #[serde(borrow, default)]
    includes: Option<Includes<'a>>,
    #[serde(borrow, default)]
    matching_rules: Vec<Tag<'a>>,
    #[serde(borrow, default)]
    errors: Vec<Problem<'a>>,
    #[serde(borrow, default)]
    title: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    detail: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(borrow, default)]
    created_at: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    author_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    lang: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    geo: Option<Geo<'a>>,
}

#[derive(Deserialize)]
struct Geo<'a> {
    #[serde(borrow, default)]
    place_id: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Includes<'a> {
    #[serde(borrow, default)]
    users: Vec<User<'a>>,
    #[serde(borrow, default)]
    places: Vec<Place<'a>>,
}

#[derive(Deserialize)]
struct User<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    username: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    location: Option<Cow<'a, str>>,
    #[serde(default)]
    public_metrics: Option<Metrics>,
}

#[derive(Deserialize)]
struct Metrics {
    #[serde(default)]
    followers_count: Option<u64>,
}

#[derive(Deserialize)]
struct Place<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    country_code: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow, default)]
    tag: Option<Cow<'a, str>>,
}

/// What X says instead of a post, before it closes; such a line is one of these, or has some.
#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(borrow, default)]
    title: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    detail: Option<Cow<'a, str>>,
}

/// The connector of X.
#[derive(Debug)]
pub struct X {
    upstream: Upstream,
    topics: Vec<TopicId>,
    records: Records,
}

impl X {
    /// A connector that has not begun.
    pub fn new(settings: XSettings) -> Self {
        let joint = if settings.url.contains('?') { '&' } else { '?' };
        let plan = Plan {
            link: Link(0),
            url: format!("{}{joint}{FIELDS}", settings.url),
            token: settings.token,
            silence_ns: SILENCE_NS,
            delivery_ns: DELIVERY_NS,
            scopes: Vec::new(),
            on_refused: settings.on_refused,
            seed: settings.seed,
        };
        Self { upstream: Upstream::new(plan), topics: Vec::new(), records: Records::new(settings.records) }
    }

    /// What was met so far.
    pub fn counts(&self) -> Counts {
        Counts { connections: self.upstream.opened(), ..self.records.counts }
    }

    fn line(&mut self, line: &[u8], now: Now, out: &mut Outbox) {
        match serde_json::from_slice::<Line<'_>>(line) {
            Ok(Line { data: Some(data), includes, matching_rules, .. }) => {
                self.post(&data, &includes.unwrap_or_default(), &matching_rules, now, out);
            }
            Ok(Line { mut errors, title, detail, .. }) => {
                self.records.counts.unknown += 1;
                let Problem { title, detail } = errors.pop().unwrap_or(Problem { title, detail });
                let said = format!("no post: {}: {}", title.unwrap_or_default(), detail.unwrap_or_default());
                self.upstream.suspect(&said, now, out);
            }
            Err(error) => {
                self.records.counts.malformed += 1;
                self.upstream.unread(&error.to_string(), now);
            }
        }
    }

    fn post(
        &mut self,
        data: &Data<'_>,
        includes: &Includes<'_>,
        rules: &[Tag<'_>],
        now: Now,
        out: &mut Outbox,
    ) {
        let author = includes.users.iter().find(|user| Some(&user.id) == data.author_id.as_ref());
        let place_id = data.geo.as_ref().and_then(|geo| geo.place_id.as_ref());
        let place = includes.places.iter().find(|place| Some(&place.id) == place_id);
        let time = data.created_at.as_ref().and_then(|text| parse_rfc3339(text.as_bytes()));
        let post = Post {
            id: Some(&data.id),
            time: time.map(WallNanos),
            author: author.and_then(|user| user.username.as_deref()),
            topic: rules.iter().find_map(|rule| rule.tag.as_deref().filter(|tag| !tag.is_empty())),
            source: "x",
            location: author.and_then(|user| user.location.as_deref()),
            lang: data.lang.as_deref(),
            country: place.and_then(|place| place.country_code.as_deref()),
            text: &data.text,
            followers: author.and_then(|user| user.public_metrics.as_ref()?.followers_count),
        };
        self.records.take(post.id, &post, now, out);
    }
}

impl Connector for X {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        if let Event::Start = event {
            self.topics = vec![self.records.start(out)];
            self.upstream.set_topics(self.topics.to_vec());
        }
        if let Some(line) = self.upstream.on(event, now, out) {
            self.line(line, now, out);
        }
        match event {
            // There is no snapshot: what is posted from now on comes.
            Event::Opened(_) => self.upstream.up(None, now, out),
            Event::Stop => {
                if let Some(from) = self.upstream.take_hole() {
                    let detail = "not connected when the run ended";
                    let span = Some((from, now.wall));
                    let note = Note { kind: "gap", scope: "*", span, detail, ..Note::default() };
                    out.tell(&self.topics, now.wall, &note);
                }
            }
            _ => {}
        }
    }

    fn due(&self) -> Option<MonoNanos> {
        self.upstream.due()
    }

    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.counts().tell(tell);
    }
}
