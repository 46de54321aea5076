//! The command line of `tickline-loadgen`; a wrong one ends with exit code 2.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tickline_feeds::payload::Decimals;
use tickline_loadgen::arrivals::Arrivals;
use tickline_loadgen::door::{Door, DoorError};
use tickline_loadgen::plan::Rate;
use tickline_loadgen::replay::{Speed, TimeMode};
use tickline_loadgen::threshold::Condition;

mod values;
mod venue;

use values::{duration, feed_endpoint, per_second, percent, speed, threshold, time_mode, zipf};
pub(crate) use venue::{Symbols, VenueArg, VenueArgs};

/// Generates, replays and records market ticks on ZeroMQ.
///
/// Exit codes: 0 ok, 1 run-time failure, 2 usage, 3 invalid run (this generator was the limit: late or busy), 4 a
/// drill failed or a ledger does not balance, 78 an engine's configuration, 99 a threshold was crossed.
#[derive(Debug, Parser)]
#[command(name = "tickline-loadgen", version)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Publish made-up messages of several feeds, open loop
    Run(RunArgs),
    /// Publish recordings again
    Replay(ReplayArgs),
    /// Record topics into a capture
    Record(RecordArgs),
    /// Find the highest rate at which an objective holds, and certify it
    FindMax(FindMaxArgs),
    /// Find it again and hold it against an older certificate
    Certify(CertifyArgs),
    /// Build a backlog and tell how long the engine takes to work it off
    Drain(DrainArgs),
    /// Compare two files of runs, metric by metric
    Compare(CompareArgs),
    /// Do faults to the real engine and hold what is stored against what it claimed
    Drill(DrillArgs),
    /// Be a venue on loopback, for connectors to be tested against
    Venue(VenueArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// File that gets the messages as a function of seed and plan alone
    #[arg(long, value_name = "FILE")]
    pub(crate) capture: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) publish: PublishArgs,
    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Feeds by name, topic or alias, separated by commas
    #[arg(long, value_delimiter = ',', required_unless_present = "scenario")]
    pub(crate) feeds: Vec<String>,
    /// A scenario: a TOML file, or one that comes with the program: steady, venues, opening, steps, bursts
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["feeds", "rate", "symbols", "arrivals", "zipf"])]
    pub(crate) scenario: Option<String>,
    /// Messages a second of each feed, such as 5000/s, or max
    #[arg(long, default_value = "1000/s", value_parser = |text: &str| text.parse::<Rate>())]
    pub(crate) rate: Rate,
    /// How messages follow each other: even, venue (in recorded clusters), burst=60 (due together) or burst=60/10ms
    #[arg(long, default_value = "even", value_parser = |text: &str| text.parse::<Arrivals>())]
    pub(crate) arrivals: Arrivals,
    /// How long, such as 10s; without it as the scenario says, or until stopped
    #[arg(long, value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// The same seed gives the same messages
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Pairs, instruments or markets of each feed
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) symbols: Option<u32>,
    /// How uneven they are: the symbol of rank r has weight 1/r^ZIPF; 0: all alike
    #[arg(long, default_value_t = 0.0, value_parser = zipf, value_name = "ZIPF")]
    pub(crate) zipf: f64,
    /// Address on whose registry ports the feeds are bound
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub(crate) bind: String,
    /// Another endpoint for one feed
    #[arg(long, value_parser = feed_endpoint, value_name = "[FEED=]ENDPOINT")]
    pub(crate) endpoint: Vec<(Option<String>, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Recordings, or folders of captures such as an archive, merged by time
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Only this feed, by name, topic or alias; without it every feed that the files hold
    #[arg(long)]
    pub(crate) feed: Option<String>,
    /// How often; each time begins where the one before ended
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) loops: u32,
    /// 1x as recorded, 10x ten times faster, max as fast as possible
    #[arg(long, default_value = "1x", value_parser = speed)]
    pub(crate) speed: Speed,
    /// Venue times: original, now (the last message carries the time at which it is due), or shift=±DURATION
    #[arg(long, default_value = "original", value_parser = time_mode)]
    pub(crate) time: TimeMode,
    /// Address on whose registry ports the feeds are bound
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub(crate) bind: String,
    /// Another endpoint for one feed
    #[arg(long, value_parser = feed_endpoint, value_name = "[FEED=]ENDPOINT")]
    pub(crate) endpoint: Vec<(Option<String>, String)>,
    #[command(flatten)]
    pub(crate) publish: PublishArgs,
    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// The capture
    pub(crate) file: PathBuf,
    /// Endpoint to connect to
    #[arg(long, required = true)]
    pub(crate) connect: Vec<String>,
    /// Topic, by its beginning; without it all
    #[arg(long)]
    pub(crate) topic: Vec<String>,
    /// How long, such as 10s; without it until stopped
    #[arg(long, value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Messages that may wait for being recorded
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) rcvhwm: i32,
    /// The publishers' public CURVE key
    #[arg(long, value_name = "KEY")]
    pub(crate) curve_server_key: Option<String>,
    /// Our secret CURVE key; without it a new one
    #[arg(long, value_name = "FILE", requires = "curve_server_key")]
    pub(crate) curve_secret_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FindMaxArgs {
    /// What must hold, such as 'p99.9<10ms,lost=0'
    #[arg(long, value_name = "CONDITIONS", required = true, value_delimiter = ',',
        value_parser = |text: &str| text.parse::<Condition>())]
    pub(crate) slo: Vec<Condition>,
    /// How long each rate is tried; without it as long as the load lasts, or 10s where it has no end
    #[arg(long, value_parser = duration)]
    pub(crate) trial: Option<Duration>,
    /// How exactly the rate is wanted
    #[arg(long, value_parser = percent, default_value = "5%")]
    pub(crate) precision: f64,
    /// Highest rate that is tried, of all feeds
    #[arg(long, value_parser = per_second, default_value = "2000000/s")]
    pub(crate) max_rate: f64,
    /// How long the engine may take after the last message of a trial
    #[arg(long, value_parser = duration, default_value = "30s")]
    pub(crate) settle: Duration,
    /// Write the certificate to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Write the certificate to stdout
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) publish: PublishArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CertifyArgs {
    /// The certificate to hold the new one against
    #[arg(long, value_name = "FILE")]
    pub(crate) check: PathBuf,
    /// How much less the capacity may be; below it ends with exit code 99
    #[arg(long, value_parser = percent, default_value = "10%")]
    pub(crate) tolerance: f64,
    /// Write the new certificate to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Write the new certificate to stdout
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DrainArgs {
    /// Keep every InfluxDB sink from its database while the load runs; needs --run
    #[arg(long)]
    pub(crate) away: bool,
    /// How long the engine may take
    #[arg(long, value_parser = duration, default_value = "10m")]
    pub(crate) settle: Duration,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) publish: PublishArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Reports or bench results of one side, three or more, one after another or as an array
    pub(crate) base: PathBuf,
    /// Those of the other side; as many, made in turns with the first, are compared in pairs
    pub(crate) head: PathBuf,
    /// How much worse a metric may be: 5% of each (the default), or due_to_encode.p99=20% of one
    #[arg(long, value_name = "[METRIC=]SHARE", value_parser = threshold)]
    pub(crate) threshold: Vec<(Option<String>, f64)>,
}

#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
    /// An engine that runs, by its admin address; without it http://127.0.0.1:9600
    #[arg(long, value_name = "URL")]
    pub(crate) target: Option<String>,
    /// Start an engine with this configuration instead
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    pub(crate) run: Option<PathBuf>,
    /// The program tickline; without it the one beside this program
    #[arg(long, value_name = "FILE", requires = "run")]
    pub(crate) engine: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DrillArgs {
    /// How much of each fault: minutes or hours
    #[arg(long, value_enum, default_value = "quick")]
    pub(crate) tier: TierArg,
    /// Only this row of the matrix, such as T15; may be repeated
    #[arg(long = "row", value_name = "ID")]
    pub(crate) rows: Vec<String>,
    /// The program tickline; without it the one beside this program
    #[arg(long, value_name = "FILE")]
    pub(crate) engine: Option<PathBuf>,
    /// The same seed throws the same dice
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TierArg {
    Quick,
    Release,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// Do not wait for a subscriber before the first message
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// How long to wait until every feed has a subscriber
    #[arg(long, value_parser = duration, default_value = "60s", conflicts_with = "no_wait")]
    pub(crate) wait_timeout: Duration,
    /// How decimals travel
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) decimals: DecimalsArg,
    /// Messages that may wait in a publisher's queue for one subscriber
    #[arg(long, default_value_t = 50_000)]
    pub(crate) sndhwm: i32,
    /// Our secret CURVE key, as tickline keys new writes it: connections are encrypted
    #[arg(long, value_name = "FILE", requires = "curve_allow")]
    pub(crate) curve_secret_key: Option<PathBuf>,
    /// Public keys of those who may subscribe, one a line
    #[arg(long, value_name = "FILE", requires = "curve_secret_key")]
    pub(crate) curve_allow: Option<PathBuf>,
}

impl PublishArgs {
    /// Who may subscribe.
    pub(crate) fn door(&self) -> Result<Option<Door>, DoorError> {
        let files = self.curve_secret_key.as_ref().zip(self.curve_allow.as_ref());
        files.map(|(secret, allowed)| Door::read(secret, allowed)).transpose()
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DecimalsArg {
    Text,
    Float64,
}

impl From<DecimalsArg> for Decimals {
    fn from(arg: DecimalsArg) -> Self {
        match arg {
            DecimalsArg::Text => Decimals::Text,
            DecimalsArg::Float64 => Decimals::Float64,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct MeasureArgs {
    /// The engine to measure, by its admin address, or none; without it http://127.0.0.1:9600 if it answers
    #[arg(long, value_name = "URL|none")]
    pub(crate) target: Option<String>,
    /// How long the engine may take after the last message
    #[arg(long, value_parser = duration, default_value = "30s")]
    pub(crate) settle: Duration,
    /// What must not be, such as p99.9>20ms, encode.p99>1ms or lost>0; ends with exit code 99. Metrics: sent rate
    /// late blocked lost dropped rejected unbalanced p50 p90 p99 p99.9 p99.99 max
    #[arg(long, value_name = "CONDITION", value_parser = |text: &str| text.parse::<Condition>())]
    pub(crate) fail_if: Vec<Condition>,
    /// Write a line a second to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Write PREFIX.hlog and a PREFIX.STAGE.hgrm a stage, for the HdrHistogram tools
    #[arg(long, value_name = "PREFIX")]
    pub(crate) hdr: Option<PathBuf>,
    /// Write a page with pictures
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Write the report as JSON to stdout, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the report as JSON to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_the_documentation_are_understood() {
        for line in [
            "run --feeds kraken_tick,oanda_tick,betfair_stream --rate 5000/s --duration 10s --seed 7 --json",
            "run --feeds kraken_tick --rate max --endpoint kraken_tick=tcp://127.0.0.1:* --no-wait",
            "replay FILE --feed betfair_stream --speed max --time now",
            "replay A B --feed oanda_tick --speed 0.5x --time shift=-720h --endpoint tcp://127.0.0.1:*",
            "replay ARCHIVE --loops 3 --endpoint kraken_tick=tcp://127.0.0.1:*",
            "run --scenario venues --duration 5s --seed 3",
            "run --feeds kraken_tick --arrivals burst=60/10ms --zipf 1.1",
            "find-max --slo p99.9<10ms,lost=0 --feeds kraken_tick --rate 2000/s --trial 5s --run tickline.toml",
            "compare base.json head.json --threshold 3% --threshold due_to_encode.p99=20%",
            "certify --check old.json --tolerance 5% --target http://127.0.0.1:9600",
            "drain --feeds kraken_tick --rate 20000/s --duration 30s --away --run tickline.toml",
            "drill --tier quick --row T15 --row T2 --json",
            "venue kraken --symbols BTC/USD,ETH/USD --rate 100/s --seed 7 --duration 10s",
            "venue oanda --listen 127.0.0.1:9700 --recording A --recording B --rate 10x --tls DIR",
            "record --topic kraken_tick --connect tcp://127.0.0.1:5558 FILE --duration 500ms",
        ] {
            let words = std::iter::once("tickline-loadgen").chain(line.split(' '));
            CommandLine::try_parse_from(words).unwrap();
        }
    }
}
