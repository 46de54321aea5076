//! Reads a spool's folder without taking it, beside the process that has it: what is in each segment, and whether
//! its sums hold.

use std::io;

use super::Name;
use super::cursor::Cursor;
use super::record::{HEADER_BYTES, Head, Header, HeaderError};
use super::scan::{Found, scan};
use super::store::Store;

/// What is in one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// File name.
    pub name: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// Its header, or why that cannot be used.
    pub header: Result<Header, HeaderError>,
    /// Whose it is, by the file's name: see [`is_of`].
    pub owner: u32,
    /// Whole records.
    pub records: u64,
    /// Points in them.
    pub points: u64,
    /// Places that are no record, the header included.
    pub damages: u64,
    /// Points that are known to have stood there.
    pub damaged_points: u64,
    /// When it was last written, wall time, ns.
    pub written_ns: i64,
}

/// Whether a segment is of the sink with this fingerprint, as far as it can be read.
pub fn is_of(info: &SegmentInfo, fingerprint: &[u8; 16]) -> bool {
    match &info.header {
        Ok(header) => header.fingerprint == *fingerprint,
        Err(HeaderError::Damaged) => info.owner == super::owner(fingerprint),
        Err(HeaderError::Version(_)) => false,
    }
}

/// The id below which everything is stored, as far as the process that had the folder has said.
pub fn cursor(store: &dyn Store, fingerprint: &[u8; 16]) -> u64 {
    Cursor::read(store, fingerprint)
}

/// Names of the segments of a folder, oldest first.
pub fn segments(store: &dyn Store) -> io::Result<Vec<String>> {
    let mut names: Vec<(u64, String)> =
        store.names()?.into_iter().filter_map(|name| Some((Name::read(&name)?.number, name))).collect();
    names.sort_unstable();
    Ok(names.into_iter().map(|(_, name)| name).collect())
}

/// Reads a segment by its heads alone.
pub fn look(store: &dyn Store, name: &str) -> io::Result<SegmentInfo> {
    read(store, name, None)
}

/// Reads a segment and checks every line against its sum; `each` is given head and lines of the records that are whole.
pub fn verify(
    store: &dyn Store,
    name: &str,
    each: &mut dyn FnMut(&Head, &[u8]) -> io::Result<()>,
) -> io::Result<SegmentInfo> {
    read(store, name, Some(each))
}

type Each<'a> = &'a mut dyn FnMut(&Head, &[u8]) -> io::Result<()>;

fn read(store: &dyn Store, name: &str, each: Option<Each<'_>>) -> io::Result<SegmentInfo> {
    let file = store.open(name)?;
    let mut header = [0; HEADER_BYTES];
    let length = file.read_at(0, &mut header)?;
    let header = Header::parse(header.get(..length).unwrap_or_default());
    let (first_id, owner) = Name::read(name).map_or((0, 0), |name| (name.first_id, name.owner));
    let mut info = SegmentInfo {
        name: name.to_owned(),
        bytes: file.bytes()?,
        header,
        owner,
        records: 0,
        points: 0,
        damages: 0,
        damaged_points: 0,
        written_ns: file.written_ns()?,
    };
    // Of another version not even the heads can be read.
    if matches!(header, Err(HeaderError::Version(_))) {
        return Ok(info);
    }
    let contents = scan(file.as_ref(), first_id)?;
    info.damages = contents.damages.len() as u64 + u64::from(header.is_err());
    info.damaged_points = contents.damages.iter().map(|damage| damage.points).sum();
    let (mut lines, mut each) = (Vec::new(), each);
    for Found { head, at } in contents.records {
        if let Some(each) = &mut each {
            lines.resize(head.lines_bytes as usize, 0);
            let read = file.read_at(at + head.lines_at(), &mut lines)?;
            lines.truncate(read);
            if !head.fits(&lines) {
                info.damages += 1;
                info.damaged_points += u64::from(head.points);
                continue;
            }
            each(&head, &lines)?;
        }
        info.records += 1;
        info.points += u64::from(head.points);
    }
    Ok(info)
}
