//! Kraken REST answers: they carry no time of their own.

use serde::de::IgnoredAny;

use super::Message;

/// Everything but the payload.
pub(super) fn about(json: &str) -> Result<Message, serde_json::Error> {
    serde_json::from_str::<IgnoredAny>(json).map(|_| Message::default())
}
