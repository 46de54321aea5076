//! `tickline db`: what a database must be like, what it holds, and that put elsewhere and back.

use tickline_config::Loaded;
use tickline_config::model::{Config, Influx, InfluxTarget, SinkKind};
use tickline_config::secret::Secret;
use tickline_sinks::admin::tables::Plan;
use tickline_sinks::admin::{Admin, AdminError, Change, Policy, spoken};

use super::tables::{self, Tables};
use super::{ConfigArgs, Exit, Failure, environment};

mod backup;
mod cleanup;
mod stats;

/// What to do with the database.
#[derive(Debug, clap::Subcommand)]
pub(super) enum DbCommand {
    /// Say what apply would do, and which policies the database has beside those of the configuration.
    Plan(SinkArgs),
    /// Create the database or bucket and the retention policies of the configuration; in PostgreSQL, the tables.
    ///
    /// A bucket of InfluxDB 2 and a database of InfluxDB 3 have one retention: that of the default policy. Tables are only
    /// added to.
    Apply(ApplyArgs),
    /// Count points and bytes of each measurement. The server reads all of it.
    Stats(stats::StatsArgs),
    /// Remove old points of one measurement; without --yes only say what would go.
    Cleanup(cleanup::CleanupArgs),
    /// Put everything into a folder: line protocol, compressed, with counts and checksums.
    Backup(backup::BackupArgs),
    /// Write what a backup holds, and read it back to count it.
    Restore(backup::RestoreArgs),
    /// The same as tickline export.
    Export(super::export::ExportArgs),
}

/// Which databases.
#[derive(Debug, clap::Args)]
pub(super) struct SinkArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// InfluxDB 1 database, without a file: http://[USER:PASSWORD@]HOST:PORT/DATABASE.
    #[arg(long, value_name = "URL", conflicts_with = "files")]
    influx: Option<String>,
    /// The sink. Default: all of them.
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
}

/// Environment variable with the login of the database's administrator, USER:PASSWORD. Only one may make policies;
/// the engine's own user need not be one.
const ADMIN_LOGIN: &str = "INFLUX_ADMIN_LOGIN";

/// The database of a sink, as its administrator where the environment has that login, else as the sink's user.
pub(super) fn administrator(sink: &str, influx: &Influx) -> Result<Admin, AdminError> {
    let mut influx = influx.clone();
    if let InfluxTarget::V1 { login, .. } = &mut influx.target
        && let Some(pair) = environment(ADMIN_LOGIN)
        && let Some((user, password)) = pair.split_once(':')
    {
        *login = Some((user.to_owned(), Secret::new(password)));
    }
    Admin::new(sink, &influx)
}

/// One of them.
pub(super) struct Database {
    pub(super) sink: String,
    pub(super) name: String,
    pub(super) admin: Admin,
}

impl Database {
    /// An error of this database.
    pub(super) fn failed(&self, error: impl std::fmt::Display) -> Failure {
        Failure::failed(format!("sinks.{}: {error}", self.sink))
    }
}

impl SinkArgs {
    pub(super) fn load(&self) -> Result<Loaded, Failure> {
        match &self.influx {
            Some(url) => {
                Config::quick_run(&[], url, &self.config.sets, &environment).map_err(Failure::configuration)
            }
            None => self.config.load(),
        }
    }

    /// The databases of the sinks that are meant, those of version 1 or all; at least one.
    fn databases(&self, config: &Config, all: bool) -> Result<Vec<Database>, Failure> {
        let mut found = Vec::new();
        for (sink, of) in
            config.sinks.iter().filter(|(name, _)| self.sink.as_ref().is_none_or(|s| s == *name))
        {
            let SinkKind::Influx(influx) = &of.kind else { continue };
            if !all && !matches!(influx.target, InfluxTarget::V1 { .. }) {
                continue;
            }
            let admin = administrator(sink, influx).map_err(Failure::configuration)?;
            // Several sinks may write to one database.
            if !found.iter().any(|known: &Database| known.admin.is_same(&admin)) {
                found.push(Database { sink: sink.clone(), name: admin.name().to_owned(), admin });
            }
        }
        if found.is_empty() && !(all && self.tables(config).next().is_some()) {
            let which = self.sink.as_ref().map_or_else(String::new, |name| format!(" called {name}"));
            return Err(Failure::configuration(format!(
                "sinks: an InfluxDB {}sink{which} is needed, found none",
                if all { "" } else { "1 " }
            )));
        }
        Ok(found)
    }

    /// The PostgreSQL sinks that are meant.
    fn tables<'c>(&self, config: &'c Config) -> impl Iterator<Item = (&'c String, Result<Tables, Failure>)> {
        let meant = move |name: &String| self.sink.as_ref().is_none_or(|only| only == name);
        config.sinks.iter().filter(move |(name, _)| meant(name)).filter_map(|(name, sink)| {
            let tables = tables::open(config, name, sink, true)?;
            Some((name, tables.map_err(|error| Failure::configuration(format!("sinks.{name}: {error}")))))
        })
    }

    /// The only one.
    pub(super) fn database(&self, config: &Config) -> Result<Database, Failure> {
        let mut all = self.databases(config, false)?;
        if all.len() > 1 {
            let names: Vec<String> = all.iter().map(|database| database.sink.clone()).collect();
            return Err(Failure::usage(format!("--sink must name one of {}", names.join(", "))));
        }
        all.pop().ok_or_else(|| Failure::configuration("sinks: none"))
    }
}

/// Arguments of `db apply`.
#[derive(Debug, clap::Args)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    sinks: SinkArgs,
    /// Also make policies shorter, the points that they do not keep any more are gone; and take the place of a default
    /// that holds points.
    #[arg(long)]
    allow_data_loss: bool,
}

pub(super) fn run(command: &DbCommand) -> Result<Exit, Failure> {
    match command {
        DbCommand::Plan(args) => plan(args),
        DbCommand::Apply(args) => apply(args),
        DbCommand::Stats(args) => stats::run(args),
        DbCommand::Cleanup(args) => cleanup::run(args),
        DbCommand::Backup(args) => backup::back_up(args),
        DbCommand::Restore(args) => backup::restore(args),
        DbCommand::Export(args) => super::export::run(args),
    }
}

fn plan(args: &SinkArgs) -> Result<Exit, Failure> {
    let config = args.load()?.config;
    for database in args.databases(&config, true)? {
        let planned = database.admin.plan(&config.retention);
        let (changes, beside) = planned.map_err(|error| database.failed(error))?;
        let name = &database.name;
        if changes.is_empty() {
            println!("{name}: as the configuration says");
        }
        for change in &changes {
            let loss = match change {
                _ if !change.loses() => "",
                Change::MakeDefault { .. } => {
                    "; queries that name no policy lose sight of its points: only with --allow-data-loss"
                }
                _ => "; points go with it: only with --allow-data-loss",
            };
            println!("{name}: would {}{loss}", told(change, "create", "change"));
        }
        for Policy { name: policy, duration, .. } in beside {
            println!("{name}: has retention policy {policy} ({}), which is left alone", spoken(duration));
        }
    }
    let mut exit = Exit::Ok;
    for (sink, tables) in args.tables(&config) {
        let mut tables = tables?;
        let plan = tables.plan().map_err(|error| Failure::failed(format!("sinks.{sink}: {error}")))?;
        exit = tell(sink, &plan, "would run ", exit);
    }
    Ok(exit)
}

fn apply(args: &ApplyArgs) -> Result<Exit, Failure> {
    let config = args.sinks.load()?.config;
    for database in args.sinks.databases(&config, true)? {
        let changes = database.admin.plan(&config.retention).and_then(|(changes, _)| {
            database.admin.apply(&changes, args.allow_data_loss)?;
            Ok(changes)
        });
        let changes = changes.map_err(|error| match error {
            AdminError::Shorter { .. } | AdminError::OtherDefault { .. } => Failure::configuration(error),
            error => database.failed(error),
        })?;
        if changes.is_empty() {
            println!("{}: nothing to do", database.name);
        }
        for change in &changes {
            println!("{}: {}", database.name, told(change, "created", "changed"));
        }
    }
    let mut exit = Exit::Ok;
    for (sink, tables) in args.sinks.tables(&config) {
        let mut tables = tables?;
        let done = tables.apply().map_err(|error| Failure::failed(format!("sinks.{sink}: {error}")))?;
        exit = tell(sink, &done, "", exit);
    }
    Ok(exit)
}

/// Prints what is to be done about tables; conflicts are left to somebody who knows the points.
fn tell(name: &str, plan: &Plan, would: &str, exit: Exit) -> Exit {
    if plan.statements.is_empty() && plan.conflicts.is_empty() {
        println!("{name}: as the configuration says");
    }
    for statement in &plan.statements {
        println!("{name}: {would}{statement}");
    }
    for conflict in &plan.conflicts {
        println!("{name}: CONFLICT {conflict}; alter it yourself");
    }
    if plan.conflicts.is_empty() { exit } else { Exit::Configuration }
}

/// A change in words.
fn told(change: &Change, create: &str, alter: &str) -> String {
    let policy = |of: &Policy| {
        let shards = spoken(Some(of.shard_duration));
        format!(
            "{} in shards of {shards}{}",
            spoken(of.duration),
            if of.default { ", the default" } else { "" }
        )
    };
    match change {
        Change::CreateDatabase => format!("{create} the database"),
        Change::Create(new) => format!("{create} retention policy {} ({})", new.name, policy(new)),
        Change::Alter { from, to } => {
            format!("{alter} retention policy {} from {} to {}", to.name, policy(from), policy(to))
        }
        Change::MakeDefault { from, to, .. } => format!("{alter} the default policy from {from} to {to}"),
    }
}
