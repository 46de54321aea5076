//! What the engine promises, one file a promise. One test binary, so that they share their rig and are linked
//! once.

mod clock_jumps;
mod command_line;
mod database;
mod failure;
mod forwarding;
mod frame_drops;
#[path = "../../../sinks/tests/influxd/mod.rs"]
mod influxd;
mod many_topics;
mod missing_database;
mod rig;
mod same_points;
mod signals;
mod slow_sink;
mod spool;
mod storm;
