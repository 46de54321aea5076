//! `tickline db stats`

use std::fmt::Write;

use serde_json::json;
use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::rfc3339;
use tickline_sinks::admin::contents::Inventory;

use super::SinkArgs;
use crate::cli::words::count;
use crate::cli::{Exit, Failure, print_text};
use crate::plan::bytes_text;

/// Arguments of `db stats`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct StatsArgs {
    #[command(flatten)]
    sinks: SinkArgs,
    /// As JSON, an object a database.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &StatsArgs) -> Result<Exit, Failure> {
    let config = args.sinks.load()?.config;
    for database in args.sinks.databases(&config, false)? {
        let inventory = database.admin.inventory().map_err(|error| database.failed(error))?;
        let text =
            if args.json { as_json(&database.name, &inventory) } else { table(&database.name, &inventory) };
        print_text(&text)?;
    }
    Ok(Exit::Ok)
}

fn table(database: &str, inventory: &Inventory) -> String {
    let bytes: u64 = inventory.policy_bytes.values().sum();
    // Writing to a String cannot fail.
    let mut out = format!("{database}: {} on disk\n", bytes_text(bytes));
    writeln!(
        out,
        "{:<16} {:<18} {:>13} {:>14} {:>10}  {:<20} last",
        "policy", "measurement", "points", "values", "about", "first"
    )
    .ok();
    let second = |ns: i64| rfc3339(WallNanos(ns), 0);
    for of in &inventory.contents {
        writeln!(
            out,
            "{:<16} {:<18} {:>13} {:>14} {:>10}  {} {}",
            of.policy,
            of.measurement,
            count(of.points),
            count(of.values),
            bytes_text(of.bytes),
            second(of.first_ns),
            second(of.last_ns)
        )
        .ok();
    }
    out.push_str("bytes of a measurement are its share of its policy's files by values\n");
    out
}

fn as_json(database: &str, inventory: &Inventory) -> String {
    let rows = inventory.contents.iter().map(|of| {
        json!({ "policy": of.policy, "measurement": of.measurement, "points": of.points, "values": of.values,
            "bytes_about": of.bytes,
            "first_ns": of.first_ns, "last_ns": of.last_ns })
    });
    let rows: Vec<_> = rows.collect();
    format!("{}\n", json!({ "database": database, "policy_bytes": inventory.policy_bytes, "contents": rows }))
}
