//! REST Ticker: `result` maps a pair's name to nine arrays, each under a letter, or to a list of them as the
//! predecessor sent it.

use super::{
    ASK, ASK_QTY, ASK_WHOLE, BID, BID_QTY, BID_WHOLE, HIGH, HIGH_TODAY, KrakenTick, LAST, LAST_QTY, LOW,
    LOW_TODAY, OPEN, SLOTS, TRADES, TRADES_TODAY, Ticker, VOLUME, VOLUME_TODAY, VWAP, VWAP_TODAY, read_slot,
};
use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::emit::Emit;
use crate::field::Slot;
use crate::schema::FieldType;
use crate::venue::read_map;

/// The order of the arrays in the predecessor's list of nine.
const LIST_ORDER: [u8; 9] = *b"abcvptlho";

/// One array: its slots by position, [`SLOTS`] where there is none.
#[derive(Clone, Copy, Debug)]
struct Places {
    kind: FieldType,
    /// Of three items.
    three: [u8; 3],
    /// Of any other number.
    other: [u8; 3],
}

impl Places {
    const NONE: Self = Self::pair(SLOTS, SLOTS);

    const fn pair(first: usize, second: usize) -> Self {
        let places = [first as u8, second as u8, SLOTS as u8];
        Self { kind: FieldType::Float, three: places, other: places }
    }

    /// `a b` are (price, whole lots, lots), or (price, lots) in old recordings; the others (price, lot) or
    /// (today, 24 hours).
    const fn of(letter: u8) -> Self {
        match letter {
            b'a' => Self { three: [ASK as u8, ASK_WHOLE as u8, ASK_QTY as u8], ..Self::pair(ASK, ASK_QTY) },
            b'b' => Self { three: [BID as u8, BID_WHOLE as u8, BID_QTY as u8], ..Self::pair(BID, BID_QTY) },
            b'c' => Self::pair(LAST, LAST_QTY),
            b'v' => Self::pair(VOLUME_TODAY, VOLUME),
            b'p' => Self::pair(VWAP_TODAY, VWAP),
            b't' => Self { kind: FieldType::Integer, ..Self::pair(TRADES_TODAY, TRADES) },
            b'l' => Self::pair(LOW_TODAY, LOW),
            b'h' => Self::pair(HIGH_TODAY, HIGH),
            b'o' => Self::pair(OPEN, SLOTS),
            _ => Self::NONE,
        }
    }
}

/// The arrays by their letter, without the slots that no plan writes.
#[derive(Debug)]
pub(super) struct Arrays([Places; 26]);

impl Arrays {
    /// `reads` has a bit for each slot that is written.
    pub(super) fn new(reads: u32) -> Self {
        let keep = |slot: u8| if reads >> slot & 1 != 0 { slot } else { SLOTS as u8 };
        Self(std::array::from_fn(|at| {
            let places = Places::of(b'a' + at as u8);
            Places { three: places.three.map(keep), other: places.other.map(keep), ..places }
        }))
    }

    #[inline]
    fn get(&self, letter: u8) -> Option<&Places> {
        self.0.get(usize::from(letter.wrapping_sub(b'a')))
    }
}

impl KrakenTick {
    /// REST's `result`: pair name to ticker.
    pub(super) fn result(
        &mut self,
        cursor: &mut Cursor<'_>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<bool, Undecodable> {
        let Some(pairs) = read_map(cursor, depth)? else { return Ok(false) };
        for _ in 0..pairs {
            let mut ticker = Ticker { name: cursor.key()?.text, ..Ticker::new() };
            let mut at = *cursor;
            let entries = match at.short_map() {
                Some(entries) => entries,
                None => {
                    let entries = self.list(cursor, &mut ticker, emit, depth)?;
                    at = *cursor;
                    entries
                }
            };
            for _ in 0..entries {
                let letter = match at.letter() {
                    Some(letter) => letter,
                    None => {
                        let letter;
                        (letter, at) = odd_letter(at)?;
                        letter
                    }
                };
                self.rest_array(letter, &mut at, &mut ticker, emit, depth + 2)?;
            }
            *cursor = at;
            self.emit(&ticker, emit, 0);
        }
        Ok(true)
    }

    /// A ticker that is no short map: the predecessor's list, or a map whose entries follow.
    #[cold]
    #[inline(never)]
    fn list<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        ticker: &mut Ticker<'a>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<u32, Undecodable> {
        match cursor.value()? {
            Value::Map(entries) => Ok(entries),
            Value::Array(9) => {
                for letter in LIST_ORDER {
                    self.rest_oddity(letter, cursor, ticker, emit, depth + 2)?;
                }
                Ok(0)
            }
            _ => Err(Undecodable::UnknownShape),
        }
    }

    /// One of REST's arrays.
    #[inline(always)]
    fn rest_array<'a>(
        &self,
        letter: u8,
        cursor: &mut Cursor<'a>,
        ticker: &mut Ticker<'a>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let mut after = *cursor;
        let Places { kind, three, other } = self.rest.get(letter).unwrap_or(&Places::NONE);
        if let Some(items @ 2..=3) = after.short_array() {
            let [first, middle, last] = three;
            let [first, last] = if items == 3 { [first, last] } else { [&other[0], &other[1]] };
            self.item(*first, *kind, &mut after, ticker, emit, depth)?;
            if items == 3 {
                self.item(*middle, *kind, &mut after, ticker, emit, depth)?;
            }
            self.item(*last, *kind, &mut after, ticker, emit, depth)?;
            *cursor = after;
            return Ok(());
        }
        after = *cursor;
        if letter == b'o'
            && let Some(value) = Slot::plain(&mut after)
        {
            if let Some(to) = ticker.slots.get_mut(usize::from(other[0])) {
                *to = value;
            }
            *cursor = after;
            return Ok(());
        }
        after = *cursor;
        self.rest_oddity(letter, &mut after, ticker, emit, depth)?;
        *cursor = after;
        Ok(())
    }

    /// One item of an array, depth containers open around the array.
    #[inline(always)]
    fn item<'a>(
        &self,
        slot: u8,
        kind: FieldType,
        cursor: &mut Cursor<'a>,
        ticker: &mut Ticker<'a>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let slot = usize::from(slot);
        let plain = match (ticker.slots.get_mut(slot), kind) {
            (Some(to), FieldType::Integer) => cursor.int().map(|number| *to = Slot::Int(number)),
            (Some(to), _) => Slot::plain(cursor).map(|value| *to = value),
            (None, _) => cursor.short_text().map(|_| ()),
        };
        match plain {
            Some(()) => Ok(()),
            None => {
                let mut after = *cursor;
                odd_item(slot, kind, &mut after, ticker, emit, depth + 1)?;
                *cursor = after;
                Ok(())
            }
        }
    }

    /// What else stands there: one value for `o`, or more items.
    #[inline(never)]
    fn rest_oddity<'a>(
        &self,
        letter: u8,
        cursor: &mut Cursor<'a>,
        ticker: &mut Ticker<'a>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let places = self.rest.get(letter).unwrap_or(&Places::NONE);
        let [first, ..] = places.other;
        let mut after = *cursor;
        let Value::Array(items) = after.value()? else {
            let slot = if letter == b'o' { usize::from(first) } else { SLOTS };
            return read_slot(slot, places.kind, cursor, &mut ticker.slots, emit, depth);
        };
        *cursor = after;
        let slots = if items == 3 { places.three } else { places.other };
        for at in 0..items as usize {
            let slot = slots.get(at).map_or(SLOTS, |slot| usize::from(*slot));
            read_slot(slot, places.kind, cursor, &mut ticker.slots, emit, depth + 1)?;
        }
        Ok(())
    }
}

/// An item in any form.
#[cold]
#[inline(never)]
fn odd_item<'a>(
    slot: usize,
    kind: FieldType,
    cursor: &mut Cursor<'a>,
    ticker: &mut Ticker<'a>,
    emit: &mut Emit<'_>,
    depth: usize,
) -> Result<(), Undecodable> {
    read_slot(slot, kind, cursor, &mut ticker.slots, emit, depth)
}

/// A key that may be anything, as a letter, and the cursor behind it; 0 if it is none.
#[cold]
#[inline(never)]
fn odd_letter(mut cursor: Cursor<'_>) -> Result<(u8, Cursor<'_>), Undecodable> {
    let letter = if let [letter] = cursor.key()?.text { *letter } else { 0 };
    Ok((letter, cursor))
}
