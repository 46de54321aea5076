//! A new configuration for a run that goes on. Only feeds can change: everything that can fail is made first,
//! then each encoder gets its new feeds, then each socket its new topics, so that no frame finds its decoder
//! missing and a feed that stays the same is not touched.

use std::collections::BTreeSet;
use std::sync::Arc;

use tickline_config::model::{Config, Encode, Feed, Receive};

use super::start::decoder;
use super::{Run, StartError};
use crate::links::Monitor;
use crate::plan::{FeedPlan, ReceiverPlan, ThreadPlan, receiver_name};
use crate::stage::encode::NewFeed;
use crate::stage::receive::Order;
use crate::stage::socket::Subscriber;

/// A feed that is new or replaces another.
struct Fresh {
    plan: FeedPlan,
    new: NewFeed,
}

pub(super) fn apply(
    run: &mut Run,
    config: &Config,
    text: (String, Option<String>),
) -> Result<Vec<String>, StartError> {
    let sections = fixed_sections(&run.config, config);
    if !sections.is_empty() {
        return Err(StartError::NeedsRestart { sections: sections.join(", ") });
    }
    let changes = |differs: fn(&Feed, &Feed) -> bool| {
        let old = |feed: &Feed| run.config.feeds.values().find(|old| old.endpoint == feed.endpoint);
        config.feeds.values().any(|feed| old(feed).is_some_and(|old| differs(old, feed)))
    };
    // Both are the socket's.
    let of_sockets = [
        ("curve_server_key", changes(|old, new| old.curve_server_key != new.curve_server_key)),
        ("socket", changes(|old, new| old.socket != new.socket)),
    ];
    if let Some((key, _)) = of_sockets.iter().find(|(_, changed)| *changed) {
        return Err(StartError::NeedsRestart { sections: format!("feeds.NAME.{key}") });
    }
    if config.feeds.is_empty() {
        return Err(crate::plan::PlanError::NoFeed.into());
    }
    let before = run.endpoints.len();
    let old = std::mem::replace(&mut run.config, config.clone());
    let prepared = prepare(run, &old).and_then(|fresh| {
        let opened = open_new(run, before, &fresh)?;
        Ok((fresh, opened))
    });
    let (fresh, (sockets, monitors)) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            run.endpoints.truncate(before);
            run.up.truncate(before);
            run.config = old;
            return Err(error);
        }
    };
    let done = describe(&old, config);
    let changed = changed_endpoints(run, &old, &fresh);
    let new_feeds: Vec<(usize, NewFeed)> = fresh
        .into_iter()
        .map(|fresh| {
            run.feeds.push(fresh.plan.clone());
            run.active.push(Arc::clone(&fresh.new.active));
            (fresh.plan.encoder, fresh.new)
        })
        .collect();
    run.publish_names();
    run.monitors.extend(monitors);
    carry_out(run, new_feeds, &changed, sockets)?;
    *run.view.config.lock() = text;
    Ok(done)
}

/// Sections that differ and need a restart.
fn fixed_sections(old: &Config, new: &Config) -> Vec<&'static str> {
    let differ = [
        ("engine", old.engine != new.engine),
        ("http", old.http != new.http),
        ("compat", old.compat != new.compat),
        ("archive", old.archive != new.archive),
        ("sinks", old.sinks != new.sinks),
        ("publishers", old.publishers != new.publishers),
    ];
    differ.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

fn describe(old: &Config, new: &Config) -> Vec<String> {
    let names: BTreeSet<&String> = old.feeds.keys().chain(new.feeds.keys()).collect();
    let phrase = |name: &String| match (old.feeds.get(name), new.feeds.get(name)) {
        (None, Some(_)) => Some(format!("feed {name} added")),
        (Some(_), None) => Some(format!("feed {name} removed")),
        (Some(before), Some(after)) if before != after => Some(format!("feed {name} changed")),
        _ => None,
    };
    names.into_iter().filter_map(phrase).collect()
}

/// The feeds that are new or differ, with their decoders, and their endpoints among the run's.
fn prepare(run: &mut Run, old: &Config) -> Result<Vec<Fresh>, StartError> {
    let differ: Vec<_> =
        run.config.feeds.iter().filter(|(name, feed)| old.feeds.get(*name) != Some(*feed)).collect();
    let mut all = Vec::new();
    for (name, feed) in differ {
        let at = run.feeds.len() + all.len();
        let replaces = run.feeds.iter().rposition(|known| known.name == *name);
        let known = run.endpoints.iter().position(|endpoint| endpoint.as_ref() == Some(&feed.endpoint));
        let endpoint = known.unwrap_or(run.endpoints.len());
        if known.is_none() {
            run.endpoints.push(Some(feed.endpoint.clone()));
            run.up.push(Arc::default());
        }
        let before = replaces.and_then(|at| run.feeds.get(at));
        let encoder = match run.config.engine.encode {
            Encode::Inline => receiver_of(run, endpoint),
            Encode::Thread => before.map_or(at % run.encoders.len().max(1), |before| before.encoder),
        };
        let sinks = sinks_of(run, name);
        let plan = FeedPlan { name: name.clone(), feed: feed.clone(), endpoint, encoder, sinks };
        let decoder = decoder(&run.config, &plan, &run.instruments)?;
        let position = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        let up = run.up.get(endpoint).cloned().unwrap_or_default();
        let new = NewFeed::new(position(at), &plan, decoder, replaces.map(position), up);
        all.push(Fresh { plan, new });
    }
    Ok(all)
}

fn sinks_of(run: &Run, feed: &str) -> Vec<usize> {
    let sinks = run.config.sinks.values().enumerate();
    sinks.filter(|(_, sink)| sink.takes(feed)).map(|(at, _)| at).collect()
}

/// The receiver of an endpoint; for a new one, the receiver that will be started for it.
fn receiver_of(run: &Run, endpoint: usize) -> usize {
    if run.config.engine.receive == Receive::Multiplexed {
        return 0;
    }
    let has = run.receivers.iter().position(|receiver| receiver.endpoints.contains(&endpoint));
    // New receivers start in the order of their endpoints.
    has.unwrap_or_else(|| run.receivers.len() + endpoint - run.open_endpoints())
}

/// Sockets for the endpoints from `before` on.
fn open_new(
    run: &Run,
    before: usize,
    fresh: &[Fresh],
) -> Result<(Vec<Subscriber>, Vec<Monitor>), StartError> {
    (before..run.endpoints.len())
        .map(|at| {
            let here = fresh.iter().filter(|fresh| fresh.plan.endpoint == at);
            let routes = here.flat_map(|fresh| run.topic_routes(&fresh.plan, fresh.new.feed)).collect();
            run.open_socket(at, routes)
        })
        .collect()
}

/// Endpoints, known before, whose topics change: by position.
fn changed_endpoints(run: &Run, old: &Config, fresh: &[Fresh]) -> BTreeSet<usize> {
    let gone = run.feeds.iter().filter(|feed| {
        old.feeds.get(&feed.name) == Some(&feed.feed) && run.config.feeds.get(&feed.name) != Some(&feed.feed)
    });
    let known = run.open_endpoints();
    let all = gone.map(|feed| feed.endpoint).chain(fresh.iter().map(|fresh| fresh.plan.endpoint));
    all.filter(|endpoint| *endpoint < known).collect()
}

fn carry_out(
    run: &mut Run,
    mut feeds: Vec<(usize, NewFeed)>,
    changed: &BTreeSet<usize>,
    sockets: Vec<Subscriber>,
) -> Result<(), StartError> {
    let takers = run.encoders.iter().map(|(_, new)| Some(new.clone()));
    let takers: Vec<_> = if run.config.engine.encode == Encode::Inline {
        run.receivers.iter().map(|receiver| receiver.feeds.clone()).collect()
    } else {
        takers.collect()
    };
    for (at, taker) in takers.iter().enumerate() {
        if let Some(taker) = taker {
            super::start::give_feeds(&mut feeds, at, taker);
        }
    }
    for &endpoint in changed {
        let routes = run.routes(endpoint);
        if routes.is_empty()
            && let Some(name) = run.endpoints.get_mut(endpoint)
        {
            *name = None;
        }
        order(run, endpoint, Order::Routes(u16::try_from(endpoint).unwrap_or(u16::MAX), routes));
    }
    for socket in sockets {
        let at = usize::from(socket.at());
        if run.config.engine.receive == Receive::Multiplexed {
            if let Some(receiver) = run.receivers.first_mut() {
                receiver.endpoints.push(at);
            }
            order(run, at, Order::Open(Box::new(socket)));
        } else {
            let feed = run.feeds.iter().rfind(|feed| feed.endpoint == at).map_or("", |feed| &feed.name);
            // The position keeps the name unique when an endpoint comes, goes and comes again.
            let thread = ThreadPlan { name: format!("{}-{at}", receiver_name(feed)), core: None };
            run.start_blocking(&ReceiverPlan { thread, endpoints: vec![at] }, socket, &mut feeds)?;
        }
    }
    run.publish_names();
    Ok(())
}

fn order(run: &Run, endpoint: usize, order: Order) {
    if let Some(receiver) = run.receivers.iter().find(|receiver| receiver.endpoints.contains(&endpoint)) {
        // A receiver that has ended needs no order.
        receiver.orders.send(order).ok();
        if let Some(waker) = &receiver.waker
            && let Err(error) = waker.wake()
        {
            tracing::error!("receive: waking failed, found {error}");
        }
    }
}

impl Run {
    /// Endpoints that have had a socket so far.
    fn open_endpoints(&self) -> usize {
        self.view.endpoints.lock().len()
    }
}
