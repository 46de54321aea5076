//! Decodes messages of one shape and nothing else worth counting: `scripts/instructions` runs it under valgrind
//! at two numbers of messages, and the difference is what one message costs. The set-up is the same for both
//! numbers: as many messages are always made.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use tickline_bench::shapes::Shape;
use tickline_feeds::cursor::Cursor;

/// Messages before the count begins: every symbol known, every buffer grown.
const WARM: usize = 1_024;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Work {
    /// The whole decoder: msgpack in, lines out.
    Decode,
    /// The floor: the cursor walks over the message.
    Walk,
}

#[derive(Debug, Parser)]
struct Arguments {
    /// Name of the shape; without it all names are listed.
    #[arg(long)]
    shape: Option<String>,
    /// Messages decoded after the warm-up.
    #[arg(long, default_value_t = 0)]
    messages: usize,
    /// Messages made.
    #[arg(long, default_value_t = 4_096)]
    made: usize,
    /// What is done with each message.
    #[arg(long, value_enum, default_value_t = Work::Decode)]
    work: Work,
    /// Seed of the messages.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let Some(name) = &arguments.shape else {
        for shape in Shape::all() {
            println!("{} {}", shape.name, shape.source());
        }
        return Ok(());
    };
    let shape =
        Shape::named(name).with_context(|| format!("shape: must be one of the list, found {name:?}"))?;
    ensure!(arguments.messages <= arguments.made, "messages: must be at most --made");
    let messages = shape.run(arguments.seed, WARM + arguments.made).take(WARM + arguments.made);
    let (warm, counted) = messages.split_at(WARM);
    let counted = &counted[..arguments.messages];
    match arguments.work {
        Work::Walk => walk(counted)?,
        Work::Decode => {
            let mut decoder = shape.decoder();
            let mut lines = Vec::with_capacity(1 << 20);
            for (at, message) in (0..).zip(warm) {
                decoder.decode(&shape.frame(message, at), &mut lines);
                lines.clear();
            }
            for (at, message) in (WARM as u64..).zip(counted) {
                black_box(decoder.decode(&shape.frame(black_box(message), at), &mut lines));
                lines.clear();
            }
            ensure!(decoder.counts().undecodable_total() == 0, "some message could not be decoded");
        }
    }
    Ok(())
}

fn walk(messages: &[Vec<u8>]) -> Result<()> {
    for message in messages {
        black_box(Cursor::check(black_box(message))).map_err(|why| anyhow::anyhow!("{}", why.name()))?;
    }
    Ok(())
}
