//! Opening the sockets of a run: topics, keys, and a monitor for each.

use tickline_config::model::{Encode, SocketKind};
use tickline_feeds::curve::{CurveError, KeyPair};

use super::{Run, StartError};
use crate::links::Monitor;
use crate::plan::FeedPlan;
use crate::stage::socket::{SocketSpec, Subscriber, TopicRoute};

impl Run {
    pub(super) fn open_sockets(&self) -> Result<(Vec<Subscriber>, Vec<Monitor>), StartError> {
        let open = (0..self.endpoints.len()).map(|at| self.open_socket(at, self.routes(at)));
        if self.context.is_some() { open.collect() } else { Ok(Default::default()) }
    }

    /// Opens the socket of an endpoint.
    pub(super) fn open_socket(
        &self,
        at: usize,
        routes: Vec<TopicRoute>,
    ) -> Result<(Subscriber, Monitor), StartError> {
        let endpoint = self.endpoints.get(at).cloned().flatten().unwrap_or_default();
        // The feeds at one endpoint have the same key. On a reload they are configured before they are in the plan.
        let of = self.config.feeds.iter().find(|(_, feed)| feed.endpoint == endpoint);
        let feed = of.map_or_else(String::new, |(name, _)| name.clone());
        let engine = &self.config.engine;
        let refused =
            |source| StartError::Endpoint { feed: feed.clone(), endpoint: endpoint.clone(), source };
        let server = of.and_then(|(_, feed)| feed.curve_server_key.clone());
        let own = || match &engine.curve_secret_key {
            Some(secret) => KeyPair::of_secret(secret.expose()),
            None => KeyPair::generate(),
        };
        let curve = server.map(|server| Ok((own()?, server))).transpose().map_err(refused)?;
        let spec = SocketSpec {
            endpoint: endpoint.clone(),
            at: u16::try_from(at).unwrap_or(u16::MAX),
            kind: of.map_or(SocketKind::Sub, |(_, feed)| feed.socket),
            message_bytes_max: engine.message_bytes_max,
            burst_max: engine.burst_max,
            curve,
            routes,
        };
        let context = self.context.as_ref().ok_or(CurveError::Zmq(zmq::Error::ETERM));
        context.and_then(|context| Subscriber::open(context, engine, spec)).map_err(refused)
    }

    /// Topics of the feeds of an endpoint that are configured now.
    pub(super) fn routes(&self, endpoint: usize) -> Vec<TopicRoute> {
        let views = self.view.feeds.lock();
        let feeds = self.feeds.iter().zip(views.iter()).zip(0u16..);
        let here = feeds.filter(|((feed, view), _)| feed.endpoint == endpoint && view.active);
        here.flat_map(|((feed, _), at)| self.topic_routes(feed, at)).collect()
    }

    /// Topics of one feed.
    pub(super) fn topic_routes(&self, feed: &FeedPlan, at: u16) -> Vec<TopicRoute> {
        let queue = if self.config.engine.encode == Encode::Inline { 0 } else { feed.encoder };
        let topics = std::iter::once(&feed.feed.topic).chain(&feed.feed.aliases);
        let route =
            |topic: &String| TopicRoute { topic: (topic != "*").then(|| topic.clone()), feed: at, queue };
        topics.map(route).collect()
    }
}
