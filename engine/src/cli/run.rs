//! `tickline run`

use std::time::Duration;

use tickline_config::Loaded;
use tickline_config::model::Config;

use super::launch::{Launch, ReportArgs, conclude};
use super::{ConfigArgs, Exit, Failure, duration, environment};
use crate::report::Standard;
use crate::run::{Run, Source};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Feed of the registry to run without a file, with --influx; may be repeated.
    #[arg(long = "feed", value_name = "NAME", requires = "influx", conflicts_with = "files")]
    feeds: Vec<String>,
    /// InfluxDB 1 database to write to without a file: http://[USER:PASSWORD@]HOST:PORT/DATABASE.
    #[arg(long, value_name = "URL", requires = "feeds", conflicts_with = "files")]
    influx: Option<String>,
    /// Stop by itself after this time, such as 10s.
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// Leave the publishers of the configuration to a process of their own, such as tickline publish.
    #[arg(long)]
    no_publishers: bool,
    #[command(flatten)]
    report: ReportArgs,
}

impl RunArgs {
    fn load(&self) -> Result<Loaded, Failure> {
        match &self.influx {
            Some(url) => Config::quick_run(&self.feeds, url, &self.config.sets, &environment)
                .map_err(Failure::configuration),
            None if self.config.files.is_empty() && self.config.sets.is_empty() => {
                Err(Failure::usage("run: needs --config FILE, or --feed NAME with --influx URL"))
            }
            None => self.config.load_runnable(),
        }
    }
}

pub(super) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let mut loaded = args.load()?;
    if args.no_publishers {
        loaded.config.publishers.clear();
    }
    let limit = args.duration.map(|time| time.as_secs_f64());
    let reload = || args.load().map_err(|failure| failure.message);
    let launch = Launch {
        command: "run",
        loaded: &loaded,
        source: Source::Sockets,
        state_dir: Some(loaded.config.engine.state_dir.clone()),
        reload: (!args.config.files.is_empty()).then_some(&reload),
        done: &mut |run: &Run| limit.is_some_and(|limit| run.view().elapsed_s() >= limit),
    };
    let (report, ended) = launch.go()?;
    conclude(report, ended, Standard::Ended, &args.report)
}
