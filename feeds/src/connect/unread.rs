//! Messages of a source that could not be read, and may have been data: gathered for a second, so that a flood of them is
//! no flood of events, and told as one hole.

use crate::clock::{MonoNanos, WallNanos};
use crate::connect::{Note, Now, Outbox, TopicId};

const GATHER_NS: u64 = 1_000_000_000;

#[derive(Debug)]
struct Hole {
    from: WallNanos,
    lost: u64,
    detail: String,
    tell_at: MonoNanos,
}

/// What was not told yet.
#[derive(Debug, Default)]
pub(super) struct Unread {
    hole: Option<Hole>,
}

impl Unread {
    /// One more; nothing was missing up to `from`.
    pub(super) fn add(&mut self, why: &str, from: WallNanos, now: Now) {
        let hole = self.hole.get_or_insert_with(|| Hole {
            from,
            lost: 0,
            detail: format!("messages that could not be read: {why}"),
            tell_at: now.after(GATHER_NS),
        });
        hole.lost += 1;
    }

    /// When they want to be told.
    pub(super) fn due(&self) -> Option<MonoNanos> {
        self.hole.as_ref().map(|hole| hole.tell_at)
    }

    /// Tells them if it is time, or the end.
    pub(super) fn tell(&mut self, topics: &[TopicId], is_end: bool, now: Now, out: &mut Outbox) {
        let Some(Hole { from, lost, detail, .. }) =
            self.hole.take_if(|hole| is_end || now.mono >= hole.tell_at)
        else {
            return;
        };
        let span = Some((from, now.wall));
        let note = Note { kind: "gap", scope: "*", span, lost: Some(lost), detail: &detail };
        out.tell(topics, now.wall, &note);
    }
}
