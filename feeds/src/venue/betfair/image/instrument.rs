//! What topic `instruments` says of a market: its status, and a step of prices only where there is one; most markets have
//! a ladder whose steps grow.

use crate::clock::WallNanos;
use crate::payload::{Decimals, PayloadWriter};
use crate::venue::betfair::amount::Amount;

/// One market as an instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Instrument {
    /// Keys and values without its time, msgpack.
    pub(crate) body: Vec<u8>,
    /// How many keys, with the time.
    pub(crate) keys: u16,
    /// Since when it holds, as the venue says.
    pub(crate) since: WallNanos,
}

impl Instrument {
    /// Of a definition's `status`, `priceLadderDefinition.type` and `lineInterval`.
    pub(super) fn of(id: &str, status: &[u8], ladder: &[u8], interval: Option<Amount>) -> Self {
        let mut writer = PayloadWriter::new(Decimals::Text);
        let status = std::str::from_utf8(status).unwrap_or_default();
        for (key, text) in [("exchange", "betfair"), ("instrument", id), ("status", status)] {
            writer.text(key);
            writer.text(text);
        }
        let interval = interval.filter(|_| ladder == b"LINE_RANGE");
        let has_step = ladder == b"FINEST" || interval.is_some();
        if has_step {
            writer.text("price_increment");
            match interval {
                Some(interval) => interval.write(&mut writer),
                None => writer.decimal_text("0.01"),
            }
        }
        Self { body: writer.bytes().to_vec(), keys: 4 + u16::from(has_step), since: WallNanos(0) }
    }
}
