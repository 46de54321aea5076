//! `tickline ports`

use tickline_config::registry::{ports_json, ports_table};

use super::{Exit, Failure, print_text};

/// Arguments of `ports`.
#[derive(Debug, clap::Args)]
pub(super) struct PortsArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &PortsArgs) -> Result<Exit, Failure> {
    print_text(&if args.json { ports_json().map_err(Failure::failed)? } else { ports_table() })?;
    Ok(Exit::Ok)
}
