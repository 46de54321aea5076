//! The commands that change a spool. Each takes its lock first, so that none works beside the engine.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;
use tickline_sinks::batch::Batch;
use tickline_sinks::sink::Request;
use tickline_sinks::spool::Spool;
use tickline_sinks::spool::fingerprint::fingerprint;
use tickline_sinks::spool::inspect::{cursor, is_of, verify};
use tickline_sinks::spool::store::Store;

use super::{Place, SpoolArgs, take};
use crate::cli::sender::Sender;
use crate::cli::{Exit, Failure, duration};
use crate::plan::bytes_text;
use crate::run::sinks::open_spool;

/// Arguments of `drop`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DropArgs {
    #[command(flatten)]
    spools: SpoolArgs,
    /// Only what is of another sink or version.
    #[arg(long)]
    foreign: bool,
    /// Really do it; without it, only say what would go.
    #[arg(long)]
    yes: bool,
}

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ReplayArgs {
    #[command(flatten)]
    spools: SpoolArgs,
    /// Also what was meant for another address, database or policy.
    #[arg(long)]
    foreign: bool,
    /// How long a sink that does not take a batch is tried, such as 30s.
    #[arg(long, value_parser = duration, default_value = "30s")]
    patience: Duration,
}

/// Opens each spool as the engine does, reads every record and, where something is damaged, writes those that are
/// whole once more, so that the damage goes.
pub(super) fn repair(args: &SpoolArgs) -> Result<Exit, Failure> {
    for place in args.places_to_change()? {
        let Some(sink) = place.sink.as_ref().filter(|_| place.dir.exists()) else { continue };
        let (mut spool, _lock) = open_spool(&place.dir, sink).map_err(|error| {
            Failure::failed(format!("{}: {error}; nothing was changed", place.dir.display()))
        })?;
        let (mut taken, mut batch) = (Vec::new(), Batch::default());
        while let Some(record) = spool.take_oldest(&mut batch).map_err(|error| place.failure(&error))? {
            taken.push(record);
        }
        let (stats, now) = (spool.stats(), OsClock::start().wall().0);
        taken.into_iter().for_each(|record| spool.give_back(record));
        if stats.damages > 0 {
            write_again(&mut spool, stats.points, now).map_err(|error| place.failure(&error))?;
        }
        spool.close(now).map_err(|error| place.failure(&error))?;
        println!(
            "{}: {} points are whole, {} were damaged in {} places; the bytes are in {}",
            place.name,
            stats.points,
            stats.damaged + stats.damaged_before,
            stats.damages,
            place.dir.join("quarantine").display()
        );
    }
    Ok(Exit::Ok)
}

/// Writes these many points once more behind the others and, when they are durable, lets the old ones go.
fn write_again(spool: &mut Spool, points: u64, now_ns: i64) -> io::Result<()> {
    let (mut old, mut new, mut batch, mut written) = (Vec::new(), Vec::new(), Batch::default(), 0);
    while written < points {
        let Some(record) = spool.take_oldest(&mut batch)? else { break };
        old.push(record);
        new.push(spool.append(&batch, now_ns).map_err(io::Error::other)?);
        written += batch.points;
    }
    spool.sync(now_ns)?;
    old.into_iter().for_each(|record| spool.acknowledge(record));
    new.into_iter().for_each(|record| spool.give_back(record));
    Ok(())
}

/// Removes segments, whatever is in them.
pub(super) fn drop_waiting(args: &DropArgs) -> Result<Exit, Failure> {
    for place in args.spools.places_to_change()? {
        if !place.dir.exists() {
            continue;
        }
        let (store, _lock) = take(&place.dir)?;
        let (mut points, mut bytes, mut count) = (0, 0, 0);
        for info in place.look()? {
            let foreign = matches!(place.owner(&info), "other sink" | "other version");
            if foreign != args.foreign {
                continue;
            }
            (points, count) = (points + info.points, count + 1);
            bytes += info.bytes;
            if args.yes {
                store.remove(&info.name).map_err(|error| place.failure(&error))?;
            }
        }
        let (name, bytes) = (&place.name, bytes_text(bytes));
        let what = if args.yes { "dropped" } else { "would be dropped, with --yes" };
        println!("{name}: {points} points, {bytes} in {count} segments {what}");
    }
    Ok(Exit::Ok)
}

/// Sends every segment to its sink and removes it once all of it is stored.
pub(super) fn replay(args: &ReplayArgs) -> Result<Exit, Failure> {
    for place in args.spools.places_to_change()? {
        let Some(model) = place.sink.as_ref().filter(|_| place.dir.exists()) else { continue };
        let (store, _lock) = take(&place.dir)?;
        let Some(engine) = &place.engine else { continue };
        let mut sender = Sender::open(&place.name, model, engine, args.patience)?;
        let mut left = 0;
        for info in place.look()? {
            let wanted = match place.owner(&info) {
                "other sink" => args.foreign,
                owner => owner == "this sink",
            };
            // What is stored already is not sent again.
            let own = fingerprint(model);
            let done = if is_of(&info, &own) { cursor(&store, &own) } else { 0 };
            if wanted {
                send_segment(&mut sender, &place, &store, &info.name, done)?;
            } else {
                left += 1;
            }
        }
        println!("{}: {} points stored, {} refused", place.name, sender.written, sender.rejected);
        if left > 0 {
            println!(
                "{}: {left} segments of another sink or version are left, see tickline spool ls and --foreign",
                place.name
            );
        }
    }
    Ok(Exit::Ok)
}

/// Sends a segment and, once all of it is stored, removes it.
fn send_segment(
    sender: &mut Sender,
    place: &Place,
    store: &dyn Store,
    name: &str,
    done: u64,
) -> Result<(), Failure> {
    let mut held = Vec::new();
    let sent = verify(store, name, &mut |head, lines| {
        if head.next_id() <= done {
            return Ok(());
        }
        let request = Request { lines: Bytes::copy_from_slice(lines), points: u64::from(head.points) };
        held.extend(sender.send(request)?);
        Ok(())
    });
    let kept = |error: io::Error| {
        Failure::failed(format!("{}: {name}: {error}; the segment is kept", place.dir.display()))
    };
    let info = sent.map_err(kept)?;
    sender.commit(&held).map_err(kept)?;
    if info.damages > 0 {
        let (place, places) = (&place.name, info.damages);
        println!("{place}: {name}: {places} damaged places; the segment is kept: tickline spool repair");
        return Ok(());
    }
    store.remove(name).map_err(kept)
}
