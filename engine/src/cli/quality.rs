//! `tickline quality`: a day of a feed, judged.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;
use tickline_feeds::decoder::measurements;
use tickline_sinks::admin::{AdminError, Span, StoredPoint};

use super::db::{Database, SinkArgs};
use super::export::{feed_of, symbols};
use super::words::count;
use super::{Exit, Failure, duration, print_text};
use crate::quality::{Gauge, Limits, Series};

const HOUR_NS: i64 = 3_600_000_000_000;

/// Arguments of `quality`.
#[derive(Debug, clap::Args)]
pub(super) struct QualityArgs {
    #[command(flatten)]
    sinks: SinkArgs,
    /// UTC day, such as 2026-01-31.
    #[arg(long, value_parser = |text: &str| text.parse::<jiff::civil::Date>())]
    day: jiff::civil::Date,
    /// Feed of the configuration or of the registry; its session says when points are expected.
    #[arg(long)]
    feed: String,
    /// Measurement. Default: the feed's first.
    #[arg(long)]
    measurement: Option<String>,
    /// Symbol; may be repeated. Default: all.
    #[arg(long = "symbol", value_name = "SYMBOL")]
    symbols: Vec<String>,
    /// A price that moves by more than so many percent from one point to the next is a jump.
    #[arg(long, default_value_t = 10.0)]
    jump_percent: f64,
    /// A point received so long after its own time is late.
    #[arg(long, value_parser = duration, default_value = "5s")]
    late: Duration,
    /// A longer span without points is a silence, in session.
    #[arg(long, value_parser = duration, default_value = "1h")]
    silence: Duration,
    /// As JSON.
    #[arg(long, conflicts_with = "html")]
    json: bool,
    /// As a page.
    #[arg(long)]
    html: bool,
}

/// Holes of one cause, as `feed_gap` has them.
#[derive(Clone, Debug, Default, Serialize)]
struct Holes {
    holes: u64,
    lost: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Quality {
    day: String,
    feed: String,
    measurement: String,
    /// Holes of the feed that day, by cause.
    gaps: BTreeMap<String, Holes>,
    series: Vec<Series>,
}

pub(super) fn run(args: &QualityArgs) -> Result<Exit, Failure> {
    let config = args.sinks.load()?.config;
    let database = args.sinks.database(&config)?;
    let feed = feed_of(&args.feed, &config)?;
    let own = feed.custom.as_ref().map(|custom| custom.measurement.clone());
    let first = || measurements(feed.decoder).first().map(|of| of.name.to_owned());
    let measurement = args.measurement.clone().or(own).or_else(first).unwrap_or_default();
    let day_ns = span_of(args.day)?;
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    let limits = Limits {
        jump: args.jump_percent / 100.0,
        late_ns: nanos(args.late),
        silence_ns: nanos(args.silence),
        session: feed.session.clone(),
    };
    let quality = Quality {
        day: args.day.to_string(),
        feed: args.feed.clone(),
        gaps: gaps(&database, &args.feed, day_ns).map_err(|error| database.failed(error))?,
        series: series(args, &database, &measurement, day_ns, &limits)?,
        measurement,
    };
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&quality).map_err(Failure::failed)?)
    } else if args.html {
        page(&quality)
    } else {
        table(&quality)
    };
    print_text(&text).map(|()| Exit::Ok)
}

/// A UTC day, ns since 1970; of today what has been.
fn span_of(day: jiff::civil::Date) -> Result<(i64, i64), Failure> {
    let start = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(Failure::usage)?.timestamp();
    let from_ns = i64::try_from(start.as_nanosecond()).map_err(Failure::usage)?;
    let now_ns = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
    if now_ns <= from_ns {
        return Err(Failure::usage(format!("--day: must have begun, found {day}")));
    }
    Ok((from_ns, now_ns.min(from_ns + 24 * HOUR_NS)))
}

/// Every series of the day. A span of an hour is asked for at once.
fn series(
    args: &QualityArgs,
    database: &Database,
    measurement: &str,
    day_ns: (i64, i64),
    limits: &Limits,
) -> Result<Vec<Series>, Failure> {
    let failed = |error: AdminError| database.failed(error);
    let policy = database.admin.write_policy().map_err(failed)?.name;
    let tags = database.admin.tags(&policy, measurement).map_err(failed)?;
    let condition = symbols(&args.symbols, &tags)?.unwrap_or_default();
    let mut gauges: BTreeMap<String, Gauge> = BTreeMap::new();
    let mut from_ns = day_ns.0;
    while from_ns < day_ns.1 {
        let to_ns = (from_ns + HOUR_NS).min(day_ns.1);
        let span = Span { policy: &policy, measurement, from_ns, to_ns, condition: &condition };
        let read = database.admin.read_points(&span, &mut |point| {
            let gauge = gauges
                .entry(key(point))
                .or_insert_with_key(|key| Gauge::new(key.clone(), limits.clone(), day_ns));
            gauge.point(point);
        });
        read.map_err(failed)?;
        from_ns = to_ns;
    }
    Ok(gauges.into_values().map(Gauge::finish).collect())
}

/// The tags that a point has.
fn key(point: &StoredPoint<'_>) -> String {
    let tags = point.tags.iter().filter(|(_, value)| !value.is_empty());
    tags.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

/// Holes that began that day.
fn gaps(
    database: &Database,
    feed: &str,
    (from_ns, to_ns): (i64, i64),
) -> Result<BTreeMap<String, Holes>, AdminError> {
    let policy = database.admin.write_policy()?.name;
    let condition = format!("\"feed\" = '{}'", feed.replace('\'', "\\'"));
    let span = Span { policy: &policy, measurement: "feed_gap", from_ns, to_ns, condition: &condition };
    let mut gaps: BTreeMap<String, Holes> = BTreeMap::new();
    database.admin.read_points(&span, &mut |point| {
        let of = gaps.entry(point.tags.get("cause").cloned().unwrap_or_default()).or_default();
        let lost = point.fields.iter().find(|(name, ..)| *name == "lost");
        of.holes += 1;
        of.lost += lost.and_then(|(_, _, text)| text.parse::<u64>().ok()).unwrap_or(0);
    })?;
    Ok(gaps)
}

fn summary(of: &Series) -> [String; 6] {
    let latency =
        of.latency_ms.map_or_else(|| "-".to_owned(), |[p50, p99, ..]| format!("{p50:.1} / {p99:.1}"));
    let counts: Vec<String> = of.counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    [
        of.series.clone(),
        count(of.ticks),
        of.covered.map_or_else(|| "closed".to_owned(), |covered| format!("{:.1} %", covered * 100.0)),
        format!("{:.0} s", of.longest_silence_s),
        latency,
        if counts.is_empty() { "none".to_owned() } else { counts.join(", ") },
    ]
}

const HEADS: [&str; 6] = ["series", "points", "covered", "silent", "ms p50 / p99", "defects"];

fn holes(quality: &Quality) -> String {
    let said = |(cause, of): (&String, &Holes)| format!("{cause}: {} ({} lost)", of.holes, count(of.lost));
    let gaps: Vec<String> = quality.gaps.iter().map(said).collect();
    if gaps.is_empty() { "none".to_owned() } else { gaps.join(", ") }
}

fn table(quality: &Quality) -> String {
    let Quality { day, feed, measurement, series, .. } = quality;
    let rows: Vec<[String; 6]> = series.iter().map(summary).collect();
    let width = rows.iter().map(|[name, ..]| name.chars().count()).max().unwrap_or(0).max(6);
    let mut out = format!("{feed} ({measurement}) on {day}, holes: {}\n", holes(quality));
    // Writing to a String cannot fail.
    let mut line = |[name, points, covered, silent, latency, defects]: [&str; 6]| {
        writeln!(out, "{name:<width$}  {points:>11}  {covered:>8}  {silent:>8}  {latency:>16}  {defects}")
            .ok();
    };
    line(HEADS);
    rows.iter().for_each(|row| line(row.each_ref().map(String::as_str)));
    for of in series {
        for defect in of.defects.iter().take(20) {
            writeln!(out, "  {} {}: {} ({})", defect.time, defect.kind, defect.detail, of.series).ok();
        }
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A page of its own, which loads nothing.
fn page(quality: &Quality) -> String {
    let title = format!("{} ({}) on {}", quality.feed, quality.measurement, quality.day);
    let cells = |cells: &[String], tag: &str| {
        cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect::<String>()
    };
    let row = |of: &[String], tag: &str| format!("<tr>{}</tr>\n", cells(of, tag));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title>\n<style>body {{ font: 15px system-ui, \
         sans-serif; margin: 1rem; color-scheme: light dark }} td, th {{ text-align: left; padding: .2rem .8rem .2rem 0 }}\
         </style>\n<h1>{0}</h1>\n<p>Holes: {1}</p>\n<table>\n",
        escaped(&title),
        escaped(&holes(quality))
    );
    out.push_str(&row(&HEADS.map(str::to_owned), "th"));
    quality.series.iter().for_each(|of| out.push_str(&row(&summary(of), "td")));
    out.push_str("</table>\n<h2>Defects</h2>\n<table>\n");
    for of in &quality.series {
        for defect in &of.defects {
            let text = [defect.time.clone(), of.series.clone(), defect.kind.clone(), defect.detail.clone()];
            out.push_str(&row(&text, "td"));
        }
    }
    out.push_str("</table>\n</html>\n");
    out
}
