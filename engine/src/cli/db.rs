//! `tickline db`

use tickline_config::Loaded;
use tickline_config::model::{Config, InfluxTarget, SinkKind};
use tickline_sinks::admin::{Admin, AdminError, Change};

use super::{ConfigArgs, Exit, Failure, environment};

/// What to do with the database.
#[derive(Debug, clap::Subcommand)]
pub(super) enum DbCommand {
    /// Create the InfluxDB 1 database and the retention policies of the configuration; never shortens one.
    Apply(ApplyArgs),
}

/// Arguments of `db apply`.
#[derive(Debug, clap::Args)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// InfluxDB 1 database, without a file: http://[USER:PASSWORD@]HOST:PORT/DATABASE.
    #[arg(long, value_name = "URL", conflicts_with = "files")]
    influx: Option<String>,
}

impl ApplyArgs {
    fn load(&self) -> Result<Loaded, Failure> {
        match &self.influx {
            Some(url) => {
                Config::quick_run(&[], url, &self.config.sets, &environment).map_err(Failure::configuration)
            }
            None => self.config.load(),
        }
    }
}

pub(super) fn run(command: &DbCommand) -> Result<Exit, Failure> {
    let DbCommand::Apply(args) = command;
    let config = args.load()?.config;
    let mut applied = 0;
    for (name, sink) in &config.sinks {
        let SinkKind::Influx(influx) = &sink.kind else { continue };
        let InfluxTarget::V1 { database, .. } = &influx.target else { continue };
        let changes = Admin::new(name, influx).and_then(|admin| admin.apply(&config.retention));
        let changes = changes.map_err(|error| match error {
            AdminError::Shorter { .. } | AdminError::Open(_) => Failure::configuration(error),
            _ => Failure::failed(format!("sinks.{name}: {error}")),
        })?;
        if changes.is_empty() {
            println!("{database}: nothing to do");
        }
        for change in &changes {
            match change {
                Change::CreateDatabase => println!("{database}: database created"),
                Change::Create(policy) => println!("{database}: retention policy {} created", policy.name),
                Change::Alter(policy) => println!("{database}: retention policy {} changed", policy.name),
            }
        }
        applied += 1;
    }
    if applied == 0 {
        return Err(Failure::configuration(
            "sinks: db apply needs an InfluxDB 1 sink (version = 1), found none",
        ));
    }
    Ok(Exit::Ok)
}
