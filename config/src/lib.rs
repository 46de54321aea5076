//! The contracts of tickline: typed configuration, port registry, units, secrets, validation and the report
//! schema. It reads files and environment variables and nothing else: no network, no threads, no clock.

mod alert;
mod engine;
mod feed;
pub mod filter;
mod forward;
pub mod import;
mod keys;
mod load;
pub mod model;
mod publisher;
mod quick_run;
mod reader;
pub mod registry;
pub mod report;
mod rules;
pub mod schema;
pub mod secret;
mod session;
mod show;
mod sink;
mod suggest;
mod tree;
pub mod units;
mod up;
mod variables;
mod violation;

pub use load::Loaded;
pub use variables::Env;
pub use violation::{ConfigErrors, Violation};

/// `default.toml`: every key, described, with its default. `tickline config defaults` prints it.
pub const DEFAULTS: &str = include_str!("../default.toml");

/// What a point of each venue's feed takes, as `scripts/footprint` has measured it; `tickline plan --rate` reads it.
pub const FOOTPRINT: &str = include_str!("../footprint.json");

/// Kraken's pairs: `rest_name,altname,wsname,base,quote`, lines with `#` are comments.
pub const KRAKEN_CSV: &str = include_str!("../instruments/kraken.csv");
