//! The command line of `venue`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tickline_loadgen::venue::Pace;
use tickline_loadgen::venue::fault::Fault;

use super::values::duration;

#[derive(Debug, Args)]
pub(crate) struct VenueArgs {
    /// Which venue
    pub(crate) venue: VenueArg,
    /// Where it listens; Betfair's login is on the port after it
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Give what was recorded: CBCAP1 for Kraken, Lean tick zips for OANDA, mcm lines for Betfair
    #[arg(long = "recording", value_name = "FILE")]
    pub(crate) recordings: Vec<PathBuf>,
    /// How many pairs, instruments or markets, or their names separated by commas
    #[arg(long, default_value = "3", value_name = "N|LIST")]
    pub(crate) symbols: Symbols,
    /// Messages a second such as 50/s, a recording's speed such as 10x, or max; without it 50/s or 1x
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<Pace>,
    /// So many messages of each stream; without it no end
    #[arg(long, value_name = "N")]
    pub(crate) messages: Option<u64>,
    /// KIND [COUNT] [DURATION] [after N] [of STREAM], such as 'skip 3 after 100 of trade BTC/USD'; may be repeated
    #[arg(long = "fault", value_name = "FAULT")]
    pub(crate) faults: Vec<Fault>,
    /// The same seed gives the same prices
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Serve over TLS, and write ca.pem, client.pem and client.key into this folder
    #[arg(long, value_name = "FOLDER", required_if_eq("venue", "betfair"))]
    pub(crate) tls: Option<PathBuf>,
    /// How long, such as 10s; without it until stopped
    #[arg(long, value_parser = duration)]
    pub(crate) duration: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VenueArg {
    Kraken,
    Oanda,
    Betfair,
}

/// A number or names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Symbols {
    Count(usize),
    Named(Vec<String>),
}

impl FromStr for Symbols {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(count @ 1..=10_000) => Ok(Self::Count(count)),
            Err(_) if !text.is_empty() => Ok(Self::Named(text.split(',').map(str::to_owned).collect())),
            _ => Err(format!("symbols: must be 1..=10000, or names separated by commas, found {text:?}")),
        }
    }
}
