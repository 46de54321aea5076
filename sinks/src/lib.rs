//! Batches of line protocol in, databases and files out. Owns the batch, the [`Sink`](sink::Sink) trait with
//! its five outcomes, the sinks themselves and the pure rules of retrying. It starts no threads, reads no
//! clock, and does not know which venue a line came from.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

pub mod admin;
pub mod batch;
mod disk;
pub mod file;
pub mod influx;
mod lines;
pub mod null;
pub mod open;
pub mod parquet;
#[cfg(feature = "postgresql")]
pub mod postgres;
pub mod questdb;
pub mod retry;
pub mod scripted;
pub mod sink;
pub mod spool;
pub mod victoria;
