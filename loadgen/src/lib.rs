//! Generates, replays and records market ticks on ZeroMQ. Owns scenarios, venue generators, open-loop pacing,
//! publishing and the load report. It promises that it loses nothing itself and says when it was the bottleneck.
//! It refuses to know the engine.

pub mod arrivals;
#[cfg(feature = "drill")]
pub mod certificate;
#[cfg(feature = "drill")]
pub mod child;
pub mod clock;
#[cfg(feature = "drill")]
pub mod compare;
pub mod curve;
pub mod door;
#[cfg(feature = "drill")]
pub mod drill;
#[cfg(feature = "drill")]
pub mod find_max;
#[cfg(feature = "drill")]
pub mod gate;
mod generator;
pub mod host;
#[cfg(feature = "drill")]
pub mod interval;
#[cfg(feature = "drill")]
pub mod measure;
#[cfg(feature = "drill")]
pub mod output;
pub mod owner;
pub mod pacing;
pub mod plan;
pub mod prng;
pub mod publish;
#[cfg(test)]
mod reading;
pub mod record;
pub mod replay;
pub mod result;
pub mod run;
pub mod scenario;
mod sender;
mod spawn;
pub mod target;
pub mod threshold;
mod ties;
#[cfg(feature = "drill")]
pub mod venue;
