//! `tickline parquet`: work on the folders of Parquet sinks.

use tickline_config::model::SinkKind;
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;
use tickline_sinks::parquet::compact::compact;

use super::{ConfigArgs, Exit, Failure};

/// What to do with them.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ParquetCommand {
    /// Make one file a measurement out of a day's many: sorted by tags and time, each of them once.
    Compact(CompactArgs),
}

/// Arguments of `parquet compact`.
#[derive(Debug, clap::Args)]
pub(super) struct CompactArgs {
    /// UTC day, such as 2026-01-31
    #[arg(value_parser = |text: &str| text.parse::<jiff::civil::Date>())]
    day: jiff::civil::Date,
    #[command(flatten)]
    config: ConfigArgs,
    /// Parquet sink. Default: all of them.
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
}

pub(super) fn run(command: &ParquetCommand) -> Result<Exit, Failure> {
    let ParquetCommand::Compact(args) = command;
    let config = args.config.load()?.config;
    let mut found = false;
    for (name, sink) in config.sinks.iter().filter(|(name, _)| args.sink.as_ref().is_none_or(|s| s == *name))
    {
        let SinkKind::Parquet(parquet) = &sink.kind else { continue };
        found = true;
        let now = OsClock::start().wall().0;
        let done = compact(&parquet.dir, &args.day.to_string(), now)
            .map_err(|error| Failure::failed(format!("sinks.{name}: {}: {error}", parquet.dir.display())))?;
        for done in &done {
            println!(
                "{}: {} rows of {} files are {} rows in {}",
                done.measurement,
                done.rows_before,
                done.replaced.len(),
                done.rows,
                done.file
            );
        }
        if done.is_empty() {
            println!("{name}: nothing to do for {}", args.day);
        }
    }
    if !found {
        return Err(Failure::configuration("sinks: parquet compact needs a Parquet sink, found none"));
    }
    Ok(Exit::Ok)
}
