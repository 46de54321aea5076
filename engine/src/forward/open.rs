//! Opening a forwarder: what it binds, what it connects to, and what it subscribes to by itself. Everything that can fail does
//! so here, before the first message.

use std::collections::BTreeSet;
use std::sync::Arc;

use tickline_config::filter::prefix;
use tickline_config::model::Config;
use tickline_feeds::clock::Clock;
use tickline_feeds::socket::{forward_in, forward_out, pusher};

use super::cache::Cache;
use super::hand::{Route, Share};
use super::output::Output;
use super::topics::Topics;
use super::upstream::Upstream;
use super::{Forwarder, Input};
use crate::log_limit::LogLimit;
use crate::stage::socket::{keep_alive, last_guard};
use crate::stop::Stop;

/// Why a forwarder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// A cache or routes, and nobody who could subscribe.
    #[error("forward.out: must be set for {needs}, found nothing")]
    NoOutput {
        /// What needs it.
        needs: &'static str,
    },
    /// ZeroMQ does not bind or connect.
    #[error("{key}: must be an endpoint that ZeroMQ can {verb}, found {endpoint:?} ({source})")]
    Endpoint {
        /// Key of the configuration.
        key: &'static str,
        /// `bind` or `connect to`
        verb: &'static str,
        /// As configured.
        endpoint: String,
        /// What ZeroMQ says.
        source: zmq::Error,
    },
    /// A socket cannot be made.
    #[error("forward: {0}")]
    Zmq(#[from] zmq::Error),
}

type Bound = Vec<(&'static str, String)>;

pub(super) fn open(
    config: &Config,
    clock: Arc<dyn Clock>,
    stop: Arc<Stop>,
) -> Result<Forwarder, ForwardError> {
    let forward = &config.forward;
    let needs = [("a cache", forward.cache.is_some()), ("routes", !config.routes.is_empty())];
    if let Some((needs, _)) = needs.into_iter().find(|(_, there)| *there && forward.output.is_none()) {
        return Err(ForwardError::NoOutput { needs });
    }
    let (context, mut bound) = (zmq::Context::new(), Bound::new());
    // Subscribers first: none of the first messages shall meet a socket that is not there.
    let output = open_output(config, &context, &mut bound)?;
    let share = open_workers(config, &context, &mut bound)?;
    let input = open_input(config, &context, &mut bound)?;
    let globs = config.routes.values().map(|route| route.topics.clone()).collect();
    let mut topics = Topics::new(globs, forward.cache.is_some(), !share.is_empty());
    let route = |(name, rule): (&String, _)| Route::new(name, rule, topics.find(rule_to(rule)));
    let routes = config.routes.iter().map(route).collect();
    let now = clock.mono();
    Ok(Forwarder {
        input: Input(input),
        output,
        topics,
        cache: forward.cache.map(Cache::new),
        routes,
        share,
        upstream: Upstream::new(),
        parts: Vec::new(),
        wanted: Default::default(),
        bound,
        messages: 0,
        bytes: 0,
        overflows: 0,
        refused: 0,
        rcvhwm: usize::try_from(config.engine.rcvhwm).unwrap_or(0),
        clock,
        began: now,
        ticked: now,
        behind: LogLimit::default(),
        stop,
        cell: Arc::default(),
    })
}

fn rule_to(rule: &tickline_config::model::Route) -> &[u8] {
    rule.to.as_bytes()
}

fn linger_ms(config: &Config) -> i32 {
    i32::try_from(config.engine.shutdown_timeout.as_millis()).unwrap_or(i32::MAX)
}

fn bind(
    key: &'static str,
    socket: &zmq::Socket,
    endpoint: &str,
    bound: &mut Bound,
) -> Result<(), ForwardError> {
    let refused =
        |source| ForwardError::Endpoint { key, verb: "bind", endpoint: endpoint.to_owned(), source };
    socket.bind(endpoint).map_err(refused)?;
    let last = socket.get_last_endpoint()?;
    bound.push((key, last.unwrap_or_else(|_| endpoint.to_owned())));
    Ok(())
}

fn open_output(
    config: &Config,
    context: &zmq::Context,
    bound: &mut Bound,
) -> Result<Option<Output>, ForwardError> {
    let Some(endpoint) = &config.forward.output else { return Ok(None) };
    let socket = forward_out(context, config.forward.queue_messages_max, linger_ms(config))?;
    keep_alive(&socket)?;
    bind("forward.out", &socket, endpoint, bound)?;
    Ok(Some(Output::new(socket)))
}

fn open_workers(config: &Config, context: &zmq::Context, bound: &mut Bound) -> Result<Share, ForwardError> {
    let mut share = Share::default();
    for endpoint in &config.forward.push {
        let socket = pusher(context, config.forward.queue_messages_max, linger_ms(config))?;
        keep_alive(&socket)?;
        bind("forward.push", &socket, endpoint, bound)?;
        share.add(endpoint.clone(), socket);
    }
    Ok(share)
}

fn open_input(
    config: &Config,
    context: &zmq::Context,
    bound: &mut Bound,
) -> Result<zmq::Socket, ForwardError> {
    let (engine, forward) = (&config.engine, &config.forward);
    let socket = forward_in(context, engine.rcvhwm, i32::try_from(engine.rcvbuf).unwrap_or(i32::MAX))?;
    keep_alive(&socket)?;
    socket.set_maxmsgsize(last_guard(engine.message_bytes_max))?;
    // What is kept for who comes late, or is handed out, must come before anyone asks for it.
    let everything = forward.cache.is_some() || !forward.push.is_empty();
    let globs = config.routes.values().flat_map(|route| &route.topics);
    let prefixes: BTreeSet<&str> =
        if everything { [""].into() } else { globs.map(|glob| prefix(glob)).collect() };
    for prefix in prefixes {
        socket.send([b"\x01", prefix.as_bytes()].concat(), 0)?;
    }
    if let Some(endpoint) = &forward.input {
        bind("forward.in", &socket, endpoint, bound)?;
    }
    for endpoint in &forward.from {
        let (key, verb) = ("forward.from", "connect to");
        let refused = |source| ForwardError::Endpoint { key, verb, endpoint: endpoint.clone(), source };
        socket.connect(endpoint).map_err(refused)?;
    }
    Ok(socket)
}
