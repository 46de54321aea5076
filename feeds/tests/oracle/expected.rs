//! What generated candidates become: time, ordinal and system fields by the rules of the wire description, on
//! whole points and without regard to speed.

use std::collections::{BTreeMap, HashMap};

use crate::reading::{Field, Point};
use crate::rig::RECEIVED_NS;
use crate::tree::Tree;

/// The reserved keys of a generated message. It always has `_v`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) tie: Option<u32>,
    pub(crate) recv: Option<i64>,
    pub(crate) sent: Option<i64>,
}

impl Head {
    pub(crate) fn entries(&self) -> Vec<(String, Tree)> {
        let mut entries = vec![("_v".to_owned(), Tree::Int(1))];
        let mut push = |key: &str, value: Option<i64>| {
            entries.extend(value.map(|value| (key.to_owned(), Tree::Int(value))));
        };
        push("_tie", self.tie.map(i64::from));
        push("_recv", self.recv);
        push("_ts", self.sent);
        entries
    }
}

/// A point that a decoder is about to make.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) measurement: &'static str,
    pub(crate) tags: Vec<(&'static str, String)>,
    /// Whether there is a series at all.
    pub(crate) usable: bool,
    pub(crate) fields: Vec<(&'static str, Option<Field>)>,
    pub(crate) time: Option<i64>,
    pub(crate) unit_ns: i64,
    pub(crate) flags: i64,
    pub(crate) own_ordinal: Option<u32>,
}

/// Whether a tag value can be stored so that every reader gets it back.
pub(crate) fn is_storable(value: &str) -> bool {
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_control() || (c == '\\' && matches!(chars.peek(), None | Some('\\' | ',' | '=' | ' '))) {
            return false;
        }
    }
    value.len() <= 256
}

/// Whether a quote is crossed, locked or not positive.
pub(crate) fn is_crossed(bid: Option<f64>, ask: Option<f64>) -> bool {
    [bid, ask].into_iter().flatten().any(|price| price <= 0.0)
        || bid.zip(ask).is_some_and(|(bid, ask)| bid >= ask)
}

const AHEAD_NS: i64 = 60_000_000_000;
const BEHIND_NS: i64 = 48 * 3_600_000_000_000;

/// The points of one message, in order.
pub(crate) fn points(head: &Head, candidates: &[Candidate]) -> Vec<Point> {
    let mut positions: HashMap<(&str, BTreeMap<String, String>), u32> = HashMap::new();
    let mut moved = HashMap::new();
    let mut made = Vec::new();
    for candidate in candidates {
        let present = candidate.tags.iter().filter(|(_, value)| !value.is_empty());
        let tags: BTreeMap<String, String> =
            present.map(|(name, value)| (name.to_string(), value.clone())).collect();
        if !candidate.usable || !tags.values().all(|value| is_storable(value)) {
            continue;
        }
        let position = positions.entry((candidate.measurement, tags.clone())).or_default();
        let ordinal = candidate.own_ordinal.unwrap_or(head.tie.unwrap_or(0).saturating_add(*position));
        *position += 1;
        let given =
            candidate.fields.iter().filter_map(|(name, field)| Some((name.to_string(), field.clone()?)));
        let mut fields: BTreeMap<String, Field> = given.collect();
        if !fields.is_empty() {
            let moved = moved.entry((candidate.measurement, tags.clone())).or_insert(0);
            let time = stamp(head, candidate, (ordinal, moved), &mut fields);
            made.push(Point { measurement: candidate.measurement.into(), tags, fields, time });
        }
    }
    made
}

/// `moved` counts the points of a series whose venue time is too far off: only their number tells them apart.
fn stamp(
    head: &Head,
    candidate: &Candidate,
    (mut ordinal, moved): (u32, &mut u32),
    fields: &mut BTreeMap<String, Field>,
) -> i64 {
    let (sent, recv) = (head.sent.unwrap_or(0), head.recv.unwrap_or(0));
    let mut flags = candidate.flags;
    let off = |time: i64| recv != 0 && !(recv - BEHIND_NS..=recv + AHEAD_NS).contains(&time);
    let (base, unit_ns) = match candidate.time {
        None => (if sent != 0 { sent } else { RECEIVED_NS }, 1),
        Some(time) if off(time) => {
            fields.insert("venue_ns".into(), Field::Int(time));
            ordinal = *moved;
            *moved += 1;
            (recv, 1)
        }
        Some(time) => (time.div_euclid(candidate.unit_ns) * candidate.unit_ns, candidate.unit_ns),
    };
    flags |= if candidate.time.is_none_or(off) { 8 } else { 0 };
    flags |= if i64::from(ordinal) >= unit_ns { 16 } else { 0 };
    let read = [recv, sent, RECEIVED_NS].into_iter().find(|time| *time != 0);
    fields.insert("recv_ns".into(), Field::Int(read.unwrap_or_default()));
    if flags != 0 {
        fields.insert("flags".into(), Field::Int(flags));
    }
    base + i64::from(ordinal)
}
