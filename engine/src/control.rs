//! The control plane: one thread on one poll for signals, wakes and timers, which also writes the quarantine,
//! the sequence state and the status line. It never touches a tick.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::Receiver;
use mio::{Events, Interest, Poll, Token, Waker};
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook_mio::v1_0::Signals;
use tickline_config::Loaded;
use tickline_feeds::clock::MonoNanos;

use crate::losses::Losses;
use crate::publish::Group;
use crate::quarantine::{Quarantine, Suspect};
use crate::report::{Histograms, report};
use crate::run::Run;
use crate::service::Service;
use crate::state::StateFile;
use crate::status_line::StatusLine;
use crate::{health, history};

const SIGNALS: Token = Token(0);
const WAKE: Token = Token(1);

/// How often it looks when nothing happens; also the pace of the quarantine.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The same while draining, so that the end is seen soon.
const LOOK_OFTEN: Duration = Duration::from_millis(10);
const SECOND_NS: u64 = 1_000_000_000;

/// Loads the configuration again.
pub type Reload<'a> = &'a dyn Fn() -> Result<Loaded, String>;

/// What it is to see to.
pub struct Orders<'a> {
    /// How long draining may take.
    pub shutdown_timeout: Duration,
    /// Where the state, the quarantine and the histograms go; none: nowhere.
    pub state_dir: Option<PathBuf>,
    /// Bytes of the quarantine.
    pub quarantine_bytes_max: u64,
    /// What SIGHUP does; none: it is ignored.
    pub reload: Option<Reload<'a>>,
    /// Publishers of this process, which end before the engine does.
    pub publishers: Option<Group>,
    /// Asked ten times a second whether the run has done what it should.
    pub done: &'a mut dyn FnMut(&Run) -> bool,
}

impl std::fmt::Debug for Orders<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Orders").field("state_dir", &self.state_dir).finish_non_exhaustive()
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything was finished, or the time for it was over.
    Drained,
    /// A stage failed.
    Failed,
}

/// The control plane of a process.
pub struct Control {
    poll: Poll,
    signals: Signals,
    waker: Arc<Waker>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("poll", &self.poll).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Draining { deadline: MonoNanos },
    Aborted { deadline: MonoNanos },
}

impl Control {
    /// Catches the signals from now on; before anything is started.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2])?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        Ok(Self { poll, signals, waker })
    }

    /// Watches a run until it has ended: by itself, by a signal, by a failure.
    pub fn watch(&mut self, run: &mut Run, mut orders: Orders<'_>) -> io::Result<Ended> {
        run.stop().set_control(Arc::clone(&self.waker));
        if let Some(publishers) = &orders.publishers {
            publishers.stop().set_control(Arc::clone(&self.waker));
            *run.view().publishers.lock() = publishers.views();
        }
        let mut keeper = Keeper::new(run, &orders)?;
        keeper.service.ready();
        let mut phase = Phase::Running;
        let mut events = Events::with_capacity(16);
        loop {
            let wait = if phase == Phase::Running { LOOK_EVERY } else { LOOK_OFTEN };
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            let now = run.view().clock.mono();
            let signals: Vec<i32> = self.signals.pending().collect();
            for signal in signals {
                phase = self.signal(signal, phase, run, &mut orders, now);
            }
            phase = next_phase(phase, run, &mut orders, now);
            run.look_at_links();
            keeper.look(run, now, phase == Phase::Running);
            match phase {
                Phase::Aborted { deadline } if now >= deadline || run.ended() => break,
                Phase::Draining { .. } if run.ended() => break,
                _ => {}
            }
        }
        run.finish();
        keeper.end(run);
        Ok(if run.stop().failure().is_some() { Ended::Failed } else { Ended::Drained })
    }

    fn signal(
        &self,
        signal: i32,
        phase: Phase,
        run: &mut Run,
        orders: &mut Orders<'_>,
        now: MonoNanos,
    ) -> Phase {
        match (signal, phase) {
            (SIGTERM | SIGINT, Phase::Running) => {
                tracing::info!("stopping: draining within {:?}", orders.shutdown_timeout);
                drain(run, orders, now)
            }
            (SIGINT, Phase::Draining { .. }) => {
                tracing::warn!("stopping at once");
                run.stop().abort();
                abort_deadline(now)
            }
            (SIGHUP, Phase::Running) => {
                reload(run, orders.reload);
                phase
            }
            (SIGUSR1, _) => {
                write_histograms(run, orders.state_dir.as_ref());
                phase
            }
            (SIGUSR2, _) => {
                want_flight(run);
                phase
            }
            _ => phase,
        }
    }
}

fn drain(run: &mut Run, orders: &mut Orders<'_>, now: MonoNanos) -> Phase {
    // Their ends are the last that the feeds hear.
    if let Some(publishers) = &mut orders.publishers {
        publishers.end();
    }
    run.begin_drain();
    let timeout = orders.shutdown_timeout;
    let timeout = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    Phase::Draining { deadline: MonoNanos(now.0.saturating_add(timeout)) }
}

/// Threads get a second to notice an abort.
fn abort_deadline(now: MonoNanos) -> Phase {
    Phase::Aborted { deadline: MonoNanos(now.0 + SECOND_NS) }
}

fn next_phase(phase: Phase, run: &mut Run, orders: &mut Orders<'_>, now: MonoNanos) -> Phase {
    let gave_up = orders.publishers.as_ref().and_then(Group::failure);
    match phase {
        Phase::Running | Phase::Draining { .. } if run.stop().aborted() => {
            run.begin_drain();
            abort_deadline(now)
        }
        Phase::Running if gave_up.is_some() => {
            run.stop().fail_at_end(gave_up.unwrap_or_default());
            drain(run, orders, now)
        }
        Phase::Running if (orders.done)(run) => drain(run, orders, now),
        Phase::Draining { deadline } if now >= deadline => {
            tracing::warn!("shutdown_timeout is over: what is not written is dropped");
            run.stop().abort();
            abort_deadline(now)
        }
        _ => phase,
    }
}

fn reload(run: &mut Run, reload: Option<Reload<'_>>) {
    let Some(reload) = reload else {
        return tracing::warn!("SIGHUP: there is no file to read again");
    };
    let applied = reload().and_then(|loaded| {
        let text = (loaded.effective, Some(loaded.sha256));
        run.apply(&loaded.config, text).map_err(|error| error.to_string())
    });
    match applied {
        Ok(done) if done.is_empty() => tracing::info!("SIGHUP: the configuration is the same"),
        Ok(done) => tracing::info!("SIGHUP: applied: {}", done.join(", ")),
        Err(error) => tracing::error!("SIGHUP: the old configuration is kept: {error}"),
    }
}

/// The archive's thread writes it.
fn want_flight(run: &Run) {
    if !run.has_archive() {
        tracing::warn!("SIGUSR2: no flight recorder, archive.flight says how far it looks back");
    }
    run.view().stats.archive.wanted.store(true, Ordering::Relaxed);
}

fn write_histograms(run: &Run, dir: Option<&PathBuf>) {
    let Some(dir) = dir else { return tracing::warn!("SIGUSR1: there is no state_dir") };
    let path = dir.join("histograms.json");
    let json = serde_json::to_vec_pretty(&report(&run.view(), Histograms::Include));
    match json.map_err(io::Error::from).and_then(|json| std::fs::write(&path, json)) {
        Ok(()) => tracing::info!("SIGUSR1: histograms written to {}", path.display()),
        Err(error) => tracing::error!("SIGUSR1: {}: {error}", path.display()),
    }
}

/// What the control thread writes.
struct Keeper {
    state: Option<StateFile>,
    quarantine: Option<Quarantine>,
    suspects: Receiver<Suspect>,
    line: StatusLine,
    second: MonoNanos,
    losses: Losses,
    service: Service,
    told_running: bool,
}

impl Keeper {
    fn new(run: &Run, orders: &Orders<'_>) -> io::Result<Self> {
        let dir = orders.state_dir.as_deref();
        Ok(Self {
            state: dir.map(StateFile::in_dir).transpose()?,
            quarantine: dir.map(|dir| Quarantine::in_dir(dir, orders.quarantine_bytes_max)),
            suspects: run.suspects(),
            line: StatusLine::on_terminal(),
            second: run.view().clock.mono(),
            losses: Losses::default(),
            service: Service::default(),
            told_running: true,
        })
    }

    fn look(&mut self, run: &Run, now: MonoNanos, running: bool) {
        if self.told_running && !running {
            self.service.stopping();
        }
        self.told_running = running;
        while let Ok(suspect) = self.suspects.try_recv() {
            let kept = self.quarantine.as_mut().map_or(Ok(()), |quarantine| quarantine.keep(&suspect));
            if let Err(error) = kept {
                tracing::error!("quarantine: {error}; it is off from now on");
                self.quarantine = None;
            }
        }
        if now.since(self.second) >= SECOND_NS {
            self.second = now;
            self.line.show(&run.view());
            self.losses.look(&run.view(), now);
            history::look(&run.view(), now);
            self.service.look(&run.view(), now);
            health::look(&run.view(), false);
            self.save(run, false);
        }
    }

    fn end(&mut self, run: &Run) {
        self.look(run, run.view().clock.mono(), false);
        self.losses.look(&run.view(), MonoNanos(u64::MAX));
        self.save(run, true);
        health::look(&run.view(), true);
        self.line.end();
        if let Some(left_out) = self.quarantine.as_ref().map(|q| q.left_out).filter(|n| *n > 0) {
            tracing::warn!("quarantine: full, {left_out} frames only counted");
        }
    }

    fn save(&self, run: &Run, durable: bool) {
        if let Some(Err(error)) = self.state.as_ref().map(|state| state.save(&run.view(), durable)) {
            tracing::error!("state_dir: writing the sequences failed: {error}");
        }
    }
}
