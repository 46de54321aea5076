//! The publishers of one process: started together, watched together, ended together and before the engine is, so that
//! a feed beside them hears their ends.

use std::sync::Arc;
use std::time::Duration;

use tickline_config::model::Config;
use tickline_config::model::publisher::Publisher;
use tickline_feeds::clock::Clock;
use tickline_feeds::curve::KeyPair;
use tickline_loadgen::door::{Door, DoorError, Porter};

use super::open::{Shared, open};
use super::pace::Pace;
use super::{PublishError, Running};
use crate::stop::Stop;
use crate::view::PublisherView;

/// Publishers that run.
pub struct Group {
    stop: Arc<Stop>,
    running: Vec<Running>,
    /// Empty once it has ended.
    contexts: Vec<zmq::Context>,
    porters: Vec<Porter>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("running", &self.running).finish_non_exhaustive()
    }
}

impl Group {
    /// Starts the publishers of the configuration that `wanted` takes. Each waits for the subscriptions of this process,
    /// or for a first one, at most `subscriber_wait` before it asks its venue for anything: what is published to nobody
    /// is lost.
    pub fn start(
        config: &Config,
        clock: &Arc<dyn Clock>,
        subscriber_wait: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Self, PublishError> {
        let (stop, pace) = (Arc::new(Stop::default()), Arc::new(Pace::default()));
        // The time of the start and the process tell publishers apart as well as anything random would.
        let seed = (clock.wall().0 as u64).rotate_left(17)
            ^ u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut group = Self { stop, running: Vec::new(), contexts: Vec::new(), porters: Vec::new() };
        for (name, publisher) in config.publishers.iter().filter(|(name, _)| wanted(name)) {
            let context = zmq::Context::new();
            let door = group.door(name, publisher, &context)?;
            let (clock, stop) = (Arc::clone(clock), Arc::clone(&group.stop));
            let subscriber_wait = (subscriber_wait, subscriptions(config, &publisher.endpoint).max(1));
            group.contexts.push(context.clone());
            group.running.push(open(
                name,
                publisher,
                &Shared { context, door, subscriber_wait, clock, stop, pace: Arc::clone(&pace), seed },
            )?);
        }
        Ok(group)
    }

    /// Who asks whom an encrypted publisher lets in is asked once a context, so that each has its own.
    fn door(
        &mut self,
        name: &str,
        publisher: &Publisher,
        context: &zmq::Context,
    ) -> Result<Option<Door>, PublishError> {
        let Some((secret, allowed)) = &publisher.curve else { return Ok(None) };
        let keys = |source: DoorError| PublishError::Keys { name: name.to_owned(), source };
        let own = KeyPair::of_secret(secret.expose()).map_err(|error| keys(error.into()))?;
        let door = Door::new(own, allowed).map_err(keys)?;
        self.porters.push(door.open(context).map_err(keys)?);
        Ok(Some(door))
    }

    /// What may be read of each.
    pub fn views(&self) -> Vec<PublisherView> {
        let view = |running: &Running| PublisherView {
            name: running.name.clone(),
            endpoints: running.endpoints.clone(),
            shown: Arc::clone(&running.shown),
        };
        self.running.iter().map(view).collect()
    }

    /// Why one of them gave up, if one did.
    pub fn failure(&self) -> Option<String> {
        self.stop.failure()
    }

    /// What tells of a failure.
    pub fn stop(&self) -> &Arc<Stop> {
        &self.stop
    }

    /// Says good-bye on every topic and waits for it.
    pub fn end(&mut self) {
        self.stop.drain();
        self.running.drain(..).for_each(Running::join);
        self.porters.clear();
        // What libzmq still has is sent now, within the linger of each socket.
        for mut context in self.contexts.drain(..) {
            if let Err(error) = context.destroy() {
                tracing::error!("publishers: {error}");
            }
        }
    }
}

/// Subscriptions that this process itself makes at an endpoint: those of its feeds, and of what is made from them.
fn subscriptions(config: &Config, endpoint: &str) -> u64 {
    let feeds = config.feeds.values().filter(|feed| feed.endpoint == endpoint);
    let topics: usize = feeds.map(|feed| 1 + feed.aliases.len()).sum();
    let listens = |publisher: &&Publisher| publisher.kind.listens_to() == Some(endpoint);
    (topics + config.publishers.values().filter(listens).count()) as u64
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}
