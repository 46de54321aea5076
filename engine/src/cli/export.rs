//! `tickline export`: stored points as CSV, NDJSON or Parquet, for research.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tickline_config::model::{Config, Feed, Parquet, SinkKind};
use tickline_feeds::clock::{Clock, WallNanos};
use tickline_feeds::decoder::measurements;
use tickline_feeds::payload::rfc3339;
use tickline_loadgen::clock::OsClock;
use tickline_sinks::admin::{AdminError, Span, StoredKind, StoredPoint};
use tickline_sinks::parquet::ParquetSink;
use tickline_sinks::sink::{Outcome, Request, Sink};

use super::audit::moment;
use super::db::{Database, SinkArgs};
use super::words::count;
use super::{Exit, Failure};

/// Span that is asked for at once: an hour, so that neither side holds more than that.
const STEP_NS: i64 = 3_600_000_000_000;

/// Bytes of lines that Parquet is given at once.
const REQUEST_BYTES: usize = 1 << 20;

/// Tags of which one tells the symbol of a series.
const SYMBOL_TAGS: [&str; 4] = ["symbol", "pair", "instrument", "market_id"];

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    sinks: SinkArgs,
    /// Feed of the configuration or of the registry, whose measurements are meant.
    #[arg(long, required_unless_present = "measurement")]
    feed: Option<String>,
    /// Measurement. Default: all of the feed's.
    #[arg(long)]
    measurement: Option<String>,
    /// Beginning: RFC 3339, or a time ago such as 2h.
    #[arg(long, value_parser = moment)]
    from: i64,
    /// End, not included.
    #[arg(long, value_parser = moment, default_value = "0s")]
    to: i64,
    /// Symbol; may be repeated. Default: all.
    #[arg(long = "symbol", value_name = "SYMBOL")]
    symbols: Vec<String>,
    /// What was known then: points received later are left out.
    #[arg(long, value_parser = moment, value_name = "TIME")]
    as_of: Option<i64>,
    /// Retention policy. Default: the one that the sink writes to.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Form.
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// File, for parquet a folder. Default: standard output.
    #[arg(short, long, value_name = "PATH", required_if_eq("format", "parquet"))]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Ndjson,
    Parquet,
}

pub(super) fn run(args: &ExportArgs) -> Result<Exit, Failure> {
    let config = args.sinks.load()?.config;
    let database = args.sinks.database(&config)?;
    let failed = |error: AdminError| database.failed(error);
    let measurements = chosen(args, &config)?;
    if args.format == Format::Csv && measurements.len() > 1 {
        let names = measurements.join(", ");
        return Err(Failure::usage(format!(
            "export: csv holds one measurement, --measurement names one of {names}"
        )));
    }
    let policy = match &args.policy {
        Some(policy) => policy.clone(),
        None => database.admin.write_policy().map_err(failed)?.name,
    };
    let mut out = Output::open(args)?;
    let mut points = 0;
    for measurement in &measurements {
        let tags = database.admin.tags(&policy, measurement).map_err(failed)?;
        let kinds = database.admin.kinds(&policy, measurement).map_err(failed)?;
        out.begin(&tags, &kinds).map_err(Failure::failed)?;
        let condition = condition(args, &tags)?;
        // Spans without points cost a request each: only what there is is asked for.
        let Some(held) = database.admin.contents(&policy, measurement).map_err(failed)? else { continue };
        let mut from_ns = args.from.max(held.first_ns - STEP_NS);
        let end_ns = args.to.min(held.last_ns + STEP_NS);
        while from_ns < end_ns {
            let to_ns = (from_ns - from_ns.rem_euclid(STEP_NS) + STEP_NS).min(end_ns);
            let span = Span { policy: &policy, measurement, from_ns, to_ns, condition: &condition };
            points += out.write_span(&database, &span)?;
            from_ns = to_ns;
        }
    }
    out.end().map_err(Failure::failed)?;
    eprintln!("{} points of {}", count(points), measurements.join(", "));
    Ok(Exit::Ok)
}

/// The measurements that are meant.
fn chosen(args: &ExportArgs, config: &Config) -> Result<Vec<String>, Failure> {
    if let Some(measurement) = &args.measurement {
        return Ok(vec![measurement.clone()]);
    }
    let feed = feed_of(args.feed.as_deref().unwrap_or_default(), config)?;
    Ok(match feed.custom {
        Some(custom) => vec![custom.measurement],
        None => measurements(feed.decoder).iter().map(|of| of.name.to_owned()).collect(),
    })
}

/// A feed of the configuration, else of the registry.
pub(super) fn feed_of(name: &str, config: &Config) -> Result<Feed, Failure> {
    if let Some(feed) = config.feeds.get(name) {
        return Ok(feed.clone());
    }
    let sets = [format!("feeds.{name}.topic=\"*\"")];
    let loaded = Config::load(&[], &sets, &|_| None).map_err(Failure::configuration)?;
    let feed = loaded.config.feeds.get(name).cloned();
    feed.ok_or_else(|| Failure::usage(format!("--feed {name}: unknown")))
}

/// What points must fulfil, in InfluxQL.
fn condition(args: &ExportArgs, tags: &[String]) -> Result<String, Failure> {
    let mut all: Vec<String> = symbols(&args.symbols, tags)?.into_iter().collect();
    all.extend(args.as_of.map(|at_ns| format!("\"recv_ns\" <= {at_ns}")));
    Ok(all.join(" AND "))
}

/// That a point is of one of these symbols, in InfluxQL; none: of any.
pub(super) fn symbols(wanted: &[String], tags: &[String]) -> Result<Option<String>, Failure> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let tag = SYMBOL_TAGS.iter().find(|name| tags.iter().any(|tag| tag == *name));
    let tag = tag.ok_or_else(|| {
        let (known, found) = (SYMBOL_TAGS.join(", "), tags.join(", "));
        Failure::usage(format!("--symbol: no tag of {known} tells one, found {found}"))
    })?;
    let quoted = |text: &String| text.replace('\\', "\\\\").replace('\'', "\\'");
    let any: Vec<String> = wanted.iter().map(|text| format!("\"{tag}\" = '{}'", quoted(text))).collect();
    Ok(Some(format!("({})", any.join(" OR "))))
}

/// Where points go, in their form.
enum Output {
    Csv { out: Box<csv::Writer<Box<dyn Write>>>, columns: Vec<String> },
    Ndjson { out: Box<dyn Write>, line: Vec<u8> },
    Parquet { sink: Box<ParquetSink>, lines: String, points: u64 },
}

impl Output {
    fn open(args: &ExportArgs) -> Result<Self, Failure> {
        let wrong = |error: &dyn std::fmt::Display| {
            let path = args.output.as_deref().unwrap_or(std::path::Path::new("-")).display();
            Failure::failed(format!("--output {path}: {error}"))
        };
        if args.format == Format::Parquet {
            let settings = parquet(args.output.clone().unwrap_or_default())?;
            let sink = ParquetSink::open("export", "export", OsClock::start().wall().0, &settings);
            let sink = Box::new(sink.map_err(|error| wrong(&error))?);
            return Ok(Self::Parquet { sink, lines: String::new(), points: 0 });
        }
        let out: Box<dyn Write> = match &args.output {
            Some(path) => Box::new(BufWriter::new(File::create(path).map_err(|error| wrong(&error))?)),
            None => Box::new(BufWriter::new(std::io::stdout())),
        };
        Ok(match args.format {
            Format::Csv => Self::Csv { out: Box::new(csv::Writer::from_writer(out)), columns: Vec::new() },
            _ => Self::Ndjson { out, line: Vec::new() },
        })
    }

    /// Begins a measurement.
    fn begin(&mut self, tags: &[String], kinds: &[(String, StoredKind)]) -> Result<(), String> {
        if let Self::Csv { out, columns } = self {
            *columns = tags.iter().chain(kinds.iter().map(|(name, _)| name)).cloned().collect();
            let head = ["time"].into_iter().chain(columns.iter().map(String::as_str));
            out.write_record(head).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn write_span(&mut self, database: &Database, span: &Span<'_>) -> Result<u64, Failure> {
        let mut written = Ok(());
        let points = database.admin.read_points(span, &mut |point| {
            if written.is_ok() {
                written = self.write(point);
            }
        });
        written.map_err(Failure::failed)?;
        points.map_err(|error| database.failed(error))
    }

    fn write(&mut self, point: &StoredPoint<'_>) -> Result<(), String> {
        let time = rfc3339(WallNanos(point.time_ns), 9);
        match self {
            Self::Csv { out, columns } => {
                let cell = |name: &String| {
                    let field = point.fields.iter().find(|(known, ..)| known == name);
                    match field {
                        Some((_, StoredKind::Text, text)) => serde_json::from_str(text).unwrap_or_default(),
                        Some((_, _, text)) => (*text).to_owned(),
                        None => point.tags.get(name).cloned().unwrap_or_default(),
                    }
                };
                let record = std::iter::once(time).chain(columns.iter().map(cell));
                out.write_record(record).map_err(|error| error.to_string())
            }
            Self::Ndjson { out, line } => {
                line.clear();
                let ended = write_json(line, point, &time).map_err(std::io::Error::from);
                ended.and_then(|()| out.write_all(line)).map_err(|error| error.to_string())
            }
            Self::Parquet { sink, lines, points } => {
                point.write_line(lines);
                *points += 1;
                if lines.len() < REQUEST_BYTES { Ok(()) } else { give(sink, lines, points) }
            }
        }
    }

    fn end(self) -> Result<(), String> {
        match self {
            Self::Csv { mut out, .. } => out.flush().map_err(|error| error.to_string()),
            Self::Ndjson { mut out, .. } => out.flush().map_err(|error| error.to_string()),
            Self::Parquet { mut sink, mut lines, mut points } => {
                if points > 0 {
                    give(&mut sink, &mut lines, &mut points)?;
                }
                stored(&sink.commit())
            }
        }
    }
}

/// A Parquet sink's settings for a folder, else the defaults.
fn parquet(dir: PathBuf) -> Result<Parquet, Failure> {
    let sets = ["kind=\"parquet\"", "dir=\".\""].map(|key| format!("sinks.export.{key}"));
    let loaded = Config::load(&[], &sets, &|_| None).map_err(Failure::configuration)?;
    match loaded.config.sinks.get("export").map(|sink| &sink.kind) {
        Some(SinkKind::Parquet(defaults)) => Ok(Parquet { dir, ..defaults.clone() }),
        _ => Err(Failure::failed("export: no defaults for parquet")),
    }
}

/// `{"measurement":…,"time":…,"time_ns":…, tags, fields}` and a line feed; numbers keep the digits that are stored.
fn write_json(line: &mut Vec<u8>, point: &StoredPoint<'_>, time: &str) -> Result<(), serde_json::Error> {
    let mut head = Map::new();
    head.insert("measurement".to_owned(), Value::from(point.measurement));
    head.insert("time".to_owned(), Value::from(time));
    head.insert("time_ns".to_owned(), Value::from(point.time_ns));
    for (name, value) in point.tags.iter().filter(|(_, value)| !value.is_empty()) {
        head.insert(name.clone(), Value::from(value.as_str()));
    }
    serde_json::to_writer(&mut *line, &head)?;
    // Reopened for the fields.
    line.pop();
    for (name, _, text) in &point.fields {
        line.push(b',');
        serde_json::to_writer(&mut *line, name)?;
        line.push(b':');
        serde_json::to_writer(&mut *line, serde_json::from_str::<&RawValue>(text)?)?;
    }
    line.extend(b"}\n");
    Ok(())
}

fn give(sink: &mut ParquetSink, lines: &mut String, points: &mut u64) -> Result<(), String> {
    let request = Request { lines: std::mem::take(lines).into(), points: std::mem::take(points) };
    stored(&sink.write(&request))
}

fn stored(outcome: &Outcome) -> Result<(), String> {
    match outcome {
        Outcome::Stored { .. } | Outcome::Held => Ok(()),
        Outcome::NotSent(fault) | Outcome::InDoubt(fault) | Outcome::Split(fault) => {
            Err(fault.detail.clone())
        }
    }
}
