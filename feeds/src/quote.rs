//! Quotes: whether a bid and an ask belong together, from their texts where those can be compared and as numbers else.
//! It judges and changes nothing.

use crate::field::Slot;

/// Whether a quote is crossed, locked or not positive.
#[inline]
pub fn is_crossed(bid: &Slot<'_>, ask: &Slot<'_>) -> bool {
    if let (Slot::Wide(bid, bid_bytes), Slot::Wide(ask, ask_bytes)) = (bid, ask)
        && bid_bytes == ask_bytes
        && let Some(below) = bid.is_below(*ask, usize::from(*bid_bytes))
    {
        // What is above a positive bid is positive.
        return !(below && bid.is_positive(usize::from(*bid_bytes)));
    }
    is_crossed_as_units(bid, ask)
}

#[inline(never)]
fn is_crossed_as_units(bid: &Slot<'_>, ask: &Slot<'_>) -> bool {
    if let (Some((bid, bid_scale)), Some((ask, ask_scale))) = (bid.scaled(), ask.scaled())
        && bid_scale == ask_scale
    {
        return bid <= 0 || ask <= 0 || bid >= ask;
    }
    is_crossed_as_floats(bid, ask)
}

#[cold]
#[inline(never)]
fn is_crossed_as_floats(bid: &Slot<'_>, ask: &Slot<'_>) -> bool {
    match (bid.as_f64(), ask.as_f64()) {
        (Some(bid), Some(ask)) => bid <= 0.0 || ask <= 0.0 || bid >= ask,
        (Some(one), None) | (None, Some(one)) => one <= 0.0,
        (None, None) => false,
    }
}
