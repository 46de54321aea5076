//! The rows, by id, with what each does.

mod damage;
mod disk;
mod kill;
mod process;
mod sink;
mod wire;

use anyhow::Result;

use super::Drill;
use super::row::Row;

/// One row of the matrix.
pub(super) struct RowSpec {
    pub(super) id: &'static str,
    pub(super) fault: &'static str,
    pub(super) run: fn(Drill<'_>) -> Result<Row>,
}

const fn row(id: &'static str, fault: &'static str, run: fn(Drill<'_>) -> Result<Row>) -> RowSpec {
    RowSpec { id, fault, run }
}

/// Every row, in the order of the matrix.
pub(super) static ROWS: [RowSpec; 33] = [
    row("T1", sink::NONE, sink::none),
    row("T2", sink::DOWN, sink::down),
    row("T4", sink::SLOW, sink::slow),
    row("T5", sink::RESET, sink::reset),
    row("T6", sink::IDLE, sink::idle),
    row("T7", sink::STORM, sink::storm),
    row("T8", sink::LOGIN, sink::login),
    row("T9", sink::MISSING, sink::missing),
    row("T10", sink::POISON, sink::poison),
    row("T12", sink::FOREVER, sink::forever),
    row("T13", disk::FULL, disk::full),
    row("T13b", disk::INODES, disk::inodes),
    row("T13c", disk::GONE, disk::gone),
    row("T14", disk::SYNC, disk::sync_fails),
    row("T15", kill::JOURNAL, kill::journal),
    row("T15s", kill::JOURNAL_SYNC, kill::journal_sync),
    row("T15m", kill::SPILL, kill::spill),
    row("T16", kill::DRAINING, kill::draining),
    row("T16b", kill::TWICE, kill::twice),
    row("T17", process::SIGNALS, process::signals),
    row("T18", process::STOPPED, process::stopped),
    row("T19", process::SECOND, process::second),
    row("T20", damage::CUT, damage::cut),
    row("T21", damage::FLIP, damage::flip),
    row("T22", damage::GARBAGE, damage::garbage),
    row("T23", damage::CURSOR, damage::cursor),
    row("T25", damage::STRAY, damage::stray),
    row("T26", disk::BETWEEN, disk::between),
    row("T28", process::CONFIGURATION, process::configuration),
    row("T30", wire::SOAK, wire::soak),
    row("T32", process::OVERLOAD, process::overload),
    row("T33", wire::HALF_OPEN, wire::half_open),
    row("T40", process::SECRETS, process::secrets),
];
