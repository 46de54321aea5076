//! Points out: what every decoder shares when it turns fields into a line. Decides the time and its ordinal,
//! adds the system fields, and puts each candidate into exactly one class.

use tickline_config::model::{FieldChoice, SystemFields, Tiebreak};

use crate::clock::WallNanos;
use crate::counts::Tally;
use crate::envelope::Envelope;
use crate::field::{FieldCounts, FieldPlan, Slot};
use crate::number::{Digits, Wide};
use crate::quote::is_crossed;
use crate::scratch::Scratch;
use crate::series::{SeriesId, SeriesTable};
use crate::tie::{MessageId, Rule};
use crate::time::{self, LastMinute};

mod held;

/// What is known of a point's quality: bits of the field `flags`.
pub mod flag {
    /// From an image or snapshot.
    pub const IMAGE: u8 = 1;
    /// Conflated by the venue.
    pub const CONFLATED: u8 = 2;
    /// The message itself says that the book is suspect.
    pub const SUSPECT: u8 = 4;
    /// No venue time: the point stands at its time of sending or receiving.
    pub const NO_VENUE_TIME: u8 = 8;
    /// Moved past the slots of its venue time.
    pub const TIME_MOVED: u8 = 16;
    /// Crossed, locked or non-positive quote.
    pub const CROSSED: u8 = 32;
}

/// How far a venue time may lie ahead of the publisher's receive time.
const AHEAD_MAX_NS: i64 = 60 * 1_000_000_000;
/// How far it may lie behind.
const BEHIND_MAX_NS: i64 = 48 * 3_600 * 1_000_000_000;

/// Room for the system fields and the time.
const SYSTEM_BYTES_MAX: usize = 200;

/// What of the configuration every point needs.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// System fields written.
    pub system: SystemFields,
    /// Whether ordinals are added.
    pub tiebreak: Tiebreak,
    /// The user named the fields, so that a point without any is left out on purpose.
    pub fields_listed: bool,
}

impl Settings {
    /// The settings of one feed.
    pub fn new(feed: &tickline_config::model::Feed) -> Self {
        let fields_listed = matches!(feed.fields, FieldChoice::List(_));
        Self { system: feed.system_fields, tiebreak: feed.tiebreak, fields_listed }
    }
}

/// Why a candidate makes no point by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppressed {
    /// Equal to what was last written.
    Unchanged,
    /// Nothing can be said before the market's image.
    AwaitingImage,
}

/// When a point happened, as the venue says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VenueTime {
    /// ns since 1970, or none.
    pub nanos: Option<i64>,
    /// The same in whole units: cut once for all points of a message.
    whole: i64,
    /// The decoder's precision, ns: the slots between two venue times.
    pub unit_ns: i64,
    /// The venue's own key for points of one time, where it has one.
    pub own_ordinal: Option<u32>,
}

impl VenueTime {
    /// A time of precision `unit_ns` without a key of the venue's own.
    #[inline]
    pub const fn new(nanos: Option<i64>, unit_ns: i64) -> Self {
        let whole = match nanos {
            Some(nanos) => time::truncate(nanos, unit_ns),
            None => 0,
        };
        Self { nanos, whole, unit_ns, own_ordinal: None }
    }
}

/// System fields, time and end of the last line, if they are nothing out of the ordinary.
#[derive(Clone, Copy, Debug, Default)]
struct Tail {
    recv_ns: i64,
    time: i64,
    from: usize,
    /// 0 if there is none.
    to: usize,
}

/// Makes the points of one frame.
#[derive(Debug)]
pub struct Emit<'o> {
    scratch: &'o mut Scratch,
    /// The decoder's series.
    pub series: &'o mut SeriesTable,
    /// Reserved keys of the message, read as they come.
    pub envelope: Envelope,
    /// Counters of this frame, added up only if it is decoded.
    pub tally: Tally,
    /// Counters of this frame's fields.
    pub fields: FieldCounts,
    settings: Settings,
    engine_recv: WallNanos,
    map: u64,
    /// `map` before the frame's first.
    map_before: u64,
    tail: Tail,
}

impl<'o> Emit<'o> {
    /// For one frame, received at `engine_recv`; `map` counts the decoder's maps.
    #[inline]
    pub fn new(
        scratch: &'o mut Scratch,
        series: &'o mut SeriesTable,
        settings: Settings,
        engine_recv: WallNanos,
        map: u64,
    ) -> Self {
        scratch.line.clear();
        scratch.minutes.clear();
        Self {
            scratch,
            series,
            envelope: Envelope::default(),
            tally: Tally::default(),
            fields: FieldCounts::default(),
            settings,
            engine_recv,
            map,
            map_before: map,
            tail: Tail::default(),
        }
    }

    /// The next map of a bundle begins: `_tie` is its own.
    pub fn begin_map(&mut self) {
        self.map += 1;
        self.envelope.tie = None;
    }

    /// The minute of the last time that was read.
    #[inline]
    pub fn last_minute(&mut self) -> &mut LastMinute {
        &mut self.scratch.last_minute
    }

    /// Maps counted so far.
    pub fn map(&self) -> u64 {
        self.map
    }

    /// When the venue's bytes were read, as well as it is known.
    pub fn recv_ns(&self) -> i64 {
        match self.envelope {
            Envelope { received, .. } if received != 0 => received,
            Envelope { sent, .. } if sent != 0 => sent,
            _ => self.engine_recv.0,
        }
    }

    /// The flag of a quote that is crossed, locked or not positive; 0 where flags are not written.
    #[inline]
    pub fn crossed(&self, bid: &Slot<'_>, ask: &Slot<'_>) -> u8 {
        if self.settings.system.flags && is_crossed(bid, ask) { flag::CROSSED } else { 0 }
    }

    /// A candidate that makes no point by design.
    pub fn suppress(&mut self, series: Option<SeriesId>, why: Suppressed) {
        self.tally.candidates += 1;
        if let Some((known, _)) = series.and_then(|id| self.series.get(id)) {
            known.ties.next_in_map(self.map);
        } else if let Some(held) = series
            && self.suppress_held(held)
        {
            return;
        }
        match why {
            Suppressed::Unchanged => self.tally.rare().unchanged += 1,
            Suppressed::AwaitingImage => self.tally.rare().awaiting_image += 1,
        }
    }

    /// A candidate that belongs to no series.
    pub fn bad_candidate(&mut self) {
        self.tally.candidates += 1;
        self.tally.rare().bad_points += 1;
    }

    /// A candidate: one line, or a bad point if its series cannot be written or it has no field.
    #[inline]
    pub fn point(
        &mut self,
        series: Option<SeriesId>,
        plan: &FieldPlan,
        slots: &[Slot<'_>],
        at: VenueTime,
        flags: u8,
    ) {
        self.tally.candidates += 1;
        let Some(series) = series else { return self.bad_point() };
        let Some((known, _)) = self.series.get(series) else {
            return self.held_back(series, plan, slots, at, flags);
        };
        let position = known.ties.next_in_map(self.map);
        let line = &mut self.scratch.line;
        let mark = line.position();
        line.put(&known.key);
        let fields_at = line.position();
        if !plan.put(line, slots, &mut self.fields) {
            line.rewind(mark);
            return self.no_fields();
        }
        // The comma of the first field is the space behind the series.
        line.set(fields_at, b' ');
        let time = self.finish(series, at, flags, position);
        self.scratch.minutes.add(plan.measurement, time);
        self.tally.points_made += 1;
    }

    /// Whether the feed has a deadband and no side of the quote has left it, nor has its state
    /// changed: flags, and whether trading is halted. Then it is counted and makes no point.
    #[inline]
    pub fn stays(&mut self, series: Option<SeriesId>, sides: [&Slot<'_>; 2], state: (u8, bool)) -> bool {
        self.scratch.deadband.is_some() && self.stays_within(series, sides, state)
    }

    #[inline(never)]
    fn stays_within(&mut self, series: Option<SeriesId>, sides: [&Slot<'_>; 2], state: (u8, bool)) -> bool {
        let recv_ns = self.recv_ns();
        if series.is_some_and(|id| self.is_left_out(id)) {
            return false;
        }
        let Some((deadband, id)) = self.scratch.deadband.as_mut().zip(series) else { return false };
        let stays = deadband.holds(id, sides, state, recv_ns);
        if stays {
            self.suppress(series, Suppressed::Unchanged);
        }
        stays
    }

    #[cold]
    fn bad_point(&mut self) {
        self.tally.rare().bad_points += 1;
    }

    #[cold]
    fn no_fields(&mut self) {
        if self.settings.fields_listed {
            self.tally.rare().filtered += 1;
        } else {
            self.tally.rare().bad_points += 1;
        }
    }

    /// System fields, time and the end of the line; returns the time.
    #[inline]
    fn finish(&mut self, series: SeriesId, at: VenueTime, mut flags: u8, position: u32) -> i64 {
        let (base, unit_ns, off) = self.place(at, &mut flags);
        // What publisher and venue say of the venue's time says nothing of another.
        let rule = if off.is_some() { Rule::Local } else { self.rule(at.own_ordinal, position) };
        let ordinal = match self.settings.tiebreak {
            Tiebreak::Ordinal => self.ordinal(series, base, rule),
            Tiebreak::None => 0,
        };
        if i64::from(ordinal) >= unit_ns {
            flags |= flag::TIME_MOVED;
            self.tally.rare().timestamp_overflow += 1;
        }
        let time = base.saturating_add(i64::from(ordinal));
        let recv_ns = if self.settings.system.recv_ns { self.recv_ns() } else { 0 };
        let line = &mut self.scratch.line;
        line.reserve(SYSTEM_BYTES_MAX);
        let system = self.settings.system;
        let plain = off.is_none() && !(flags != 0 && system.flags) && !system.seq;
        let tail = self.tail;
        if plain && tail.to > 0 && tail.time == time && tail.recv_ns == recv_ns {
            line.again(tail.from, tail.to);
            return time;
        }
        let from = line.position();
        if self.settings.system.recv_ns {
            let (text, bytes) = self.scratch.recv_text.text(recv_ns);
            line.name(text, bytes);
        }
        if !plain {
            self.rare_fields(flags, off);
        }
        let line = &mut self.scratch.line;
        let (text, bytes) = self.scratch.time_text.text(time);
        line.name(text, bytes);
        self.tail = Tail { recv_ns, time, from, to: if plain { line.position() } else { 0 } };
        time
    }

    #[inline(never)]
    fn rare_fields(&mut self, flags: u8, off: Option<i64>) {
        let line = &mut self.scratch.line;
        if flags != 0 && self.settings.system.flags {
            line.put_wide(Wide::new(*b",flags=         "), 7);
            line.number(&Digits::of_unsigned(u64::from(flags)));
            line.push(b'i');
        }
        if self.settings.system.seq && self.envelope.seq != 0 {
            line.put_wide(Wide::new(*b",seq=           "), 5);
            line.number(&Digits::of_unsigned(self.envelope.seq));
            line.push(b'i');
        }
        if let Some(venue) = off {
            line.put_wide(Wide::new(*b",venue_ns=      "), 10);
            line.number(&Digits::of(venue));
            line.push(b'i');
        }
    }

    /// Time before the ordinal, its precision, and the venue's time if it was too far off to be used.
    #[inline]
    fn place(&mut self, at: VenueTime, flags: &mut u8) -> (i64, i64, Option<i64>) {
        let Some(nanos) = at.nanos else {
            *flags |= flag::NO_VENUE_TIME;
            let sent = self.envelope.sent;
            return (if sent != 0 { sent } else { self.engine_recv.0 }, 1, None);
        };
        let received = self.envelope.received;
        let off = received != 0
            && (nanos > received.saturating_add(AHEAD_MAX_NS)
                || nanos < received.saturating_sub(BEHIND_MAX_NS));
        if off {
            *flags |= flag::NO_VENUE_TIME;
            self.tally.rare().venue_time_off += 1;
            return (received, 1, Some(nanos));
        }
        (at.whole, at.unit_ns, None)
    }

    /// Where the ordinal at the venue's time comes from.
    #[inline]
    fn rule(&self, own: Option<u32>, position: u32) -> Rule {
        match (own, self.envelope.tie, self.envelope.versioned) {
            (Some(key), _, _) => Rule::Given(key),
            (None, Some(tie), _) => Rule::Given(tie.saturating_add(position)),
            (None, None, true) => Rule::Given(position),
            (None, None, false) => Rule::Local,
        }
    }

    #[inline]
    fn ordinal(&mut self, series: SeriesId, time: i64, rule: Rule) -> u32 {
        let message = MessageId {
            src: self.envelope.src,
            seq: self.envelope.seq,
            map: self.map,
            part: (self.map - self.map_before) as u32,
        };
        // The first point at its time has no tie to be counted: one that is counted here has ordinal 0.
        let Some((known, kept)) = self.series.get(series) else { return 0 };
        match known.ties.first(time, rule, message, kept) {
            Some(ordinal) => ordinal,
            None => self.tied(series, time, rule, message),
        }
    }

    #[cold]
    #[inline(never)]
    fn tied(&mut self, series: SeriesId, time: i64, rule: Rule, message: MessageId) -> u32 {
        let Some((known, kept)) = self.series.get(series) else { return 0 };
        let given = known.ties.ordinal(time, rule, message, kept);
        let tally = self.tally.rare();
        tally.timestamp_collisions += u64::from(given.collision);
        tally.out_of_order += u64::from(given.out_of_order);
        tally.tiebreak_local += u64::from(rule == Rule::Local && given.ordinal > 0);
        tally.tiebreak_forgotten += u64::from(given.forgotten);
        given.ordinal
    }
}
