//! `tickline replay`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tickline_config::model::{Config, Durability, InfluxTarget, SinkKind, WhenFull};
use tickline_feeds::capture::{Reader, Record};
use tickline_feeds::clock::{Clock, WallNanos};
use tickline_feeds::decoder::{Decoder, DecoderSpec};
use tickline_feeds::frame::Frame;
use tickline_loadgen::clock::OsClock;
use tickline_sinks::admin::{Admin, AdminError};

use super::audit::moment;
use super::launch::{Launch, ReportArgs, conclude, instruments};
use super::{ConfigArgs, Exit, Failure};
use crate::report::Standard;
use crate::run::{Captures, Run, Source};
use crate::stage::archive::folder::open;
use crate::stage::socket::{TopicRoute, find};

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {
    /// Captures, as the archive, tickline-loadgen record and the quarantine write them, or folders of them.
    #[arg(required = true)]
    captures: Vec<PathBuf>,
    /// Only frames received from then on: RFC 3339, or a time ago such as 2h.
    #[arg(long, value_parser = moment)]
    from: Option<i64>,
    /// Only frames received before.
    #[arg(long, value_parser = moment)]
    to: Option<i64>,
    /// Only this feed of the configuration; may be repeated.
    #[arg(long = "feed", value_name = "NAME")]
    feeds: Vec<String>,
    /// Only into this sink of the configuration; may be repeated.
    #[arg(long = "sink", value_name = "NAME")]
    sinks: Vec<String>,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    report: ReportArgs,
}

pub(super) fn run(args: &ReplayArgs) -> Result<Exit, Failure> {
    let mut loaded = args.config.load_runnable()?;
    choose("feed", &args.feeds, &mut loaded.config.feeds)?;
    choose("sink", &args.sinks, &mut loaded.config.sinks)?;
    if args.from.zip(args.to).is_some_and(|(from, to)| from >= to) {
        return Err(Failure::usage("replay: --from must be before --to"));
    }
    let captures = Captures::new(&args.captures, args.from, args.to).map_err(Failure::failed)?;
    let asks = loaded.config.sinks.values().any(|sink| keeps_for_a_time(&sink.kind));
    // Decoding everything once before is only for databases that drop what is old.
    if let Some(oldest) = asks.then(|| oldest(&loaded.config, &captures)).transpose()?.flatten() {
        refuse_if_dropped(&loaded.config, oldest, OsClock::start().wall())?;
    }
    // Nothing is served: a replay may stand beside the engine that has the port.
    loaded.config.http.listen = None;
    // The captures are its spool: it reads no faster than the sinks write.
    for sink in loaded.config.sinks.values_mut() {
        (sink.durability, sink.when_full) = (Durability::Memory, WhenFull::Block);
    }
    if captures.files.is_empty() {
        tracing::warn!("nothing of these captures was received in that time");
    }
    let launch = Launch {
        command: "replay",
        loaded: &loaded,
        source: Source::Captures(captures),
        state_dir: None,
        reload: None,
        done: &mut Run::received_all,
    };
    let (report, ended) = launch.go()?;
    conclude(report, ended, Standard::Ended, &args.report)
}

/// Leaves only those that were named, if any were.
fn choose<T>(what: &str, names: &[String], all: &mut BTreeMap<String, T>) -> Result<(), Failure> {
    if let Some(unknown) = names.iter().find(|name| !all.contains_key(*name)) {
        let known: Vec<&str> = all.keys().map(String::as_str).collect();
        let rule = format!("--{what}: must be one of {}, found {unknown:?}", known.join(", "));
        return Err(Failure::usage(rule));
    }
    if !names.is_empty() {
        all.retain(|name, _| names.contains(name));
    }
    Ok(())
}

/// Whether a sink may drop what is old and tells when; version 3 does not tell.
fn keeps_for_a_time(sink: &SinkKind) -> bool {
    matches!(sink, SinkKind::Influx(influx) if !matches!(influx.target, InfluxTarget::V3 { .. }))
}

/// Time of the oldest point that the captures would make.
fn oldest(config: &Config, captures: &Captures) -> Result<Option<WallNanos>, Failure> {
    let instruments = instruments(config.engine.kraken_pairs.as_deref())?;
    let mut decoders = Vec::new();
    let mut routes = Vec::new();
    for ((_, feed), at) in config.feeds.iter().zip(0_u16..) {
        let spec = DecoderSpec { feed: feed.clone(), legacy_tick: config.compat.legacy_tick };
        decoders.push(Decoder::new(&spec, Arc::clone(&instruments)).map_err(Failure::configuration)?);
        for topic in std::iter::once(&feed.topic).chain(&feed.aliases) {
            routes.push(TopicRoute { topic: (topic != "*").then(|| topic.clone()), feed: at, queue: 0 });
        }
    }
    let mut oldest = None;
    for path in &captures.files {
        let first = oldest_in(path, captures, &routes, &mut decoders)
            .map_err(|error| Failure::failed(format!("{}: {error:#}", path.display())))?;
        oldest = oldest.into_iter().chain(first).min();
    }
    Ok(oldest)
}

fn oldest_in(
    path: &Path,
    captures: &Captures,
    routes: &[TopicRoute],
    decoders: &mut [Decoder],
) -> anyhow::Result<Option<WallNanos>> {
    let mut reader = Reader::new(open(path)?)?;
    let mut lines = Vec::new();
    let mut oldest = None;
    while let Some(Record { recv, topic, payload }) = reader.next_record()? {
        let Some(route) = find(routes, topic).filter(|_| captures.wants(recv.0)) else { continue };
        let Some(decoder) = decoders.get_mut(usize::from(route.feed)) else { continue };
        lines.clear();
        let frame = Frame { feed: route.feed, endpoint: 0, recv, topic, payload, oversized: false };
        decoder.decode(&frame, &mut lines);
        let times = lines.split(|byte| *byte == b'\n').filter_map(time_of);
        oldest = oldest.into_iter().chain(times).min();
    }
    Ok(oldest)
}

/// The time at the end of a line.
fn time_of(line: &[u8]) -> Option<WallNanos> {
    let text = line.rsplit(|byte| *byte == b' ').next()?;
    std::str::from_utf8(text).ok()?.parse().ok().map(WallNanos)
}

/// Refuses to write what the target's retention would drop at once.
fn refuse_if_dropped(config: &Config, oldest: WallNanos, now: WallNanos) -> Result<(), Failure> {
    for (name, sink) in &config.sinks {
        let SinkKind::Influx(influx) = &sink.kind else { continue };
        if !keeps_for_a_time(&sink.kind) {
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

#[cfg(test)]
mod tests {
    use tickline_feeds::capture::{append, begin};

    use super::*;

    #[test]
    fn a_capture_is_as_old_as_its_points_and_not_as_its_recording() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("old.cap");
        let payload =
            b"\x84\xa4time\xb42014-05-07T00:00:00Z\xaainstrument\xa7EUR_USD\xa3bid\xa11\xa3ask\xa12";
        let record = Record { recv: WallNanos(1_785_641_762_000_000_000), topic: b"oanda_tick", payload };
        let mut capture = Vec::new();
        begin(&mut capture);
        append(&mut capture, &record).unwrap();
        std::fs::write(&path, capture).unwrap();
        let sets = ["feeds.oanda_tick.tiebreak=\"ordinal\"".to_owned(), "sinks.a.kind=\"null\"".to_owned()];
        let loaded = Config::load(&[], &sets, &|_| None).unwrap();
        let oldest = oldest(&loaded.config, &Captures::new(&[path], None, None).map_err(|_| "read").unwrap())
            .map_err(|_| "refused")
            .unwrap();
        assert_eq!(oldest, Some(WallNanos(1_399_420_800_000_000_000)));
    }
}
