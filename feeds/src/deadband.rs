//! The lever on what a quote feed writes: a quote that has hardly moved since its series' last point makes none. It is
//! counted as `suppressed{unchanged}`.

use crate::field::Slot;
use crate::series::SeriesId;

/// A series that is heard has a point at least this often, so that a chart and an alarm can tell still from dead.
const AGE_MAX_NS: i64 = 60 * 1_000_000_000;

/// What was last written of a series: bid and ask; flags and whether trading is halted; when it was received.
#[derive(Clone, Copy, Debug)]
struct Quote {
    sides: [Option<f64>; 2],
    state: (u8, bool),
    recv_ns: i64,
}

/// The last quotes of a feed's series and how far one may move unwritten.
#[derive(Debug)]
pub struct Deadband {
    /// A part of the price.
    part: f64,
    /// By the position of the series.
    written: Vec<Option<Quote>>,
}

impl Deadband {
    /// For moves of up to `ppm` millionths of the price; 0 for none.
    pub fn new(ppm: u32) -> Self {
        Self { part: f64::from(ppm) / 1e6, written: Vec::new() }
    }

    /// Whether nothing is to be written of a quote, received at `recv_ns`. If it is, it is taken for written.
    pub fn holds(
        &mut self,
        series: SeriesId,
        sides: [&Slot<'_>; 2],
        state: (u8, bool),
        recv_ns: i64,
    ) -> bool {
        let quote = Quote { sides: sides.map(Slot::as_f64), state, recv_ns };
        let position = series.position();
        if position >= self.written.len() {
            self.written.resize(position + 1, None);
        }
        let Some(last) = self.written.get_mut(position) else { return false };
        if last.is_some_and(|last| is_within(&last, &quote, self.part)) {
            return true;
        }
        *last = Some(quote);
        false
    }

    /// What was taken for written of a series was not: it begins anew.
    pub fn forget_one(&mut self, series: SeriesId) {
        if let Some(last) = self.written.get_mut(series.position()) {
            *last = None;
        }
    }

    /// What was taken for written was not: every series begins anew.
    pub fn forget(&mut self) {
        self.written.clear();
    }
}

fn is_within(last: &Quote, now: &Quote, part: f64) -> bool {
    let age = now.recv_ns.saturating_sub(last.recv_ns);
    let stays = |(last, now): (&Option<f64>, &Option<f64>)| match (last, now) {
        (Some(last), Some(now)) => (now - last).abs() <= part * last.abs(),
        (last, now) => last.is_none() && now.is_none(),
    };
    (0..AGE_MAX_NS).contains(&age) && last.state == now.state && last.sides.iter().zip(&now.sides).all(stays)
}
