//! Retention policies: what is there, what is wanted, and the statements between them. Pure.

use std::time::Duration;

use tickline_config::model::Retention;

use super::{AdminError, Row, identifier};

/// InfluxDB makes shorter shards this long.
const SHARD_MIN: Duration = Duration::from_secs(3600);

/// A retention policy as the server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Name; for version 2 the bucket's.
    pub name: String,
    /// How long points are kept; none: for ever.
    pub duration: Option<Duration>,
    /// Span of one shard.
    pub shard_duration: Duration,
    /// Whether writes without a policy go there.
    pub default: bool,
}

impl Policy {
    /// A row of `SHOW RETENTION POLICIES`: name, duration, shard duration, replicas, default.
    pub(super) fn of_row(row: &Row) -> Option<Self> {
        Some(Self {
            name: row.get(0)?.as_str()?.to_owned(),
            duration: Some(go_duration(row.get(1)?.as_str()?)?).filter(|d| !d.is_zero()),
            shard_duration: go_duration(row.get(2)?.as_str()?)?,
            default: row.get(4)?.as_bool()?,
        })
    }
}

/// One statement that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The database is missing.
    CreateDatabase,
    /// The policy is missing.
    Create(Policy),
    /// The policy keeps points longer or less long, or has other shards.
    Alter {
        /// As the server has it.
        from: Policy,
        /// As it is wanted.
        to: Policy,
    },
    /// Another policy is the default of a database that was there before.
    MakeDefault {
        /// The one that is it.
        from: String,
        /// The one that is wanted.
        to: String,
        /// Whether the one that is it holds points.
        holds: bool,
    },
}

impl Change {
    /// Whether stored points go with it, or are not found any more by who names no policy.
    pub fn loses(&self) -> bool {
        match self {
            Change::Alter { from, to } => {
                to.duration.is_some_and(|wanted| from.duration.is_none_or(|has| wanted < has))
            }
            Change::MakeDefault { holds, .. } => *holds,
            Change::CreateDatabase | Change::Create(_) => false,
        }
    }

    /// InfluxQL for it.
    pub fn statement(&self, database: &str) -> String {
        let database = identifier(database);
        let (verb, policy) = match self {
            Change::CreateDatabase => return format!("CREATE DATABASE {database}"),
            Change::Create(policy) => ("CREATE", policy),
            Change::Alter { to, .. } => ("ALTER", to),
            Change::MakeDefault { to, .. } => {
                return format!("ALTER RETENTION POLICY {} ON {database} DEFAULT", identifier(to));
            }
        };
        format!(
            "{verb} RETENTION POLICY {} ON {database} DURATION {} REPLICATION 1 SHARD DURATION {}s{}",
            identifier(&policy.name),
            policy.duration.map_or("INF".to_owned(), |d| format!("{}s", d.as_secs())),
            policy.shard_duration.as_secs(),
            if policy.default { " DEFAULT" } else { "" },
        )
    }
}

/// What to do so that the database (none: there is none yet) has the wanted policies. A policy that is there
/// and not wanted stays. Whether the default that is there holds points is not known here.
pub fn changes<'a>(
    existing: Option<&[Policy]>,
    wanted: impl IntoIterator<Item = (&'a String, &'a Retention)>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    if existing.is_none() {
        changes.push(Change::CreateDatabase);
    }
    let existing = existing.unwrap_or_default();
    for (name, retention) in wanted {
        let other = existing.iter().find(|p| p.default && p.name != *name && retention.default);
        let shard_duration = retention.shard_duration.max(SHARD_MIN);
        let (duration, default) = (retention.duration, retention.default && other.is_none());
        let policy = Policy { name: name.clone(), duration, shard_duration, default };
        match existing.iter().find(|p| p.name == *name) {
            None => changes.push(Change::Create(policy)),
            Some(stored) if stored.duration == duration && stored.shard_duration == shard_duration => {}
            Some(stored) => changes.push(Change::Alter { from: stored.clone(), to: policy }),
        }
        let takes_over =
            |other: &Policy| Change::MakeDefault { from: other.name.clone(), to: name.clone(), holds: false };
        changes.extend(other.map(takes_over));
    }
    changes
}

/// Refuses changes with which stored points go.
pub fn refuse_losses(changes: &[Change]) -> Result<(), AdminError> {
    match changes.iter().find(|change| change.loses()) {
        Some(Change::Alter { from, to }) => Err(AdminError::Shorter {
            policy: to.name.clone(),
            wanted: spoken(to.duration),
            stored: spoken(from.duration),
        }),
        Some(Change::MakeDefault { from, to, .. }) => {
            Err(AdminError::OtherDefault { policy: to.clone(), stored: from.clone() })
        }
        _ => Ok(()),
    }
}

/// A duration of a policy for people: `30d`, `for ever`.
pub fn spoken(duration: Option<Duration>) -> String {
    match duration.map(|d| d.as_secs()) {
        None => "for ever".to_owned(),
        Some(s) if s % 86_400 == 0 => format!("{}d", s / 86_400),
        Some(s) if s % 3_600 == 0 => format!("{}h", s / 3_600),
        Some(s) => format!("{s}s"),
    }
}

/// `168h0m0s`, as Go prints whole seconds.
fn go_duration(text: &str) -> Option<Duration> {
    let mut seconds = 0u64;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?;
        let unit = match after.get(..1)? {
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = after.get(1..)?;
    }
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn policy(name: &str, days: Option<u64>, default: bool) -> Policy {
        let duration = days.map(|d| Duration::from_secs(d * DAY));
        Policy { name: name.into(), duration, shard_duration: Duration::from_secs(DAY), default }
    }

    fn wanted(days: Option<u64>, default: bool) -> Retention {
        let duration = days.map(|d| Duration::from_secs(d * DAY));
        Retention { duration, shard_duration: Duration::from_secs(DAY), default }
    }

    #[test]
    fn only_what_differs_is_changed() {
        let ticks = "ticks".to_owned();
        let there = [policy("ticks", Some(30), false), policy("other", None, true)];
        let takes_over =
            || Change::MakeDefault { from: "other".to_owned(), to: "ticks".to_owned(), holds: false };
        let altered = |to| Change::Alter { from: there[0].clone(), to };
        let table = [
            (
                None,
                wanted(Some(30), false),
                vec![Change::CreateDatabase, Change::Create(policy("ticks", Some(30), false))],
            ),
            (
                Some(&there[1..]),
                wanted(None, true),
                vec![Change::Create(policy("ticks", None, false)), takes_over()],
            ),
            (Some(&there[..]), wanted(Some(30), false), vec![]),
            (Some(&there[..]), wanted(Some(31), false), vec![altered(policy("ticks", Some(31), false))]),
            (Some(&there[..]), wanted(None, false), vec![altered(policy("ticks", None, false))]),
            (Some(&there[..]), wanted(Some(30), true), vec![takes_over()]),
        ];
        for (existing, retention, expected) in table {
            assert_eq!(changes(existing, [(&ticks, &retention)]), expected, "{retention:?}");
        }
    }

    #[test]
    fn a_policy_is_never_made_shorter_and_the_error_names_both() {
        let ticks = "ticks".to_owned();
        for (has, wants, names) in
            [(Some(30), Some(7), ["\"7d\"", "30d"]), (None, Some(7), ["\"7d\"", "for ever"])]
        {
            let there = [policy("ticks", has, true)];
            let changes = changes(Some(&there), [(&ticks, &wanted(wants, true))]);
            let error = refuse_losses(&changes).unwrap_err().to_string();
            assert!(names.iter().all(|name| error.contains(name)), "{error}");
        }
    }

    #[test]
    fn statements_are_quoted_and_complete() {
        let create = Change::Create(policy("a\"b", Some(30), true)).statement("d");
        assert_eq!(
            create,
            "CREATE RETENTION POLICY \"a\\\"b\" ON \"d\" DURATION 2592000s REPLICATION 1 SHARD DURATION 86400s DEFAULT"
        );
        assert!(
            Change::Alter { from: policy("p", Some(1), false), to: policy("p", None, false) }
                .statement("d")
                .contains("ALTER RETENTION POLICY \"p\" ON \"d\" DURATION INF")
        );
    }

    #[test]
    fn durations_are_read_as_go_prints_them() {
        let table = [
            ("0s", Some(0)),
            ("168h0m0s", Some(604_800)),
            ("1h0m30s", Some(3_630)),
            ("1.5s", None),
            ("h", None),
            ("5", None),
        ];
        for (text, seconds) in table {
            assert_eq!(go_duration(text), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
