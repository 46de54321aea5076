//! `tickline-loadgen drill`: a line a row while it goes, then the report.

use tickline_config::report::Verdict;
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::drill::{self, DrillPlan, Row, Tier};
use tickline_loadgen::result::LoadResult;

use super::engine::beside;
use super::{FAILED, build, give, writable};
use crate::cli::{DrillArgs, TierArg};

pub(super) fn run(args: DrillArgs) -> anyhow::Result<u8> {
    let program = match args.engine {
        Some(program) => program,
        None => beside()?,
    };
    let tier = match args.tier {
        TierArg::Quick => Tier::Quick,
        TierArg::Release => Tier::Release,
    };
    writable(&args.output.report)?;
    let clock = OsClock::start();
    let plan = DrillPlan { tier, rows: args.rows, program, seed: args.seed };
    eprintln!("{HEAD}");
    let rows = drill::run(&plan, |row| eprintln!("{}", line(row)))?;
    let mut report = LoadResult::default().report("loadgen drill", build());
    report.elapsed_s = clock.mono().0 as f64 / 1e9;
    let failed: Vec<String> = rows
        .iter()
        .filter(|row| row.verdict == "fail")
        .map(|row| format!("{}: {}", row.id, row.reasons.join("; ")))
        .collect();
    report.verdict = if failed.is_empty() { Verdict::Pass } else { Verdict::Fail };
    report.reasons = failed;
    report.rows = Some(serde_json::to_value(&rows)?);
    give(&report, &args.output)?;
    if !args.output.json {
        println!("{LEGEND}\n{}", headline(&rows));
    }
    Ok(if report.verdict == Verdict::Fail { FAILED } else { 0 })
}

/// What the columns say.
const LEGEND: &str = "lost: accepted by the engine and not stored; twice: stored again, which the database absorbs; window: longest time \
                      before a kill from which on something is missing; back: from a kill to the first fresh tick stored";

const HEAD: &str =
    "row    verdict   faults      sent    stored  twice  lost  window ms  back ms  time  fault";

fn line(row: &Row) -> String {
    let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let Row {
        id, verdict, faults_injected, sent, stored, duplicates, lost_accepted, elapsed_s, fault, ..
    } = row;
    let (window, back) = (number(row.lost_window_ms_max), number(row.recovery_ms_max));
    let mut text = format!(
        "{id:<6} {verdict:<8} {faults_injected:>7} {sent:>9} {stored:>9} {duplicates:>6} {lost_accepted:>5} {window:>10} \
         {back:>8} {elapsed_s:>4.0}s  {fault}"
    );
    for more in row.reasons.iter().chain(Some(&row.detail).filter(|detail| !detail.is_empty())) {
        text += "\n       ";
        text += more;
    }
    text
}

/// What was done and what came of it, in one sentence.
fn headline(rows: &[Row]) -> String {
    let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum::<u64>();
    format!(
        "{} messages, {} kill -9, {} faults in all, {} accepted messages lost, {} duplicates (all \
         absorbed), {} crashes",
        sum(|row| row.sent),
        sum(|row| row.kills),
        sum(|row| row.faults_injected),
        sum(|row| row.lost_accepted),
        sum(|row| row.duplicates),
        sum(|row| row.panics)
    )
}
