//! `tickline check`

use std::sync::Arc;

use super::launch::{cores, instruments};
use super::{ConfigArgs, Exit, Failure, check_live};
use crate::expected::of_sink;
use crate::plan::Plan;
use tickline_config::model::{Config, Sink, SinkKind};
use tickline_feeds::decoder::{Decoder, DecoderSpec};
use tickline_feeds::schema::FieldType;
use tickline_sinks::open::require_built;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Also look at what it talks to: publishers' ports, databases, logins, stored types and retention.
    #[arg(long)]
    live: bool,
}

pub(super) fn run(args: &CheckArgs) -> Result<Exit, Failure> {
    let loaded = args.config.load()?;
    let config = &loaded.config;
    if let (true, Some(whose)) = (config.feeds.is_empty() && config.sinks.is_empty(), other_command(config)) {
        println!("the configuration is valid for {whose}; tickline run would need feeds and sinks");
        return Ok(Exit::Ok);
    }
    config.require_runnable().map_err(|error| args.config.hinted(Failure::configuration(error)))?;
    Plan::new(config, &cores()).map_err(Failure::configuration)?;
    let instruments = instruments(config.engine.kraken_pairs.as_deref())?;
    let wrong: Vec<String> = config
        .feeds
        .iter()
        .filter_map(|(name, feed)| {
            let spec = DecoderSpec { feed: feed.clone(), legacy_tick: config.compat.legacy_tick };
            Decoder::new(&spec, Arc::clone(&instruments)).err().map(|error| format!("feeds.{name}.{error}"))
        })
        .collect();
    let not_built = config.sinks.iter().filter_map(|(name, sink)| require_built(name, &sink.kind).err());
    let wrong: Vec<String> = wrong.into_iter().chain(not_built.map(|error| error.to_string())).collect();
    if !wrong.is_empty() {
        return Err(Failure::configuration(wrong.join("\n")));
    }
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let (feeds, sinks) = (count(config.feeds.len(), "feed"), count(config.sinks.len(), "sink"));
    let publishers = match config.publishers.len() {
        0 => String::new(),
        some => format!(", {}", count(some, "publisher")),
    };
    println!("the configuration is valid: {feeds}, {sinks}{publishers}");
    for (name, sink) in &config.sinks {
        if let Some(note) = not_kept(config, sink) {
            println!("note  sinks.{name}: {note}");
        }
    }
    if !args.live {
        return Ok(Exit::Ok);
    }
    let findings = check_live::findings(config);
    for finding in &findings {
        println!("{finding}");
    }
    Ok(check_live::exit(&findings))
}

/// What a database cannot keep of what the configuration sends there.
fn not_kept(config: &Config, sink: &Sink) -> Option<String> {
    let SinkKind::Victoria(_) = sink.kind else { return None };
    let expected = of_sink(config, sink);
    let texts = expected.iter().flat_map(|of| {
        let texts = of.fields.iter().filter(|(_, kind)| *kind == FieldType::String);
        texts.map(|(field, _)| format!("{}.{field}", of.measurement))
    });
    let texts: Vec<String> = texts.collect();
    Some(format!(
        "VictoriaMetrics keeps times in ms, so that ticks of one ms share theirs, and 0 for a text: {}; \
         tickline_sink_narrowed_total counts both",
        texts.join(", ")
    ))
}

/// The command that can use a configuration without feeds and sinks.
fn other_command(config: &Config) -> Option<&'static str> {
    if config.forward.output.is_some() || !config.forward.push.is_empty() {
        Some("tickline forward")
    } else if !config.publishers.is_empty() {
        Some("tickline publish")
    } else {
        None
    }
}
