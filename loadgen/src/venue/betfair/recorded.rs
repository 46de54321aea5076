//! Recorded Betfair `mcm` lines. The first line of a market is its image; the others are given as they came, with the
//! subscription's `id`, which recordings leave out.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::VenueError;
use super::delta::{Delta, read};
use crate::replay::plain_text;

#[derive(Deserialize)]
struct Line {
    op: String,
    id: Option<i64>,
    clk: Option<String>,
    #[serde(default)]
    pt: i64,
    #[serde(default)]
    mc: Vec<Box<RawValue>>,
}

/// One line of a market.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) text: String,
    /// It has an id of its own.
    pub(super) has_id: bool,
    pub(super) clk: Option<String>,
    pub(super) pt_ms: i64,
    pub(super) deltas: Vec<Delta>,
}

/// The lines of one market, in their order.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) id: String,
    pub(super) first: Delta,
    lines: Vec<Said>,
    given: usize,
}

impl Recorded {
    /// The next line; none at the end.
    pub(super) fn make(&mut self) -> Option<Said> {
        let said = self.lines.get(self.given).cloned();
        self.given += 1;
        said
    }

    /// When the next line came, or the last one, ns after the first one.
    pub(super) fn due_ns(&self) -> u64 {
        let next = self.lines.get(self.given).or(self.lines.last());
        let pt_ms = |said: Option<&Said>| said.map_or(0, |said| said.pt_ms);
        pt_ms(next).saturating_sub(pt_ms(self.lines.first())).unsigned_abs() * 1_000_000
    }
}

/// Reads recordings; what is no `mcm` is left out.
pub(super) fn read_all(files: &[PathBuf]) -> Result<Vec<Recorded>, VenueError> {
    let mut all: Vec<Recorded> = Vec::new();
    for path in files {
        let broken =
            |error: &dyn std::fmt::Display| VenueError::Recording(format!("{}: {error}", path.display()));
        let text = plain_text(path).map_err(|error| broken(&error))?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            take(line, &mut all).map_err(|error| broken(&error))?;
        }
    }
    if all.is_empty() {
        let named = files.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
        return Err(VenueError::Recording(format!("{}: must have mcm lines, found none", named.display())));
    }
    Ok(all)
}

fn take(text: &str, all: &mut Vec<Recorded>) -> Result<(), serde_json::Error> {
    let line: Line = serde_json::from_str(text)?;
    let deltas: Vec<Delta> = line.mc.iter().map(|market| read(market.get())).collect::<Result<_, _>>()?;
    let Some(first) = deltas.first().filter(|_| line.op == "mcm").cloned() else { return Ok(()) };
    let said =
        Said { text: text.to_owned(), has_id: line.id.is_some(), clk: line.clk, pt_ms: line.pt, deltas };
    match all.iter_mut().find(|known| known.id == first.id) {
        Some(known) => known.lines.push(said),
        None => {
            let id = first.id.clone();
            all.push(Recorded { id, first: Delta { img: true, ..first }, lines: Vec::new(), given: 0 });
        }
    }
    Ok(())
}
