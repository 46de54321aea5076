//! Rules between several keys. Each is told at the key that was set last and names both; a rule whose keys are
//! wrong by themselves is not told again.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::filter::matches;
use crate::model::{Config, Durability, Feed, InfluxTarget, Sink, SinkKind};
use crate::suggest::nearest;
use crate::tree::{Node, Table};
use crate::violation::{Place, Violations};

/// Checks the rules of `config`, which was read from `tree`.
pub(crate) fn check(config: &Config, tree: &Table, violations: &mut Violations) {
    let mut rules = Rules { tree, violations };
    rules.engine(config);
    rules.ports(config);
    rules.forward(config);
    rules.sinks(config);
    rules.publishers(config);
    rules.archive(config);
    rules.retention(config);
    rules.rollups(config);
}

struct Rules<'a> {
    tree: &'a Table,
    violations: &'a mut Violations,
}

impl Rules<'_> {
    fn node(&self, path: &str) -> Option<&Node> {
        let mut parts = path.split('.');
        let first = self.tree.get(parts.next()?)?;
        parts.try_fold(first, |node, part| node.as_table()?.get(part))
    }

    fn place(&self, path: &str) -> Place {
        self.node(path).map_or_else(Place::default, |n| n.place)
    }

    fn found(&self, path: &str) -> String {
        self.node(path).map_or_else(|| "nothing".to_owned(), |n| n.value.found())
    }

    /// Records `rule` at the later of the two keys, unless one of them means nothing.
    fn broken(&mut self, a: &str, b: &str, rule: String) {
        if self.violations.concern(a) || self.violations.concern(b) {
            return;
        }
        let (later, place) = [a, b]
            .map(|k| (k, self.place(k)))
            .into_iter()
            .max_by_key(|(_, p)| *p)
            .unwrap_or((a, Place::default()));
        self.violations.add(place, later, rule);
    }

    /// `low` must be at most `high`.
    fn ordered<T: PartialOrd>(&mut self, low: (&str, T), high: (&str, T)) {
        if low.1 > high.1 {
            let found = format!("{} and {}", self.found(low.0), self.found(high.0));
            let rule = format!("{} must be at most {}, found {found}", low.0, high.0);
            self.broken(low.0, high.0, rule);
        }
    }

    fn engine(&mut self, config: &Config) {
        let e = &config.engine;
        self.ordered(("engine.batch_linger", e.batch_linger), ("engine.batch_age_max", e.batch_age_max));
        self.ordered(("engine.burst_max", e.burst_max), ("engine.queue_frames_max", e.queue_frames_max));
        // A frame larger than the queue could never be handed over.
        self.ordered(
            ("engine.message_bytes_max", e.message_bytes_max),
            ("engine.queue_bytes_max", e.queue_bytes_max),
        );
    }

    fn ports(&mut self, config: &Config) {
        let feeds: Vec<(&String, &Feed)> = config.feeds.iter().collect();
        for (i, (name, feed)) in feeds.iter().enumerate() {
            for (other_name, other) in feeds.iter().take(i) {
                if feed.endpoint == other.endpoint && feed.curve_server_key != other.curve_server_key {
                    let [a, b] = [other_name, name].map(|name| format!("feeds.{name}.curve_server_key"));
                    let at = &feed.endpoint;
                    self.broken(&a, &b, format!("{a} and {b} must be equal, since both are at {at}"));
                }
                if feed.endpoint == other.endpoint && feed.socket != other.socket {
                    let [a, b] = [other_name, name].map(|name| format!("feeds.{name}.socket"));
                    let at = &feed.endpoint;
                    self.broken(&a, &b, format!("{a} and {b} must be equal, since both are at {at}"));
                }
                if let Some(topic) = shared_topic(feed, other) {
                    let (a, b) = (format!("feeds.{other_name}"), format!("feeds.{name}"));
                    let at = &feed.endpoint;
                    self.broken(
                        &a,
                        &b,
                        format!(
                            "{a} and {b} must differ in endpoint or topic, found {topic:?} at {at} in both"
                        ),
                    );
                }
            }
            let Some(listen) = config.http.listen.filter(|l| l.port() != 0) else { continue };
            if host_and_port(&feed.endpoint)
                .is_some_and(|(host, port)| port == listen.port() && here(&host, listen.ip()))
            {
                let key = format!("feeds.{name}.endpoint");
                let rule = format!(
                    "http.listen and {key} must have different ports, found {} in both",
                    listen.port()
                );
                self.broken("http.listen", &key, rule);
            }
        }
    }

    /// Two publishers cannot bind one endpoint.
    fn publishers(&mut self, config: &Config) {
        let mut bound: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, publisher) in config.publishers.iter().filter(|(_, p)| !p.endpoint.ends_with(":*")) {
            if let Some(other) = bound.insert(&publisher.endpoint, name) {
                let [a, b] = [other, name].map(|name| format!("publishers.{name}.endpoint"));
                let found = &publisher.endpoint;
                self.broken(&a, &b, format!("{a} and {b} must differ, found {found:?} in both"));
            }
        }
    }

    /// A port is bound once.
    fn forward(&mut self, config: &Config) {
        let forward = &config.forward;
        let one = |key, endpoint: &Option<String>| endpoint.clone().map(|endpoint| (key, endpoint));
        let push = forward.push.iter().map(|endpoint| ("forward.push", endpoint.clone()));
        let bound = [one("forward.in", &forward.input), one("forward.out", &forward.output)];
        let bound: Vec<(&str, String)> = bound.into_iter().flatten().chain(push).collect();
        for (at, (key, endpoint)) in bound.iter().enumerate().filter(|(_, (_, e))| !e.ends_with(":*")) {
            if let Some((other, _)) = bound.iter().take(at).find(|(other, e)| other != key && e == endpoint) {
                let rule = format!("{other} and {key} must differ, found {endpoint:?} in both");
                self.broken(other, key, rule);
            }
        }
    }

    /// A list of feeds must name some that there are, or fit some.
    fn named_feeds(&mut self, config: &Config, key: &str, feeds: Option<&[String]>) {
        let fits = |glob: &&String| config.feeds.keys().any(|name| matches(glob, name));
        for feed in feeds.unwrap_or_default().iter().filter(|glob| !fits(glob)) {
            let near = nearest(feed, config.feeds.keys().map(String::as_str));
            let hint = near.map_or_else(String::new, |n| format!(", did you mean {n:?}"));
            self.broken(key, key, format!("must name feeds of the configuration, found {feed:?}{hint}"));
        }
    }

    fn archive(&mut self, config: &Config) {
        self.named_feeds(config, "archive.feeds", config.archive.feeds.as_deref());
        if config.archive.dir.as_ref() == Some(&config.engine.state_dir) {
            let found = self.found("archive.dir");
            let rule = format!("archive.dir and engine.state_dir must differ, found {found} in both");
            self.broken("archive.dir", "engine.state_dir", rule);
        }
    }

    fn sinks(&mut self, config: &Config) {
        let mut targets: BTreeMap<String, &str> = BTreeMap::new();
        let batch = ("engine.batch_bytes_max", config.engine.batch_bytes_max);
        for (name, sink) in &config.sinks {
            self.named_feeds(config, &format!("sinks.{name}.feeds"), sink.feeds.as_deref());
            // A batch that can never fit would wait for ever.
            if sink.durability != Durability::Memory && batch.1 as u64 > sink.spool.bytes_max / 2 {
                let key = format!("sinks.{name}.spool.max_bytes");
                let found = format!("{} and {}", self.found(batch.0), self.found(&key));
                let rule = format!("{} must be at most half of {key}, found {found}", batch.0);
                self.broken(batch.0, &key, rule);
            }
            let (key, target) = match &sink.kind {
                SinkKind::Influx(influx) | SinkKind::Victoria(influx) | SinkKind::Quest(influx) => {
                    self.ordered(
                        batch,
                        (&format!("sinks.{name}.request_bytes_max"), influx.request_bytes_max),
                    );
                    continue;
                }
                SinkKind::Postgres(postgres) => {
                    self.ordered(
                        batch,
                        (&format!("sinks.{name}.request_bytes_max"), postgres.request_bytes_max),
                    );
                    continue;
                }
                SinkKind::Parquet(parquet) => {
                    self.ordered(batch, (&format!("sinks.{name}.held_bytes_max"), parquet.held_bytes_max));
                    ("dir", parquet.dir.display().to_string())
                }
                SinkKind::File(file) => ("path", file.path.display().to_string()),
                SinkKind::Null => continue,
            };
            if let Some(other) = targets.insert(format!("{key} {target}"), name) {
                let (a, b) = (format!("sinks.{other}.{key}"), format!("sinks.{name}.{key}"));
                self.broken(&a, &b, format!("{a} and {b} must differ, found {target:?} in both"));
            }
        }
    }

    /// Bars are made by InfluxDB 1.
    fn rollups(&mut self, config: &Config) {
        let is_one = |sink: &Sink| match &sink.kind {
            SinkKind::Influx(influx) => matches!(influx.target, InfluxTarget::V1 { .. }),
            _ => false,
        };
        if config.rollups.policy.is_some() && !config.sinks.values().any(is_one) {
            let place = self.place("rollups.policy");
            self.violations.add(
                place,
                "rollups.policy",
                "needs an InfluxDB 1 sink (version = 1), found none",
            );
        }
    }

    fn retention(&mut self, config: &Config) {
        let mut default: Option<&str> = None;
        for (name, policy) in &config.retention {
            let key = |last: &str| format!("retention.{name}.{last}");
            if policy.duration.is_some_and(|d| d < policy.shard_duration) {
                let found =
                    format!("{} and {}", self.found(&key("shard_duration")), self.found(&key("duration")));
                let rule = format!("shard_duration must be at most duration, found {found}");
                self.broken(&key("shard_duration"), &key("duration"), rule);
            }
            if policy.default {
                if let Some(other) = default {
                    let other = format!("retention.{other}.default");
                    let rule = format!(
                        "at most one policy must be the default, found {other} and {}",
                        key("default")
                    );
                    self.broken(&other, &key("default"), rule);
                }
                default = Some(name);
            }
        }
    }
}

/// The topic that both feeds would take from one endpoint.
fn shared_topic<'a>(a: &'a Feed, b: &'a Feed) -> Option<&'a str> {
    let at = |feed: &Feed| {
        host_and_port(&feed.endpoint).map_or_else(|| feed.endpoint.clone(), |(h, p)| format!("{h}:{p}"))
    };
    if at(a) != at(b) {
        return None;
    }
    let topics = |feed: &'a Feed| std::iter::once(&feed.topic).chain(&feed.aliases);
    topics(a).find(|t| *t == "*" || topics(b).any(|o| o == *t || o == "*")).map(String::as_str)
}

/// Host and port of a TCP endpoint; localhost is 127.0.0.1.
fn host_and_port(endpoint: &str) -> Option<(String, u16)> {
    let (host, port) = endpoint.strip_prefix("tcp://")?.rsplit_once(':')?;
    let host = if host == "localhost" { "127.0.0.1" } else { host.trim_matches(['[', ']']) };
    Some((host.to_owned(), port.parse().ok()?))
}

/// Whether a publisher on `host` and a server listening on `listen` would want the same address.
fn here(host: &str, listen: IpAddr) -> bool {
    let Ok(host) = host.parse::<IpAddr>() else { return false };
    host == listen || host.is_loopback() && (listen.is_unspecified() || listen.is_loopback())
}
