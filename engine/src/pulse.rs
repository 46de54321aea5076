//! Whether the pipeline moves: each receiver and encoder turns at least ten times a second, frames or not, and its CPU
//! time grows with it. One that stands still although nothing before it is full hangs. The watchdog is fed only while
//! none does.

use std::collections::BTreeMap;

use tickline_feeds::clock::MonoNanos;

use crate::view::View;

/// For so long a thread may stand still: a disk or a machine may hold it for a while.
const STILL_MAX_NS: u64 = 10_000_000_000;

/// What was last seen of each thread.
#[derive(Clone, Debug, Default)]
pub struct Pulse(BTreeMap<String, (u64, MonoNanos)>);

/// A thread as it is seen.
#[derive(Clone, Debug)]
struct Seen {
    name: String,
    /// CPU time, ns; 0: it does not tell.
    cpu_ns: u64,
    /// It waits for a queue that is full, which is its work.
    waits: bool,
}

impl Pulse {
    /// Looks at a run, about once a second; names what hangs.
    pub(crate) fn look(&mut self, view: &View, now: MonoNanos) -> Option<String> {
        let full = |waiting: usize, most: usize| 2 * waiting > most;
        let frames = view.frame_queues.iter().any(|queue| {
            let (frames, _, most) = queue.read();
            full(frames, most)
        });
        let batches =
            view.sinks.iter().any(|sink| full(sink.queue.len(), sink.queue.capacity().unwrap_or(0)));
        let receivers = view.stats.rx.lock().iter().map(|cell| *cell.cpu_ns.lock()).collect::<Vec<_>>();
        let encoders = view.stats.enc.lock().iter().map(|cell| *cell.cpu_ns.lock()).collect::<Vec<_>>();
        let seen = |kind: &'static str, waits: bool| {
            move |(at, cpu_ns): (usize, u64)| Seen { name: format!("{kind} {at}"), cpu_ns, waits }
        };
        // An inline encoder holds up its receiver.
        let receivers = receivers.into_iter().enumerate().map(seen("receiver", frames || batches));
        let encoders = encoders.into_iter().enumerate().map(seen("encoder", batches));
        self.see(receivers.chain(encoders), now)
    }

    fn see(&mut self, threads: impl Iterator<Item = Seen>, now: MonoNanos) -> Option<String> {
        let mut hangs = None;
        for Seen { name, cpu_ns, waits } in threads.filter(|thread| thread.cpu_ns > 0) {
            let (before, since) = self.0.entry(name.clone()).or_insert((cpu_ns, now));
            if *before != cpu_ns || waits {
                (*before, *since) = (cpu_ns, now);
            }
            let still = now.since(*since);
            if still >= STILL_MAX_NS {
                hangs = Some(format!("{name} has stood still for {} s", still / 1_000_000_000));
            }
        }
        hangs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, cpu_ns: u64, waits: bool) -> Seen {
        Seen { name: name.into(), cpu_ns, waits }
    }

    #[test]
    fn a_thread_hangs_when_it_stands_still_for_ten_seconds_and_waits_for_nobody() {
        let mut pulse = Pulse::default();
        let mut at = |s: u64, cpu_ns: u64, waits: bool| {
            let threads = [
                seen("receiver 0", s + 1, false),
                seen("encoder 0", cpu_ns, waits),
                seen("encoder 1", 0, false),
            ];
            pulse.see(threads.into_iter(), MonoNanos(s * 1_000_000_000))
        };
        assert_eq!(at(0, 5, false), None);
        assert_eq!(at(9, 5, false), None);
        assert_eq!(at(10, 5, false).as_deref(), Some("encoder 0 has stood still for 10 s"));
        assert_eq!(at(11, 6, false), None, "it goes on");
        assert_eq!(at(20, 6, true), None, "a full queue holds it");
        assert_eq!(at(29, 6, false), None, "which counts from its end");
        assert_eq!(at(30, 6, false).as_deref(), Some("encoder 0 has stood still for 10 s"));
    }
}
