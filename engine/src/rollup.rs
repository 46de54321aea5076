//! Roll-ups: bars of what InfluxDB 1 has stored. Before and after each write it is noted which minutes it touches, on disk
//! as well, so that no kill loses one; a thread of its own has the database make the bars of those that are over, and
//! makes them again when points come late.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tickline_config::model::{Config, InfluxTarget, SinkKind};
use tickline_config::report::{PartReport, PartState};
use tickline_feeds::decoder::measurements;
use tickline_sinks::admin::Admin;
use tickline_sinks::admin::bars::{Interval, RECIPES, Recipe, Stretch};
use tickline_sinks::sink::{Outcome, Request, Sink};

use crate::spawn::{Thread, spawn};
use crate::view::View;

mod touched;

use touched::{Pending, Touched};

/// Time between two looks for what is over.
const LOOK_EVERY: Duration = Duration::from_secs(5);

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
        let missing = trouble.contains("not found");
        let what = if missing {
            "tickline db apply makes rollups.policy"
        } else {
            "look at the database, and at its login"
        };
        let next = format!("{what}; bars are made by themselves then");
        PartReport { state: PartState::Degraded, cause: trouble.clone(), next, ..part }
    }
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
        // The policy that holds the points, once it was asked for.
        let mut points = None;
        let (mut made, mut trouble) = (0, None);
        for _ in Interval::ALL {
            for (at, stretch) in touched.due(now_s, self.settle_s) {
                // After one has failed, the others wait with it.
                let failed = match &trouble {
                    None => self.make(database, &mut points, at, stretch).map(|bars| made += bars).err(),
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
        seen.pending = touched.count();
        seen.trouble = trouble;
    }

    fn make(
        &self,
        database: &Database,
        points: &mut Option<String>,
        at: usize,
        stretch: Stretch,
    ) -> Result<u64, String> {
        let Some(recipe) = RECIPES.get(at) else { return Ok(0) };
        let points = match points {
            Some(points) => points,
            None => points.insert(database.admin.write_policy().map_err(|error| error.to_string())?.name),
        };
        let feeds = database.touched.feeds.iter().filter(|(_, recipes)| recipes.contains(&at));
        let feeds: Vec<&str> = feeds.map(|(name, _)| name.as_str()).collect();
        let [from_ns, to_ns] = [stretch.from_s, stretch.to_s].map(|s| s.saturating_mul(1_000_000_000));
        let gaps = database.admin.gaps(points, &feeds, from_ns, to_ns).map_err(|error| error.to_string())?;
        let overlaps = |from: i64, to: i64| gaps.iter().any(|gap| gap.0 < to && gap.1 >= from);
        let bars = database.admin.make_bars(recipe, stretch, (points, &self.policy), &overlaps);
        bars.map_err(|error| error.to_string())
    }
}
