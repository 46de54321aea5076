//! Keys of sinks, by kind.

use super::{Kind, Section, WHEN_FULL, has, may, needs};

const SINK_WHEN_FULL: Kind = Kind::Choice(&["block", "drop_oldest", "drop_newest", "spool"]);

/// `[sinks.NAME]`, every kind.
pub(crate) static SINK: Section = Section {
    name: "defaults.sink",
    keys: &[
        needs(
            "kind",
            Kind::Choice(&[
                "influxdb",
                "victoriametrics",
                "questdb",
                "postgresql",
                "parquet",
                "file",
                "null",
            ]),
        ),
        may("feeds", Kind::Texts),
        has("queue_batches_max", Kind::Integer(1, 4_096)),
        has("durability", Kind::Choice(&["memory", "spill", "journal", "journal_sync"])),
        may("when_full", SINK_WHEN_FULL),
        may("spool", Kind::Table(&SPOOL)),
    ],
};

/// `[sinks.NAME.spool]`
pub(crate) static SPOOL: Section = Section {
    name: "defaults.spool",
    keys: &[
        may("dir", Kind::Text),
        has("max_bytes", Kind::Bytes("1MiB", "64TiB")),
        has("min_free_bytes", Kind::Bytes("0B", "64TiB")),
        has("max_age", Kind::Retention("1s", "5000w")),
        has("when_full", WHEN_FULL),
        has("sync_every", Kind::Duration("1ms", "10s")),
        has("sync_bytes", Kind::Bytes("4KiB", "1GiB")),
    ],
};

/// Lines over HTTP: kind `influxdb`, every version, `victoriametrics` and `questdb`.
pub(crate) static HTTP_LINES: Section = Section {
    name: "defaults.http_lines",
    keys: &[
        needs("url", Kind::Url),
        has("timeout", Kind::Duration("1s", "10m")),
        has("gzip", Kind::Flag),
        has("request_bytes_max", Kind::Bytes("4KiB", "25MB")),
        may("proxy", Kind::Url),
        may("tls_ca", Kind::Text),
        may("tls_client", Kind::Text),
    ],
};

/// Kind `influxdb`, every version.
pub(crate) static INFLUXDB: Section =
    Section { name: "defaults.influxdb", keys: &[needs("version", Kind::Integer(1, 3))] };

/// Kinds `victoriametrics` and `questdb`.
pub(crate) static HTTP_LOGIN: Section = Section {
    name: "defaults.http_login",
    keys: &[
        has("connections", Kind::Integer(1, 64)),
        may("username", Kind::Text),
        may("password", Kind::Secret),
    ],
};

/// Kind `influxdb`, version 1.
pub(crate) static INFLUXDB_V1: Section = Section {
    name: "defaults.influxdb_v1",
    keys: &[
        has("connections", Kind::Integer(1, 64)),
        needs("database", Kind::Text),
        may("retention_policy", Kind::Text),
        may("username", Kind::Text),
        may("password", Kind::Secret),
    ],
};

/// Kind `influxdb`, version 2.
pub(crate) static INFLUXDB_V2: Section = Section {
    name: "defaults.influxdb_v2",
    keys: &[
        has("connections", Kind::Integer(1, 64)),
        needs("org", Kind::Text),
        needs("bucket", Kind::Text),
        may("token", Kind::Secret),
    ],
};

/// Kind `influxdb`, version 3.
pub(crate) static INFLUXDB_V3: Section = Section {
    name: "defaults.influxdb_v3",
    keys: &[
        has("connections", Kind::Integer(8, 64)),
        needs("database", Kind::Text),
        may("token", Kind::Secret),
    ],
};

/// Kind `postgresql`.
pub(crate) static POSTGRES: Section = Section {
    name: "defaults.postgresql",
    keys: &[
        has("servers", Kind::Texts),
        needs("database", Kind::Text),
        has("schema", Kind::Text),
        needs("username", Kind::Text),
        may("password", Kind::Secret),
        has("connections", Kind::Integer(1, 64)),
        has("timeout", Kind::Duration("1s", "10m")),
        has("request_bytes_max", Kind::Bytes("4KiB", "64MiB")),
        has("tls", Kind::Flag),
        may("tls_ca", Kind::Text),
    ],
};

/// Kind `parquet`.
pub(crate) static PARQUET: Section = Section {
    name: "defaults.parquet",
    keys: &[
        needs("dir", Kind::Text),
        has("file_bytes_max", Kind::Bytes("64KiB", "16GiB")),
        has("file_age_max", Kind::Duration("1s", "1d")),
        has("held_bytes_max", Kind::Bytes("64KiB", "16GiB")),
        has("open_files_max", Kind::Integer(1, 4_096)),
    ],
};

/// Kind `file`.
pub(crate) static FILE: Section = Section { name: "defaults.file", keys: &[needs("path", Kind::Text)] };

/// A kind of sink, by its `kind` and, for InfluxDB, `version`, with its sections.
#[derive(Debug)]
pub(crate) struct SinkForm {
    pub(crate) kind: &'static str,
    pub(crate) version: Option<i64>,
    pub(crate) sections: &'static [&'static Section],
}

/// Every kind of sink of this version.
pub(crate) static SINK_FORMS: [SinkForm; 9] = [
    SinkForm { kind: "influxdb", version: Some(1), sections: &[&SINK, &INFLUXDB, &HTTP_LINES, &INFLUXDB_V1] },
    SinkForm { kind: "influxdb", version: Some(2), sections: &[&SINK, &INFLUXDB, &HTTP_LINES, &INFLUXDB_V2] },
    SinkForm { kind: "influxdb", version: Some(3), sections: &[&SINK, &INFLUXDB, &HTTP_LINES, &INFLUXDB_V3] },
    SinkForm { kind: "victoriametrics", version: None, sections: &[&SINK, &HTTP_LINES, &HTTP_LOGIN] },
    SinkForm { kind: "questdb", version: None, sections: &[&SINK, &HTTP_LINES, &HTTP_LOGIN] },
    SinkForm { kind: "postgresql", version: None, sections: &[&SINK, &POSTGRES] },
    SinkForm { kind: "parquet", version: None, sections: &[&SINK, &PARQUET] },
    SinkForm { kind: "file", version: None, sections: &[&SINK, &FILE] },
    SinkForm { kind: "null", version: None, sections: &[&SINK] },
];
