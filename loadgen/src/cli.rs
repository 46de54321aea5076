//! The command line of `tickline-loadgen`; a wrong one ends with exit code 2.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;
use tickline_feeds::payload::Decimals;
use tickline_loadgen::arrivals::Arrivals;
use tickline_loadgen::door::{Door, DoorError};
use tickline_loadgen::plan::Rate;
use tickline_loadgen::replay::{Speed, TimeMode};
use tickline_loadgen::threshold::Condition;

/// Generates, replays and records market ticks on ZeroMQ.
///
/// Exit codes: 0 ok, 1 run-time failure, 2 usage, 3 invalid run (this generator was the limit: late or busy), 4 a
/// drill failed or a ledger does not balance, 99 a threshold was crossed.
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
    /// Do faults to the real engine and hold what is stored against what it claimed
    Drill(DrillArgs),
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
    /// The same seed gives the same bytes
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

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("must be a duration such as 10s or 500ms, found {text:?}");
    let parsed = text.parse::<SignedDuration>().map_err(|_| wrong())?;
    Duration::try_from(parsed).ok().filter(|d| !d.is_zero()).ok_or_else(wrong)
}

fn feed_endpoint(text: &str) -> Result<(Option<String>, String), String> {
    let (feed, endpoint) =
        text.split_once('=').map_or((None, text), |(feed, at)| (Some(feed.to_owned()), at));
    if !endpoint.contains("://") || feed.as_deref() == Some("") {
        return Err(format!("must be FEED=ENDPOINT or ENDPOINT, found {text:?}"));
    }
    Ok((feed, endpoint.to_owned()))
}

fn zipf(text: &str) -> Result<f64, String> {
    let zipf = text.parse::<f64>().ok().filter(|zipf| (0.0..=10.0).contains(zipf));
    zipf.ok_or_else(|| format!("must be 0.0..=10.0, found {text:?}"))
}

fn speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    let times = text.strip_suffix('x').and_then(|times| times.parse::<f64>().ok());
    let times = times.filter(|times| times.is_finite() && *times > 0.0);
    times.map(Speed::Times).ok_or_else(|| format!("must be max or a factor such as 1x, found {text:?}"))
}

fn time_mode(text: &str) -> Result<TimeMode, String> {
    match text {
        "original" => Ok(TimeMode::Original),
        "now" => Ok(TimeMode::Now),
        _ => {
            let by = text.strip_prefix("shift=").map(|by| by.strip_prefix('+').unwrap_or(by));
            let by = by.and_then(|by| by.parse::<SignedDuration>().ok());
            let ns = by.and_then(|by| i64::try_from(by.as_nanos()).ok());
            ns.map(TimeMode::Shift).ok_or_else(|| {
                format!("must be original, now or a shift such as shift=-720h, found {text:?}")
            })
        }
    }
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
            "drill --tier quick --row T15 --row T2 --json",
            "record --topic kraken_tick --connect tcp://127.0.0.1:5558 FILE --duration 500ms",
        ] {
            let words = std::iter::once("tickline-loadgen").chain(line.split(' '));
            CommandLine::try_parse_from(words).unwrap();
        }
    }

    #[test]
    fn values_have_units_and_signs() {
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(time_mode("shift=+10s"), Ok(TimeMode::Shift(10_000_000_000)));
        assert_eq!(time_mode("shift=-1ms"), Ok(TimeMode::Shift(-1_000_000)));
        assert_eq!(speed("10x"), Ok(Speed::Times(10.0)));
        for bad in ["10", "-1s", "0s", ""] {
            assert_eq!(duration(bad), Err(format!("must be a duration such as 10s or 500ms, found {bad:?}")));
        }
        assert!(speed("0x").is_err() && speed("10").is_err() && time_mode("shift=5").is_err());
    }
}
