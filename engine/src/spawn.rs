//! The one place where threads are born: each has a unique name, is bound to its core or says loudly that it
//! is not, and a panic in it ends the whole run instead of leaving a silent hole.

use std::any::Any;
use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use core_affinity::CoreId;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::stop::Stop;

/// A running thread whose end can be waited for.
#[derive(Debug)]
pub struct Thread {
    name: String,
    ended: Receiver<Infallible>,
    join: JoinHandle<()>,
}

impl Thread {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for its end; false if it still runs after `time`.
    pub fn ended_within(&self, time: Duration) -> bool {
        matches!(self.ended.recv_timeout(time), Err(RecvTimeoutError::Disconnected))
    }

    /// Waits for its end without limit.
    pub fn join(self) {
        // A panic was caught inside and has already failed the run.
        if self.join.join().is_err() {
            tracing::error!("{}: ended by a panic outside its guard", self.name);
        }
    }
}

/// Starts `body` as thread `name`, bound to `core` if one is given. A core that cannot be had fails the run.
pub fn spawn(
    name: &str,
    core: Option<usize>,
    stop: &Arc<Stop>,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<Thread> {
    let (alive, ended) = bounded::<Infallible>(0);
    let (own, guard) = (name.to_owned(), Arc::clone(stop));
    let join = Builder::new().name(name.to_owned()).spawn(move || {
        let _alive = alive;
        if let Some(id) = core
            && !core_affinity::set_for_current(CoreId { id })
        {
            return guard.fail(format!("{own}: pinning: the core must be usable, found core {id}"));
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
            guard.fail(format!("{own}: panicked: {}", panic_text(panic.as_ref())));
        }
    })?;
    Ok(Thread { name: name.to_owned(), ended, join })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_stops_the_run_and_names_the_thread() {
        let stop = Arc::new(Stop::default());
        let thread = spawn("enc-9", None, &stop, || panic!("bad {}", "luck")).unwrap();
        assert!(thread.ended_within(Duration::from_secs(10)));
        thread.join();
        assert_eq!(stop.failure().as_deref(), Some("enc-9: panicked: bad luck"));
        assert!(stop.aborted());
    }

    #[test]
    fn a_core_that_does_not_exist_stops_the_run() {
        let stop = Arc::new(Stop::default());
        spawn("rx-a", Some(1000), &stop, || panic!("must not run")).unwrap().join();
        let reason = stop.failure().unwrap_or_default();
        assert_eq!(reason, "rx-a: pinning: the core must be usable, found core 1000");
    }
}
