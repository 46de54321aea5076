//! Keys of what runs beside the pipeline: `tickline up`, the canary, roll-ups.

use super::{Key, Kind, Section, has, may, needs};

/// Phases of `tickline up`, in the order in which they stand where nothing says otherwise.
pub(crate) const PHASES: &[&str] =
    &["containers", "database", "publishers", "engine", "dashboards", "validation"];

/// `[up]`
pub(crate) static UP: Section = Section { name: "up", keys: UP_KEYS };

const UP_KEYS: &[Key] = &[
    has("runtime", Kind::Choice(&["docker", "external", "none"])),
    has("compose_file", Kind::Text),
    has("containers", Kind::Texts),
    may("grafana", Kind::Url),
    may("grafana_database", Kind::Url),
    has("restart_wait", Kind::Duration("10ms", "1h")),
    has("restart_wait_max", Kind::Duration("10ms", "1h")),
    has("restarts_max", Kind::Integer(0, 1_000_000)),
    has("restarts_within", Kind::Duration("1s", "1d")),
    has("stop_timeout", Kind::Duration("1s", "1h")),
    has("log_bytes_max", Kind::Bytes("64KiB", "64GiB")),
    has("log_files_max", Kind::Integer(1, 1_000)),
];

/// `[phases.NAME]`
pub(crate) static PHASE: Section = Section {
    name: "defaults.phase",
    keys: &[has("after", Kind::Subset(PHASES)), has("deadline", Kind::Duration("1s", "1h"))],
};

/// `[services.NAME]`
pub(crate) static SERVICE: Section = Section {
    name: "defaults.service",
    keys: &[
        needs("command", Kind::Texts),
        has("phase", Kind::Choice(&["publishers", "engine"])),
        may("ready", Kind::Endpoint),
    ],
};

/// `[canary]`
pub(crate) static CANARY: Section = Section {
    name: "canary",
    keys: &[has("every", Kind::Retention("10s", "1d")), has("timeout", Kind::Duration("100ms", "10m"))],
};

/// `[rollups]`
pub(crate) static ROLLUPS: Section = Section {
    name: "rollups",
    keys: &[may("policy", Kind::Text), has("settle", Kind::Duration("0s", "1h"))],
};
