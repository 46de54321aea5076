//! The canary: marked ticks of every feed through a pipeline of its own into each InfluxDB 1 and back, again and again
//! while the engine runs.

use std::sync::Arc;
use std::time::Duration;

use tickline_config::model::Config;
use tickline_config::report::{PartReport, PartState};
use tickline_feeds::instruments::Instruments;

use crate::spawn::{Thread, spawn};
use crate::validate::{self, Came};
use crate::view::View;

/// So soon the end of the run is seen.
const WAIT: Duration = Duration::from_millis(100);

/// How it went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// How often it was tried.
    pub runs: u64,
    /// How often something did not come back, or it could not be tried.
    pub failures: u64,
    /// How long the last time took, s.
    pub took_s: f64,
    /// What was wrong the last time; none: every value came back.
    pub wrong: Option<String>,
}

impl Seen {
    /// The part of health that it is; none before the first time.
    pub fn part(&self) -> Option<PartReport> {
        let ok = PartReport::ok("canary");
        let failed = |wrong: &String| PartReport {
            state: PartState::Failed,
            cause: wrong.clone(),
            next: "tickline validate shows which step fails; the pipeline itself is told of beside this"
                .to_owned(),
            ..PartReport::ok("canary")
        };
        (self.runs > 0).then(|| self.wrong.as_ref().map_or(ok, failed))
    }
}

/// Sends marked ticks every so often until the run ends; none: the configuration wants none.
pub(crate) fn watch(
    view: &Arc<View>,
    config: &Config,
    instruments: Arc<Instruments>,
) -> std::io::Result<Option<Thread>> {
    let Some(every) = config.canary.every else { return Ok(None) };
    let (view, config, stop) = (Arc::clone(view), config.clone(), Arc::clone(&view.stop));
    let thread = spawn("canary", None, &stop, move || {
        let mut last = view.clock.mono();
        while view.stop.running() {
            let now = view.clock.mono();
            if u128::from(now.since(last)) >= every.as_nanos() {
                last = now;
                let outcome = validate::run(&config, Arc::clone(&instruments), config.canary.timeout);
                let took_s = view.clock.mono().since(now) as f64 / 1e9;
                tell(&view, wrong(outcome), took_s);
            }
            view.stop.wait(WAIT);
        }
    });
    thread.map(Some)
}

/// What did not come back, in words.
fn wrong(outcome: Result<Vec<validate::Outcome>, String>) -> Option<String> {
    let outcomes = match outcome {
        Ok(outcomes) => outcomes,
        Err(why) => return Some(why),
    };
    let said = |of: validate::Outcome| match of.came {
        Came::Wrong(why) => Some(format!("{} into {}: {why}", of.feed, of.sink)),
        Came::Back | Came::Untried(_) => None,
    };
    let all: Vec<String> = outcomes.into_iter().filter_map(said).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn tell(view: &View, wrong: Option<String>, took_s: f64) {
    let mut seen = view.canary.lock();
    match (&wrong, &seen.wrong) {
        (Some(why), None) => tracing::error!("canary: {why}"),
        (None, Some(_)) => tracing::info!("canary: marked ticks come back again"),
        _ => {}
    }
    seen.runs += 1;
    seen.failures += u64::from(wrong.is_some());
    (seen.took_s, seen.wrong) = (took_s, wrong);
}
