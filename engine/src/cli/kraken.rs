//! `tickline kraken`: what only Kraken needs.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use tickline_feeds::connect::kraken::Pairs;

use super::{Exit, Failure, print_text};

/// Longest wait for Kraken.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// `kraken`
#[derive(Debug, Subcommand)]
pub(super) enum KrakenCommand {
    /// List the pairs that Kraken trades, with their names.
    Pairs(PairsArgs),
}

/// Arguments of `kraken pairs`.
#[derive(Debug, clap::Args)]
pub(super) struct PairsArgs {
    /// Kraken's REST.
    #[arg(long, value_name = "URL", default_value = "https://api.kraken.com")]
    url: String,
    /// Read an answer of AssetPairs from this file instead.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    file: Option<PathBuf>,
    /// Print a table for engine.kraken_pairs, with which the decoders know the names of pairs that are new.
    #[arg(long)]
    csv: bool,
    /// List those of these names that the built-in table does not know; it looks nothing up.
    #[arg(long, value_name = "NAME", num_args = 1.., conflicts_with_all = ["file", "csv"])]
    unknown: Vec<String>,
}

pub(super) fn run(command: &KrakenCommand) -> Result<Exit, Failure> {
    let KrakenCommand::Pairs(args) = command;
    if !args.unknown.is_empty() {
        return unknown(&args.unknown);
    }
    let body = match &args.file {
        Some(path) => {
            std::fs::read(path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?
        }
        None => fetch(&args.url).map_err(|error| Failure::failed(format!("{}: {error}", args.url)))?,
    };
    let pairs = Pairs::read(&body).map_err(|why| Failure::failed(format!("AssetPairs: {why}")))?;
    print_text(&table(&pairs, args.csv).map_err(Failure::failed)?)?;
    Ok(Exit::Ok)
}

fn unknown(names: &[String]) -> Result<Exit, Failure> {
    let known = super::launch::instruments(None)?;
    let mut unknown =
        names.iter().filter(|name| !known.kraken(name).1).cloned().collect::<Vec<_>>().join("\n");
    if !unknown.is_empty() {
        unknown.push('\n');
    }
    print_text(&unknown)?;
    Ok(Exit::Ok)
}

fn fetch(url: &str) -> reqwest::Result<Vec<u8>> {
    let client = reqwest::blocking::Client::builder().timeout(ANSWER_MAX).no_proxy().build()?;
    let answer = client.get(format!("{url}/0/public/AssetPairs")).send()?.error_for_status()?;
    Ok(answer.bytes()?.to_vec())
}

fn table(pairs: &Pairs, csv: bool) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    if csv {
        writeln!(out, "rest_name,altname,wsname,base,quote")?;
    } else {
        writeln!(
            out,
            "{:<16} {:<14} {:<14} {:>6} {:>6}  STATUS",
            "PAIR", "ASKED AS", "ANSWERED AS", "PRICE", "QTY"
        )?;
    }
    for (symbol, pair) in &pairs.by_name {
        let (base, quote) = symbol.split_once('/').unwrap_or((symbol, ""));
        if csv {
            writeln!(out, "{},{},{},{base},{quote}", pair.rest_name, pair.altname, pair.wsname)?;
        } else {
            let (price, qty) = (pair.price_digits, pair.qty_digits);
            writeln!(
                out,
                "{symbol:<16} {:<14} {:<14} {price:>6} {qty:>6}  {}",
                pair.altname, pair.rest_name, pair.status
            )?;
        }
    }
    Ok(out)
}
