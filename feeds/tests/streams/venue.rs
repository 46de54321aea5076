//! What OANDA says, made up here.

use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::rfc3339;

use crate::rig::{BASE_NS, MILLI_NS};

/// A moment in the venue's words.
pub(crate) fn time(ms: i64) -> String {
    rfc3339(WallNanos(BASE_NS + ms * MILLI_NS), 9)
}

pub(crate) fn price(instrument: &str, ms: i64, bid: &str) -> String {
    let time = time(ms);
    format!(
        r#"{{"type":"PRICE","time":"{time}","bids":[{{"price":"{bid}","liquidity":1000000}}],"asks":[],"tradeable":true,"instrument":"{instrument}"}}"#
    )
}

/// `last`: the account's last transaction, on its stream.
pub(crate) fn heartbeat(ms: u64, last: &str) -> String {
    let time = time(ms as i64);
    let last = if last.is_empty() { String::new() } else { format!(r#""lastTransactionID":"{last}","#) };
    format!(r#"{{"type":"HEARTBEAT",{last}"time":"{time}"}}"#)
}

pub(crate) fn transaction(id: u64, batch: u64, ms: i64) -> String {
    let time = time(ms);
    format!(
        r#"{{"type":"ORDER_FILL","id":"{id}","batchID":"{batch}","time":"{time}","instrument":"EUR_USD","units":"100"}}"#
    )
}
