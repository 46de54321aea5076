//! `tickline validate`: whether a configuration works from a tick to the row in the database, now.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;
use tickline_config::model::{Config, SocketKind};
use tickline_config::registry::ports_json;
use tickline_feeds::clock::Clock;
use tickline_feeds::curve::KeyPair;
use tickline_feeds::json::append_json;
use tickline_feeds::payload::{Decimals, PayloadWriter};
use tickline_feeds::transcode::transcode;
use tickline_loadgen::clock::OsClock;
use tickline_sinks::admin::probe;
use tickline_sinks::open::open;
use tickline_sinks::sink::Outcome as Written;

use super::dashboards::looked_up_at;
use super::launch::{cores, instruments};
use super::{ConfigArgs, Exit, Failure, duration, print_text};
use crate::links::handshakes;
use crate::plan::Plan;
use crate::validate::{self, Came};

/// What the predecessor's codec was tested with, and what Python's msgpack makes of it, hexadecimal.
const SAMPLE: &str =
    r#"{"instrument":"EURUSD","bid":1.08234,"ask":1.08245,"timestamp":1234567890,"nested":{"value":42}}"#;
const SAMPLE_MSGPACK: &str = "85aa696e737472756d656e74a6455552555344a3626964cb3ff15143bf727137a361736bcb3ff151b71758e219a974696d657374616d70ce499602d2a66e657374656481a576616c75652a";

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Longest wait for anything.
    #[arg(long, value_parser = duration, default_value = "5s")]
    timeout: Duration,
    /// One JSON array.
    #[arg(long)]
    json: bool,
}

/// How one thing came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Passed,
    Failed,
    CouldNotRun,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) state: State,
    pub(super) detail: String,
    took_ms: u64,
}

pub(super) fn run(args: &ValidateArgs) -> Result<Exit, Failure> {
    let rows = rows(&args.config.load_runnable()?.config, args.timeout)?;
    let text = if args.json {
        format!("{}\n", serde_json::to_string(&rows).map_err(Failure::failed)?)
    } else {
        table(&rows)
    };
    print_text(&text)?;
    let has = |state| rows.iter().any(|row| row.state == state);
    Ok(if has(State::Failed) {
        Exit::NotValidated
    } else if has(State::CouldNotRun) {
        Exit::Failed
    } else {
        Exit::Ok
    })
}

/// Everything, checked now.
pub(super) fn rows(config: &Config, timeout: Duration) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    let clock = OsClock::start();
    let mut timed = |name: &str, check: &dyn Fn() -> Result<String, String>| {
        let before = clock.mono();
        let (state, detail) = match check() {
            Ok(detail) => (State::Passed, detail),
            Err(detail) => (State::Failed, detail),
        };
        rows.push(Row {
            name: name.to_owned(),
            state,
            detail,
            took_ms: clock.mono().since(before) / 1_000_000,
        });
    };
    timed("configuration", &|| {
        let plan = Plan::new(config, &cores()).map_err(|error| error.to_string())?;
        Ok(format!(
            "{} feeds, {} sinks, {} publishers",
            plan.feeds.len(),
            plan.sinks.len(),
            config.publishers.len()
        ))
    });
    timed("ports", &ports);
    timed("codec", &codec);
    timed("dashboards", &|| match &config.up.grafana {
        Some(url) => looked_up_at(url),
        None => Ok("up.grafana names no Grafana that should have them".to_owned()),
    });
    for (name, sink) in config.sinks.iter().filter(|(_, sink)| sink.kind.is_database()) {
        timed(&format!("sinks.{name}"), &|| {
            let now = OsClock::start().wall().0;
            let mut sink =
                open(name, &config.engine.instance, now, sink).map_err(|error| error.to_string())?;
            match sink.write(&probe(&config.engine.instance, now)) {
                Written::Stored { rejected, .. } if rejected.is_empty() => Ok("takes a point".to_owned()),
                refused => Err(refused.detail().to_owned()),
            }
        });
    }
    rows.extend(publishers(config, timeout));
    rows.extend(end_to_end(config, timeout)?);
    Ok(rows)
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for Row { name, state, detail, took_ms } in rows {
        let state = match state {
            State::Passed => "passed",
            State::Failed => "FAILED",
            State::CouldNotRun => "not run",
        };
        // Writing to a String cannot fail.
        writeln!(out, "{state:<7}  {name:<width$}  {took_ms:>5} ms  {detail}").ok();
    }
    let passed = rows.iter().filter(|row| row.state == State::Passed).count();
    writeln!(out, "{passed} of {} passed", rows.len()).ok();
    out
}

/// No two devices of the registry share a port.
fn ports() -> Result<String, String> {
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(&ports_json().map_err(|error| error.to_string())?)
            .map_err(|error| error.to_string())?;
    let ports: BTreeSet<u64> = rows.iter().filter_map(|row| row["port"].as_u64()).collect();
    if ports.len() == rows.len() {
        Ok(format!("{} ports, each once", ports.len()))
    } else {
        Err(format!("{} rows of the registry have {} ports", rows.len(), ports.len()))
    }
}

/// The predecessor's sample, there and back, against the bytes that another program makes of it.
fn codec() -> Result<String, String> {
    let mut writer = PayloadWriter::new(Decimals::Float64);
    let integer =
        |key| tickline_feeds::transcode::IntegerKey { key, place: tickline_feeds::transcode::Place::Any };
    transcode(SAMPLE, &["timestamp", "value"].map(integer), &mut writer)
        .map_err(|error| error.to_string())?;
    let hex: String = writer.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    if hex != SAMPLE_MSGPACK {
        return Err(format!("the sample is {hex}, and must be {SAMPLE_MSGPACK}"));
    }
    let mut back = String::new();
    append_json(writer.bytes(), &mut back).map_err(|why| why.name().to_owned())?;
    if back != SAMPLE {
        return Err(format!("the sample comes back as {back}"));
    }
    Ok(format!("{} bytes of msgpack", writer.bytes().len()))
}

/// A real handshake with whoever publishes for each feed.
fn publishers(config: &Config, timeout: Duration) -> Vec<Row> {
    // Whoever connects to hand out work takes a share of it.
    let feeds = || config.feeds.values().filter(|feed| feed.socket == SocketKind::Sub);
    let endpoints: BTreeSet<&str> = feeds().map(|feed| feed.endpoint.as_str()).collect();
    let own = match &config.engine.curve_secret_key {
        Some(secret) => KeyPair::of_secret(secret.expose()),
        None => KeyPair::generate(),
    };
    let curve = |endpoint: &str| {
        let key = feeds().find(|feed| feed.endpoint == endpoint)?.curve_server_key.as_deref()?;
        Some((own.as_ref().ok()?, key))
    };
    let asked: Vec<_> = endpoints.iter().map(|endpoint| (*endpoint, curve(endpoint))).collect();
    let clock = OsClock::start();
    let shaken = handshakes(&asked, timeout);
    let took_ms = clock.mono().0 / 1_000_000;
    let row = |(endpoint, shaken): (&&str, Result<(), String>)| {
        let feeds = config.feeds.iter().filter(|(_, feed)| feed.endpoint == **endpoint);
        let names: Vec<&str> = feeds.map(|(name, _)| name.as_str()).collect();
        let (state, detail) = match shaken {
            Ok(()) => (State::Passed, format!("{endpoint}: handshake")),
            Err(why) => (State::Failed, format!("{endpoint}: {why}")),
        };
        Row { name: format!("publisher of {}", names.join(", ")), state, detail, took_ms }
    };
    endpoints.iter().zip(shaken).map(row).collect()
}

/// Marked ticks of each feed, through its decoder into each database and back.
fn end_to_end(config: &Config, timeout: Duration) -> Result<Vec<Row>, Failure> {
    let instruments = instruments(config.engine.kraken_pairs.as_deref())?;
    let clock = OsClock::start();
    let outcomes = validate::run(config, instruments, timeout);
    let took_ms = clock.mono().0 / 1_000_000;
    let row = |name: String, state, detail: String| Row { name, state, detail, took_ms };
    Ok(match outcomes {
        Ok(outcomes) => outcomes
            .into_iter()
            .map(|of| {
                let name = format!("feeds.{} into {}", of.feed, of.sink);
                match of.came {
                    Came::Back => {
                        row(name, State::Passed, "marked ticks came back, value by value".to_owned())
                    }
                    Came::Wrong(why) => row(name, State::Failed, why),
                    Came::Untried(why) => row(name, State::CouldNotRun, why.to_owned()),
                }
            })
            .collect(),
        Err(why) => vec![row("marked ticks".to_owned(), State::CouldNotRun, why)],
    })
}
