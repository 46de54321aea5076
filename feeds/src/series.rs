//! Series: measurement and tags, escaped and sorted once when first seen, and copied from then on. Each series
//! also remembers which times and ordinals it has used, so that no two of its points share a timestamp.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use tickline_config::model::{Filter, SYMBOL_TAGS};

use crate::tie::TieState;

/// A series of one decoder, as a position in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesId(u32);

/// In an id: [`SeriesTable::get`] does not know it. Whoever makes a point of it then asks what the feed's filter says, and
/// feeds without a filter, whose ids have no such mark, pay nothing for the question.
const HELD: u32 = 1 << 31;

/// Longest symbol or other tag value that is stored.
pub const TAG_VALUE_BYTES_MAX: usize = 256;

/// What is known of one series, beside each other so that a point looks it up once.
#[derive(Debug, Default)]
pub struct Series {
    /// Measurement and tags as line protocol, such as `kraken_tick,base=BTC,exchange=kraken`.
    pub key: Box<[u8]>,
    /// The times and ordinals that it has used.
    pub ties: TieState,
    /// The feed's filter does not want its symbol.
    pub left_out: bool,
}

/// All series of one decoder. Bounded: a series beyond `series_max` is refused.
#[derive(Debug)]
pub struct SeriesTable {
    by_key: HashTable<SeriesId>,
    hasher: DefaultHashBuilder,
    known: Vec<Series>,
    /// Maps remembered in the crowds of all series.
    ties_kept: usize,
    /// Places of series that were released.
    free: Vec<SeriesId>,
    series_max: usize,
    filter: Filter,
}

impl SeriesId {
    /// Its position in the table.
    pub fn position(self) -> usize {
        self.known().0 as usize
    }

    /// The same id, known to [`SeriesTable::get`] whatever the filter says.
    pub fn known(self) -> Self {
        Self(self.0 & !HELD)
    }
}

impl SeriesTable {
    /// An empty table for at most `series_max` series.
    pub fn new(series_max: usize) -> Self {
        Self {
            by_key: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            known: Vec::new(),
            ties_kept: 0,
            free: Vec::new(),
            series_max,
            filter: Filter::default(),
        }
    }

    /// The same with a filter: series whose symbol it does not want are left out, and with a condition every point of a
    /// series is looked at.
    pub fn with_filter(self, filter: &Filter) -> Self {
        Self { filter: filter.clone(), ..self }
    }

    /// The series of `measurement` with `tags`, which must be sorted by name; tags without a value are left
    /// out. `None` if it cannot be written or the table is full.
    pub fn intern(&mut self, measurement: &str, tags: &[(&str, &[u8])]) -> Option<SeriesId> {
        let left_out = self.filter.names_symbols() && !self.filter.admits(symbol(tags));
        self.enter(measurement, tags, left_out)
    }

    /// The same for a series that is left out if another one is: what both say of one symbol.
    pub fn intern_beside(
        &mut self,
        other: SeriesId,
        measurement: &str,
        tags: &[(&str, &[u8])],
    ) -> Option<SeriesId> {
        let left_out = self.get(other.known()).is_some_and(|(other, _)| other.left_out);
        self.enter(measurement, tags, left_out)
    }

    fn enter(&mut self, measurement: &str, tags: &[(&str, &[u8])], left_out: bool) -> Option<SeriesId> {
        debug_assert!(tags.is_sorted_by_key(|(name, _)| *name));
        let mut key = Vec::with_capacity(96);
        key.extend_from_slice(measurement.as_bytes());
        for (name, value) in tags {
            if value.is_empty() {
                continue;
            }
            if !is_writable(value) {
                return None;
            }
            key.push(b',');
            append_name(&mut key, name);
            key.push(b'=');
            append_tag_value(&mut key, value);
        }
        let hash = self.hasher.hash_one(key.as_slice());
        if let Some(known) = self.by_key.find(hash, |known| self.key(*known) == key.as_slice()) {
            return Some(self.marked(*known));
        }
        let id = match self.free.pop() {
            Some(free) => free,
            None if self.known.len() >= self.series_max => return None,
            None => {
                let id = SeriesId(u32::try_from(self.known.len()).ok()?);
                self.known.push(Series::default());
                id
            }
        };
        if let Some(place) = self.known.get_mut(id.0 as usize) {
            (place.key, place.left_out) = (key.into_boxed_slice(), left_out);
        }
        let (known, hasher) = (&self.known, &self.hasher);
        let hash_of =
            |id: &SeriesId| hasher.hash_one(known.get(id.0 as usize).map_or(&[][..], |series| &series.key));
        self.by_key.insert_unique(hash, id, hash_of);
        Some(self.marked(id))
    }

    /// An id as decoders have it.
    fn marked(&self, id: SeriesId) -> SeriesId {
        let left_out = self.known.get(id.position()).is_some_and(|series| series.left_out);
        if left_out || self.filter.condition.is_some() { SeriesId(id.0 | HELD) } else { id }
    }

    /// Forgets a series that will not come again, so that its place can be used by another. Whoever has its id
    /// must give it up.
    pub fn release(&mut self, id: SeriesId) {
        let id = id.known();
        let Some(Series { key, ties, .. }) = self.known.get_mut(id.0 as usize).map(std::mem::take) else {
            return;
        };
        let hash = self.hasher.hash_one(&*key);
        self.ties_kept = self.ties_kept.saturating_sub(ties.kept());
        let Ok(known) = self.by_key.find_entry(hash, |known| *known == id) else { return };
        known.remove();
        self.free.push(id);
    }

    /// Measurement and tags as line protocol, such as `kraken_tick,base=BTC,exchange=kraken`.
    #[inline]
    pub fn key(&self, id: SeriesId) -> &[u8] {
        self.known.get(id.position()).map_or(&[], |series| &series.key)
    }

    /// What is known of it, and the number of maps remembered in the crowds of all series; none for an id at which the
    /// feed's filter must be asked, unless it is [`SeriesId::known`].
    #[inline]
    pub fn get(&mut self, id: SeriesId) -> Option<(&mut Series, &mut usize)> {
        self.known.get_mut(id.0 as usize).map(|series| (series, &mut self.ties_kept))
    }

    /// Series known.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

/// The symbol that tags name.
fn symbol<'a>(tags: &[(&str, &'a [u8])]) -> Option<&'a str> {
    let value = |name| tags.iter().find(|(tag, _)| *tag == name).map(|(_, value)| *value);
    SYMBOL_TAGS.into_iter().find_map(value).and_then(|value| std::str::from_utf8(value).ok())
}

/// Whether a tag value can be stored so that every reader gets it back: UTF-8, at most 256 bytes, no control
/// character, no backslash at its end (influxdata/influxdb#5231) nor before a character that is escaped.
pub fn is_writable(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    if text.len() > TAG_VALUE_BYTES_MAX || text.chars().any(char::is_control) {
        return false;
    }
    !text.split('\\').skip(1).any(|after| after.is_empty() || after.starts_with([',', '=', ' ']))
}

/// Appends a tag value with comma, equals and space escaped.
pub fn append_tag_value(out: &mut Vec<u8>, value: &[u8]) {
    for &byte in value {
        if matches!(byte, b',' | b'=' | b' ') {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

/// Appends a name (measurement, tag or field key) with comma, equals and space escaped.
pub fn append_name(out: &mut Vec<u8>, name: &str) {
    append_tag_value(out, name.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tie::{MessageId, Rule};

    #[test]
    fn hostile_values_are_escaped_or_refused() {
        let mut table = SeriesTable::new(100);
        for (value, key) in [
            ("BTC/USD", Some("m,s=BTC/USD")),
            ("a,b", Some("m,s=a\\,b")),
            ("a=b", Some("m,s=a\\=b")),
            ("a b", Some("m,s=a\\ b")),
            ("a\"b", Some("m,s=a\"b")),
            ("🦀", Some("m,s=🦀")),
            ("", Some("m")),
            ("a\\b", Some("m,s=a\\b")),
            ("a\\", None),
            ("a\\\\b", None),
            ("a\\,b", None),
            ("a\nb", None),
            ("a\0b", None),
            ("a\u{85}b", None),
        ] {
            let id = table.intern("m", &[("s", value.as_bytes())]);
            assert_eq!(id.map(|id| table.key(id).to_vec()), key.map(|k| k.as_bytes().to_vec()), "{value:?}");
        }
        assert_eq!(table.intern("m", &[("s", &[b'x'; 257])]), None);
        assert_eq!(table.intern("m", &[("s", &[0xff, 0xfe])]), None);
    }

    #[test]
    fn a_released_series_makes_room_and_is_a_new_one_when_it_comes_again() {
        let mut table = SeriesTable::new(2);
        let [a, b] = [b"a", b"b"].map(|tag| table.intern("m", &[("s", tag)]).unwrap());
        let message = MessageId { src: 1, seq: 1, map: 1, part: 0 };
        let ordinal = |table: &mut SeriesTable, id| {
            table.get(id).map(|(series, kept)| series.ties.ordinal(5, Rule::Local, message, kept).ordinal)
        };
        assert_eq!(ordinal(&mut table, a), Some(0));
        table.release(a);
        assert_eq!((table.len(), table.key(a)), (1, &b""[..]));
        table.release(a);
        let c = table.intern("m", &[("s", b"c")]).unwrap();
        assert_eq!((table.key(c), table.key(b), table.len()), (&b"m,s=c"[..], &b"m,s=b"[..], 2));
        assert_eq!(table.intern("m", &[("s", b"a")]), None, "full again");
        assert_eq!(ordinal(&mut table, c), Some(0));
        for name in 0..1_000_u32 {
            let id = table.intern("m", &[("s", name.to_string().as_bytes())]);
            assert_eq!(id, None);
            table.release(c);
            let id = table.intern("m", &[("s", name.to_string().as_bytes())]);
            assert_eq!(id, Some(c));
        }
    }

    #[test]
    fn a_full_table_refuses_new_series_and_keeps_the_old() {
        let mut table = SeriesTable::new(1);
        let first = table.intern("m", &[("s", b"a")]);
        assert!(first.is_some());
        assert_eq!(table.intern("m", &[("s", b"b")]), None);
        assert_eq!(table.intern("m", &[("s", b"a")]), first);
    }
}
