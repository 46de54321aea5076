//! Proofs from ZeroMQ to what is stored: the program runs as its user starts it, against a real influxd, real
//! files and a publisher in another language. One file a promise, one test binary, so that they are linked once.

mod archive_is_the_record;
mod bad_input_stops_nothing;
mod encrypted_feeds;
mod foreign_publisher;
mod holes_are_named_and_audited;
mod hostile_connections;
#[path = "../../../sinks/tests/influxd/mod.rs"]
mod influxd;
mod influxdb_holds_what_was_sent;
mod load_is_measured;
mod missing_database_loses_nothing;
mod old_recordings_need_a_policy;
mod parquet_reads_elsewhere;
mod points;
mod program;
mod publisher;
mod readme_commands_run;
mod recordings_arrive_complete;
mod sent;
mod server_outage_loses_nothing;
mod spool_commands;
mod ties_stay_apart;
mod twins_store_once;
