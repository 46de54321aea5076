//! `tickline codec`: payloads between JSON and msgpack, standard input to standard output.

use std::io::{self, BufRead, Read, Write};

use clap::Subcommand;
use tickline_feeds::json::append_json;
use tickline_feeds::payload::{Decimals, PayloadWriter};
use tickline_feeds::transcode::transcode;

use super::{Exit, Failure};

/// `codec`
#[derive(Debug, Subcommand)]
pub(super) enum CodecCommand {
    /// JSON texts, one a line, to msgpack, one behind the other; decimals become texts, digit by digit.
    Json2mp {
        /// Numbers become floats instead of texts, whole ones, too: the type of a key never depends on its value.
        #[arg(long)]
        float64: bool,
    },
    /// One msgpack value to a line of JSON.
    Mp2json,
}

pub(super) fn run(command: &CodecCommand) -> Result<Exit, Failure> {
    match command {
        CodecCommand::Json2mp { float64 } => {
            json2mp(if *float64 { Decimals::Float64 } else { Decimals::Text })
        }
        CodecCommand::Mp2json => mp2json(),
    }
}

fn json2mp(decimals: Decimals) -> Result<Exit, Failure> {
    let mut writer = PayloadWriter::new(decimals);
    let mut out = io::stdout().lock();
    for (at, line) in io::stdin().lock().lines().enumerate() {
        let line = line.map_err(Failure::failed)?;
        if line.trim().is_empty() {
            continue;
        }
        writer.clear();
        let line_number = at + 1;
        transcode(&line, &[], &mut writer)
            .map_err(|error| Failure::failed(format!("line {line_number}: {error}")))?;
        out.write_all(writer.bytes()).map_err(Failure::failed)?;
    }
    Ok(Exit::Ok)
}

fn mp2json() -> Result<Exit, Failure> {
    let mut payload = Vec::new();
    io::stdin().lock().read_to_end(&mut payload).map_err(Failure::failed)?;
    let mut text = String::new();
    append_json(&payload, &mut text)
        .map_err(|why| Failure::failed(format!("msgpack: must be one whole value, found {}", why.name())))?;
    text.push('\n');
    super::print_text(&text)?;
    Ok(Exit::Ok)
}
