//! Keys of alerts and of those who are told.

use super::{Key, Kind, Section, has, may, needs};

/// `[alerting]`
pub(crate) static ALERTING: Section = Section { name: "alerting", keys: ALERTING_KEYS };

const ALERTING_KEYS: &[Key] = &[
    may("webhook", Kind::Secret),
    has("body", Kind::Document),
    has("repeat", Kind::Retention("1m", "5000w")),
    has("timeout", Kind::Duration("1s", "10m")),
];

/// `[alerts.NAME]`
pub(crate) static ALERT: Section = Section {
    name: "defaults.alert",
    keys: &[
        needs("when", Kind::MetricCondition),
        may("labels", Kind::Names),
        may("increase_over", Kind::Duration("5s", "1d")),
        has("for", Kind::Duration("0s", "1d")),
        has("keep", Kind::Duration("0s", "1d")),
        has("severity", Kind::Choice(&["page", "warn", "off"])),
        needs("summary", Kind::Text),
    ],
};
