//! `tickline demo`: the whole way on one machine, without server, configuration or network. Generated feeds go
//! over ZeroMQ on free ports into a sink, and the verdict also holds the generator's own count against ours.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::ValueEnum;
use tickline_config::model::Config;
use tickline_config::report::{Report, Verdict};
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::plan::{FeedLoad, LoadPlan, Rate};
use tickline_loadgen::publish::Progress;
use tickline_loadgen::result::LoadResult;
use tickline_loadgen::run::{Running, start};

use super::launch::{Launch, ReportArgs, conclude};
use super::{Exit, Failure, duration, environment};
use crate::control::Ended;
use crate::ledger::Reading;
use crate::report::Standard;
use crate::run::{Run, Source};

const FEEDS: [&str; 4] = ["kraken_tick", "kraken_depth", "oanda_tick", "betfair_stream"];

/// How long what was sent may stay away before it counts as lost.
const ARRIVAL_NS: u64 = 3_000_000_000;
/// How long a publisher waits for the engine.
const SUBSCRIBER_TIMEOUT: Duration = Duration::from_secs(30);

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// How long the generator runs.
    #[arg(long, value_parser = duration, default_value = "10s")]
    duration: Duration,
    /// Messages of each feed: 2000/s, or max for flat out.
    #[arg(long, default_value = "2000/s")]
    rate: Rate,
    /// Where the points go: parquet unless --influx names a database.
    #[arg(long, value_enum)]
    sink: Option<DemoSink>,
    /// InfluxDB 1 database: http://[USER:PASSWORD@]HOST:PORT/DATABASE.
    #[arg(long, value_name = "URL", required_if_eq("sink", "influx"))]
    influx: Option<String>,
    /// Folder for files.
    #[arg(long, default_value = "tickline-data")]
    dir: PathBuf,
    /// Seed of the generator.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Sets one key of the configuration; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DemoSink {
    /// Parquet files under --dir.
    Parquet,
    /// The database of --influx.
    Influx,
    /// One file of line protocol under --dir.
    File,
    /// Counts and forgets.
    Null,
}

impl DemoArgs {
    fn sink(&self) -> DemoSink {
        let named = if self.influx.is_some() { DemoSink::Influx } else { DemoSink::Parquet };
        self.sink.unwrap_or(named)
    }
}

pub(super) fn run(args: &DemoArgs) -> Result<Exit, Failure> {
    if args.influx.is_some() && args.sink() != DemoSink::Influx {
        return Err(Failure::usage("--influx: must go with --sink influx or no --sink"));
    }
    let generator = start(load_plan(args)?, OsClock::start()).map_err(Failure::failed)?;
    let loaded = match load(args, &generator) {
        Ok(loaded) => loaded,
        Err(failure) => {
            generator.stop();
            return Err(failure);
        }
    };
    eprintln!(
        "demo: {} at {} messages a second each for {:?}",
        FEEDS.join(", "),
        rate_text(args.rate),
        args.duration
    );
    let mut watch = Watch { generator, since: 0, arrived: 0 };
    let launch = Launch {
        command: "demo",
        loaded: &loaded,
        source: Source::Sockets,
        state_dir: None,
        reload: None,
        done: &mut |run| watch.done(run),
    };
    let went = launch.go();
    let generated = watch.end();
    let (mut report, ended) = went?;
    let generated = generated?;
    (report.verdict, report.reasons) = generated.verdict();
    report.load = generated.load();
    compare(&mut report, &generated);
    let written = report.ledger.written;
    let exit = conclude(report, ended, Standard::Lossless, &args.report)?;
    if !args.report.json && ended == Ended::Drained && written > 0 {
        say_where(args);
    }
    Ok(exit)
}

fn load_plan(args: &DemoArgs) -> Result<LoadPlan, Failure> {
    let feeds = FEEDS.iter().map(|name| {
        let load = FeedLoad::new(name, "127.0.0.1", args.rate).map_err(Failure::usage)?;
        Ok(FeedLoad { endpoint: "tcp://127.0.0.1:*".to_owned(), ..load })
    });
    Ok(LoadPlan {
        feeds: feeds.collect::<Result<_, Failure>>()?,
        duration: Some(args.duration),
        seed: args.seed,
        wait: true,
        wait_timeout: Some(SUBSCRIBER_TIMEOUT),
        ..LoadPlan::default()
    })
}

/// The configuration of a demo: the generator's endpoints and one sink.
fn load(args: &DemoArgs, generator: &Running) -> Result<tickline_config::Loaded, Failure> {
    let endpoint = |(feed, endpoint): (&str, &str)| format!("feeds.{feed}.endpoint={}", quoted(endpoint));
    let mut sets: Vec<String> = generator.endpoints().map(endpoint).collect();
    sets.push("http.listen=\"127.0.0.1:0\"".to_owned());
    // The points shown are those of the generated feeds.
    sets.push("engine.ledger_every=\"inf\"".to_owned());
    let path = |path: &Path| quoted(&path.display().to_string());
    match args.sink() {
        DemoSink::Parquet => {
            sets.push("sinks.parquet.kind=\"parquet\"".to_owned());
            sets.push(format!("sinks.parquet.dir={}", path(&args.dir)));
        }
        DemoSink::File => {
            std::fs::create_dir_all(&args.dir)
                .map_err(|error| Failure::configuration(format!("--dir {}: {error}", args.dir.display())))?;
            sets.push("sinks.file.kind=\"file\"".to_owned());
            sets.push(format!("sinks.file.path={}", path(&line_file(&args.dir))));
        }
        DemoSink::Null => sets.push("sinks.null.kind=\"null\"".to_owned()),
        DemoSink::Influx => {}
    }
    // A demo leaves nothing behind that a later one would send.
    let name = match args.sink() {
        DemoSink::Parquet => "parquet",
        DemoSink::File => "file",
        DemoSink::Null => "null",
        DemoSink::Influx => "influx",
    };
    sets.push(format!("sinks.{name}.durability=\"memory\""));
    sets.extend(args.sets.iter().cloned());
    let loaded = match &args.influx {
        Some(url) if args.sink() == DemoSink::Influx => {
            let feeds = FEEDS.map(str::to_owned);
            Config::quick_run(&feeds, url, &sets, &environment)
        }
        _ => Config::load(&[], &sets, &environment),
    };
    loaded.map_err(Failure::configuration)
}

/// TOML's basic string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn line_file(dir: &Path) -> PathBuf {
    dir.join("demo.lp")
}

/// Watches the generator, and then what it has sent on its way.
struct Watch {
    generator: Running,
    /// When something last arrived, ns.
    since: u64,
    arrived: u64,
}

impl Watch {
    /// Whether everything has been sent and has arrived, or will not arrive any more.
    fn done(&mut self, run: &Run) -> bool {
        let view = run.view();
        let now = view.clock.mono().0;
        let arrived = Reading::take(&view.stats).feeds_in.iter().map(|feed| feed.received).sum();
        if arrived != self.arrived {
            (self.arrived, self.since) = (arrived, now);
        }
        if !self.generator.has_ended() {
            return false;
        }
        // One message more a feed: the end is said.
        let said = |progress: &Progress| u64::from(progress.end_said.load(Ordering::Relaxed));
        let sent = |progress: &Progress| progress.sent.load(Ordering::Relaxed) + said(progress);
        let sent: u64 = self.generator.progress().map(|(_, progress)| sent(progress)).sum();
        arrived >= sent || now.saturating_sub(self.since) > ARRIVAL_NS
    }

    fn end(self) -> Result<LoadResult, Failure> {
        self.generator.stop();
        self.generator.finish().map_err(Failure::failed)
    }
}

/// Equation 1 against the generator's own count.
fn compare(report: &mut Report, generated: &LoadResult) {
    for sent in &generated.feeds {
        let Some(feed) = report.feeds.get_mut(&sent.feed) else { continue };
        let ledger = &mut feed.ledger;
        let [sequenced, duplicate, overload, before] =
            [ledger.sequenced, ledger.duplicate, ledger.lost_overload, ledger.lost_before_receive]
                .map(|count| count.unwrap_or(0));
        let accounted = (sequenced + overload + before).saturating_sub(duplicate);
        if accounted != sent.last_seq {
            let (name, published) = (&sent.feed, sent.last_seq);
            report.reasons.push(format!("{name}: {published} messages published, {accounted} accounted for"));
            ledger.balanced = false;
            report.ledger.balanced = false;
            report.verdict = Verdict::Fail;
        }
        ledger.published = Some(sent.last_seq);
    }
    report.ledger.published = Some(generated.feeds.iter().map(|feed| feed.last_seq).sum());
}

fn rate_text(rate: Rate) -> String {
    match rate {
        Rate::PerSecond(rate) => rate.to_string(),
        Rate::Max => "as many as possible".to_owned(),
    }
}

fn say_where(args: &DemoArgs) {
    let dir = args.dir.display();
    match args.sink() {
        DemoSink::Parquet => {
            println!("\nthe points are in {dir}/<measurement>/date=<day>/; look at them with");
            println!(
                "  duckdb -c \"SELECT pair, count(*) AS points, avg(ask - bid) AS spread FROM \
                 read_parquet('{dir}/kraken_tick/*/*.parquet') GROUP BY pair ORDER BY pair\""
            );
        }
        DemoSink::File => println!(
            "\nthe points are in {0}; look at them with\n  tail -3 {0}",
            line_file(&args.dir).display()
        ),
        DemoSink::Influx => {
            let database = args.influx.as_deref().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
            println!("\nthe points are in the database {database}; look at them with");
            println!(
                "  influx -database '{database}' -execute 'SELECT count(recv_ns) FROM kraken_tick GROUP BY pair'"
            );
        }
        DemoSink::Null => println!("\nthe points were counted and forgotten"),
    }
}
