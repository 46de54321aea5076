//! Where this crate's threads are born: each has a name, and a panic in one stops the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle, panicking};

struct StopOnPanic(Arc<AtomicBool>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Starts a thread; `stop` is set if it panics. The system shows the first 15 bytes of `name`.
pub(crate) fn spawn<T: Send + 'static>(
    name: String,
    stop: Arc<AtomicBool>,
    body: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    Builder::new().name(name).spawn(move || {
        let _guard = StopOnPanic(stop);
        body()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_stops_the_run_and_a_return_does_not() {
        let stop = Arc::new(AtomicBool::new(false));
        let fine = spawn("pub-fine".to_owned(), Arc::clone(&stop), || 7).unwrap();
        assert_eq!((fine.join().unwrap(), stop.load(Ordering::Relaxed)), (7, false));
        let broken =
            spawn("pub-broken".to_owned(), Arc::clone(&stop), || panic!("as the test wants")).unwrap();
        assert!(broken.join().is_err());
        assert!(stop.load(Ordering::Relaxed));
    }
}
