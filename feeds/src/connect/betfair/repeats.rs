//! When which market's image is repeated: each once a minute, one after the other over the whole of it, and all of them
//! when somebody subscribes, at most once a second.

use crate::clock::MonoNanos;
use crate::connect::{Now, Outbox, TopicId};
use crate::venue::betfair::image::{IMAGE_KEYS, Image, Images};

/// A market's image is repeated so often, ns.
const REPEAT_NS: u64 = 60_000_000_000;

/// Whoever subscribes right behind another one waits so long, ns.
const JOIN_NS: u64 = 1_000_000_000;

/// The order of repeating.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// The market that was repeated last.
    last: String,
    next_at: Option<MonoNanos>,
    /// All of them are wanted.
    all_at: Option<MonoNanos>,
    /// No sooner than that are all repeated again.
    all_again: MonoNanos,
}

impl Repeats {
    /// When the next one is repeated.
    pub(super) fn due(&self) -> Option<MonoNanos> {
        [self.next_at, self.all_at].into_iter().flatten().min()
    }

    /// Somebody subscribed.
    pub(super) fn joined(&mut self, now: Now) {
        self.all_at.get_or_insert(now.mono.max(self.all_again));
    }

    /// Queues what is due and says how many.
    pub(super) fn run(&mut self, images: &Images, topic: TopicId, now: Now, out: &mut Outbox) -> u64 {
        let mut queued = 0;
        let mut queue = |(id, image): (&str, &Image)| {
            queued += 1;
            out.map(topic, now.wall, 0, IMAGE_KEYS, |writer| image.write(id, writer));
        };
        if self.all_at.is_some_and(|at| at <= now.mono) {
            (self.all_at, self.all_again) = (None, now.after(JOIN_NS));
            images.iter().for_each(&mut queue);
        }
        let Some(step_ns) = REPEAT_NS.checked_div(images.len() as u64) else {
            self.next_at = None;
            return queued;
        };
        // Markets that come make the steps shorter at once.
        let mut next = self.next_at.map_or(now.after(step_ns), |at| at.min(now.after(step_ns)));
        for _ in 0..images.len() {
            if next > now.mono {
                break;
            }
            if let Some((id, image)) = images.after(&self.last) {
                queue((id, image));
                id.clone_into(&mut self.last);
            }
            next = MonoNanos(next.0.saturating_add(step_ns));
        }
        self.next_at = Some(next.max(now.mono));
        queued
    }
}
