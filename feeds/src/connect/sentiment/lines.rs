//! A file or standard input of JSON lines: `{id?, text, created_at?, lang?, author?, location?, country?, followers?}`,
//! `created_at` in RFC 3339. It promises that a line that cannot be read is counted and the next one taken. It refuses
//! to start again at the end.

use std::borrow::Cow;

use serde::Deserialize;

use crate::clock::MonoNanos;
use crate::connect::sentiment::records::{Post, Records};
use crate::connect::sentiment::{Counts, Settings};
use crate::connect::unread::Unread;
use crate::connect::{Connector, Event, Link, Note, Now, Outbox, State, Target};
use crate::time::parse_rfc3339;

const LINK: Link = Link(0);

/// Settings of [`Lines`].
#[derive(Clone, Debug, Default)]
pub struct LinesSettings {
    /// The file; `-` is standard input.
    pub path: String,
    /// What is made of its lines.
    pub records: Settings,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(borrow, default)]
    created_at: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    lang: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    author: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    location: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    country: Option<Cow<'a, str>>,
    #[serde(default)]
    followers: Option<u64>,
}

/// The connector of a file.
#[derive(Debug)]
pub struct Lines {
    path: String,
    records: Records,
    unread: Unread,
}

impl Lines {
    /// A connector that has not begun.
    pub fn new(settings: LinesSettings) -> Self {
        Self { path: settings.path, records: Records::new(settings.records), unread: Unread::default() }
    }

    /// What was met so far.
    pub fn counts(&self) -> Counts {
        self.records.counts
    }

    fn line(&mut self, line: &[u8], now: Now, out: &mut Outbox) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let line = match serde_json::from_slice::<Line<'_>>(line) {
            Ok(line) => line,
            Err(error) => {
                self.records.counts.malformed += 1;
                return self.unread.add(&error.to_string(), now.wall, now);
            }
        };
        let post = Post {
            id: line.id.as_deref(),
            time: line
                .created_at
                .and_then(|text| parse_rfc3339(text.as_bytes()))
                .map(crate::clock::WallNanos),
            author: line.author.as_deref(),
            topic: None,
            source: "file",
            location: line.location.as_deref(),
            lang: line.lang.as_deref(),
            country: line.country.as_deref(),
            text: &line.text,
            followers: line.followers,
        };
        self.records.take(post.id, &post, now, out);
    }

    fn closed(&mut self, why: &str, now: Now, out: &mut Outbox) {
        if self.records.counts.connections == 0 {
            out.fail(format!("{}: must be readable, found {why}", self.path));
            return;
        }
        let topic = self.records.start(out);
        self.unread.tell(&[topic], true, now, out);
        let note = Note { kind: "down", scope: "*", detail: "the file has ended", ..Note::default() };
        out.tell(&[topic], now.wall, &note);
        out.state(State::Stopped, "the file has ended");
    }
}

impl Connector for Lines {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        match event {
            Event::Start => {
                self.records.start(out);
                out.state(State::Starting, "");
                out.open(LINK, Target::File { path: self.path.to_owned() });
            }
            Event::Opened(LINK) => {
                self.records.counts.connections += 1;
                out.state(State::Ready, "");
            }
            Event::Message(LINK, line) => self.line(line, now, out),
            Event::Closed { link: LINK, why, .. } => self.closed(why, now, out),
            Event::Due | Event::Stop => {
                let topic = self.records.start(out);
                self.unread.tell(&[topic], matches!(event, Event::Stop), now, out);
            }
            _ => {}
        }
    }

    fn due(&self) -> Option<MonoNanos> {
        self.unread.due()
    }

    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.counts().tell(tell);
    }
}
