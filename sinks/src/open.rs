//! From a configured sink to one that can be written to. Called once a connection, on the writer's behalf and
//! before its thread is pinned: the HTTP client starts a thread of its own.

use std::path::PathBuf;

use tickline_config::model;

use crate::file::FileSink;
use crate::influx::InfluxSink;
use crate::null::NullSink;
use crate::parquet::ParquetSink;
use crate::questdb::QuestSink;
use crate::sink::Sink;
use crate::victoria::VictoriaSink;

/// Why a sink cannot be opened. Each is an error of the configuration or of the machine, not of the data.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A value cannot work.
    #[error("sinks.{sink}.{key}: must be {rule}, found \"{found}\"")]
    Value {
        /// Name of the sink.
        sink: String,
        /// Key in its table.
        key: &'static str,
        /// What would work.
        rule: &'static str,
        /// What stands there; never a secret.
        found: String,
    },
    /// The HTTP client could not be built.
    #[error("sinks.{sink}.url: http client: {source}")]
    Client {
        /// Name of the sink.
        sink: String,
        /// What the client says.
        source: reqwest::Error,
    },
    /// A certificate cannot be used.
    #[error("sinks.{sink}.{key}: must be a readable PEM file, found {path:?}: {detail}")]
    Tls {
        /// Name of the sink.
        sink: String,
        /// Key in its table.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// No runtime for an asynchronous client.
    #[error("sinks.{sink}: runtime: {source}")]
    Runtime {
        /// Name of the sink.
        sink: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// This program was built without it.
    #[error("sinks.{sink}.kind: \"{kind}\" needs a tickline that was built with --features {kind}")]
    NotBuilt {
        /// Name of the sink.
        sink: String,
        /// Kind of the sink, and feature of the package.
        kind: &'static str,
    },
    /// A file or folder could not be opened.
    #[error("sinks.{sink}.{key}: must be writable, found \"{path}\": {source}")]
    Io {
        /// Name of the sink.
        sink: String,
        /// Key in its table.
        key: &'static str,
        /// The file or folder.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
}

impl OpenError {
    /// The sink's kind is not built in.
    #[cfg_attr(feature = "postgresql", expect(dead_code, reason = "every kind is built in"))]
    pub(crate) fn without(sink: &str, kind: &'static str) -> Self {
        OpenError::NotBuilt { sink: sink.to_owned(), kind }
    }
}

/// Whether this program was built with what a sink needs.
pub fn require_built(name: &str, kind: &model::SinkKind) -> Result<(), OpenError> {
    let missing = match kind {
        model::SinkKind::Postgres(_) if cfg!(not(feature = "postgresql")) => "postgresql",
        _ => return Ok(()),
    };
    Err(OpenError::NotBuilt { sink: name.to_owned(), kind: missing })
}

/// Opens one connection of the sink `name`. `instance` and `started_ns` (wall time of the engine's start) make
/// the names of Parquet files unique.
pub fn open(
    name: &str,
    instance: &str,
    started_ns: i64,
    sink: &model::Sink,
) -> Result<Box<dyn Sink>, OpenError> {
    require_built(name, &sink.kind)?;
    Ok(match &sink.kind {
        model::SinkKind::Influx(influx) => Box::new(InfluxSink::open(name, influx)?),
        model::SinkKind::Quest(quest) => Box::new(QuestSink::open(name, quest)?),
        #[cfg(feature = "postgresql")]
        model::SinkKind::Postgres(postgres) => Box::new(crate::postgres::PostgresSink::open(name, postgres)?),
        #[cfg(not(feature = "postgresql"))]
        model::SinkKind::Postgres(_) => {
            return Err(OpenError::without(name, "postgresql"));
        }
        model::SinkKind::Victoria(victoria) => Box::new(VictoriaSink::open(name, victoria)?),
        model::SinkKind::Parquet(parquet) => {
            Box::new(ParquetSink::open(name, instance, started_ns, parquet)?)
        }
        model::SinkKind::File(file) => Box::new(FileSink::open(name, file, sink.durability)?),
        model::SinkKind::Null => Box::new(NullSink),
    })
}
