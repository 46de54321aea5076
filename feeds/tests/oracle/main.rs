//! Every line that a decoder writes is read back by the `influxdb-line-protocol` parser, which knows nothing of
//! us, and compared with what the payload means: golden files of another implementation, generated payloads,
//! hostile ones, recordings, and times that collide.

mod betfair_connector;
mod betfair_ladders;
mod deadband;
mod expected;
mod filter;
mod generated;
mod generated_orders;
mod generated_records;
mod golden;
mod hostile;
mod orders;
mod reading;
mod recordings;
mod resent;
mod rig;
mod ties;
mod tree;
