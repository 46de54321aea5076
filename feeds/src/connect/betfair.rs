//! Betfair's Exchange Stream
//! (<https://betfair-developer-docs.atlassian.net/wiki/spaces/1smk3cen4v3lu3yomq5qye0ni/pages/2687396>): market changes
//! or the account's orders, published as they are, and images of the markets for engines that start late. It promises
//! that a stream that breaks goes on from the last clock whose changes were published, and that everything that the
//! venue left out is told as a hole. It refuses to place orders.

mod codes;
mod counts;
mod held;
mod message;
mod repeats;
mod requests;
mod session;
mod settings;
mod telling;
mod upstream;

use crate::clock::{MonoNanos, WallNanos};
use crate::connect::definitions::{ALL_NS, put};
use crate::connect::{Connector, Event, Now, Outbox, Ties, TopicId};
use crate::transcode::BETFAIR_INTEGERS;
use crate::venue::betfair::image::{Images, Instrument};

use held::{Held, Turn};
use message::Head;
use repeats::Repeats;
use upstream::{Change, Upstream};

pub use counts::Counts;
pub use settings::{Credentials, Markets, Settings, Subscription};

/// The connector.
#[derive(Debug)]
pub struct Stream {
    upstream: Upstream,
    held: Held,
    ties: Ties,
    /// None where orders are streamed.
    images: Option<Images>,
    repeats: Repeats,
    instruments: TopicId,
    /// When every instrument is told again.
    instruments_at: Option<MonoNanos>,
}

impl Stream {
    /// A connector that has not begun.
    pub fn new(settings: Settings) -> Self {
        let has_markets = matches!(settings.subscription, Subscription::Markets(_));
        Self {
            upstream: Upstream::new(settings),
            held: Held::default(),
            ties: Ties::default(),
            images: has_markets.then(Images::default),
            repeats: Repeats::default(),
            instruments: TopicId(0),
            instruments_at: None,
        }
    }

    /// What was met so far.
    pub fn met(&self) -> Counts {
        self.upstream.counts
    }

    fn change(&mut self, change: Change<'_>, now: Now, out: &mut Outbox) {
        let Change { head, json } = change;
        match self.held.take(head.segment(), json, now) {
            Turn::Publish => drop(self.publish(&head, json, now.wall, now, out)),
            Turn::Wait => {}
            Turn::Torn(why) => self.upstream.torn(why, now, out),
            Turn::Release(lines) => {
                for (recv, line) in lines {
                    let is_published = Head::read(line.as_bytes())
                        .is_ok_and(|(head, json)| self.publish(&head, json, recv, now, out));
                    if !is_published {
                        break;
                    }
                }
            }
        }
    }

    /// Publishes one line as it is, and says whether that could be done.
    fn publish(&mut self, head: &Head<'_>, json: &str, recv: WallNanos, now: Now, out: &mut Outbox) -> bool {
        self.upstream.before(head, now, out);
        let topic = self.upstream.topic();
        let tie = head.pt.map_or(0, |pt| self.ties.take(pt, candidates(json)));
        if let Err(error) = out.json(topic, recv, tie, json, BETFAIR_INTEGERS) {
            self.upstream.malformed(&error.to_string(), now, out);
            return false;
        }
        self.keep(head, now, out);
        self.upstream.after(head, now, out);
        true
    }

    /// Takes what was published last over into the images.
    fn keep(&mut self, head: &Head<'_>, now: Now, out: &mut Outbox) {
        let Some(images) = &mut self.images else { return };
        let (queued, bytes) = out.payloads();
        let payload = queued.last().and_then(|last| bytes.get(last.from..last.to)).unwrap_or_default();
        match images.apply(payload, head.part(), head.pt) {
            Ok(met) => {
                let counts = &mut self.upstream.counts;
                counts.conflated += met.conflated;
                counts.off_ladder += met.off_ladder;
                counts.not_kept += met.not_kept;
                counts.instruments += images.redefined().len() as u64;
                for Instrument { body, keys, since } in images.redefined() {
                    self.instruments_at.get_or_insert(now.after(ALL_NS));
                    put(self.instruments, body, *keys, *since, now, out);
                }
            }
            // No image is better than a wrong one.
            Err(_) => *images = Images::default(),
        }
    }

    /// What is told again and again for those who come late.
    fn repeat(&mut self, now: Now, out: &mut Outbox) {
        let Some(images) = &self.images else { return };
        let queued = self.repeats.run(images, self.upstream.topic(), now, out);
        let counts = &mut self.upstream.counts;
        counts.images += queued;
        if self.instruments_at.is_some_and(|at| at <= now.mono) {
            self.instruments_at = Some(now.after(ALL_NS));
            for Instrument { body, keys, since } in images.iter().map(|(_, image)| image.instrument()) {
                put(self.instruments, body, *keys, *since, now, out);
                counts.instruments += 1;
            }
        }
    }
}

impl Connector for Stream {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        if let Event::Joined(topic) = event
            && topic == self.upstream.topic()
            && self.images.is_some()
        {
            self.repeats.joined(now);
        }
        let change = self.upstream.on(event, now, out);
        if let Some(change) = change {
            self.change(change, now, out);
        } else if self.held.due().is_some_and(|due| due <= now.mono) && self.upstream.is_subscribed() {
            self.upstream.torn("segments: must end within 10 s", now, out);
        }
        if !self.upstream.is_subscribed() {
            // What was cut off comes again.
            self.held.clear();
        }
        match event {
            Event::Start if self.images.is_some() => self.instruments = out.topic("instruments"),
            Event::Stop => self.instruments_at = None,
            _ => self.repeat(now, out),
        }
    }

    fn due(&self) -> Option<MonoNanos> {
        let all = [self.upstream.due(), self.held.due(), self.repeats.due(), self.instruments_at];
        all.into_iter().flatten().min()
    }

    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.upstream.counts.tell(tell);
    }
}

/// The most points that a decoder can make of one series out of `json`: each is made from an object of its own. One
/// count for all series of a stream is cheap, and ordinals have gaps.
fn candidates(json: &str) -> u32 {
    let objects = json.bytes().filter(|byte| *byte == b'{').count();
    u32::try_from(objects).unwrap_or(u32::MAX)
}
