//! One service that is kept running: what it is, where it stands, and what its end means.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use tickline_config::model::{PhaseName, Up};
use tickline_feeds::clock::MonoNanos;

use super::child::{Child, Program};
use super::control::{ServiceState, ServiceStatus};
use super::keeper::{Keeper, Verdict};

/// One that tells nothing of itself is ready when it has run so long.
const SETTLED: Duration = Duration::from_millis(200);

/// How one of ours ends that cannot run as it is configured.
const NO_CONFIGURATION: &str = "exit code 78";

/// A service: what is started, and when.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What is started.
    pub program: Program,
    /// With which phase it starts and ends.
    pub phase: PhaseName,
}

/// A service and where it stands.
pub(super) struct Kept {
    pub(super) spec: Spec,
    pub(super) keeper: Keeper,
    pub(super) child: Option<Child>,
    /// Which run of it this is.
    pub(super) run: u64,
    pub(super) started: MonoNanos,
    /// When it last told of itself.
    pub(super) heard: MonoNanos,
    /// When it is started again.
    pub(super) due: Option<MonoNanos>,
    /// It was asked to end, by us.
    pub(super) asked: bool,
    /// When it is killed, having been asked to end.
    pub(super) kill_at: Option<MonoNanos>,
    /// It had to be killed.
    pub(super) killed: bool,
    pub(super) shown: ServiceStatus,
    /// Whether it runs and is ready; shared with the phase that waits for it.
    pub(super) ready: Arc<AtomicBool>,
}

impl Kept {
    /// One that has not been started yet.
    pub(super) fn new(spec: Spec, up: &Up, now: MonoNanos) -> Self {
        Self {
            keeper: Keeper::new(up),
            child: None,
            run: 0,
            started: now,
            heard: now,
            due: None,
            asked: false,
            kill_at: None,
            killed: false,
            shown: ServiceStatus { name: spec.program.name.clone(), ..ServiceStatus::default() },
            ready: Arc::new(AtomicBool::new(false)),
            spec,
        }
    }

    /// The time of the next look at it.
    pub(super) fn next_look(&self) -> Option<MonoNanos> {
        let watchdog = self.spec.program.watchdog.filter(|_| self.child.is_some());
        let hangs = watchdog.map(|watchdog| MonoNanos(self.heard.0 + nanos(watchdog)));
        let waits =
            self.child.is_some() && !self.spec.program.notifies && self.shown.state == ServiceState::Starting;
        let settles = waits.then(|| MonoNanos(self.started.0 + nanos(SETTLED)));
        self.due.into_iter().chain(hangs).chain(settles).chain(self.kill_at).min()
    }

    /// Asks it to end until then, when it is killed.
    pub(super) fn ask_to_end(&mut self, kill_at: MonoNanos) {
        (self.asked, self.due) = (true, None);
        self.ready.store(false, Ordering::Relaxed);
        if let Some(child) = &self.child {
            self.kill_at = Some(kill_at);
            child.signal(Signal::TERM);
        } else {
            self.shown.state = ServiceState::Stopped;
        }
    }

    /// It has ended, or could not be started.
    pub(super) fn over(&mut self, how: &str, now: MonoNanos, now_s: i64) {
        self.ready.store(false, Ordering::Relaxed);
        (self.child, self.kill_at, self.shown.pid, self.shown.since_s) = (None, None, None, now_s);
        self.shown.trouble.clear();
        let name = &self.shown.name;
        if std::mem::take(&mut self.asked) {
            // Asked for a restart, it waits for it; asked to end, it has.
            if self.shown.state == ServiceState::Waiting {
                self.due = Some(now);
            } else {
                self.shown.state = ServiceState::Stopped;
            }
            self.shown.detail = format!("ended ({})", how.split(':').next().unwrap_or_default());
            return;
        }
        // A configuration that cannot work does not heal by itself.
        if how.starts_with(NO_CONFIGURATION) {
            tracing::error!("{name}: has ended ({how}) and is given up");
            self.shown.state = ServiceState::Failed;
            self.shown.detail = format!("given up ({how}): mend it, then tickline restart {name}");
            return;
        }
        match self.keeper.ended(self.started, now) {
            Verdict::StartAfter(wait) => {
                tracing::warn!("{name}: has ended ({how}) and is started again in {} ms", wait.as_millis());
                self.due = Some(MonoNanos(now.0 + nanos(wait)));
                self.shown.restarts += 1;
                self.shown.state = ServiceState::Waiting;
                self.shown.detail = format!("has ended ({how}): see tickline logs {name}");
            }
            Verdict::GiveUp => {
                tracing::error!("{name}: has ended ({how}) too often and is given up");
                self.shown.state = ServiceState::Failed;
                self.shown.detail = format!(
                    "given up, it ended again and again ({how}): see tickline logs {name}, mend it, and tickline restart {name}"
                );
            }
        }
    }

    pub(super) fn told(&mut self, text: &str, now: MonoNanos) {
        for line in text.lines() {
            match line.split_once('=') {
                Some(("WATCHDOG", "1")) => self.heard = now,
                Some(("READY", "1")) if !self.asked => {
                    self.heard = now;
                    self.shown.state = ServiceState::Running;
                    self.shown.detail.clear();
                    self.ready.store(true, Ordering::Relaxed);
                }
                Some(("STATUS", status)) if self.shown.state == ServiceState::Running => {
                    status.clone_into(&mut self.shown.detail);
                }
                Some(("X_DEGRADED", trouble)) => trouble.clone_into(&mut self.shown.trouble),
                _ => {}
            }
        }
    }

    /// Takes one that tells nothing of itself as ready when it has not ended at once; kills one that says nothing any more.
    pub(super) fn watch(&mut self, now: MonoNanos) {
        let starts = self.shown.state == ServiceState::Starting && self.child.is_some();
        if starts && !self.spec.program.notifies && now.since(self.started) >= nanos(SETTLED) {
            self.shown.state = ServiceState::Running;
            self.shown.detail.clear();
            self.ready.store(true, Ordering::Relaxed);
        }
        let Some(child) = &self.child else { return };
        if self.kill_at.take_if(|at| *at <= now).is_some() {
            tracing::error!("{}: did not end in time and is killed", self.shown.name);
            self.killed = true;
            child.signal(Signal::KILL);
        }
        let Some(watchdog) = self.spec.program.watchdog else { return };
        if now.since(self.heard) > nanos(watchdog) && !self.asked {
            tracing::error!("{}: says nothing for {} s and is killed", self.shown.name, watchdog.as_secs());
            self.heard = now;
            child.signal(Signal::KILL);
        }
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
