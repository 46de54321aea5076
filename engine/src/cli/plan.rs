//! `tickline plan`

use std::fmt::Write;

use tickline_config::model::{Config, Durability, WhenFull};

use super::launch::cores;
use super::{ConfigArgs, Exit, Failure, print_text};
use crate::plan::{Plan, ThreadPlan, bytes_text};

mod rate;

use rate::RateArgs;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    rate: RateArgs,
}

pub(super) fn run(args: &PlanArgs) -> Result<Exit, Failure> {
    let loaded = args.config.load_runnable().map_err(|failure| args.config.hinted(failure))?;
    let plan = Plan::new(&loaded.config, &cores()).map_err(Failure::configuration)?;
    let mut out = text(&loaded.config, &plan).map_err(Failure::failed)?;
    args.rate.append(&loaded.config, &mut out)?;
    print_text(&out)?;
    Ok(Exit::Ok)
}

fn text(config: &Config, plan: &Plan) -> Result<String, std::fmt::Error> {
    let mut out = String::from("threads\n");
    threads(config, plan, &mut out)?;
    writeln!(out, "queues")?;
    let engine = &config.engine;
    for thread in &plan.encoders {
        let (frames, bytes) = (engine.queue_frames_max, bytes_text(engine.queue_bytes_max as u64));
        writeln!(
            out,
            "  {:<24} {frames} frames, {bytes}, when full {}",
            thread.name,
            policy(engine.when_full)
        )?;
    }
    for sink in &plan.sinks {
        let (name, batches, spool) = (&sink.name, sink.sink.queue_batches_max, &sink.sink.spool);
        if sink.spooler.is_none() {
            writeln!(out, "  {name:<24} {batches} batches, when full {}", policy(sink.sink.when_full))?;
            continue;
        }
        let (bytes, when_full) = (bytes_text(spool.bytes_max), policy(spool.when_full));
        writeln!(out, "  {name:<24} {batches} batches, when full spool")?;
        writeln!(out, "  {:<24} {bytes} on disk, when full {when_full}", format!("spool of {name}"))?;
    }
    writeln!(out, "memory, at most")?;
    for row in &plan.memory {
        writeln!(out, "  {:<36} {:>12}  {}", row.what, bytes_text(row.bytes), row.bound)?;
    }
    writeln!(out, "  {:<36} {:>12}", "in all", bytes_text(plan.memory_bytes()))?;
    let apart = bytes_text(plan.libzmq_bytes);
    writeln!(
        out,
        "  {:<36} {apart:>12}  rcvhwm × message_bytes_max × endpoints, if every message were that large",
        "libzmq may hold"
    )?;
    writeln!(out, "files")?;
    for (what, path) in &plan.files {
        writeln!(out, "  {what:<24} {path}")?;
    }
    Ok(out)
}

fn threads(config: &Config, plan: &Plan, out: &mut String) -> std::fmt::Result {
    let core = |thread: &ThreadPlan| {
        thread.core.map_or_else(|| "any core".to_owned(), |core| format!("core {core}"))
    };
    for receiver in &plan.receivers {
        let endpoints: Vec<&str> =
            receiver.endpoints.iter().filter_map(|at| plan.endpoints.get(*at)).map(String::as_str).collect();
        let thread = &receiver.thread;
        writeln!(out, "  {:<24} {:<9} receives {}", thread.name, core(thread), endpoints.join(", "))?;
    }
    for (thread, at) in plan.encoders.iter().zip(0..) {
        let feeds = plan.feeds.iter().filter(|feed| feed.encoder == at);
        let feeds: Vec<&str> = feeds.map(|feed| feed.name.as_str()).collect();
        writeln!(out, "  {:<24} {:<9} encodes {}", thread.name, core(thread), feeds.join(", "))?;
    }
    for (sink, thread) in plan.sinks.iter().filter_map(|sink| Some((sink, sink.spooler.as_ref()?))) {
        let how = durability(sink.sink.durability);
        writeln!(out, "  {:<24} {:<9} puts on disk for {}: {how}", thread.name, core(thread), sink.name)?;
    }
    if let Some(thread) = &plan.archiver {
        writeln!(out, "  {:<24} {:<9} keeps raw frames", thread.name, core(thread))?;
    }
    for writer in &plan.writers {
        let name = plan.sinks.get(writer.sink).map_or("", |sink| &sink.name);
        writeln!(out, "  {:<24} {:<9} writes to {name}", writer.thread.name, core(&writer.thread))?;
    }
    for (name, publisher) in &config.publishers {
        writeln!(
            out,
            "  {:<24} {:<9} publishes on {}",
            format!("pub-{name}"),
            "any core",
            publisher.endpoint
        )?;
    }
    Ok(())
}

fn durability(durability: Durability) -> &'static str {
    match durability {
        Durability::Memory => "nothing",
        Durability::Spill => "what the sink does not take in time",
        Durability::Journal => "everything, then sent",
        Durability::JournalSync => "everything, synced, then sent",
    }
}

fn policy(when_full: WhenFull) -> &'static str {
    match when_full {
        WhenFull::Block => "block",
        WhenFull::DropOldest => "drop_oldest",
        WhenFull::DropNewest => "drop_newest",
    }
}
