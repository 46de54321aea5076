//! The configuration of a run without a file: feeds of the registry into one InfluxDB 1 database.

use crate::load::{Layers, Loaded};
use crate::model::Config;
use crate::reader::base_url;
use crate::registry;
use crate::suggest::nearest;
use crate::tree::{Node, Table, Value};
use crate::variables::Env;
use crate::violation::ConfigErrors;

impl Config {
    /// What `run --feed NAME... --influx URL` means, with the arguments of `--set`. The URL is
    /// `http://[USER:PASSWORD@]HOST:PORT/DATABASE`; the login is taken out of it and never shown.
    pub fn quick_run(
        feeds: &[String],
        influx: &str,
        sets: &[String],
        env: Env<'_>,
    ) -> Result<Loaded, ConfigErrors> {
        let mut layers = Layers::new();
        for feed in feeds {
            match registry::find(feed) {
                Some(row) => {
                    let place = layers.add_argument(&format!("--feed {feed}"));
                    let section = Node { place, value: Value::Table(Table::new()) };
                    layers.add_member("feeds", row.feed(), section);
                }
                None => layers.add_broken(format!("--feed {feed}"), &no_such_feed(feed)),
            }
        }
        match split_url(influx) {
            Some(target) => {
                let place = layers.add_argument("--influx");
                layers.login = Some(place.source);
                let text =
                    |(key, value): (&str, String)| (key.to_owned(), Node::text(place, escaped(&value)));
                let mut sink: Table = target.into_iter().map(text).collect();
                sink.insert("version".to_owned(), Node { place, value: Value::Integer(1) });
                layers.add_member("sinks", "influx", Node { place, value: Value::Table(sink) });
            }
            // Not repeated, since a login may stand in it.
            None => layers.add_broken(
                "--influx".to_owned(),
                "must be http://[USER:PASSWORD@]HOST:PORT/DATABASE, found another form",
            ),
        }
        sets.iter().for_each(|set| layers.add_set(set));
        layers.load(env)
    }
}

fn no_such_feed(name: &str) -> String {
    let feeds = registry::PORTS.iter().filter(|r| !r.decoder.is_empty()).map(registry::PortRow::feed);
    match nearest(name, feeds.clone()) {
        Some(near) => format!("must be a feed of the registry, did you mean {near:?}"),
        None => format!("must be a feed of the registry, one of {}", feeds.collect::<Vec<_>>().join(", ")),
    }
}

/// The keys of the sink that a URL means.
fn split_url(text: &str) -> Option<Vec<(&'static str, String)>> {
    let (scheme, rest) = text.split_once("://")?;
    let (authority, database) = rest.split_once('/')?;
    if database.is_empty() || database.contains(['/', '?', '#']) {
        return None;
    }
    let mut keys = vec![("kind", "influxdb".to_owned()), ("database", percent_decoded(database)?)];
    let host = match authority.rsplit_once('@') {
        Some((login, host)) => {
            let (username, password) = login.split_once(':')?;
            keys.push(("username", percent_decoded(username)?));
            keys.push(("password", percent_decoded(password)?));
            host
        }
        None => authority,
    };
    keys.push(("url", base_url(&format!("{scheme}://{host}"))?));
    Some(keys)
}

/// Shields a text of the command line from the expansion of variables, which is the shell's work there.
fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [char::from(rest.next()?), char::from(rest.next()?)];
                let [high, low] = [digits[0].to_digit(16)?, digits[1].to_digit(16)?];
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}
