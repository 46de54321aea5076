//! The forwarder: publishers in (XSUB), subscribers out (XPUB), subscriptions the other way; beside it a last-value cache,
//! routes to other topics, and workers that share the symbols. Messages pass as they are. It promises that whatever it drops,
//! gives up or leaves out is counted; it decodes nothing but what a cache key, a route or a share needs, and keeps no
//! message back.

use std::collections::HashSet;
use std::sync::Arc;

use tickline_config::model::Config;
use tickline_feeds::clock::{Clock, MonoNanos};
use tickline_feeds::framing::split_single;
use tickline_feeds::rewrite::resent;
use zmq::{DONTWAIT, Error};

use crate::log_limit::LogLimit;
use crate::stats::Cell;
use crate::stop::Stop;

mod cache;
mod hand;
mod look;
mod open;
mod outlet;
mod output;
pub mod pages;
mod report;
mod topics;
mod upstream;

use cache::Cache;
use hand::{Route, Share};
use look::single;
pub use open::ForwardError;
use output::Output;
pub use report::{CacheCounts, ForwardReport, RouteCounts, TopicCounts, UpstreamCounts, WorkerCounts};
use topics::Topics;
use upstream::Upstream;

/// Messages taken before subscriptions are looked at again.
const BURST_MAX: usize = 1_000;
/// Longest wait without looking at the end of the run, ms.
const LOOK_EVERY_MS: i64 = 100;
/// How often heartbeats are sent and numbers published.
const TICK_NS: u64 = 1_000_000_000;
/// Parts of a message that is passed on; data have two.
const PARTS_MAX: usize = 64;

/// A forwarder whose sockets are open.
#[derive(Debug)]
pub struct Forwarder {
    input: Input,
    output: Option<Output>,
    topics: Topics,
    cache: Option<Cache>,
    routes: Vec<Route>,
    share: Share,
    upstream: Upstream,
    /// The message being passed on.
    parts: Vec<zmq::Message>,
    /// Prefixes that were subscribed to since the cache was last asked.
    wanted: HashSet<Box<[u8]>>,
    bound: Vec<(&'static str, String)>,
    messages: u64,
    bytes: u64,
    overflows: u64,
    refused: u64,
    rcvhwm: usize,
    clock: Arc<dyn Clock>,
    began: MonoNanos,
    ticked: MonoNanos,
    behind: LogLimit,
    stop: Arc<Stop>,
    cell: Arc<Cell<ForwardReport>>,
}

/// The side of the publishers.
struct Input(zmq::Socket);

impl Forwarder {
    /// Binds and connects what `[forward]` says.
    pub fn open(config: &Config, clock: Arc<dyn Clock>, stop: Arc<Stop>) -> Result<Self, ForwardError> {
        open::open(config, clock, stop)
    }

    /// What it has bound, by key, with the ports that were free.
    pub fn bound(&self) -> &[(&'static str, String)] {
        &self.bound
    }

    /// Where its numbers are published once a second and at its end.
    pub fn cell(&self) -> Arc<Cell<ForwardReport>> {
        Arc::clone(&self.cell)
    }

    /// The loop; ends when the run is drained, with everything passed on that had come by then.
    pub fn run(mut self) {
        let ended = self.serve().and_then(|()| self.end());
        if let Err(error) = ended {
            self.stop.fail(format!("forward: {error}"));
        }
        self.publish();
    }

    fn serve(&mut self) -> Result<(), Error> {
        let mut more = false;
        while self.stop.running() {
            if !more {
                self.wait()?;
            }
            self.subscriptions()?;
            more = self.burst(BURST_MAX)?;
            self.tick()?;
        }
        Ok(())
    }

    fn wait(&self) -> Result<(), Error> {
        let mut items = vec![self.input.0.as_poll_item(zmq::POLLIN)];
        items.extend(self.output.as_ref().map(|output| output.socket().as_poll_item(zmq::POLLIN)));
        match zmq::poll(&mut items, LOOK_EVERY_MS) {
            Ok(_) | Err(Error::EINTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Passes on up to `most` messages. Returns whether there may be more.
    fn burst(&mut self, most: usize) -> Result<bool, Error> {
        for _ in 0..most {
            if !self.receive()? {
                return Ok(false);
            }
            self.pass()?;
        }
        Ok(true)
    }

    /// Takes one message with all of its parts, if there is one.
    fn receive(&mut self) -> Result<bool, Error> {
        let Self { input: Input(input), parts, .. } = self;
        parts.clear();
        let mut part = zmq::Message::new();
        match input.recv(&mut part, DONTWAIT) {
            Ok(()) => {}
            Err(Error::EAGAIN | Error::EINTR) => return Ok(false),
            Err(error) => return Err(error),
        }
        let mut more = part.get_more();
        parts.push(part);
        while more {
            // The parts of a message arrive together.
            let mut part = zmq::Message::new();
            input.recv(&mut part, 0)?;
            more = part.get_more();
            if parts.len() <= PARTS_MAX {
                parts.push(part);
            }
        }
        Ok(true)
    }

    /// Passes the message on.
    fn pass(&mut self) -> Result<(), Error> {
        let Some(first) = self.parts.first() else { return Ok(()) };
        if self.parts.len() > PARTS_MAX {
            self.refused += 1;
            return Ok(());
        }
        let bytes: usize = self.parts.iter().map(|part| part.len()).sum();
        let at = self.topics.find(if self.parts.len() > 1 { first } else { single(first).0 });
        let topic = self.topics.get_mut(at);
        topic.counts.messages += 1;
        topic.counts.bytes += bytes as u64;
        self.messages += 1;
        self.bytes += bytes as u64;
        if topic.is_looked_at {
            topic.heard = true;
            self.look(at)?;
        }
        if let Some(output) = &mut self.output {
            let mut parts = self.parts.drain(..);
            let Some(first) = parts.next() else { return Ok(()) };
            if output.send(&first, parts)? {
                self.topics.get_mut(at).counts.overflows += 1;
                self.overflow();
            }
        }
        Ok(())
    }

    #[cold]
    fn overflow(&mut self) {
        self.overflows += 1;
        if let Some(suppressed) = self.behind.admit(self.clock.mono()) {
            let more = suppressed.map_or_else(String::new, |n| format!(" (suppressed {n} such lines)"));
            tracing::warn!(
                "a subscriber is behind and misses messages: forward.queue_messages_max wait for it{more}"
            );
        }
    }

    /// Subscriptions travel on to the publishers, and the cache hears of them.
    fn subscriptions(&mut self) -> Result<(), Error> {
        let Some(output) = &self.output else { return Ok(()) };
        loop {
            let mut message = zmq::Message::new();
            match output.socket().recv(&mut message, DONTWAIT) {
                Ok(()) => {}
                Err(Error::EAGAIN | Error::EINTR) => break,
                Err(error) => return Err(error),
            }
            // What subscribers may say beside that is of no use to a publisher.
            let Some((kind @ (0 | 1), prefix)) = message.split_first() else { continue };
            if *kind == 1 && self.cache.is_some() {
                self.wanted.insert(Box::from(prefix));
            }
            self.input.0.send(message, 0)?;
        }
        if self.wanted.is_empty() { Ok(()) } else { self.replay() }
    }

    /// Sends the last values of the topics that were subscribed to, marked as sent again.
    #[cold]
    fn replay(&mut self) -> Result<(), Error> {
        let wanted = std::mem::take(&mut self.wanted);
        let begins = |name: &[u8]| {
            (0..=name.len()).filter_map(|bytes| name.get(..bytes)).any(|start| wanted.contains(start))
        };
        let of: Vec<bool> = self.topics.iter().map(|topic| begins(&topic.name)).collect();
        let (Some(cache), Some(output)) = (&mut self.cache, &mut self.output) else { return Ok(()) };
        let mut overflows = 0;
        cache.replay(
            |topic| of.get(topic) == Some(&true),
            |parts| {
                let mut parts = parts.to_vec();
                mark(&mut parts);
                let mut parts = parts.into_iter();
                let first = parts.next().unwrap_or_default();
                overflows += u64::from(output.send(&first, parts)?);
                Ok::<(), Error>(())
            },
        )?;
        (0..overflows).for_each(|_| self.overflow());
        Ok(())
    }

    /// Once a second: heartbeats of what is handed on by choice, and the numbers for whoever looks.
    fn tick(&mut self) -> Result<(), Error> {
        let mono = self.clock.mono();
        if mono.since(self.ticked) < TICK_NS {
            return Ok(());
        }
        self.ticked = mono;
        let now = self.clock.wall();
        for topic in self.topics.own_mut().filter(|topic| topic.heard) {
            topic.heard = false;
            for &route in &topic.routes {
                self.routes.get_mut(route).into_iter().for_each(|route| route.heard = true);
            }
            self.share.heartbeats(&topic.name, now)?;
        }
        for route in &mut self.routes {
            if let Some((heartbeat, output)) = route.heartbeat(now).zip(self.output.as_mut()) {
                self.overflows += u64::from(output.send(&route.to, [heartbeat].into_iter())?);
            }
        }
        self.publish();
        Ok(())
    }

    /// Passes on what has come, and says the last word on every line of its own.
    fn end(&mut self) -> Result<(), Error> {
        self.burst(self.rcvhwm)?;
        let now = self.clock.wall();
        for route in &self.routes {
            if let Some(output) = &mut self.output {
                route.end(now, output)?;
            }
        }
        self.share.end(now)
    }
}

/// Marks a message as sent again; what is no map stays as it is.
fn mark(parts: &mut [Vec<u8>]) {
    match parts {
        [single] => {
            let Some((topic, payload)) = split_single(single) else { return };
            if let Some(marked) = resent(payload) {
                *single = [topic, b" ", &marked].concat();
            }
        }
        [_, payload, ..] => {
            if let Some(marked) = resent(payload) {
                *payload = marked;
            }
        }
        [] => {}
    }
}
