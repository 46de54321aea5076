//! Two alarms of a feed: nothing comes at all, or what comes is no data although the session is open. A publisher
//! with heartbeats is never silent while it lives, so its silence is an alarm at all hours.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tickline_config::model::{Feed, Session};
use tickline_feeds::clock::{MonoNanos, WallNanos};
use tickline_feeds::decoder::FrameClass;
use tickline_feeds::news::Event;

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// No frame, no heartbeat.
    Transport,
    /// No data.
    Data,
}

impl Silence {
    /// The name in reports and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Silence::Transport => "transport",
            Silence::Data => "data",
        }
    }
}

/// What is silent, and since when.
#[derive(Debug)]
pub(super) struct Watch {
    silence_max: Option<Duration>,
    data_silence_max: Option<Duration>,
    session: Session,
    scope: String,
    /// Last frame of any kind; none: not one yet.
    frame: Option<MonoNanos>,
    /// Last data, or when data was first expected.
    data: MonoNanos,
    began: MonoNanos,
    has_heartbeats: bool,
    /// Whether its publisher is connected.
    up: Arc<AtomicBool>,
    /// The alarm that was told.
    told: Option<Silence>,
    last: LastTick,
}

/// The last frame that made points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastTick {
    /// When it was received, ns since 1970; 0: there was none.
    pub recv_ns: i64,
    /// Its `_ts`, ns since 1970; 0: it had none.
    pub sent_ns: i64,
}

impl Watch {
    pub(super) fn new(config: &Feed, up: Arc<AtomicBool>, now: MonoNanos) -> Self {
        Self {
            silence_max: config.silence_max,
            data_silence_max: config.data_silence_max,
            session: config.session.clone(),
            scope: config.endpoint.clone(),
            frame: None,
            data: now,
            began: now,
            has_heartbeats: false,
            up,
            told: None,
            last: LastTick::default(),
        }
    }

    /// A frame has made points.
    #[inline]
    pub(super) fn tick(&mut self, recv_ns: i64, sent_ns: i64) {
        self.last = LastTick { recv_ns, sent_ns };
    }

    /// The last frame that made points.
    pub(super) fn last(&self) -> LastTick {
        self.last
    }

    /// A frame has come.
    #[inline]
    pub(super) fn frame(&mut self, now: MonoNanos, class: FrameClass) {
        self.frame = Some(now);
        match class {
            FrameClass::Points => self.data = now,
            // A venue's own heartbeats serve as well: whoever sends them is there.
            FrameClass::Control => self.has_heartbeats = true,
            FrameClass::Undecodable(_) => {}
        }
    }

    /// Counts every silence from now on.
    pub(super) fn begin_again(&mut self, now: MonoNanos) {
        (self.began, self.data) = (now, now);
        self.frame = self.frame.map(|_| now);
    }

    /// The alarm that stands.
    pub(super) fn alarm(&self) -> Option<Silence> {
        self.told
    }

    /// Looks at the clocks, about once a second; returns what has changed, to be told.
    pub(super) fn look(&mut self, now: MonoNanos, wall: WallNanos) -> Option<Event> {
        if !self.session.is_open(wall.0) {
            self.data = now;
        }
        let over = |max: Option<Duration>, since: MonoNanos| {
            max.is_some_and(|max| u128::from(now.since(since)) >= max.as_nanos())
        };
        // One that never sends heartbeats is only known to be gone when its connection is.
        let transport = self.has_heartbeats || self.frame.is_none() || !self.up.load(Relaxed);
        let silent_since = self.frame.unwrap_or(self.began);
        let alarm = if transport && over(self.silence_max, silent_since) {
            Some(Silence::Transport)
        } else if over(self.data_silence_max, self.data) {
            Some(Silence::Data)
        } else {
            None
        };
        if alarm == self.told {
            return None;
        }
        let before = std::mem::replace(&mut self.told, alarm);
        let (kind, detail) = match (alarm, before) {
            (Some(Silence::Transport), _) => {
                let since = now.since(silent_since) / 1_000_000_000;
                let what =
                    if self.frame.is_none() { "nothing has come yet" } else { "no frame, no heartbeat" };
                ("silent", format!("{what} for {since} s"))
            }
            (Some(Silence::Data), _) => {
                let since = now.since(self.data) / 1_000_000_000;
                ("no_data", format!("no data for {since} s while the session is open"))
            }
            (None, Some(Silence::Transport)) => ("heard_again", String::new()),
            (None, _) => ("data_again", String::new()),
        };
        Some(Event { at_ns: wall.0, kind: kind.to_owned(), scope: self.scope.clone(), detail })
    }
}

#[cfg(test)]
mod tests {
    use tickline_feeds::counts::Undecodable;

    use super::*;
    use crate::stage::encode::own::tests::feed;

    const SECOND: u64 = 1_000_000_000;

    fn up() -> Arc<AtomicBool> {
        Arc::new(AtomicBool::new(true))
    }

    fn look(watch: &mut Watch, second: u64) -> Option<String> {
        watch.look(MonoNanos(second * SECOND), WallNanos(0)).map(|event| event.kind)
    }

    #[test]
    fn a_feed_with_heartbeats_is_silent_when_they_stop_and_without_data_when_only_they_come() {
        let mut watch = Watch::new(&feed(&[]), up(), MonoNanos(0));
        assert_eq!(look(&mut watch, 9), None);
        assert_eq!(look(&mut watch, 10).as_deref(), Some("silent"), "nothing has ever come");
        assert_eq!(look(&mut watch, 11), None, "told once");
        watch.frame(MonoNanos(12 * SECOND), FrameClass::Points);
        assert_eq!(look(&mut watch, 12).as_deref(), Some("heard_again"));
        watch.frame(MonoNanos(13 * SECOND), FrameClass::Undecodable(Undecodable::Malformed));
        assert_eq!(look(&mut watch, 200), None, "no heartbeat was ever seen: only data counts");
        for second in 201..312 {
            watch.frame(MonoNanos(second * SECOND), FrameClass::Control);
        }
        assert_eq!(look(&mut watch, 312).as_deref(), Some("no_data"));
        assert_eq!(look(&mut watch, 330).as_deref(), Some("silent"));
        watch.frame(MonoNanos(331 * SECOND), FrameClass::Control);
        assert_eq!(look(&mut watch, 331).as_deref(), Some("no_data"), "heartbeats alone are no data");
        watch.frame(MonoNanos(332 * SECOND), FrameClass::Points);
        assert_eq!(look(&mut watch, 332).as_deref(), Some("data_again"));
    }

    #[test]
    fn outside_its_session_a_feed_may_be_without_data_and_the_time_counts_from_its_opening() {
        let mut watch = Watch::new(&feed(&["session=[\"Thu 00:10-Thu 01:00 UTC\"]"]), up(), MonoNanos(0));
        // The clocks begin on Thursday 1970-01-01 at 00:00.
        let mut at = |second: u64| {
            watch.frame(MonoNanos(second * SECOND), FrameClass::Control);
            let wall = WallNanos((second * SECOND) as i64);
            watch.look(MonoNanos(second * SECOND), wall).map(|event| event.kind)
        };
        assert_eq!(at(599), None);
        assert_eq!(at(898), None);
        assert_eq!(at(899).as_deref(), Some("no_data"));
        assert_eq!(at(3_600).as_deref(), Some("data_again"), "the session is over: no alarm");
    }

    #[test]
    fn a_publisher_without_heartbeats_is_silent_once_its_connection_is_gone() {
        let connected = up();
        let mut watch = Watch::new(&feed(&[]), Arc::clone(&connected), MonoNanos(0));
        watch.frame(MonoNanos(0), FrameClass::Points);
        assert_eq!(look(&mut watch, 100), None);
        connected.store(false, Relaxed);
        assert_eq!(look(&mut watch, 101).as_deref(), Some("silent"));
        connected.store(true, Relaxed);
        watch.frame(MonoNanos(102 * SECOND), FrameClass::Points);
        assert_eq!(look(&mut watch, 102).as_deref(), Some("heard_again"));
    }
}
