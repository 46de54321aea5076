//! The engine: receives frames, has them decoded into batches of line protocol, has those written, and
//! accounts for every one of them. It owns threads, queues, clocks, signals and the command line; it reads no
//! venue's payload and speaks no database's protocol.

pub mod accepted;
pub mod alert;
pub mod canary;
pub mod channel;
pub mod cli;
pub mod control;
pub mod dashboard;
pub mod expected;
pub mod forward;
pub mod health;
pub mod history;
pub mod http;
pub mod latency;
pub mod ledger;
pub mod links;
mod log_limit;
mod losses;
pub mod metrics;
pub mod plan;
pub mod publish;
pub mod pulse;
pub mod quality;
pub mod quarantine;
pub mod queue;
pub mod rejects;
pub mod report;
pub mod rollup;
pub mod run;
pub mod service;
pub mod spawn;
pub mod stage;
pub mod state;
pub mod stats;
pub mod status_line;
pub mod stop;
pub mod surroundings;
pub mod up;
pub mod uptime;
pub mod validate;
pub mod view;
