//! Reads `[forward]`, `[routes.NAME]`, and the filter that a feed and a route have in common.

use crate::filter::{Condition, Filter};
use crate::keys::{FORWARD, ROUTE};
use crate::model::{CacheLimits, Forward, Route};
use crate::reader::{Context, Reader, is_endpoint, list_of_texts};
use crate::registry;
use crate::tree::{Node, Value};

pub(crate) fn read_forward(node: &Node, context: &mut Context<'_>) -> Option<Forward> {
    let mut r = Reader::open("forward", node, &[&FORWARD], context, &|_| None)?;
    let from = r.special("from", |value| endpoints(value, is_endpoint)).unwrap_or_default();
    let push = r.special("push", |value| endpoints(value, is_bind)).unwrap_or_default();
    let bind = |r: &mut Reader<'_, '_, '_>, key, device, needed: bool| match r.special(key, bind) {
        None if needed && !r.has(key) => Some(format!("tcp://127.0.0.1:{}", registry::find(device)?.port)),
        other => other,
    };
    let input = bind(&mut r, "in", "forwarder_in", from.is_empty());
    let output = bind(&mut r, "out", "forwarder_out", push.is_empty());
    let cache = r.flag("cache");
    let limits =
        CacheLimits { entries_max: r.number("cache_entries_max"), bytes_max: r.memory("cache_bytes_max") };
    Some(Forward {
        input,
        from,
        output,
        push,
        queue_messages_max: r.number("queue_messages_max"),
        cache: cache.then_some(limits),
    })
}

pub(crate) fn read_route(path: &str, node: &Node, context: &mut Context<'_>) -> Option<Route> {
    let mut r = Reader::open(path, node, &[&ROUTE], context, &|_| None)?;
    let topics = globs(&mut r, "topics");
    let to = r.text("to").unwrap_or_default();
    if topics.iter().any(|glob| crate::filter::matches(glob, &to)) {
        r.wrong("to", format!("must be another topic than those of topics, found {to:?}"));
    }
    Some(Route { topics, filter: read_filter(&mut r), to })
}

/// `include`, `exclude` and `where` of a section that has them.
pub(crate) fn read_filter(r: &mut Reader<'_, '_, '_>) -> Filter {
    let (include, exclude) = (globs(r, "include"), globs(r, "exclude"));
    Filter { include, exclude, condition: r.special("where", condition) }
}

/// A list of globs, which has at least one where it is there.
fn globs(r: &mut Reader<'_, '_, '_>, key: &str) -> Vec<String> {
    let globs = r.texts(key);
    if globs.as_ref().is_some_and(Vec::is_empty) {
        r.wrong(key, "must have at least one, found none");
    }
    globs.unwrap_or_default()
}

fn condition(value: &Value) -> Option<Condition> {
    if let Value::Text(text) = value { Condition::parse(text) } else { None }
}

fn endpoints(value: &Value, fits: fn(&str) -> bool) -> Option<Vec<String>> {
    let list = list_of_texts(value).filter(|list| list.iter().all(|text| fits(text)))?;
    // Free ports are different ones.
    let named = |text: &&String| !text.ends_with(":*");
    let repeated =
        |(at, text): (usize, &String)| list.iter().take(at).filter(named).any(|other| other == text);
    (!list.iter().enumerate().any(repeated)).then_some(list)
}

pub(crate) fn bind(value: &Value) -> Option<String> {
    if let Value::Text(text) = value { Some(text.clone()).filter(|text| is_bind(text)) } else { None }
}

/// Whether a text is an endpoint to bind: any address may be listened on, and a free port taken.
fn is_bind(text: &str) -> bool {
    let Some((host, port)) = text.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':')) else {
        return is_endpoint(text);
    };
    let (host, port) = (if host == "*" { "0.0.0.0" } else { host }, if port == "*" { "1" } else { port });
    is_endpoint(&format!("tcp://{host}:{port}"))
}
