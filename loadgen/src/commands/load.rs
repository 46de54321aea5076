//! `run`: a load from a command line or a scenario.

use tickline_loadgen::clock::OsClock;
use tickline_loadgen::plan::{FeedLoad, LoadPlan};
use tickline_loadgen::run;
use tickline_loadgen::scenario::Scenario;
use tickline_loadgen::threshold::Condition;

use super::{Usage, stop_on_signals, watched, writable};
use crate::cli::{LoadArgs, PublishArgs, RunArgs};

pub(super) fn run(args: RunArgs) -> anyhow::Result<u8> {
    let (plan, mut fail_if) = plan(&args.load, &args.publish)?;
    fail_if.extend(args.measure.fail_if.iter().cloned());
    let plan = LoadPlan { capture: args.capture, ..plan };
    writable(&plan.capture)?;
    let stop = stop_on_signals()?;
    let clock = OsClock::start();
    let watch = watched::begin(&args.measure, &fail_if, plan.is_scheduled(), &clock)?;
    let running = run::start(plan, clock)?;
    let (args, fail_if) = (&args.measure, &fail_if);
    let job = watched::Job { command: "loadgen run", args, fail_if, stop: &stop, flaw: None };
    watched::finish(running, watch, job)
}

/// A plan, and what its scenario says must not be.
pub(super) fn plan(args: &LoadArgs, publish: &PublishArgs) -> anyhow::Result<(LoadPlan, Vec<Condition>)> {
    let (mut plan, fail_if) = match &args.scenario {
        Some(name) => {
            let scenario = Scenario::open(name, &args.bind).map_err(Usage::of)?;
            (scenario.plan, scenario.fail_if)
        }
        None => (LoadPlan { feeds: feeds(args)?, ..LoadPlan::default() }, Vec::new()),
    };
    endpoints(&mut plan.feeds, &args.endpoint)?;
    plan.duration = args.duration.or(plan.duration);
    plan.seed = args.seed.unwrap_or(plan.seed);
    plan.wait = !publish.no_wait;
    plan.wait_timeout = Some(publish.wait_timeout);
    plan.decimals = publish.decimals.into();
    plan.sndhwm = publish.sndhwm;
    plan.door = publish.door()?;
    for warning in plan.feeds.iter().filter_map(FeedLoad::beyond_venue) {
        eprintln!("tickline-loadgen: warning: {warning}");
    }
    Ok((plan, fail_if))
}

fn feeds(args: &LoadArgs) -> anyhow::Result<Vec<FeedLoad>> {
    let load = |name: &String| {
        let mut load = FeedLoad::new(name, &args.bind, args.rate).map_err(Usage::of)?;
        load.symbols = args.symbols.map_or(load.symbols, |symbols| symbols as usize);
        (load.arrivals, load.zipf) = (args.arrivals, args.zipf);
        Ok(load)
    };
    args.feeds.iter().map(load).collect()
}

/// Other endpoints of some feeds; without a name that of the only one.
pub(super) fn endpoints(feeds: &mut [FeedLoad], given: &[(Option<String>, String)]) -> anyhow::Result<()> {
    for (name, endpoint) in given {
        let load = match (name, &mut *feeds) {
            (None, [only]) => Some(only),
            (None, _) => {
                return Err(Usage::of(format!("endpoint: must be FEED=ENDPOINT, found {endpoint:?}")));
            }
            (Some(name), feeds) => feeds.iter_mut().find(|load| load.feed == *name || load.topic == *name),
        };
        let found = name.as_deref().unwrap_or_default();
        let rule = || Usage::of(format!("endpoint: must be of a feed that is published, found {found:?}"));
        load.ok_or_else(rule)?.endpoint.clone_from(endpoint);
    }
    Ok(())
}
