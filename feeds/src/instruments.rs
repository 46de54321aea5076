//! Instruments: which name is which pair.

/// The names known at start.
#[derive(Debug, Default)]
pub struct Instruments {}
