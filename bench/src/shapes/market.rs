//! What all venues' messages are made of: random numbers, prices that wander, and a payload that begins with the
//! reserved keys or without.

use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::{Decimals, PayloadWriter, Reserved};

use super::START_NS;
use super::run::{Message, Stamp};

/// Symbols of a shape.
pub(super) const SYMBOLS: usize = 16;

/// Random numbers (splitmix64, <https://prng.di.unimi.it/splitmix64.c>) and where each symbol's price stands.
#[derive(Debug)]
pub(super) struct Market {
    state: u64,
    /// Steps of the price grid away from the symbol's first price.
    steps: [i64; SYMBOLS],
}

impl Market {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed, steps: [0; SYMBOLS] }
    }

    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.bits() % (high - low + 1) as u64) as i64
    }

    /// Some symbol, and where its price has gone now.
    pub(super) fn step(&mut self) -> (usize, i64) {
        let symbol = self.between(0, SYMBOLS as i64 - 1) as usize;
        let step = self.between(-9, 9);
        let place = &mut self.steps[symbol];
        *place = (*place + step).clamp(-2_000, 2_000);
        (symbol, *place)
    }
}

/// One payload being written; its number and times are filled in later.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) writer: PayloadWriter,
    stamp: Stamp,
    reserved: bool,
}

impl Payload {
    /// With the reserved keys or without.
    pub(super) fn new(reserved: bool) -> Self {
        Self { writer: PayloadWriter::new(Decimals::Text), stamp: Stamp::None, reserved }
    }

    /// Starts the outer map of `keys` keys of the venue.
    pub(super) fn begin(&mut self, keys: u16) {
        if self.reserved {
            self.writer.begin(&Reserved { src: 7, ..Reserved::default() }, keys);
        } else {
            self.writer.map(u32::from(keys));
        }
    }

    /// A key and a decimal of `digits` digits behind the point.
    pub(super) fn decimal(&mut self, key: &str, scaled: i64, digits: u8) {
        self.writer.text(key);
        self.writer.decimal(scaled, digits);
    }

    /// A key and a text.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.writer.text(key);
        self.writer.text(value);
    }

    /// A key and the venue's time as text.
    pub(super) fn time(&mut self, key: &str, digits: u8) {
        self.writer.text(key);
        self.writer.rfc3339(WallNanos(START_NS), digits);
        let digits = usize::from(digits);
        let bytes = "2026-01-01T00:00:00.Z".len() + digits;
        self.stamp = Stamp::Text { at: self.writer.bytes().len() - bytes, digits };
    }

    /// A key and the venue's time in ms.
    pub(super) fn millis(&mut self, key: &str) {
        self.writer.text(key);
        self.writer.int(START_NS / 1_000_000);
        self.millis_at(self.writer.bytes().len() - 8);
    }

    /// The venue's time in ms stands in the eight bytes at `at`.
    pub(super) fn millis_at(&mut self, at: usize) {
        self.stamp = Stamp::Millis { at };
    }

    pub(super) fn finish(mut self) -> Message {
        let payload = std::mem::take(self.writer.bytes_mut());
        Message { payload, stamps: vec![self.stamp], reserved_at: self.reserved.then_some(0) }
    }
}
