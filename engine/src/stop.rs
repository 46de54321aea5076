//! How a run ends: one object that every stage looks at. `drain` lets the stages finish from left to right,
//! `abort` ends every wait at once, `fail` is an abort with a reason. It owns no thread and joins none.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

const RUNNING: u8 = 0;
const DRAINING: u8 = 1;
const ABORTED: u8 = 2;

/// Longest time that a thread waits without looking at [`Stop`].
pub const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The state of a run, shared by all its threads.
#[derive(Debug)]
pub struct Stop {
    phase: AtomicU8,
    /// Dropped at abort, which closes `aborted` and so ends every wait.
    hold: Mutex<Option<Sender<Infallible>>>,
    aborted: Receiver<Infallible>,
    failure: Mutex<Option<String>>,
    control: Mutex<Option<Arc<mio::Waker>>>,
}

impl Default for Stop {
    fn default() -> Self {
        let (hold, aborted) = bounded(0);
        Self {
            phase: AtomicU8::new(RUNNING),
            hold: Mutex::new(Some(hold)),
            aborted,
            failure: Mutex::new(None),
            control: Mutex::new(None),
        }
    }
}

impl Stop {
    /// Whether nothing has been asked to end yet.
    pub fn running(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == RUNNING
    }

    /// Whether every wait is over and what is left must be counted as dropped.
    pub fn aborted(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == ABORTED
    }

    /// Receivers stop; the stages behind them finish what they have.
    pub fn drain(&self) {
        self.phase.fetch_max(DRAINING, Ordering::Relaxed);
        self.wake_control();
    }

    /// Ends every wait at once.
    pub fn abort(&self) {
        self.phase.store(ABORTED, Ordering::Relaxed);
        drop(self.hold.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.wake_control();
    }

    /// Aborts with a reason; the first one is kept.
    pub fn fail(&self, reason: String) {
        tracing::error!("{reason}");
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.abort();
    }

    /// Lets everything go on and be finished; the run has failed all the same.
    pub fn fail_at_end(&self, reason: String) {
        tracing::error!("{reason}");
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }

    /// Why the run failed, if it did.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits, but not beyond an abort; true if it was aborted.
    pub fn wait(&self, time: Duration) -> bool {
        matches!(self.aborted.recv_timeout(time), Err(RecvTimeoutError::Disconnected))
    }

    /// The waker of the control thread, woken whenever the state changes.
    pub fn set_control(&self, waker: Arc<mio::Waker>) {
        *self.control.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }

    fn wake_control(&self) {
        if let Some(waker) = self.control.lock().unwrap_or_else(PoisonError::into_inner).as_ref()
            && let Err(error) = waker.wake()
        {
            tracing::error!("control: waking failed, found {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abort_ends_a_wait_and_the_first_failure_is_kept() {
        let stop = Stop::default();
        assert!(!stop.wait(Duration::ZERO));
        stop.drain();
        assert!(!stop.running() && !stop.aborted() && !stop.wait(Duration::ZERO));
        stop.fail("first".into());
        stop.fail("second".into());
        assert!(stop.wait(Duration::from_secs(3600)) && stop.aborted());
        stop.drain();
        assert!(stop.aborted(), "a drain after an abort changes nothing");
        assert_eq!(stop.failure().as_deref(), Some("first"));
    }
}
