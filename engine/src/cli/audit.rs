//! `tickline audit`: whether the database holds what the engines say they have written. It compares the rows of
//! `tickline_ledger` with each other and those of `tickline_points` with a count of what is stored.

use std::collections::BTreeMap;
use std::fmt::Write;

use tickline_config::model::{Config, InfluxTarget, SinkKind};
use tickline_config::units::parse_duration;
use tickline_feeds::clock::{Clock, WallNanos};
use tickline_feeds::payload::rfc3339;
use tickline_loadgen::clock::OsClock;
use tickline_sinks::admin::Admin;
use tickline_sinks::admin::audit::{LedgerRow, Minutes};

use super::{ConfigArgs, Exit, Failure, print_text};

const MINUTE_NS: i64 = 60_000_000_000;

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Beginning: RFC 3339, or a time ago such as 2h. Whole minutes are looked at.
    #[arg(long, value_parser = moment, default_value = "1h")]
    from: i64,
    /// End, not included.
    #[arg(long, value_parser = moment, default_value = "0s")]
    to: i64,
    /// InfluxDB 1 sink to ask. Default: all of them.
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
}

/// A time, ns since 1970.
pub(super) fn moment(text: &str) -> Result<i64, String> {
    if let Some(ago) = parse_duration(text) {
        let WallNanos(now) = OsClock::start().wall();
        return Ok(now.saturating_sub(i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX)));
    }
    let time = tickline_feeds::time::parse_rfc3339(text.as_bytes());
    time.ok_or_else(|| "must be RFC 3339, such as 2026-01-02T03:04:00Z, or a time ago, such as 2h".to_owned())
}

pub(super) fn run(args: &AuditArgs) -> Result<Exit, Failure> {
    let config = args.config.load_runnable()?.config;
    let from = args.from - args.from.rem_euclid(MINUTE_NS);
    let to = args.to.saturating_add(MINUTE_NS - 1);
    let to = to - to.rem_euclid(MINUTE_NS);
    if from >= to {
        return Err(Failure::usage("audit: --from must be before --to"));
    }
    let (mut text, mut missing, mut asked, mut told) = (String::new(), 0, 0, false);
    for (name, sink) in config.sinks.iter().filter(|(name, _)| args.sink.as_ref().is_none_or(|s| s == *name))
    {
        let SinkKind::Influx(influx) = &sink.kind else { continue };
        if !matches!(influx.target, InfluxTarget::V1 { .. }) {
            writeln!(text, "{name}: not asked, only InfluxDB 1 is").ok();
            continue;
        }
        let failed = |error| Failure::failed(format!("sinks.{name}: {error}"));
        let admin = Admin::new(name, influx).map_err(failed)?;
        let (sources, holes) = sources(&admin.ledger_rows(from, to).map_err(failed)?);
        // Writing to a String cannot fail.
        writeln!(text, "{name}: {} to {}", spoken(from), spoken(to)).ok();
        told |= !sources.is_empty();
        text.push_str(&sources);
        missing += holes;
        let made = admin.made(from, to).map_err(failed)?;
        if made.is_empty() {
            text.push_str("  no engine has written anything down: nothing was received, or engine.ledger_every is \"inf\"\n");
        }
        told |= !made.is_empty();
        for ((instance, measurement), made) in made {
            if !has_recv_ns(&config, &measurement) {
                writeln!(text, "  {measurement}: cannot be counted, its feed leaves recv_ns out").ok();
                continue;
            }
            let stored = admin.stored(&measurement, from, to).map_err(failed)?;
            let (line, absent) = compare(&made, &stored);
            writeln!(text, "  {measurement} made by {instance}: {line}").ok();
            missing += absent;
        }
        asked += 1;
    }
    if asked == 0 {
        return Err(Failure::configuration("sinks: audit needs an InfluxDB 1 sink, found none"));
    }
    if !told {
        print_text(&text)?;
        return Err(Failure::failed("audit: there is nothing to hold the database against in that time"));
    }
    text.push_str(if missing == 0 { "nothing is missing\n" } else { "something is missing\n" });
    print_text(&text)?;
    Ok(if missing == 0 { Exit::Ok } else { Exit::Ledger })
}

/// Whether every feed that may write to a measurement writes the field that is counted.
fn has_recv_ns(config: &Config, measurement: &str) -> bool {
    let writes = |feed: &&tickline_config::model::Feed| match &feed.custom {
        Some(custom) => custom.measurement == measurement,
        None => tickline_feeds::decoder::measurements(feed.decoder).iter().any(|m| m.name == measurement),
    };
    config.feeds.values().filter(writes).all(|feed| feed.system_fields.recv_ns)
}

fn spoken(time_ns: i64) -> String {
    rfc3339(WallNanos(time_ns), 0)
}

/// A line a source, and the numbers that no row accounts for.
fn sources(rows: &[LedgerRow]) -> (String, u64) {
    let mut by_source: BTreeMap<(&str, &str, &str, u64), Vec<&LedgerRow>> = BTreeMap::new();
    for row in rows {
        by_source.entry((&row.feed, &row.instance, &row.topic, row.src)).or_default().push(row);
    }
    let (mut text, mut unaccounted) = (String::new(), 0);
    for ((feed, instance, topic, src), rows) in by_source {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { continue };
        let messages: u64 = rows.iter().map(|row| row.messages).sum();
        let lost: i64 = rows.iter().map(|row| row.lost).sum();
        write!(
            text,
            "  {feed} received by {instance}: topic {topic}, source {src}, numbers {} to {} in {} rows, {messages} received, {lost} lost",
            first.seq_first, last.seq_last, rows.len()
        )
        .ok();
        let mut told = first.seq_first;
        for row in &rows {
            // What a killed engine had told after its last state was written is told again: that is no hole.
            if row.seq_first > told {
                unaccounted += row.seq_first - told;
                write!(text, "; nothing is told of {told} to {}", row.seq_first - 1).ok();
            }
            told = told.max(row.seq_last + 1);
        }
        for row in rows {
            let span = i128::from(row.seq_last) + 1 - i128::from(row.seq_first);
            if span != i128::from(row.messages) + i128::from(row.lost) {
                unaccounted += 1;
                write!(text, "; a row does not account for its span {} to {}", row.seq_first, row.seq_last)
                    .ok();
            }
        }
        text.push('\n');
    }
    (text, unaccounted)
}

/// What is said of one measurement, and the points that are not there.
fn compare(made: &Minutes, stored: &Minutes) -> (String, u64) {
    let found = |minute: &i64| stored.get(minute).copied().unwrap_or(0);
    let absent: Vec<(i64, u64)> = made
        .iter()
        .map(|(minute, points)| (*minute, points.saturating_sub(found(minute))))
        .filter(|(_, absent)| *absent > 0)
        .collect();
    let missing: u64 = absent.iter().map(|(_, absent)| absent).sum();
    let (points, there) = (made.values().sum::<u64>(), made.keys().map(found).sum::<u64>());
    let mut line = format!("{points} points in {} minutes, {there} stored", made.len());
    if let Some((minute, _)) = absent.first() {
        write!(line, ", {missing} missing in {} minutes, first {}", absent.len(), spoken(*minute)).ok();
    }
    (line, missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(src: u64, first: u64, last: u64, messages: u64, lost: i64) -> LedgerRow {
        let (feed, instance, topic) = ("f".to_owned(), "i".to_owned(), format!("t{}", src / 10));
        LedgerRow { feed, instance, topic, src, seq_first: first, seq_last: last, messages, lost }
    }

    #[test]
    fn rows_must_join_and_each_must_account_for_its_span() {
        let good = [row(1, 5, 9, 4, 1), row(1, 10, 10, 2, -1), row(2, 1, 3, 3, 0)];
        assert_eq!(sources(&good).1, 0);
        assert_eq!(sources(&[row(1, 5, 9, 5, 0), row(1, 12, 12, 1, 0)]).1, 2);
        assert_eq!(sources(&[row(1, 5, 9, 5, 0), row(1, 8, 12, 5, 0)]).1, 0, "told again after a kill");
        assert_eq!(
            sources(&[row(1, 5, 9, 5, 0), row(11, 70, 70, 1, 0)]).1,
            0,
            "another topic has its own numbers"
        );
        assert_eq!(sources(&[row(1, 5, 9, 4, 0)]).1, 1);
    }

    #[test]
    fn a_minute_with_fewer_points_than_were_made_is_named_and_more_are_no_loss() {
        let made = Minutes::from([(0, 10), (MINUTE_NS, 5), (2 * MINUTE_NS, 7)]);
        let stored = Minutes::from([(0, 12), (MINUTE_NS, 5), (2 * MINUTE_NS, 4)]);
        let (line, missing) = compare(&made, &stored);
        assert_eq!(missing, 3);
        assert_eq!(
            line,
            "22 points in 3 minutes, 21 stored, 3 missing in 1 minutes, first 1970-01-01T00:02:00Z"
        );
    }
}
