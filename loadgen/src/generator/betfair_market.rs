//! One Betfair market: its definition, its runners, and what happens to them.

use tickline_feeds::payload::PayloadWriter;

use super::betfair_ladder::{DEPTH, Offer, Side, shortest};
use crate::prng::Prng;
use crate::ties::Series;

/// Start times are a definition's content, not a venue time: the same in each run.
pub(crate) const MARKET_TIME: &str = "2026-01-01T18:00:00.000Z";

#[derive(Debug)]
pub(crate) struct Market {
    pub(crate) id: String,
    pub(crate) event_id: String,
    pub(crate) version: u64,
    pub(crate) suspended: bool,
    pub(crate) in_play: bool,
    pub(crate) runners: Vec<Runner>,
}

/// A runner; sizes and volumes in hundredths.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) id: u64,
    pub(crate) back: Side,
    pub(crate) lay: Side,
    pub(crate) last: usize,
    pub(crate) volume: i64,
    pub(super) series: Series,
}

/// What one message says of a runner.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) runner: usize,
    pub(crate) back: Vec<Offer>,
    pub(crate) lay: Vec<Offer>,
    pub(crate) traded: bool,
}

impl Change {
    /// What happened later to the same runner: the last size at a price counts.
    pub(super) fn follow(&mut self, later: Change) {
        for (levels, later) in [(&mut self.back, later.back), (&mut self.lay, later.lay)] {
            for offer in later {
                levels.retain(|(position, _)| *position != offer.0);
                levels.push(offer);
            }
        }
        self.traded |= later.traded;
    }
}

impl Market {
    pub(crate) fn new(number: usize, prng: &mut Prng) -> Self {
        let runners = (0..prng.between(6, 14) as usize).map(|_| Runner::new(prng)).collect();
        Self {
            id: format!("1.{}", 230_000_000 + number * 7),
            event_id: format!("{}", 33_000_000 + number / 3),
            version: 5_000_000_000 + number as u64,
            suspended: false,
            in_play: false,
            runners,
        }
    }

    /// Suspends or opens the market; once in three times it goes in play or back when it opens.
    pub(crate) fn toggle(&mut self, prng: &mut Prng) {
        self.suspended = !self.suspended;
        self.in_play ^= !self.suspended && prng.one_in(3);
        self.version += 1;
    }

    pub(super) fn write_definition(&self, out: &mut PayloadWriter) {
        out.text("marketDefinition");
        out.map(22);
        let flags = [
            ("bspMarket", false),
            ("turnInPlayEnabled", true),
            ("persistenceEnabled", true),
            ("bspReconciled", false),
            ("complete", true),
            ("inPlay", self.in_play),
            ("crossMatching", true),
            ("runnersVoidable", false),
        ];
        for (key, flag) in flags {
            out.text(key);
            out.bool(flag);
        }
        let texts = [
            ("eventId", self.event_id.as_str()),
            ("eventTypeId", "7"),
            ("bettingType", "ODDS"),
            ("marketType", "WIN"),
            ("marketTime", MARKET_TIME),
            ("suspendTime", MARKET_TIME),
            ("status", if self.suspended { "SUSPENDED" } else { "OPEN" }),
            ("venue", "Tickford"),
            ("countryCode", "GB"),
        ];
        for (key, text) in texts {
            out.text(key);
            out.text(text);
        }
        let counts = [
            ("numberOfWinners", 1),
            ("numberOfActiveRunners", self.runners.len() as u64),
            ("betDelay", u64::from(self.in_play)),
            ("version", self.version),
        ];
        for (key, count) in counts {
            out.text(key);
            out.uint(count);
        }
        out.text("runners");
        out.array(self.runners.len() as u32);
        for (runner, priority) in self.runners.iter().zip(1..) {
            out.map(4);
            out.text("id");
            out.uint(runner.id);
            out.text("sortPriority");
            out.uint(priority);
            out.text("status");
            out.text("ACTIVE");
            out.text("adjustmentFactor");
            out.decimal(100_000 / self.runners.len() as i64, 3);
        }
    }

    /// The whole market: definition, and each runner's offers, last price and volume.
    pub(super) fn write_image(&self, prices: &[i64], out: &mut PayloadWriter) {
        out.map(4);
        out.text("id");
        out.text(&self.id);
        out.text("img");
        out.bool(true);
        self.write_definition(out);
        out.text("rc");
        out.array(self.runners.len() as u32);
        for runner in &self.runners {
            let (back, lay): (Vec<Offer>, Vec<Offer>) =
                (runner.back.offers().collect(), runner.lay.offers().collect());
            runner.write(&back, &lay, true, prices, out);
        }
    }

    pub(super) fn write_change(&self, change: &Change, prices: &[i64], out: &mut PayloadWriter) {
        self.runners[change.runner].write(&change.back, &change.lay, change.traded, prices, out);
    }

    /// Changes the runner at position `chosen`: 6 of 10 times a size on one side, 2 times the price moves, 2 times a bet is matched.
    pub(crate) fn change(&mut self, chosen: usize, prng: &mut Prng, prices: usize) -> Change {
        let runner = &mut self.runners[chosen];
        let mut change = Change { runner: chosen, ..Change::default() };
        let event = prng.below(10);
        let from_back = prng.one_in(2);
        if event < 6 {
            let (side, offers) = if from_back {
                (&mut runner.back, &mut change.back)
            } else {
                (&mut runner.lay, &mut change.lay)
            };
            offers.push(side.change(prng));
        } else if event < 8 {
            let (back, lay) = (runner.back.best(), runner.lay.best());
            let up = if back <= DEPTH { true } else { lay + DEPTH < prices && from_back };
            if up {
                change.lay.extend(runner.lay.retreat(prng));
                change.back.extend(runner.back.advance(prng));
            } else {
                change.back.extend(runner.back.retreat(prng));
                change.lay.extend(runner.lay.advance(prng));
            }
        } else {
            runner.last = if from_back { runner.back.best() } else { runner.lay.best() };
            runner.volume += prng.between(200, 50_000);
            change.traded = true;
            let (side, offers) = if from_back {
                (&mut runner.back, &mut change.back)
            } else {
                (&mut runner.lay, &mut change.lay)
            };
            offers.push(side.change(prng));
        }
        change
    }
}

impl Runner {
    fn new(prng: &mut Prng) -> Self {
        let best_back = prng.between(60, 260) as usize;
        Self {
            id: prng.between(10_000_000, 60_000_000) as u64,
            back: Side::new(best_back, -1, prng),
            lay: Side::new(best_back + 1, 1, prng),
            last: best_back,
            volume: prng.between(1_000, 9_000_000),
            series: Series::default(),
        }
    }

    fn write(&self, back: &[Offer], lay: &[Offer], traded: bool, prices: &[i64], out: &mut PayloadWriter) {
        let keys = 1 + u32::from(!back.is_empty()) + u32::from(!lay.is_empty()) + 2 * u32::from(traded);
        out.map(keys);
        for (key, offers) in [("atb", back), ("atl", lay)] {
            if offers.is_empty() {
                continue;
            }
            out.text(key);
            out.array(offers.len() as u32);
            for (position, size) in offers {
                out.array(2);
                shortest(prices[*position], out);
                shortest(*size, out);
            }
        }
        if traded {
            out.text("ltp");
            shortest(prices[self.last], out);
            out.text("tv");
            shortest(self.volume, out);
        }
        out.text("id");
        out.uint(self.id);
    }
}
