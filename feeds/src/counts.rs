//! What one decoder has done, as plain numbers. The encoder thread owns them and publishes a copy a burst.

use crate::field::FieldCounts;

/// Why a frame could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Undecodable {
    /// The bytes end too early, or a length is larger than what is left.
    Truncated,
    /// A marker that msgpack does not have, or bytes after the value.
    Malformed,
    /// Deeper than 16.
    TooDeep,
    /// Neither a map nor an array of maps.
    NotAMap,
    /// No payload shape of the decoder fits.
    UnknownShape,
    /// Larger than `message_bytes_max`.
    Oversized,
    /// The venue says error.
    VenueError,
}

impl Undecodable {
    /// Every reason, in the order of [`Counts::undecodable`].
    pub const ALL: [Undecodable; 7] = [
        Undecodable::Truncated,
        Undecodable::Malformed,
        Undecodable::TooDeep,
        Undecodable::NotAMap,
        Undecodable::UnknownShape,
        Undecodable::Oversized,
        Undecodable::VenueError,
    ];

    /// The name in reports and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Undecodable::Truncated => "truncated",
            Undecodable::Malformed => "malformed",
            Undecodable::TooDeep => "too_deep",
            Undecodable::NotAMap => "not_a_map",
            Undecodable::UnknownShape => "unknown_shape",
            Undecodable::Oversized => "oversized",
            Undecodable::VenueError => "venue_error",
        }
    }
}

/// Counters of one decoder. Equations 2 and 3 of the ledger are checked on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames given to the decoder.
    pub frames: u64,
    /// Frames decoded.
    pub decoded: u64,
    /// Frames that make no point by design.
    pub control: u64,
    /// Frames that could not be decoded, by [`Undecodable`].
    pub undecodable: [u64; 7],
    /// Points that were about to be made.
    pub candidates: u64,
    /// Points made.
    pub points_made: u64,
    /// Candidates equal to what was last written.
    pub unchanged: u64,
    /// Candidates of which nothing can be said before the market's image.
    pub awaiting_image: u64,
    /// Candidates that the configuration leaves out.
    pub filtered: u64,
    /// Candidates that cannot be written.
    pub bad_points: u64,
    /// Fields left out because they are no finite number or of the wrong type.
    pub bad_field: u64,
    /// Control characters in text fields that became a space.
    pub control_char: u64,
    /// Decimals with more digits than a float64 keeps.
    pub decimal_rounded: u64,
    /// Points whose venue time lay before the series' last one.
    pub out_of_order: u64,
    /// Points whose ordinal the engine counted itself.
    pub tiebreak_local: u64,
    /// Maps that met others at one time and could not be remembered.
    pub tiebreak_forgotten: u64,
    /// Same series, time and ordinal from another message.
    pub timestamp_collisions: u64,
    /// Points moved past the slots of their time.
    pub timestamp_overflow: u64,
    /// Venue times too far from the receive time, stored there.
    pub venue_time_off: u64,
    /// Names that no instrument table knows.
    pub unknown_instrument: u64,
    /// Numbered frames whose `_seq` was read.
    pub sequenced: u64,
    /// Frames without a number.
    pub unsequenced: u64,
    /// Numbers that the trackers know were sent.
    pub published: u64,
    /// Numbers seen before.
    pub duplicate: u64,
    /// Missing numbers that announced drops explain.
    pub lost_overload: u64,
    /// Other missing numbers.
    pub lost_before_receive: u64,
    /// Holes in the sequences.
    pub gaps: u64,
    /// A source followed another on one endpoint and topic.
    pub publisher_restarts: u64,
}

/// What one frame adds to [`Counts`] if it is decoded, under the same names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub(crate) candidates: u64,
    pub(crate) points_made: u64,
    /// Whether there is anything in `rare`: most frames need not add it up.
    any_rare: bool,
    rare: RareTally,
}

/// What most frames have none of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RareTally {
    pub(crate) unchanged: u64,
    pub(crate) awaiting_image: u64,
    pub(crate) filtered: u64,
    pub(crate) bad_points: u64,
    pub(crate) out_of_order: u64,
    pub(crate) tiebreak_local: u64,
    pub(crate) tiebreak_forgotten: u64,
    pub(crate) timestamp_collisions: u64,
    pub(crate) timestamp_overflow: u64,
    pub(crate) venue_time_off: u64,
    pub(crate) unknown_instrument: u64,
}

impl Tally {
    /// The rare ones, to be added to.
    #[inline]
    pub(crate) fn rare(&mut self) -> &mut RareTally {
        self.any_rare = true;
        &mut self.rare
    }
}

impl Counts {
    /// Adds what a decoded frame has counted.
    #[inline]
    pub(crate) fn add(&mut self, frame: &Tally, fields: &FieldCounts) {
        self.candidates += frame.candidates;
        self.points_made += frame.points_made;
        if frame.any_rare {
            self.add_rare(&frame.rare);
        }
        self.bad_field += fields.bad;
        self.decimal_rounded += fields.rounded;
        self.control_char += fields.control_chars;
    }

    #[inline(never)]
    fn add_rare(&mut self, frame: &RareTally) {
        self.unchanged += frame.unchanged;
        self.awaiting_image += frame.awaiting_image;
        self.filtered += frame.filtered;
        self.bad_points += frame.bad_points;
        self.out_of_order += frame.out_of_order;
        self.tiebreak_local += frame.tiebreak_local;
        self.tiebreak_forgotten += frame.tiebreak_forgotten;
        self.timestamp_collisions += frame.timestamp_collisions;
        self.timestamp_overflow += frame.timestamp_overflow;
        self.venue_time_off += frame.venue_time_off;
        self.unknown_instrument += frame.unknown_instrument;
    }

    /// Frames that could not be decoded, all reasons.
    pub fn undecodable_total(&self) -> u64 {
        self.undecodable.iter().sum()
    }

    /// The counters that stand in no equation, with their names in reports and metrics.
    pub fn further(&self) -> [(&'static str, u64); 13] {
        [
            ("bad_field", self.bad_field),
            ("control_char", self.control_char),
            ("decimal_rounded", self.decimal_rounded),
            ("out_of_order", self.out_of_order),
            ("tiebreak_local", self.tiebreak_local),
            ("tiebreak_forgotten", self.tiebreak_forgotten),
            ("timestamp_collisions", self.timestamp_collisions),
            ("timestamp_overflow", self.timestamp_overflow),
            ("venue_time_off", self.venue_time_off),
            ("unknown_instrument", self.unknown_instrument),
            ("unsequenced", self.unsequenced),
            ("gaps", self.gaps),
            ("publisher_restarts", self.publisher_restarts),
        ]
    }

    /// Whether equations 1 to 3 hold for what the decoder itself has seen.
    pub fn balanced(&self) -> bool {
        let seen = self.decoded + self.control + self.undecodable_total();
        let classed =
            self.points_made + self.unchanged + self.awaiting_image + self.filtered + self.bad_points;
        let lost = self.lost_overload.wrapping_add(self.lost_before_receive);
        let published = self.sequenced.wrapping_sub(self.duplicate).wrapping_add(lost);
        self.frames == seen && self.candidates == classed && self.published == published
    }
}
