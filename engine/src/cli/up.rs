//! `tickline up`, `down`, `restart`: the phases of the configuration, one after the other, and their end.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tickline_config::Loaded;
use tickline_config::model::{Config, PhaseName};
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;

use super::{ConfigArgs, Exit, Failure, LogFormat, print_text};
use crate::service::Service;
use crate::up::child::Program;
use crate::up::control::{ANSWER_WITHIN, PhaseState, PhaseStatus, Request, ServiceState, UpStatus, ask};
use crate::up::kept::Spec;
use crate::up::logs;
use crate::up::supervisor::Supervisor;

mod containers;
mod phases;

pub(super) use containers::Containers;

/// An engine that tells nothing for so long hangs: it tells every second.
const WATCHDOG: Duration = Duration::from_secs(30);

/// What is left of the time to stop when the engine must have drained.
const AFTER_DRAIN: Duration = Duration::from_secs(5);

/// Of the time to stop, what is kept for containers.
const FOR_CONTAINERS: Duration = Duration::from_secs(6);

/// What `--keep-on-failure` says.
const LEFT_RUNNING: &str = "; what runs is left running: tickline down ends it";

/// So long `restart` waits for the new process, beside the time that the old one has to end.
const RESTARTED_WITHIN: Duration = Duration::from_secs(60);

/// So long publishers wait for the engine's subscriptions before they ask their venues.
const SUBSCRIBERS_WITHIN: &str = "30s";

/// Time between two looks at a supervisor in the background.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Arguments of `up`.
#[derive(Debug, clap::Args)]
pub(super) struct UpArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Who runs the database and Grafana: docker, external or none; wins over up.runtime.
    #[arg(long, value_name = "WHO")]
    runtime: Option<String>,
    /// If a phase fails, leave running what runs.
    #[arg(long)]
    keep_on_failure: bool,
    /// Return when everything is up, and let it run in the background.
    #[arg(long)]
    detach: bool,
}

/// Arguments of `down` and `restart`.
#[derive(Debug, clap::Args)]
pub(super) struct DownArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
}

/// Arguments of `restart`.
#[derive(Debug, clap::Args)]
pub(super) struct RestartArgs {
    /// Service, such as engine. Default: all of them.
    service: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// What is said for every command, and so for what is started: how it logs, and where further variables stand.
#[derive(Clone, Debug)]
pub(super) struct Logging {
    pub(super) format: LogFormat,
    pub(super) level: tracing::Level,
    pub(super) env_file: Option<PathBuf>,
}

impl Logging {
    fn arguments(&self) -> Vec<OsString> {
        let format = if matches!(self.format, LogFormat::Json) { "json" } else { "text" };
        let level = self.level.to_string().to_lowercase();
        let mut arguments = ["--log-format", format, "--log-level", &level].map(OsString::from).to_vec();
        arguments.extend(self.env_file.iter().flat_map(|file| ["--env-file".into(), file.clone().into()]));
        arguments
    }
}

impl UpArgs {
    /// Of these sources, in the background.
    pub(super) fn detached(config: ConfigArgs) -> Self {
        Self { config, runtime: None, keep_on_failure: false, detach: true }
    }

    /// The configuration and what `--set` says, `--runtime` included.
    fn load(&self) -> Result<(Loaded, ConfigArgs), Failure> {
        let mut config = self.config.clone();
        config.sets.extend(self.runtime.as_ref().map(|who| format!("up.runtime={who:?}")));
        let loaded = config.load_runnable().map_err(|failure| self.config.hinted(failure))?;
        Ok((loaded, config))
    }
}

pub(super) fn up(args: &UpArgs, logging: &Logging) -> Result<Exit, Failure> {
    let (loaded, sources) = args.load()?;
    if args.detach {
        return detach(args, &loaded.config, logging);
    }
    let config = loaded.config;
    let program = std::env::current_exe().map_err(Failure::failed)?;
    let containers = Containers::of(&config.up);
    let specs = specs(&config, &program, &sources, logging, for_services(&config, &containers));
    let mut supervisor = Supervisor::new(&config, specs).map_err(Failure::failed)?;
    let began = supervisor.now();
    match phases::run(&mut supervisor, &config, &containers) {
        Ok(()) => {}
        Err(why) if args.keep_on_failure && !supervisor.ending() => {
            eprintln!("tickline: {why}{LEFT_RUNNING}");
        }
        Err(why) => {
            let (gently, rest) = end_services(&mut supervisor, &config, &containers);
            containers.stop(&containers.started(), rest);
            supervisor.ended();
            let ended = if gently { "" } else { ", some of it by force" };
            return Err(Failure::failed(format!("{why}; what was started has been ended again{ended}")));
        }
    }
    let status = supervisor.status();
    let validated = status.phases.iter().all(|phase| phase.state != PhaseState::Failed);
    let took_s = supervisor.now().since(began) as f64 / 1e9;
    print_text(&banner(&config, validated, took_s))?;
    Service::default().ready();
    supervisor.serve();
    finish(&mut supervisor, &config, &containers, validated)
}

/// Ends everything in its order.
fn finish(
    supervisor: &mut Supervisor,
    config: &Config,
    containers: &Containers,
    validated: bool,
) -> Result<Exit, Failure> {
    let began = supervisor.now();
    let (gently, rest) = end_services(supervisor, config, containers);
    containers.stop(containers.all(), rest);
    let status = supervisor.status();
    supervisor.ended();
    for service in status.services.iter().rev() {
        println!("down  {:<12}  {}", service.name, service.detail);
    }
    println!("down after {:.1} s", supervisor.now().since(began) as f64 / 1e9);
    Ok(match how_the_engine_ended(&status) {
        _ if !gently => Exit::Failed,
        Exit::Ok if !validated => Exit::NotValidated,
        exit => exit,
    })
}

/// Ends the services; whether all ended by themselves, and the time that is left for containers.
fn end_services(supervisor: &mut Supervisor, config: &Config, containers: &Containers) -> (bool, Duration) {
    let began = supervisor.now();
    let gently = supervisor.end(for_services(config, containers));
    let spent = Duration::from_nanos(supervisor.now().since(began));
    (gently, config.up.stop_timeout.saturating_sub(spent))
}

/// Of the time to stop, what services may take.
fn for_services(config: &Config, containers: &Containers) -> Duration {
    let rest = if containers.all().is_empty() { Duration::ZERO } else { FOR_CONTAINERS };
    config.up.stop_timeout.saturating_sub(rest).max(Duration::from_secs(1))
}

fn how_the_engine_ended(status: &UpStatus) -> Exit {
    let engine = status.services.iter().find(|service| service.name == "engine");
    match engine.map(|engine| engine.detail.as_str()) {
        Some("ended (exit code 0)") => Exit::Ok,
        Some("ended (exit code 4)") => Exit::Ledger,
        // It was never started: a phase before it has failed, and that was told.
        Some("") => Exit::Ok,
        _ => Exit::Failed,
    }
}

fn banner(config: &Config, validated: bool, took_s: f64) -> String {
    let page = config.http.listen.map_or_else(String::new, |listen| format!("http://{listen}/, "));
    let up = if validated { "up" } else { "up, but not everything works," };
    format!("{up} after {took_s:.1} s: {page}tickline status, tickline logs, tickline down\n")
}

/// What is started: the publishers, the engine, and what else the configuration names.
fn specs(
    config: &Config,
    program: &Path,
    sources: &ConfigArgs,
    logging: &Logging,
    stop_within: Duration,
) -> Vec<Spec> {
    let mut own: Vec<OsString> = Vec::new();
    for file in &sources.files {
        own.extend(["--config".into(), file.clone().into()]);
    }
    for set in &sources.sets {
        own.extend(["--set".into(), set.into()]);
    }
    let command = |words: &[&str]| {
        let mut command: Vec<OsString> = vec![program.into()];
        command.extend(logging.arguments());
        command.extend(words.iter().map(OsString::from));
        command.extend(own.iter().cloned());
        command
    };
    let mut specs = Vec::new();
    if !config.publishers.is_empty() {
        let command = command(&["publish", "--subscribers-within", SUBSCRIBERS_WITHIN]);
        let program = Program { name: "publishers".into(), command, notifies: true, watchdog: None };
        specs.push(Spec { program, phase: PhaseName::Publishers });
    }
    for (name, service) in &config.services {
        let command = service.command.iter().map(OsString::from).collect();
        let program = Program { name: name.clone(), command, notifies: false, watchdog: None };
        specs.push(Spec { program, phase: service.phase });
    }
    let mut command = command(&["run", "--no-publishers"]);
    // It drains within its time to stop, and what is left has some, too.
    let longest = stop_within.saturating_sub(AFTER_DRAIN).max(Duration::from_secs(1));
    if config.engine.shutdown_timeout > longest {
        command.extend([
            "--set".into(),
            format!("engine.shutdown_timeout=\"{}ms\"", longest.as_millis()).into(),
        ]);
    }
    let program = Program { name: "engine".into(), command, notifies: true, watchdog: Some(WATCHDOG) };
    specs.push(Spec { program, phase: PhaseName::Engine });
    specs
}

/// The same command without `--detach`, in the background; prints its phases as they end.
fn detach(args: &UpArgs, config: &Config, logging: &Logging) -> Result<Exit, Failure> {
    let state_dir = &config.engine.state_dir;
    let log = logs::file(&logs::folder(state_dir), "up", 0);
    if let Some(status) = ask(state_dir, &Request::Status, ANSWER_WITHIN).map_err(Failure::failed)? {
        return Err(Failure::failed(format!(
            "it is up already, as process {}: see tickline status",
            status.pid
        )));
    }
    let (mut child, said_before) = in_background(args, config, logging).map_err(Failure::failed)?;
    let mut shown = 0;
    loop {
        let ended = child.try_wait().map_err(Failure::failed)?;
        let status = ask(state_dir, &Request::Status, ANSWER_WITHIN).ok().flatten();
        let phases = status.iter().flat_map(|status| &status.phases);
        for phase in phases.skip(shown) {
            if matches!(phase.state, PhaseState::Waiting | PhaseState::Running) {
                break;
            }
            print_text(&line(phase))?;
            shown += 1;
        }
        if let Some(ended) = ended {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let said = said.get(usize::try_from(said_before).unwrap_or(0)..).unwrap_or_default();
            let last: Vec<&str> = said.lines().filter(|line| line.starts_with("tickline: ")).collect();
            let why = last
                .last()
                .map_or_else(|| format!("it has ended ({ended})"), |line| line.replacen("tickline: ", "", 1));
            let exit = if ended.code() == Some(78) { Exit::Configuration } else { Exit::Failed };
            return Err(Failure { exit, message: format!("{why}; its log is {}", log.display()) });
        }
        if let Some(status) = status.filter(|status| status.settled) {
            let mut failed = status.phases.iter().filter(|phase| phase.state == PhaseState::Failed);
            let is_vital =
                |phase: &&PhaseStatus| !phases::ENDS_NOTHING.iter().any(|of| of.name() == phase.name);
            if let Some(phase) = failed.clone().find(is_vital) {
                let why = format!("{}: {}{LEFT_RUNNING}", phase.name, phase.detail);
                return Err(Failure::failed(why));
            }
            let validated = failed.next().is_none();
            let took_ms: u64 = status.phases.iter().map(|phase| phase.took_ms).sum();
            print_text(&banner(config, validated, took_ms as f64 / 1e3))?;
            return Ok(if validated { Exit::Ok } else { Exit::NotValidated });
        }
        // Nothing but a signal, which ends this process and not the other, has anything to say meanwhile.
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// It, and how many bytes its log has had before.
fn in_background(args: &UpArgs, config: &Config, logging: &Logging) -> std::io::Result<(Child, u64)> {
    let (dir, up) = (logs::folder(&config.engine.state_dir), &config.up);
    let output = logs::Log::open(&dir, "up", up.log_bytes_max, up.log_files_max)?.into_file()?;
    let before = output.metadata()?.len();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(logging.arguments()).arg("up");
    for file in &args.config.files {
        command.arg("--config").arg(file);
    }
    command.args(args.config.sets.iter().flat_map(|set| ["--set", set]));
    command.args(args.runtime.iter().flat_map(|who| ["--runtime", who]));
    command.args(args.keep_on_failure.then_some("--keep-on-failure"));
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
    Ok((command.spawn()?, before))
}

/// A phase, as it is printed when it has ended.
pub(super) fn line(phase: &PhaseStatus) -> String {
    let state = match phase.state {
        PhaseState::Ok => "ok",
        PhaseState::Failed => "FAILED",
        PhaseState::Skipped => "-",
        PhaseState::Waiting => "waits",
        PhaseState::Running => "...",
    };
    let took =
        if phase.took_ms == 0 { String::new() } else { format!("{:.1} s", phase.took_ms as f64 / 1e3) };
    let bold = std::io::stdout().is_terminal() && phase.state == PhaseState::Failed;
    let (on, off) = if bold { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    format!("{on}{state:<6}{off}  {:<12}  {took:>6}  {}\n", phase.name, phase.detail)
}

/// The supervisor of a configuration; it must be there.
fn asked(config: &ConfigArgs, request: &Request) -> Result<UpStatus, Failure> {
    let config = config.load_to_look()?.config;
    // Its own time to stop, and some for the answer.
    let ends = config.up.stop_timeout + ANSWER_WITHIN;
    let patience = if matches!(request, Request::Down) { ends } else { ANSWER_WITHIN };
    let state_dir = config.engine.state_dir;
    let status = ask(&state_dir, request, patience).map_err(Failure::failed)?;
    status.ok_or_else(|| {
        let place = state_dir.display();
        Failure::failed(format!("nothing is up in {place} (engine.state_dir): start it with tickline up"))
    })
}

pub(super) fn down(args: &DownArgs) -> Result<Exit, Failure> {
    let status = asked(&args.config, &Request::Down)?;
    let mut exit = how_the_engine_ended(&status);
    // As they have ended: the engine first.
    for service in status.services.iter().rev() {
        println!("down  {:<12}  {}", service.name, service.detail);
        let kept = service.state != ServiceState::Stopped && service.state != ServiceState::Failed;
        if kept || service.detail.contains("signal 9") {
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

pub(super) fn restart(args: &RestartArgs) -> Result<Exit, Failure> {
    let request = Request::Restart { service: args.service.clone() };
    let before = asked(&args.config, &request)?;
    if let Some(refused) = before.refused {
        return Err(Failure::usage(refused));
    }
    // Until those that were asked run again, with another process id.
    let (clock, within) =
        (OsClock::start(), args.config.load_to_look()?.config.up.stop_timeout + RESTARTED_WITHIN);
    loop {
        let now = asked(&args.config, &Request::Status)?;
        let pairs = before.services.iter().zip(&now.services);
        let mut asked = pairs.filter(|(old, _)| args.service.as_ref().is_none_or(|name| *name == old.name));
        if asked.clone().all(|(old, new)| new.state == ServiceState::Running && new.pid != old.pid) {
            asked.for_each(|(_, new)| println!("up    {:<12}  process {}", new.name, new.pid.unwrap_or(0)));
            return Ok(Exit::Ok);
        }
        if let Some((_, failed)) = asked.find(|(_, new)| new.state == ServiceState::Failed) {
            return Err(Failure::failed(format!("{}: {}", failed.name, failed.detail)));
        }
        if u128::from(clock.mono().0) >= within.as_nanos() {
            let s = within.as_secs();
            return Err(Failure::failed(format!("not ready within {s} s: see tickline status and logs")));
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}
