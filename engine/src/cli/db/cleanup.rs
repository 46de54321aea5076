//! `tickline db cleanup`

use std::time::Duration;

use tickline_feeds::clock::{Clock, WallNanos};
use tickline_feeds::payload::rfc3339;
use tickline_loadgen::clock::OsClock;
use tickline_sinks::admin::contents::{Contents, keeps_longer};

use super::SinkArgs;
use crate::cli::words::count;
use crate::cli::{Exit, Failure, duration};

/// Arguments of `db cleanup`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CleanupArgs {
    #[command(flatten)]
    sinks: SinkArgs,
    /// The measurement.
    #[arg(long, value_name = "NAME")]
    measurement: String,
    /// Age from which on its points go, such as 30d.
    #[arg(long, value_parser = duration)]
    older_than: Duration,
    /// Do it.
    #[arg(long)]
    yes: bool,
    /// Also take them from policies that were made to keep them longer: InfluxDB 1 cannot spare one.
    #[arg(long)]
    allow_data_loss: bool,
}

pub(super) fn run(args: &CleanupArgs) -> Result<Exit, Failure> {
    let config = args.sinks.load()?.config;
    let database = args.sinks.database(&config)?;
    let WallNanos(now) = OsClock::start().wall();
    let before_ns = now.saturating_sub(i64::try_from(args.older_than.as_nanos()).unwrap_or(i64::MAX));
    let failed = |error| database.failed(error);
    let policies = database.admin.policies().map_err(failed)?;
    let mut found = Vec::new();
    for policy in &policies {
        let held = database.admin.contents_before(&policy.name, &args.measurement, before_ns);
        found.extend(held.map_err(failed)?);
    }
    let (name, measurement, before) = (&database.name, &args.measurement, rfc3339(WallNanos(before_ns), 0));
    for Contents { policy, points, .. } in &found {
        println!("{name}: {policy}: {measurement}: {} points before {before}", count(*points));
    }
    if found.is_empty() {
        println!("{name}: {measurement} has no points before {before}");
        return Ok(Exit::Ok);
    }
    let kept: Vec<&str> =
        keeps_longer(&policies, &found, args.older_than).map(|of| of.policy.as_str()).collect();
    if !kept.is_empty() && !args.allow_data_loss {
        let kept = kept.join(", ");
        let rule = "InfluxDB 1 removes from all policies at once; --allow-data-loss says that this is meant";
        return Err(Failure::failed(format!("db cleanup: {kept}: keeps points longer than that; {rule}")));
    }
    if !args.yes {
        println!("nothing was removed: --yes does it");
        return Ok(Exit::Ok);
    }
    database.admin.delete_before(measurement, before_ns).map_err(failed)?;
    println!("removed");
    Ok(Exit::Ok)
}
