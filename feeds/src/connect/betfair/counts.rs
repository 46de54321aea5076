//! What a connector has met.

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that stood.
    pub connections: u64,
    /// Changes that were published.
    pub published: u64,
    /// The venue's heartbeats, published too.
    pub heartbeats: u64,
    /// Repeated images.
    pub images: u64,
    /// Instrument definitions.
    pub instruments: u64,
    /// Lines that cannot be read; the stream goes on where it was before them.
    pub malformed: u64,
    /// Lines of another `op`, or of the right one before it was asked for.
    pub unknown: u64,
    /// Answers to nothing that was asked.
    pub stray: u64,
    /// Errors that the venue answered with.
    pub errors: u64,
    /// Messages in parts that did not fit together or were not finished; the stream goes on where it was before them.
    pub torn: u64,
    /// Market changes that the venue has joined (`con`).
    pub conflated: u64,
    /// Messages that say themselves that the venue's data are late (status 503).
    pub suspect: u64,
    /// Messages that are older than the one before.
    pub time_back: u64,
    /// Prices that are not on their market's ladder; published.
    pub off_ladder: u64,
    /// Images of markets that are not repeated, because there are too many.
    pub not_kept: u64,
    /// Calls that did not keep the session alive.
    pub not_kept_alive: u64,
}

impl Counts {
    /// Tells each by its name.
    pub(super) fn tell(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        let all = [
            ("connections", self.connections),
            ("published", self.published),
            ("heartbeats", self.heartbeats),
            ("images", self.images),
            ("instruments", self.instruments),
            ("malformed", self.malformed),
            ("unknown", self.unknown),
            ("stray", self.stray),
            ("errors", self.errors),
            ("torn", self.torn),
            ("conflated", self.conflated),
            ("suspect", self.suspect),
            ("time_back", self.time_back),
            ("off_ladder", self.off_ladder),
            ("not_kept", self.not_kept),
            ("not_kept_alive", self.not_kept_alive),
        ];
        all.into_iter().for_each(|(name, count)| tell(name, count));
    }
}
