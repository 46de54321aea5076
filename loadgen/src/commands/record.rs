//! `record`: topics into a capture.

use tickline_config::report::FeedReport;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::record::{self, RecordPlan};
use tickline_loadgen::result::LoadResult;

use super::{build, give, stop_on_signals, writable};
use crate::cli::RecordArgs;

pub(super) fn run(args: RecordArgs) -> anyhow::Result<u8> {
    let own = || match &args.curve_secret_key {
        Some(path) => tickline_loadgen::door::keys(path),
        None => Ok(tickline_feeds::curve::KeyPair::generate()?),
    };
    let curve = args.curve_server_key.clone().map(|server| anyhow::Ok((own()?, server))).transpose()?;
    let plan = RecordPlan {
        endpoints: args.connect,
        topics: args.topic,
        file: args.file,
        duration: args.duration,
        rcvhwm: args.rcvhwm,
        curve,
    };
    writable(&args.output.report)?;
    let stop = stop_on_signals()?;
    let recorded = record::record(&plan, &OsClock::start(), &stop)?;
    let elapsed_s = recorded.elapsed_ns as f64 / 1e9;
    let mut report = LoadResult::default().report("loadgen record", build());
    report.elapsed_s = elapsed_s;
    report.ledger.published = None;
    report.ledger.received = recorded.frames;
    let mut all = FeedReport {
        frames: recorded.frames,
        bytes: recorded.bytes,
        rate_per_s: if elapsed_s > 0.0 { recorded.frames as f64 / elapsed_s } else { 0.0 },
        ..FeedReport::default()
    };
    all.ledger.received = recorded.frames;
    all.ledger.balanced = true;
    all.counters.insert("malformed".to_owned(), recorded.malformed);
    report.feeds.insert(if plan.topics.is_empty() { "*".to_owned() } else { plan.topics.join(",") }, all);
    give(&report, &args.output)?;
    Ok(0)
}
