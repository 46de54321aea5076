//! `tickline check --live`: is each port taken by a publisher, and would each database take the points? It
//! writes one point of `_tickline_probe` to each InfluxDB: nothing less proves that a login may write.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use tickline_config::model::{Config, Influx, InfluxTarget, Sink, SinkKind};
use tickline_feeds::clock::Clock;
use tickline_feeds::schema::{MEASUREMENTS, Measurement, SYSTEM_FIELDS};
use tickline_loadgen::clock::OsClock;
use tickline_sinks::admin::{Admin, AdminError, StoredKey, probe};
use tickline_sinks::open::open;
use tickline_sinks::sink::Outcome;

use super::Exit;
use super::schema::type_name;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    state: State,
    what: String,
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    Note,
    Bad,
    /// Only another configuration or database can make it right.
    Refused,
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Good => "ok  ",
            State::Note => "note",
            State::Bad => "FAIL",
            State::Refused => "BAD ",
        };
        write!(f, "{state}  {}: {}", self.what, self.detail)
    }
}

fn finding(state: State, what: &str, detail: impl Display) -> Finding {
    Finding { state, what: what.to_owned(), detail: detail.to_string() }
}

/// How the process ends after these findings.
pub(super) fn exit(findings: &[Finding]) -> Exit {
    let has = |state| findings.iter().any(|finding| finding.state == state);
    if has(State::Refused) {
        Exit::Configuration
    } else if has(State::Bad) {
        Exit::Failed
    } else {
        Exit::Ok
    }
}

/// Looks at everything.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let endpoints: BTreeSet<&str> = config.feeds.values().map(|feed| feed.endpoint.as_str()).collect();
    let mut findings: Vec<Finding> = endpoints.into_iter().map(endpoint).collect();
    for (name, sink) in &config.sinks {
        if let SinkKind::Influx(influx) = &sink.kind {
            findings.extend(database(config, name, sink, influx));
        } else {
            findings.push(opened(config, name, sink));
        }
    }
    findings
}

/// A publisher that is not up yet is no error: ZeroMQ waits for it.
fn endpoint(endpoint: &str) -> Finding {
    let Some(address) = endpoint.strip_prefix("tcp://") else {
        return finding(State::Note, endpoint, "cannot be tried, it is not tcp");
    };
    let addresses = match address.to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) => return finding(State::Bad, endpoint, format!("the host must be known: {error}")),
    };
    let mut last = String::from("no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(_) => return finding(State::Good, endpoint, "someone listens"),
            Err(error) => last = error.to_string(),
        }
    }
    finding(State::Note, endpoint, format!("no publisher yet ({last})"))
}

fn opened(config: &Config, name: &str, sink: &Sink) -> Finding {
    let what = format!("sinks.{name}");
    // The engine opens it in the same way; what it holds is empty and leaves nothing behind.
    match open(name, &config.engine.instance, OsClock::start().wall().0, sink) {
        Ok(_) => finding(State::Good, &what, "can be written"),
        Err(error) => finding(State::Refused, &what, error),
    }
}

fn database(config: &Config, name: &str, sink: &Sink, influx: &Influx) -> Vec<Finding> {
    let what = format!("sinks.{name}");
    let admin = match Admin::new(name, influx) {
        Ok(admin) => admin,
        Err(error) => return vec![finding(State::Refused, &what, error)],
    };
    let mut findings = Vec::new();
    match admin.ping() {
        Ok(version) => {
            let version = version.unwrap_or_else(|| "version not told".to_owned());
            findings.push(finding(State::Good, &what, format!("reachable, {version}")));
        }
        Err(error) => return vec![finding(State::Bad, &what, error)],
    }
    findings.push(may_write(config, name, sink));
    findings.push(match admin.write_policy() {
        Ok(policy) => {
            let kept = policy
                .duration
                .map_or_else(|| "for ever".to_owned(), |t| format!("{} h", t.as_secs() / 3600));
            finding(State::Good, &what, format!("points go to {} and are kept {kept}", policy.name))
        }
        Err(error @ AdminError::Unsupported { .. }) => finding(State::Note, &what, error),
        Err(error) => finding(State::Refused, &what, error),
    });
    if matches!(influx.target, InfluxTarget::V1 { .. }) {
        match admin.field_keys().and_then(|fields| Ok((fields, admin.tag_keys()?))) {
            Ok((fields, tags)) => findings.extend(conflicts(&what, &fields, &tags)),
            Err(error) => findings.push(finding(State::Refused, &what, error)),
        }
    }
    findings
}

fn may_write(config: &Config, name: &str, sink: &Sink) -> Finding {
    let what = format!("sinks.{name}");
    let now = OsClock::start().wall().0;
    let mut opened = match open(name, &config.engine.instance, now, sink) {
        Ok(opened) => opened,
        Err(error) => return finding(State::Refused, &what, error),
    };
    match opened.write(&probe(&config.engine.instance, now)) {
        Outcome::Stored { rejected, .. } if rejected.is_empty() => finding(State::Good, &what, "may write"),
        Outcome::Stored { detail, .. } => {
            finding(State::Refused, &what, format!("must store points: {}", detail.unwrap_or_default()))
        }
        Outcome::Split(fault) | Outcome::NotSent(fault) | Outcome::InDoubt(fault) => {
            let detail = format!("must be allowed to write: code {}, {}", fault.code, fault.detail);
            finding(State::Refused, &what, detail)
        }
        Outcome::Held => finding(State::Note, &what, "takes points, durable at the next commit"),
    }
}

/// Stored fields and tags that contradict the schema: InfluxDB would refuse such points.
fn conflicts(what: &str, fields: &[StoredKey], tags: &[StoredKey]) -> Vec<Finding> {
    let measurement = |name: &str| MEASUREMENTS.iter().find(|known| known.name == name);
    let expected = |measurement: &Measurement, key: &str| {
        let all = measurement.fields.iter().chain(SYSTEM_FIELDS);
        all.into_iter().find(|field| field.name == key).map(|field| type_name(field.kind))
    };
    let mut conflicts = Vec::new();
    for stored in fields {
        let Some(known) = measurement(&stored.measurement) else { continue };
        let place = format!("{}.{}", stored.measurement, stored.key);
        if known.tags.contains(&stored.key.as_str()) {
            let detail = format!("{place}: must be a tag, found a stored field");
            conflicts.push(finding(State::Refused, what, detail));
        } else if let Some(kind) = expected(known, &stored.key).filter(|kind| *kind != stored.kind) {
            let detail = format!("{place}: must be {kind}, found stored as {}", stored.kind);
            conflicts.push(finding(State::Refused, what, detail));
        }
    }
    for stored in tags {
        let Some(known) = measurement(&stored.measurement) else { continue };
        if expected(known, &stored.key).is_some() {
            let detail =
                format!("{}.{}: must be a field, found a stored tag", stored.measurement, stored.key);
            conflicts.push(finding(State::Refused, what, detail));
        }
    }
    if conflicts.is_empty() {
        conflicts.push(finding(State::Good, what, "no conflict with what is stored"));
    }
    conflicts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(measurement: &str, key: &str, kind: &str) -> StoredKey {
        StoredKey { measurement: measurement.into(), key: key.into(), kind: kind.into() }
    }

    #[test]
    fn stored_types_and_tags_that_contradict_the_schema_are_named() {
        let fields = [
            key("kraken_tick", "bid", "string"),
            key("kraken_tick", "pair", "string"),
            key("kraken_tick", "ask", "float"),
            key("kraken_tick", "recv_ns", "float"),
            key("someone_else", "bid", "string"),
        ];
        let tags = [key("oanda_tick", "bid", ""), key("oanda_tick", "instrument", "")];
        let found = conflicts("sinks.i", &fields, &tags);
        let details: Vec<&str> = found.iter().map(|finding| finding.detail.as_str()).collect();
        let expected = [
            "kraken_tick.bid: must be float, found stored as string",
            "kraken_tick.pair: must be a tag, found a stored field",
            "kraken_tick.recv_ns: must be integer, found stored as float",
            "oanda_tick.bid: must be a field, found a stored tag",
        ];
        assert_eq!(details, expected);
        assert_eq!(exit(&found), Exit::Configuration);
        assert_eq!(exit(&conflicts("sinks.i", &fields[2..3], &[])), Exit::Ok);
    }
}
