//! Capacity certificates: what a machine can take, how that was found out, and on what. Two of them are compared by
//! their capacity; what else differs between them is told.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tickline_config::report::{Build, Host};

use crate::find_max::Trial;

/// Schema name and version of a certificate.
pub const SCHEMA: &str = "tickline.certificate/1";

/// What was found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Messages a second of all feeds that the objective held at.
    pub capacity_per_s: f64,
    /// The objective.
    pub slo: String,
    /// What keeps it from more.
    pub limiter: String,
    /// How to find it out again: the arguments of `find-max` without those that name the target or files.
    pub arguments: Vec<String>,
    /// How long each run sent, s.
    #[serde(default)]
    pub trial_s: Option<f64>,
    /// How long the load would last, s: a scenario of which a run is only the begin is longer. None: without end.
    #[serde(default)]
    pub whole_s: Option<f64>,
    /// Every run, in order.
    pub trials: Vec<Trial>,
    /// When it was made, RFC 3339.
    pub made: String,
    /// This program.
    pub build: Build,
    /// The engine's program.
    pub target_build: Build,
    /// The engine's machine.
    pub host: Host,
    /// How far its clock may be from the generator's, ns, and with it every latency; none on one host.
    #[serde(default)]
    pub clock_error_ns: Option<u64>,
    /// SHA-256 of the engine's configuration.
    pub config_sha256: Option<String>,
    /// Version of the database of each sink that tells one.
    pub databases: Vec<(String, String)>,
}

/// JSON Schema of a certificate: `docs/certificate.schema.json`.
pub fn schema_json() -> String {
    format!("{:#}\n", schemars::schema_for!(Certificate).as_value())
}

/// Why a file is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// It holds something else.
    #[error("{path}: must be a certificate of {SCHEMA}, found {found}")]
    Foreign {
        /// The file.
        path: String,
        /// What is in it.
        found: String,
    },
}

impl Certificate {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, CertificateError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| CertificateError::Io { path: shown.clone(), error })?;
        let foreign = |found: String| CertificateError::Foreign { path: shown.clone(), found };
        let certificate: Self = serde_json::from_str(&text).map_err(|error| foreign(error.to_string()))?;
        match certificate.schema == SCHEMA {
            true => Ok(certificate),
            false => Err(foreign(format!("{:?}", certificate.schema))),
        }
    }

    /// Capacity compared with an older certificate: 1.0 is the same.
    pub fn ratio_to(&self, old: &Self) -> f64 {
        if old.capacity_per_s > 0.0 { self.capacity_per_s / old.capacity_per_s } else { f64::INFINITY }
    }

    /// What else is not as it was, a line each.
    pub fn differences(&self, old: &Self) -> Vec<String> {
        let host = |host: &Host| {
            let governor = host.governor.as_deref().unwrap_or("none");
            format!("{}, {} cores, kernel {}, governor {governor}", host.cpu, host.cores, host.kernel)
        };
        let build = |build: &Build| {
            let commit = build.commit.as_deref().unwrap_or("unknown");
            format!("{} {commit} {}", build.version, build.profile)
        };
        let databases = |all: &[(String, String)]| {
            all.iter().map(|(sink, version)| format!("{sink} {version}")).collect::<Vec<_>>().join(", ")
        };
        let length =
            |seconds: Option<f64>| seconds.map_or_else(|| "unknown".to_owned(), |s| format!("{s} s"));
        let unknown = |sha256: &Option<String>| sha256.clone().unwrap_or_else(|| "unknown".to_owned());
        let aspects = [
            ("host", host(&old.host), host(&self.host)),
            ("engine", build(&old.target_build), build(&self.target_build)),
            ("generator", build(&old.build), build(&self.build)),
            ("configuration", unknown(&old.config_sha256), unknown(&self.config_sha256)),
            ("trial", length(old.trial_s), length(self.trial_s)),
            ("databases", databases(&old.databases), databases(&self.databases)),
            ("limiter", old.limiter.clone(), self.limiter.clone()),
        ];
        let changed = aspects.into_iter().filter(|(_, old, new)| old != new);
        changed.map(|(what, old, new)| format!("{what}: {old} -> {new}")).collect()
    }
}

#[cfg(test)]
mod tests;
