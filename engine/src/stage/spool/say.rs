//! What a spooler tells the one who is woken at night: that points go to disk, that they come off it again, and what
//! it found there at the start.

use super::Spooler;
use crate::plan::bytes_text;

impl Spooler {
    pub(super) fn say_what_was_found(&self) {
        let (name, stats) = (&self.spec.name, self.spool.stats());
        if stats.recovered > 0 {
            tracing::info!(
                "{name}: {} points of an earlier run are on disk and will be sent",
                stats.recovered
            );
        }
        if stats.damages > 0 {
            tracing::error!(
                "{name}: {} damaged places, at least {} points lost; the bytes are kept in quarantine/",
                stats.damages,
                stats.damaged_before
            );
        }
        if stats.foreign > 0 {
            tracing::warn!(
                "{name}: {} segments are for another address, database or policy, or of another version, and are left \
                 alone: tickline spool stat",
                stats.foreign
            );
        }
        self.spec.accepted.set_behind(self.is_behind());
    }

    /// Says when the sink begins to fail and when what waited for it is stored: two lines an outage.
    pub(super) fn say_how_it_goes(&mut self) {
        let (waiting, name) = (self.spool.stats().waiting, &self.spec.name);
        if self.trouble && !self.told_outage {
            let bound = bytes_text(self.spec.config.bytes_max);
            tracing::warn!(
                "{name}: the sink does not store: points wait on disk, up to spool.max_bytes = {bound}"
            );
            self.told_outage = true;
        } else if self.told_outage && !self.trouble && waiting == 0 {
            tracing::info!("{name}: the sink stores again, and what waited on disk is stored or on its way");
            self.told_outage = false;
        }
    }
}
