//! The form of a spool on disk, version 1, little-endian: a segment's header, then records, each a head, the
//! positions of the batch's sources and its lines. Heads are checked apart from lines, so that a start reads heads only; ids advance by
//! points, so that a hole between two records says how many points it held. Pure: bytes in, bytes out.

use super::positions::POSITIONS_BYTES_MAX;

/// Bytes of a segment's header.
pub const HEADER_BYTES: usize = 64;
/// Bytes of a record's head.
pub const HEAD_BYTES: usize = 32;
/// Longest lines of one record; a head that says more is damaged.
pub const LINES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Version that is written; others are not read.
pub const VERSION: u32 = 1;

const SEGMENT_MAGIC: [u8; 8] = *b"tickspol";
/// Begins every head, so that the next record is found behind damage.
pub const RECORD_MAGIC: [u8; 4] = *b"\xf5tkr";

/// Header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which sink the records are for.
    pub fingerprint: [u8; 16],
    /// Id of the first record.
    pub first_id: u64,
    /// When it was begun, ns since 1970.
    pub created_ns: i64,
}

/// Why a segment cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No segment, or a damaged header.
    #[error("header is damaged")]
    Damaged,
    /// Another version wrote it.
    #[error("version must be {VERSION}, found {0}")]
    Version(u32),
}

impl Header {
    /// As it is written.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut put = |at: usize, part: &[u8]| {
            if let Some(to) = bytes.get_mut(at..at + part.len()) {
                to.copy_from_slice(part);
            }
        };
        put(0, &SEGMENT_MAGIC);
        put(8, &VERSION.to_le_bytes());
        put(16, &self.fingerprint);
        put(32, &self.first_id.to_le_bytes());
        put(40, &self.created_ns.to_le_bytes());
        let (checked, _) = bytes.split_at(HEADER_BYTES - 4);
        let sum = crc32c::crc32c(checked).to_le_bytes();
        if let Some(to) = bytes.last_chunk_mut::<4>() {
            *to = sum;
        }
        bytes
    }

    /// Reads it back.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let bytes = bytes.first_chunk::<HEADER_BYTES>().ok_or(HeaderError::Damaged)?;
        let (checked, sum) = bytes.split_last_chunk::<4>().ok_or(HeaderError::Damaged)?;
        if !bytes.starts_with(&SEGMENT_MAGIC) || crc32c::crc32c(checked) != u32::from_le_bytes(*sum) {
            return Err(HeaderError::Damaged);
        }
        let version = u32::from_le_bytes(part(bytes, 8)?);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        Ok(Self {
            fingerprint: part(bytes, 16)?,
            first_id: u64::from_le_bytes(part(bytes, 32)?),
            created_ns: i64::from_le_bytes(part(bytes, 40)?),
        })
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], HeaderError> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(HeaderError::Damaged)
}

/// Head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Points before it in the life of the spool.
    pub id: u64,
    /// Points in it, at least 1.
    pub points: u32,
    /// Bytes of the positions, which stand before the lines.
    pub positions_bytes: u32,
    /// Bytes of its lines.
    pub lines_bytes: u32,
    /// CRC-32C of its lines.
    pub lines_crc: u32,
}

impl Head {
    /// The head of a record with these lines and positions of so many bytes.
    pub fn of(id: u64, points: u32, positions_bytes: usize, lines: &[u8]) -> Self {
        let (positions_bytes, lines_bytes) = (positions_bytes as u32, lines.len() as u32);
        Self { id, points, positions_bytes, lines_bytes, lines_crc: crc32c::crc32c(lines) }
    }

    /// The id behind it.
    pub fn next_id(&self) -> u64 {
        self.id.saturating_add(u64::from(self.points))
    }

    /// Bytes of the whole record.
    pub fn record_bytes(&self) -> u64 {
        self.lines_at() + u64::from(self.lines_bytes)
    }

    /// Where its lines begin, from its first byte.
    pub fn lines_at(&self) -> u64 {
        HEAD_BYTES as u64 + u64::from(self.positions_bytes)
    }

    /// As it is written.
    pub fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let parts: [&[u8]; 6] = [
            &RECORD_MAGIC,
            &self.lines_bytes.to_le_bytes(),
            &self.id.to_le_bytes(),
            &self.points.to_le_bytes(),
            &self.lines_crc.to_le_bytes(),
            &self.positions_bytes.to_le_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(parts.concat()) {
            *to = from;
        }
        let (checked, _) = bytes.split_at(HEAD_BYTES - 4);
        let sum = crc32c::crc32c(checked).to_le_bytes();
        if let Some(to) = bytes.last_chunk_mut::<4>() {
            *to = sum;
        }
        bytes
    }

    /// Reads it back; none if it is damaged or none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<HEAD_BYTES>()?;
        let (checked, sum) = bytes.split_last_chunk::<4>()?;
        if !bytes.starts_with(&RECORD_MAGIC) || crc32c::crc32c(checked) != u32::from_le_bytes(*sum) {
            return None;
        }
        let word = |at: usize| part::<4>(bytes, at).ok().map(u32::from_le_bytes);
        let head = Self {
            lines_bytes: word(4)?,
            id: u64::from_le_bytes(part(bytes, 8).ok()?),
            points: word(16)?,
            lines_crc: word(20)?,
            positions_bytes: word(24)?,
        };
        let fits = head.lines_bytes as usize <= LINES_BYTES_MAX
            && head.positions_bytes as usize <= POSITIONS_BYTES_MAX;
        (head.points > 0 && fits).then_some(head)
    }

    /// Whether these are its lines.
    pub fn fits(&self, lines: &[u8]) -> bool {
        lines.len() == self.lines_bytes as usize && crc32c::crc32c(lines) == self.lines_crc
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: Header = Header { fingerprint: *b"0123456789abcdef", first_id: 7, created_ns: -5 };

    #[test]
    fn a_header_is_read_back_and_any_changed_bit_is_seen() {
        let bytes = HEADER.to_bytes();
        assert_eq!(Header::parse(&bytes), Ok(HEADER));
        for bit in 0..HEADER_BYTES * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::parse(&changed), Err(HeaderError::Damaged), "bit {bit}");
        }
        for cut in 0..HEADER_BYTES {
            assert_eq!(Header::parse(&bytes[..cut]), Err(HeaderError::Damaged), "cut at {cut}");
        }
    }

    #[test]
    fn a_segment_of_another_version_is_told_from_a_damaged_one() {
        let mut bytes = HEADER.to_bytes();
        bytes[8] = 2;
        let sum = crc32c::crc32c(&bytes[..HEADER_BYTES - 4]).to_le_bytes();
        bytes[HEADER_BYTES - 4..].copy_from_slice(&sum);
        assert_eq!(Header::parse(&bytes), Err(HeaderError::Version(2)));
    }

    proptest! {
        #[test]
        fn a_head_is_read_back_and_any_changed_bit_is_seen(
            id: u64, points in 1_u32.., lines in prop::collection::vec(any::<u8>(), 0..200), bit in 0..HEAD_BYTES * 8,
            positions_bytes in 0..POSITIONS_BYTES_MAX,
        ) {
            let head = Head::of(id, points, positions_bytes, &lines);
            let mut bytes = head.to_bytes();
            prop_assert_eq!(Head::parse(&bytes), Some(head));
            prop_assert!(head.fits(&lines));
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Head::parse(&bytes), None);
        }

        #[test]
        fn changed_lines_do_not_fit(lines in prop::collection::vec(any::<u8>(), 1..200), at: prop::sample::Index, bit in 0..8) {
            let head = Head::of(0, 1, 0, &lines);
            let mut changed = lines.clone();
            changed[at.index(lines.len())] ^= 1_u8 << bit;
            prop_assert!(!head.fits(&changed));
            prop_assert!(!head.fits(&lines[1..]));
        }
    }
}
