//! Reads the sections that are there once: `[engine]`, `[http]`, `[compat]`, and `[retention.NAME]`.

use crate::keys::{ARCHIVE, COMPAT, ENGINE, HTTP, RETENTION};
use crate::model::{Archive, Compat, Encode, Engine, Http, Pinning, Receive, Retention, WhenFull};
use crate::reader::{Context, PUBLIC_KEY_CHARS, Reader};
use crate::tree::{Node, Value};

/// What a full queue does, by name.
pub(crate) const WHEN_FULL: [(&str, WhenFull); 3] = [
    ("block", WhenFull::Block),
    ("drop_oldest", WhenFull::DropOldest),
    ("drop_newest", WhenFull::DropNewest),
];

pub(crate) fn read_engine(node: &Node, context: &mut Context<'_>) -> Option<Engine> {
    let mut r = Reader::open("engine", node, &[&ENGINE], context, &|_| None)?;
    let curve_secret_key = r.secret("curve_secret_key");
    if curve_secret_key.as_ref().is_some_and(|key| key.expose().trim().len() != PUBLIC_KEY_CHARS) {
        r.wrong("curve_secret_key", "must lead to a key of 40 characters, as tickline keys new writes it");
    }
    Some(Engine {
        instance: r.special("instance", as_host_name).unwrap_or_default(),
        state_dir: r.text("state_dir").unwrap_or_default().into(),
        kraken_pairs: r.text("kraken_pairs").map(Into::into),
        shutdown_timeout: r.duration("shutdown_timeout"),
        receive: r
            .choice("receive", &[("blocking", Receive::Blocking), ("multiplexed", Receive::Multiplexed)])
            .unwrap_or(Receive::Blocking),
        encode: r
            .choice("encode", &[("thread", Encode::Thread), ("inline", Encode::Inline)])
            .unwrap_or(Encode::Thread),
        encoders: r.number("encoders"),
        pinning: r.special("pinning", pinning).unwrap_or(Pinning::Off),
        burst_max: r.number("burst_max"),
        queue_frames_max: r.number("queue_frames_max"),
        queue_bytes_max: r.memory("queue_bytes_max"),
        when_full: when_full(&mut r),
        message_bytes_max: r.memory("message_bytes_max"),
        rcvhwm: r.number("rcvhwm"),
        rcvbuf: r.memory("rcvbuf"),
        batch_linger: r.duration("batch_linger"),
        batch_bytes_max: r.memory("batch_bytes_max"),
        batch_lines_max: r.number("batch_lines_max"),
        batch_age_max: r.duration("batch_age_max"),
        quarantine_bytes_max: r.bytes("quarantine_bytes_max"),
        rejects_bytes_max: r.bytes("rejects_bytes_max"),
        ledger_every: r.retention("ledger_every"),
        curve_secret_key,
    })
}

/// `when_full` of the section.
pub(crate) fn when_full(r: &mut Reader<'_, '_, '_>) -> WhenFull {
    r.choice("when_full", &WHEN_FULL).unwrap_or(WhenFull::Block)
}

/// A name that may stand in a tag and in a file name.
pub(crate) fn as_host_name(value: &Value) -> Option<String> {
    if let Value::Text(text) = value { Some(text.clone()).filter(|t| is_host_name(t)) } else { None }
}

pub(crate) fn is_host_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    (1..=64).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('.')
}

fn pinning(value: &Value) -> Option<Pinning> {
    match value {
        Value::Text(text) if text == "off" => Some(Pinning::Off),
        Value::Text(text) if text == "auto" => Some(Pinning::Auto),
        Value::List(items) if !items.is_empty() => {
            let mut cores: Vec<usize> = Vec::new();
            for item in items {
                let Value::Integer(core) = item.value else { return None };
                cores.push(usize::try_from(core).ok().filter(|c| !cores.contains(c))?);
            }
            Some(Pinning::Cores(cores))
        }
        _ => None,
    }
}

pub(crate) fn read_http(node: &Node, context: &mut Context<'_>) -> Option<Http> {
    let mut r = Reader::open("http", node, &[&HTTP], context, &|_| None)?;
    let (listen, remote) = (r.listen("listen"), r.flag("remote"));
    if let Some(listen) = listen.filter(|listen| !listen.ip().is_loopback() && !remote) {
        let rule = "must be a loopback address unless http.remote is true, since whoever reaches it reads everything";
        r.wrong("listen", format!("{rule}, found {:?}", listen.to_string()));
    }
    Some(Http { listen })
}

pub(crate) fn read_archive(node: &Node, context: &mut Context<'_>) -> Option<Archive> {
    let mut r = Reader::open("archive", node, &[&ARCHIVE], context, &|_| None)?;
    Some(Archive {
        dir: r.text("dir").map(Into::into),
        rotate: r.duration("rotate"),
        bytes_max: r.bytes("max_bytes"),
        free_bytes_min: r.bytes("min_free_bytes"),
        compress: r.choice("compress", &[("zstd", true), ("off", false)]).unwrap_or_default(),
        feeds: r.texts("feeds"),
        when_full: when_full(&mut r),
        flight: if r.has("flight") { Some(r.duration("flight")) } else { None },
        flight_bytes_max: r.memory("flight_bytes_max"),
    })
}

pub(crate) fn read_compat(node: &Node, context: &mut Context<'_>) -> Option<Compat> {
    let mut r = Reader::open("compat", node, &[&COMPAT], context, &|_| None)?;
    Some(Compat { legacy_tick: r.flag("legacy_tick") })
}

pub(crate) fn read_retention(path: &str, node: &Node, context: &mut Context<'_>) -> Option<Retention> {
    let mut r = Reader::open(path, node, &[&RETENTION], context, &|_| None)?;
    Some(Retention {
        duration: r.retention("duration"),
        shard_duration: r.duration("shard_duration"),
        default: r.flag("default"),
    })
}
