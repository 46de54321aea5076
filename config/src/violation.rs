//! Violations of the configuration: collected all at once, told in the order in which they stand.

use std::collections::HashSet;
use std::fmt;

/// One rule broken at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// `FILE:line:column`, `FILE`, or the argument that set it, such as `--set a.b`.
    pub place: String,
    /// The key, such as `engine.encoders`; empty where the file as a whole is meant.
    pub key: String,
    /// The rule and what was found.
    pub rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.rule)
    }
}

/// Everything that is wrong with a configuration, in the order of the files and then of the arguments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<Violation>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, violation) in self.0.iter().enumerate() {
            write!(f, "{}{violation}", if i > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

/// Where a value stands: its source, in the order of precedence, and the byte within.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) source: usize,
    pub(crate) byte: usize,
}

/// A file or an argument. Only files have lines.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: Option<String>,
}

impl Source {
    fn tell(&self, byte: usize) -> String {
        let Some(before) = self.text.as_deref().and_then(|t| t.get(..byte)) else {
            return self.name.clone();
        };
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
        format!("{}:{line}:{column}", self.name)
    }
}

/// Collects violations: the first one of each key, so that one mistake is told once.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    found: Vec<(Place, String, String)>,
    keys: HashSet<String>,
}

impl Violations {
    pub(crate) fn add(&mut self, place: Place, key: &str, rule: impl Into<String>) {
        if key.is_empty() || self.keys.insert(key.to_owned()) {
            self.found.push((place, key.to_owned(), rule.into()));
        }
    }

    /// Whether `key`, or a key below or above it, has been found wrong: its value then means nothing.
    pub(crate) fn concern(&self, key: &str) -> bool {
        let inside = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.keys.iter().any(|k| inside(k, key) || inside(key, k))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The violations as errors, in order.
    pub(crate) fn into_errors(mut self, sources: &[Source]) -> ConfigErrors {
        self.found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let tell = |place: Place| sources.get(place.source).map_or_else(String::new, |s| s.tell(place.byte));
        let list = self.found.into_iter();
        ConfigErrors(list.map(|(p, key, rule)| Violation { place: tell(p), key, rule }).collect())
    }
}
