//! `tickline check --live`: is each port taken by a publisher, and would each database take the points? It
//! writes one point of `_tickline_probe` to each InfluxDB: nothing less proves that a login may write.

mod stored;
mod tables;

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::fs::OpenOptions;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use tickline_config::model::{Config, Durability, Influx, InfluxTarget, Retention, Sink, SinkKind};
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;
use tickline_sinks::admin::{Admin, AdminError, Change, Policy, changes, probe, refuse_losses, spoken};
use tickline_sinks::open::open;
use tickline_sinks::sink::{FaultKind, Outcome};
use tickline_sinks::spool::inspect::segments;
use tickline_sinks::spool::store::{LocalStore, Store};

use super::Exit;
use crate::http::bind;
use crate::plan::{bytes_text, spool_dir};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A tick is stored at its venue's time if that is at most this old (WIRE.md, Points).
const LATE_MAX: Duration = Duration::from_secs(48 * 3_600);

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
    // What this process publishes itself is there with it.
    let own = |endpoint: &&str| config.publishers.values().any(|publisher| publisher.endpoint == *endpoint);
    let mut findings: Vec<Finding> =
        endpoints.into_iter().filter(|endpoint| !own(endpoint)).map(endpoint).collect();
    findings.extend(config.publishers.iter().map(|(name, publisher)| port(name, &publisher.endpoint)));
    if let Some(address) = config.http.listen {
        findings.push(match bind(address) {
            Ok(_) => finding(State::Good, "http.listen", format!("{address} is free")),
            // The engine that this configuration is meant for may be up.
            Err(error) => finding(State::Note, "http.listen", error),
        });
    }
    findings.extend(folders(config));
    for (name, sink) in &config.sinks {
        findings.extend(spool(name, sink, &config.engine.state_dir));
        match &sink.kind {
            SinkKind::Influx(influx) => findings.extend(database(config, name, sink, influx)),
            SinkKind::Victoria(_) => findings.push(may_write(config, name, sink)),
            SinkKind::Quest(_) | SinkKind::Postgres(_) => {
                findings.extend(tables::findings(config, name, sink))
            }
            SinkKind::Parquet(_) | SinkKind::File(_) | SinkKind::Null => findings.push(files(name, sink)),
        }
    }
    findings
}

/// Whether a publisher of this process can bind its port.
fn port(name: &str, endpoint: &str) -> Finding {
    let what = format!("publishers.{name}.endpoint");
    let context = zmq::Context::new();
    let bound = context.socket(zmq::XPUB).and_then(|socket| socket.bind(endpoint));
    match bound {
        Ok(()) => finding(State::Good, &what, format!("{endpoint} is free")),
        // The process that this configuration is meant for may be up.
        Err(error) => finding(State::Note, &what, format!("{endpoint}: {error}")),
    }
}

/// The folders of the engine itself.
fn folders(config: &Config) -> Vec<Finding> {
    let archive = config.archive.dir.as_deref().map(|dir| ("archive.dir", dir));
    let folder = |(key, dir): (&str, &Path)| match try_to_write(dir) {
        Ok(()) => finding(State::Good, key, format!("{} can be written", dir.display())),
        Err(error) => {
            let detail = format!("must be writable, found {:?}: {error}", dir.display().to_string());
            finding(State::Refused, key, detail)
        }
    };
    [("engine.state_dir", config.engine.state_dir.as_path())].into_iter().chain(archive).map(folder).collect()
}

/// What waits on disk for a sink, and whether its disk has the room that the configuration gives it.
fn spool(name: &str, sink: &Sink, state_dir: &Path) -> Option<Finding> {
    let dir = spool_dir(state_dir, name, sink);
    let waiting: u64 = segments(&LocalStore::at(&dir))
        .unwrap_or_default()
        .iter()
        .filter_map(|segment| dir.join(segment).metadata().ok())
        .map(|segment| segment.len())
        .sum();
    let what = format!("sinks.{name}.spool");
    let held = bytes_text(waiting);
    if sink.durability == Durability::Memory {
        let why =
            format!("durability is \"memory\", but an earlier run has left {held} in {}", dir.display());
        return (waiting > 0).then(|| finding(State::Refused, &what, why));
    }
    let there = dir.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let wanted = sink.spool.bytes_max.saturating_sub(waiting).saturating_add(sink.spool.free_bytes_min);
    Some(match LocalStore::at(there).free_bytes() {
        Ok(free) if free < wanted => {
            let (free, wanted) = (bytes_text(free), bytes_text(wanted));
            let short = format!("the disk has {free} free, max_bytes and min_free_bytes may take {wanted}");
            finding(State::Note, &what, format!("{held} on disk in {}; {short}", dir.display()))
        }
        Ok(_) => {
            finding(State::Good, &what, format!("{held} on disk in {}, and room for the rest", dir.display()))
        }
        Err(error) => finding(State::Bad, &what, format!("{}: {error}", dir.display())),
    })
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

/// Tries to write where a sink of files would, and leaves nothing behind. The sink itself is not opened: an
/// engine that runs may hold it.
fn files(name: &str, sink: &Sink) -> Finding {
    let what = format!("sinks.{name}");
    let path = match &sink.kind {
        SinkKind::Parquet(parquet) => &parquet.dir,
        SinkKind::File(file) => &file.path,
        _ => {
            return finding(State::Good, &what, "takes everything");
        }
    };
    match try_to_write(path) {
        Ok(()) => finding(State::Good, &what, format!("{} can be written", path.display())),
        Err(error) => {
            let detail = format!("must be writable, found {:?}: {error}", path.display().to_string());
            finding(State::Refused, &what, detail)
        }
    }
}

/// A file is opened, in a folder or the innermost one that is there a file is made and removed.
fn try_to_write(path: &Path) -> io::Result<()> {
    if path.is_file() {
        return OpenOptions::new().append(true).open(path).map(drop);
    }
    let absolute = std::path::absolute(path)?;
    let dir = absolute.ancestors().find(|path| path.exists()).unwrap_or(&absolute);
    let probe = dir.join(format!(".tickline-check-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    std::fs::remove_file(probe)
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
    match admin.write_policy().and_then(|policy| Ok((policy, admin.policies()?))) {
        Ok((policy, policies)) => findings.extend(kept(&what, &policy, &policies, &config.retention)),
        Err(error @ AdminError::Unsupported { .. }) => findings.push(finding(State::Note, &what, error)),
        Err(error @ AdminError::Missing { .. }) => {
            findings.push(finding(State::Refused, &what, format!("{error}{}", hint(influx, config))));
            return findings;
        }
        Err(error) => findings.push(finding(State::Refused, &what, error)),
    }
    findings.push(may_write(config, name, sink));
    findings.extend(match admin.field_keys().and_then(|fields| Ok((fields, admin.tag_keys()?))) {
        Ok((fields, tags)) => {
            let conflicts = stored::conflicts(config, &fields, &tags);
            let none =
                conflicts.is_empty().then(|| finding(State::Good, &what, "no conflict with what is stored"));
            let refused = conflicts.iter().map(|conflict| finding(State::Refused, &what, conflict));
            refused.chain(none).collect()
        }
        Err(error @ AdminError::Unsupported { .. }) => vec![finding(State::Note, &what, error)],
        Err(error) => vec![finding(State::Refused, &what, error)],
    });
    findings
}

/// What creates a database or policy.
fn hint(influx: &Influx, config: &Config) -> String {
    let InfluxTarget::V1 { retention_policy, .. } = &influx.target else {
        return ": must be created with the server's own tools".to_owned();
    };
    match retention_policy {
        Some(policy) if !config.retention.contains_key(policy) => {
            let known: Vec<&str> = config.retention.keys().map(String::as_str).collect();
            format!(": no [retention.{policy}] is configured, only {}", known.join(", "))
        }
        _ => ": tickline db apply creates it".to_owned(),
    }
}

/// How long points are kept, against ticks that come late and against what the configuration lists.
fn kept<'a>(
    what: &str,
    policy: &Policy,
    policies: &[Policy],
    wanted: impl IntoIterator<Item = (&'a String, &'a Retention)>,
) -> Vec<Finding> {
    let goes = format!("points go to {}, which keeps them {}", policy.name, spoken(policy.duration));
    let mut findings = vec![match policy.duration {
        Some(time) if time < LATE_MAX => {
            let late = spoken(Some(LATE_MAX));
            let detail = format!(
                "{goes}: ticks that come later than that are refused, and up to {late} late they may be"
            );
            finding(State::Note, what, detail)
        }
        _ => finding(State::Good, what, goes),
    }];
    let changes = changes(Some(policies), wanted);
    findings.extend(refuse_losses(&changes).err().map(|error| finding(State::Refused, what, error)));
    findings.extend(changes.iter().filter(|change| !change.loses()).filter_map(|change| match change {
        Change::CreateDatabase => None,
        Change::Create(Policy { name, .. })
        | Change::Alter { to: Policy { name, .. }, .. }
        | Change::MakeDefault { to: name, .. } => {
            let detail = format!("retention {name} is not as configured: tickline db apply changes it");
            Some(finding(State::Note, what, detail))
        }
    }));
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
        Outcome::NotSent(fault) | Outcome::InDoubt(fault) if fault.kind == FaultKind::Transient => {
            finding(State::Bad, &what, format!("does not take writes now: {}", fault.detail))
        }
        Outcome::Split(fault) | Outcome::NotSent(fault) | Outcome::InDoubt(fault) => {
            finding(State::Refused, &what, format!("must be allowed to write: {}", fault.detail))
        }
        Outcome::Held => finding(State::Note, &what, "takes points, durable at the next commit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(hours: Option<u64>) -> Policy {
        let duration = hours.map(|hours| Duration::from_secs(hours * 3_600));
        let shard_duration = Duration::from_secs(3_600);
        Policy { name: "p".into(), duration, shard_duration, default: true }
    }

    #[test]
    fn a_policy_that_drops_late_ticks_or_is_not_as_configured_is_named() {
        let keys = ["duration=\"90d\"", "shard_duration=\"1h\""];
        let sets = keys.map(|key| format!("retention.p.{key}"));
        let config = Config::load(&[], &sets, &|_| None).unwrap().config;
        let wanted = config.retention.iter().filter(|(name, _)| *name == "p");
        let said = |hours| {
            let found = kept("sinks.i", &policy(hours), &[policy(hours)], wanted.clone());
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            said(Some(24)),
            [
                "note  sinks.i: points go to p, which keeps them 1d: ticks that come later than that are refused, and up to 2d late they may be",
                "note  sinks.i: retention p is not as configured: tickline db apply changes it",
            ]
        );
        assert_eq!(said(None)[0], "ok    sinks.i: points go to p, which keeps them for ever");
        assert!(said(None)[1].starts_with("BAD   sinks.i: retention.p.duration: must not be shorter"));
    }

    #[test]
    fn trying_a_sink_of_files_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep").join("lines.lp");
        let of = |path: &Path| {
            let sets = [
                "sinks.f.kind=\"file\"".to_owned(),
                format!("sinks.f.path={:?}", path.display().to_string()),
            ];
            let config = Config::load(&[], &sets, &|_| None).unwrap().config;
            files("f", &config.sinks["f"]).state
        };
        assert_eq!(of(&path), State::Good);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        std::fs::write(dir.path().join("kept"), "half a li").unwrap();
        assert_eq!(of(&dir.path().join("kept")), State::Good);
        assert_eq!(std::fs::read_to_string(dir.path().join("kept")).unwrap(), "half a li");
        assert_eq!(of(Path::new("/proc/self/no/such")), State::Refused);
    }

    #[test]
    fn only_what_is_refused_ends_with_78() {
        let of = |states: &[State]| {
            exit(&states.iter().map(|state| finding(*state, "x", "y")).collect::<Vec<_>>())
        };
        assert_eq!(of(&[State::Good, State::Note]), Exit::Ok);
        assert_eq!(of(&[State::Good, State::Bad]), Exit::Failed);
        assert_eq!(of(&[State::Bad, State::Refused]), Exit::Configuration);
    }
}
