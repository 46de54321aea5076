//! What runs beside the pipeline: `tickline up`, the canary, roll-ups.

use std::path::PathBuf;
use std::time::Duration;

/// `[up]`: what `tickline up` starts and how it keeps it running.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Up {
    /// Who runs the database and Grafana.
    pub runtime: Runtime,
    /// File of docker compose.
    pub compose_file: PathBuf,
    /// Its services that are started, and ended in the opposite order.
    pub containers: Vec<String>,
    /// Grafana that gets the dashboards.
    pub grafana: Option<String>,
    /// Where the database answers Grafana; none: where it answers the sink.
    pub grafana_database: Option<String>,
    /// A service that has ended is started again after this time, twice as long each time.
    pub restart_wait: Duration,
    /// Longest such wait.
    pub restart_wait_max: Duration,
    /// With one more restart within `restarts_within` it is given up.
    pub restarts_max: usize,
    /// Span in which restarts are counted.
    pub restarts_within: Duration,
    /// How long all services together may take to end.
    pub stop_timeout: Duration,
    /// Bytes of a log file.
    pub log_bytes_max: u64,
    /// Log files of one service.
    pub log_files_max: usize,
}

/// Who runs the database and Grafana.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// docker compose, at our word.
    Docker,
    /// Somebody else: they are waited for.
    #[default]
    External,
    /// Nobody: they are not looked at.
    None,
}

/// A phase of `tickline up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PhaseName {
    /// Containers are started.
    Containers,
    /// Databases answer and have their policies.
    Database,
    /// Publishers are bound.
    Publishers,
    /// The engine receives.
    Engine,
    /// Grafana has the dashboards.
    Dashboards,
    /// Marked ticks come back.
    Validation,
}

impl PhaseName {
    /// All of them, in their usual order.
    pub const ALL: [PhaseName; 6] = [
        PhaseName::Containers,
        PhaseName::Database,
        PhaseName::Publishers,
        PhaseName::Engine,
        PhaseName::Dashboards,
        PhaseName::Validation,
    ];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            PhaseName::Containers => "containers",
            PhaseName::Database => "database",
            PhaseName::Publishers => "publishers",
            PhaseName::Engine => "engine",
            PhaseName::Dashboards => "dashboards",
            PhaseName::Validation => "validation",
        }
    }

    /// The phase of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }
}

/// `[phases.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Phases that must have succeeded before.
    pub after: Vec<PhaseName>,
    /// How long it may take, with all its attempts.
    pub deadline: Duration,
}

/// `[services.NAME]`: a program of the user's that is kept running.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceConfig {
    /// Program and arguments.
    pub command: Vec<String>,
    /// With which phase it starts and ends.
    pub phase: PhaseName,
    /// Endpoint whose handshake says that it is ready; none: it is when it runs.
    pub ready: Option<String>,
}

/// `[canary]`
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Canary {
    /// How often marked ticks are sent; none: never.
    pub every: Option<Duration>,
    /// Longest wait for anything.
    pub timeout: Duration,
}

/// `[rollups]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rollups {
    /// Retention policy of the bars; none: there are none.
    pub policy: Option<String>,
    /// How long an interval must be over before its bar is made.
    pub settle: Duration,
}
