//! Which intervals of a database have been touched by writes and have no bars yet, in memory and on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tickline_sinks::admin::bars::{Interval, RECIPES, Stretch};

/// Most intervals that the database is asked for at once.
const INTERVALS_MAX: i64 = 60;

/// A hole is marked in bars of so many minutes before its end at most.
const HOLE_MINUTES_MAX: i64 = 31 * 24 * 60;

/// An interval whose bars are to be made: its length, the recipe's position and its begin, s since 1970.
pub(super) type Pending = (Interval, usize, i64);

/// Which intervals of one database have been touched and have no bars yet.
#[derive(Debug)]
pub(super) struct Touched {
    pub(super) path: PathBuf,
    /// Recipes by feed: what a hole of the feed is a hole in.
    pub(super) feeds: BTreeMap<String, Vec<usize>>,
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
    pub(super) fn open(dir: &Path, sink: &str, feeds: BTreeMap<String, Vec<usize>>) -> io::Result<Self> {
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

    /// Intervals without bars yet.
    pub(super) fn count(&self) -> u64 {
        self.state().pending.len() as u64
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what lines touch; a disk that takes no notes does not keep points from being written.
    pub(super) fn note(&self, minutes: &[Pending]) {
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
    pub(super) fn minutes(&self, lines: &[u8], into: &mut Vec<Pending>) {
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
            // Lines come by time: it is nearly always one of the last few; told twice it is noted once.
            if !into.iter().rev().take(RECIPES.len()).any(|known| *known == one) {
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
    pub(super) fn due(&self, now_s: i64, settle_s: i64) -> Vec<(usize, Stretch)> {
        let mut state = self.state();
        let over = |(interval, _, from_s): &Pending| from_s + interval.seconds() + settle_s <= now_s;
        let (due, left) = state.pending.iter().copied().partition(|one| over(one));
        state.pending = left;
        stretches(&due)
    }

    /// Puts intervals back, or in.
    pub(super) fn put(&self, at: usize, stretch: Stretch, interval: Interval) {
        let mut from_s = interval.begin_s(stretch.from_s);
        let mut state = self.state();
        while from_s < stretch.to_s {
            state.pending.insert((interval, at, from_s));
            from_s += interval.seconds();
        }
    }

    /// Writes down what is pending, in place of all notes.
    pub(super) fn save(&self) -> io::Result<()> {
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
