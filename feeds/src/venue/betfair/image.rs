//! What a publisher keeps of each market, to repeat it for an engine that starts late: ladders, figures and the
//! definition, as a decoder would know them. It promises that a decoder without state that reads such an image makes
//! from then on the points of one that has read everything. It refuses to keep what had no image, and closed markets.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use super::amount::Amount;
use super::change::{Change, Changes, Entry};
use super::ladder::{Kind, LadderChange, Ladders, Level, Side};
use super::market::RUNNERS_MAX;
use super::read_markets;
use crate::clock::WallNanos;
use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::field::FieldCounts;
use crate::payload::PayloadWriter;
use crate::series::TAG_VALUE_BYTES_MAX;
use crate::venue::{read_map, read_text};

mod instrument;
mod price_ladder;

pub(crate) use instrument::Instrument;
use price_ladder::PriceLadder;

/// Markets kept: ten subscriptions of the usual 200.
const MARKETS_MAX: usize = 2_000;

/// Keys of a map that repeats a market, beside those of every map.
pub(crate) const IMAGE_KEYS: u16 = 4;

/// Ladders by key, the best kind first: a reader that goes by the first needs no other.
const LADDERS: [(&str, Kind, Side); 6] = [
    ("atb", Kind::Full, Side::Back),
    ("atl", Kind::Full, Side::Lay),
    ("bdatb", Kind::Display, Side::Back),
    ("bdatl", Kind::Display, Side::Lay),
    ("batb", Kind::Best, Side::Back),
    ("batl", Kind::Best, Side::Lay),
];

/// What a message says beside its markets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Part {
    /// `SUB_IMAGE`: the venue's whole state, or a part of it.
    pub(crate) of_image: bool,
    /// Its first part.
    pub(crate) starts: bool,
    /// Its last part.
    pub(crate) ends: bool,
}

/// What was met in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Met {
    /// Entries of `mc` with `con`.
    pub(crate) conflated: u64,
    /// Prices that are not on their market's ladder.
    pub(crate) off_ladder: u64,
    /// Images of markets for which there was no room.
    pub(crate) not_kept: u64,
}

/// The markets of one publisher.
#[derive(Debug, Default)]
pub(crate) struct Images {
    /// By id, so that a walk over them has an order.
    known: BTreeMap<String, Image>,
    changes: Changes,
    fields: FieldCounts,
    /// Counts the venue's whole images: the parts of one clear a market once.
    runs: u64,
    /// Instruments that the last message has changed.
    redefined: Vec<Instrument>,
}

/// One of them.
#[derive(Debug, Default)]
pub(crate) struct Image {
    runners: Vec<RunnerImage>,
    /// Which whole image it was last a part of.
    run: Option<u64>,
    /// Best kind of ladder that was sent since its image.
    kind: Option<Kind>,
    total: Option<Amount>,
    /// msgpack, as it was sent: a decoder tells by the bytes whether it has changed.
    definition: Vec<u8>,
    instrument: Instrument,
    price_ladder: PriceLadder,
    /// LINE and RANGE markets are read by level only.
    has_levels_only: bool,
    is_closed: bool,
    /// When it was last changed, ms.
    pt: Option<i64>,
}

#[derive(Debug, Default)]
struct RunnerImage {
    selection: i64,
    handicap: Option<Amount>,
    /// What tells handicaps apart.
    order: i64,
    ladders: Ladders,
    /// By side: whether anything that is read was ever said of it. One that is known and empty has size 0 in points.
    is_known: [bool; 2],
    last_price: Option<Amount>,
    matched: Option<Amount>,
    sp_near: Option<Amount>,
    sp_far: Option<Amount>,
}

impl Images {
    /// Markets kept.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// The market behind `id` in their order, round and round.
    pub(crate) fn after(&self, id: &str) -> Option<(&str, &Image)> {
        let behind = self.known.range::<str, _>((Excluded(id), Unbounded)).next();
        behind.or_else(|| self.known.first_key_value()).map(|(id, market)| (id.as_str(), market))
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Image)> {
        self.known.iter().map(|(id, market)| (id.as_str(), market))
    }

    /// Instruments that the last message has changed; closed ones, too.
    pub(crate) fn redefined(&self) -> &[Instrument] {
        &self.redefined
    }

    /// Takes a published `mcm` over.
    pub(crate) fn apply(&mut self, payload: &[u8], part: Part, pt: Option<i64>) -> Result<Met, Undecodable> {
        self.changes.clear();
        self.redefined.clear();
        let mut cursor = Cursor::new(payload);
        let Value::Map(entries) = cursor.value()? else { return Err(Undecodable::NotAMap) };
        for _ in 0..entries {
            match cursor.key()?.text {
                b"mc" => read_markets(&mut self.changes, payload, &mut cursor, &mut self.fields, 1)?,
                _ => cursor.skip(1)?,
            }
        }
        if part.of_image && part.starts {
            self.runs += 1;
        }
        let mut met = Met::default();
        for at in 0..self.changes.markets.len() {
            self.market(at, payload, part, pt, &mut met)?;
        }
        if part.of_image && part.ends {
            // What is not in the venue's whole state is not subscribed to any more.
            self.known.retain(|_, market| market.run == Some(self.runs));
        }
        Ok(met)
    }

    fn market(
        &mut self,
        at: usize,
        payload: &[u8],
        part: Part,
        pt: Option<i64>,
        met: &mut Met,
    ) -> Result<(), Undecodable> {
        let Some(change) = self.changes.markets.get(at) else { return Ok(()) };
        met.conflated += u64::from(change.conflated);
        let id = payload.get(change.id.clone()).and_then(|id| std::str::from_utf8(id).ok());
        let Some(id) = id.filter(|id| id.len() <= TAG_VALUE_BYTES_MAX) else { return Ok(()) };
        let is_image = change.image || part.of_image;
        let is_kept = self.known.contains_key(id);
        if !is_kept && (!is_image || self.known.len() >= MARKETS_MAX) {
            met.not_kept += u64::from(is_image);
            return Ok(());
        }
        let market = self.known.entry(id.to_owned()).or_default();
        let run = part.of_image.then_some(self.runs);
        if is_image && (run.is_none() || market.run != run) {
            market.forget();
        }
        market.run = run;
        market.pt = pt.or(market.pt);
        market.total = change.total.or(market.total);
        if let Some(definition) = change.definition.and_then(|start| payload.get(start..))
            && market.define(id, definition, &mut self.fields)?
        {
            market.instrument.since = WallNanos(pt.unwrap_or(0).saturating_mul(1_000_000));
            self.redefined.push(market.instrument.to_owned());
        }
        let entries = self.changes.of(at);
        market.take_kind(entries.ladders());
        for entry in entries {
            met.off_ladder += market.change(&entry);
        }
        if market.is_closed {
            self.known.remove(id);
        }
        Ok(())
    }
}

impl Image {
    /// A new image begins. That a side was known stays: it is empty now.
    fn forget(&mut self) {
        self.kind = None;
        for runner in &mut self.runners {
            runner.ladders.clear();
            (runner.last_price, runner.matched, runner.sp_near, runner.sp_far) = (None, None, None, None);
        }
    }

    /// What topic `instruments` says of it.
    pub(crate) fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    /// Takes the definition at the front of `payload`; whether it is another instrument now.
    fn define(&mut self, id: &str, payload: &[u8], fields: &mut FieldCounts) -> Result<bool, Undecodable> {
        let start = Cursor::new(payload);
        let mut cursor = start;
        let Some(keys) = read_map(&mut cursor, 1)? else { return Ok(false) };
        let mut interval = None;
        let (mut status, mut betting, mut ladder) = (&b""[..], &b""[..], &b""[..]);
        for _ in 0..keys {
            match cursor.key()?.text {
                b"status" => status = read_text(&mut cursor, 1)?,
                b"bettingType" => betting = read_text(&mut cursor, 1)?,
                b"lineInterval" => interval = Amount::read(&mut cursor, fields, 1)?,
                b"priceLadderDefinition" => {
                    for _ in 0..read_map(&mut cursor, 1)?.unwrap_or(0) {
                        match cursor.key()?.text {
                            b"type" => ladder = read_text(&mut cursor, 1)?,
                            _ => cursor.skip(1)?,
                        }
                    }
                }
                _ => cursor.skip(1)?,
            }
        }
        self.has_levels_only = matches!(betting, b"LINE" | b"RANGE");
        self.price_ladder = PriceLadder::of(betting, ladder);
        self.is_closed = status == b"CLOSED";
        self.definition.clear();
        self.definition.extend_from_slice(start.passed(&cursor));
        let instrument = Instrument::of(id, status, ladder, interval);
        let is_new = (&self.instrument.body, self.instrument.keys) != (&instrument.body, instrument.keys);
        if is_new {
            self.instrument = instrument;
        }
        Ok(is_new)
    }

    fn take_kind(&mut self, ladders: &[LadderChange]) {
        let sent = ladders.iter().map(|ladder| ladder.kind).filter(|kind| self.is_read(*kind)).max();
        self.kind = self.kind.max(sent);
    }

    fn is_read(&self, kind: Kind) -> bool {
        !(self.has_levels_only && kind == Kind::Full)
    }

    /// Takes one `rc` entry and says how many of its prices are off the ladder.
    fn change(&mut self, entry: &Entry<'_>) -> u64 {
        let (price_ladder, has_kind) = (self.price_ladder, self.kind.is_some());
        let Some(runner) = self.runner(entry.change) else { return 0 };
        for (known, new) in [
            (&mut runner.last_price, entry.change.last_price),
            (&mut runner.matched, entry.change.matched),
            (&mut runner.sp_near, entry.change.sp_near),
            (&mut runner.sp_far, entry.change.sp_far),
        ] {
            *known = new.or(*known);
        }
        let mut off_ladder = 0;
        for ladder in entry.ladders {
            let steps = entry.steps(ladder);
            runner.ladders.apply(ladder, steps);
            if let Some(known) = runner.is_known.get_mut(ladder.side as usize) {
                *known |= has_kind;
            }
            let offered = steps.iter().filter(|step| !step.level.size.is_zero());
            let off = offered.filter(|step| !price_ladder.has(step.level.price.order()));
            off_ladder += off.count() as u64;
        }
        off_ladder
    }

    fn runner(&mut self, change: &Change) -> Option<&mut RunnerImage> {
        let selection = change.selection?;
        let order = change.handicap.map_or(0, Amount::order);
        let known = self.runners.iter().position(|r| r.selection == selection && r.order == order);
        if known.is_none() && self.runners.len() < RUNNERS_MAX {
            self.runners.push(RunnerImage {
                selection,
                handicap: change.handicap,
                order,
                ..RunnerImage::default()
            });
        }
        let at = known.or_else(|| self.runners.len().checked_sub(1))?;
        self.runners.get_mut(at).filter(|runner| runner.selection == selection && runner.order == order)
    }

    /// Writes the [`IMAGE_KEYS`] keys of a map that repeats it.
    pub(crate) fn write(&self, id: &str, out: &mut PayloadWriter) {
        out.text("_image");
        out.bool(true);
        out.text("op");
        out.text("mcm");
        out.text("pt");
        match self.pt {
            Some(pt) => out.int(pt),
            None => out.nil(),
        }
        out.text("mc");
        out.array(1);
        let has_definition = !self.definition.is_empty();
        out.map(3 + u32::from(self.total.is_some()) + u32::from(has_definition));
        out.text("id");
        out.text(id);
        out.text("img");
        out.bool(true);
        if let Some(total) = self.total {
            out.text("tv");
            total.write(out);
        }
        if has_definition {
            out.text("marketDefinition");
            out.raw(&self.definition);
        }
        out.text("rc");
        out.array(self.runners.len() as u32);
        self.runners.iter().for_each(|runner| runner.write(self, out));
    }
}

impl RunnerImage {
    fn write(&self, market: &Image, out: &mut PayloadWriter) {
        // The market's ladder tells of a known side that it is empty.
        let kind = market.kind.unwrap_or(Kind::Best);
        let figures = [
            ("hc", self.handicap),
            ("ltp", self.last_price),
            ("tv", self.matched),
            ("spn", self.sp_near),
            ("spf", self.sp_far),
        ];
        let figures = || figures.iter().filter_map(|(key, figure)| Some((*key, (*figure)?)));
        let is_told = |ladder: &&(&str, Kind, Side)| {
            let (_, of, side) = **ladder;
            let is_known = self.is_known.get(side as usize) == Some(&true);
            is_known && (of == kind || market.is_read(of) && self.ladders.count(of, side) > 0)
        };
        let ladders = || LADDERS.iter().filter(is_told);
        out.map(1 + (figures().count() + ladders().count()) as u32);
        out.text("id");
        out.int(self.selection);
        for (key, figure) in figures() {
            out.text(key);
            figure.write(out);
        }
        for (key, of, side) in ladders() {
            out.text(key);
            out.array(self.ladders.count(*of, *side) as u32);
            self.ladders.each(*of, *side, |at, Level { price, size }| {
                out.array(if *of == Kind::Full { 2 } else { 3 });
                if *of != Kind::Full {
                    out.uint(at as u64);
                }
                price.write(out);
                size.write(out);
            });
        }
    }
}
