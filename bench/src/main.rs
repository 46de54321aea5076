//! `tickline-bench`: end-to-end runs against their floors. A sender process, the engine or the floor in this
//! process, a sink that forgets or InfluxDB; pairs of runs take turns, and medians are told.
//! Exit codes: 0 ok, 1 run-time failure, 2 usage, 3 invalid, 4 ledger, 78 configuration.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod e2e;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures tickline end to end, each time beside its floor.
#[derive(Debug, Parser)]
#[command(name = "tickline-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sender process, engine, sink: messages a second or latency, beside the floor.
    E2e(e2e::pairs::Arguments),
    /// The receive stage alone beside the raw receiver.
    Receive(e2e::receive::Arguments),
    /// Resident memory of `tickline run` with four feeds and many series.
    Rss(e2e::rss::Arguments),
    /// CPU by stage and memory of `tickline run`, by sockets and symbols.
    Cost(e2e::cost::Arguments),
    /// The forwarder beside libzmq's own proxy.
    Forward(e2e::forward::Arguments),
    /// How long a month of quotes takes for each query of the dashboards.
    Dashboards(e2e::dashboards::Arguments),
    /// The load generator flat out beside a bare libzmq sender.
    Generator(e2e::generator::Arguments),
    /// A publisher beside a bare loop from the same socket to ZeroMQ.
    Venue(e2e::venue::Arguments),
    /// Rows a second into PostgreSQL beside a bare COPY.
    #[cfg(feature = "bridges")]
    Postgres(e2e::postgres::Arguments),
    /// Sends: started by the others.
    #[command(hide = true)]
    Send(e2e::sender::Arguments),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_target(false)
        .init();
    let ended = match cli.command {
        Command::E2e(arguments) => e2e::pairs::run(&arguments),
        Command::Receive(arguments) => e2e::receive::run(&arguments),
        Command::Rss(arguments) => e2e::rss::run(&arguments),
        Command::Cost(arguments) => e2e::cost::run(&arguments),
        Command::Forward(arguments) => e2e::forward::run(&arguments),
        Command::Dashboards(arguments) => e2e::dashboards::run(&arguments),
        Command::Generator(arguments) => e2e::generator::run(&arguments),
        Command::Venue(arguments) => e2e::venue::run(&arguments),
        #[cfg(feature = "bridges")]
        Command::Postgres(arguments) => e2e::postgres::run(&arguments),
        Command::Send(arguments) => e2e::sender::run(&arguments),
    };
    let code = ended.unwrap_or_else(|error| {
        eprintln!("tickline-bench: {error:#}");
        e2e::Code::of(&error)
    });
    ExitCode::from(code as u8)
}
