//! `tickline publish`

use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, Waker};
use signal_hook::consts::signal::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use tickline_config::Loaded;
use tickline_config::model::Config;
use tickline_config::report::PublisherReport;
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;

use super::{ConfigArgs, Exit, Failure, duration, environment};
use crate::publish::Group;
use crate::service::Service;
use crate::view::PublisherView;

const SIGNALS: Token = Token(0);
const WAKE: Token = Token(1);

/// How often it looks whether its time is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Names that differ from the kind's.
const OTHER_NAMES: [(&str, &str); 2] = [("betfair", "betfair_stream"), ("sentiment", "twitter_sentiment")];

/// Arguments of `publish`.
#[derive(Debug, clap::Args)]
pub(super) struct PublishArgs {
    /// Publishers to run, such as kraken-tick: those of the configuration, or any kind with its defaults. Default: all
    /// publishers of the configuration.
    names: Vec<String>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Symbols, separated by commas, for every publisher that is named.
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "names")]
    symbols: Vec<String>,
    /// Stop by itself after this time, such as 10s.
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// Wait so long at most for the subscriptions of the configuration's feeds before asking a venue: what is
    /// published to nobody is lost.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s")]
    subscribers_within: Duration,
    /// Print what was done as JSON, alone, on standard output.
    #[arg(long)]
    json: bool,
}

impl PublishArgs {
    /// The names as the configuration has them.
    fn names(&self) -> Vec<String> {
        let name = |name: &String| {
            let other = OTHER_NAMES.iter().find(|(other, _)| other == name);
            other.map_or_else(|| name.replace('-', "_"), |(_, name)| (*name).to_owned())
        };
        self.names.iter().map(name).collect()
    }

    /// A publisher that no file names is one with its defaults.
    fn load(&self) -> Result<Loaded, Failure> {
        let files = self.config.load()?;
        let mut sets = self.config.sets.clone();
        for name in self.names() {
            if !files.config.publishers.contains_key(&name) {
                sets.push(format!("publishers.{name}.kind={name:?}"));
            }
            if !self.symbols.is_empty() {
                sets.push(format!("publishers.{name}.symbols={:?}", self.symbols));
            }
        }
        Config::load(&self.config.files, &sets, &environment).map_err(Failure::configuration)
    }
}

pub(super) fn run(args: &PublishArgs) -> Result<Exit, Failure> {
    let (loaded, names) = (args.load()?, args.names());
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    if !loaded.config.publishers.keys().any(|name| wanted(name)) {
        return Err(Failure::usage(
            "publish: needs a name, such as kraken-tick, or a configuration with [publishers]",
        ));
    }
    let mut poll = Poll::new().map_err(Failure::failed)?;
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(Failure::failed)?;
    poll.registry().register(&mut signals, SIGNALS, Interest::READABLE).map_err(Failure::failed)?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE).map_err(Failure::failed)?);
    let clock: Arc<dyn Clock> = Arc::new(OsClock::start());
    let started = clock.mono();
    let mut group =
        Group::start(&loaded.config, &clock, args.subscribers_within, wanted).map_err(Failure::failed)?;
    group.stop().set_control(waker);
    let views = group.views();
    for view in &views {
        tracing::info!("{}: publishing on {}", view.name, view.endpoints.join(", "));
    }
    let mut events = Events::with_capacity(8);
    let (service, mut told) = (Service::default(), String::new());
    service.ready();
    let over = |clock: &dyn Clock| {
        args.duration.is_some_and(|time| u128::from(clock.mono().since(started)) >= time.as_nanos())
    };
    while signals.pending().next().is_none() && group.failure().is_none() && !over(clock.as_ref()) {
        match poll.poll(&mut events, Some(LOOK_EVERY)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                return Err(Failure::failed(error));
            }
            _ => {}
        }
        service.publishers(&views, &mut told);
    }
    group.end();
    tell(&views, args.json)?;
    group.failure().map_or(Ok(Exit::Ok), |why| Err(Failure::failed(why)))
}

/// What each has done.
fn tell(views: &[PublisherView], json: bool) -> Result<(), Failure> {
    let reports: std::collections::BTreeMap<String, PublisherReport> =
        views.iter().map(PublisherView::report).collect();
    if json {
        let text = serde_json::to_string_pretty(&reports).map_err(Failure::failed)?;
        println!("{text}");
        return Ok(());
    }
    println!("{:<24} {:>14} {:>14} {:>14}  COUNTS", "PUBLISHER", "FROM VENUE", "MESSAGES", "BYTES");
    for (name, of) in &reports {
        let counts = of.counts.iter().filter(|(_, count)| **count > 0);
        let counts: Vec<String> = counts.map(|(name, count)| format!("{name} {count}")).collect();
        println!(
            "{name:<24} {:>14} {:>14} {:>14}  {}",
            of.venue_messages,
            of.messages,
            of.bytes,
            counts.join(", ")
        );
    }
    Ok(())
}
