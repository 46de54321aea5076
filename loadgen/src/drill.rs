//! Drills: the real engine as a child process, a fault done to it on purpose, and an oracle outside it that holds
//! what the database has against what the engine claimed. One function a row of the matrix.

mod fake;
mod message;
mod proxy;
mod publisher;
mod rig;
mod row;
mod rows;
mod store;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use tickline_feeds::clock::Clock;

use crate::clock::OsClock;
pub use row::Row;

/// How much of each fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Minutes; in CI.
    Quick,
    /// Hours; once a release.
    Release,
}

impl Tier {
    /// One of two figures.
    fn pick<T>(self, quick: T, release: T) -> T {
        match self {
            Tier::Quick => quick,
            Tier::Release => release,
        }
    }
}

/// What to drill.
#[derive(Clone, Debug)]
pub struct DrillPlan {
    /// How much.
    pub tier: Tier,
    /// Only these rows, by id; none: all.
    pub rows: Vec<String>,
    /// The engine's program.
    pub program: PathBuf,
    /// Seed of what is random.
    pub seed: u64,
}

/// What a row needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drill<'a> {
    tier: Tier,
    program: &'a std::path::Path,
    seed: u64,
}

/// Runs the rows, one after the other; `each` sees every row as it ends.
pub fn run(plan: &DrillPlan, mut each: impl FnMut(&Row)) -> Result<Vec<Row>> {
    for id in &plan.rows {
        let known = rows::ROWS.iter().any(|row| row.id == id);
        let ids: Vec<&str> = rows::ROWS.iter().map(|row| row.id).collect();
        ensure!(known, "--row: must be one of {}, found {id:?}", ids.join(", "));
    }
    ensure!(
        plan.program.exists(),
        "--engine: must be the program tickline, found nothing at {}",
        plan.program.display()
    );
    let drill = Drill { tier: plan.tier, program: &plan.program, seed: plan.seed };
    let mut all = Vec::new();
    for row in rows::ROWS.iter().filter(|row| plan.rows.is_empty() || plan.rows.iter().any(|id| id == row.id))
    {
        let clock = OsClock::start();
        let mut found = (row.run)(drill).unwrap_or_else(|error| {
            let mut failed = Row::new(row.id, row.fault);
            failed.expect(false, format!("{error:#}"));
            failed
        });
        found.elapsed_s = clock.mono().0 as f64 / 1e9;
        each(&found);
        all.push(found);
    }
    Ok(all)
}
