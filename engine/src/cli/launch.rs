//! From a loaded configuration to the report of a run: what `run`, `replay` and `demo` have in common.

use std::fmt::Display;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tickline_config::model::{Config, Durability};
use tickline_config::report::Report;
use tickline_config::{KRAKEN_CSV, Loaded};
use tickline_feeds::clock::Clock;
use tickline_feeds::instruments::Instruments;
use tickline_loadgen::clock::OsClock;

use super::summary;
use super::{Exit, Failure};
use crate::alert::{self, Webhook};
use crate::canary;
use crate::control::{Control, Ended, Orders, Reload};
use crate::http::{Server, bind};
use crate::plan::{Plan, SinkPlan};
use crate::publish::Group;
use crate::report::{Histograms, Standard, judge, report};
use crate::rollup::Rollups;
use crate::run::{Run, Setup, Source};
use crate::spawn::Thread;
use crate::state::{Resume, StateFile};
use crate::surroundings;

/// Our own feeds connect within their first attempts.
const SUBSCRIBER_WAIT: Duration = Duration::from_secs(2);

/// How long alerts may take to notice the end of the run.
const ALERTS_GRACE: Duration = Duration::from_secs(1);

/// A run to be.
pub(super) struct Launch<'a> {
    /// Command, for the report.
    pub(super) command: &'static str,
    /// Configuration.
    pub(super) loaded: &'a Loaded,
    /// Sockets or captures.
    pub(super) source: Source,
    /// Where state is kept between runs; none: it is not.
    pub(super) state_dir: Option<PathBuf>,
    /// What SIGHUP does.
    pub(super) reload: Option<Reload<'a>>,
    /// Asked whether the run has done what it should.
    pub(super) done: &'a mut dyn FnMut(&Run) -> bool,
}

/// Where the report goes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// Print the report as JSON, alone, on standard output.
    #[arg(long)]
    pub(super) json: bool,
    /// Also write the report as JSON to this file.
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
}

impl ReportArgs {
    /// Prints and writes the report.
    pub(super) fn give(&self, report: &Report) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(report).map_err(Failure::failed)?;
        if let Some(path) = &self.report {
            let written = std::fs::write(path, format!("{json}\n"));
            written.map_err(|error| Failure::failed(format!("--report {}: {error}", path.display())))?;
        }
        if self.json {
            println!("{json}");
        } else {
            print!("{}", summary::text(report));
        }
        Ok(())
    }
}

/// The cores that this process may use.
pub(super) fn cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// The names that are built in, and those of the configuration.
pub(super) fn instruments(further: Option<&Path>) -> Result<Arc<Instruments>, Failure> {
    let mut instruments = Instruments::from_csv(KRAKEN_CSV).map_err(Failure::configuration)?;
    if let Some(path) = further {
        let wrong = |why: &dyn Display| {
            Failure::configuration(format!("engine.kraken_pairs: {}: {why}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        instruments.add_csv(&text).map_err(|error| wrong(&error))?;
    }
    Ok(Arc::new(instruments))
}

impl Launch<'_> {
    /// Runs to the end. The report has its equations judged, nothing else.
    pub(super) fn go(self) -> Result<(Report, Ended), Failure> {
        let config = &self.loaded.config;
        let plan = Plan::new(config, &cores()).map_err(Failure::configuration)?;
        let socket = config.http.listen.map(bind).transpose().map_err(Failure::configuration)?;
        let mut control = Control::new().map_err(Failure::failed)?;
        let (_lock, resume) = self.state_dir.as_deref().map(|dir| resume(dir, &plan)).transpose()?.unzip();
        let clock = OsClock::start();
        let rollups = rollups(self.command, config, self.state_dir.as_deref())?;
        let (instance, started) = (config.engine.instance.clone(), clock.wall().0);
        let mut run = Run::start(Setup {
            command: self.command,
            config,
            config_text: (self.loaded.effective.clone(), Some(self.loaded.sha256.clone())),
            plan,
            clock: Arc::new(clock),
            open_sink: &|plan| {
                let sink = tickline_sinks::open::open(&plan.name, &instance, started, &plan.sink);
                let sink = sink.map_err(|error| error.to_string())?;
                Ok(match &rollups {
                    Some(rollups) => rollups.noted(&plan.name, sink),
                    None => sink,
                })
            },
            instruments: instruments(config.engine.kraken_pairs.as_deref())?,
            resume: resume.unwrap_or_default(),
            source: self.source,
            rejects: self.state_dir.as_deref(),
        })?;
        // Whoever listens is there before whoever speaks.
        let publishers = publishers(config, &run)?;
        let alerts = alerts(config, &run)?;
        let rollups =
            rollups.map(|rollups| rollups.watch(&run.view())).transpose().map_err(Failure::failed)?;
        let (canary, surroundings) = beside(config, &run)?;
        let server = serve(socket, &run)?;
        let orders = Orders {
            shutdown_timeout: config.engine.shutdown_timeout,
            state_dir: self.state_dir,
            quarantine_bytes_max: config.engine.quarantine_bytes_max,
            reload: self.reload,
            publishers,
            done: self.done,
        };
        let ended = control.watch(&mut run, orders).map_err(Failure::failed)?;
        if let Some(server) = server {
            server.stop();
        }
        // One that is just posting is left behind: its receiver may not answer.
        let beside = alerts.into_iter().chain(rollups).chain(canary).chain(surroundings);
        beside.filter(|thread| thread.ended_within(ALERTS_GRACE)).for_each(Thread::join);
        Ok((report(&run.view(), Histograms::LeaveOut), ended))
    }
}

/// Judges a report, gives it out, and says how the process ends.
pub(super) fn conclude(
    mut report: Report,
    ended: Ended,
    standard: Standard,
    args: &ReportArgs,
) -> Result<Exit, Failure> {
    judge(&mut report, standard);
    args.give(&report)?;
    Ok(Exit::of_run(ended, &report, standard))
}

/// The folder's lock, and where the sources stood.
fn resume(dir: &Path, plan: &Plan) -> Result<(File, Resume), Failure> {
    let state = StateFile::lock(dir)
        .and_then(|lock| Ok((lock, StateFile::in_dir(dir)?.load(&plan.endpoints)?)))
        .map_err(|error| Failure::configuration(format!("engine.state_dir: {}: {error}", dir.display())));
    let (lock, (resume, clean)) = state?;
    let sources: usize = resume.values().map(Vec::len).sum();
    if sources > 0 {
        tracing::info!("{sources} sources of {} feeds are continued where the last run stood", resume.len());
    }
    let journal =
        |sink: &SinkPlan| matches!(sink.sink.durability, Durability::Journal | Durability::JournalSync);
    // A journal knows what was received to the message.
    if !clean && !plan.sinks.iter().any(journal) {
        tracing::warn!(
            "the last run ended without a stop: of what it had received, up to a second counts as lost before \
             receive now"
        );
    }
    Ok((lock, resume))
}

fn publishers(config: &Config, run: &Run) -> Result<Option<Group>, Failure> {
    if config.publishers.is_empty() || run.view().command != "run" {
        return Ok(None);
    }
    Group::start(config, &run.view().clock, SUBSCRIBER_WAIT, |_| true).map(Some).map_err(Failure::failed)
}

/// Looks at the alerts of a run that goes on until it is told to end.
fn alerts(config: &Config, run: &Run) -> Result<Option<Thread>, Failure> {
    if run.view().command != "run" {
        return Ok(None);
    }
    let webhook = Webhook::of(&config.alerting, &config.engine.instance).map_err(Failure::configuration)?;
    alert::watch(&run.view(), config.alerts.clone(), webhook).map(Some).map_err(Failure::failed)
}

/// Marked ticks, and looks at what stands beside a run that goes on.
fn beside(config: &Config, run: &Run) -> Result<(Option<Thread>, Option<Thread>), Failure> {
    if run.view().command != "run" {
        return Ok((None, None));
    }
    let known = instruments(config.engine.kraken_pairs.as_deref())?;
    let canary = canary::watch(&run.view(), config, known).map_err(Failure::failed)?;
    let surroundings = surroundings::watch(&run.view(), config).map_err(Failure::failed)?;
    Ok((canary, Some(surroundings)))
}

/// Bars are made by a run that goes on, and where it can keep what it still has to make.
fn rollups(command: &str, config: &Config, state_dir: Option<&Path>) -> Result<Option<Rollups>, Failure> {
    let Some(dir) = state_dir.filter(|_| command == "run") else { return Ok(None) };
    Rollups::open(config, dir).map_err(Failure::configuration)
}

fn serve(socket: Option<TcpListener>, run: &Run) -> Result<Option<Server>, Failure> {
    let server =
        socket.map(|socket| Server::start(socket, run.view())).transpose().map_err(Failure::failed)?;
    if let Some(server) = &server {
        tracing::info!("http: listening on http://{}", server.address);
    }
    Ok(server)
}
