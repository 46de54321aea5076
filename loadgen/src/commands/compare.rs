//! `compare`: a table, and exit code 99 if something is shown to be worse by more than it may.

use std::path::Path;

use anyhow::Context;
use tickline_loadgen::compare::{Better, Comparison, Meaning, Row, Run, compare, runs};

use super::{CROSSED, NO_RESULT, Usage};
use crate::cli::CompareArgs;

pub(super) fn run(args: CompareArgs) -> anyhow::Result<u8> {
    let (base_name, head_name) = (args.base.display().to_string(), args.head.display().to_string());
    let (base, head) = (read(&args.base, &base_name)?, read(&args.head, &head_name)?);
    // The last one that names the metric counts, then the last one that names none.
    let threshold = |metric: &str| {
        let of =
            |wanted: Option<&str>| args.threshold.iter().rev().find(|(name, _)| name.as_deref() == wanted);
        of(Some(metric)).or_else(|| of(None)).map_or(DEFAULT, |(_, share)| *share)
    };
    let Comparison { rows, missing, new } =
        compare((&base_name, &base), (&head_name, &head), threshold).map_err(Usage::of)?;
    let known = |metric: &str| rows.iter().any(|row| row.metric == metric);
    if let Some(unknown) =
        args.threshold.iter().filter_map(|(name, _)| name.as_deref()).find(|name| !known(name))
    {
        let names: Vec<&str> = rows.iter().map(|row| row.metric.as_str()).collect();
        return Err(Usage::of(format!(
            "threshold: metric must be one of {}, found {unknown:?}",
            names.join(", ")
        )));
    }
    println!("{:<32}{:>16}{:>16}{:>10}   95 % of all intervals", "metric", "base", "head", "change");
    rows.iter().for_each(|row| println!("{}", line(row)));
    println!("{} runs of {base_name}, {} of {head_name}", base.len(), head.len());
    new.iter().for_each(|metric| println!("{metric}: only in {head_name}"));
    for metric in &missing {
        let of = |runs: &[Run]| runs.iter().filter(|run| run.contains_key(metric)).count();
        let (has, had) = (of(&head), of(&base));
        println!("{metric}: MISSING, {had} runs of {base_name} have it, {has} of {head_name}");
    }
    if !missing.is_empty() {
        return Ok(NO_RESULT);
    }
    Ok(if rows.iter().any(|row| row.meaning == Meaning::Worse) { CROSSED } else { 0 })
}

/// Worse by less than this is no alarm.
const DEFAULT: f64 = 0.05;

fn read(path: &Path, name: &str) -> anyhow::Result<Vec<Run>> {
    let text = std::fs::read_to_string(path).with_context(|| name.to_owned())?;
    runs(name, &text).map_err(Usage::of)
}

fn line(row: &Row) -> String {
    let Row { metric, base, head, change, interval, .. } = row;
    let meaning = match row.meaning {
        Meaning::Unchanged => "",
        Meaning::Small => "small",
        Meaning::Better => "better",
        Meaning::Worse => "WORSE",
    };
    let told = |change: f64| match row.better {
        Better::Fewer => format!("{change:+.1}"),
        Better::Higher | Better::Lower => format!("{:+.1} %", change * 100.0),
    };
    let (low, high) = (told(interval.0), told(interval.1));
    format!("{metric:<32}{base:>16.1}{head:>16.1}{:>10}   {low} to {high}  {meaning}", told(*change))
}
