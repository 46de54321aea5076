//! What works and what does not, with the cause and the next step: one answer for `/ready`, the status page,
//! `tickline health` and `tickline top`. Derived from what the stages say of themselves.

use std::collections::BTreeMap;
use std::path::Path;

use tickline_config::model::{Config, Durability};
use tickline_config::report::{FeedReport, PartReport, PartState, PublisherReport};
use tickline_sinks::sink::FaultKind;
use tickline_sinks::spool::store::{LocalStore, Store};

use crate::ledger::Reading;
use crate::links::Link;
use crate::plan::bytes_text;
use crate::report::feed_reports;
use crate::stats::{SpoolCounters, Trouble};
use crate::view::View;

/// For so long a hole is a reason to look at a feed.
const HOLE_SHOWN_NS: i64 = 15 * 60 * SECOND_NS;

/// From so far off on a clock is looked at, and is wrong; servers tell whole seconds.
const CLOCK_DEGRADED_S: i64 = 3;
const CLOCK_FAILED_S: i64 = 60;

const SECOND_NS: i64 = 1_000_000_000;

/// Every part of a run as it is now, the worst first, with its past.
pub fn parts(view: &View, reading: &Reading, feeds: &BTreeMap<String, FeedReport>) -> Vec<PartReport> {
    let mut parts = now(view, reading, feeds);
    let now_s = view.clock.wall().0 / SECOND_NS;
    let uptime = view.uptime.lock();
    parts.iter_mut().for_each(|part| part.uptime = uptime.of(&part.name, now_s));
    parts
}

/// Notes what works; called once a second, and for the last time at the end.
pub(crate) fn look(view: &View, last: bool) {
    let reading = Reading::take(&view.stats);
    let parts = now(view, &reading, &feed_reports(view, &reading, view.elapsed_s()));
    let now_s = view.clock.wall().0 / SECOND_NS;
    let mut uptime = view.uptime.lock();
    uptime.tell(&parts, now_s);
    if let Err(error) = uptime.save(now_s, last) {
        tracing::error!("state_dir: writing the uptime failed: {error}");
    }
}

fn now(view: &View, reading: &Reading, feeds: &BTreeMap<String, FeedReport>) -> Vec<PartReport> {
    let mut parts = vec![engine(view, feeds)];
    for publisher in view.publishers.lock().iter() {
        let (name, report) = publisher.report();
        parts.push(of_publisher(&name, &report));
    }
    let links = view.links.lock().clone();
    for feed in view.feeds.lock().iter().filter(|feed| feed.active) {
        let report = feeds.get(&feed.name).cloned().unwrap_or_default();
        parts.push(of_feed(&feed.name, &report, links.get(feed.endpoint), view.clock.wall().0));
    }
    for (at, sink) in view.sinks.iter().enumerate() {
        let settled = reading.sinks_out.get(at);
        parts.push(of_sink(&sink.name, settled.and_then(|settled| settled.trouble.as_ref())));
        if view.stats.sp.lock().iter().any(|cell| cell.sink == at) {
            parts.push(of_spool(&sink.name, &reading.spools[at]));
        }
    }
    let ahead = reading.sinks_out.iter().filter_map(|settled| settled.clock_ahead_s).max_by_key(|s| s.abs());
    parts.extend(ahead.map(clock_part));
    if view.archives {
        parts.push(of_archive(view.stats.archive.counters.lock().trouble.as_deref()));
    }
    parts.extend(view.disk.as_ref().map(|(dir, min_free_bytes)| disk_part(dir, *min_free_bytes)));
    parts.extend(view.surroundings.lock().iter().cloned());
    parts.extend(view.canary.lock().part());
    parts.extend(view.rollups.lock().iter().map(|(sink, seen)| seen.part(sink)));
    parts.sort_by_key(|part| std::cmp::Reverse(part.state));
    parts
}

/// Whether points may be lost or kept back because of this part: not the affair of those who send, and not of what is
/// made of points afterwards.
pub fn is_ours(part: &PartReport) -> bool {
    let others = ["feeds.", "publishers.", "services.", "rollups.", "grafana", "canary"];
    !others.iter().any(|other| part.name.starts_with(other)) && !part.name.ends_with(".stored")
}

fn ok(name: String) -> PartReport {
    PartReport::ok(&name)
}

fn wrong(name: String, state: PartState, cause: impl Into<String>, next: &str) -> PartReport {
    PartReport { state, cause: cause.into(), next: next.to_owned(), ..PartReport::ok(&name) }
}

fn engine(view: &View, feeds: &BTreeMap<String, FeedReport>) -> PartReport {
    let name = "engine".to_owned();
    if let Some(failure) = view.stop.failure() {
        return wrong(
            name,
            PartState::Failed,
            failure,
            "read the log; what is on disk is sent by the next start",
        );
    }
    if !view.stop.running() {
        return wrong(name, PartState::Failed, "draining", "wait: it ends within engine.shutdown_timeout");
    }
    if let Some(hangs) = view.hangs.lock().clone() {
        return wrong(
            name,
            PartState::Failed,
            hangs,
            "keep the log and restart it; systemd's watchdog does that by itself",
        );
    }
    let unbalanced: Vec<&str> =
        feeds.iter().filter(|(_, feed)| !feed.ledger.balanced).map(|(name, _)| name.as_str()).collect();
    if !unbalanced.is_empty() {
        let cause = format!("the ledger of {} does not balance", unbalanced.join(", "));
        return wrong(
            name,
            PartState::Failed,
            cause,
            "keep /status and the log: this is a defect of tickline",
        );
    }
    ok(name)
}

/// What a publisher says of itself.
pub(crate) fn of_publisher(name: &str, publisher: &PublisherReport) -> PartReport {
    let part = format!("publishers.{name}");
    let next =
        "docs/VENUES.md says what each state waits for; it goes on by itself unless the cause names a key";
    match publisher.state.as_str() {
        "ready" => ok(part),
        state => {
            let why = if publisher.why.is_empty() { String::new() } else { format!(" ({})", publisher.why) };
            let worst = if state == "stopped" { PartState::Failed } else { PartState::Degraded };
            wrong(part, worst, format!("{state}{why}"), next)
        }
    }
}

fn of_feed(name: &str, feed: &FeedReport, link: Option<&Link>, now_ns: i64) -> PartReport {
    let part = format!("feeds.{name}");
    let gone = link.filter(|link| !link.up).map(|link| why_gone(feed, link));
    if let Some(alarm) = &feed.alarm {
        let (why, next) = gone.unwrap_or(match alarm.as_str() {
            "data" => (
                "its publisher lives and has no data".to_owned(),
                "look at the venue; data_silence_max and session say when that is an alarm",
            ),
            _ => ("its publisher is there".to_owned(), "look at it; silence_max says when that is an alarm"),
        });
        return wrong(part, PartState::Failed, format!("silent ({alarm}): {why}"), next);
    }
    if let Some((cause, next)) = gone {
        return wrong(part, PartState::Failed, cause, next);
    }
    let last = feed.sources.iter().filter_map(|source| source.gap_last_ns).max();
    match last {
        Some(at_ns) if now_ns.saturating_sub(at_ns) < HOLE_SHOWN_NS => {
            let lost: u64 = feed.sources.iter().map(|source| source.lost).sum();
            let ago_s = now_ns.saturating_sub(at_ns) / SECOND_NS;
            let cause = format!("{lost} messages lost before they came, the last {ago_s} s ago");
            wrong(part, PartState::Degraded, cause, "measurement feed_gap names cause and span of each hole")
        }
        _ => ok(part),
    }
}

/// Why a feed has no publisher, and what to do.
fn why_gone(feed: &FeedReport, link: &Link) -> (String, &'static str) {
    if link.connects > 0 {
        let ended = !feed.sources.is_empty() && feed.sources.iter().all(|source| source.ended);
        let cause = if ended { "its publisher has ended" } else { "its publisher is gone" };
        return (cause.to_owned(), "start its publisher again; the engine connects by itself");
    }
    if link.refused > 0 {
        let next = "what listens there is not ZeroMQ, or keys do not fit: see curve_server_key";
        return (format!("handshake refused {} times", link.refused), next);
    }
    ("nobody publishes there".to_owned(), "start its publisher, or mend endpoint")
}

fn of_sink(name: &str, trouble: Option<&Trouble>) -> PartReport {
    let part = format!("sinks.{name}");
    let Some(trouble) = trouble else { return ok(part) };
    let next = match trouble.kind {
        FaultKind::Transient => "look at the database and the way to it; points are sent again by themselves",
        FaultKind::Auth => {
            "mend the sink's login; one from file: is read again by itself, one from the environment or .env after tickline restart engine"
        }
        FaultKind::Missing => "tickline db apply creates databases and policies of InfluxDB 1",
        FaultKind::Config => "tickline check --live says what does not fit",
        FaultKind::Content => "tickline rejects ls shows lines that are refused for good",
        FaultKind::Limit => "raise the server's limit of series or tag values, or leave symbols out",
    };
    wrong(part, PartState::Failed, trouble.to_string(), next)
}

fn of_spool(sink: &str, spool: &SpoolCounters) -> PartReport {
    let part = format!("sinks.{sink}.spool");
    if let Some(trouble) = &spool.trouble {
        let next =
            "make room on its disk, or raise spool.max_bytes; spool.when_full says what happens meanwhile";
        return wrong(part, PartState::Failed, trouble, next);
    }
    if spool.parked > 0 {
        let cause = format!("{} points are put aside", spool.parked);
        return wrong(part, PartState::Failed, cause, "the log names what the server does not store now");
    }
    if spool.stats.waiting > 0 {
        let cause =
            format!("{} points wait on disk ({})", spool.stats.waiting, bytes_text(spool.stats.bytes));
        return wrong(part, PartState::Degraded, cause, "nothing: they are sent when the sink takes them");
    }
    ok(part)
}

/// Bytes that the spools of a configuration leave free on their disk.
pub(crate) fn min_free_bytes(config: &Config) -> u64 {
    let spools = config.sinks.values().filter(|sink| sink.durability != Durability::Memory);
    spools.map(|sink| sink.spool.free_bytes_min).max().unwrap_or(0)
}

/// This machine's clock against the one of the database that disagrees most.
pub(crate) fn clock_part(ahead_s: i64) -> PartReport {
    let name = "clock".to_owned();
    let state = match ahead_s.abs() {
        CLOCK_FAILED_S.. => PartState::Failed,
        CLOCK_DEGRADED_S.. => PartState::Degraded,
        _ => return ok(name),
    };
    let off = match ahead_s.abs() {
        s @ ..120 => format!("{s} s"),
        s @ ..7_200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    };
    let cause = format!("it is {off} {} the database's", if ahead_s > 0 { "behind" } else { "ahead of" });
    wrong(
        name,
        state,
        cause,
        "synchronise both (chrony, systemd-timesyncd): time-stamps and retention go by them",
    )
}

fn of_archive(trouble: Option<&str>) -> PartReport {
    let name = "archive".to_owned();
    let Some(trouble) = trouble else { return ok(name) };
    wrong(name, PartState::Failed, trouble, "make room on its disk, or lower archive.max_bytes")
}

/// The disk under the state folder; `min_free_bytes` is what the spools leave to others.
pub(crate) fn disk_part(dir: &Path, min_free_bytes: u64) -> PartReport {
    let name = "disk".to_owned();
    let free = match LocalStore::at(dir).free_bytes() {
        Ok(free) => free,
        Err(error) => {
            let cause = format!("{}: {error}", dir.display());
            return wrong(
                name,
                PartState::Failed,
                cause,
                "make engine.state_dir a folder that can be written to",
            );
        }
    };
    let state = match free {
        free if free < min_free_bytes => PartState::Failed,
        free if free / 2 < min_free_bytes => PartState::Degraded,
        _ => return ok(name),
    };
    let (free, min) = (bytes_text(free), bytes_text(min_free_bytes));
    let cause = format!("{free} free in {}, spools keep {min} free", dir.display());
    wrong(name, state, cause, "make room: below that nothing more is spooled")
}

#[cfg(test)]
mod tests {
    use tickline_config::report::SourceReport;

    use super::*;

    const NOW_NS: i64 = 1_790_000_000_000_000_000;

    fn said(part: &PartReport) -> (PartState, &str) {
        (part.state, &part.cause)
    }

    #[test]
    fn a_feed_says_whether_its_publisher_came_left_ended_or_was_refused() {
        let of = |link: Link| of_feed("f", &FeedReport::default(), Some(&link), NOW_NS);
        let up = Link { up: true, connects: 1, ..Link::default() };
        assert_eq!(said(&of(up)), (PartState::Ok, ""));
        assert_eq!(said(&of(Link::default())), (PartState::Failed, "nobody publishes there"));
        assert_eq!(said(&of(Link { up: false, ..up })), (PartState::Failed, "its publisher is gone"));
        let refused = Link { refused: 3, ..Link::default() };
        assert_eq!(said(&of(refused)), (PartState::Failed, "handshake refused 3 times"));
        let ended = FeedReport {
            sources: vec![SourceReport { ended: true, ..SourceReport::default() }],
            ..FeedReport::default()
        };
        let part = of_feed("f", &ended, Some(&Link { up: false, ..up }), NOW_NS);
        assert_eq!(said(&part), (PartState::Failed, "its publisher has ended"));
    }

    #[test]
    fn a_hole_is_told_for_a_quarter_of_an_hour_and_an_alarm_outranks_it() {
        let hole = |ago_s: i64| SourceReport {
            lost: 7,
            gap_last_ns: Some(NOW_NS - ago_s * 1_000_000_000),
            ..SourceReport::default()
        };
        let of = |feed: &FeedReport| of_feed("f", feed, None, NOW_NS);
        let mut feed = FeedReport { sources: vec![hole(899), hole(1_200)], ..FeedReport::default() };
        let cause = "14 messages lost before they came, the last 899 s ago";
        assert_eq!(said(&of(&feed)), (PartState::Degraded, cause));
        feed.alarm = Some("transport".into());
        assert_eq!(said(&of(&feed)), (PartState::Failed, "silent (transport): its publisher is there"));
        feed = FeedReport { sources: vec![hole(900)], ..FeedReport::default() };
        assert_eq!(said(&of(&feed)), (PartState::Ok, ""));
    }

    #[test]
    fn each_kind_of_trouble_of_a_sink_has_a_next_step_of_its_own() {
        let kinds = [
            FaultKind::Transient,
            FaultKind::Auth,
            FaultKind::Missing,
            FaultKind::Config,
            FaultKind::Content,
            FaultKind::Limit,
        ];
        let next = kinds.map(|kind| of_sink("s", Some(&Trouble { kind, detail: "x".into() })).next);
        let distinct: std::collections::BTreeSet<&String> = next.iter().filter(|n| !n.is_empty()).collect();
        assert_eq!(distinct.len(), kinds.len());
        assert_eq!(said(&of_sink("s", None)), (PartState::Ok, ""));
    }

    #[test]
    fn a_spool_that_holds_points_is_degraded_and_one_that_cannot_take_them_has_failed() {
        let mut spool = SpoolCounters::default();
        assert_eq!(said(&of_spool("s", &spool)), (PartState::Ok, ""));
        (spool.stats.waiting, spool.stats.bytes) = (12, 2048);
        assert_eq!(said(&of_spool("s", &spool)), (PartState::Degraded, "12 points wait on disk (2.0 KiB)"));
        spool.trouble = Some("its disk is nearly full".into());
        assert_eq!(said(&of_spool("s", &spool)), (PartState::Failed, "its disk is nearly full"));
    }

    #[test]
    fn a_clock_is_wrong_from_a_minute_on_whichever_side_it_is() {
        assert_eq!(said(&clock_part(-2)), (PartState::Ok, ""));
        assert_eq!(said(&clock_part(3)), (PartState::Degraded, "it is 3 s behind the database's"));
        assert_eq!(said(&clock_part(-7_200)), (PartState::Failed, "it is 2 h ahead of the database's"));
    }

    #[test]
    fn a_disk_is_judged_by_what_the_spools_leave_free() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(disk_part(dir.path(), 1).state, PartState::Ok);
        assert_eq!(disk_part(dir.path(), u64::MAX).state, PartState::Failed);
        assert_eq!(disk_part(&dir.path().join("gone"), 1).state, PartState::Failed);
    }
}
