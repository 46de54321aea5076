//! How long each part has been in its state, and what share of the last hour, day and month it has worked: kept in
//! `state_dir`, so that it survives a restart. Told once a second, written once a minute and at a stop.

use std::collections::BTreeMap;
use std::fs::rename;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tickline_config::report::{PartReport, PartState, UptimeReport};

/// Name and version of the file's form.
const SCHEMA: &str = "tickline.uptime/1";

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 60 * MINUTE_S;
/// Minutes kept: an hour, and the one that is not over.
const MINUTES_MAX: i64 = 61;
/// Hours kept: 30 days, and the one that is not over.
const HOURS_MAX: i64 = 30 * 24 + 1;
/// A part that nobody has asked for so long is forgotten, s.
const FORGOTTEN_AFTER_S: i64 = HOURS_MAX * HOUR_S;

/// The name of the part that stands for the process: while it is away, that is known of it alone.
const ENGINE: &str = "engine";

/// Every part's past.
#[derive(Clone, Debug, Default)]
pub struct Uptime {
    file: Option<PathBuf>,
    parts: BTreeMap<String, Past>,
    /// When it was last told, s since 1970; 0: not yet.
    told_s: i64,
    written_s: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Past {
    state: PartState,
    /// When that state began, s since 1970.
    since_s: i64,
    minutes: Vec<Bucket>,
    hours: Vec<Bucket>,
}

/// Seconds of one minute or hour: when it began, those of which something is known, and those with work done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Bucket(i64, u32, u32);

#[derive(Serialize, Deserialize)]
struct Kept {
    schema: String,
    told_s: i64,
    parts: BTreeMap<String, Past>,
}

impl Uptime {
    /// What a folder knows from earlier runs. A file that cannot be read is begun again: it is no proof of anything.
    pub fn in_dir(dir: &Path) -> Self {
        let file = dir.join("uptime.json");
        let kept = match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice::<Kept>(&text).ok().filter(|kept| kept.schema == SCHEMA),
            Err(_) => None,
        };
        if kept.is_none() && file.exists() {
            tracing::warn!("{}: cannot be read and is begun again", file.display());
        }
        let (parts, told_s) = kept.map_or_else(Default::default, |kept| (kept.parts, kept.told_s));
        Self { file: Some(file), parts, told_s, written_s: 0 }
    }

    /// Notes what works now.
    pub fn tell(&mut self, parts: &[PartReport], now_s: i64) {
        let span_s = if self.told_s == 0 { 0 } else { (now_s - self.told_s).max(0) };
        // A process that is not there, or a clock that was set, tells nothing of the others.
        let away = span_s > MINUTE_S;
        for part in parts {
            let state = part.state;
            let fresh = || Past { state, since_s: now_s, minutes: Vec::new(), hours: Vec::new() };
            let past = self.parts.entry(part.name.clone()).or_insert_with(fresh);
            if away && part.name == ENGINE {
                past.add(self.told_s, now_s, false);
                past.since_s = now_s;
            } else if !away {
                past.add(self.told_s.max(now_s - span_s), now_s, past.state != PartState::Failed);
            }
            if past.state != state {
                (past.state, past.since_s) = (state, now_s);
            }
        }
        self.told_s = now_s;
        self.parts.retain(|_, past| past.last_s() > now_s - FORGOTTEN_AFTER_S);
    }

    /// Since when a part is in its state, s since 1970, and its shares.
    pub fn of(&self, part: &str, now_s: i64) -> UptimeReport {
        let Some(past) = self.parts.get(part) else { return UptimeReport::default() };
        UptimeReport {
            since_s: past.since_s,
            hour: share(&past.minutes, now_s - HOUR_S),
            day: share(&past.hours, now_s - 24 * HOUR_S),
            month: share(&past.hours, now_s - 30 * 24 * HOUR_S),
        }
    }

    /// Writes it, if a minute has passed or it is the last time.
    pub fn save(&mut self, now_s: i64, last: bool) -> io::Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| last || now_s - self.written_s >= MINUTE_S) else {
            return Ok(());
        };
        let kept = Kept { schema: SCHEMA.to_owned(), told_s: self.told_s, parts: self.parts.clone() };
        let new = file.with_extension("json.new");
        std::fs::write(&new, serde_json::to_vec(&kept)?)?;
        rename(&new, file)?;
        self.written_s = now_s;
        Ok(())
    }
}

impl Past {
    fn add(&mut self, from_s: i64, to_s: i64, works: bool) {
        spread(&mut self.minutes, (from_s, to_s), MINUTE_S, MINUTES_MAX, works);
        spread(&mut self.hours, (from_s, to_s), HOUR_S, HOURS_MAX, works);
    }

    fn last_s(&self) -> i64 {
        self.hours.last().map_or(self.since_s, |bucket| bucket.0 + HOUR_S)
    }
}

/// Adds the seconds of a span to buckets of `size_s`, of which the last `most` are kept.
fn spread(buckets: &mut Vec<Bucket>, (from_s, to_s): (i64, i64), size_s: i64, most: i64, works: bool) {
    let oldest = to_s.div_euclid(size_s) - most + 1;
    let mut at_s = from_s.max(oldest * size_s);
    while at_s < to_s {
        let begin = at_s.div_euclid(size_s) * size_s;
        let until = to_s.min(begin + size_s);
        let seconds = u32::try_from(until - at_s).unwrap_or(0);
        if buckets.last().is_none_or(|last| last.0 < begin) {
            buckets.push(Bucket(begin, 0, 0));
        }
        if let Some(Bucket(_, known, worked)) = buckets.last_mut() {
            *known += seconds;
            *worked += if works { seconds } else { 0 };
        }
        at_s = until;
    }
    buckets.retain(|bucket| bucket.0 >= oldest * size_s);
}

/// Worked of known since then; none where nothing is known.
fn share(buckets: &[Bucket], since_s: i64) -> Option<f64> {
    let within = buckets.iter().filter(|bucket| bucket.0 >= since_s);
    let (known, worked) = within.fold((0u64, 0u64), |(known, worked), Bucket(_, more_known, more_worked)| {
        (known + u64::from(*more_known), worked + u64::from(*more_worked))
    });
    (known > 0).then(|| worked as f64 / known as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_S: i64 = 1_790_000_040;

    fn part(name: &str, state: PartState) -> PartReport {
        PartReport { state, ..PartReport::ok(name) }
    }

    /// Tells each second of a span.
    fn tell(uptime: &mut Uptime, seconds: std::ops::Range<i64>, state: PartState) {
        for second in seconds {
            let parts = [part("sinks.s", state), part(ENGINE, PartState::Ok)];
            uptime.tell(&parts, START_S + second);
        }
    }

    #[test]
    fn a_part_that_failed_for_six_of_sixty_minutes_worked_nine_tenths_of_the_hour() {
        let mut uptime = Uptime::default();
        tell(&mut uptime, 0..1_800, PartState::Ok);
        tell(&mut uptime, 1_800..2_160, PartState::Failed);
        tell(&mut uptime, 2_160..3_601, PartState::Degraded);
        let of = uptime.of("sinks.s", START_S + 3_600);
        assert_eq!((of.hour, of.day, of.month), (Some(0.9), Some(0.9), Some(0.9)));
        assert_eq!(of.since_s, START_S + 2_160);
        assert_eq!(uptime.of("unknown", START_S), UptimeReport::default());
    }

    #[test]
    fn an_hour_ago_counts_for_the_day_and_a_month_ago_for_nothing() {
        let mut uptime = Uptime::default();
        tell(&mut uptime, 0..3_600, PartState::Failed);
        tell(&mut uptime, 3_600..7_261, PartState::Ok);
        let of = uptime.of("sinks.s", START_S + 7_260);
        assert_eq!(of.hour, Some(1.0));
        let day = of.day.unwrap();
        assert!((0.5..0.51).contains(&day), "{day}");
        let later = START_S + 7_260 + 31 * 24 * HOUR_S;
        uptime.tell(&[part("sinks.s", PartState::Ok)], later);
        uptime.tell(&[part("sinks.s", PartState::Ok)], later + 1);
        assert_eq!(uptime.of("sinks.s", later + 1).month, Some(1.0));
    }

    #[test]
    fn the_past_survives_a_restart_and_the_time_between_is_known_of_the_engine_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Uptime::in_dir(dir.path());
        tell(&mut first, 0..601, PartState::Ok);
        first.save(START_S + 600, true).unwrap();
        let mut second = Uptime::in_dir(dir.path());
        tell(&mut second, 1_200..1_801, PartState::Ok);
        let now_s = START_S + 1_800;
        let engine = second.of(ENGINE, now_s).hour.unwrap();
        assert!((engine - 2.0 / 3.0).abs() < 0.001, "{engine}");
        assert_eq!(second.of("sinks.s", now_s).hour, Some(1.0));
        std::fs::write(dir.path().join("uptime.json"), "{").unwrap();
        assert_eq!(Uptime::in_dir(dir.path()).of(ENGINE, now_s), UptimeReport::default());
    }

    #[test]
    fn the_file_is_written_once_a_minute_and_stays_small() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("uptime.json");
        let mut uptime = Uptime::in_dir(dir.path());
        // A look every half minute, for 40 days.
        for look in 0..40 * 24 * 120 {
            uptime.tell(&[part("sinks.s", PartState::Ok)], START_S + look * 30);
        }
        uptime.save(START_S, false).unwrap();
        let bytes = std::fs::metadata(&file).unwrap().len();
        assert!(bytes < 20_000, "{bytes}");
        std::fs::remove_file(&file).unwrap();
        uptime.save(START_S + 59, false).unwrap();
        assert!(!file.exists());
        uptime.save(START_S + 60, false).unwrap();
        assert!(file.exists());
    }
}
