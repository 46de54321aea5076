//! The streams of a simulated OANDA: `pricing` of an instrument, and `transactions`.

use tickline_feeds::clock::WallNanos;

use super::super::exchange::Market;
use super::super::fault::FaultKind;
use super::super::outbox::Framing;
use super::prices::Instrument;
use super::transactions::Transactions;
use super::when;
use crate::generator::{Walk, feed_seed};
use crate::prng::Prng;
use crate::replay::Quote;

pub(in super::super) struct Oanda {
    pub(super) instruments: Vec<Instrument>,
    pub(super) transactions: Transactions,
}

/// What a streaming connection is.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Profile {
    /// Of transactions, not of prices.
    pub(super) transactions: bool,
    /// Times are seconds since 1970.
    pub(super) unix: bool,
}

impl Oanda {
    pub(super) fn new(account: &str, walks: Vec<Walk>, seed: u64) -> Self {
        let prng = |stream: &str| Prng::new(feed_seed(seed, stream));
        let transactions = Transactions::new(account, walks.clone(), prng("transactions"));
        let instrument = |walk: Walk| {
            let prng = prng(&walk.name);
            Instrument::new(walk, prng)
        };
        Self { instruments: walks.into_iter().map(instrument).collect(), transactions }
    }

    pub(super) fn instrument(&self, name: &str) -> Option<&Instrument> {
        self.instruments.iter().find(|instrument| instrument.walk.name == name)
    }

    /// Gives these quotes of an instrument.
    pub(super) fn record(&mut self, name: &str, quotes: Vec<Quote>) {
        if let Some(instrument) = self.of(&format!("pricing {name}")) {
            instrument.record(quotes);
        }
    }

    fn of(&mut self, stream: &str) -> Option<&mut Instrument> {
        let name = stream.strip_prefix("pricing ")?;
        self.instruments.iter_mut().find(|instrument| instrument.walk.name == name)
    }
}

impl Market for Oanda {
    /// Times are seconds since 1970.
    type Terms = bool;
    type Profile = Profile;
    const STREAMS: &'static str =
        "transactions, or pricing of one of the venue's instruments, such as \"pricing EUR_USD\"";
    const FAULTS: &'static [FaultKind] = &[
        FaultKind::Silence,
        FaultKind::DataSilence,
        FaultKind::Disconnect,
        FaultKind::HalfMessage,
        FaultKind::Refuse,
        FaultKind::Skip,
        FaultKind::Drip,
        FaultKind::RateLimit,
        FaultKind::Malformed,
        FaultKind::ExpiredToken,
        FaultKind::Maintenance,
        FaultKind::RefuseConnections,
    ];
    const FRAMING: Framing = Framing::Chunks;

    fn has(&mut self, stream: &str) -> bool {
        stream == "transactions" || self.of(stream).is_some()
    }

    fn make(&mut self, stream: &str, at: WallNanos) -> Option<u64> {
        if stream == "transactions" {
            self.transactions.make(at);
            return Some(1);
        }
        self.of(stream)?.make(at).then_some(1)
    }

    fn text(&mut self, stream: &str, unix: &mut bool) -> Option<String> {
        if stream == "transactions" {
            return self.transactions.update(*unix);
        }
        self.of(stream).map(|instrument| instrument.price(*unix, WallNanos(0), ""))
    }

    fn beat(&mut self, profile: &mut Profile, at: WallNanos) -> Vec<String> {
        let time = when(at, profile.unix);
        if profile.transactions {
            let last = self.transactions.last_id();
            return vec![format!(
                "{{\"type\":\"HEARTBEAT\",\"lastTransactionID\":\"{last}\",\"time\":\"{time}\"}}"
            )];
        }
        vec![format!("{{\"type\":\"HEARTBEAT\",\"time\":\"{time}\"}}")]
    }

    fn recorded_ns(&self, stream: &str) -> Option<u64> {
        self.instrument(stream.strip_prefix("pricing ")?)?.due_ns()
    }
}
