//! `replay`: recordings as a load.

use tickline_feeds::clock::{Clock, WallNanos};
use tickline_feeds::payload::rfc3339;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::plan::FeedLoad;
use tickline_loadgen::replay::{self, ReplayPlan, Span, Speed};

use super::load::endpoints;
use super::{Usage, stop_on_signals, watched};
use crate::cli::ReplayArgs;

pub(super) fn run(args: ReplayArgs) -> anyhow::Result<u8> {
    let files = replay::files(&args.files)?;
    let named: Vec<String> = match &args.feed {
        Some(feed) => vec![feed.clone()],
        None => replay::feeds_in(&files)?.into_iter().map(str::to_owned).collect(),
    };
    anyhow::ensure!(!named.is_empty(), "these files must have messages, found none");
    let load = |name: &String| FeedLoad::recorded(name, &args.bind).map_err(Usage::of);
    let mut feeds = named.iter().map(load).collect::<Result<Vec<_>, _>>()?;
    endpoints(&mut feeds, &args.endpoint)?;
    let plan = ReplayPlan {
        files,
        feeds,
        loops: args.loops,
        speed: args.speed,
        time: args.time,
        decimals: args.publish.decimals.into(),
        wait: !args.publish.no_wait,
        wait_timeout: Some(args.publish.wait_timeout),
        sndhwm: args.publish.sndhwm,
        door: args.publish.door()?,
    };
    let stop = stop_on_signals()?;
    let clock = OsClock::start();
    let spans = replay::scan(&plan)?;
    let whole = Span::whole(&spans);
    describe(&whole, replay::shift_ns(plan.time, plan.speed, plan.loops, &whole, clock.wall()));
    let watch = watched::begin(&args.measure, &args.measure.fail_if, plan.speed != Speed::Max, &clock)?;
    let running = replay::start(&plan, &spans, clock)?;
    let torn =
        format!("{} bytes behind the last whole record of torn captures were not sent", whole.torn_bytes);
    let flaw = (whole.torn_bytes > 0).then_some(torn);
    let (args, fail_if) = (&args.measure, &args.measure.fail_if);
    watched::finish(
        running,
        watch,
        watched::Job { command: "loadgen replay", args, fail_if, stop: &stop, flaw },
    )
}

/// The time span that will be published, before anything is.
fn describe(span: &Span, shift_ns: i64) {
    let moved = |time: WallNanos| rfc3339(WallNanos(time.0.saturating_add(shift_ns)), 6);
    let times = match span.times {
        Some((first, last)) => format!("with venue times {} to {}", moved(first), moved(last)),
        None => "without venue times".to_owned(),
    };
    eprintln!("{} messages {times}", span.messages);
    if span.passed_over > 0 {
        eprintln!("{} messages of other kinds are not published", span.passed_over);
    }
    if span.torn_bytes > 0 {
        eprintln!("{} bytes behind the last whole record are not read", span.torn_bytes);
    }
}
