//! `tickline-loadgen`: generates, replays and records market ticks.

mod cli;
mod commands;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let line = cli::CommandLine::parse();
    match commands::execute(line.command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("tickline-loadgen: {error:#}");
            ExitCode::from(commands::failed(&error))
        }
    }
}
