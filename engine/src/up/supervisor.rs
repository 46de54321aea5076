//! The supervisor: takes one event after the other. Phases are tried on threads of their own, so that a child that dies
//! meanwhile is seen at once.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use tickline_config::model::{Config, PhaseName, Up};
use tickline_feeds::clock::{Clock, MonoNanos};
use tickline_loadgen::clock::OsClock;

use super::child::{Child, Home};
use super::control::{PhaseState, PhaseStatus, Request, ServiceState, UpStatus, answer, folder, listen};
use super::keeper::Keeper;
use super::kept::{Kept, Spec, nanos};
use super::logs;
use crate::spawn::spawn;
use crate::stop::Stop;

/// First and longest wait between two attempts of a phase.
const ATTEMPT_WAIT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// How long the last attempt of a phase may go on after its time.
const ATTEMPT_GRACE: Duration = Duration::from_secs(15);

/// What is left of the time to stop when a process that still runs is killed.
const KILL_BEFORE: Duration = Duration::from_secs(1);

/// What happens to a supervisor.
#[derive(Debug)]
pub enum Event {
    /// A child has ended.
    Ended {
        /// Service.
        name: String,
        /// Which of its runs.
        run: u64,
        /// Exit code or signal.
        how: String,
    },
    /// A child tells of itself, as to systemd.
    Told {
        /// Service.
        name: String,
        /// Which of its runs.
        run: u64,
        /// Lines of `KEY=VALUE`.
        text: String,
    },
    /// Somebody asks at the control socket.
    Asked {
        /// What.
        request: Request,
        /// Who gets the answer.
        stream: UnixStream,
    },
    /// SIGINT or SIGTERM.
    Signal,
    /// A phase has been tried to its end.
    Tried(PhaseName, Result<String, String>),
}

/// All of it.
pub struct Supervisor {
    up: Up,
    http: Option<SocketAddr>,
    home: Home,
    stop: Arc<Stop>,
    clock: OsClock,
    events: (Sender<Event>, Receiver<Event>),
    services: Vec<Kept>,
    phases: Vec<PhaseStatus>,
    ending: bool,
    settled: bool,
    /// Who asked for the end.
    waiting: Vec<UnixStream>,
    _lock: File,
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Supervisor {
    /// Locks the folder, listens for requests and signals; starts nothing yet.
    pub fn new(config: &Config, specs: Vec<Spec>) -> io::Result<Self> {
        let (state_dir, up) = (&config.engine.state_dir, &config.up);
        let run = folder(state_dir);
        std::fs::create_dir_all(&run)?;
        let lock = File::create(run.join("lock"))?;
        lock.try_lock().map_err(|_| {
            io::Error::other(format!("{}: another tickline up holds it: see tickline status", run.display()))
        })?;
        let (stop, clock, events) = (Arc::new(Stop::default()), OsClock::start(), unbounded());
        listen(&super::control::socket(state_dir), &stop, events.0.clone())?;
        let mut signals =
            signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])?;
        let tell = events.0.clone();
        spawn("signals", None, &stop, move || {
            // Ends when nobody listens any more.
            signals.forever().take_while(|_| tell.send(Event::Signal).is_ok()).for_each(drop);
        })?;
        let home = Home {
            run,
            logs: logs::folder(state_dir),
            log_bytes_max: up.log_bytes_max,
            log_files_max: up.log_files_max,
        };
        let services = specs.into_iter().map(|spec| Kept::new(spec, up, clock.mono())).collect();
        let phases = config
            .phases
            .iter()
            .map(|(name, _)| PhaseStatus { name: name.name().to_owned(), ..PhaseStatus::default() });
        Ok(Self {
            up: up.clone(),
            http: config.http.listen,
            home,
            stop,
            clock,
            events,
            services,
            phases: phases.collect(),
            ending: false,
            settled: false,
            waiting: Vec::new(),
            _lock: lock,
        })
    }

    /// How it goes.
    pub fn status(&self) -> UpStatus {
        UpStatus {
            pid: std::process::id(),
            http: self.http,
            phases: self.phases.clone(),
            settled: self.settled,
            services: self.services.iter().map(|service| service.shown.clone()).collect(),
            ending: self.ending,
            refused: None,
        }
    }

    /// Whether it was told to end.
    pub fn ending(&self) -> bool {
        self.ending
    }

    /// Notes how a phase ended.
    pub fn note(
        &mut self,
        phase: PhaseName,
        state: PhaseState,
        detail: &str,
        began: MonoNanos,
    ) -> PhaseStatus {
        let took_ms = self.clock.mono().since(began) / 1_000_000;
        let status = PhaseStatus { name: phase.name().to_owned(), state, detail: detail.to_owned(), took_ms };
        if let Some(shown) = self.phases.iter_mut().find(|shown| shown.name == status.name) {
            shown.clone_from(&status);
        }
        status
    }

    /// The time, for [`Supervisor::note`].
    pub fn now(&self) -> MonoNanos {
        self.clock.mono()
    }

    /// Starts the services of a phase, waits until they are ready, and tries `attempt` until it succeeds or the time is
    /// over; says what it said at last. An attempt is told by its flag when nobody waits for it any more.
    pub fn phase(
        &mut self,
        phase: PhaseName,
        deadline: Duration,
        mut attempt: impl FnMut(&AtomicBool) -> Result<String, String> + Send + 'static,
    ) -> Result<String, String> {
        let began = self.clock.mono();
        self.note(phase, PhaseState::Running, "", began);
        let mine: Vec<usize> = (0..self.services.len())
            .filter(|at| self.services.get(*at).is_some_and(|s| s.spec.phase == phase))
            .collect();
        mine.iter().for_each(|at| self.start(*at));
        let of = |at: &usize| self.services.get(*at);
        let ready: Vec<(String, Arc<AtomicBool>)> =
            mine.iter().filter_map(of).map(|s| (s.shown.name.clone(), Arc::clone(&s.ready))).collect();
        let (tell, stop, over) =
            (self.events.0.clone(), Arc::clone(&self.stop), Arc::new(AtomicBool::new(false)));
        let latest = MonoNanos(began.0 + nanos(deadline) + nanos(ATTEMPT_GRACE));
        let given_up = Arc::clone(&over);
        let tried = spawn(&format!("phase-{}", phase.name()), None, &self.stop, move || {
            let (clock, (mut wait, longest)) = (OsClock::start(), ATTEMPT_WAIT);
            let outcome = loop {
                let missing = ready.iter().find(|(_, ready)| !ready.load(Ordering::Relaxed));
                let outcome = match missing {
                    Some((name, _)) => Err(format!("{name} is not ready")),
                    None => attempt(&given_up),
                };
                let late = u128::from(clock.mono().0) >= deadline.as_nanos();
                if outcome.is_ok() || late || given_up.load(Ordering::Relaxed) || stop.wait(wait) {
                    break outcome;
                }
                wait = if missing.is_some() { wait } else { (wait * 2).min(longest) };
            };
            // The supervisor waits for this, or has been told to end.
            tell.send(Event::Tried(phase, outcome)).ok();
        });
        if let Err(error) = tried {
            return Err(error.to_string());
        }
        loop {
            if let Some(Event::Tried(_, outcome)) =
                self.turn(Some(latest)).filter(|tried| matches!(tried, Event::Tried(of, _) if *of == phase))
            {
                return outcome.map_err(|why| self.why_not(&mine, why));
            }
            let failed =
                |at: &usize| self.services.get(*at).is_some_and(|s| s.shown.state == ServiceState::Failed);
            if self.clock.mono() >= latest {
                return Err("no answer came in time".to_owned());
            }
            // What it has started is known only when it has answered; the others have started nothing else.
            if self.ending && phase != PhaseName::Containers {
                return Err("told to end".to_owned());
            }
            if self.ending || mine.iter().any(failed) {
                over.store(true, Ordering::Relaxed);
            }
        }
    }

    /// A phase's reason, and what its services said when they ended.
    fn why_not(&self, mine: &[usize], why: String) -> String {
        let of = |at: &usize| self.services.get(*at).filter(|s| s.shown.state != ServiceState::Running);
        let ended = mine.iter().filter_map(of).find(|s| !s.shown.detail.is_empty());
        ended.map_or(why, |s| format!("{}: {}", s.shown.name, s.shown.detail))
    }

    /// Keeps everything running until it is told to end.
    pub fn serve(&mut self) {
        self.settled = true;
        while !self.ending {
            self.turn(None);
        }
    }

    /// Ends the services within that time, the engine before the publishers; true if all ended by themselves.
    pub fn end(&mut self, within: Duration) -> bool {
        self.ending = true;
        let until = MonoNanos(self.clock.mono().0 + nanos(within));
        let mut gently = true;
        for phase in [PhaseName::Engine, PhaseName::Publishers] {
            gently &= self.end_phase(phase, until);
        }
        gently
    }

    /// Answers those who wait for the end: nothing more is done after this.
    pub fn ended(&mut self) {
        let status = self.status();
        self.waiting.drain(..).for_each(|stream| answer(&stream, &status));
    }

    fn end_phase(&mut self, phase: PhaseName, until: MonoNanos) -> bool {
        let kill_at = MonoNanos(until.0.saturating_sub(nanos(KILL_BEFORE)));
        for service in self.services.iter_mut().filter(|s| s.spec.phase == phase) {
            service.ask_to_end(kill_at);
        }
        while self.services.iter().any(|s| s.spec.phase == phase && s.child.is_some()) {
            if self.clock.mono() >= until {
                return false;
            }
            self.turn(Some(until));
        }
        !self.services.iter().any(|s| s.spec.phase == phase && s.killed)
    }

    fn start(&mut self, at: usize) {
        let Some(service) = self.services.get_mut(at).filter(|service| service.child.is_none()) else {
            return;
        };
        service.run += 1;
        service.due = None;
        (service.asked, service.killed) = (false, false);
        let (now, now_s) = (self.clock.mono(), self.clock.wall().0 / 1_000_000_000);
        (service.started, service.heard, service.shown.since_s) = (now, now, now_s);
        let program = &service.spec.program;
        match Child::start(program, &self.home, service.run, &self.stop, &self.events.0) {
            Ok(child) => {
                service.shown.pid = Some(child.pid);
                service.shown.state = ServiceState::Starting;
                service.child = Some(child);
            }
            Err(error) => {
                let command = program.command.first().map(|first| first.to_string_lossy().into_owned());
                service.over(&format!("{}: {error}", command.unwrap_or_default()), now, now_s);
            }
        }
    }

    /// Waits for one event and does what it asks for; a phase's outcome is handed on. Without a time it returns at the
    /// latest when something is due.
    fn turn(&mut self, until: Option<MonoNanos>) -> Option<Event> {
        let now = self.clock.mono();
        let due = self.services.iter().filter_map(Kept::next_look).chain(until).min();
        let wait =
            due.map_or(Duration::from_secs(1), |due| Duration::from_nanos(due.0.saturating_sub(now.0)));
        let event = self.events.1.recv_timeout(wait).ok();
        let (now, now_s) = (self.clock.mono(), self.clock.wall().0 / 1_000_000_000);
        match event {
            Some(Event::Ended { name, run, how }) => {
                if let Some(service) = self.service(&name, run) {
                    service.over(&how, now, now_s);
                }
            }
            Some(Event::Told { name, run, text }) => {
                if let Some(service) = self.service(&name, run) {
                    service.told(&text, now);
                }
            }
            Some(Event::Asked { request, stream }) => self.asked(request, stream),
            Some(Event::Signal) => self.ending = true,
            Some(tried @ Event::Tried(..)) => return Some(tried),
            None => {}
        }
        for at in 0..self.services.len() {
            if self.services.get(at).is_some_and(|s| s.due.is_some_and(|due| due <= now)) && !self.ending {
                self.start(at);
            }
        }
        self.services.iter_mut().for_each(|service| service.watch(now));
        None
    }

    fn service(&mut self, name: &str, run: u64) -> Option<&mut Kept> {
        self.services.iter_mut().find(|service| service.shown.name == name && service.run == run)
    }

    fn asked(&mut self, request: Request, stream: UnixStream) {
        match request {
            Request::Status => answer(&stream, &self.status()),
            Request::Down => {
                self.ending = true;
                self.waiting.push(stream);
            }
            Request::Restart { service } => {
                let refused = self.restart(service.as_deref()).err();
                answer(&stream, &UpStatus { refused, ..self.status() });
            }
        }
    }

    /// Ends and starts one service, or all, at once; those that were given up get another chance.
    fn restart(&mut self, name: Option<&str>) -> Result<(), String> {
        let wanted = |s: &Kept| name.is_none_or(|name| s.shown.name == name);
        if !self.services.iter().any(wanted) {
            let names: Vec<&str> = self.services.iter().map(|s| s.shown.name.as_str()).collect();
            return Err(format!(
                "no service is called {}, there are {}",
                name.unwrap_or("anything"),
                names.join(", ")
            ));
        }
        let up = self.up.clone();
        let kill_at = MonoNanos(self.clock.mono().0 + nanos(up.stop_timeout));
        for service in self.services.iter_mut().filter(|s| wanted(s)) {
            service.keeper = Keeper::new(&up);
            if service.child.is_some() {
                service.ask_to_end(kill_at);
            }
            // One that runs is started again when it has ended.
            service.due = Some(MonoNanos(0)).filter(|_| service.child.is_none());
            service.shown.state = ServiceState::Waiting;
        }
        Ok(())
    }
}
