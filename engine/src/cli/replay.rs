//! `tickline replay`

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use tickline_config::model::{Config, InfluxTarget, SinkKind};
use tickline_feeds::capture::Reader;
use tickline_feeds::clock::{Clock, WallNanos};
use tickline_loadgen::clock::OsClock;
use tickline_sinks::admin::{Admin, AdminError};

use super::launch::{Launch, ReportArgs, conclude};
use super::{ConfigArgs, Exit, Failure};
use crate::report::Standard;
use crate::run::{Run, Source};

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {
    /// Captures, as tickline-loadgen record and the quarantine write them.
    #[arg(required = true)]
    captures: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    report: ReportArgs,
}

pub(super) fn run(args: &ReplayArgs) -> Result<Exit, Failure> {
    let mut loaded = args.config.load_runnable()?;
    if let Some(oldest) = oldest(&args.captures)? {
        refuse_if_dropped(&loaded.config, oldest, OsClock::start().wall())?;
    }
    // Nothing is served: a replay may stand beside the engine that has the port.
    loaded.config.http.listen = None;
    let launch = Launch {
        command: "replay",
        loaded: &loaded,
        source: Source::Captures(args.captures.clone()),
        state_dir: None,
        reload: None,
        done: &mut Run::received_all,
    };
    let (report, ended) = launch.go()?;
    conclude(report, ended, Standard::Ended, &args.report)
}

/// Receive time of the oldest record.
fn oldest(captures: &[PathBuf]) -> Result<Option<WallNanos>, Failure> {
    let mut oldest = None;
    for path in captures {
        let first =
            oldest_in(path).map_err(|error| Failure::failed(format!("{}: {error:#}", path.display())))?;
        oldest = oldest.into_iter().chain(first).min();
    }
    Ok(oldest)
}

fn oldest_in(path: &Path) -> anyhow::Result<Option<WallNanos>> {
    let mut reader = Reader::new(BufReader::with_capacity(1 << 20, File::open(path)?))?;
    let mut oldest = None;
    while let Some(record) = reader.next_record()? {
        oldest = oldest.into_iter().chain([record.recv]).min();
    }
    Ok(oldest)
}

/// Refuses to write what the target's retention would drop at once.
fn refuse_if_dropped(config: &Config, oldest: WallNanos, now: WallNanos) -> Result<(), Failure> {
    for (name, sink) in &config.sinks {
        let SinkKind::Influx(influx) = &sink.kind else { continue };
        // Version 3 does not tell.
        if matches!(influx.target, InfluxTarget::V3 { .. }) {
            continue;
        }
        let policy = Admin::new(name, influx).and_then(|admin| admin.write_policy());
        let policy = policy.map_err(|error| match error {
            AdminError::Unreachable { .. } => Failure::failed(format!("sinks.{name}: {error}")),
            _ => Failure::configuration(format!("sinks.{name}: {error}")),
        })?;
        let kept = policy.duration.map(|time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
        if kept.is_some_and(|kept| oldest.0 < now.0.saturating_sub(kept)) {
            let days = (now.0 - oldest.0) / 86_400_000_000_000;
            return Err(Failure::configuration(format!(
                "sinks.{name}.retention_policy: must keep points that are {days} days old, found {:?}, which \
                 drops them; name one that keeps them, such as archive (tickline db apply creates it)",
                policy.name
            )));
        }
    }
    Ok(())
}
