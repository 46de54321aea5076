//! Secrets: named in the configuration as `env:NAME` or `file:PATH`, never printed. One from a file can be read
//! again, because whoever rotates it changes the file.

use std::fmt;
use std::path::PathBuf;

/// A resolved secret. `Debug` and `Display` print `***`; the text leaves only through [`Secret::expose`].
#[derive(Clone, Default)]
pub struct Secret {
    text: String,
    path: Option<PathBuf>,
}

impl Secret {
    /// Wraps a text that must not be printed.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), path: None }
    }

    /// What stands in a file now: one line of text.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, String> {
        let path = path.into();
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("names file {path:?}, which cannot be read: {error}"))?;
        Ok(Self { text: text.trim_end_matches(['\r', '\n']).to_owned(), path: Some(path) })
    }

    /// The text itself, for the one header or login that needs it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The secret as it stands in its file now, if that is another one.
    pub fn renewed(&self) -> Option<Self> {
        let now = Self::from_file(self.path.as_ref()?).ok()?;
        (!now.text.is_empty() && now.text != self.text).then_some(now)
    }
}

/// Two secrets of one file are the same: a rotated one is no change of the configuration.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (&self.path, &other.path) {
            (Some(own), Some(other)) => own == other,
            _ => self.text == other.text,
        }
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
