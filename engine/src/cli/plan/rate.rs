//! `tickline plan --rate`: what a rate comes to.

use std::fmt::{self, Write};
use std::path::Path;

use tickline_config::model::{Config, SinkKind};
use tickline_config::units::parse_bytes;
use tickline_loadgen::plan::Rate;
use tickline_sinks::spool::store::{LocalStore, Store};

use super::super::Failure;
use crate::plan::bytes_text;
use crate::plan::footprint::{Day, Footprint};

/// What is to be expected.
#[derive(Debug, clap::Args)]
pub(super) struct RateArgs {
    /// Messages a second of each feed, such as 500/s, or of one: kraken_tick=500/s; may be repeated
    #[arg(long, value_name = "[FEED=]RATE", value_parser = rate)]
    rate: Vec<(Option<String>, f64)>,
    /// Pairs, instruments or markets of a feed: kraken_tick=500; may be repeated
    #[arg(long, value_name = "FEED=COUNT", value_parser = symbols, requires = "rate")]
    symbols: Vec<(String, u32)>,
    /// Room that the database has, such as 500GiB
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "rate")]
    disk: Option<u64>,
}

fn rate(text: &str) -> Result<(Option<String>, f64), String> {
    let (feed, rate) =
        text.split_once('=').map_or((None, text), |(feed, rate)| (Some(feed.to_owned()), rate));
    match rate.parse::<Rate>() {
        Ok(Rate::PerSecond(rate)) => Ok((feed, rate)),
        _ => Err(format!("must be messages a second such as 500/s or kraken_tick=500/s, found {text:?}")),
    }
}

fn symbols(text: &str) -> Result<(String, u32), String> {
    let (feed, count) = text.split_once('=').unwrap_or_default();
    let count = count.parse().ok().filter(|count| *count > 0);
    count
        .map(|count| (feed.to_owned(), count))
        .ok_or_else(|| format!("must be such as kraken_tick=500, found {text:?}"))
}

fn size(text: &str) -> Result<u64, String> {
    parse_bytes(text)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| format!("must be a size such as 500GiB, found {text:?}"))
}

impl RateArgs {
    /// Appends what the rates come to, if any was given.
    pub(super) fn append(&self, config: &Config, out: &mut String) -> Result<(), Failure> {
        if self.rate.is_empty() {
            return Ok(());
        }
        let named = self.rate.iter().filter_map(|(feed, _)| feed.as_ref());
        let mut named = named.chain(self.symbols.iter().map(|(feed, _)| feed));
        if let Some(unknown) = named.find(|feed| !config.feeds.contains_key(*feed)) {
            let known: Vec<&str> = config.feeds.keys().map(String::as_str).collect();
            let known = known.join(", ");
            return Err(Failure::usage(format!("feed: must be one of {known}, found {unknown:?}")));
        }
        self.write(config, out).map_err(Failure::failed)
    }

    fn write(&self, config: &Config, out: &mut String) -> fmt::Result {
        writeln!(out, "a day at this rate")?;
        let mut all = Day::default();
        for (name, feed) in &config.feeds {
            // The last one that names the feed counts, then the last one that names none.
            let of =
                |wanted: Option<&String>| self.rate.iter().rev().find(|(feed, _)| feed.as_ref() == wanted);
            let Some((_, per_second)) = of(Some(name)).or_else(|| of(None)) else { continue };
            let Some(footprint) = Footprint::of(feed.decoder) else {
                writeln!(out, "  {name:<24} unknown: this feed was not measured")?;
                continue;
            };
            let symbols = self.symbols.iter().rev().find(|(feed, _)| feed == name).map(|(_, count)| *count);
            let day = footprint.day(*per_second, symbols);
            let (points, series) = (thousands(day.points), thousands(day.series));
            writeln!(out, "  {name:<24} {per_second}/s, {points} points, {series} series")?;
            all = all.and(day);
        }
        writeln!(
            out,
            "  {:<24} {} points, {} series",
            "in all",
            thousands(all.points),
            thousands(all.series)
        )?;
        for (name, sink) in &config.sinks {
            let (bytes, free, what) = match &sink.kind {
                SinkKind::Influx(_) => (all.influx_bytes, self.disk, "in InfluxDB, compacted"),
                SinkKind::Parquet(parquet) => (all.parquet_bytes, free(&parquet.dir), "of Parquet"),
                SinkKind::File(file) => (all.line_bytes, file.path.parent().and_then(free), "of lines"),
                // How much they take depends on the fields that are written.
                SinkKind::Victoria(_) | SinkKind::Quest(_) | SinkKind::Postgres(_) | SinkKind::Null => {
                    continue;
                }
            };
            writeln!(out, "  {name:<24} {} {what}{}", bytes_text(bytes as u64), lasts(free, bytes))?;
            if matches!(sink.kind, SinkKind::Influx(_)) {
                let hours = sink.spool.bytes_max as f64 / (all.line_bytes / 24.0);
                let size = bytes_text(sink.spool.bytes_max);
                writeln!(out, "  {:<24} {size} hold {hours:.1} hours", format!("spool of {name}"))?;
            }
        }
        if config.archive.dir.is_some() {
            writeln!(out, "  {:<24} {} before compression", "archive", bytes_text(all.archive_bytes as u64))?;
        }
        Ok(())
    }
}

/// Room where a folder is, or will be.
fn free(dir: &Path) -> Option<u64> {
    let there = dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("."));
    LocalStore::at(there).free_bytes().ok()
}

/// How long that room lasts.
fn lasts(free: Option<u64>, bytes_a_day: f64) -> String {
    match free {
        Some(free) if bytes_a_day > 0.0 => {
            format!("; {} are full after {:.0} days", bytes_text(free), free as f64 / bytes_a_day)
        }
        Some(_) => String::new(),
        None => "; --disk SIZE tells for how many days".to_owned(),
    }
}

/// A whole number with a comma between thousands.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(args: RateArgs, sets: &[&str]) -> String {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let config = Config::load(&[], &sets, &|_| None).unwrap().config;
        let mut out = String::new();
        args.append(&config, &mut out).unwrap_or_else(|_| out = "refused".to_owned());
        out
    }

    const SETS: [&str; 4] = [
        "feeds.kraken_tick.tiebreak=\"ordinal\"",
        "feeds.kraken_depth.tiebreak=\"ordinal\"",
        "sinks.influx={kind=\"influxdb\",version=1,url=\"http://127.0.0.1:8086\",database=\"tick\"}",
        "sinks.influx.spool.max_bytes=\"10GiB\"",
    ];

    #[test]
    fn a_rate_comes_to_points_series_bytes_and_days() {
        let args = RateArgs {
            rate: vec![(None, 10.0), (Some("kraken_tick".to_owned()), 100.0)],
            symbols: vec![("kraken_tick".to_owned(), 500)],
            disk: Some(1 << 39),
        };
        let said = said(args, &SETS);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], "a day at this rate");
        assert_eq!(lines[1], "  kraken_depth             10/s, 8,640,000 points, 250 series");
        assert_eq!(lines[2], "  kraken_tick              100/s, 8,640,000 points, 500 series");
        assert_eq!(lines[3], "  in all                   17,280,000 points, 750 series");
        assert!(lines[4].contains("in InfluxDB, compacted; 512.0 GiB are full after "), "{said}");
        assert!(lines[5].starts_with("  spool of influx          10.0 GiB hold "), "{said}");
    }

    #[test]
    fn without_a_rate_nothing_is_said_and_a_feed_that_is_none_is_refused() {
        let none = RateArgs { rate: Vec::new(), symbols: Vec::new(), disk: None };
        assert_eq!(said(none, &SETS), "");
        let unknown = RateArgs { rate: vec![(Some("x".to_owned()), 1.0)], symbols: Vec::new(), disk: None };
        assert_eq!(said(unknown, &SETS), "refused");
        assert_eq!((rate("0/s").is_err(), rate("a=5").is_err(), rate("max").is_err()), (true, true, true));
        assert_eq!(rate("a=5/s"), Ok((Some("a".to_owned()), 5.0)));
        assert!(symbols("a=0").is_err() && symbols("a").is_err() && size("5").is_err());
    }

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!([0.0, 999.0, 1_000.0, 12_345_678.4].map(thousands), ["0", "999", "1,000", "12,345,678"]);
    }
}
