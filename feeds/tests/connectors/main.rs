//! Connectors are played the part of a venue: what they publish, send and wait for is looked at, and every hole in what
//! they were told must be an event.

mod bars;
mod basket;
mod crossings;
mod definitions;
mod derived;
mod derived_books;
mod derived_example;
mod derived_source;
mod kraken_books;
mod kraken_executions;
mod kraken_missing;
mod kraken_quotes;
mod kraken_trades;
mod recording;
mod rig;
mod statistics;
mod synthetic;
mod unpack;
