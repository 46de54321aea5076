//! What systemd is told of a run: that it is ready, how it goes, that it lives, that it ends. Where nobody asks
//! (`NOTIFY_SOCKET`), nothing is told.

use sd_notify::{NotifyState, notify, watchdog_enabled};
use tickline_config::report::PartState;
use tickline_feeds::clock::MonoNanos;

use crate::health::of_publisher;
use crate::pulse::Pulse;
use crate::view::{PublisherView, View};

/// The service of this process.
#[derive(Debug)]
pub struct Service {
    asked: bool,
    watched: bool,
    pulse: Pulse,
    /// Frames received and points written at the last look, and when that was.
    last: (u64, u64, Option<MonoNanos>),
}

impl Default for Service {
    fn default() -> Self {
        let asked = std::env::var_os("NOTIFY_SOCKET").is_some();
        Self { asked, watched: watchdog_enabled().is_some(), pulse: Pulse::default(), last: (0, 0, None) }
    }
}

impl Service {
    /// Everything is started.
    pub(crate) fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// It drains.
    pub(crate) fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// Publishers of a process of their own; told when it changes: `X_DEGRADED` is what does not work.
    pub(crate) fn publishers(&self, views: &[PublisherView], last: &mut String) {
        if !self.asked {
            return;
        }
        let parts = views.iter().map(PublisherView::report).map(|(name, of)| of_publisher(&name, &of));
        let wrong = parts.filter(|part| part.state != PartState::Ok);
        let wrong: Vec<String> = wrong.map(|part| format!("{} {}", part.name, part.cause)).collect();
        let now = format!("X_DEGRADED={}", wrong.join("; ").replace('\n', " "));
        if now != *last {
            self.tell(&[NotifyState::Custom(&now)]);
            *last = now;
        }
    }

    /// Looks whether the pipeline moves, and tells; once a second.
    pub(crate) fn look(&mut self, view: &View, now: MonoNanos) {
        let hangs = self.pulse.look(view, now).filter(|_| view.stop.running());
        if self.asked {
            let status = self.status(view, now);
            self.tell(&[NotifyState::Status(&status)]);
        }
        if self.watched && hangs.is_none() {
            self.tell(&[NotifyState::Watchdog]);
        }
        let mut shown = view.hangs.lock();
        if let Some(hangs) = hangs.as_ref().filter(|_| shown.is_none()) {
            tracing::error!("{hangs}");
        }
        *shown = hangs;
    }

    fn status(&mut self, view: &View, now: MonoNanos) -> String {
        let reading = crate::ledger::Reading::take(&view.stats);
        let received: u64 = reading.feeds_in.iter().map(|feed| feed.received).sum();
        let written: u64 = reading.sinks_out.iter().map(|sink| sink.written).sum();
        let (received_then, written_then, then) =
            std::mem::replace(&mut self.last, (received, written, Some(now)));
        let span_s = then.map_or(0.0, |then| now.since(then) as f64 / 1e9).max(1e-3);
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / span_s;
        let (come, stored) = (rate(received, received_then), rate(written, written_then));
        let troubled =
            view.sinks.iter().zip(&reading.sinks_out).filter(|(_, settled)| settled.trouble.is_some());
        let troubled: Vec<&str> = troubled.map(|(sink, _)| sink.name.as_str()).collect();
        let trouble = if troubled.is_empty() {
            String::new()
        } else {
            format!(", not stored by {}", troubled.join(", "))
        };
        format!("{come:.0} messages/s in, {stored:.0} points/s stored{trouble}")
    }

    fn tell(&self, state: &[NotifyState<'_>]) {
        if !self.asked {
            return;
        }
        if let Err(error) = notify(state) {
            tracing::warn!("systemd cannot be told: {error}");
        }
    }
}
