//! The command line: one file a command. A command returns how it ended; only [`main`] turns that into an exit
//! code, and only commands that are asked for JSON print it, alone, on standard output.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use tickline_config::model::Config;
use tickline_config::{Loaded, units};

mod alerts;
mod audit;
mod check;
mod check_live;
mod codec;
mod completions;
mod config;
mod dashboards;
mod db;
mod demo;
mod doctor;
mod exit;
mod export;
mod forward;
mod health;
mod init;
mod keys;
mod kraken;
mod launch;
mod logs;
mod parquet;
mod plan;
mod ports;
mod publish;
mod quality;
mod rejects;
mod replay;
mod run;
mod schema;
mod sender;
mod spool;
mod status;
mod summary;
mod tables;
mod tap;
mod top;
mod up;
mod validate;
mod words;

pub use exit::{Exit, Failure};

/// Takes market ticks off ZeroMQ and puts them into a time-series database, and accounts for every one.
///
/// Exit codes: 0 ok, 1 run-time failure, 2 usage, 3 invalid run (the load generator was the limit), 4 the
/// ledger does not balance or points were left at exit (demo: anything was lost), 5 not validated, 78 configuration.
#[derive(Debug, Parser)]
#[command(name = "tickline", version)]
struct Cli {
    /// How log lines on standard error look.
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Least severe lines that are logged: error, warn, info, debug, trace.
    #[arg(long, global = true, default_value = "info")]
    log_level: tracing::Level,
    /// File of KEY=VALUE lines, such as tickline init writes: variables that the environment does not have.
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a configuration and its secrets, from questions or flags.
    Init(init::InitArgs),
    /// Start everything in order (database, publishers, engine, dashboards, validation) and keep it running.
    Up(up::UpArgs),
    /// End what tickline up has started: the engine drains, then publishers, then containers.
    Down(up::DownArgs),
    /// End a service of tickline up, or all, and start it again.
    Restart(up::RestartArgs),
    /// What runs, what does not, why, and what to do.
    Status(status::StatusArgs),
    /// The logs of what tickline up runs.
    Logs(logs::LogsArgs),
    /// Receive, decode and write until a signal (or --duration) says stop.
    Run(run::RunArgs),
    /// Say what works, what does not, why, and what to do: exit 1 if something has failed.
    Health(health::HealthArgs),
    /// Whether a configuration works from a tick to the row in the database: exit 5 if something failed.
    Validate(validate::ValidateArgs),
    /// Whether this machine can carry a configuration: ports, disk, memory, clock, limits. Changes and ends nothing.
    Doctor(doctor::DoctorArgs),
    /// Print completions for a shell.
    Completions {
        /// Which.
        shell: clap_complete::Shell,
    },
    /// Write man pages into a folder.
    Man {
        /// Folder.
        dir: PathBuf,
    },
    /// Print the rules of alerts for Prometheus or Grafana.
    #[command(subcommand)]
    Alerts(alerts::AlertsCommand),
    /// The status page of an engine in the terminal.
    Top(top::TopArgs),
    /// Read venues and publish what they say on ZeroMQ.
    Publish(publish::PublishArgs),
    /// Print what goes over the bus.
    Tap(tap::TapArgs),
    /// Payloads between JSON and msgpack.
    #[command(subcommand)]
    Codec(codec::CodecCommand),
    /// What only Kraken needs.
    #[command(subcommand)]
    Kraken(kraken::KrakenCommand),
    /// Show the whole way on this machine: four generated feeds over ZeroMQ into files or a database.
    Demo(demo::DemoArgs),
    /// Decode captures again and write their points.
    Replay(replay::ReplayArgs),
    /// Pass messages from publishers to subscribers, with last values, routes to other topics and shares for workers.
    Forward(forward::ForwardArgs),
    /// Check the configuration and, with --live, what it talks to.
    Check(check::CheckArgs),
    /// Print, import or describe configurations.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print the port registry.
    Ports(ports::PortsArgs),
    /// Print measurements, tags, fields and their types.
    Schema(schema::SchemaArgs),
    /// Print threads, cores, queues, memory bound and files of a run before anything is started.
    Plan(plan::PlanArgs),
    /// Compare what the engines say they have made with what the database holds.
    Audit(audit::AuditArgs),
    /// The quality of a day's points: coverage, silences, holes, odd prices, latency.
    Quality(quality::QualityArgs),
    /// Stored points as CSV, NDJSON or Parquet.
    Export(export::ExportArgs),
    /// Look at what is on disk for the sinks, check it, send it, drop it.
    #[command(subcommand)]
    Spool(spool::SpoolCommand),
    /// Look at the lines that a database has refused for good, and send them once more.
    #[command(subcommand)]
    Rejects(rejects::RejectsCommand),
    /// Work on the folders of Parquet sinks.
    #[command(subcommand)]
    Parquet(parquet::ParquetCommand),
    /// Make CURVE keys for encrypted connections.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Dashboards for Grafana, made from the schema.
    #[command(subcommand)]
    Dashboards(dashboards::DashboardsCommand),
    /// Administer the database.
    #[command(subcommand)]
    Db(db::DbCommand),
}

/// Where the configuration comes from.
#[derive(Clone, Debug, clap::Args)]
struct ConfigArgs {
    /// Configuration file, TOML; may be repeated, later files win.
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Sets one key, such as engine.encoders=2; may be repeated, wins over files.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

impl ConfigArgs {
    fn load(&self) -> Result<Loaded, Failure> {
        Config::load(&self.files, &self.sets, &environment).map_err(Failure::configuration)
    }

    /// The same for who only looks: what a variable that is not set would say is not asked for.
    fn load_to_look(&self) -> Result<Loaded, Failure> {
        self.load().or_else(|first| {
            let unknown = |name: &str| first.message.contains(name).then(|| "-".to_owned());
            let named = |name: &str| environment(name).or_else(|| unknown(name));
            Config::load(&self.files, &self.sets, &named).map_err(|_| self.hinted(first.clone()))
        })
    }

    /// Says so if no file was named at all.
    fn hinted(&self, failure: Failure) -> Failure {
        if !self.files.is_empty() || !self.sets.is_empty() {
            return failure;
        }
        let message = format!("{}\nno configuration was named: --config FILE", failure.message);
        Failure { message, ..failure }
    }

    /// Also asks for a feed and a sink.
    fn load_runnable(&self) -> Result<Loaded, Failure> {
        let loaded = self.load()?;
        loaded.config.require_runnable().map_err(Failure::configuration)?;
        Ok(loaded)
    }
}

/// Prints a text that may be piped into a program that does not read all of it, such as `head`.
fn print_text(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::failed(error)),
        _ => Ok(()),
    }
}

/// What `--env-file` says.
static FURTHER: OnceLock<BTreeMap<String, String>> = OnceLock::new();

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().or_else(|| FURTHER.get()?.get(name).cloned())
}

/// Lines of `KEY=VALUE`, as docker compose reads them: empty ones and those that begin with # say nothing.
fn read_env_file(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let wrong = |why: &dyn Display| Failure::configuration(format!("--env-file {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let lines =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    // A line that is wrong may be a secret, and is not repeated.
    lines
        .map(|(at, line)| {
            let pair = line.split_once('=').filter(|(name, _)| !name.trim().is_empty());
            let (name, value) = pair.ok_or_else(|| wrong(&format!("line {}: must be KEY=VALUE", at + 1)))?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

/// A duration of the command line.
fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).ok_or_else(|| format!("must carry a unit, such as 10s, found {text:?}"))
}

/// Runs the command of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(cli.log_level);
    match cli.log_format {
        LogFormat::Text => log.with_target(false).with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
    crate::up::child::follow_supervisor();
    // Queues and buffers are touched here and there: in pages of 2 MiB they take twice the memory, wait for the kernel to clear
    // them, and cost no less. A kernel that knows no such thing has none.
    rustix::thread::disable_transparent_huge_pages(true).ok();
    let exit = start(cli).unwrap_or_else(|failure| {
        failure.message.lines().for_each(|line| eprintln!("tickline: {line}"));
        failure.exit
    });
    ExitCode::from(exit.code())
}

fn start(cli: Cli) -> Result<Exit, Failure> {
    if let Some(path) = &cli.env_file {
        let further = read_env_file(path)?;
        FURTHER.get_or_init(|| further);
    }
    let logging = up::Logging { format: cli.log_format, level: cli.log_level, env_file: cli.env_file };
    match cli.command {
        Command::Up(args) => up::up(&args, &logging),
        Command::Init(args) => init::run(&args, &logging),
        Command::Down(args) => up::down(&args),
        Command::Restart(args) => up::restart(&args),
        Command::Status(args) => status::run(&args),
        Command::Logs(args) => logs::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions { shell } => completions::completions(shell),
        Command::Man { dir } => completions::man(&dir),
        Command::Alerts(command) => alerts::run(&command),
        Command::Top(args) => top::run(&args),
        Command::Publish(args) => publish::run(&args),
        Command::Tap(args) => tap::run(&args),
        Command::Codec(command) => codec::run(&command),
        Command::Kraken(command) => kraken::run(&command),
        Command::Demo(args) => demo::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Forward(args) => forward::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Quality(args) => quality::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Keys(command) => keys::run(&command),
        Command::Parquet(command) => parquet::run(&command),
        Command::Config(command) => config::run(&command),
        Command::Ports(args) => ports::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Spool(command) => spool::run(&command),
        Command::Rejects(command) => rejects::run(&command),
        Command::Dashboards(command) => dashboards::run(&command),
        Command::Db(command) => db::run(&command),
    }
}

#[cfg(test)]
mod tests;
