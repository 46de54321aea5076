//! The key table: every key of the configuration, its type and range. The reader, the messages and the JSON
//! Schema are made from it; defaults and descriptions stand in `default.toml`, under the section's name.

mod alert;
mod bus;
pub(crate) mod publisher;
mod sink;
mod up;

pub(crate) use alert::{ALERT, ALERTING};
pub(crate) use bus::{FORWARD, ROUTE};
pub(crate) use sink::{
    FILE, HTTP_LINES, HTTP_LOGIN, INFLUXDB, INFLUXDB_V1, INFLUXDB_V2, INFLUXDB_V3, PARQUET, POSTGRES, SINK,
    SINK_FORMS, SPOOL, SinkForm,
};
pub(crate) use up::{CANARY, PHASE, ROLLUPS, SERVICE, UP};

/// Keys that stand together.
#[derive(Debug)]
pub(crate) struct Section {
    /// Section of `default.toml` that describes them.
    pub(crate) name: &'static str,
    pub(crate) keys: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) need: Need,
}

/// What happens if a key is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// `default.toml`, or the registry, has a value.
    Default,
    /// It is a violation.
    Required,
    /// It means something of its own.
    Optional,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Text with a unit, limits included.
    Duration(&'static str, &'static str),
    /// A duration or `inf`.
    Retention(&'static str, &'static str),
    /// Text with a unit, limits included.
    Bytes(&'static str, &'static str),
    /// Whole number, limits included.
    Integer(i64, i64),
    Flag,
    /// One line of text that is not empty.
    Text,
    /// What a host may be called.
    HostName,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// `off`, or IP address and port.
    Listen,
    /// `off`, `auto` or a list of cores.
    Pinning,
    /// `core`, `all` or a list of names.
    Fields,
    /// ZeroMQ endpoint.
    Endpoint,
    /// Several of them.
    Endpoints,
    /// ZeroMQ endpoint to bind.
    Bind,
    /// Several of them.
    Binds,
    /// A comparison of a field.
    Condition,
    /// A comparison of a metric with a number.
    MetricCondition,
    /// Text of several lines.
    Document,
    /// HTTP address without path.
    Url,
    /// WebSocket address.
    WebSocket,
    /// `env:NAME` or `file:PATH`.
    Secret,
    /// `always`, `fx` or a list of spans of the week.
    Session,
    /// A public key, or the file it stands in.
    PublicKey,
    /// Texts.
    Texts,
    /// Some of these texts.
    Subset(&'static [&'static str]),
    /// Names with a text each.
    Names,
    /// A table of its own.
    Table(&'static Section),
}

const fn has(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, need: Need::Default }
}

const fn needs(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, need: Need::Required }
}

const fn may(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, need: Need::Optional }
}

const WHEN_FULL: Kind = Kind::Choice(&["block", "drop_oldest", "drop_newest"]);

/// `[engine]`
pub(crate) static ENGINE: Section = Section {
    name: "engine",
    keys: &[
        has("instance", Kind::HostName),
        has("state_dir", Kind::Text),
        may("kraken_pairs", Kind::Text),
        has("shutdown_timeout", Kind::Duration("1s", "1h")),
        has("receive", Kind::Choice(&["blocking", "multiplexed"])),
        has("encode", Kind::Choice(&["thread", "inline"])),
        has("encoders", Kind::Integer(1, 64)),
        has("pinning", Kind::Pinning),
        has("burst_max", Kind::Integer(1, 65_536)),
        has("queue_frames_max", Kind::Integer(1, 16_777_216)),
        has("queue_bytes_max", Kind::Bytes("64KiB", "64GiB")),
        has("when_full", WHEN_FULL),
        has("message_bytes_max", Kind::Bytes("1KiB", "128MiB")),
        has("rcvhwm", Kind::Integer(1, 100_000_000)),
        has("rcvbuf", Kind::Bytes("4KiB", "1GiB")),
        has("batch_linger", Kind::Duration("0ms", "10s")),
        has("batch_bytes_max", Kind::Bytes("4KiB", "25MB")),
        has("batch_lines_max", Kind::Integer(1, 1_000_000)),
        has("batch_age_max", Kind::Duration("1ms", "1m")),
        has("quarantine_bytes_max", Kind::Bytes("0B", "1TiB")),
        has("rejects_bytes_max", Kind::Bytes("0B", "1TiB")),
        has("ledger_every", Kind::Retention("1s", "1d")),
        may("curve_secret_key", Kind::Secret),
    ],
};

/// `[http]`
pub(crate) static HTTP: Section =
    Section { name: "http", keys: &[has("listen", Kind::Listen), has("remote", Kind::Flag)] };

/// `[archive]`
pub(crate) static ARCHIVE: Section = Section {
    name: "archive",
    keys: &[
        may("dir", Kind::Text),
        has("rotate", Kind::Duration("1s", "1d")),
        has("max_bytes", Kind::Bytes("1MiB", "1024TiB")),
        has("min_free_bytes", Kind::Bytes("0B", "64TiB")),
        has("compress", Kind::Choice(&["zstd", "off"])),
        may("feeds", Kind::Texts),
        has("when_full", WHEN_FULL),
        may("flight", Kind::Duration("1s", "1h")),
        has("flight_bytes_max", Kind::Bytes("1MiB", "64GiB")),
    ],
};

/// `[compat]`
pub(crate) static COMPAT: Section = Section { name: "compat", keys: &[has("legacy_tick", Kind::Flag)] };

/// `[retention.NAME]`
pub(crate) static RETENTION: Section = Section {
    name: "defaults.retention",
    keys: &[
        needs("duration", Kind::Retention("1h", "5000w")),
        needs("shard_duration", Kind::Duration("1h", "5000w")),
        has("default", Kind::Flag),
    ],
};

/// `[feeds.NAME]`
pub(crate) static FEED: Section = Section {
    name: "defaults.feed",
    keys: &[
        needs("endpoint", Kind::Endpoint),
        needs("topic", Kind::Text),
        has("aliases", Kind::Texts),
        has("socket", Kind::Choice(&["sub", "pull"])),
        has("decoder", Kind::Choice(DECODERS)),
        has("format", Kind::Choice(&["msgpack", "x01", "json"])),
        may("account", Kind::HostName),
        has("fields", Kind::Fields),
        has("system_fields", Kind::Subset(&["recv_ns", "flags", "seq"])),
        has("tiebreak", Kind::Choice(&["ordinal", "none"])),
        has("fan_in", Kind::Flag),
        has("silence_max", Kind::Retention("1s", "5000w")),
        has("data_silence_max", Kind::Retention("1s", "5000w")),
        has("session", Kind::Session),
        may("curve_server_key", Kind::PublicKey),
        may("include", Kind::Texts),
        may("exclude", Kind::Texts),
        may("where", Kind::Condition),
        may("deadband_ppm", Kind::Integer(0, 1_000_000)),
        has("series_max", Kind::Integer(1, 100_000_000)),
        may("custom", Kind::Table(&CUSTOM)),
    ],
};

const DECODERS: &[&str] = &[
    "kraken_tick",
    "kraken_depth",
    "kraken_trades",
    "kraken_orders",
    "oanda_tick",
    "oanda_orders",
    "betfair_stream",
    "betfair_orders",
    "twitter_sentiment",
    "kraken_eurusd_tick",
    "kraken_eurusd_depth",
    "instruments",
    "custom",
];

/// `[feeds.NAME.custom]`
pub(crate) static CUSTOM: Section = Section {
    name: "defaults.custom",
    keys: &[
        needs("measurement", Kind::Text),
        may("time", Kind::Table(&CUSTOM_TIME)),
        may("tags", Kind::Names),
        needs("fields", Kind::Names),
    ],
};

/// `time` of a custom feed.
pub(crate) static CUSTOM_TIME: Section = Section {
    name: "defaults.custom_time",
    keys: &[needs("path", Kind::Text), needs("unit", Kind::Choice(&["s", "ms", "us", "ns"]))],
};

impl SinkForm {
    /// The form as a message names it.
    pub(crate) fn name(&self) -> String {
        match self.version {
            Some(version) => format!("version {version}"),
            None => format!("kind {:?}", self.kind),
        }
    }
}

impl Kind {
    /// The rule, as a message tells it.
    pub(crate) fn rule(&self) -> String {
        match self {
            Kind::Duration(min, max) | Kind::Bytes(min, max) => format!("must be {min}..={max}"),
            Kind::Retention(min, max) => format!("must be {min}..={max} or \"inf\""),
            Kind::Integer(min, max) => format!("must be {min}..={max}"),
            Kind::Flag => "must be true or false".to_owned(),
            Kind::Text => "must be one line of text, not empty".to_owned(),
            Kind::HostName => "must be 1..=64 letters, digits, . - and _, the first no .".to_owned(),
            Kind::Choice(options) => format!("must be {}", alternatives(options)),
            Kind::Listen => {
                "must be an IP address and port, such as \"127.0.0.1:9600\", or \"off\"".to_owned()
            }
            Kind::Pinning => "must be \"off\", \"auto\" or a list of different cores".to_owned(),
            Kind::Fields => "must be \"core\", \"all\" or a list of field names".to_owned(),
            Kind::Endpoint => "must be tcp://HOST:PORT or ipc://PATH".to_owned(),
            Kind::WebSocket => "must be wss://HOST or ws://HOST, port and path if there are any".to_owned(),
            Kind::Endpoints => "must be a list of different tcp://HOST:PORT or ipc://PATH".to_owned(),
            Kind::Bind => format!("must be {BIND}"),
            Kind::Binds => format!("must be a list of different {BIND}"),
            Kind::Condition => {
                "must be FIELD OPERATOR VALUE, such as \"bid_qty > 10\", \"status == 'OPEN'\" or \"tradeable == true\""
                    .to_owned()
            }
            Kind::MetricCondition => {
                "must be METRIC OPERATOR NUMBER, such as \"spool_points > 100000\"".to_owned()
            }
            Kind::Document => "must be text, not empty".to_owned(),
            Kind::Url => "must be http://HOST:PORT or https://HOST:PORT, without path".to_owned(),
            Kind::Secret => "must be \"env:NAME\" or \"file:PATH\"".to_owned(),
            Kind::Session => crate::session::RULE.to_owned(),
            Kind::PublicKey => "must be a public key of 40 characters or \"file:PATH\"".to_owned(),
            Kind::Texts => "must be a list of texts, none of them empty".to_owned(),
            Kind::Subset(options) => format!("must be a list of {}", alternatives(options)),
            Kind::Names => "must be a table of names with a text each".to_owned(),
            Kind::Table(_) => "must be a table".to_owned(),
        }
    }
}

const BIND: &str = "tcp://ADDRESS:PORT, tcp://*:PORT (PORT may be *, a free one) or ipc://PATH";

/// Texts of which one is meant.
pub(crate) fn alternatives(options: &[&str]) -> String {
    let quoted: Vec<String> = options.iter().map(|o| format!("{o:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
