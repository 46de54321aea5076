//! Sequences: who sent how much, and what of it is missing.

use serde::{Deserialize, Serialize};

/// Where one source stood when it was last seen; a row of the state file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequencePoint {
    /// Endpoint: its position in the plan.
    pub endpoint: u16,
    /// Topic as sent.
    pub topic: String,
    /// `_src`
    pub src: u32,
    /// Highest number known to have been sent.
    pub last: u64,
}
