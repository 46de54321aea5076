//! Roll-ups: bars of what InfluxDB 1 has stored. Before and after each write it is noted which minutes it touches, on disk
//! as well, so that no kill loses one; a thread of its own has the database make the bars of those that are over, and
//! makes them again when points come late.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tickline_config::model::{Config, InfluxTarget, SinkKind};
use tickline_config::report::{PartReport, PartState};
use tickline_feeds::decoder::measurements;
use tickline_sinks::admin::Admin;
use tickline_sinks::admin::bars::{Interval, RECIPES, Recipe, Stretch};
use tickline_sinks::sink::{Outcome, Request, Sink};

use crate::spawn::{Thread, spawn};
use crate::view::View;

/// Time between two looks for what is over.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Most intervals that the database is asked for at once.
const INTERVALS_MAX: i64 = 60;

/// A hole is marked in bars of so many minutes before its end at most.
const HOLE_MINUTES_MAX: i64 = 31 * 24 * 60;

/// An interval whose bars are to be made: its length, the recipe's position and its begin, s since 1970.
type Pending = (Interval, usize, i64);

/// How the bars of one sink are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Bars written, those that were written again included.
    pub bars: u64,
    /// Intervals that are to be made, those that are not over included.
    pub pending: u64,
    /// Why the last attempt failed, if it did.
    pub trouble: Option<String>,
}

impl Seen {
    /// The part of health that it is.
    pub fn part(&self, sink: &str) -> PartReport {
        let part = PartReport::ok(&format!("rollups.{sink}"));
        let Some(trouble) = &self.trouble else { return part };
        let next = "tickline db apply makes rollups.policy; bars are made again by themselves".to_owned();
        PartReport { state: PartState::Degraded, cause: trouble.clone(), next, ..part }
    }
}

/// Which intervals of one database have been touched and have no bars yet.
#[derive(Debug)]
pub struct Touched {
    path: PathBuf,
    /// Recipes by feed: what a hole of the feed is a hole in.
    feeds: BTreeMap<String, Vec<usize>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    pending: BTreeSet<Pending>,
    /// The file that new ones are appended to.
    file: File,
}

impl Touched {
    /// Goes on with what the last run has left.
    fn open(dir: &Path, sink: &str, feeds: BTreeMap<String, Vec<usize>>) -> io::Result<Self> {
        let dir = dir.join("rollups");
        std::fs::create_dir_all(&dir)?;
        let path = dir.join(format!("{sink}.pending"));
        let known = match std::fs::read_to_string(&path) {
            Ok(text) => text.lines().filter_map(read).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        Ok(Self { path, feeds, state: Mutex::new(State { pending: known, file }) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what lines touch; a disk that takes no notes does not keep points from being written.
    fn note(&self, minutes: &[Pending]) {
        let mut state = self.state();
        for one in minutes {
            if state.pending.insert(*one)
                && let Err(error) = state.file.write_all(text(one).as_bytes())
            {
                tracing::error!("{}: {error}: a kill now would leave bars unmade", self.path.display());
            }
        }
    }

    /// The minutes that lines of line protocol touch.
    fn minutes(&self, lines: &[u8], into: &mut Vec<Pending>) {
        into.clear();
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', lines) {
            let line = lines.get(begin..end).unwrap_or_default();
            begin = end + 1;
            let head = memchr::memchr2(b',', b' ', line).and_then(|at| line.get(..at)).unwrap_or_default();
            if head == b"feed_gap" {
                self.hole(line, into);
                continue;
            }
            let Some(at) = RECIPES.iter().position(|recipe| recipe.measurement.as_bytes() == head) else {
                continue;
            };
            let Some(time_ns) = time_ns(line) else { continue };
            let one = (Interval::Minute, at, Interval::Minute.begin_s(time_ns.div_euclid(1_000_000_000)));
            // Lines come by time: the last one is nearly always the same.
            if into.last() != Some(&one) && !into.contains(&one) {
                into.push(one);
            }
        }
    }

    /// Every bar that overlaps a hole says so.
    fn hole(&self, line: &[u8], into: &mut Vec<Pending>) {
        let line = String::from_utf8_lossy(line);
        let after = |key: &str| Some(line.split_once(key)?.1);
        let number = |key: &str| after(key)?.split('i').next()?.parse::<i64>().ok();
        let feed = after(",feed=").and_then(|rest| rest.split([',', ' ']).next());
        let (Some(feed), Some(from), Some(to)) = (feed, number("from_ns="), number("to_ns=")) else { return };
        let minute = |ns: i64| ns.div_euclid(60_000_000_000);
        let first = minute(from).max(minute(to) - HOLE_MINUTES_MAX);
        for at in self.feeds.get(feed).into_iter().flatten() {
            into.extend((first..=minute(to)).map(|minute| (Interval::Minute, *at, minute * 60)));
        }
    }

    /// Takes what has been over for `settle_s`, in stretches without a break.
    fn due(&self, now_s: i64, settle_s: i64) -> Vec<(usize, Stretch)> {
        let mut state = self.state();
        let over = |(interval, _, from_s): &Pending| from_s + interval.seconds() + settle_s <= now_s;
        let (due, left) = state.pending.iter().copied().partition(|one| over(one));
        state.pending = left;
        stretches(&due)
    }

    /// Puts intervals back, or in.
    fn put(&self, at: usize, stretch: Stretch, interval: Interval) {
        let mut from_s = interval.begin_s(stretch.from_s);
        let mut state = self.state();
        while from_s < stretch.to_s {
            state.pending.insert((interval, at, from_s));
            from_s += interval.seconds();
        }
    }

    /// Writes down what is pending, in place of all notes.
    fn save(&self) -> io::Result<()> {
        let mut state = self.state();
        let aside = self.path.with_extension("new");
        let all: String = state.pending.iter().map(text).collect();
        std::fs::write(&aside, all)?;
        std::fs::rename(&aside, &self.path)?;
        state.file = OpenOptions::new().append(true).open(&self.path)?;
        Ok(())
    }
}

/// `1m kraken_tick 1790000000`
fn text((interval, at, from_s): &Pending) -> String {
    let measurement = RECIPES.get(*at).map_or("", |recipe| recipe.measurement);
    format!("{} {measurement} {from_s}\n", interval.name())
}

fn read(line: &str) -> Option<Pending> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let interval = Interval::ALL.into_iter().find(|interval| interval.name() == name)?;
    let measurement = words.next()?;
    let at = RECIPES.iter().position(|recipe| recipe.measurement == measurement)?;
    Some((interval, at, words.next()?.parse().ok()?))
}

/// The time at the end of a line.
fn time_ns(line: &[u8]) -> Option<i64> {
    let text = line.get(memchr::memrchr(b' ', line)? + 1..)?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Neighbours joined, shorter intervals first: longer ones are made from them.
fn stretches(due: &BTreeSet<Pending>) -> Vec<(usize, Stretch)> {
    let mut all: Vec<(usize, Stretch)> = Vec::new();
    for (interval, at, from_s) in due {
        let to_s = from_s + interval.seconds();
        match all.last_mut() {
            Some((of, last))
                if of == at
                    && last.interval == *interval
                    && last.to_s == *from_s
                    && to_s - last.from_s <= INTERVALS_MAX * interval.seconds() =>
            {
                last.to_s = to_s;
            }
            _ => all.push((*at, Stretch { interval: *interval, from_s: *from_s, to_s })),
        }
    }
    all
}

/// A sink whose writes are noted.
struct Noted {
    sink: Box<dyn Sink>,
    touched: Arc<Touched>,
    minutes: Vec<Pending>,
}

impl Sink for Noted {
    fn write(&mut self, request: &Request) -> Outcome {
        self.touched.minutes(&request.lines, &mut self.minutes);
        // Before, so that what is stored is noted even if nobody lives to see it; after, since the bars may have been made
        // in between, without it.
        self.touched.note(&self.minutes);
        let outcome = self.sink.write(request);
        self.touched.note(&self.minutes);
        outcome
    }

    fn commit(&mut self) -> Outcome {
        self.sink.commit()
    }

    fn take_server_time_s(&mut self) -> Option<i64> {
        self.sink.take_server_time_s()
    }

    fn close(&mut self) -> Outcome {
        self.sink.close()
    }
}

/// The roll-ups of a run.
#[derive(Debug)]
pub struct Rollups {
    policy: String,
    settle_s: i64,
    databases: Vec<Database>,
}

#[derive(Debug)]
struct Database {
    sink: String,
    admin: Admin,
    touched: Arc<Touched>,
}

impl Rollups {
    /// Those of a configuration; none: it has none.
    pub fn open(config: &Config, state_dir: &Path) -> Result<Option<Self>, String> {
        let Some(policy) = config.rollups.policy.clone() else { return Ok(None) };
        let mut databases = Vec::new();
        for (sink, of) in &config.sinks {
            let SinkKind::Influx(influx) = &of.kind else { continue };
            if !matches!(influx.target, InfluxTarget::V1 { .. }) {
                continue;
            }
            let makes = |decoder| {
                let made = measurements(decoder);
                let is_made = |recipe: &Recipe| made.iter().any(|of| of.name == recipe.measurement);
                RECIPES
                    .iter()
                    .enumerate()
                    .filter(move |(_, recipe)| is_made(recipe))
                    .map(|(at, _)| at)
                    .collect()
            };
            let feeds = config.feeds.iter().filter(|(feed, _)| of.takes(feed));
            let feeds = feeds.map(|(name, feed)| (name.clone(), makes(feed.decoder))).collect();
            let admin = Admin::new(sink, influx).map_err(|error| error.to_string())?;
            let touched =
                Touched::open(state_dir, sink, feeds).map_err(|error| format!("rollups: {error}"))?;
            databases.push(Database { sink: sink.clone(), admin, touched: Arc::new(touched) });
        }
        let settle_s = i64::try_from(config.rollups.settle.as_secs()).unwrap_or(i64::MAX);
        Ok(Some(Self { policy, settle_s, databases }))
    }

    /// The sink of this name, its writes noted if bars are made of them.
    pub fn noted(&self, name: &str, sink: Box<dyn Sink>) -> Box<dyn Sink> {
        match self.databases.iter().find(|database| database.sink == name) {
            Some(database) => {
                Box::new(Noted { sink, touched: Arc::clone(&database.touched), minutes: Vec::new() })
            }
            None => sink,
        }
    }

    /// Makes bars until the run ends.
    pub(crate) fn watch(self, view: &Arc<View>) -> io::Result<Thread> {
        let (view, stop) = (Arc::clone(view), Arc::clone(&view.stop));
        spawn("rollups", None, &stop, move || {
            let mut looked = None;
            while view.stop.running() {
                let now = view.clock.mono();
                if looked.is_none_or(|then| u128::from(now.since(then)) >= LOOK_EVERY.as_nanos()) {
                    looked = Some(now);
                    self.databases.iter().for_each(|database| self.look(database, &view));
                }
                view.stop.wait(Duration::from_millis(100));
            }
            for database in &self.databases {
                if let Err(error) = database.touched.save() {
                    tracing::error!("rollups of {}: {error}", database.sink);
                }
            }
        })
    }

    /// Makes what is due: the longer intervals as soon as the shorter ones are there.
    fn look(&self, database: &Database, view: &View) {
        let (touched, now_s) = (&database.touched, view.clock.wall().0.div_euclid(1_000_000_000));
        let (mut made, mut trouble) = (0, None);
        for _ in Interval::ALL {
            for (at, stretch) in touched.due(now_s, self.settle_s) {
                // After one has failed, the others wait with it.
                let failed = match &trouble {
                    None => self.make(database, at, stretch).map(|bars| made += bars).err(),
                    Some(_) => Some(String::new()),
                };
                match failed {
                    Some(why) => {
                        touched.put(at, stretch, stretch.interval);
                        trouble.get_or_insert(why);
                    }
                    None if stretch.interval == Interval::Minute => {
                        touched.put(at, stretch, Interval::FiveMinutes);
                        touched.put(at, stretch, Interval::Hour);
                    }
                    None => {}
                }
            }
            if trouble.is_some() {
                break;
            }
        }
        if let Err(error) = touched.save() {
            trouble.get_or_insert(format!("{}: {error}", touched.path.display()));
        }
        let mut all = view.rollups.lock();
        let seen = all.entry(database.sink.clone()).or_default();
        if seen.trouble != trouble {
            match &trouble {
                Some(why) => tracing::warn!("rollups of {}: {why}", database.sink),
                None => tracing::info!("rollups of {}: bars are made again", database.sink),
            }
        }
        seen.bars += made;
        seen.pending = touched.state().pending.len() as u64;
        seen.trouble = trouble;
    }

    fn make(&self, database: &Database, at: usize, stretch: Stretch) -> Result<u64, String> {
        let Some(recipe) = RECIPES.get(at) else { return Ok(0) };
        let feeds = database.touched.feeds.iter().filter(|(_, recipes)| recipes.contains(&at));
        let feeds: Vec<&str> = feeds.map(|(name, _)| name.as_str()).collect();
        let [from_ns, to_ns] = [stretch.from_s, stretch.to_s].map(|s| s.saturating_mul(1_000_000_000));
        let gaps = database.admin.gaps(&feeds, from_ns, to_ns).map_err(|error| error.to_string())?;
        let overlaps = |from: i64, to: i64| gaps.iter().any(|gap| gap.0 < to && gap.1 >= from);
        let bars = database.admin.make_bars(recipe, stretch, &self.policy, &overlaps);
        bars.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_NS: i64 = 60_000_000_000;

    fn touched(dir: &Path) -> Touched {
        Touched::open(dir, "s", BTreeMap::from([("quotes".to_owned(), vec![0, 2])])).unwrap()
    }

    fn minutes(touched: &Touched, lines: &str) -> Vec<Pending> {
        let mut minutes = Vec::new();
        touched.minutes(lines.as_bytes(), &mut minutes);
        minutes
    }

    #[test]
    fn lines_touch_the_minutes_of_their_times_and_a_hole_all_that_it_overlaps() {
        let dir = tempfile::tempdir().unwrap();
        let touched = touched(dir.path());
        let lines = format!(
            "kraken_tick,pair=A bid=1 {}\nkraken_tick,pair=B bid=2 {}\nkraken_tick,pair=A bid=1 {}\nkraken_ticks,pair=A bid=1 7\n\
             kraken_trades,side=buy price=1 59999999999\nfeed_gap,cause=zmq,feed=quotes,instance=i from_ns={}i,to_ns={}i,lost=3i {}\n\
             feed_gap,feed=other from_ns=1i,to_ns=2i 1\n",
            2 * MINUTE_NS,
            3 * MINUTE_NS - 1,
            MINUTE_NS,
            5 * MINUTE_NS - 1,
            6 * MINUTE_NS,
            5 * MINUTE_NS - 1
        );
        let one = |at, minute: i64| (Interval::Minute, at, minute * 60);
        let expected = [
            one(0, 2),
            one(0, 1),
            one(1, 0),
            one(0, 4),
            one(0, 5),
            one(0, 6),
            one(2, 4),
            one(2, 5),
            one(2, 6),
        ];
        assert_eq!(minutes(&touched, &lines), expected);
    }

    #[test]
    fn what_is_noted_outlives_a_kill_and_what_is_taken_can_be_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let all = [(Interval::Minute, 0, 60), (Interval::Minute, 0, 120), (Interval::Minute, 1, 120)];
        touched(dir.path()).note(&all); // And nothing was saved.
        let again = touched(dir.path());
        assert_eq!(again.due(184, 5), [(0, Stretch { interval: Interval::Minute, from_s: 60, to_s: 120 })]);
        let rest = again.due(185, 5);
        assert_eq!(rest.len(), 2);
        for (at, stretch) in rest {
            again.put(at, stretch, Interval::Hour);
        }
        again.save().unwrap();
        let last = touched(dir.path());
        assert_eq!(last.due(3_604, 5), []);
        let hour = Stretch { interval: Interval::Hour, from_s: 0, to_s: 3_600 };
        assert_eq!(last.due(3_605, 5), [(0, hour), (1, hour)]);
    }

    #[test]
    fn a_long_stretch_is_asked_for_in_pieces() {
        let due: BTreeSet<Pending> = (0..150).map(|n| (Interval::Minute, 0, n * 60)).collect();
        let lengths: Vec<i64> = stretches(&due).iter().map(|(_, s)| (s.to_s - s.from_s) / 60).collect();
        assert_eq!(lengths, [60, 60, 30]);
    }
}
