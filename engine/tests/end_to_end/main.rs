//! Proofs from ZeroMQ to what is stored: the program runs as its user starts it, against a real influxd, real
//! files and a publisher in another language. One file a promise, one test binary, so that they are linked once.

mod alerts_reach_somebody;
mod archive_is_the_record;
mod bad_input_stops_nothing;
mod bars_are_made;
mod baskets_are_stored;
mod browser;
mod commands_of_the_bus;
mod configurations_are_validated;
mod dashboards_show_something;
mod databases_are_kept;
mod days_are_judged;
mod encrypted_feeds;
mod everything_comes_up;
mod examples_run;
mod filters_count_what_they_leave_out;
mod first_start_is_guided;
mod foreign_publisher;
mod forwarder;
mod forwarder_passes_everything;
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
#[cfg(feature = "postgresql")]
#[path = "../../../sinks/tests/postgresql/server.rs"]
mod postgres;
#[cfg(feature = "postgresql")]
mod postgres_holds_what_was_sent;
mod program;
mod publisher;
mod publishers_are_heard_from_first_to_last;
mod publishers_store_what_a_replay_stores;
mod queries_answer;
mod readme_commands_run;
mod recordings_arrive_complete;
mod routes_number_what_they_pass_on;
mod sent;
mod server_outage_loses_nothing;
mod service_is_told;
mod shares_keep_each_symbol_in_order;
mod spool_commands;
mod status_page;
mod ties_stay_apart;
mod trouble_is_told;
mod twins_store_once;
