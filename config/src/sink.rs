//! Reads `[sinks.NAME]`: the keys of every sink, then those of its kind and, for InfluxDB, its version.

use crate::engine::{WHEN_FULL, when_full};
use crate::keys::{
    FILE, HTTP_LINES, HTTP_LOGIN, INFLUXDB, INFLUXDB_V1, INFLUXDB_V2, INFLUXDB_V3, PARQUET, POSTGRES, SINK,
    SINK_FORMS, SPOOL, Section, SinkForm,
};
use crate::model::{
    Durability, File, Influx, InfluxTarget, Parquet, Postgres, Sink, SinkKind, Spool, WhenFull,
};
use crate::reader::{Context, Reader};
use crate::tree::{Node, Table, Value};

#[derive(Clone, Copy)]
enum Kind {
    Influx,
    Victoria,
    Quest,
    Postgres,
    Parquet,
    File,
    Null,
}

const KINDS: [(&str, Kind); 7] = [
    ("influxdb", Kind::Influx),
    ("victoriametrics", Kind::Victoria),
    ("questdb", Kind::Quest),
    ("postgresql", Kind::Postgres),
    ("parquet", Kind::Parquet),
    ("file", Kind::File),
    ("null", Kind::Null),
];

static EVERY_SECTION: &[&Section] = &[
    &SINK,
    &INFLUXDB,
    &HTTP_LINES,
    &HTTP_LOGIN,
    &INFLUXDB_V1,
    &INFLUXDB_V2,
    &INFLUXDB_V3,
    &POSTGRES,
    &PARQUET,
    &FILE,
];

/// The form that `kind` and `version` name.
pub(crate) fn form_of(table: &Table) -> Option<&'static SinkForm> {
    let kind = table.get("kind")?.as_text()?;
    let version = table.get("version").map(|n| &n.value);
    SINK_FORMS.iter().find(|form| {
        form.kind == kind
            && form.version.is_none_or(|v| matches!(version, Some(Value::Integer(found)) if *found == v))
    })
}

pub(crate) fn read_sink(path: &str, node: &Node, context: &mut Context<'_>) -> Option<Sink> {
    let form = node.as_table().and_then(form_of);
    // Without a form it is not known which further keys are right: only what is wrong with kind and version is told.
    let Some(form) = form else {
        let mut r = Reader::open(path, node, EVERY_SECTION, context, &|_| None)?;
        if matches!(r.choice("kind", &KINDS), Some(Kind::Influx)) {
            let _: i64 = r.number("version");
        }
        return None;
    };
    let elsewhere = |name: &str| {
        let owner = SINK_FORMS.iter().filter(|f| f.kind == form.kind).chain(&SINK_FORMS);
        let mut owner = owner.filter(|f| f.sections.iter().flat_map(|s| s.keys).any(|k| k.name == name));
        owner.next().map(|f| format!("belongs to {}, found {}", f.name(), form.name()))
    };
    let mut r = Reader::open(path, node, form.sections, context, &elsewhere)?;
    let kind = match r.choice("kind", &KINDS)? {
        Kind::Influx => SinkKind::Influx(read_influx(&mut r)),
        Kind::Victoria => SinkKind::Victoria(read_without_database(&mut r)),
        Kind::Quest => SinkKind::Quest(read_without_database(&mut r)),
        Kind::Postgres => SinkKind::Postgres(read_postgres(&mut r)),
        Kind::Parquet => SinkKind::Parquet(Parquet {
            dir: r.text("dir").unwrap_or_default().into(),
            file_bytes_max: r.bytes("file_bytes_max"),
            file_age_max: r.duration("file_age_max"),
            held_bytes_max: r.memory("held_bytes_max"),
            open_files_max: r.number("open_files_max"),
        }),
        Kind::File => SinkKind::File(File { path: r.text("path").unwrap_or_default().into() }),
        Kind::Null => SinkKind::Null,
    };
    let durability = r.choice("durability", &DURABILITIES).unwrap_or(Durability::Memory);
    let when_full = queue_when_full(&mut r, durability);
    let (feeds, queue_batches_max) = (r.texts("feeds"), r.number("queue_batches_max"));
    let spool = r.node("spool").and_then(|node| read_spool(&format!("{path}.spool"), node, context));
    Some(Sink { feeds, queue_batches_max, durability, when_full, spool: spool?, kind })
}

const DURABILITIES: [(&str, Durability); 4] = [
    ("memory", Durability::Memory),
    ("spill", Durability::Spill),
    ("journal", Durability::Journal),
    ("journal_sync", Durability::JournalSync),
];

/// What a full queue does: with a spool behind it, only one thing.
fn queue_when_full(r: &mut Reader<'_, '_, '_>, durability: Durability) -> WhenFull {
    let options = WHEN_FULL.map(|(name, policy)| (name, Some(policy)));
    let [block, drop_oldest, drop_newest] = options;
    let named = r.choice("when_full", &[block, drop_oldest, drop_newest, ("spool", None)]);
    match named {
        Some(None) if durability == Durability::Memory => {
            r.wrong("when_full", "must be \"block\", \"drop_oldest\" or \"drop_newest\" with durability \"memory\", found \"spool\"");
        }
        Some(Some(_)) if durability != Durability::Memory => {
            let rule = "must be \"spool\" or absent unless durability is \"memory\"";
            r.wrong("when_full", format!("{rule}; spool.when_full says what a full spool does"));
        }
        _ => {}
    }
    named.flatten().unwrap_or(WhenFull::Block)
}

fn read_spool(path: &str, node: &Node, context: &mut Context<'_>) -> Option<Spool> {
    let mut r = Reader::open(path, node, &[&SPOOL], context, &|_| None)?;
    Some(Spool {
        dir: r.text("dir").map(Into::into),
        bytes_max: r.bytes("max_bytes"),
        free_bytes_min: r.bytes("min_free_bytes"),
        age_max: r.retention("max_age"),
        when_full: when_full(&mut r),
        sync_every: r.duration("sync_every"),
        sync_bytes: r.bytes("sync_bytes"),
    })
}

fn read_influx(r: &mut Reader<'_, '_, '_>) -> Influx {
    let version: u8 = r.number("version");
    let target = match version {
        3 => InfluxTarget::V3 { database: r.text("database").unwrap_or_default(), token: r.secret("token") },
        2 => InfluxTarget::V2 {
            org: r.text("org").unwrap_or_default(),
            bucket: r.text("bucket").unwrap_or_default(),
            token: r.secret("token"),
        },
        _ => InfluxTarget::V1 {
            database: r.text("database").unwrap_or_default(),
            retention_policy: r.text("retention_policy"),
            login: login(r),
        },
    };
    read_http_lines(r, target)
}

fn read_without_database(r: &mut Reader<'_, '_, '_>) -> Influx {
    let target = InfluxTarget::V1 { database: String::new(), retention_policy: None, login: login(r) };
    read_http_lines(r, target)
}

fn read_http_lines(r: &mut Reader<'_, '_, '_>, target: InfluxTarget) -> Influx {
    Influx {
        url: r.url("url").unwrap_or_default(),
        target,
        connections: r.number("connections"),
        timeout: r.duration("timeout"),
        gzip: r.flag("gzip"),
        request_bytes_max: r.memory("request_bytes_max"),
        proxy: r.url("proxy"),
        tls_ca: r.text("tls_ca").map(Into::into),
        tls_client: r.text("tls_client").map(Into::into),
    }
}

fn read_postgres(r: &mut Reader<'_, '_, '_>) -> Postgres {
    let listed = r.texts("servers").unwrap_or_default();
    let servers: Option<Vec<(String, u16)>> = listed.iter().map(|server| host_and_port(server)).collect();
    if servers.is_none() {
        r.wrong("servers", format!("must be a list of \"HOST:PORT\" or \"/FOLDER:PORT\", found {listed:?}"));
    }
    Postgres {
        servers: servers.unwrap_or_default(),
        database: r.text("database").unwrap_or_default(),
        schema: r.text("schema").unwrap_or_default(),
        username: r.text("username").unwrap_or_default(),
        password: r.secret("password"),
        connections: r.number("connections"),
        timeout: r.duration("timeout"),
        request_bytes_max: r.memory("request_bytes_max"),
        tls: r.flag("tls"),
        tls_ca: r.text("tls_ca").map(Into::into),
    }
}

fn host_and_port(server: &str) -> Option<(String, u16)> {
    let (host, port) = server.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // A folder is that of the server's socket.
    let named = host.starts_with('/') || !host.is_empty() && !host.contains(['/', '@', ' ']);
    port.parse().ok().filter(|port| named && *port > 0).map(|port| (host.to_owned(), port))
}

/// User name and password, which are there together or not at all.
fn login(r: &mut Reader<'_, '_, '_>) -> Option<(String, crate::secret::Secret)> {
    match (r.has("username"), r.has("password")) {
        (true, false) => r.wrong("password", "must be set beside username, found nothing"),
        (false, true) => r.wrong("username", "must be set beside password, found nothing"),
        _ => {}
    }
    let (username, password) = (r.text("username"), r.secret("password"));
    username.zip(password)
}
