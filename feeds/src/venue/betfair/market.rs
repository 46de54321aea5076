//! What is known of each market and runner, and which points a change makes.

use hashbrown::{DefaultHashBuilder, HashMap};

use super::Plans;
use super::amount::{Amount, Form};
use super::change::{Entries, Entry};
use super::closed::Closed;
use super::definition::{Definition, RunnerDefinition, with_total};
use super::ladder::{Kind, LadderChange};
use super::runner::{Moved, Runner};
use crate::counts::Undecodable;
use crate::emit::{Emit, Suppressed, VenueTime};
use crate::field::Slot;
use crate::number::{self, Digits};
use crate::schema;
use crate::series::{SeriesId, SeriesTable};

/// Markets kept; the one that was silent longest gives way. A CLOSED market goes at once.
const MARKETS_MAX: usize = 10_000;
/// Runners kept of one market; more are bad points.
pub(super) const RUNNERS_MAX: usize = 1_000;

/// One change of one market.
#[derive(Debug)]
pub(super) struct Update<'a> {
    /// All that was known is void.
    pub(super) image: bool,
    /// Which image it is a part of.
    pub(super) image_run: Option<u64>,
    /// A repeated image: seeds a market without state and makes no points.
    pub(super) repeated: bool,
    /// Flags of its points.
    pub(super) flags: u8,
    pub(super) at: VenueTime,
    pub(super) total: Option<Amount>,
    pub(super) definition: Option<Definition<'a>>,
}

/// What every change of a message shares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'r> {
    pub(super) plans: &'r Plans,
    pub(super) hasher: &'r DefaultHashBuilder,
    /// Containers open around a definition's values.
    pub(super) depth: usize,
}

/// The markets of one feed.
#[derive(Debug, Default)]
pub(super) struct Markets {
    known: HashMap<Vec<u8>, Market>,
    closed: Closed,
    changes: u64,
}

#[derive(Debug, Default)]
struct Market {
    runners: Vec<Runner>,
    seeded: bool,
    image_run: Option<u64>,
    /// Best kind of ladder that any runner has sent.
    kind: Option<Kind>,
    level_ladders_only: bool,
    status: Vec<u8>,
    in_play: Option<bool>,
    total: Option<Amount>,
    series: Option<SeriesId>,
    definition: Option<u64>,
    last_change: u64,
}

impl Markets {
    /// Applies one change of market `id` and writes its points.
    pub(super) fn apply(
        &mut self,
        id: &[u8],
        update: Update<'_>,
        changes: Entries<'_>,
        rules: Rules<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<(), Undecodable> {
        self.changes += 1;
        let stamp = self.changes;
        let market = self.get(id, emit.series);
        market.last_change = stamp;
        if update.repeated {
            return market.seed_silently(id, &update, changes, rules, emit);
        }
        let fresh = update.image_run.is_none() || market.image_run != update.image_run;
        if update.image && fresh {
            market.forget();
        }
        market.image_run = update.image_run;
        market.seeded |= update.image;
        market.total = update.total.or(market.total);
        let mut all = update.image;
        if let Some(definition) = &update.definition {
            all |= market.take_state(definition);
            market.define(id, definition, &update, rules, emit)?;
        }
        market.choose_ladder(changes.ladders());
        for entry in changes {
            let known = market.runner(id, entry.change.selection, entry.change.handicap, emit);
            let Some(runner) = known else {
                emit.bad_candidate();
                continue;
            };
            let mut moved = market.change(runner, &entry);
            moved.figures |= all;
            market.emit_change(runner, moved, &update, rules, emit);
        }
        if all {
            market.emit_rest(&update, rules, emit);
        }
        if market.status == b"CLOSED" {
            self.retire(id, emit.series);
        }
        Ok(())
    }

    fn get(&mut self, id: &[u8], series: &mut SeriesTable) -> &mut Market {
        if self.known.len() >= MARKETS_MAX && !self.known.contains_key(id) {
            let silent = self.known.iter().min_by_key(|(_, market)| market.last_change);
            if let Some(id) = silent.map(|(id, _)| id.clone()) {
                self.retire(&id, series);
            }
        }
        self.known.entry_ref(id).or_default()
    }

    /// Forgets a market; the series of one that went long ago make room for others.
    fn retire(&mut self, id: &[u8], series: &mut SeriesTable) {
        let Some((id, market)) = self.known.remove_entry(id) else { return };
        let Self { known, closed, .. } = self;
        closed.push((id, market.all_series().collect()), |id| known.contains_key(id), series);
    }
}

impl Market {
    /// Its own series and those of its runners.
    fn all_series(&self) -> impl Iterator<Item = SeriesId> {
        let runners = self.runners.iter().flat_map(|runner| [runner.stream, runner.runner]);
        runners.chain([self.series]).flatten()
    }

    /// Forgets prices; series and definitions stay, so that an unchanged definition makes no point again.
    fn forget(&mut self) {
        self.kind = None;
        for runner in &mut self.runners {
            runner.ladders.clear();
            for best in &mut runner.best {
                // A side that had something is known to be empty now.
                *best = best.map(|_| None);
            }
            (runner.last_price, runner.matched, runner.sp_near, runner.sp_far) = (None, None, None, None);
        }
    }

    fn seed_silently(
        &mut self,
        id: &[u8],
        update: &Update<'_>,
        changes: Entries<'_>,
        rules: Rules<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<(), Undecodable> {
        if self.seeded {
            return Ok(());
        }
        self.forget();
        self.seeded = true;
        self.total = update.total.or(self.total);
        if let Some(definition) = &update.definition {
            self.take_state(definition);
            self.definition = Some(definition.hash);
            definition.each_runner(rules.hasher, emit, rules.depth, |runner, emit| {
                if let Some(at) = self.runner(id, runner.selection, runner.handicap, emit)
                    && let Some(known) = self.runners.get_mut(at)
                {
                    known.definition = Some(runner.hash);
                }
            })?;
        }
        self.choose_ladder(changes.ladders());
        for entry in changes {
            if let Some(runner) = self.runner(id, entry.change.selection, entry.change.handicap, emit) {
                self.change(runner, &entry);
            }
        }
        Ok(())
    }

    /// Takes status and in-play over. Returns whether one of them changed.
    fn take_state(&mut self, definition: &Definition<'_>) -> bool {
        let changed = self.status != definition.status || self.in_play != definition.in_play;
        self.status.clear();
        self.status.extend_from_slice(definition.status);
        self.in_play = definition.in_play;
        self.level_ladders_only = definition.level_ladders_only;
        changed
    }

    /// The points of a definition: the market's, and one for each of its runners; none where nothing changed.
    fn define(
        &mut self,
        id: &[u8],
        definition: &Definition<'_>,
        update: &Update<'_>,
        rules: Rules<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<(), Undecodable> {
        let changed = self.definition != Some(definition.hash);
        if changed {
            // A market may move to another event.
            let tags: [(&str, &[u8]); 5] = [
                ("event_id", definition.event_id),
                ("event_type", definition.event_type),
                ("exchange", b"betfair"),
                ("market_id", id),
                ("market_type", definition.market_type),
            ];
            self.series = emit.series.intern(schema::BETFAIR_MARKET.name, &tags);
        }
        if changed {
            let slots = with_total(definition.slots, self.total);
            emit.point(self.series, &rules.plans.market, &slots, update.at, update.flags);
            self.definition = Some(definition.hash);
        } else {
            emit.suppress(self.series, Suppressed::Unchanged);
        }
        definition.each_runner(rules.hasher, emit, rules.depth, |runner, emit| {
            self.define_runner(id, &runner, update, rules, emit);
        })
    }

    fn define_runner(
        &mut self,
        id: &[u8],
        definition: &RunnerDefinition<'_>,
        update: &Update<'_>,
        rules: Rules<'_>,
        emit: &mut Emit<'_>,
    ) {
        let at = self.runner(id, definition.selection, definition.handicap, emit);
        let Some(runner) = at.and_then(|at| self.runners.get_mut(at)) else { return emit.bad_candidate() };
        if runner.definition == Some(definition.hash) {
            return emit.suppress(runner.runner, Suppressed::Unchanged);
        }
        runner.definition = Some(definition.hash);
        emit.point(runner.runner, &rules.plans.runner, &definition.slots, update.at, update.flags);
    }

    /// Position of a runner, made where it is new; none without an id or beyond the limit.
    fn runner(
        &mut self,
        market: &[u8],
        selection: Option<i64>,
        handicap: Option<Amount>,
        emit: &mut Emit<'_>,
    ) -> Option<usize> {
        let selection = selection?;
        let order = handicap.map_or(0, Amount::order);
        let known = self.runners.iter().position(|r| r.selection == selection && r.handicap == order);
        if known.is_some() || self.runners.len() >= RUNNERS_MAX {
            return known;
        }
        let selection_text = Digits::of(selection);
        let mut handicap_text = Vec::new();
        match handicap.filter(|handicap| !handicap.is_zero()).map(Amount::form) {
            Some(Form::Scaled(units, scale)) => {
                handicap_text.extend_from_slice(Digits::scaled(units, scale).as_bytes());
            }
            Some(Form::Float(number)) => number::append_f64(&mut handicap_text, number),
            None => {}
        }
        let tags: [(&str, &[u8]); 4] = [
            ("exchange", b"betfair"),
            ("handicap", &handicap_text),
            ("market_id", market),
            ("selection_id", selection_text.as_bytes()),
        ];
        // Without a market id the points would meet those of every other market.
        let usable = !market.is_empty();
        let series = |emit: &mut Emit<'_>, name| if usable { emit.series.intern(name, &tags) } else { None };
        self.runners.push(Runner {
            selection,
            handicap: order,
            stream: series(emit, schema::BETFAIR_STREAM.name),
            runner: series(emit, schema::BETFAIR_RUNNER.name),
            ..Runner::default()
        });
        Some(self.runners.len() - 1)
    }

    /// One kind of ladder a market: the best that any of its runners has sent.
    #[inline]
    fn choose_ladder(&mut self, ladders: &[LadderChange]) {
        let before = self.kind;
        if before == Some(Kind::Full) {
            // No kind is better.
            return;
        }
        for ladder in ladders.iter().filter(|ladder| !(self.level_ladders_only && ladder.kind == Kind::Full))
        {
            self.kind = self.kind.max(Some(ladder.kind));
        }
        if self.kind != before && self.seeded {
            for runner in &mut self.runners {
                runner.settle(self.kind, &[]);
            }
        }
    }

    /// Applies one `rc` entry and says what of the runner moved.
    fn change(&mut self, at: usize, entry: &Entry<'_>) -> Moved {
        let Some(runner) = self.runners.get_mut(at) else { return Moved::default() };
        let figures = runner.take_figures(entry.change);
        let mut prices = false;
        if self.seeded {
            entry.ladders.iter().for_each(|ladder| runner.ladders.apply(ladder, entry.steps(ladder)));
            prices = runner.settle(self.kind, entry.ladders);
        }
        Moved { figures, prices, ladders: !entry.ladders.is_empty() }
    }

    /// One candidate for one `rc` entry.
    fn emit_change(
        &mut self,
        at: usize,
        moved: Moved,
        update: &Update<'_>,
        rules: Rules<'_>,
        emit: &mut Emit<'_>,
    ) {
        let Some(runner) = self.runners.get_mut(at) else { return };
        if !(moved.figures || moved.prices) {
            let awaiting = !self.seeded && moved.ladders;
            let why = if awaiting { Suppressed::AwaitingImage } else { Suppressed::Unchanged };
            return emit.suppress(runner.stream, why);
        }
        runner.written = self.last_change;
        let mut slots = [Slot::Empty; 10];
        runner.fill(&mut slots, &self.status, self.in_play);
        emit.point(runner.stream, &rules.plans.stream, &slots, update.at, update.flags);
    }

    /// After an image or a change of status or in-play: each runner that has not made a point yet.
    fn emit_rest(&mut self, update: &Update<'_>, rules: Rules<'_>, emit: &mut Emit<'_>) {
        for runner in self.runners.iter().filter(|runner| runner.written != self.last_change) {
            let mut slots = [Slot::Empty; 10];
            runner.fill(&mut slots, &self.status, self.in_play);
            emit.point(runner.stream, &rules.plans.stream, &slots, update.at, update.flags);
        }
    }
}
